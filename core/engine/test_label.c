/* SPDX-License-Identifier: Apache-2.0 */
/* Labels, records of services, the run file: what is written where, and that secrets are in one place only. */
#include "core/engine/test_world.h"

#include <errno.h>
#include <fcntl.h>

#include "core/engine/label.h"
#include "core/engine/operation.h"
#include "core/engine/record_put.h"
#include "core/engine/runfile.h"
#include "core/util/io.h"
#include "core/value/value.h"

static struct cl_sandbox *sandbox_of(struct world *world, const char *id)
{
    return cl_map_get(&world->engine->by_id, cl_sv_cstr(id));
}

/* The text of `<run>/<leaf>`; "" if there is none. */
static const char *run_text(const struct world *world, const char *leaf)
{
    static char text[1 << 16];
    char path[160];
    char *data = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/%s", world->run_dir, leaf);
    text[0] = 0;
    if (cl_read_file(AT_FDCWD, path, sizeof(text) - 1, &data, &size) == 0)
        memcpy(text, data, size + 1);
    free(data);
    return text;
}

static const char *run_of(const struct world *world, const char *id)
{
    char leaf[32];
    snprintf(leaf, sizeof(leaf), "%s/run", id);
    return run_text(world, leaf);
}

static const char *run_of_main(const struct world *world, const char *id)
{
    char leaf[32];
    snprintf(leaf, sizeof(leaf), "%s/run-main", id);
    return run_text(world, leaf);
}

static const char *label(struct world *world, const struct cl_instance *who, const char *id, const char *key)
{
    static char text[256];
    struct cloister_sv value;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (cl_engine_api.label_get(&who->host, cl_sv_cstr(id), cl_sv_cstr(key), &value, &err) != 0)
        snprintf(text, sizeof(text), "!%s", cl_error_code_name(err.code));
    else
        snprintf(text, sizeof(text), "%.*s", CL_SV_ARG(value));
    (void)world;
    return text;
}

static void on_label(void *ctx, struct cloister_sv key, struct cloister_sv value, uint32_t flags)
{
    char *text = ctx;
    size_t size = strlen(text);
    snprintf(text + size, 256 - size, "%.*s=%s%s%.*s;", CL_SV_ARG(key), flags ? "secret " : "",
             value.data ? "" : "hidden", CL_SV_ARG(value));
}

static const char *labels(const struct cl_instance *who, const char *id)
{
    static char text[256];
    text[0] = 0;
    assert_int_equal(cl_engine_api.labels(&who->host, cl_sv_cstr(id), on_label, text, NULL), 0);
    return text;
}

/* As after a restart of the daemon: what is not in the store is read back. */
static void forget_secrets(struct cl_sandbox *sandbox)
{
    cl_labels_drop_secret(sandbox);
    sandbox->secrets_known = false;
}

/* ---- labels ---- */

static void test_plain_labels(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static const struct {
        const char *key;
        const char *value;
        const char *list;
        const char *record;
    } cases[] = {
        {"a", "1", "a=1;", "{\"a\":\"1\"}"},
        {"b", "", "a=1;b=;", "{\"a\":\"1\",\"b\":\"\"}"},
        {"a", "two", "a=two;b=;", "{\"a\":\"two\",\"b\":\"\"}"},
        {"c", NULL, "a=two;b=;", "{\"a\":\"two\",\"b\":\"\"}"},
        {"a", NULL, "b=;", "{\"b\":\"\"}"},
        {"b", NULL, "", "{}"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        unsigned before = world->puts_power;
        ask_label(world, id, cases[i].key, cases[i].value, 0);
        turn(world);
        CL_CHECK_STR(cases[i].record, trace(world), "label:ok");
        CL_CHECK_STR(cases[i].record, labels(&world->control, id), cases[i].list);
        CL_CHECK_STR(cases[i].record, put_record(world, "labels"), cases[i].record);
        if (strcmp(cases[i].key, "c") != 0)
            CL_CHECK_INT(cases[i].record, world->puts_power, before + 1); /* W, before the answer */
    }
    assert_null(strstr(run_of(world, id), "two"));
}

static void test_label_is_taken_back(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_label(world, id, "a", "old", 0);
    turn(world);
    (void)trace(world);
    static const struct {
        const char *key;
        const char *value;
        uint32_t flags;
    } cases[] = {{"a", "new", 0}, {"a", NULL, 0}, {"b", "x", 0}, {"a", "SECRET", CLOISTER_LABEL_SECRET}};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        world->put_fails = CLOISTER_NO_SPACE;
        world->put_fail_count = 1;
        ask_label(world, id, cases[i].key, cases[i].value, cases[i].flags);
        turn(world);
        world->put_fails = 0;
        CL_CHECK_STR("answer", trace(world), "label:no_space");
        CL_CHECK_STR("list", labels(&world->control, id), "a=old;");
        CL_CHECK("run file", !strstr(run_of(world, id), "labels\":{\"a"));
        CL_CHECK_INT("dirty", info(world, id).flags, 0);
    }
    /* Two under way: the second is the one that counts, and it is not lost with the first. */
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1;
    ask_label(world, id, "a", "first", 0);
    ask_label(world, id, "a", "second", 0);
    turn(world);
    world->put_fails = 0;
    assert_string_equal(trace(world), "label:no_space label:ok");
    assert_string_equal(labels(&world->control, id), "a=second;");
    assert_string_equal(put_record(world, "labels"), "{\"a\":\"second\"}");
}

static void test_secret_labels(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cl_sandbox *sandbox = sandbox_of(world, id);
    unsigned puts = world->puts_power;
    ask_label(world, id, "token", "SECRET1", CLOISTER_LABEL_SECRET);
    ask_label(world, id, "plain", "p", 0);
    turn(world);
    assert_string_equal(trace(world), "label:ok label:ok");
    assert_int_equal(world->puts_power, puts + 1); /* the plain one's */
    assert_non_null(strstr(run_of(world, id), "\"secret_labels\":{\"token\":\"SECRET1\"}"));
    assert_string_equal(put_record(world, "labels"), "{\"plain\":\"p\"}");
    assert_string_equal(label(world, &world->control, id, "token"), "SECRET1");
    assert_string_equal(label(world, &world->other, id, "token"), "!denied");
    assert_string_equal(label(world, &world->other, id, "plain"), "p");
    assert_string_equal(labels(&world->other, id), "token=secret hidden;plain=p;");
    forget_secrets(sandbox);
    assert_string_equal(label(world, &world->control, id, "token"), "SECRET1");
    /* Moves between the two places. */
    ask_label(world, id, "plain", "SECRET2", CLOISTER_LABEL_SECRET);
    turn(world);
    assert_string_equal(put_record(world, "labels"), "{}");
    assert_non_null(strstr(run_of(world, id), "\"plain\":\"SECRET2\""));
    ask_label(world, id, "token", "no more", 0);
    turn(world);
    assert_string_equal(put_record(world, "labels"), "{\"token\":\"no more\"}");
    assert_null(strstr(run_of(world, id), "SECRET1"));
    ask_label(world, id, "plain", NULL, 0);
    turn(world);
    assert_string_equal(trace(world), "label:ok label:ok label:ok");
    assert_non_null(strstr(run_of(world, id), "\"secret_labels\":{}"));
    /* They go when the sandbox goes off, and no new ones come. */
    ask_label(world, id, "token", "SECRET3", CLOISTER_LABEL_SECRET);
    turn(world);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(run_of(world, id), "");
    assert_string_equal(labels(&world->control, id), "");
    (void)trace(world);
    ask_label(world, id, "token", "SECRET", CLOISTER_LABEL_SECRET);
    ask_label(world, id, "plain", "p", 0);
    turn(world);
    assert_string_equal(trace(world), "label:invalid_state label:ok");
    assert_false(world->saw_secret);
    assert_null(strstr(logged(world), "SECRET"));
}

static void test_label_limits(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static char text[CL_LABEL_VALUE_MAX + 2], key[CL_LABEL_KEY_MAX + 2];
    memset(text, 'x', sizeof(text) - 1);
    memset(key, 'k', sizeof(key) - 1);
    ask_label(world, id, key, "v", 0);
    ask_label(world, id, "", "v", 0);
    ask_label(world, id, "\xff", "v", 0);
    ask_label(world, id, "a", text, 0);
    ask_label(world, id, "a", "v", CLOISTER_LABEL_SECRET << 1);
    ask_label(world, "nobody", "a", "v", 0);
    assert_string_equal(trace(world), "label!invalid label!invalid label!invalid label!too_big label!invalid "
                                      "label!no_entity");
    key[CL_LABEL_KEY_MAX] = 0;
    text[CL_LABEL_VALUE_MAX] = 0;
    for (unsigned i = 0; i < 8; i++) { /* the eighth would make them more than 512 KiB */
        key[0] = (char)('a' + i);
        ask_label(world, id, key, text, i % 2 ? CLOISTER_LABEL_SECRET : 0);
        turn(world);
    }
    assert_string_equal(trace(world), "label:ok label:ok label:ok label:ok label:ok label:ok label:ok label:too_big");
    for (unsigned i = 0; i < 1018; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i);
        ask_label(world, id, name, "", 0);
        turn(world);
        if (strcmp(trace(world), i < 1017 ? "label:ok" : "label:limit") != 0)
            fail_msg("label %u: %s", i, world->sentence);
    }
}

static void test_labels_wait_for_the_create(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    struct cloister_sv id;
    char text[20];
    assert_int_equal(cl_engine_api.find(&world->control.host, CLOISTER_SV("web"), &id, NULL), 0);
    snprintf(text, sizeof(text), "%.*s", CL_SV_ARG(id));
    ask_label(world, text, "a", "SECRET", CLOISTER_LABEL_SECRET);
    turn(world);
    assert_string_equal(trace(world), "");
    complete(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=3 label:ok");
    ask_destroy(world, text, 0);
    turn(world);
    (void)trace(world);
    world->hold[SLOT_CREATE] = false;
    const char *other = running(world, "other");
    world->hold[SLOT_DESTROY] = true;
    ask_destroy(world, other, 0);
    turn(world);
    ask_label(world, other, "a", "v", 0);
    assert_string_equal(trace(world), "sandbox=6 label!invalid_state");
}

/* ---- records ---- */

static struct cloister_sv record(struct world *world, const char *id, uint32_t where)
{
    struct cloister_sv data = {NULL, 0};
    assert_int_equal(cl_engine_api.record_get(&world->control.host, cl_sv_cstr(id), where, &data, NULL), 0);
    return data;
}

static void test_records(void **state)
{
    struct world *world = *state;
    static const char bytes[] = {'S', 'E', 'C', 'R', 'E', 'T', 0, (char)0xff, '\n'};
    const struct cloister_sv secret = {bytes, sizeof(bytes)}, plain = CLOISTER_SV("two lines\nof text"),
                             empty = CLOISTER_SV("");
    const char *id = running(world, "web");
    const struct {
        const char *name;
        const char *id;
        uint32_t where;
        struct cloister_sv data;
    } cases[] = {
        {"sandbox, store", id, CLOISTER_RECORD_STORE, plain},
        {"sandbox, store, replaced", id, CLOISTER_RECORD_STORE, CLOISTER_SV("x")},
        {"sandbox, store, empty", id, CLOISTER_RECORD_STORE, empty},
        {"sandbox, run", id, CLOISTER_RECORD_RUN, secret},
        {"sandbox, run, replaced", id, CLOISTER_RECORD_RUN, plain},
        {"sandbox, run, empty", id, CLOISTER_RECORD_RUN, empty},
        {"service, store", "", CLOISTER_RECORD_STORE, plain},
        {"service, store, replaced", "", CLOISTER_RECORD_STORE, empty},
        {"service, run", "", CLOISTER_RECORD_RUN, secret},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        ask_record(world, cases[i].id, cases[i].where, cases[i].data);
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), "record:ok");
        struct cloister_sv got = record(world, cases[i].id, cases[i].where);
        CL_CHECK(cases[i].name, got.data && cl_sv_eq(got, cases[i].data));
    }
    struct stat st;
    char path[160];
    snprintf(path, sizeof(path), "%s/svc-control", world->run_dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        ask_record(world, cases[i].id, cases[i].where, cl_sv(NULL, 0));
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), "record:ok");
        CL_CHECK(cases[i].name, !record(world, cases[i].id, cases[i].where).data);
    }
    assert_null(put_record(world, "svc"));
    assert_false(world->saw_secret);
}

static void test_records_are_refused(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static char big[CLOISTER_RECORD_BYTES_MAX + 1];
    struct cloister_sv data;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    ask_record(world, id, CLOISTER_RECORD_STORE, cl_sv(big, sizeof(big)));
    ask_record(world, id, 3, CLOISTER_SV("x"));
    ask_record(world, "nobody", CLOISTER_RECORD_STORE, CLOISTER_SV("x"));
    assert_string_equal(trace(world), "record!too_big record!invalid record!no_entity");
    const struct cloister_record_put_args put = {CLOISTER_INIT(struct cloister_record_put_args),
                                                 .where = CLOISTER_RECORD_STORE, .sandbox = cl_sv_cstr(id)};
    assert_int_equal(cl_engine_api.record_put(&world->other.host, &put, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_DENIED);
    assert_int_equal(cl_engine_api.record_get(&world->other.host, cl_sv_cstr(id), CLOISTER_RECORD_STORE, &data, &err),
                     -1);
    assert_int_equal(err.code, CLOISTER_DENIED);
    /* A write that fails leaves the old one. */
    ask_record(world, id, CLOISTER_RECORD_STORE, CLOISTER_SV("old"));
    ask_record(world, "", CLOISTER_RECORD_STORE, CLOISTER_SV("old"));
    turn(world);
    (void)trace(world);
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 2;
    ask_record(world, id, CLOISTER_RECORD_STORE, CLOISTER_SV("new"));
    ask_record(world, "", CLOISTER_RECORD_STORE, CLOISTER_SV("new"));
    turn(world);
    world->put_fails = 0;
    assert_string_equal(trace(world), "record:no_space record:no_space");
    assert_true(cl_sv_is(record(world, id, CLOISTER_RECORD_STORE), "old"));
    assert_true(cl_sv_is(record(world, "", CLOISTER_RECORD_STORE), "old"));
    tell_exit(world, 0, 0);
    turn(world);
    (void)trace(world);
    ask_record(world, id, CLOISTER_RECORD_RUN, CLOISTER_SV("x"));
    ask_record(world, id, CLOISTER_RECORD_STORE, CLOISTER_SV("x"));
    turn(world);
    assert_string_equal(trace(world), "record!invalid_state record:ok");
    world->persistence_vtable.persistence.global_put = NULL;
    ask_record(world, "", CLOISTER_RECORD_STORE, CLOISTER_SV("x"));
    turn(world);
    assert_string_equal(trace(world), "record:unsupported");
}

static void on_loaded(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void test_record_of_a_service_is_read_at_the_start(void **state)
{
    struct world *world = *state;
    unsigned loaded = 0;
    world->globals[0] = (struct fake_global){.key = "svc:control", .data = "kept", .size = 4};
    assert_int_equal(cl_record_load(world->engine, on_loaded, &loaded), 0);
    assert_int_equal(loaded, 0);
    turn(world);
    assert_int_equal(loaded, 1);
    assert_true(cl_sv_is(record(world, "", CLOISTER_RECORD_STORE), "kept"));
}

static uint32_t own_record(struct world *world, struct cloister_sv *ret)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    *ret = cl_sv(NULL, 0);
    (void)cl_engine_api.record_get(&world->control.host, cl_sv(NULL, 0), CLOISTER_RECORD_STORE, ret, &err);
    cl_error_sentence(&err, world->sentence, sizeof(world->sentence));
    return err.code;
}

/* A record that could not be read is not one that there is not. */
static void test_record_of_a_service_cannot_be_read(void **state)
{
    struct world *world = *state;
    struct cloister_sv data;
    world->globals[0] = (struct fake_global){.key = "svc:control", .data = "kept", .size = 4};
    world_die(world);
    assert_int_equal(world_born(world), 0);
    assert_int_equal(own_record(world, &data), CLOISTER_UNAVAILABLE);
    turn(world);
    world_die(world);
    assert_int_equal(world_born(world), 0);
    world->global_get_fails = 3; /* `other` has one, too */
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(own_record(world, &data), CLOISTER_IO);
    assert_non_null(strstr(world->sentence, "read the record of service 'control': "));
    assert_int_equal(own_record(world, &data), CLOISTER_IO); /* one reading is enough */
    turn(world);
    assert_int_equal(world->global_get_fails, 0);
    assert_int_equal(own_record(world, &data), CLOISTER_IO);
    turn(world);
    assert_int_equal(own_record(world, &data), 0);
    assert_true(cl_sv_is(data, "kept"));
    world->global_get_fails = 2;
    world_again(world);
    ask_record(world, "", CLOISTER_RECORD_STORE, CLOISTER_SV("new"));
    turn(world);
    assert_int_equal(own_record(world, &data), 0);
    assert_true(cl_sv_is(data, "new"));
}

/* A create's record and labels are written with its intent. */
static void test_create_with_record_and_labels(void **state)
{
    struct world *world = *state;
    const struct cloister_label list[] = {
        {.key = CLOISTER_SV("a"), .value = CLOISTER_SV("SECRET"), .flags = CLOISTER_LABEL_SECRET},
        {.key = CLOISTER_SV("b"), .value = CLOISTER_SV("2")}};
    struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args), .labels = list,
                                                .label_count = 2, .label_size = sizeof(list[0]),
                                                .record = CLOISTER_SV("mine")};
    ask_create_with(world, &args);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4");
    assert_int_equal(world->puts_power, 2);
    assert_string_equal(put_record(world, "svc"), "mine");
    assert_string_equal(put_record(world, "labels"), "{\"b\":\"2\"}");
    assert_non_null(strstr(run_of(world, world->last_sandbox), "{\"a\":\"SECRET\"}"));
    assert_true(cl_sv_is(record(world, world->last_sandbox, CLOISTER_RECORD_STORE), "mine"));
    static char big[CLOISTER_RECORD_BYTES_MAX + 1];
    args.record = cl_sv(big, sizeof(big));
    ask_create_with(world, &args);
    assert_string_equal(trace(world), "create!too_big");
    assert_false(world->saw_secret);
}

/* ---- run file ---- */

static void exec_with_env(struct world *world, const char *id, const char *first, const char *second)
{
    const struct cloister_sv env[2] = {cl_sv_cstr(first), cl_sv_cstr(second)};
    const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args), .oci = CLOISTER_SV("{}"),
                                                  .env = env,
                                                  .env_count = second  ? 2
                                                               : first ? 1
                                                                       : 0};
    const struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args),
                                            .flags = CLOISTER_EXEC_ENV_FROM_CONTAINER, .sandbox = cl_sv_cstr(id),
                                            .process = &process};
    ask_exec_with(world, &args);
    turn(world);
}

static void test_run_file(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    const struct cloister_iso_create_args *seen = world->calls[0].args;
    char id[20], path[160];
    struct stat st;
    snprintf(id, sizeof(id), "%.*s", CL_SV_ARG(seen->sandbox.id));
    /* It is there before isolation is called. */
    assert_string_equal(run_of(world, id), "{\"boot_id\":\"boot\"}");
    assert_string_equal(run_of_main(world, id),
                        "{\"boot_id\":\"boot\",\"process\":{\"args\":[\"true\"]},\"env\":[\"TOKEN=SECRET\"]}");
    snprintf(path, sizeof(path), "%s/%s/run-main", world->run_dir, id);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    complete(world, 0, 0);
    turn(world);
    (void)trace(world);
    /* It goes with the sandbox's going off, or with its keeper. */
    tell_lost(world, id);
    turn(world);
    assert_string_equal(run_of(world, id), "");
    assert_string_equal(run_of_main(world, id), "");
    assert_false(world->saw_secret);
    assert_null(strstr(logged(world), "SECRET"));
    /* A create that fails leaves none. */
    world->hold[SLOT_CREATE] = false;
    world->fail[SLOT_CREATE] = CLOISTER_IO;
    ask_create(world, "other", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(run_of(world, world->last_sandbox), "");
    assert_string_equal(run_of_main(world, world->last_sandbox), "");
}

static void test_environment_of_the_container(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    static const struct {
        const char *first;
        const char *second;
        const char *want;
    } cases[] = {
        {NULL, NULL, "TOKEN=SECRET;PATH=/bin;"},
        {"NEW=1", NULL, "TOKEN=SECRET;PATH=/bin;NEW=1;"},
        {"PATH=/sbin", "NEW=1", "TOKEN=SECRET;PATH=/sbin;NEW=1;"},
        {"TOKEN=", "PAT=x", "PATH=/bin;TOKEN=;PAT=x;"},
    };
    cl_log_set_level(CL_LOG_DEBUG);
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        exec_with_env(world, id, cases[i].first, cases[i].second);
        CL_CHECK_STR(cases[i].want, trace(world), "exec:ok");
        CL_CHECK_STR(cases[i].want, world->env_seen, cases[i].want);
        CL_CHECK_INT(cases[i].want, world->exec_flags_seen, 0);
    }
    /* Of another boot, damaged, not ours alone, absent: a reason, and no secret in it. */
    char path[160];
    struct cl_sandbox *sandbox = sandbox_of(world, id);
    struct cl_runfile file = cl_runfile_of_container(cl_container_find(sandbox, CLOISTER_SV("main"), NULL));
    snprintf(path, sizeof(path), "%s/run-main", sandbox->run_dir);
    assert_int_equal(chmod(path, 0644), 0);
    exec_with_env(world, id, NULL, NULL);
    assert_string_equal(trace(world), "exec:denied");
    assert_int_equal(chmod(path, 0600), 0);
    FILE *out = fopen(path, "w");
    fputs("{\"boot_id\":\"boot\",\"env\":[\"TOKEN=SECRET", out);
    fclose(out);
    exec_with_env(world, id, NULL, NULL);
    assert_string_equal(trace(world), "exec:invalid");
    assert_null(strstr(world->sentence, "SECRET"));
    out = fopen(path, "w");
    fputs("{\"boot_id\":\"earlier\",\"env\":[\"TOKEN=SECRET\"]}", out);
    fclose(out);
    exec_with_env(world, id, NULL, NULL);
    assert_string_equal(trace(world), "exec:lost");
    assert_non_null(strstr(world->sentence, "the environment of container 'main' is not in /tmp/"));
    assert_int_equal(access(path, F_OK), -1); /* ignored and removed */
    cl_runfile_drop(&file);                   /* harmless */
    /* A daemon that knew one container per sandbox kept it in the sandbox's own file. */
    char old[160];
    snprintf(old, sizeof(old), "%s/run", sandbox->run_dir);
    out = fopen(old, "w");
    fputs("{\"boot_id\":\"boot\",\"env\":[\"OLD=1\"]}", out);
    fclose(out);
    exec_with_env(world, id, NULL, NULL);
    assert_string_equal(trace(world), "exec:ok");
    assert_string_equal(world->env_seen, "OLD=1;");
    assert_int_equal(symlink("/etc/passwd", path), 0);
    exec_with_env(world, id, NULL, NULL);
    assert_non_null(strstr(trace(world), "exec:"));
    assert_non_null(strstr(world->sentence, "Too many levels of symbolic links"));
    assert_false(world->saw_secret);
    assert_null(strstr(logged(world), "SECRET"));
    cl_log_set_level(CL_LOG_INFO);
}

/* What was deep enough to be refused was refused at the create. */
static void test_deep_process(void **state)
{
    struct world *world = *state;
    char deep[128] = "{\"x\":";
    for (unsigned i = 0; i < CLOISTER_VALUE_DEPTH_DEFAULT - 1; i++)
        strcat(deep, "[");
    for (unsigned i = 0; i < CLOISTER_VALUE_DEPTH_DEFAULT - 1; i++)
        strcat(deep, "]");
    strcat(deep, "}");
    const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args), .oci = cl_sv_cstr(deep)};
    const char *id = running_process(world, "deep", &process);
    exec_with_env(world, id, "A=b", NULL);
    assert_string_equal(trace(world), "exec:ok");
    assert_string_equal(world->env_seen, "A=b;");
}

/* Any bytes come back as they were. */
static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct cloister_sv bytes;
    } cases[] = {
        {"empty", {NULL, 0}},
        {"text", CLOISTER_SV("a \"quoted\"\t\\text\x01")},
        {"utf-8", CLOISTER_SV("\xc3\xa4")},
        {"a NUL", CLOISTER_SV("a\0b")},
        {"not utf-8", CLOISTER_SV("A=\xff\xfe")},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cl_arena arena = CL_ARENA_INIT;
        CL_VALUE_CLEANUP cloister_value *value = cl_runfile_bytes(cases[i].bytes), *back = NULL;
        char CL_FREE *text = NULL;
        size_t size = 0;
        struct cloister_sv got;
        CL_CHECK_INT(cases[i].name, cl_value_print(value, false, &text, &size), 0);
        CL_CHECK_INT(cases[i].name, cl_value_parse(cl_sv(text, size), NULL, &back, NULL, NULL), 0);
        CL_CHECK_INT(cases[i].name, cl_runfile_take(back, &arena, &got), 0);
        CL_CHECK(cases[i].name, got.data && cl_sv_eq(got, cases[i].bytes));
        cl_arena_free(&arena);
    }
    static const char *const bad[] = {"{}", "7", "{\"hex\":\"0\"}", "{\"hex\":\"0g\"}", "{\"hex\":7}"};
    for (size_t i = 0; i < CL_COUNT(bad); i++) {
        struct cl_arena arena = CL_ARENA_INIT;
        CL_VALUE_CLEANUP cloister_value *value = NULL;
        struct cloister_sv got;
        CL_CHECK_INT(bad[i], cl_value_parse(cl_sv_cstr(bad[i]), NULL, &value, NULL, NULL), 0);
        CL_CHECK_INT(bad[i], cl_runfile_take(value, &arena, &got), -EINVAL);
        cl_arena_free(&arena);
    }
}

/* Every allocation on the way fails once: each request is answered or refused, and what is kept is old or new. */
static void test_no_memory(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    bool through = false;
    for (uint64_t nth = 1; !through; nth++) {
        char name[24];
        snprintf(name, sizeof(name), "%llu", (unsigned long long)nth);
        world->call_count = 0;
        cl_mem_fail_nth(nth);
        ask_label(world, id, "a", name, 0);
        turn(world);
        ask_label(world, id, "b", "SECRET", CLOISTER_LABEL_SECRET);
        turn(world);
        ask_record(world, id, CLOISTER_RECORD_STORE, cl_sv_cstr(name));
        ask_record(world, id, CLOISTER_RECORD_RUN, cl_sv_cstr(name));
        ask_record(world, "", CLOISTER_RECORD_STORE, cl_sv_cstr(name));
        turn(world);
        exec_with_env(world, id, "A=b", NULL);
        ask_label(world, id, "b", NULL, 0);
        turn(world);
        through = cl_mem_count() < nth;
        cl_mem_fail_nth(0);
        const char *text = trace(world);
        unsigned answers = 0;
        for (const char *at = text; *at; at++)
            answers += *at == ':' || *at == '!';
        CL_CHECK_INT(name, answers, 7);
        CL_CHECK(name, !through || !strchr(text, '!'));
        for (unsigned i = 1; i < world->process_count; i++)
            tell_exit(world, i, 0);
        world->process_count = 1;
        turn(world);
        (void)trace(world);
        const char *value = label(world, &world->control, id, "a");
        CL_CHECK(name, !strstr(text, "label:ok label:ok") || strcmp(value, name) == 0);
        CL_CHECK(name, run_of(world, id)[0] == '{');
        CL_CHECK_INT(name, world->engine->by_number.size, 0);
    }
    assert_false(world->saw_secret);
    assert_null(strstr(logged(world), "SECRET"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_plain_labels),
        CASE(test_label_is_taken_back),
        CASE(test_secret_labels),
        CASE(test_label_limits),
        CASE(test_labels_wait_for_the_create),
        CASE(test_records),
        CASE(test_records_are_refused),
        CASE(test_record_of_a_service_is_read_at_the_start),
        CASE(test_record_of_a_service_cannot_be_read),
        CASE(test_create_with_record_and_labels),
        CASE(test_run_file),
        CASE(test_environment_of_the_container),
        CASE(test_deep_process),
        CASE(test_bytes),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests_name("core/engine label", tests, NULL, NULL);
}
