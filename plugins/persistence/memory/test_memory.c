/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin behind a host that runs posts when the test says so: what is its own. What any store owes is the
 * conformance kit's to try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cloister/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cloister_plugin *cloister_plugin_entry(void);

#define CHECK(name, condition)                             \
    do {                                                   \
        if (!(condition))                                  \
            fail_msg("case '%s': %s", (name), #condition); \
    } while (0)

static struct {
    cloister_fn fn[64];
    void *ctx[64];
    unsigned posted;
    cloister_op op;
    unsigned done;
    uint32_t code;
    uint32_t detail;
    struct cloister_store_result result;
    char rows[512];    /* "id/generation " of each row */
    char records[512]; /* "kind=data " of each record */
    char cursor[140];
    char report[256];
} world;

static void fake_error_set(struct cloister_error *err, uint32_t code, int32_t os_errno, const char *subject,
                           const char *step, const char *format, ...)
{
    (void)os_errno, (void)subject, (void)step, (void)format;
    err->code = code;
}

static int32_t fake_post(const struct cloister_host *host, cloister_fn fn, void *ctx)
{
    (void)host;
    world.fn[world.posted] = fn;
    world.ctx[world.posted++] = ctx;
    return 0;
}

static void print_rows(const struct cloister_store_result *result)
{
    for (uint64_t i = 0; i < result->row_count; i++)
        snprintf(world.rows + strlen(world.rows), sizeof(world.rows) - strlen(world.rows), "%.*s/%llu ",
                 (int)result->rows[i].id.size, result->rows[i].id.data, (unsigned long long)result->rows[i].generation);
    for (uint64_t i = 0; i < result->record_count; i++)
        snprintf(world.records + strlen(world.records), sizeof(world.records) - strlen(world.records), "%.*s=%.*s ",
                 (int)result->records[i].kind.size, result->records[i].kind.data, (int)result->records[i].data.size,
                 result->records[i].data.data);
    snprintf(world.cursor, sizeof(world.cursor), "%.*s", (int)result->cursor.size, result->cursor.data);
    snprintf(world.report, sizeof(world.report), "%.*s", (int)result->report.size, result->report.data);
}

static void fake_done(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                      const struct cloister_store_result *result)
{
    (void)host;
    world.op = op;
    world.done++;
    world.code = error ? error->code : 0;
    world.detail = error ? error->detail : 0;
    world.rows[0] = world.records[0] = world.cursor[0] = world.report[0] = 0;
    memset(&world.result, 0, sizeof(world.result));
    if (result) {
        world.result = *result;
        print_rows(result);
    }
}

static const struct cloister_log_api log_api = {CLOISTER_INIT(struct cloister_log_api), .error_set = fake_error_set};
static const struct cloister_loop_api loop_api = {CLOISTER_INIT(struct cloister_loop_api), .post = fake_post};
static const struct cloister_store_api store_api = {CLOISTER_INIT(struct cloister_store_api), .done = fake_done};
static const struct cloister_host host = {CLOISTER_INIT(struct cloister_host), .log = &log_api, .loop = &loop_api,
                                          .store = &store_api};

static const struct cloister_persistence *vtable;
static void *instance;
static uint64_t epoch;

/* One operation, from the call to its completion on the next turn. */
#define RUN(slot, ...)                                                    \
    do {                                                                  \
        unsigned before = world.done;                                     \
        world.posted = 0;                                                 \
        vtable->slot(instance, __VA_ARGS__, ++world.op);                  \
        assert_int_equal(world.done, before); /* never inside the call */ \
        for (unsigned turn = 0; turn < world.posted; turn++)              \
            world.fn[turn](world.ctx[turn]);                              \
        assert_int_equal(world.done, before + 1);                         \
    } while (0)

static void reopen(void)
{
    struct cloister_store_open_args args = {CLOISTER_INIT(struct cloister_store_open_args)};
    RUN(open, &args);
    assert_int_equal(world.code, 0);
    assert_true(world.result.epoch > epoch);
    assert_int_equal(world.result.capabilities & CLOISTER_STORE_DURABLE, 0);
    epoch = world.result.epoch;
}

static int setup(void **state)
{
    struct cloister_option_value option = {.set = 1, .type = CLOISTER_OPTION_U64, .number = 3 * 1024 * 1024};
    struct cloister_create_args args = {CLOISTER_INIT(struct cloister_create_args), .host = &host, .options = &option,
                                        .option_count = 1, .option_size = sizeof(option)};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)state;
    memset(&world, 0, sizeof(world));
    epoch = 0;
    vtable = cloister_plugin_entry()->vtable;
    if (vtable->life.create(&args, &instance, &err) != 0)
        return -1;
    reopen();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vtable->close(instance);
    vtable->life.destroy(instance);
    return 0;
}

static struct cloister_sv text(const char *from)
{
    return (struct cloister_sv){from, from ? strlen(from) : 0};
}

static void put(const char *id, uint64_t generation, const char *kind, struct cloister_sv data)
{
    struct cloister_record record = {.kind = text(kind), .data = data};
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = CLOISTER_DURABLE_POWER,
                                           .id = text(id),
                                           .if_generation = generation,
                                           .epoch = epoch,
                                           .records = &record,
                                           .record_count = 1,
                                           .record_size = sizeof(record),
                                           .summary = text("sum")};
    RUN(put, &args);
}

static void get(const char *id)
{
    struct cloister_store_get_args args = {CLOISTER_INIT(struct cloister_store_get_args), .id = text(id)};
    RUN(get, &args);
}

static void test_refusals(void **state)
{
    (void)state;
    static char big[CLOISTER_STORE_RECORD_MAX + 1];
    char long_id[CLOISTER_STORE_ID_MAX + 2];
    memset(long_id, 'x', sizeof(long_id));
    long_id[sizeof(long_id) - 1] = 0;
    const struct {
        const char *name;
        const char *id;
        const char *kind;
        struct cloister_sv data;
        uint32_t code;
    } cases[] = {
        {"empty id", "", "k", text("x"), CLOISTER_INVALID},
        {"id with a slash", "a/b", "k", text("x"), CLOISTER_INVALID},
        {"id that is a directory", "..", "k", text("x"), CLOISTER_INVALID},
        {"id too long", long_id, "k", text("x"), CLOISTER_INVALID},
        {"longest id", long_id + 1, "k", text("x"), 0},
        {"empty kind", "a", "", text("x"), CLOISTER_INVALID},
        {"record too big", "a", "k", {big, sizeof(big)}, CLOISTER_TOO_BIG},
        {"largest record", "a", "k", {big, sizeof(big) - 1}, 0},
        {"set too big", "a", "k2", {big, sizeof(big) - 1}, CLOISTER_TOO_BIG},
        {"set left as it was", "a", "k2", {big, sizeof(big) / 2}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(cases[i].id, CLOISTER_GENERATION_ANY, cases[i].kind, cases[i].data);
        CHECK(cases[i].name, world.code == cases[i].code);
    }
    for (int i = 0; i < 8 && !world.code; i++) {
        char id[8];
        snprintf(id, sizeof(id), "q%d", i);
        put(id, CLOISTER_GENERATION_NEW, "k", (struct cloister_sv){big, sizeof(big) - 1});
    }
    assert_int_equal(world.code, CLOISTER_QUOTA);
    put("a", CLOISTER_GENERATION_ANY, "k", text(NULL)); /* what gets smaller is always possible */
    assert_int_equal(world.code, 0);
}

static void test_fencing(void **state)
{
    (void)state;
    uint64_t old = epoch;
    put("a", CLOISTER_GENERATION_NEW, "k", text("x"));
    vtable->close(instance);
    put("a", CLOISTER_GENERATION_NEW, "k", text("x"));
    assert_int_equal(world.code, CLOISTER_UNAVAILABLE);
    reopen();
    get("a");
    assert_int_equal(world.code, CLOISTER_NO_ENTITY); /* it forgets */
    uint64_t now = epoch;
    epoch = old;
    put("a", CLOISTER_GENERATION_NEW, "k", text("x"));
    assert_int_equal(world.code, CLOISTER_FENCED);
    epoch = now;
    struct cloister_store_open_args args = {CLOISTER_INIT(struct cloister_store_open_args)};
    RUN(open, &args);
    assert_int_equal(world.code, CLOISTER_BUSY);
}

static void test_reports(void **state)
{
    (void)state;
    put("a", CLOISTER_GENERATION_NEW, "k", text("x"));
    struct cloister_store_verify_args verify = {CLOISTER_INIT(struct cloister_store_verify_args)};
    RUN(verify, &verify);
    assert_string_equal(world.report, "{\"checked\":1,\"bad\":0}");
    struct cloister_store_stat_args stat = {CLOISTER_INIT(struct cloister_store_stat_args)};
    RUN(stat, &stat);
    assert_string_equal(world.report, "{\"sandboxes\":1,\"globals\":0,\"bytes\":5,\"max_bytes\":3145728}");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_refusals),
        CASE(test_fencing),
        CASE(test_reports),
    };
    return cmocka_run_group_tests_name("plugins/persistence/memory", tests, NULL, NULL);
}
