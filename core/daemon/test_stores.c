/* SPDX-License-Identifier: Apache-2.0 */
/* The loop is real, the stores are the test's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/daemon/lock.h"
#include "core/daemon/state.h"
#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/util/time.h"

#define STORES 2
#define LONG_NS (20 * CL_NS_PER_S)

struct cl_store {
    unsigned busy; /* so often is it somebody else's */
    uint32_t error;
    unsigned opens, closes;
    bool fleeting; /* not durable */
    cl_store_fn fn;
    void *ctx;
};

static struct cl_store fakes[STORES];
static unsigned opened_count;
static uint32_t opened_code;
static char remembered[128];

int cl_store_open(struct cl_store *store, const char *daemon_instance, const char *state_dir, cl_store_fn fn, void *ctx)
{
    assert_string_equal(daemon_instance, "i");
    assert_string_equal(state_dir, "/s");
    assert_null(store->fn); /* one at a time */
    store->opens++;
    store->fn = fn;
    store->ctx = ctx;
    return 0;
}

struct cloister_sv cl_store_id(const struct cl_store *store)
{
    return store == &fakes[0] ? CLOISTER_SV("x") : CLOISTER_SV("y");
}

void cl_store_close(struct cl_store *store)
{
    if (store)
        store->closes++;
}

uint64_t cl_store_capabilities(const struct cl_store *store)
{
    return store->fleeting ? 0 : CLOISTER_STORE_DURABLE;
}

int cl_rundir_remember(const struct cl_rundir *rundir, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size;
    (void)err;
    assert_int_equal(cl_value_print(rundir->stores, false, &text, &size), 0);
    (void)snprintf(remembered, sizeof(remembered), "%s", text);
    return 0;
}

void cl_daemon_opened(struct cl_daemon *daemon, const struct cloister_error *err)
{
    if (err)
        daemon->phase = CL_PHASE_STOPPING; /* as a failure does */
    opened_count++;
    opened_code = err ? err->code : CLOISTER_OK;
}

static void complete(struct cl_store *store)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result)};
    cl_store_fn fn = store->fn;
    uint32_t code = store->opens <= store->busy ? (uint32_t)CLOISTER_BUSY : store->error;
    store->fn = NULL;
    if (code != CLOISTER_OK)
        (void)cl_error_set(&err, code, 0, "7", "open", "the lease is held by pid 7");
    if (fn)
        fn(store->ctx, code != CLOISTER_OK ? &err : NULL, &result);
}

struct house {
    struct cl_daemon daemon;
    struct cl_config config;
    struct cl_daemon_store stores[STORES];
};

static void begin(struct house *house, uint64_t wait_until)
{
    static const char *const names[] = {"main", "other"};
    *house = (struct house){.config = {.instance = "i", .state_dir = "/s", .persistence_count = STORES}};
    house->daemon = (struct cl_daemon){.config = &house->config, .stores = house->stores, .wait_until = wait_until};
    assert_int_equal(cl_loop_new(&house->daemon.loop), 0);
    memset(fakes, 0, sizeof(fakes));
    for (size_t i = 0; i < STORES; i++) {
        house->stores[i] = (struct cl_daemon_store){.daemon = &house->daemon, .name = names[i], .store = &fakes[i]};
        fakes[i].error = CLOISTER_OK;
    }
    opened_count = 0;
    opened_code = ~0u;
    remembered[0] = 0;
}

/* Until it is opened, or for as long as nothing happens in a while. */
static void go_on(struct house *house)
{
    uint64_t deadline = cl_mono_ns() + 5 * CL_NS_PER_S;
    while (opened_count == 0 && house->daemon.phase == CL_PHASE_STARTING && cl_mono_ns() < deadline) {
        for (size_t i = 0; i < STORES; i++)
            if (fakes[i].fn)
                complete(&fakes[i]);
        usleep(2000);
        cl_loop_run_pending(house->daemon.loop, 10);
    }
}

static void end(struct house *house)
{
    cl_daemon_close_stores(&house->daemon);
    for (size_t i = 0; i < STORES; i++)
        assert_int_equal(fakes[i].closes, 1);
    cl_loop_run_pending(house->daemon.loop, 10);
    (void)cl_loop_free(house->daemon.loop);
}

static const struct {
    const char *name;
    uint64_t wait_ns; /* CL_WAIT_NOT, CL_WAIT_FOR_EVER or a time from now */
    unsigned busy[STORES];
    uint32_t error; /* of the second */
    uint32_t code;
    unsigned opens[STORES]; /* 0: not looked at */
} cases[] = {
    {"both are free", CL_WAIT_NOT, {0, 0}, CLOISTER_OK, CLOISTER_OK, {1, 1}},
    {"one is taken, and we do not wait", CL_WAIT_NOT, {1, 0}, CLOISTER_OK, CLOISTER_BUSY, {1, 0}},
    {"one is taken for a while", CL_WAIT_FOR_EVER, {2, 0}, CLOISTER_OK, CLOISTER_OK, {3, 1}},
    {"both are, not equally long", LONG_NS, {1, 3}, CLOISTER_OK, CLOISTER_OK, {2, 4}},
    {"one is taken for longer than we wait", 120 * CL_NS_PER_MS, {1000, 0}, CLOISTER_OK, CLOISTER_BUSY, {0, 1}},
    {"another failure is not waited for", CL_WAIT_FOR_EVER, {0, 0}, CLOISTER_CORRUPT, CLOISTER_CORRUPT, {1, 1}},
    {"nor one that shows after a wait", CL_WAIT_FOR_EVER, {0, 2}, CLOISTER_CORRUPT, CLOISTER_CORRUPT, {1, 3}},
};

static void stores_are_waited_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct house house;
        bool absolute = cases[i].wait_ns == CL_WAIT_NOT || cases[i].wait_ns == CL_WAIT_FOR_EVER;
        begin(&house, absolute ? cases[i].wait_ns : cl_mono_ns() + cases[i].wait_ns);
        for (size_t j = 0; j < STORES; j++)
            fakes[j].busy = cases[i].busy[j];
        fakes[1].error = cases[i].error;
        CL_CHECK_INT(cases[i].name, cl_daemon_open_stores(&house.daemon, NULL), 0);
        go_on(&house);
        CL_CHECK_INT(cases[i].name, opened_count, 1);
        CL_CHECK_INT(cases[i].name, opened_code, cases[i].code);
        for (size_t j = 0; j < STORES; j++)
            if (cases[i].opens[j])
                CL_CHECK_INT(cases[i].name, fakes[j].opens, cases[i].opens[j]);
        end(&house);
    }
}

static void a_stop_ends_the_wait(void **state)
{
    (void)state;
    struct house house;
    begin(&house, CL_WAIT_FOR_EVER);
    fakes[0].busy = fakes[1].busy = 1000;
    assert_int_equal(cl_daemon_open_stores(&house.daemon, NULL), 0);
    complete(&fakes[0]);
    house.daemon.phase = CL_PHASE_STOPPING;
    complete(&fakes[1]);
    usleep(2 * CL_WAIT_PAUSE_NS / 1000);
    cl_loop_run_pending(house.daemon.loop, 10);
    assert_int_equal(fakes[0].opens, 1);
    assert_int_equal(opened_count, 0);
    end(&house);
}

static void what_is_missing_is_not_opened(void **state)
{
    (void)state;
    struct house house;
    begin(&house, CL_WAIT_NOT);
    house.stores[0].store = NULL; /* an optional plugin */
    assert_int_equal(cl_daemon_open_stores(&house.daemon, NULL), 0);
    go_on(&house);
    assert_int_equal(opened_count, 1);
    house.stores[0].store = &fakes[0];
    end(&house);

    begin(&house, CL_WAIT_NOT);
    house.config.persistence_count = 0;
    assert_int_equal(cl_daemon_open_stores(&house.daemon, NULL), 0);
    assert_int_equal(opened_count, 1);
    house.config.persistence_count = STORES;
    end(&house);
}

static const struct {
    const char *name, *known;
    bool fleeting; /* the first */
    bool changed;
    const char *written; /* "": nothing */
} recalls[] = {
    {"the first time", "{}", false, false, "{\"main\":\"x\",\"other\":\"y\"}"},
    {"the same", "{\"main\":\"x\",\"other\":\"y\"}", false, false, ""},
    {"one more", "{\"other\":\"y\"}", false, false, "{\"other\":\"y\",\"main\":\"x\"}"},
    {"what is not durable is not remembered", "{}", true, false, "{\"other\":\"y\"}"},
    {"another id", "{\"main\":\"z\",\"other\":\"y\"}", false, true, ""},
    {"another id, and one more", "{\"main\":\"z\"}", false, true, "{\"main\":\"z\",\"other\":\"y\"}"},
    {"one that is not in the config", "{\"gone\":\"x\",\"main\":\"x\",\"other\":\"y\"}", false, true, ""},
    {"one that is not durable any more", "{\"main\":\"x\",\"other\":\"y\"}", true, true, ""},
};

static void a_strange_store_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(recalls); i++) {
        struct house house;
        bool changed = !recalls[i].changed;
        begin(&house, CL_WAIT_NOT);
        fakes[0].fleeting = recalls[i].fleeting;
        CL_CHECK_INT(recalls[i].name,
                     cl_value_parse(cl_sv_cstr(recalls[i].known), NULL, &house.daemon.rundir.stores, NULL, NULL), 0);
        CL_CHECK_INT(recalls[i].name, cl_daemon_recall_stores(&house.daemon, &changed, NULL), 0);
        CL_CHECK_INT(recalls[i].name, changed, recalls[i].changed);
        CL_CHECK_STR(recalls[i].name, remembered, recalls[i].written);
        cl_value_free(house.daemon.rundir.stores);
        end(&house);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_are_waited_for),
        cmocka_unit_test(a_stop_ends_the_wait),
        cmocka_unit_test(what_is_missing_is_not_opened),
        cmocka_unit_test(a_strange_store_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
