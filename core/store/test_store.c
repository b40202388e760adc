/* SPDX-License-Identifier: Apache-2.0 */
/* The store against a plugin that keeps nothing, and completes when, and as often as, the test says. */
#include "core/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/store/arena.h"
#include "core/util/check.h"
#include "core/util/sv.h"
#include "core/util/time.h"

struct fake {
    struct cl_loop *loop;
    struct cl_instance instance;
    union cl_vtable vtable;
    struct cl_store *store;
    cloister_op ops[16];
    char ids[16][32];
    unsigned count;
    uint64_t epoch_seen;
    uint64_t puts_seen;
    bool global_empty;
    bool inside;
    int log_fd;
    int log_end;
};

static void note(struct fake *fake, struct cloister_sv id, cloister_op op)
{
    snprintf(fake->ids[fake->count], sizeof(fake->ids[0]), "%.*s", CL_SV_ARG(id));
    fake->ops[fake->count++] = op;
}

static void fake_open(void *instance, const struct cloister_store_open_args *args, cloister_op op)
{
    assert_true(cl_sv_is(args->instance, "test"));
    note(instance, CLOISTER_SV("open"), op);
}

static void fake_put(void *instance, const struct cloister_store_put_args *args, cloister_op op)
{
    struct fake *fake = instance;
    fake->epoch_seen = args->epoch;
    fake->puts_seen++;
    note(fake, args->id, op);
    if (fake->inside) {
        struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result), .generation = 9};
        cl_store_api.done(&fake->instance.host, op, NULL, &result);
    }
}

static void fake_list(void *instance, const struct cloister_store_list_args *args, cloister_op op)
{
    struct fake *fake = instance;
    (void)args;
    note(fake, CLOISTER_SV("list"), op);
    if (!fake->inside)
        return;
    char id[] = "early";
    struct cloister_store_row row = {.id = cl_sv(id, 5), .generation = 3};
    struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result), .rows = &row, .row_count = 1,
                                           .row_size = sizeof(row)};
    cl_store_api.done(&fake->instance.host, op, NULL, &result);
    memset(id, '?', 5);
    memset(&row, 0xff, sizeof(row));
}

static void fake_global(void *instance, const struct cloister_store_global_args *args, cloister_op op)
{
    struct fake *fake = instance;
    fake->epoch_seen = args->epoch;
    fake->global_empty = args->data.data && !args->data.size;
    note(fake, args->key, op);
}

static void fake_close(void *instance)
{
    (void)instance;
}

struct answer {
    unsigned count;
    uint32_t code;
    uint64_t generation;
    char sentence[256];
    char row[32];
};

static void on_answer(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct answer *answer = ctx;
    answer->count++;
    answer->code = err ? err->code : 0;
    answer->generation = result->generation;
    if (err)
        cl_error_sentence(err, answer->sentence, sizeof(answer->sentence));
    if (result->row_count)
        snprintf(answer->row, sizeof(answer->row), "%.*s", CL_SV_ARG(result->rows[0].id));
}

static void complete(struct fake *fake, cloister_op op, uint32_t code, uint64_t generation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result), .generation = generation};
    err.code = code;
    cl_store_api.done(&fake->instance.host, op, code ? &err : NULL, &result);
}

static int setup(void **state)
{
    static char label[] = "persistence 'main' (fake)", name[] = "main";
    struct fake *fake = calloc(1, sizeof(*fake));
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    fake->log_end = ends[0];
    fake->log_fd = ends[1];
    cl_log_set_fd(fake->log_fd);
    if (cl_loop_new(&fake->loop) < 0)
        return -1;
    fake->vtable.persistence =
        (struct cloister_persistence){CLOISTER_INIT(struct cloister_persistence), .open = fake_open, .list = fake_list,
                                      .put = fake_put, .close = fake_close};
    fake->instance = (struct cl_instance){.name = name, .label = label, .vtable = &fake->vtable, .self = fake};
    fake->instance.host.self = &fake->instance;
    struct answer opened = {.count = 0};
    if (cl_store_new(fake->loop, &fake->instance, &fake->store) < 0 ||
        cl_store_open(fake->store, "test", "/nowhere", on_answer, &opened) < 0)
        return -1;
    struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result), .epoch = 42,
                                           .store_id = CLOISTER_SV("fake-1")};
    cl_store_api.done(&fake->instance.host, fake->ops[0], NULL, &result);
    fake->count = 0;
    *state = fake;
    return opened.count == 1 ? 0 : -1;
}

static int teardown(void **state)
{
    struct fake *fake = *state;
    cl_store_close(fake->store);
    cl_loop_run_pending(fake->loop, 16);
    cl_loop_free(fake->loop);
    cl_log_set_fd(2);
    close(fake->log_fd);
    close(fake->log_end);
    free(fake);
    return 0;
}

/* What has been logged since the last look. */
static const char *logged(struct fake *fake)
{
    static char text[4096];
    ssize_t size;
    (void)!write(fake->log_fd, "\n", 1);
    size = read(fake->log_end, text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static int put(struct fake *fake, const char *id, struct answer *answer)
{
    struct cloister_record record = {.kind = CLOISTER_SV("sandbox"), .data = CLOISTER_SV("{}")};
    return cl_store_put(fake->store, cl_sv_cstr(id), CLOISTER_GENERATION_ANY, CLOISTER_DURABLE_POWER, &record, 1,
                        CLOISTER_SV("up"), on_answer, answer);
}

static void test_open(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(cl_store_epoch(fake->store), 42);
    assert_true(cl_sv_is(cl_store_id(fake->store), "fake-1"));
    assert_true(cl_store_was_clean(fake->store));
}

/* Another daemon has it: the same store is opened again until that one has gone. */
static void test_busy(void **state)
{
    struct fake *fake = *state;
    struct answer first = {0}, second = {0};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result), .epoch = 43,
                                           .store_id = CLOISTER_SV("fake-1"), .report = CLOISTER_SV("{}")};
    (void)cl_error_set(&err, CLOISTER_BUSY, 0, "4711", "lock", "store '/x' is in use by process 4711");
    assert_int_equal(cl_store_open(fake->store, "test", "/nowhere", on_answer, &first), 0);
    cl_store_api.done(&fake->instance.host, fake->ops[0], &err, NULL);
    CL_CHECK_INT("the code gets through", first.code, CLOISTER_BUSY);
    assert_non_null(strstr(first.sentence, "open: store '/x' is in use by process 4711"));
    assert_int_equal(cl_store_open(fake->store, "test", "/nowhere", on_answer, &second), 0);
    CL_CHECK_INT("asked again", fake->count, 2);
    cl_store_api.done(&fake->instance.host, fake->ops[1], NULL, &result);
    CL_CHECK_INT("and open", second.code, 0);
    CL_CHECK_INT("with the new epoch", cl_store_epoch(fake->store), 43);
    CL_CHECK_INT("which was not clean", cl_store_was_clean(fake->store), 0);
}

static void test_lanes(void **state)
{
    struct fake *fake = *state;
    struct answer a1 = {0}, a2 = {0}, b = {0};
    assert_int_equal(put(fake, "a", &a1), 0);
    assert_int_equal(put(fake, "a", &a2), 0);
    assert_int_equal(put(fake, "b", &b), 0);
    CL_CHECK_INT("one operation per sandbox, sandboxes in parallel", fake->count, 2);
    CL_CHECK_STR("first", fake->ids[0], "a");
    CL_CHECK_STR("other sandbox", fake->ids[1], "b");
    CL_CHECK_INT("epoch of the open", fake->epoch_seen, 42);
    complete(fake, fake->ops[0], 0, 5);
    CL_CHECK_INT("the next of the lane begins", fake->count, 3);
    CL_CHECK_INT("answered once", a1.count, 1);
    CL_CHECK_INT("generation is passed on", a1.generation, 5);
    complete(fake, fake->ops[2], CLOISTER_NO_SPACE, 0);
    CL_CHECK_INT("an error too", a2.code, CLOISTER_NO_SPACE);
    assert_non_null(strstr(a2.sentence, "persistence 'main' (fake): put a"));
    complete(fake, fake->ops[1], 0, 1);
    CL_CHECK_INT("nothing is left", cl_store_pending(fake->store), 0);
}

static void test_misbehaviour(void **state)
{
    struct fake *fake = *state;
    struct answer answer = {0};
    assert_int_equal(put(fake, "a", &answer), 0);
    complete(fake, fake->ops[0], 0, 1);
    complete(fake, fake->ops[0], 0, 2);
    CL_CHECK_INT("a second completion is ignored", answer.count, 1);
    const char *log = logged(fake);
    assert_non_null(strstr(log, "persistence 'main' (fake) completed operation"));
    assert_non_null(strstr(log, "a second time"));
    complete(fake, 4711, 0, 2);
    assert_non_null(strstr(logged(fake), "never begun"));
}

static void test_inside(void **state)
{
    struct fake *fake = *state;
    struct answer answer = {0}, rows = {0};
    fake->inside = true;
    assert_int_equal(put(fake, "a", &answer), 0);
    CL_CHECK_INT("not inside the call", answer.count, 0);
    assert_non_null(strstr(logged(fake), "inside the call that started it"));
    complete(fake, fake->ops[0], 0, 10);
    assert_non_null(strstr(logged(fake), "a second time"));
    cl_loop_run_pending(fake->loop, 8);
    CL_CHECK_INT("but later", answer.count, 1);
    CL_CHECK_INT("with its own result", answer.generation, 9);
    assert_int_equal(cl_store_list(fake->store, cl_sv(NULL, 0), on_answer, &rows), 0);
    cl_loop_run_pending(fake->loop, 8);
    CL_CHECK_STR("deep copy of what the plugin has taken back", rows.row, "early");
}

static void on_timer(void *ctx)
{
    cl_loop_stop(((struct fake *)ctx)->loop);
}

static void test_never(void **state)
{
    struct fake *fake = *state;
    struct answer answer = {0};
    cloister_timer *timer;
    cl_store_patience(fake->store, 20 * CL_NS_PER_MS);
    assert_int_equal(put(fake, "lost", &answer), 0);
    assert_int_equal(cl_timer_open(fake->loop, on_timer, fake, &timer), 0);
    (void)logged(fake);
    assert_int_equal(cl_timer_set(timer, cl_mono_ns() + 100 * CL_NS_PER_MS, 0), 0);
    cl_loop_run(fake->loop);
    cl_timer_close(timer, NULL, NULL);
    const char *log = logged(fake);
    assert_non_null(strstr(log, "persistence 'main' (fake) has not completed put of lost"));
    CL_CHECK_INT("it stays accounted for", cl_store_pending(fake->store), 1);
    complete(fake, fake->ops[0], 0, 1);
    CL_CHECK_INT("and is taken when it comes after all", answer.count, 1);
}

static void test_error_without_a_code(void **state)
{
    struct fake *fake = *state;
    struct answer answer = {0};
    const struct cloister_error blank = CLOISTER_ERROR_INIT;
    assert_int_equal(put(fake, "a", &answer), 0);
    cl_store_api.done(&fake->instance.host, fake->ops[0], &blank, NULL);
    CL_CHECK_INT("is no success", answer.code, CLOISTER_INTERNAL);
    assert_non_null(strstr(answer.sentence, "persistence 'main' (fake): put failed without saying why"));
    assert_non_null(strstr(logged(fake), "with an error that has no code"));
}

static void test_elements(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t stride;
        struct {
            uint32_t a, b;
        } want;
    } cases[] = {
        {"shorter: the rest is zero, not the next one's", 4, {2, 0}},
        {"the same", 8, {3, 4}},
        {"longer: the rest is left out", 12, {4, 5}},
    };
    static const uint32_t array[] = {1, 2, 3, 4, 5, 6};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        uint32_t got[3] = {~0u, ~0u, 77};
        cl_element_copy(got, 8, array, cases[i].stride, 1);
        CL_CHECK_INT(cases[i].name, got[0], cases[i].want.a);
        CL_CHECK_INT(cases[i].name, got[1], cases[i].want.b);
        CL_CHECK_INT(cases[i].name, got[2], 77);
    }
}

static void test_sizes(void **state)
{
    struct fake *fake = *state;
    struct answer answer = {0};
    struct {
        uint32_t struct_size;
        uint32_t code;
    } short_error = {8, CLOISTER_QUOTA};
    struct {
        struct cloister_store_result known;
        char unknown[64];
    } long_result;
    memset(&long_result, 0xff, sizeof(long_result));
    memset(&long_result.known, 0, sizeof(long_result.known));
    long_result.known.struct_size = sizeof(long_result);
    long_result.known.generation = 77;
    assert_int_equal(put(fake, "a", &answer), 0);
    cl_store_api.done(&fake->instance.host, fake->ops[0], (const struct cloister_error *)(const void *)&short_error,
                      NULL);
    CL_CHECK_INT("an error of an older, shorter kind", answer.code, CLOISTER_QUOTA);
    assert_int_equal(put(fake, "a", &answer), 0);
    cl_store_api.done(&fake->instance.host, fake->ops[1], NULL, &long_result.known);
    CL_CHECK_INT("a result of a newer, longer kind", answer.generation, 77);
}

static void test_globals(void **state)
{
    struct fake *fake = *state;
    const struct cloister_sv key = CLOISTER_SV("svc:control");
    struct answer first = {0}, second = {0}, other = {0};
    assert_int_equal(cl_store_global_get(fake->store, key, on_answer, &first), -EOPNOTSUPP);
    assert_int_equal(cl_store_global_put(fake->store, key, CLOISTER_DURABLE_POWER, key, on_answer, &first),
                     -EOPNOTSUPP);
    assert_int_equal(cl_store_global_delete(fake->store, key, on_answer, &first), -EOPNOTSUPP);
    fake->vtable.persistence.global_get = fake->vtable.persistence.global_put = fake->vtable.persistence.global_delete =
        fake_global;
    assert_int_equal(cl_store_global_put(fake->store, key, CLOISTER_DURABLE_POWER, CLOISTER_SV(""), on_answer, &first),
                     0);
    assert_int_equal(fake->epoch_seen, 42);
    assert_true(fake->global_empty);
    assert_int_equal(cl_store_global_get(fake->store, key, on_answer, &second), 0); /* behind the put */
    assert_int_equal(cl_store_global_delete(fake->store, CLOISTER_SV("svc:b"), on_answer, &other), 0);
    assert_int_equal(fake->count, 2);
    assert_string_equal(fake->ids[0], "svc:control");
    assert_string_equal(fake->ids[1], "svc:b");
    complete(fake, fake->ops[0], CLOISTER_NO_SPACE, 0);
    assert_int_equal(first.code, CLOISTER_NO_SPACE);
    assert_int_equal(fake->count, 3);
    complete(fake, fake->ops[2], 0, 0);
    complete(fake, fake->ops[1], 0, 0);
    assert_int_equal(second.count, 1);
    assert_int_equal(other.count, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_open),
        CASE(test_busy),
        CASE(test_lanes),
        CASE(test_misbehaviour),
        CASE(test_inside),
        CASE(test_never),
        CASE(test_error_without_a_code),
        CASE(test_elements),
        CASE(test_sizes),
        CASE(test_globals),
    };
    return cmocka_run_group_tests_name("core/store", tests, NULL, NULL);
}
