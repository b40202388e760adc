/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as a plugin sees them. argv[1]: where tests/badplugins were built. */
#include "core/host/host.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/loader/prefix.h"
#include "core/util/str.h"
#include "core/value/value.h"

static const struct cloister_transport_api transport_api = {CLOISTER_INIT(struct cloister_transport_api)};
static const struct cloister_exchange_api exchange_api = {CLOISTER_INIT(struct cloister_exchange_api)};
static const struct cloister_engine_api engine_api = {CLOISTER_INIT(struct cloister_engine_api)};
static const struct cloister_iso_api iso_api = {CLOISTER_INIT(struct cloister_iso_api)};
static const struct cloister_store_api store_api = {CLOISTER_INIT(struct cloister_store_api)};

static int shutdown_code;

static void on_shutdown(void *ctx, uint32_t scope, int32_t code)
{
    shutdown_code = scope == CLOISTER_SHUTDOWN_DAEMON ? code : -1;
}

static void on_health(void *ctx, cloister_value *object)
{
    assert_int_equal(cl_value_set_cstr(object, "sandboxes", cl_value_new_u64(3)), 0);
}

static struct cl_host rooms = {
    .instance = "default",
    .run_dir = "/run/cloister/default",
    .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
    .cookie = 0xfeedull,
    .shutdown = on_shutdown,
    .health = on_health,
    .transport = &transport_api,
    .exchange = &exchange_api,
    .engine = &engine_api,
    .iso = &iso_api,
    .store = &store_api,
};

static void fill(struct cl_instance *instance, uint32_t kind)
{
    static char label[] = "transport 'x' (y)";
    *instance = (struct cl_instance){.kind = kind, .label = label};
    instance->host.struct_size = sizeof(instance->host);
    instance->host.self = instance;
    cl_host_fill(&rooms, instance);
}

static void test_tables_by_kind(void **state)
{
    static const struct {
        const char *name;
        uint32_t kind;
        bool stream, transport, exchange, engine, iso, store, fork;
    } cases[] = {
        {"transport", CLOISTER_KIND_TRANSPORT, 1, 1, 0, 0, 0, 0, 0},
        {"personality", CLOISTER_KIND_PERSONALITY, 1, 0, 1, 1, 0, 0, 0},
        {"isolation", CLOISTER_KIND_ISOLATION, 1, 0, 0, 0, 1, 0, 1},
        {"persistence", CLOISTER_KIND_PERSISTENCE, 0, 0, 0, 0, 0, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cl_instance instance;
        fill(&instance, cases[i].kind);
        const struct cloister_host *host = &instance.host;
        const char *name = cases[i].name;
        CL_CHECK(name, host->log && host->value && host->loop && host->system);
        CL_CHECK_INT(name, host->stream != NULL, cases[i].stream);
        CL_CHECK_INT(name, host->transport != NULL, cases[i].transport);
        CL_CHECK_INT(name, host->exchange != NULL, cases[i].exchange);
        CL_CHECK_INT(name, host->engine != NULL, cases[i].engine);
        CL_CHECK_INT(name, host->iso != NULL, cases[i].iso);
        CL_CHECK_INT(name, host->store != NULL, cases[i].store);
        CL_CHECK_INT(name, host->system->zygote_fork != NULL, cases[i].fork);
    }
}

static void test_log(void **state)
{
    struct cl_instance instance;
    char got[128] = "";
    int ends[2];
    (void)state;
    fill(&instance, CLOISTER_KIND_TRANSPORT);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    cl_log_set_fd(ends[1]);
    cloister_log(&instance.host, CLOISTER_WARNING, "%d apples", 3);
    cloister_log(&instance.host, 77, "a level of tomorrow");
    cl_log_set_fd(2);
    assert_true(read(ends[0], got, sizeof(got) - 1) > 0);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(got, "warn transport 'x' (y): 3 apples\ninfo transport 'x' (y): a level of tomorrow\n");
}

static void test_errors(void **state)
{
    struct cl_instance instance;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char got[128];
    (void)state;
    fill(&instance, CLOISTER_KIND_TRANSPORT);
    const struct cloister_log_api *log = instance.host.log;
    log->error_set(&err, CLOISTER_DENIED, EACCES, "/x", "open", "open %s", "/x");
    log->error_wrap(&err, "start '%s'", "web");
    assert_int_equal(log->error_sentence(&err, got, sizeof(got)), strlen("start 'web': open /x: Permission denied"));
    assert_string_equal(got, "start 'web': open /x: Permission denied");
    assert_string_equal(log->error_code_name(err.code), "denied");
    assert_null(log->metric);
}

static void test_value_reads(void **state)
{
    struct cl_instance instance;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_sv text, key;
    cloister_value *root;
    uint64_t number;
    uint32_t yes;
    (void)state;
    fill(&instance, CLOISTER_KIND_PERSONALITY);
    const struct cloister_value_api *value = instance.host.value;
    assert_int_equal(
        value->parse(CLOISTER_SV("{\"n\":18446744073709551615,\"s\":\"x\",\"y\":true}"), 0, 0, &root, &err), 0);
    assert_int_equal(value->u64(value->get(root, CLOISTER_SV("n")), &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(value->u64(value->get(root, CLOISTER_SV("s")), &number), -1);
    assert_int_equal(value->string(value->at(root, 1, &key), &text), 0);
    assert_true(cl_sv_is(key, "s") && cl_sv_is(text, "x"));
    assert_int_equal(value->boolean(value->get(root, CLOISTER_SV("y")), &yes), 0);
    assert_int_equal(yes, 1);
    assert_int_equal(value->type(NULL), CLOISTER_VALUE_NONE);
    assert_int_equal(value->remove(root, CLOISTER_SV("s")), 1);
    assert_int_equal(value->remove(root, CLOISTER_SV("s")), 0);
    assert_int_equal(value->print(root, 0, &text), 0);
    assert_string_equal(text.data, "{\"n\":18446744073709551615,\"y\":true}");
    value->free_text(text);
    value->free(root);
}

static void test_value_refuses(void **state)
{
    struct cl_instance instance;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *root = (void *)&instance;
    uint64_t id;
    (void)state;
    fill(&instance, CLOISTER_KIND_PERSONALITY);
    const struct cloister_value_api *value = instance.host.value;
    assert_int_equal(value->parse(CLOISTER_SV("{\"id\":1,\"a\":2,\"a\":3}"), 0, 0, &root, &err), -1);
    assert_string_equal(err.step, "duplicate-key");
    assert_int_equal(value->u64(value->get(root, CLOISTER_SV("id")), &id), 0); /* a framing can still answer */
    value->free(root);
    root = (void *)&instance;
    assert_int_equal(value->parse(CLOISTER_SV("[1"), 0, 0, &root, &err), -1);
    assert_null(root);
    assert_int_equal(value->parse(CLOISTER_SV("[[[1]]]"), 0, 2, &root, &err), -1);
    assert_string_equal(err.step, "too-deep");
    assert_int_equal(value->parse(CLOISTER_SV("1"), 1u << 9, 0, &root, &err), -1);
    assert_string_equal(err.step, "flags");
    assert_int_equal(value->set(NULL, CLOISTER_SV("k"), value->new_u64(1)), -1); /* takes the child all the same */
    assert_int_equal(value->append(NULL, NULL), -1);
}

static const struct {
    const char *name;
    const char *sandbox;
    const char *leaf;
    uint64_t size;
    const char *path; /* NULL = refused */
    uint32_t code;
} run_paths[] = {
    {"plain", "abcdefghijklmnop", "k", 108, "/run/cloister/default/abcdefghijklmnop/k", 0},
    {"climbing sandbox", "..", "k", 108, NULL, CLOISTER_INVALID},
    {"slash in the sandbox", "a/b", "k", 108, NULL, CLOISTER_INVALID},
    {"slash in the leaf", "a", "../k", 108, NULL, CLOISTER_INVALID},
    {"empty", "", "k", 108, NULL, CLOISTER_INVALID},
    {"buffer too small", "abcdefghijklmnop", "k", 40, NULL, CLOISTER_TOO_BIG},
    {"buffer just large enough", "abcdefghijklmnop", "k", 41, "/run/cloister/default/abcdefghijklmnop/k", 0},
    {"107 bytes", "abcdefghijklmnop", "k2345678901234567890123456789012345678901234567890123456789012345678", 200,
     "/run/cloister/default/abcdefghijklmnop/k2345678901234567890123456789012345678901234567890123456789012345678", 0},
    {"108 bytes", "abcdefghijklmnop", "k23456789012345678901234567890123456789012345678901234567890123456789", 200,
     NULL, CLOISTER_TOO_BIG},
};

static void test_run_path(void **state)
{
    struct cl_instance instance;
    (void)state;
    fill(&instance, CLOISTER_KIND_ISOLATION);
    for (size_t i = 0; i < CL_COUNT(run_paths); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        char path[256] = "";
        const char *name = run_paths[i].name;
        int32_t r = instance.host.system->run_path(&instance.host, cl_sv_cstr(run_paths[i].sandbox), run_paths[i].leaf,
                                                   path, run_paths[i].size, &err);
        CL_CHECK_INT(name, r, run_paths[i].path ? 0 : -1);
        CL_CHECK_INT(name, err.code, run_paths[i].code);
        CL_CHECK_STR(name, path, run_paths[i].path ? run_paths[i].path : "");
    }
}

static void test_state_path(void **state)
{
    static const struct {
        const char *name, *leaf;
        uint64_t size;
        uint32_t code;
    } cases[] = {
        {"plain", "roots", 108, 0},
        {"again", "roots", 108, 0},
        {"climbs", "..", 108, CLOISTER_INVALID},
        {"slash", "a/b", 108, CLOISTER_INVALID},
        {"no room", "roots", 20, CLOISTER_TOO_BIG},
        {"not a directory", "file", 108, CLOISTER_DENIED},
        {"a link", "link", 108, CLOISTER_DENIED},
    };
    char dir[] = "/tmp/cl-host-XXXXXX", command[128], want[64];
    struct cl_instance instance;
    static char name[] = "main";
    fill(&instance, CLOISTER_KIND_ISOLATION);
    instance.name = name;
    assert_non_null(mkdtemp(dir));
    rooms.state_dir = dir;
    (void)snprintf(command, sizeof(command), "cd %s && mkdir main && touch main/file && ln -s /tmp main/link", dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        char path[108] = "";
        struct stat st;
        int32_t r = instance.host.system->state_path(&instance.host, cases[i].leaf, path, cases[i].size, &err);
        CL_CHECK_INT(cases[i].name, err.code, cases[i].code);
        CL_CHECK_INT(cases[i].name, r, cases[i].code ? -1 : 0);
        if (r < 0)
            continue;
        (void)snprintf(want, sizeof(want), "%s/main/roots", dir);
        CL_CHECK_STR(cases[i].name, path, want);
        CL_CHECK(cases[i].name, stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700);
    }
    rooms.state_dir = NULL;
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* Who is not on the list is refused before anything is looked at; who is, is looked at. */
static void test_helper_spawn(void **state)
{
    static const char *const listed[] = {"/bin/true", "/etc/passwd", NULL};
    static const struct {
        const char *name;
        struct cloister_sv program;
        uint32_t flags, code;
    } cases[] = {
        {"listed", {"/bin/true", 9}, 0, CLOISTER_LIMIT}, /* there is no zygote */
        {"not listed", {"/bin/false", 10}, 0, CLOISTER_DENIED},
        {"not listed, written differently", {"/bin//true", 10}, 0, CLOISTER_DENIED},
        {"relative", {"../bin/true", 11}, 0, CLOISTER_DENIED},
        {"empty", {"", 0}, 0, CLOISTER_DENIED},
        {"a NUL in it", {"/bin/true\0x", 11}, 0, CLOISTER_DENIED},
        {"listed, no program", {"/etc/passwd", 11}, 0, CLOISTER_NOT_EXECUTABLE},
        {"a name", {"true", 4}, 0, CLOISTER_LIMIT}, /* beside the keeper */
        {"a name that is not there", {"cloister-nothing", 16}, 0, CLOISTER_NO_EXECUTABLE},
        {"unknown flag", {"/bin/true", 9}, 1u << 31, CLOISTER_INVALID},
    };
    const struct cloister_sv argv[] = {{"x", 1}};
    struct cl_instance instance;
    fill(&instance, CLOISTER_KIND_ISOLATION);
    rooms.helpers = listed;
    rooms.helpers_beside = "/bin/cloister-keeper";
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cloister_helper_args args = {CLOISTER_INIT(struct cloister_helper_args), .flags = cases[i].flags,
                                            .program = cases[i].program, .argv = argv, .argv_count = 1};
        CL_CHECK_INT(cases[i].name, instance.host.system->helper_spawn(&instance.host, &args, &err), -1);
        CL_CHECK_INT(cases[i].name, err.code, cases[i].code);
        if (cases[i].flags)
            continue;
        /* What would be started, but for a zygote, may be. */
        uint32_t wanted = cases[i].code == CLOISTER_LIMIT ? 0 : cases[i].code;
        err = (struct cloister_error)CLOISTER_ERROR_INIT;
        CL_CHECK_INT(cases[i].name, instance.host.system->helper_check(&instance.host, cases[i].program, &err),
                     wanted ? -1 : 0);
        CL_CHECK_INT(cases[i].name, err.code, wanted);
    }
    fill(&instance, CLOISTER_KIND_PERSONALITY);
    assert_null(instance.host.system->helper_spawn);
    assert_null(instance.host.system->helper_check);
    assert_null(instance.host.system->state_path);
}

static void test_system(void **state)
{
    struct cl_instance instance;
    uint64_t words[2] = {0, 0};
    (void)state;
    fill(&instance, CLOISTER_KIND_ISOLATION);
    const struct cloister_host *host = &instance.host;
    assert_int_equal(host->system->random(words, sizeof(words)), 0);
    assert_true(words[0] != 0 && words[1] != 0 && words[0] != words[1]);
    assert_true(cl_sv_is(host->system->boot_id(host), rooms.boot_id));
    assert_true(cl_sv_is(host->system->version(host), cl_version));
    assert_true(cl_sv_is(host->system->instance(host), "default"));
    assert_true(host->system->cookie(host) == 0xfeedull);
    assert_true(host->system->now_mono() > 0 && host->system->now_real() > host->system->now_boot());
    assert_int_equal(host->system->zygote_fork(host, "sandbox", NULL, 0, NULL, NULL), -ENOTCONN);
    host->system->shutdown(host, CLOISTER_SHUTDOWN_DAEMON, 5);
    assert_int_equal(shutdown_code, 5);
}

static void test_health(void **state)
{
    struct cl_instance instance;
    struct cloister_sv text;
    (void)state;
    fill(&instance, CLOISTER_KIND_PERSONALITY);
    assert_int_equal(instance.host.system->health_json(&instance.host, &text), 0);
    assert_true(cl_sv_is(text, "{\"status\":\"ok\",\"sandboxes\":3}"));
    cl_host_release(&rooms);
}

/* Two instances of one plugin are one element, and a wrapper is one of its own. */
static void test_plugins(void **state)
{
    static const char text[] = "{\"persistence\":{\"main\":{\"plugin\":\"trace\",\"wrap\":[\"wrap-a\"]},\"two\":{"
                               "\"plugin\":\"trace\"}},\"isolation\":{\"main\":{"
                               "\"plugin\":\"good-isolation\"}},\"services\":[{\"name\":\"s\",\"personality\":{"
                               "\"plugin\":\"good-personality\"},\"isolation\":"
                               "\"main\",\"persistence\":\"main\"}]}";
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const char *const paths[] = {test_prefix, NULL};
    struct cl_config *config;
    struct cl_loader *loader;
    struct cl_instance *first, *second;
    struct cloister_sv json;
    (void)state;
    assert_int_equal(cl_config_parse("t.conf", cl_sv_cstr(text), &config, &err), 0);
    assert_int_equal(cl_loader_new(paths, &loader), 0);
    assert_int_equal(cl_registry_new(loader, cl_host_fill, &rooms, &rooms.registry), 0);
    assert_int_equal(
        cl_registry_create(rooms.registry, CLOISTER_KIND_PERSISTENCE, "main", &config->persistence[0], &first, &err),
        0);
    assert_int_equal(
        cl_registry_create(rooms.registry, CLOISTER_KIND_PERSISTENCE, "two", &config->persistence[1], &second, &err),
        0);
    assert_int_equal(first->host.system->plugins_json(&first->host, &json), 0);
    CL_FREE char *want =
        cl_asprintf("[{\"name\":\"wrap-a\",\"kind\":\"persistence\",\"version\":\"1.0\",\"licence\":\"Apache-2.0\","
                    "\"file\":\"%s/wrap-a.so\",\"abi\":"
                    "\"0.3\",\"capabilities\":[],\"instances\":[\"main\"]},{\"name\":\"trace\",\"kind\":"
                    "\"persistence\",\"version\":\"1.0\","
                    "\"licence\":\"Apache-2.0\",\"file\":\"%s/"
                    "trace.so\",\"abi\":\"0.3\",\"capabilities\":[\"DURABLE\"],\"instances\":[\"main\","
                    "\"two\"]}]",
                    test_prefix, test_prefix);
    assert_string_equal(json.data, want);
    cl_registry_destroy(rooms.registry, first);
    cl_registry_destroy(rooms.registry, second);
    rooms.registry = cl_registry_free(rooms.registry);
    cl_host_release(&rooms);
    cl_loader_free(loader);
    cl_config_free(config);
}

static int set_up(void **state)
{
    (void)state;
    if (test_prefix_make() < 0)
        return -1;
    cl_log_set_level(CL_LOG_INFO);
    test_install("trace", test_prefix, "trace.so", 0);
    test_install("wrap-a", test_prefix, "wrap-a.so", 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return test_prefix_remove();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_by_kind), cmocka_unit_test(test_log),          cmocka_unit_test(test_errors),
        cmocka_unit_test(test_state_path),     cmocka_unit_test(test_helper_spawn), cmocka_unit_test(test_value_reads),
        cmocka_unit_test(test_value_refuses),  cmocka_unit_test(test_run_path),     cmocka_unit_test(test_system),
        cmocka_unit_test(test_health),         cmocka_unit_test(test_plugins),
    };
    if (argc != 2 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: %s DIRECTORY-OF-BUILT-PLUGINS\n", argv[0]);
        return 2;
    }
    test_built = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
