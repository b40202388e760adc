/* SPDX-License-Identifier: Apache-2.0 */
/* What the records do not explain is shown, and neither killed nor swept. */
#include "core/engine/test_world.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "core/engine/api.h"
#include "core/engine/sandbox.h"

#define ID "aaaaaaaaaaaaaaaa"

static const char *mkdir_of(struct world *world, const char *id)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", world->run_dir, id);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

static cloister_op destroy_with(struct world *world, const char *id, uint32_t flags)
{
    struct cloister_sandbox_destroy_args args = {CLOISTER_INIT(struct cloister_sandbox_destroy_args), .flags = flags,
                                                 .sandbox = cl_sv_cstr(id)};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_op op =
        cl_engine_api.sandbox_destroy(&world->control.host, &args, on_done, caller(world, "destroy"), &err);
    if (!op) {
        trace_add(world, "destroy!%s ", cl_error_code_name(err.code));
        cl_error_sentence(&err, world->sentence, sizeof(world->sentence));
    }
    turn(world);
    return op;
}

struct listed {
    unsigned count;
    struct cloister_sandbox_info last;
    char reason[512];
    char name[64], service[64], isolation[64];
};

static void list_one(void *ctx, const struct cloister_sandbox_info *info)
{
    struct listed *listed = ctx;
    listed->count++;
    listed->last = *info;
    cl_error_sentence(&info->failure, listed->reason, sizeof(listed->reason));
    snprintf(listed->name, sizeof(listed->name), "%.*s", CL_SV_ARG(info->name));
    snprintf(listed->service, sizeof(listed->service), "%.*s", CL_SV_ARG(info->service));
    snprintf(listed->isolation, sizeof(listed->isolation), "%.*s", CL_SV_ARG(info->isolation));
}

/* The service that sees and touches everything. */
static struct listed list(struct world *world)
{
    struct listed listed = {.count = 0};
    cl_engine_api.iterate(&world->control.host, list_one, &listed);
    return listed;
}

/* A record set of a running sandbox of a former daemon, then one thing about it is changed. */
static void make_set(struct world *world, const char *from, const char *to)
{
    static const char record[] =
        "{\"schema\":1,\"service\":\"control\",\"name\":\"web\",\"isolation\":\"main\",\"boot_id\":\"boot\",\"cookie\":"
        "2748,"
        "\"goal\":1,\"state\":\"up\",\"cause\":0,\"made\":true,\"provisional\":false,\"created_real_ns\":1,"
        "\"created_boot_ns\":1}";
    struct fake_set *set = &world->sets[0];
    set->used = true;
    set->health = CLOISTER_HEALTH_OK;
    snprintf(set->id, sizeof(set->id), "%s", ID);
    snprintf(set->summary, sizeof(set->summary), "up control main web");
    const char *at = from ? strstr(record, from) : NULL;
    if (at)
        snprintf(set->sandbox_record, sizeof(set->sandbox_record), "%.*s%s%s", (int)(at - record), record, to,
                 at + strlen(from));
    else
        snprintf(set->sandbox_record, sizeof(set->sandbox_record), "%s", record);
}

struct row {
    const char *what;
    const char *from, *to;
    uint32_t health;
    uint32_t get_fails;
    uint32_t code;
    const char *reason;
    const char *name, *service, *isolation;
};

static const struct row rows[] = {
    {"another run directory's", "2748", "99", 0, 0, CLOISTER_DENIED, "another run directory", "web", "control", "main"},
    {"no such service", "control", "nobody", 0, 0, CLOISTER_NO_ENTITY, "no service 'nobody' is in the config", "web",
     "nobody", "main"},
    {"no such isolation", "main", "elsewhere", 0, 0, CLOISTER_NO_ENTITY, "no isolation 'elsewhere' is in the config",
     "web", "control", "elsewhere"},
    {"not JSON", "{\"schema", "garbage", 0, 0, CLOISTER_CORRUPT, "record 'sandbox': ", "web", "control", "main"},
    {"a member is missing", "\"cause\":0,", "", 0, 0, CLOISTER_CORRUPT, "lacks a member", "web", "control", "main"},
    {"a state that is none", "\"up\"", "\"upp\"", 0, 0, CLOISTER_CORRUPT, "makes no sense", "web", "control", "main"},
    {"a goal that is none", "\"goal\":1", "\"goal\":0", 0, 0, CLOISTER_CORRUPT, "makes no sense", "web", "control",
     "main"},
    {"a cause that is none", "\"cause\":0", "\"cause\":77", 0, 0, CLOISTER_CORRUPT, "makes no sense", "web", "control",
     "main"},
    {"a name that is none", "\"web\"", "\"w/b\"", 0, 0, CLOISTER_CORRUPT, "no name that a sandbox can have", "web",
     "control", "main"},
    {"half a hex digit", "\"name\":\"web\"", "\"name_hex\":\"f\"", 0, 0, CLOISTER_CORRUPT, "no name", "web", "control",
     "main"},
    {"a newer schema", "\"schema\":1", "\"schema\":2", 0, 0, CLOISTER_VERSION_NEWER, "schema 2, this daemon knows 1",
     "web", "control", "main"},
    {"quarantined", NULL, NULL, CLOISTER_HEALTH_QUARANTINED, 0, CLOISTER_CORRUPT, "quarantine", "web", "control",
     "main"},
    {"newer", NULL, NULL, CLOISTER_HEALTH_NEWER, 0, CLOISTER_VERSION_NEWER, "newer version", "web", "control", "main"},
    {"lost", NULL, NULL, CLOISTER_HEALTH_LOST, 0, CLOISTER_LOST, "has lost its record", "web", "control", "main"},
    {"unreadable at present", NULL, NULL, 0, CLOISTER_IO, CLOISTER_IO, "get " ID, "web", "control", "main"},
};

static void test_rows(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        print_message("  %s\n", row->what);
        make_set(world, row->from, row->to);
        if (row->health)
            world->sets[0].health = row->health;
        world->get_fails = row->get_fails;
        world->holds = 0;
        (void)mkdir_of(world, ID);
        char record[sizeof(world->sets[0].sandbox_record)];
        memcpy(record, world->sets[0].sandbox_record, sizeof(record));
        unsigned destroys = calls_of(world, SLOT_DESTROY);
        world_again(world);
        assert_int_equal(world->settled, 1);
        assert_string_equal(trace(world), "");
        struct listed listed = list(world);
        assert_int_equal(listed.count, 1);
        assert_int_equal(listed.last.state, CLOISTER_SANDBOX_UNKNOWN);
        assert_int_equal(listed.last.failure.code, row->code);
        if (!strstr(listed.reason, row->reason))
            fail_msg("%s: '%s'", row->what, listed.reason);
        assert_string_equal(listed.name, row->name);
        assert_string_equal(listed.service, row->service);
        assert_string_equal(listed.isolation, row->isolation);
        assert_int_equal(calls_of(world, SLOT_DESTROY), destroys);
        assert_int_equal(calls_of(world, SLOT_ADOPT), 0);
        /* What its plan names stays its own, wherever there is somebody who may read the plan. */
        bool readable = !row->health && !row->get_fails && strcmp(row->isolation, "main") == 0;
        assert_int_equal(world->holds, readable);
        assert_string_equal(world->held_plan, i || readable ? "plan" : "");
        assert_int_equal(world->known_seen, 1);
        assert_true(run_dir_exists(world, ID));
        assert_memory_equal(record, world->sets[0].sandbox_record, sizeof(record)); /* not written over */
        destroy_with(world, ID, 0);
        assert_string_equal(trace(world), "destroy!invalid_state");
        assert_non_null(strstr(world->sentence, "destroyed by force: "));
        destroy_with(world, ID, CLOISTER_DESTROY_FORCE);
        assert_string_equal(trace(world), "destroy:ok");
        assert_int_equal(store_sets(world), 0);
        assert_false(run_dir_exists(world, ID));
        assert_int_equal(list(world).count, 0);
        bool ghost = strcmp(row->isolation, "main") != 0;
        assert_int_equal(calls_of(world, SLOT_DESTROY), destroys + !ghost);
        assert_int_equal(world->cookie_seen, ghost ? world->cookie_seen : i == 0 ? 99 : 0xabc);
    }
}

/* Once it can be read again it is an ordinary one. */
static void test_readable_again(void **state)
{
    struct world *world = *state;
    make_set(world, "{\"schema", "garbage");
    world_again(world);
    assert_int_equal(list(world).last.state, CLOISTER_SANDBOX_UNKNOWN);
    make_set(world, NULL, NULL);
    world_again(world);
    assert_int_equal(list(world).last.state, CLOISTER_SANDBOX_UP);
    ask_destroy(world, ID, 0);
    turn(world);
    assert_int_equal(store_sets(world), 0);
}

static void test_damaged_parts(void **state)
{
    static const struct {
        const char *kind, *data, *reason;
    } parts[] = {
        {"c:main", "{}", "record 'c:main': it has no schema"},
        {"c:main", "{\"schema\":1}", "record 'c:main': it lacks a member"},
        {"c:main", "{\"schema\":2}", "record 'c:main': it has schema 2"},
        {"c:../x", "{\"schema\":1}", "record 'c:../x': it has an id that no container can have"},
        {"spec:main", "nothing", "record 'spec:main'"},
        {"spec:main", "{\"schema\":1,\"rootfs\":\"/\"}", "record 'spec:main': it lacks a member"},
        {"labels", "{\"a\":1}", "record 'labels'"},
        {"labels", "[", "record 'labels'"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(parts); i++) {
        print_message("  %s %s\n", parts[i].kind, parts[i].data);
        running(world, "web");
        struct fake_set *set = &world->sets[0];
        size_t k = 0;
        while (set->texts[k].kind[0] && strcmp(set->texts[k].kind, parts[i].kind) != 0)
            k++;
        free(set->texts[k].data);
        snprintf(set->texts[k].kind, sizeof(set->texts[k].kind), "%s", parts[i].kind);
        set->texts[k].data = strdup(parts[i].data);
        set->texts[k].size = strlen(parts[i].data);
        world_again(world);
        struct listed listed = list(world);
        assert_int_equal(listed.count, 1);
        assert_int_equal(listed.last.state, CLOISTER_SANDBOX_UNKNOWN);
        if (!strstr(listed.reason, parts[i].reason))
            fail_msg("'%s'", listed.reason);
        char id[64];
        snprintf(id, sizeof(id), "%.*s", CL_SV_ARG(listed.last.id));
        destroy_with(world, id, CLOISTER_DESTROY_FORCE);
        assert_string_equal(trace(world), "destroy:ok");
        assert_int_equal(store_sets(world), 0);
    }
}

static void test_foreign(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    set_fate(world, id, CLOISTER_FATE_FOREIGN, 0);
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "");
    struct listed listed = list(world);
    assert_int_equal(listed.last.state, CLOISTER_SANDBOX_UNKNOWN);
    assert_non_null(strstr(listed.reason, "belongs to somebody else"));
    assert_int_equal(world->holds, 1);
    assert_true(world->processes[0].alive);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 0);
}

/* Nothing but looking and a destroy by force; who may see it is who may see its owner. */
static void test_everything_else_is_refused(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    set_fate(world, id, CLOISTER_FATE_FOREIGN, 0);
    world_again(world);
    ask_exec(world, id, "", 0);
    assert_non_null(
        strstr(world->sentence, "exec in 'web': it can only be shown, or destroyed by force: what is there"));
    ask_wait(world, id, 0);
    ask_stop(world, id, 0, 0);
    ask_signal(world, id, 1, 9);
    ask_start(world, id);
    ask_release(world, id, 1);
    ask_attach(world, id, 0, 0);
    ask_label(world, id, "a", "b", 0);
    ask_record(world, id, CLOISTER_RECORD_STORE, CLOISTER_SV("x"));
    turn(world);
    assert_string_equal(trace(world),
                        "exec!invalid_state wait!invalid_state stop!invalid_state signal!invalid_state "
                        "start!invalid_state release!invalid_state attach!invalid_state label!invalid_state "
                        "record!invalid_state");
    struct cloister_describe_args args = {CLOISTER_INIT(struct cloister_describe_args), .sandbox = cl_sv_cstr(id)};
    assert_true(cl_engine_api.describe(&world->control.host, &args, on_done, caller(world, "describe"), NULL) != 0);
    turn(world);
    assert_string_equal(trace(world), "describe:ok");
}

/* What has no record is removed, or shown and left alone where a record may be what is missing. */
static void orphans(struct world *world, bool shown)
{
    mkdir_of(world, ID);
    world->orphan = "bbbbbbbbbbbbbbbb";
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(world->report_only_seen, shown);
    assert_int_equal(run_dir_exists(world, ID), shown);
    assert_int_equal(list(world).count, shown ? 2 : 0);
    if (!shown)
        return;
    assert_int_equal(list(world).last.state, CLOISTER_SANDBOX_UNKNOWN);
    assert_non_null(strstr(list(world).reason, "and no record"));
    world->orphan = NULL;
    destroy_with(world, ID, CLOISTER_DESTROY_FORCE);
    destroy_with(world, "bbbbbbbbbbbbbbbb", CLOISTER_DESTROY_FORCE);
    assert_string_equal(trace(world), "destroy:ok destroy:ok");
    assert_int_equal(calls_of(world, SLOT_DESTROY), 2);
    assert_int_equal(world->cookie_seen, 0xabc);
    assert_int_equal(list(world).count, 0);
    assert_false(run_dir_exists(world, ID));
}

static void test_orphans_are_removed(void **state)
{
    orphans(*state, false);
}

static void test_orphans_of_an_unclean_store(void **state)
{
    struct world *world = *state;
    world_die(world);
    world->store_capabilities = CLOISTER_STORE_DURABLE;
    world->store_report = "{\"repaired\":1}";
    assert_int_equal(world_born(world), 0);
    orphans(world, true);
}

/* Files in a tmpfs: they outlive the daemon, and can be as damaged. */
static void test_orphans_of_an_unclean_store_in_memory(void **state)
{
    struct world *world = *state;
    world_die(world);
    world->store_capabilities = 0;
    world->store_report = "{\"repaired\":1}";
    assert_int_equal(world_born(world), 0);
    orphans(world, true);
}

static void test_orphans_of_another_store(void **state)
{
    struct world *world = *state;
    cl_engine_stores_changed(world->engine);
    orphans(world, true);
}

static void test_orphans_report(void **state)
{
    struct world *world = *state;
    world_die(world);
    world->boot.orphans_report = true;
    assert_int_equal(world_born(world), 0);
    orphans(world, true);
}

/* What isolation has missed may live: its directory is the only way to it. */
static void test_a_failed_sweep_removes_no_directory(void **state)
{
    struct world *world = *state;
    mkdir_of(world, ID);
    world->fail[SLOT_SWEEP] = CLOISTER_IO;
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_true(run_dir_exists(world, ID));
    assert_int_equal(list(world).last.state, CLOISTER_SANDBOX_UNKNOWN);
    world_again(world);
    assert_false(run_dir_exists(world, ID));
    assert_int_equal(list(world).count, 0);
}

static int listen_at(const char *directory, const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
    assert_in_range(size, 1, sizeof(address.sun_path) - 1);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* A keeper that nobody knows: it is shown, and not even asked; once it has gone so does its directory. */
static void test_a_directory_in_use_stays(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < CL_COUNT(types); i++) {
        struct world *world = *state;
        int fd = listen_at(mkdir_of(world, ID), "k", types[i]);
        world_again(world);
        assert_true(run_dir_exists(world, ID));
        assert_int_equal(list(world).last.state, CLOISTER_SANDBOX_UNKNOWN);
        assert_int_equal(accept(fd, NULL, NULL), -1);
        close(fd);
        world_again(world);
        assert_false(run_dir_exists(world, ID));
        assert_int_equal(list(world).count, 0);
    }
}

/* The boot before's cookie is swept, too. */
static void test_both_cookies_are_swept(void **state)
{
    struct world *world = *state;
    world_die(world);
    world->boot.old_cookie = 0x123;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(calls_of(world, SLOT_SWEEP), 2);
    assert_int_equal(world->sweep_cookie_seen, 0x123);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, unknown_setup, world_teardown)

/* `control` sees and touches everything here. */
static int unknown_setup(void **state)
{
    int r = world_setup(state);
    struct world *world = *state;
    if (r < 0)
        return r;
    world_die(world);
    world->sees_all = true;
    return world_born(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_rows),
        CASE(test_readable_again),
        CASE(test_damaged_parts),
        CASE(test_foreign),
        CASE(test_everything_else_is_refused),
        CASE(test_orphans_are_removed),
        CASE(test_orphans_of_an_unclean_store),
        CASE(test_orphans_of_an_unclean_store_in_memory),
        CASE(test_orphans_of_another_store),
        CASE(test_orphans_report),
        CASE(test_a_failed_sweep_removes_no_directory),
        CASE(test_a_directory_in_use_stays),
        CASE(test_both_cookies_are_swept),
    };
    return cmocka_run_group_tests_name("core/engine unknown", tests, NULL, NULL);
}
