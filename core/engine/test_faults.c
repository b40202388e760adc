/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine promises when something goes wrong: plugins that misbehave, deadlines, cancels, a failing store, a
 * dead keeper. */
#include "core/engine/test_world.h"

#include <fcntl.h>

#include "core/engine/api.h"
#include "core/engine/room.h"
#include "core/value/value.h"

#define MS CL_NS_PER_MS
#define ALL_DOWN "container_down container=4 sandbox_down(2)"

/* Nothing is left of a sandbox whose create did not succeed, and its name is free. */
static void assert_nothing_left(struct world *world, const char *name)
{
    struct cloister_sv id;
    assert_int_equal(cl_engine_api.find(&world->control.host, cl_sv_cstr(name), &id, NULL), -1);
    assert_int_equal(store_sets(world), 0);
    assert_false(run_dir_exists(world, world->last_sandbox));
    for (unsigned i = 0; i < world->process_count; i++)
        assert_false(world->processes[i].alive);
    assert_true(ask_create(world, name, CLOISTER_INIT_PAUSE, CLOISTER_START_NOW) != 0);
}

static cloister_op create_held(struct world *world, char *ret_id)
{
    world->hold[SLOT_CREATE] = true;
    cloister_op op = ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    struct cloister_sv id;
    turn(world);
    assert_int_equal(calls_of(world, SLOT_CREATE), 1);
    assert_int_equal(cl_engine_api.find(&world->control.host, CLOISTER_SV("web"), &id, NULL), 0);
    snprintf(ret_id, 20, "%.*s", CL_SV_ARG(id));
    world->hold[SLOT_CREATE] = true;
    return op;
}

static void test_destroy_during_create(void **state)
{
    struct world *world = *state;
    char id[20];
    create_held(world, id);
    ask_exec(world, id, "", 0);
    ask_destroy(world, id, 0);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "exec:cancelled create:cancelled destroy:ok destroy:ok");
    assert_int_equal(world->cancels, 1);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 1);
    assert_nothing_left(world, "web");
}

static void test_destroy_during_a_create_that_cannot_be_cancelled(void **state)
{
    struct world *world = *state;
    char id[20];
    create_held(world, id);
    world->ignore_cancel = true;
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "");
    complete(world, 0, 0); /* it succeeds all the same: nobody is told of its processes */
    turn(world);
    assert_string_equal(trace(world), "create:cancelled destroy:ok");
    assert_nothing_left(world, "web");
}

static void test_cancel(void **state)
{
    struct world *world = *state;
    char id[20];
    cloister_op op = create_held(world, id);
    cl_engine_api.cancel(&world->other.host, op); /* not its own */
    turn(world);
    assert_string_equal(trace(world), "");
    cl_engine_api.cancel(&world->control.host, op);
    cl_engine_api.cancel(&world->control.host, op);
    assert_string_equal(trace(world), ""); /* never inside */
    turn(world);
    assert_string_equal(trace(world), "create:cancelled");
    cl_engine_api.cancel(&world->control.host, op);
    cl_engine_api.cancel(&world->control.host, 4711);
    turn(world);
    assert_nothing_left(world, "web");
}

static void test_cancel_before_its_turn(void **state)
{
    struct world *world = *state;
    cloister_op op = ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "create:cancelled");
    assert_int_equal(calls_of(world, SLOT_CREATE), 0);
    assert_nothing_left(world, "web");
}

static void test_deadline_of_create(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                .name = CLOISTER_SV("web"), .deadline = cl_mono_ns() + 20 * MS};
    ask_create_with(world, &args);
    turn_for(world, 50);
    assert_string_equal(trace(world), "create:deadline");
    assert_nothing_left(world, "web");
}

static void test_late_exec_is_undone(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_EXEC] = true;
    world->ignore_cancel = true;
    ask_exec(world, id, "job", cl_mono_ns() + 20 * MS);
    turn_for(world, 50);
    assert_string_equal(trace(world), "exec:deadline");
    complete(world, last_call(world, SLOT_EXEC), 0);
    turn(world);
    assert_string_equal(trace(world), ""); /* ended in silence */
    assert_false(world->processes[1].alive);
    assert_int_equal(calls_of(world, SLOT_RELEASE), 1);
    assert_int_equal(info(world, id).process_count, 1);
}

static void test_destroy_outlives_its_deadline(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_DESTROY] = true;
    ask_destroy(world, id, cl_mono_ns() + 20 * MS);
    turn_for(world, 50);
    assert_string_equal(trace(world), "sandbox=6 destroy:deadline");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_DESTROYING);
    ask_destroy(world, id, 0); /* joins */
    turn(world);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 1);
    complete(world, last_call(world, SLOT_DESTROY), 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) drained(init) " ALL_DOWN " destroy:ok");
    assert_int_equal(store_sets(world), 0);
}

static void test_gate(void **state)
{
    struct world *world = *state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const char *id = running(world, "web");
    struct cloister_sandbox_destroy_args args = {CLOISTER_INIT(struct cloister_sandbox_destroy_args),
                                                 .sandbox = cl_sv_cstr(id),
                                                 .flags = CLOISTER_DESTROY_REFUSE_IF_RUNNING};
    assert_int_equal(cl_engine_api.sandbox_destroy(&world->control.host, &args, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_INVALID_STATE);
    world->hold[SLOT_EXEC] = true;
    ask_exec(world, id, "", 0);
    turn(world);
    args.flags = CLOISTER_DESTROY_REFUSE_IF_BUSY;
    assert_int_equal(cl_engine_api.sandbox_destroy(&world->control.host, &args, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_BUSY);
    assert_string_equal(err.subject, "exec");
    args.flags = 1u << 31;
    assert_int_equal(cl_engine_api.sandbox_destroy(&world->control.host, &args, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_INVALID);
    /* An exec that its plugin has forgotten does not hold up the end, and is answered. */
    world->ignore_cancel = true;
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 exit(init) exec:cancelled drained(init) " ALL_DOWN " destroy:ok");
    complete(world, last_call(world, SLOT_EXEC), CLOISTER_NO_ENTITY); /* and may still come back */
    turn(world);
    assert_string_equal(trace(world), "");
}

static void test_lost(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_exec(world, id, "", 0);
    turn(world);
    cloister_process worker = world->last.process;
    ask_wait(world, id, worker);
    ask_wait(world, id, 0);
    ask_stop(world, id, CL_NS_PER_S * 60, 0);
    world->immortal = true;
    turn(world);
    (void)trace(world);
    tell_lost(world, id);
    tell_exit(world, 0, 0); /* too late to be believed */
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init,lost) exit(p1,lost) container_down,lost container=4 sandbox_down(3) sandbox=2 "
                        "stop:ok wait:ok wait:ok");
    assert_int_equal(world->last.status.kind, CLOISTER_STATUS_LOST);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_LOST);
    ask_exec(world, id, "", 0);
    assert_string_equal(trace(world), "exec!invalid_state");
    assert_string_equal(world->sentence, "exec in 'web': it is off (lost), not up");
    assert_int_equal(world->last_error.detail, CLOISTER_SANDBOX_OFF);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:ok");
}

static void test_lost_during_an_exec(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_EXEC] = true;
    ask_exec(world, id, "", 0);
    turn(world);
    tell_lost(world, id);
    turn(world);
    assert_string_equal(trace(world), "exit(init,lost) container_down,lost container=4 sandbox_down(3) sandbox=2");
    complete(world, last_call(world, SLOT_EXEC), 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(p1,lost)");
}

static void test_misbehaving_completions(void **state)
{
    struct world *world = *state;
    world->inside[SLOT_CREATE] = true;
    const char *id = running(world, "web");
    assert_non_null(
        strstr(logged(world), "isolation 'main' (fake) completed sandbox_create (operation 1) inside the call"));
    ask_exec(world, id, "", 0);
    turn(world);
    (void)trace(world);
    complete(world, last_call(world, SLOT_EXEC), 0);
    complete(world, last_call(world, SLOT_EXEC), CLOISTER_IO);
    turn(world);
    assert_string_equal(trace(world), "");
    assert_non_null(strstr(logged(world), "isolation 'main' (fake) completed operation 2 a second time; ignored"));
    cl_engine_iso_api.done(&world->isolation.host, 4711, NULL, NULL);
    assert_non_null(strstr(logged(world), "that was never begun; ignored"));
    struct cloister_iso_event nonsense = {CLOISTER_INIT(struct cloister_iso_event), .kind = 99,
                                          .sandbox = cl_sv_cstr(id)};
    cl_engine_iso_api.event(&world->isolation.host, &nonsense);
    nonsense.kind = CLOISTER_EVENT_EXIT;
    nonsense.process = 1;
    cl_engine_iso_api.event(&world->isolation.host, &nonsense);
    turn(world);
    assert_string_equal(trace(world), "");
}

static void test_error_without_a_code(void **state)
{
    struct world *world = *state;
    const struct cloister_error blank = CLOISTER_ERROR_INIT;
    const char *id = running(world, "web");
    world->hold[SLOT_EXEC] = true;
    ask_exec(world, id, "", 0);
    turn(world);
    cl_engine_iso_api.done(&world->isolation.host, world->calls[last_call(world, SLOT_EXEC)].op, &blank, NULL);
    turn(world);
    assert_string_equal(trace(world), "exec:internal");
    assert_string_equal(world->sentence, "exec in 'web': isolation 'main' (fake): exec failed without saying why");
    assert_non_null(strstr(logged(world), "isolation 'main' (fake) completed exec (operation 2) with an error that has "
                                          "no code"));
    assert_int_equal(info(world, id).process_count, 1);
}

static uint64_t health(struct world *world, const char *key)
{
    uint64_t number = 0;
    cloister_value *object = cl_value_new_object();
    cl_engine_health(world->engine, object);
    assert_int_equal(cl_value_u64(cl_value_get_cstr(object, key), &number), 0);
    cl_value_free(object);
    return number;
}

static void test_never_completed(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cl_backend *backend = cl_backend_of(&world->isolation);
    backend->calls.patience = 20 * MS;
    world->hold[SLOT_EXEC] = true;
    world->ignore_cancel = true;
    ask_exec(world, id, "", cl_mono_ns() + 10 * MS);
    turn_for(world, 80);
    assert_string_equal(trace(world), "exec:deadline");
    assert_non_null(strstr(logged(world), "isolation 'main' (fake) has not completed exec of"));
    assert_int_equal(health(world, "overdue"), 1);
    assert_int_equal(health(world, "operations"), 1); /* it stays accounted for */
    complete(world, last_call(world, SLOT_EXEC), CLOISTER_IO);
    turn(world);
    assert_int_equal(health(world, "overdue"), 0);
    assert_int_equal(health(world, "operations"), 0);
}

static void test_failing_create(void **state)
{
    struct world *world = *state;
    world->fail[SLOT_CREATE] = CLOISTER_MOUNT_FAILED;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "create:mount_failed");
    assert_string_equal(world->sentence, "create sandbox 'web': the fake was told to fail");
    assert_nothing_left(world, "web");
    world->plan_fails = CLOISTER_UNSUPPORTED;
    ask_create(world, "two", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    assert_non_null(strstr(trace(world), "create!unsupported"));
    assert_string_equal(world->last_error.subject, "linux.foo");
    world->plan_fails = 0;
    assert_true(ask_create(world, "two", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW) != 0);
}

static void test_failing_store(void **state)
{
    struct world *world = *state;
    /* intent: nothing happened */
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "create:no_space");
    assert_int_equal(calls_of(world, SLOT_CREATE) + calls_of(world, SLOT_DESTROY), 0);
    /* reached, of a create: undone */
    world->put_fail_after = 1;
    world->put_fail_count = 1;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "create:no_space");
    assert_int_equal(calls_of(world, SLOT_DESTROY), 1);
    assert_int_equal(store_sets(world), 0);
    /* reached, of anything else: the answer stands, the write is owed */
    const char *id = running(world, "web");
    world->put_fail_count = 1;
    tell_exit(world, world->process_count - 1, 0);
    turn(world);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_DIRTY);
    assert_int_equal(health(world, "dirty"), 1);
    turn_for(world, 1200);
    assert_int_equal(info(world, id).flags, 0);
    assert_int_equal(health(world, "dirty"), 0);
    /* intent of a destroy: refused, it stays as it was; but on a full disk it goes on, for it makes room */
    (void)trace(world);
    world->put_fails = CLOISTER_IO;
    world->put_fail_count = 1;
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "destroy:io");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1;
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:ok");
}

static void test_partial_destroy(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->fail[SLOT_DESTROY] = CLOISTER_PARTIAL;
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:partial");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_DESTROYING);
    assert_int_equal(info(world, id).failure.code, CLOISTER_PARTIAL);
    assert_int_equal(health(world, "failing"), 1);
    assert_int_equal(store_sets(world), 1);
    ask_exec(world, id, "", 0);
    assert_string_equal(trace(world), "exec!invalid_state");
    assert_string_equal(world->sentence, "exec in 'web': it is being destroyed");
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) drained(init) " ALL_DOWN " destroy:ok");
    assert_int_equal(store_sets(world), 0);
}

static void test_unseen_exits_are_told_before_the_destroy(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_wait(world, id, 0);
    world->hold[SLOT_DESTROY] = true;
    ask_destroy(world, id, 0);
    turn(world);
    (void)trace(world);
    world->processes[0].alive = false; /* its plugin never tells */
    complete(world, last_call(world, SLOT_DESTROY), 0);
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init,lost) container_down,lost container=4 sandbox_down(2) wait:ok destroy:ok");
    assert_int_equal(world->last.status.kind, CLOISTER_STATUS_NONE);
}

static void test_descriptors(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    unsigned before = open_fds();
    int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/null", O_WRONLY | O_CLOEXEC)};
    int twice[2] = {fds[0], fds[0]}, closed[1] = {999};
    /* refused at once: still the caller's */
    ask_exec_fds(world, "nosuch", fds, 2);
    ask_exec_fds(world, id, twice, 2);
    ask_exec_fds(world, id, closed, 1);
    assert_string_equal(trace(world), "exec!no_entity exec!invalid exec!invalid");
    assert_int_equal(open_fds(), before + 2);
    /* handed on */
    ask_exec_fds(world, id, fds, 2);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
    assert_int_equal(world->stdio_taken, 2);
    assert_int_equal(open_fds(), before);
    /* cancelled before its turn */
    fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cloister_op op = ask_exec_fds(world, id, fds, 1);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "exec:cancelled");
    assert_int_equal(open_fds(), before);
    /* the sandbox goes down before its turn */
    fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ask_exec_fds(world, id, fds, 1);
    tell_lost(world, id);
    turn(world);
    assert_non_null(strstr(trace(world), "exec:invalid_state"));
    assert_int_equal(open_fds(), before);
}

static void test_descriptors_of_a_create(void **state)
{
    struct world *world = *state;
    unsigned before = open_fds();
    struct cloister_stdio stdio = {.kind = CLOISTER_STDIO_DESCRIPTOR, .fd = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args), .oci = CLOISTER_SV("{}"),
                                            .stdio = &stdio, .stdio_count = 1, .stdio_size = sizeof(stdio)};
    struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                .init = CLOISTER_INIT_PROCESS,
                                                .start = CLOISTER_START_NOW,
                                                .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                .spec = cl_sv_cstr(spec_text),
                                                .rootfs = CLOISTER_SV("/srv/root"),
                                                .process = &process};
    struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                .container = &container};
    world->plan_fails = CLOISTER_INVALID;
    ask_create_with(world, &args);
    assert_int_equal(open_fds(), before + 1); /* refused: the caller's */
    world->plan_fails = 0;
    world->put_fails = CLOISTER_IO;
    world->put_fail_count = 1;
    ask_create_with(world, &args);
    turn(world);
    assert_int_equal(open_fds(), before); /* the intent failed: ours, closed */
}

static void test_sizes_of_structs(void **state)
{
    struct world *world = *state;
    /* A shorter one: what it lacks is zero. */
    struct {
        uint32_t struct_size;
        uint32_t flags;
        struct cloister_sv name;
        char garbage[128];
    } old = {.struct_size = 24, .name = CLOISTER_SV("old")};
    memset(old.garbage, 0xff, sizeof(old.garbage));
    ask_create_with(world, (const struct cloister_sandbox_create_args *)(const void *)&old);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4");
    assert_int_equal(world->planned.label_count, 0);
    assert_null(world->planned.container);
    /* A longer one: what we do not know is not looked at. Array elements have their own stride. */
    struct {
        struct cloister_label label;
        uint64_t unknown[4];
    } labels[2] = {{{.key = CLOISTER_SV("a"), .value = CLOISTER_SV("1")}, {~0ull, ~0ull, ~0ull, ~0ull}},
                   {{.key = CLOISTER_SV("b"), .value = CLOISTER_SV("2")}, {~0ull, ~0ull, ~0ull, ~0ull}}};
    struct {
        struct cloister_sandbox_create_args known;
        uint64_t unknown[8];
    } new = {.known = {.struct_size = sizeof(new),
                       .labels = (const struct cloister_label *)(const void *)labels,
                       .label_count = 2,
                       .label_size = sizeof(labels[0])}};
    memset(new.unknown, 0xff, sizeof(new.unknown));
    ask_create_with(world, &new.known);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4");
    assert_int_equal(world->planned.struct_size, sizeof(struct cloister_sandbox_create_args));
    struct cloister_sv value;
    assert_int_equal(
        cl_engine_api.label_get(&world->control.host, cl_sv_cstr(world->last_sandbox), CLOISTER_SV("b"), &value, NULL),
        0);
    assert_true(cl_sv_is(value, "2"));
}

static void test_bad_arguments(void **state)
{
    struct world *world = *state;
    static const char env[] = "NOEQUALS";
    struct cloister_sv entry = {env, 8};
    struct cloister_stdio pty = {.kind = CLOISTER_STDIO_PTY}, same = {.kind = CLOISTER_STDIO_SAME_AS, .fd = 0};
    struct cloister_process_args good = {CLOISTER_INIT(struct cloister_process_args), .oci = CLOISTER_SV("{}")};
    struct cloister_process_args bad_env = good, env_inside = good, not_json = good, with_pty = good, bad_same = good;
    bad_env.env = &entry;
    bad_env.env_count = 1;
    env_inside.oci = CLOISTER_SV("{\"env\":[\"A=b\"]}");
    not_json.oci = CLOISTER_SV("{\"a\":1,\"a\":2}");
    with_pty.stdio = &pty;
    with_pty.stdio_count = 1;
    with_pty.stdio_size = sizeof(pty);
    bad_same.stdio = &same;
    bad_same.stdio_count = 1;
    bad_same.stdio_size = sizeof(same);
    const struct {
        const char *name;
        const char *sandbox;
        const char *spec;
        const char *rootfs;
        const char *cid;
        const struct cloister_process_args *process;
        uint32_t code;
        const char *subject;
    } cases[] = {
        {"slash in the name", "a/b", "{}", "/r", "", &good, CLOISTER_INVALID, "name"},
        {"spec is no object", "n", "[]", "/r", "", &good, CLOISTER_INVALID, "spec"},
        {"process inside the spec", "n", "{\"process\":{}}", "/r", "", &good, CLOISTER_INVALID, "spec.process"},
        {"relative rootfs", "n", "{}", "r", "", &good, CLOISTER_INVALID, "rootfs"},
        {"cid that climbs", "n", "{}", "/r", "../x", &good, CLOISTER_INVALID, "cid"},
        {"no process", "n", "{}", "/r", "", NULL, CLOISTER_INVALID, "process"},
        {"env without =", "n", "{}", "/r", "", &bad_env, CLOISTER_INVALID, "env"},
        {"env inside the process", "n", "{}", "/r", "", &env_inside, CLOISTER_INVALID, "process.env"},
        {"duplicate key", "n", "{}", "/r", "", &not_json, CLOISTER_INVALID, "a"},
        {"a third of a tty", "n", "{}", "/r", "", &with_pty, CLOISTER_INVALID, "stdio"},
        {"a copy of itself", "n", "{}", "/r", "", &bad_same, CLOISTER_INVALID, "stdio"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                    .init = CLOISTER_INIT_PROCESS,
                                                    .start = CLOISTER_START_NOW,
                                                    .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                    .cid = cl_sv_cstr(cases[i].cid),
                                                    .spec = cl_sv_cstr(cases[i].spec),
                                                    .rootfs = cl_sv_cstr(cases[i].rootfs),
                                                    .process = cases[i].process};
        struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                    .name = cl_sv_cstr(cases[i].sandbox), .container = &container};
        CL_CHECK(cases[i].name, ask_create_with(world, &args) == 0);
        CL_CHECK_INT(cases[i].name, world->last_error.code, cases[i].code);
        CL_CHECK_STR(cases[i].name, world->last_error.subject, cases[i].subject);
    }
    struct cloister_sandbox_create_args unknown = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                   .flags = CLOISTER_SANDBOX_PROVISIONAL << 1};
    assert_int_equal(ask_create_with(world, &unknown), 0);
    assert_int_equal(world->last_error.code, CLOISTER_INVALID);
    assert_int_equal(health(world, "sandboxes"), 0);
    assert_int_equal(health(world, "operations"), 0);
}

/* Every allocation of a sandbox's life fails once: each request is answered or refused, and nothing is left in the end.
 */
static void test_no_memory(void **state)
{
    struct world *world = *state;
    bool through = false;
    for (uint64_t nth = 1; !through; nth++) {
        char name[24];
        unsigned before = open_fds();
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        snprintf(name, sizeof(name), "%llu", (unsigned long long)nth);
        world->call_count = world->process_count = 0;
        world->last_sandbox[0] = 0;
        cl_mem_fail_nth(nth);
        bool made = ask_create(world, name, CLOISTER_INIT_PROCESS, CLOISTER_START_NOW) != 0;
        turn(world);
        const char *id = world->last_sandbox;
        if (ask_exec_fds(world, id, &fd, 1) == 0)
            close(fd);
        (void)ask_wait(world, id, 0);
        (void)ask_stop(world, id, 0, 0);
        turn(world);
        bool asked = ask_destroy(world, id, 0) != 0;
        turn(world);
        through = cl_mem_count() < nth;
        cl_mem_fail_nth(0);
        const char *text = trace(world);
        CL_CHECK(name, !made || strstr(text, "create:"));
        CL_CHECK(name, !asked || strstr(text, "destroy:"));
        if (info(world, id).state) { /* the destroy itself met the shortage */
            (void)ask_destroy(world, id, 0);
            turn(world);
            CL_CHECK(name, strstr(trace(world), "destroy:ok"));
        }
        CL_CHECK_INT(name, health(world, "operations"), 0);
        CL_CHECK_INT(name, health(world, "sandboxes"), 0);
        CL_CHECK_INT(name, store_sets(world), 0);
        CL_CHECK_INT(name, open_fds(), before);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_destroy_during_create),
        CASE(test_destroy_during_a_create_that_cannot_be_cancelled),
        CASE(test_cancel),
        CASE(test_cancel_before_its_turn),
        CASE(test_deadline_of_create),
        CASE(test_late_exec_is_undone),
        CASE(test_destroy_outlives_its_deadline),
        CASE(test_gate),
        CASE(test_lost),
        CASE(test_lost_during_an_exec),
        CASE(test_misbehaving_completions),
        CASE(test_error_without_a_code),
        CASE(test_never_completed),
        CASE(test_failing_create),
        CASE(test_failing_store),
        CASE(test_partial_destroy),
        CASE(test_unseen_exits_are_told_before_the_destroy),
        CASE(test_descriptors),
        CASE(test_descriptors_of_a_create),
        CASE(test_sizes_of_structs),
        CASE(test_bad_arguments),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests_name("core/engine faults", tests, NULL, NULL);
}
