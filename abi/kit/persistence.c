/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persistence.c - what any store owes the engine: sdk.md section 6, and the guarantees 3, 4 and 6 to 10 that every
 * backend must pass. What only a durable one owes (it forgets nothing, its epoch grows) is tried if it says that it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store.h"
#include "suites.h"

static struct kit_store store;
static const struct cloister_plugin *subject;
static const char *state_dir;
static const struct kit_options *options;
static uint64_t capabilities;
static bool unopened; /* the last open failed */

#define CHECK(name, condition)                             \
    do {                                                   \
        if (!(condition))                                  \
            fail_msg("case '%s': %s", (name), #condition); \
    } while (0)

#define EXPECT(name, answer, wanted)                                                                              \
    do {                                                                                                          \
        const struct kit_answer *given = (answer);                                                                \
        if (given->code != (uint32_t)(wanted))                                                                    \
            fail_msg("case '%s': code %u, not %u: %s", (name), given->code, (uint32_t)(wanted), given->sentence); \
    } while (0)

static char identity[sizeof(((struct kit_answer *)0)->store_id)];

static void open_store(void)
{
    const struct kit_answer *answer = kit_open(&store);
    unopened = answer->code != 0;
    EXPECT("open", answer, 0);
    capabilities = answer->capabilities;
    memcpy(identity, answer->store_id, sizeof(identity));
}

/* Every test begins with an empty, open store. */
static int setup(void **state)
{
    (void)state;
    kit_breaches = 0;
    if (!kit_store_create(&store, subject, state_dir, options))
        return -1;
    open_store();
    for (const struct kit_answer *page = kit_list(&store, "", "", 1); page->row_count;
         page = kit_list(&store, "", "", 1)) {
        char id[CLOISTER_STORE_ID_MAX + 1];
        memcpy(id, page->rows[0].id, sizeof(id));
        EXPECT("empty", kit_remove(&store, id, CLOISTER_GENERATION_ANY), 0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!unopened)
        kit_close(&store);
    kit_store_destroy(&store);
    return kit_breaches ? -1 : 0;
}

static void reopen(void)
{
    kit_close(&store);
    open_store();
}

static bool durable(void)
{
    return capabilities & CLOISTER_STORE_DURABLE;
}

static void fill(char *data, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (char)(seed >> 24);
    }
}

static void check_record(const char *name, const char *id, const char *kind, struct cloister_sv data)
{
    const struct kit_answer *answer = kit_get_kind(&store, id, kind);
    EXPECT(name, answer, 0);
    CHECK(name, answer->record_count == 1);
    CHECK(name, strcmp(answer->records[0].kind, kind) == 0);
    CHECK(name, answer->records[0].size == data.size);
    CHECK(name, !data.size || memcmp(answer->records[0].data, data.data, data.size) == 0);
}

static void test_open(void **state)
{
    (void)state;
    uint64_t first = store.epoch;
    char id[64];
    EXPECT("a second open", kit_open(&store), CLOISTER_BUSY);
    kit_close(&store);
    EXPECT("after close", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), CLOISTER_UNAVAILABLE);
    const struct kit_answer *answer = kit_open(&store);
    EXPECT("open again", answer, 0);
    CHECK("the epoch grows", answer->epoch > first);
    CHECK("the store has an identity", answer->store_id[0]);
    CHECK("a format", answer->format > 0);
    memcpy(id, answer->store_id, sizeof(id));
    kit_close(&store);
    answer = kit_open(&store);
    EXPECT("and again", answer, 0);
    CHECK("durable: the same identity", !durable() || strcmp(answer->store_id, id) == 0);
    CHECK("durable: opened clean", !durable() || !answer->report[0]);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *kind;
        size_t size;
    } cases[] = {
        {"empty", "k", 0},
        {"one byte", "k", 1},
        {"any bytes", "spec:main", 4096},
        {"nearly a page more", "c:0123456789", 8191},
        {"the longest record", "labels", CLOISTER_STORE_RECORD_MAX},
    };
    static char data[CLOISTER_STORE_RECORD_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cloister_sv bytes = {data, cases[i].size};
        fill(data, cases[i].size, (unsigned)i);
        EXPECT(cases[i].name, kit_put_one(&store, "box", CLOISTER_GENERATION_ANY, cases[i].kind, bytes), 0);
        check_record(cases[i].name, "box", cases[i].kind, bytes);
        CHECK(cases[i].name, strcmp(kit_get(&store, "box")->summary, "summary") == 0);
    }
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    /* Looks like somebody's own format; a store may not take it for one. */
    static const char text[] = "1 0 1\n\nCLREC1 kind=set id=other schema=1 seq=1\n\0{\"a\":\"\\u0000\"}\n\xff\xfe\r\n";
    const struct cloister_sv bytes = {text, sizeof(text)};
    EXPECT("put", kit_put_one(&store, "box", CLOISTER_GENERATION_NEW, "k\n \"'", bytes), 0);
    if (durable())
        reopen();
    check_record("get", "box", "k\n \"'", bytes);
    EXPECT("nobody else", kit_get(&store, "other"), CLOISTER_NO_ENTITY);
}

static void test_generations(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t if_generation;
        uint32_t code;
        uint64_t generation; /* or the one found */
    } cases[] = {
        {"exact one on an absent set", 1, CLOISTER_CONFLICT, 0},
        {"new", CLOISTER_GENERATION_NEW, 0, 1},
        {"new again", CLOISTER_GENERATION_NEW, CLOISTER_EXISTS, 1},
        {"exact", 1, 0, 2},
        {"an older one", 1, CLOISTER_CONFLICT, 2},
        {"any", CLOISTER_GENERATION_ANY, 0, 3},
        {"a future one", 9, CLOISTER_CONFLICT, 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct kit_answer *answer = kit_put_one(&store, "a", cases[i].if_generation, "k", kit_sv(cases[i].name));
        EXPECT(cases[i].name, answer, cases[i].code);
        CHECK(cases[i].name, (answer->code ? answer->detail : answer->generation) == cases[i].generation);
    }
    check_record("a refused put changes nothing", "a", "k", kit_sv("any"));
    EXPECT("destroy an older one", kit_remove(&store, "a", 2), CLOISTER_CONFLICT);
    EXPECT("destroy the exact one", kit_remove(&store, "a", 3), 0);
    EXPECT("and put anew", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
}

static void test_records(void **state)
{
    (void)state;
    EXPECT("one", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "one", kit_sv("1")), 0);
    EXPECT("two", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "two", kit_sv("2")), 0);
    EXPECT("one again", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "one", kit_sv("1b")), 0);
    CHECK("both are there", kit_get(&store, "a")->record_count == 2);
    check_record("the other is untouched", "a", "two", kit_sv("2"));
    EXPECT("removed", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "two", kit_sv(NULL)), 0);
    CHECK("one is left", kit_get(&store, "a")->record_count == 1);
    CHECK("no such kind", kit_get_kind(&store, "a", "two")->record_count == 0);
    EXPECT("what is not there is removed too", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "never", kit_sv(NULL)),
           0);
    if (durable())
        reopen();
    check_record("a shorter one has no tail of a longer", "a", "one", kit_sv("1b"));
    CHECK("nothing comes back", kit_get(&store, "a")->record_count == 1);
}

static void test_many_records(void **state)
{
    (void)state;
    struct cloister_record records[40];
    char names[40][16];
    for (size_t i = 0; i < 40; i++) {
        int size = snprintf(names[i], sizeof(names[i]), "c:%zu", i);
        records[i] = (struct cloister_record){.kind = {names[i], (uint64_t)size}, .data = {names[i], (uint64_t)size}};
    }
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = CLOISTER_DURABLE_DAEMON,
                                           .id = CLOISTER_SV("many"),
                                           .epoch = store.epoch,
                                           .records = records,
                                           .record_count = 40,
                                           .record_size = sizeof(records[0])};
    EXPECT("one transaction", kit_put(&store, &args), 0);
    CHECK("one generation", kit_get(&store, "many")->generation == 1);
    CHECK("all of them", kit_get(&store, "many")->record_count == 40);
    records[1].kind = records[0].kind;
    args.if_generation = 1;
    EXPECT("a kind twice", kit_put(&store, &args), CLOISTER_INVALID);
    CHECK("all or nothing", kit_get(&store, "many")->generation == 1);
}

static void test_hygiene(void **state)
{
    (void)state;
    char longest[CLOISTER_STORE_ID_MAX + 1], longer[CLOISTER_STORE_ID_MAX + 2];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    const struct {
        const char *name;
        const char *id;
        uint32_t code;
    } cases[] = {
        {"empty", "", CLOISTER_INVALID},
        {"a slash", "a/b", CLOISTER_INVALID},
        {"a directory", "..", CLOISTER_INVALID},
        {"hidden", ".a", CLOISTER_INVALID},
        {"an option", "-a", CLOISTER_INVALID},
        {"a blank", "a b", CLOISTER_INVALID},
        {"a newline", "a\n", CLOISTER_INVALID},
        {"not ASCII", "\xc3\xa4", CLOISTER_INVALID},
        {"too long", longer, CLOISTER_INVALID},
        {"the longest", longest, 0},
        {"dots inside", "a..b", 0},
        {"all that is allowed", "Az09_.-", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT(cases[i].name, kit_put_one(&store, cases[i].id, CLOISTER_GENERATION_NEW, "k", kit_sv("x")),
               cases[i].code);
        if (cases[i].code)
            EXPECT(cases[i].name, kit_remove(&store, cases[i].id, CLOISTER_GENERATION_ANY), CLOISTER_INVALID);
    }
    if (durable())
        reopen();
    CHECK("those and no others", kit_list(&store, "", "", 100)->row_count == 3);
}

static void test_limits(void **state)
{
    (void)state;
    static char big[CLOISTER_STORE_RECORD_MAX + 1];
    const struct cloister_sv largest = {big, sizeof(big) - 1}, larger = {big, sizeof(big)};
    char kind[194];
    memset(kind, 'k', sizeof(kind) - 1);
    kind[sizeof(kind) - 1] = 0;
    EXPECT("record too big", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "k", larger), CLOISTER_TOO_BIG);
    EXPECT("largest record", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "k", largest), 0);
    EXPECT("set too big", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "k2", largest), CLOISTER_TOO_BIG);
    CHECK("set left as it was", kit_get(&store, "a")->generation == 1);
    EXPECT("empty kind", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "", kit_sv("x")), CLOISTER_INVALID);
    EXPECT("kind too long", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, kind, kit_sv("x")), CLOISTER_INVALID);
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = CLOISTER_DURABLE_POWER, .id = CLOISTER_SV("b"),
                                           .epoch = store.epoch, .summary = {big, CLOISTER_STORE_SUMMARY_MAX + 1}};
    EXPECT("summary too long", kit_put(&store, &args), CLOISTER_TOO_BIG);
    args.summary.size--;
    EXPECT("longest summary, no records", kit_put(&store, &args), 0);
    CHECK("whole", kit_get(&store, "b")->summary_size == CLOISTER_STORE_SUMMARY_MAX);
    args.durability = 3;
    EXPECT("unknown class", kit_put(&store, &args), CLOISTER_INVALID);
}

static void test_fencing(void **state)
{
    (void)state;
    EXPECT("put", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
    uint64_t now = store.epoch;
    const uint64_t wrong[] = {now - 1, 0, now + 1};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        store.epoch = wrong[i];
        EXPECT("put", kit_put_one(&store, "a", CLOISTER_GENERATION_ANY, "k", kit_sv("y")), CLOISTER_FENCED);
        EXPECT("destroy", kit_remove(&store, "a", CLOISTER_GENERATION_ANY), CLOISTER_FENCED);
        if (store.vtable->global_put)
            EXPECT("global", kit_global(&store, store.vtable->global_put, "k", kit_sv("y")), CLOISTER_FENCED);
    }
    store.epoch = now;
    check_record("untouched", "a", "k", kit_sv("x"));
}

static void test_destroy(void **state)
{
    (void)state;
    EXPECT("put", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
    const struct kit_answer *answer = kit_remove(&store, "a", CLOISTER_GENERATION_ANY);
    EXPECT("destroy", answer, 0);
    CHECK("was there", !answer->was_absent);
    answer = kit_remove(&store, "a", CLOISTER_GENERATION_ANY);
    EXPECT("again", answer, 0);
    CHECK("was absent", answer->was_absent);
    EXPECT("gone", kit_get(&store, "a"), CLOISTER_NO_ENTITY);
    if (durable())
        reopen();
    EXPECT("still gone", kit_get(&store, "a"), CLOISTER_NO_ENTITY);
    CHECK("not listed", kit_list(&store, "", "", 100)->row_count == 0);
}

static void test_pages(void **state)
{
    (void)state;
    static const char *const ids[] = {"b", "a2", "c", "a1", "a10"};
    static const struct {
        const char *name;
        const char *prefix;
        const char *cursor;
        uint32_t limit;
        const char *rows;
        const char *next;
    } cases[] = {
        {"all, in order", "", "", 100, "a1 a10 a2 b c ", ""},  {"first page", "", "", 2, "a1 a10 ", "a10"},
        {"second page", "", "a10", 2, "a2 b ", "b"},           {"last page", "", "b", 2, "c ", ""},
        {"a page that ends exactly", "", "a2", 2, "b c ", ""}, {"prefix", "a1", "", 100, "a1 a10 ", ""},
        {"prefix, first page", "a", "", 1, "a1 ", "a1"},       {"cursor that is gone", "", "a11", 1, "a2 ", "a2"},
        {"nothing of that prefix", "x", "", 10, "", ""},
    };
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        EXPECT(ids[i], kit_put_one(&store, ids[i], CLOISTER_GENERATION_NEW, "k", kit_sv(ids[i])), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct kit_answer *answer = kit_list(&store, cases[i].prefix, cases[i].cursor, cases[i].limit);
        char rows[256] = "";
        EXPECT(cases[i].name, answer, 0);
        for (size_t k = 0; k < answer->row_count; k++) {
            strcat(strcat(rows, answer->rows[k].id), " ");
            CHECK(cases[i].name, answer->rows[k].generation == 1 && answer->rows[k].bytes > 0);
            CHECK(cases[i].name, answer->rows[k].health == CLOISTER_HEALTH_OK);
            CHECK(cases[i].name, strcmp(answer->rows[k].summary, "summary") == 0);
        }
        CHECK(cases[i].name, strcmp(rows, cases[i].rows) == 0);
        CHECK(cases[i].name, strcmp(answer->cursor, cases[i].next) == 0);
    }
    EXPECT("no limit", kit_list(&store, "", "", 0), CLOISTER_INVALID);
    EXPECT("a limit over the limit", kit_list(&store, "", "", 4097), CLOISTER_INVALID);
}

/* Pages stay sound while the list changes between them: nobody who stayed is skipped or told twice. */
static void test_pages_of_a_moving_list(void **state)
{
    (void)state;
    char id[8], cursor[CLOISTER_STORE_ID_MAX + 1] = "";
    unsigned seen = 0;
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(id, sizeof(id), "m%02u", i);
        EXPECT(id, kit_put_one(&store, id, CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
    }
    for (unsigned page = 0; page == 0 || cursor[0]; page++) {
        const struct kit_answer *answer = kit_list(&store, "", cursor, 7);
        for (size_t i = 0; i < answer->row_count; i++)
            seen += answer->rows[i].id[2] != '0';
        memcpy(cursor, answer->cursor, sizeof(cursor));
        (void)snprintf(id, sizeof(id), "m%u0", page % 6); /* the tens come and go */
        EXPECT(id, kit_remove(&store, id, CLOISTER_GENERATION_ANY), 0);
    }
    CHECK("each of the others once", seen == 54);
}

static void test_globals(void **state)
{
    (void)state;
    const struct cloister_persistence *v = store.vtable;
    if (!v->global_put || !v->global_get || !v->global_delete || !v->global_list)
        return;
    (void)kit_global(&store, v->global_delete, "svc:control", kit_sv(NULL));
    EXPECT("absent", kit_global(&store, v->global_get, "svc:control", kit_sv(NULL)), CLOISTER_NO_ENTITY);
    EXPECT("put", kit_global(&store, v->global_put, "svc:control", kit_sv("long text")), 0);
    EXPECT("put again", kit_global(&store, v->global_put, "svc:control", kit_sv("short")), 0);
    if (durable())
        reopen();
    const struct kit_answer *answer = kit_global(&store, v->global_get, "svc:control", kit_sv(NULL));
    EXPECT("get", answer, 0);
    CHECK("no old tail", answer->record_count == 1 && strcmp(answer->records[0].data, "short") == 0);
    CHECK("by its key", strcmp(answer->records[0].kind, "svc:control") == 0);
    answer = kit_global(&store, v->global_list, "svc", kit_sv(NULL));
    CHECK("listed", answer->row_count == 1 && strcmp(answer->rows[0].id, "svc:control") == 0);
    CHECK("no sandbox", kit_list(&store, "", "", 10)->row_count == 0);
    EXPECT("no sandbox either", kit_get(&store, "svc:control"), CLOISTER_NO_ENTITY);
    static const char *const bad[] = {"../x", "A", "", "a/b", "a b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        EXPECT(bad[i], kit_global(&store, v->global_put, bad[i], kit_sv("x")), CLOISTER_INVALID);
    CHECK("deleted", !kit_global(&store, v->global_delete, "svc:control", kit_sv(NULL))->was_absent);
    CHECK("deleted before", kit_global(&store, v->global_delete, "svc:control", kit_sv(NULL))->was_absent);
}

static void test_reports(void **state)
{
    (void)state;
    EXPECT("put", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
    if (store.vtable->verify) {
        const struct kit_answer *answer = kit_verify(&store);
        EXPECT("verify", answer, 0);
        CHECK("verify: all is well", strstr(answer->report, "\"bad\":0"));
    }
    if (store.vtable->stat) {
        const struct kit_answer *answer = kit_stat(&store);
        EXPECT("stat", answer, 0);
        CHECK("stat: one sandbox", strstr(answer->report, "\"sandboxes\":1"));
    }
}

#define CROWD 60u

/* Many at once, of different sandboxes: each is answered once, and all are there. */
static void test_crowd(void **state)
{
    (void)state;
    cloister_op ops[CROWD];
    struct cloister_store_put_args args[CROWD];
    struct cloister_record records[CROWD];
    char ids[CROWD][8];
    for (unsigned i = 0; i < CROWD; i++) {
        int size = snprintf(ids[i], sizeof(ids[i]), "p%02u", i);
        records[i] = (struct cloister_record){.kind = CLOISTER_SV("k"), .data = {ids[i], (uint64_t)size}};
        args[i] =
            (struct cloister_store_put_args){CLOISTER_INIT(struct cloister_store_put_args),
                                             .durability = i % 2 ? CLOISTER_DURABLE_POWER : CLOISTER_DURABLE_DAEMON,
                                             .id = {ids[i], (uint64_t)size},
                                             .epoch = store.epoch,
                                             .records = &records[i],
                                             .record_count = 1,
                                             .record_size = sizeof(records[i])};
        ops[i] = kit_begin();
        store.vtable->put(store.instance, &args[i], ops[i]);
    }
    for (unsigned i = 0; i < CROWD; i++)
        EXPECT(ids[i], kit_wait(ops[i]), 0);
    if (durable())
        reopen();
    for (unsigned i = 0; i < CROWD; i++)
        check_record(ids[i], ids[i], "k", kit_sv(ids[i]));
}

/* A cancelled operation completes all the same, once, and is done whole or not at all. */
static void test_cancel(void **state)
{
    (void)state;
    cloister_op ops[16];
    struct cloister_record record = {.kind = CLOISTER_SV("k"), .data = CLOISTER_SV("x")};
    struct cloister_store_put_args args[16];
    char ids[16][8];
    for (unsigned i = 0; i < 16; i++) {
        int size = snprintf(ids[i], sizeof(ids[i]), "x%02u", i);
        args[i] = (struct cloister_store_put_args){CLOISTER_INIT(struct cloister_store_put_args),
                                                   .durability = CLOISTER_DURABLE_POWER,
                                                   .id = {ids[i], (uint64_t)size},
                                                   .epoch = store.epoch,
                                                   .records = &record,
                                                   .record_count = 1,
                                                   .record_size = sizeof(record)};
        ops[i] = kit_begin();
        store.vtable->put(store.instance, &args[i], ops[i]);
        store.vtable->cancel(store.instance, ops[i]);
    }
    store.vtable->cancel(store.instance, 0);
    store.vtable->cancel(store.instance, ops[15] + 1000);
    for (unsigned i = 0; i < 16; i++) {
        const struct kit_answer *answer = kit_wait(ops[i]);
        uint32_t code = answer->code;
        CHECK("done or cancelled", code == 0 || code == CLOISTER_CANCELLED);
        EXPECT("as it said", kit_get(&store, ids[i]), code ? CLOISTER_NO_ENTITY : 0);
    }
}

/* Two that touch the same sandbox, one behind the other: the second sees what the first left. */
static void test_order(void **state)
{
    (void)state;
    struct cloister_record record = {.kind = CLOISTER_SV("k"), .data = CLOISTER_SV("x")};
    struct cloister_store_put_args put = {CLOISTER_INIT(struct cloister_store_put_args),
                                          .durability = CLOISTER_DURABLE_POWER,
                                          .id = CLOISTER_SV("a"),
                                          .epoch = store.epoch,
                                          .records = &record,
                                          .record_count = 1,
                                          .record_size = sizeof(record)};
    struct cloister_store_put_args next = put;
    struct cloister_store_destroy_args destroy = {CLOISTER_INIT(struct cloister_store_destroy_args), .id = put.id,
                                                  .if_generation = 2, .epoch = store.epoch};
    struct cloister_store_get_args get = {CLOISTER_INIT(struct cloister_store_get_args), .id = put.id};
    next.if_generation = 1;
    cloister_op ops[4] = {kit_begin(), kit_begin(), kit_begin(), kit_begin()};
    store.vtable->put(store.instance, &put, ops[0]);
    store.vtable->put(store.instance, &next, ops[1]);
    store.vtable->get(store.instance, &get, ops[2]);
    store.vtable->destroy(store.instance, &destroy, ops[3]);
    EXPECT("put", kit_wait(ops[0]), 0);
    EXPECT("put of generation 1", kit_wait(ops[1]), 0);
    CHECK("get in between", kit_wait(ops[2])->generation == 2);
    EXPECT("destroy of generation 2", kit_wait(ops[3]), 0);
    EXPECT("gone", kit_get(&store, "a"), CLOISTER_NO_ENTITY);
}

/* A second instance of the same plugin must not share anything with the first; on the same place, it is BUSY. */
static void test_second_instance(void **state)
{
    (void)state;
    static struct kit_store other;
    EXPECT("put", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
    assert_true(kit_store_create(&other, subject, state_dir, options));
    const struct kit_answer *answer = kit_open(&other);
    if (durable() || answer->code == CLOISTER_BUSY) {
        EXPECT("the same place", answer, CLOISTER_BUSY);
        CHECK("names the holder", strtoul(answer->subject, NULL, 10) > 0 && strstr(answer->sentence, answer->subject));
        EXPECT("still", kit_open(&other), CLOISTER_BUSY);
    } else {
        EXPECT("open", answer, 0);
        EXPECT("a world of its own", kit_get(&other, "a"), CLOISTER_NO_ENTITY);
        kit_close(&other);
    }
    kit_store_destroy(&other);
    check_record("unharmed", "a", "k", kit_sv("x"));
}

static void test_durable(void **state)
{
    (void)state;
    EXPECT("put", kit_put_one(&store, "a", CLOISTER_GENERATION_NEW, "k", kit_sv("x")), 0);
    if (!durable()) { /* files on a tmpfs are not, and yet are there when it is opened again: its identity tells */
        char before[sizeof(identity)];
        memcpy(before, identity, sizeof(before));
        reopen();
        EXPECT("it keeps everything or nothing, and says so", kit_get(&store, "a"),
               strcmp(before, identity) == 0 ? 0 : CLOISTER_NO_ENTITY);
        return;
    }
    for (unsigned i = 0; i < 300; i++)
        EXPECT("put",
               kit_put_one(&store, i % 3 ? "b" : "a", CLOISTER_GENERATION_ANY, i % 2 ? "k" : "other", kit_sv("y")), 0);
    reopen();
    CHECK("generation of a", kit_get(&store, "a")->generation == 101);
    CHECK("generation of b", kit_get(&store, "b")->generation == 200);
    CHECK("records of b", kit_get(&store, "b")->record_count == 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int kit_suite_persistence(const struct cloister_plugin *plugin, const char *directory, const struct kit_options *values)
{
    const struct CMUnitTest tests[] = {
        CASE(test_open),    CASE(test_round_trip),      CASE(test_hostile_bytes), CASE(test_generations),
        CASE(test_records), CASE(test_many_records),    CASE(test_hygiene),       CASE(test_limits),
        CASE(test_fencing), CASE(test_destroy),         CASE(test_pages),         CASE(test_pages_of_a_moving_list),
        CASE(test_globals), CASE(test_reports),         CASE(test_crowd),         CASE(test_cancel),
        CASE(test_order),   CASE(test_second_instance), CASE(test_durable),
    };
    subject = plugin;
    state_dir = directory;
    options = values;
    return cmocka_run_group_tests_name("persistence", tests, NULL, NULL);
}
