/* SPDX-License-Identifier: Apache-2.0 */
/* test_hook_run.c - hooks of a create that cannot be started, fail or go well, with the test as host and keeper. */
#include <errno.h>
#include <fcntl.h>

#include "create.h"
#include "test_host.h"

static struct {
    int spawn_fails;  /* the how-manieth helper cannot be started; 0 = none */
    bool send_fails;  /* PROCEED */
    bool bad_end;     /* each hook exits with 1 */
    unsigned spawned; /* so far */
    struct cloister_helper_args running;
    unsigned sent, undone, finished, warned;
    int32_t proceed;
} world;

static struct ns_hook hooks[2] = {{.when = NS_HOOK_PRESTART, .where = "hooks.prestart[0]"},
                                  {.when = NS_HOOK_CREATE_RUNTIME, .where = "hooks.createRuntime[0]"}};
static struct ns_hooks list = {hooks, 2, (char[]){"{"}};

/* ---- what point.c and hook_run.c use of the plugin ---- */

struct ns_sandbox *ns_sandbox_ref(struct ns_sandbox *sandbox)
{
    sandbox->refs++;
    return sandbox;
}

void ns_sandbox_unref(struct ns_sandbox *sandbox)
{
    sandbox->refs--;
}

struct ns_container *ns_container_ref(struct ns_container *container)
{
    container->refs++;
    return container;
}

void ns_container_unref(struct ns_container *container)
{
    container->refs--;
}

struct ns_reader ns_reader(const struct ns_instance *instance, struct cloister_error *err)
{
    return (struct ns_reader){instance->host->log, &cl_value_table, err};
}

int32_t ns_answer_pid(const struct cl_packet *packet)
{
    return 7;
}

void ns_sandbox_warn(struct ns_sandbox *sandbox, const char *subject, const char *detail)
{
    world.warned++;
}

void ns_keeper_error(const struct ns_instance *instance, struct cloister_error *err, const struct cl_packet *answer,
                     int os_errno)
{
    instance->host->log->error_set(err, CLOISTER_LOST, 0, "", "keeper", "its keeper has died");
}

uint64_t ns_conn_send(struct ns_conn *conn, void *message, const int *fds, uint32_t count, int plan_fd, ns_answer_fn fn,
                      void *ctx)
{
    if (world.send_fails)
        return 0;
    world.proceed = ((const struct cl_wire_proceed *)message)->os_errno;
    return ++world.sent;
}

void ns_create_undo(struct ns_create *create)
{
    world.undone++;
}

void ns_create_finish(struct ns_create *create, int32_t pid)
{
    world.finished++;
}

/* ---- the host ---- */

static int32_t spawn(const struct cloister_host *host, const struct cloister_helper_args *args,
                     struct cloister_error *err)
{
    if (++world.spawned == (unsigned)world.spawn_fails) {
        host->log->error_set(err, CLOISTER_NO_EXECUTABLE, 0, "/h", "helper", "start '/h'");
        return -1;
    }
    world.running = *args;
    return 0;
}

static void run_all(void)
{
    while (world.running.started) {
        struct cloister_helper_args one = world.running;
        struct cloister_status status = {.kind = CLOISTER_STATUS_EXITED, .value = world.bad_end};

        world.running.started = NULL;
        one.started(one.ctx, 0, "started", 8, open("/dev/null", O_RDONLY | O_CLOEXEC));
        one.exited(one.ctx, &status);
    }
}

/* ---- the tests ---- */

static const struct {
    const char *name;
    int spawn_fails;
    bool send_fails;
    bool bad_end;
    uint32_t code; /* of the create's error */
    unsigned sent, undone;
} cases[] = {
    {"all goes well", 0, false, false, 0, 1, 0},
    {"a hook fails", 0, false, true, CLOISTER_EXEC_FAILED, 1, 0},
    {"the first cannot be started", 1, false, false, CLOISTER_NO_EXECUTABLE, 1, 0},
    {"the second cannot be started", 2, false, false, CLOISTER_NO_EXECUTABLE, 1, 0},
    {"the keeper cannot be told", 0, true, false, CLOISTER_LOST, 0, 1},
    {"nor that a hook has failed", 0, true, true, CLOISTER_EXEC_FAILED, 0, 1},
    {"nor that none was started", 1, true, false, CLOISTER_NO_EXECUTABLE, 0, 1},
};

static struct cloister_system_api system_table;
static struct cloister_host host = {.log = &cl_host_log, .value = &cl_value_table, .system = &system_table};
static struct ns_instance instance = {.host = &host};

static void test_point(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ns_sandbox sandbox = {.instance = &instance, .refs = 1};
        struct ns_container container = {.refs = 1, .hooks = &list};
        struct ns_create create = {.base = {.instance = &instance, .err = CLOISTER_ERROR_INIT},
                                   .sandbox = &sandbox,
                                   .container = &container,
                                   .stage = NS_CREATE_MAKING};
        struct cl_packet packet = {0};

        memset(&world, 0, sizeof(world));
        world.spawn_fails = cases[i].spawn_fails;
        world.send_fails = cases[i].send_fails;
        world.bad_end = cases[i].bad_end;
        ns_create_point(&create, &packet);
        if ((create.hooks == NULL) != (cases[i].spawn_fails == 1))
            fail_msg("%s: a run that is none", cases[i].name);
        run_all();
        if (create.base.err.code != cases[i].code || world.sent != cases[i].sent || world.undone != cases[i].undone)
            fail_msg("%s: %s, %u sent, %u undone", cases[i].name, create.base.err.chain, world.sent, world.undone);
        if (world.sent && world.proceed != (cases[i].code ? ECANCELED : 0))
            fail_msg("%s: PROCEED with %d", cases[i].name, world.proceed);
        assert_null(create.hooks);
        assert_int_equal(sandbox.refs, 1);
        assert_int_equal(container.refs, 1);
    }
}

/* A poststart hook can only warn; the create is answered all the same, once. */
static void test_poststart(void **state)
{
    for (int fails = 0; fails < 3; fails++) {
        struct ns_sandbox sandbox = {.instance = &instance, .refs = 1};
        struct ns_container container = {.refs = 1, .hooks = &list};
        struct ns_create create = {
            .base = {.instance = &instance, .err = CLOISTER_ERROR_INIT}, .sandbox = &sandbox, .container = &container};

        memset(&world, 0, sizeof(world));
        world.spawn_fails = fails == 1;
        world.bad_end = fails == 2;
        hooks[0].when = NS_HOOK_POSTSTART;
        ns_create_started(&create, 7);
        run_all();
        hooks[0].when = NS_HOOK_PRESTART;
        assert_int_equal(world.finished, 1);
        assert_int_equal(world.warned, fails != 0);
        assert_int_equal(create.base.err.code, 0);
        assert_int_equal(sandbox.refs, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_point), cmocka_unit_test(test_poststart)};
    static char path[] = "/h";
    static char *words[] = {path};

    system_table.struct_size = sizeof(system_table);
    system_table.helper_spawn = spawn;
    for (size_t i = 0; i < 2; i++) {
        hooks[i].path = path;
        hooks[i].text = words;
        hooks[i].arg_count = 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
