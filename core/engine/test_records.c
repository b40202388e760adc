/* SPDX-License-Identifier: Apache-2.0 */
/* Every record comes back as it was written. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/label.h"
#include "core/engine/record_put.h"
#include "core/engine/records.h"
#include "core/value/value.h"

#define ALL (CL_RECORD_SANDBOX | CL_RECORD_LABELS | CL_RECORD_CONTAINERS | CL_RECORD_ISO | CL_RECORD_SVC)

static struct cl_sandbox *sandbox_of(struct world *world, const char *id)
{
    return cl_map_get(&world->engine->by_id, cl_sv_cstr(id));
}

static struct cloister_store_result as_result(const struct cl_records *records)
{
    return (struct cloister_store_result){CLOISTER_INIT(struct cloister_store_result), .records = records->items,
                                          .record_count = records->count, .record_size = sizeof(records->items[0])};
}

struct one {
    const char *what;
    struct cloister_sv name;
    enum cl_goal goal;
    uint32_t state, cause;
    bool made, provisional, committing;
    uint64_t cookie, created;
};

static const struct one cases[] = {
    {"plain", {"web", 3}, CL_GOAL_UP, CLOISTER_SANDBOX_UP, CLOISTER_CAUSE_NONE, true, false, false, 1, 2},
    {"any bytes",
     {"\xff\x01 \x80", 4},
     CL_GOAL_OFF,
     CLOISTER_SANDBOX_OFF,
     CLOISTER_CAUSE_LOST,
     true,
     false,
     false,
     UINT64_MAX,
     UINT64_MAX},
    {"quotes", {"a\"\\\n\t", 5}, CL_GOAL_OFF, CLOISTER_SANDBOX_OFF, CLOISTER_CAUSE_REBOOT, false, false, false, 1, 0},
    {"half made",
     {"\xc3\xa4", 2},
     CL_GOAL_UP,
     CLOISTER_SANDBOX_CREATING,
     CLOISTER_CAUSE_NONE,
     false,
     true,
     false,
     1,
     1},
    {"committed just now", {"x", 1}, CL_GOAL_UP, CLOISTER_SANDBOX_UP, CLOISTER_CAUSE_NONE, true, true, true, 1, 1},
    {"to go", {"x", 1}, CL_GOAL_GONE, CLOISTER_SANDBOX_DESTROYING, CLOISTER_CAUSE_STOPPED, true, false, false, 1, 1},
};

static void test_sandbox(void **state)
{
    struct world *world = *state;
    struct cl_sandbox *sandbox = sandbox_of(world, running(world, "web"));
    const struct cl_sandbox before = *sandbox;
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        const struct one *one = &cases[i];
        print_message("  %s\n", one->what);
        sandbox->name = one->name;
        sandbox->goal = one->goal;
        sandbox->state = one->state;
        sandbox->cause = one->cause;
        sandbox->made = one->made;
        sandbox->uncommitted = one->provisional;
        sandbox->committing = one->committing;
        sandbox->cookie = one->cookie;
        sandbox->created_real_ns = sandbox->created_boot_ns = one->created;
        struct cl_records records = CL_RECORDS_INIT;
        struct cl_record_head head;
        assert_int_equal(cl_records_build(sandbox, ALL, &records), 0);
        struct cloister_store_result set = as_result(&records);
        assert_int_equal(cl_records_read(&set, &head, NULL), 0);
        assert_true(cl_sv_eq(head.name, one->name));
        assert_true(cl_sv_is(head.service, "control"));
        assert_true(cl_sv_is(head.isolation, "main"));
        assert_true(cl_sv_is(head.boot_id, "boot"));
        assert_true(cl_sv_eq(head.plan, CLOISTER_SV("plan\0blob")));
        assert_int_equal(head.goal, one->goal);
        assert_int_equal(head.state, one->state);
        assert_int_equal(head.cause, one->cause);
        assert_int_equal(head.made, one->made);
        assert_int_equal(head.provisional, one->provisional && !one->committing);
        assert_true(head.cookie == one->cookie && head.created_real_ns == one->created);
        assert_true(head.created_boot_ns == one->created);
        struct cl_record_words words = cl_record_words(records.summary);
        assert_int_equal(cl_sandbox_state_of(words.state), one->state);
        assert_true(cl_sv_is(words.service, "control") && cl_sv_is(words.isolation, "main"));
        assert_true(cl_sv_eq(words.name, one->name));
        cl_record_head_free(&head);
        cl_records_free(&records);
    }
    sandbox->name = before.name;
    sandbox->goal = before.goal;
    sandbox->state = before.state;
    sandbox->uncommitted = sandbox->committing = false;
}

struct restored {
    struct cl_sandbox *sandbox;
    struct cl_arena arena;
    const struct cloister_iso_container *containers;
    uint64_t count;
};

/* Through a set that has the spec of the create, too, into another sandbox. */
static struct restored restore(struct world *world, const struct cl_sandbox *from)
{
    struct restored to = {.sandbox = NULL};
    struct cl_records records = CL_RECORDS_INIT;
    assert_int_equal(cl_records_build(from, ALL, &records), 0);
    records.items[records.count++] = (struct cloister_record){
        .kind = CLOISTER_SV("spec:main"),
        .data = CLOISTER_SV("{\"schema\":1,\"spec\":{\"a\":[1.50,\"\\u00e4\"]},\"rootfs\":\"/srv\",\"rootfs_flags\":3,"
                            "\"init\":2,\"no_new_privs\":true}")};
    struct cloister_store_result set = as_result(&records);
    struct cl_service *service = from->service;
    assert_int_equal(
        cl_sandbox_restore(service, from->backend, CLOISTER_SV("bbbbbbbbbbbbbbbb"), CLOISTER_SV("copy"), &to.sandbox),
        0);
    assert_int_equal(cl_records_restore(&set, to.sandbox, NULL), 0);
    assert_int_equal(cl_records_containers(&set, to.sandbox, &to.arena, &to.containers, &to.count, NULL), 0);
    cl_records_free(&records);
    (void)world;
    return to;
}

static void restored_free(struct restored *restored)
{
    cl_arena_free(&restored->arena);
    cl_sandbox_forget(restored->sandbox);
}

static void test_parts(void **state)
{
    struct world *world = *state;
    struct cl_sandbox *sandbox = sandbox_of(world, running(world, "web"));
    struct cl_container *container = CL_CONTAINER(cl_list_first(&sandbox->containers), struct cl_container, node);
    assert_int_equal(cl_label_set(sandbox, CLOISTER_SV("key"), CLOISTER_SV("va\"lue"), 0), 0);
    assert_int_equal(cl_label_set(sandbox, CLOISTER_SV("empty"), CLOISTER_SV(""), 0), 0);
    assert_int_equal(cl_label_set(sandbox, CLOISTER_SV("hidden"), CLOISTER_SV("x"), CLOISTER_LABEL_SECRET), 0);
    assert_int_equal(cl_sandbox_set_svc(sandbox, CLOISTER_SV("any\0bytes\xff")), 0);
    for (uint32_t was = CLOISTER_CONTAINER_CREATING; was <= CLOISTER_CONTAINER_STOPPED; was++) {
        const struct cloister_status status = {.kind = CLOISTER_STATUS_SIGNALED,
                                               .value = 11,
                                               .flags = CLOISTER_STATUS_CORE | CLOISTER_STATUS_OOM,
                                               .real_ns = 123456};
        container->state = was;
        container->incarnation = was + 5;
        container->stopping = was == CLOISTER_CONTAINER_RUNNING;
        container->status = status;
        container->started_real_ns = UINT64_MAX - was;
        assert_int_equal(cl_limits_set(&container->limits.in_force, CLOISTER_SV("{\"cpu\":{\"shares\":1.50}}")), 0);
        assert_int_equal(cl_limits_set(&container->limits.wanted, CLOISTER_SV("{}")), 0);
        struct restored to = restore(world, sandbox);
        const struct cl_container *copy =
            CL_CONTAINER(cl_list_first(&to.sandbox->containers), struct cl_container, node);
        assert_int_equal(copy->state, was);
        assert_int_equal(copy->incarnation, was + 5);
        assert_int_equal(copy->stopping, was == CLOISTER_CONTAINER_RUNNING);
        assert_memory_equal(&copy->status, &status, sizeof(status));
        assert_true(copy->started_real_ns == UINT64_MAX - was);
        assert_int_equal(copy->init_number, container->init_number);
        assert_string_equal(copy->rootfs, "/srv");
        assert_true(cl_sv_is(copy->limits.in_force, "{\"cpu\":{\"shares\":1.50}}"));
        assert_true(cl_sv_is(copy->limits.wanted, was == CLOISTER_CONTAINER_STOPPED ? "" : "{}"));
        assert_int_equal(to.sandbox->label_count, 2); /* the secret one is in the run file */
        assert_true(cl_sv_is(cl_label_find(to.sandbox, CLOISTER_SV("key"))->value, "va\"lue"));
        assert_int_equal(cl_label_find(to.sandbox, CLOISTER_SV("empty"))->value.size, 0);
        assert_true(cl_sv_eq(to.sandbox->svc, CLOISTER_SV("any\0bytes\xff")));
        assert_true(cl_sv_is(to.containers[0].cid, "main"));
        assert_true(cl_sv_is(to.containers[0].spec, "{\"a\":[1.50,\"\xc3\xa4\"]}"));
        assert_int_equal(to.containers[0].rootfs_flags, 3);
        assert_int_equal(to.containers[0].init_kind, CLOISTER_INIT_PAUSE);
        assert_int_equal(to.containers[0].no_new_privs, 1);
        assert_int_equal(to.containers[0].incarnation, was + 5);
        restored_free(&to);
    }
    container->state = CLOISTER_CONTAINER_RUNNING;
}

#define OLD_CONTAINER                                                                               \
    "{\"schema\":1,\"cid\":\"main\",\"goal\":1,\"state\":3,\"incarnation\":1,\"init\":30064771073," \
    "\"started_real_ns\":1795627921574685241,\"status\":{\"kind\":0,\"value\":0,\"flags\":0,\"real_ns\":0}"

/* As the version before 0.3 wrote them, members of later ones put behind. 0, or what is wrong with them. */
static uint32_t read_old(struct cl_sandbox *into, const char *of_sandbox, const char *of_container,
                         struct cl_limits *ret_limits)
{
    char sandbox[1024], container[1024];
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_record_head head;
    snprintf(
        sandbox, sizeof(sandbox),
        "{\"schema\":1,\"id\":\"fte4m5fv7pgewe3s\",\"service\":\"control\",\"name\":\"web\",\"isolation\":\"main\","
        "\"cookie\":2748,\"boot_id\":\"boot\",\"goal\":1,\"state\":\"up\",\"cause\":0,\"made\":true,"
        "\"provisional\":false,\"created_real_ns\":1795627921574420738,\"created_boot_ns\":29860781475291%s}",
        of_sandbox);
    snprintf(container, sizeof(container), OLD_CONTAINER "%s}", of_container);
    struct cloister_record items[] = {
        {.kind = CLOISTER_SV("sandbox"), .data = cl_sv_cstr(sandbox)},
        {.kind = CLOISTER_SV("iso"), .data = CLOISTER_SV("plan")},
        {.kind = CLOISTER_SV("c:main"), .data = cl_sv_cstr(container)},
        {.kind = CLOISTER_SV("spec:main"),
         .data = CLOISTER_SV("{\"schema\":1,\"spec\":{\"ociVersion\":\"1.1.0\"},\"rootfs\":\"/srv/root\","
                             "\"rootfs_flags\":0,\"init\":1,\"no_new_privs\":false}")},
    };
    const struct cloister_store_result set = {CLOISTER_INIT(struct cloister_store_result), .records = items,
                                              .record_count = CL_COUNT(items), .record_size = sizeof(items[0])};
    assert_int_equal(cl_records_read(&set, &head, NULL), 0);
    int r = cl_records_limits(head.document, false, ret_limits, &err);
    r = r ? r : cl_records_restore(&set, into, &err);
    cl_record_head_free(&head);
    return r < 0 ? err.code : 0;
}

static void test_of_former_versions(void **state)
{
    static const struct {
        const char *what, *of_sandbox, *of_container;
        const char *limits, *wanted;
        uint32_t code;
    } versions[] = {
        {"0.2", "", "", "", "", 0},
        {"of later members", ",\"x\":[1]", ",\"y\":null", "", "", 0},
        {"limits", ",\"limits\":{\"a\":1}", ",\"limits\":{\"b\":2}", "{\"b\":2}", "", 0},
        {"wanted", ",\"limits_wanted\":{}", ",\"limits_wanted\":{\"c\":3}", "", "{\"c\":3}", 0},
        {"a number", "", ",\"limits\":7", "", "", CLOISTER_CORRUPT},
        {"a list is wanted", "", ",\"limits_wanted\":[]", "", "", CLOISTER_CORRUPT},
        {"a text, of the sandbox", ",\"limits\":\"{}\"", "", "", "", CLOISTER_CORRUPT},
        {"nothing, of the sandbox", ",\"limits_wanted\":null", "", "", "", CLOISTER_CORRUPT},
    };
    struct world *world = *state;
    const struct cl_sandbox *like = sandbox_of(world, running(world, "web"));
    for (size_t i = 0; i < CL_COUNT(versions); i++) {
        struct cl_sandbox *sandbox;
        struct cl_limits limits = {{NULL, 0}, {NULL, 0}};
        print_message("  %s\n", versions[i].what);
        assert_int_equal(cl_sandbox_restore(like->service, like->backend, CLOISTER_SV("bbbbbbbbbbbbbbbb"),
                                            CLOISTER_SV("copy"), &sandbox),
                         0);
        assert_int_equal(read_old(sandbox, versions[i].of_sandbox, versions[i].of_container, &limits),
                         versions[i].code);
        if (!versions[i].code) {
            const struct cl_container *container =
                CL_CONTAINER(cl_list_first(&sandbox->containers), struct cl_container, node);
            assert_int_equal(container->state, CLOISTER_CONTAINER_RUNNING);
            assert_string_equal(container->rootfs, "/srv/root");
            assert_true(cl_sv_is(container->limits.in_force, versions[i].limits));
            assert_true(cl_sv_is(container->limits.wanted, versions[i].wanted));
            assert_true(cl_sv_is(limits.in_force, i == 2 ? "{\"a\":1}" : ""));
            assert_true(cl_sv_is(limits.wanted, i == 3 ? "{}" : ""));
        }
        cl_limits_free(&limits);
        cl_sandbox_forget(sandbox);
    }
}

/* What create writes of a spec. */
static void test_spec(void **state)
{
    static const struct {
        const char *oci;
        bool no_new_privs;
    } inits[] = {{"{\"args\":[\"a\"]}", false},
                 {"{\"args\":[\"a\"],\"noNewPrivileges\":true}", true},
                 {"{\"args\":[\"a\"],\"noNewPrivileges\":false}", false}};
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(inits); i++) {
        struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                .oci = cl_sv_cstr(inits[i].oci)};
        struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                    .init = CLOISTER_INIT_PROCESS,
                                                    .start = CLOISTER_START_NOW,
                                                    .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                    .rootfs_flags = CLOISTER_ROOTFS_WRITABLE,
                                                    .spec = CLOISTER_SV("{\"hostname\":\"h\"}"),
                                                    .rootfs = CLOISTER_SV("/r"),
                                                    .process = &process};
        struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                    .container = &container};
        ask_create_with(world, &args);
        turn(world);
        CL_VALUE_CLEANUP cloister_value *record = NULL;
        assert_int_equal(cl_value_parse(cl_sv_cstr(put_record(world, "spec:main")), NULL, &record, NULL, NULL), 0);
        bool is = !inits[i].no_new_privs;
        assert_int_equal(cl_value_bool(cl_value_get_cstr(record, "no_new_privs"), &is), 0);
        assert_int_equal(is, inits[i].no_new_privs);
        assert_string_equal(cl_value_cstr(cl_value_get_cstr(cl_value_get_cstr(record, "spec"), "hostname")), "h");
        assert_string_equal(cl_value_cstr(cl_value_get_cstr(record, "rootfs")), "/r");
        assert_null(strstr(put_record(world, "spec:main"), "args")); /* nothing of the process */
    }
}

static void test_words(void **state)
{
    static const struct {
        const char *summary, *state, *service, *isolation, *name;
    } summaries[] = {
        {"", "", "", "", ""},
        {"up", "up", "", "", ""},
        {"up control", "up", "control", "", ""},
        {"up control main a b", "up", "control", "main", "a b"},
        {"up control main ", "up", "control", "main", ""},
        {"  x", "", "", "x", ""},
    };
    (void)state;
    for (size_t i = 0; i < CL_COUNT(summaries); i++) {
        struct cl_record_words words = cl_record_words(cl_sv_cstr(summaries[i].summary));
        assert_true(cl_sv_is(words.state, summaries[i].state));
        assert_true(cl_sv_is(words.service, summaries[i].service));
        assert_true(cl_sv_is(words.isolation, summaries[i].isolation));
        assert_true(cl_sv_is(words.name, summaries[i].name));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_sandbox), CASE(test_parts), CASE(test_spec),
                                       CASE(test_of_former_versions), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests_name("core/engine records", tests, NULL, NULL);
}
