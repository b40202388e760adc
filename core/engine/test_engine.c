/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine promises when everybody behaves: order, completeness, one answer each. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"

#define MS CL_NS_PER_MS

static void test_life(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    assert_int_equal(world->last.pid, 100);
    assert_true(world->last.process >> 32 == 7); /* the store's epoch */
    assert_true(run_dir_exists(world, id));
    assert_int_equal(world->puts_power, 2);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    ask_wait(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "");
    tell_exit(world, 0, 7);
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2 wait:ok");
    assert_int_equal(world->last.status.kind, CLOISTER_STATUS_EXITED);
    assert_int_equal(world->last.status.value, 7);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_STOPPED);
    ask_wait(world, id, 0); /* also afterwards */
    turn(world);
    assert_string_equal(trace(world), "wait:ok");
    assert_int_equal(world->last.status.value, 7);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:ok");
    assert_int_equal(world->puts_power, 2); /* and the removal: three fsyncs in all */
    assert_int_equal(world->removes, 1);
    assert_int_equal(store_sets(world), 0);
    assert_false(run_dir_exists(world, id));
    ask_destroy(world, id, 0);
    assert_string_equal(trace(world), "destroy!no_entity");
    assert_false(world->saw_secret);
}

static void test_exec_before_its_exit(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->exit_first = true;
    ask_exec(world, id, "", 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(p1) drained(p1)"); /* O1 */
    /* Pipelined, with others' exits in between: what is held back holds back what came behind it (O4). */
    world->exit_first = false;
    ask_exec(world, id, "", 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
    world->hold[SLOT_EXEC] = true;
    world->exit_first = true;
    ask_exec(world, id, "", 0);
    turn(world);
    unsigned held = last_call(world, SLOT_EXEC);
    struct cloister_iso_event early = {
        CLOISTER_INIT(struct cloister_iso_event), .kind = CLOISTER_EVENT_EXIT, .sandbox = cl_sv_cstr(id),
        .process = ((const struct cloister_iso_exec_args *)world->calls[held].args)->process,
        .status = {.kind = CLOISTER_STATUS_EXITED}};
    cl_engine_iso_api.event(&world->isolation.host, &early);
    tell_exit(world, 2, 0);
    turn(world);
    assert_string_equal(trace(world), "");
    complete(world, held, 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(p3) drained(p3) exit(p2) drained(p2)");
}

static void test_thousand_execs(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->exit_first = true;
    for (unsigned i = 0; i < 1000; i++)
        assert_true(ask_exec(world, id, "", 0) != 0);
    turn(world);
    const char *text = trace(world);
    for (unsigned i = 1; i <= 1000; i++) {
        char want[64];
        int size = snprintf(want, sizeof(want), "exec:ok exit(p%u) drained(p%u) ", i, i);
        if (strncmp(text, want, (size_t)size - 1) != 0)
            fail_msg("exec %u: %.60s", i, text);
        text += size;
    }
}

static void test_three_waiters(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_exec(world, id, "worker", 0);
    turn(world);
    cloister_process worker = world->last.process;
    for (unsigned i = 0; i < 3; i++)
        ask_wait(world, id, worker);
    turn(world);
    (void)trace(world);
    ask_signal(world, id, worker, SIGKILL);
    turn(world);
    assert_string_equal(trace(world), "exit(p1) drained(p1) wait:ok wait:ok wait:ok signal:ok"); /* O2 */
    assert_int_equal(world->processes[1].alive, 0);
    ask_signal(world, id, worker, SIGTERM);
    turn(world);
    assert_string_equal(trace(world), "signal:no_entity");
    ask_release(world, id, worker);
    ask_release(world, id, worker);
    turn(world);
    assert_string_equal(trace(world), "release:no_entity release:ok");
    ask_wait(world, id, worker);
    assert_string_equal(trace(world), "wait!no_entity");
    assert_int_equal(calls_of(world, SLOT_RELEASE), 1);
}

static void test_pause_container(void **state)
{
    struct world *world = *state;
    assert_true(ask_create(world, "pod", CLOISTER_INIT_PAUSE, CLOISTER_START_NOW) != 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=3");
    const char *id = world->last_sandbox;
    ask_exec(world, id, "", 0);
    turn(world);
    tell_exit(world, 1, 3);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(p1) drained(p1)");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world),
                        "sandbox=6 exit(init) drained(init) container_down container=4 sandbox_down(2) destroy:ok");
}

static void test_sandbox_without_container(void **state)
{
    struct world *world = *state;
    assert_true(ask_create(world, "empty", 0, 0) != 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4");
    ask_exec(world, world->last_sandbox, "", 0);
    assert_string_equal(trace(world), "exec!no_entity");
    ask_destroy(world, world->last_sandbox, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 sandbox_down(2) destroy:ok");
}

static void test_blocked_init(void **state)
{
    struct world *world = *state;
    assert_true(ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED) != 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=2");
    char id[20];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    ask_start(world, id);
    turn(world);
    assert_string_equal(trace(world), "start:ok container=3");
    ask_start(world, id);
    assert_string_equal(trace(world), "start!invalid_state");
    assert_int_equal(world->last_error.detail, CLOISTER_CONTAINER_RUNNING);
    /* SIGTERM to a blocked init ends it. */
    assert_true(ask_create(world, "other", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED) != 0);
    turn(world);
    (void)trace(world);
    ask_signal(world, world->last_sandbox, world->last.process, SIGTERM);
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2 signal:ok");
    /* A program that is not there: the error is the start's, no exit tells of it, and waits do not hang. */
    assert_true(ask_create(world, "third", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED) != 0);
    turn(world);
    ask_wait(world, world->last_sandbox, 0);
    world->fail[SLOT_START] = CLOISTER_NO_EXECUTABLE;
    ask_start(world, world->last_sandbox);
    (void)trace(world);
    turn(world);
    const char *text = trace(world);
    assert_string_equal(
        text, "start:no_executable container_down,lost container=4 sandbox_down(2) sandbox=2 wait:no_executable");
}

static void test_stop(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    unsigned puts = world->puts_power;
    ask_stop(world, id, CL_NS_PER_S, 0);
    turn(world);
    assert_int_equal(world->puts_power, puts + 1); /* reached is W */
    assert_string_equal(trace(world),
                        "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2 stop:ok");
    assert_int_equal(world->last.status.value, SIGTERM);
    ask_stop(world, id, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "stop:ok");
    /* Past its deadline, then a second one. */
    id = running(world, "mule");
    world->stubborn = true;
    ask_stop(world, id, CL_NS_PER_S * 60, cl_mono_ns() + 20 * MS);
    turn_for(world, 40);
    assert_string_equal(trace(world), "stop:deadline");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    ask_stop(world, id, 10 * MS, 0);
    turn_for(world, 40);
    assert_string_equal(trace(world),
                        "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2 stop:ok");
    assert_int_equal(world->last.status.value, SIGKILL);
    assert_int_equal(world->last.survivors, 0);
}

static void test_rest_is_killed_with_the_init(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_exec(world, id, "", 0);
    turn(world);
    (void)trace(world);
    struct cloister_wait_args wait = {CLOISTER_INIT(struct cloister_wait_args), .until = CLOISTER_WAIT_DRAINED,
                                      .sandbox = cl_sv_cstr(id)};
    assert_true(cl_engine_api.wait(&world->control.host, &wait, on_done, caller(world, "wait-drained"), NULL) != 0);
    ask_wait(world, id, 0);
    turn(world);
    unsigned puts = world->puts_daemon;
    world->immortal = true;
    tell_exit(world, 0, 0); /* in a shared pid namespace the others live on */
    turn(world);
    assert_string_equal(trace(world), "exit(init) wait:ok");
    assert_int_equal(calls_of(world, SLOT_KILL), 1);
    assert_int_equal(world->puts_daemon, puts + 1); /* recorded at the exit */
    tell_exit(world, 1, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(p1) drained(p1) drained(init) container_down container=4 sandbox_down(2) "
                                      "sandbox=2 wait-drained:ok");
    assert_int_equal(world->puts_daemon, puts + 2);
}

/* What the init's end waited for need not be an exit: an exec that does not come about is one process fewer, too. */
static void test_init_ends_during_an_exec(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_EXEC] = true;
    ask_exec(world, id, "", 0);
    turn(world);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init)");
    complete(world, last_call(world, SLOT_EXEC), CLOISTER_NO_ENTITY);
    turn(world);
    assert_string_equal(trace(world),
                        "exec:no_entity drained(init) container_down container=4 sandbox_down(2) sandbox=2");
    id = running(world, "before-its-turn");
    ask_exec(world, id, "", 0);
    tell_exit(world, 1, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) exec:invalid_state drained(init) container_down container=4 "
                                      "sandbox_down(2) sandbox=2");
}

static void assert_line(const char *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void assert_line(const char *log, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (!strstr(log, line))
        fail_msg("no line '%s' in:\n%s", line, log);
}

static void test_log(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    assert_line(logged(world), "info engine: sandbox %s ('web' of control): created, init has pid 100\n", id);
    cl_log_set_level(CL_LOG_DEBUG);
    ask_exec(world, id, "", 0);
    turn(world);
    tell_exit(world, 1, 3);
    const char *log = logged(world);
    assert_line(log, "debug engine: sandbox %s ('web' of control): process 30064771074 started, pid 200\n", id);
    assert_line(log, "debug engine: sandbox %s ('web' of control): process 30064771074 exited with 3\n", id);
    cl_log_set_level(CL_LOG_INFO);
    cl_engine_iso_api.warning(&world->isolation.host, cl_sv_cstr(id), CLOISTER_SV("linux.maskedPaths[0]"), "absent");
    assert_line(logged(world), "info engine: isolation 'main' (fake): sandbox %s: linux.maskedPaths[0]: absent\n", id);
    ask_signal(world, id, world->processes[0].number, SIGKILL);
    turn(world);
    assert_line(logged(world),
                "info engine: sandbox %s ('web' of control): container 'main': init was killed by signal 9\n", id);
    ask_destroy(world, id, 0);
    turn(world);
    assert_line(logged(world), "info engine: sandbox %s ('web' of control): destroyed\n", id);
    world->fail[SLOT_CREATE] = CLOISTER_IO;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    assert_null(strstr(logged(world), "info")); /* undone: its caller has been told */
}

static int32_t probe_short(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    (void)instance, (void)err;
    static const struct {
        const char *name;
        const char *reason;
    } features[] = {{"one", "because"}, {"two", NULL}};
    ret->features = (const struct cloister_feature *)(const void *)features;
    ret->feature_count = CL_COUNT(features);
    ret->feature_size = sizeof(features[0]);
    return 0;
}

static void test_short_features(void **state)
{
    struct world *world = *state;
    static char name[] = "old", label[] = "isolation 'old' (fake)";
    static union cl_vtable vtable;
    static struct cl_instance instance;
    vtable = world->isolation_vtable;
    vtable.isolation.probe = probe_short;
    instance = (struct cl_instance){.name = name, .label = label, .vtable = &vtable, .self = world};
    assert_int_equal(cl_engine_add_isolation(world->engine, &instance, NULL), 0);
    const char *log = logged(world);
    assert_line(log, "isolation 'old' (fake) cannot do one here: %s\n", "because");
    assert_line(log, "isolation 'old' (fake) cannot do two here: %s\n", "no reason given");
}

static void test_names(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_create(world, "web", CLOISTER_INIT_PAUSE, CLOISTER_START_NOW);
    assert_string_equal(trace(world), "create!exists");
    world->hold[SLOT_DESTROY] = true;
    ask_destroy(world, id, 0);
    turn(world);
    (void)trace(world);
    ask_create(world, "web", CLOISTER_INIT_PAUSE, CLOISTER_START_NOW);
    assert_string_equal(trace(world), "create!exists"); /* it is not gone yet */
    complete(world, last_call(world, SLOT_DESTROY), 0);
    turn(world);
    assert_non_null(strstr(trace(world), "destroy:ok"));
    (void)running(world, "web"); /* now it is free again */
    /* Process names: unique among the living. */
    ask_exec(world, world->last_sandbox, "job", 0);
    ask_exec(world, world->last_sandbox, "job", 0);
    turn(world);
    assert_string_equal(trace(world), "exec!name_in_use exec:ok");
    tell_exit(world, world->process_count - 1, 0);
    ask_exec(world, world->last_sandbox, "job", 0);
    turn(world);
    assert_non_null(strstr(trace(world), "exec:ok"));
}

static void test_one_blocked_call(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "slow", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    world->hold[SLOT_CREATE] = false;
    for (unsigned i = 0; i < 50; i++) {
        const char *id = running(world, "");
        ask_exec(world, id, "", 0);
        ask_destroy(world, id, 0);
        turn(world);
        assert_non_null(strstr(trace(world), "destroy:ok"));
    }
    struct cloister_sandbox_info slow = {CLOISTER_INIT(struct cloister_sandbox_info)};
    struct cloister_sv id;
    assert_int_equal(cl_engine_api.find(&world->control.host, CLOISTER_SV("slow"), &id, NULL), 0);
    assert_int_equal(cl_engine_api.info(&world->control.host, id, &slow, NULL), 0);
    assert_int_equal(slow.state, CLOISTER_SANDBOX_CREATING);
    unsigned first = 0;
    complete(world, first, 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=3");
}

static void test_exec_waits_for_the_create(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "slow", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    struct cloister_sv id;
    char text[20];
    assert_int_equal(cl_engine_api.find(&world->control.host, CLOISTER_SV("slow"), &id, NULL), 0);
    snprintf(text, sizeof(text), "%.*s", CL_SV_ARG(id));
    ask_exec(world, text, "", 0);
    turn(world);
    assert_int_equal(calls_of(world, SLOT_EXEC), 0);
    complete(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=3 exec:ok"); /* O8 */
}

static void test_limit(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->exit_first = true;
    for (unsigned i = 0; i < 4095; i++) /* and the init */
        assert_true(ask_exec(world, id, "", 0) != 0);
    turn(world);
    (void)trace(world);
    ask_exec(world, id, "", 0);
    assert_string_equal(trace(world), "exec!limit");
    ask_release(world, id, world->processes[1].number);
    turn(world);
    assert_true(ask_exec(world, id, "", 0) != 0);
}

static int32_t count(void *ctx)
{
    return ++*(int32_t *)ctx;
}

static void on_sandbox(void *ctx, const struct cloister_sandbox_info *seen)
{
    (void)seen;
    (void)count(ctx);
}

static void test_grants(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    int32_t seen = 0;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_sv found;
    (void)cl_engine_api.iterate(&world->other.host, on_sandbox, &seen);
    assert_int_equal(seen, 1); /* other may see control's */
    assert_int_equal(cl_engine_api.find(&world->other.host, CLOISTER_SV("web"), &found, &err), 0);
    struct cloister_sandbox_destroy_args destroy = {CLOISTER_INIT(struct cloister_sandbox_destroy_args),
                                                    .sandbox = cl_sv_cstr(id)};
    assert_int_equal(cl_engine_api.sandbox_destroy(&world->other.host, &destroy, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_NO_ENTITY); /* but not act on them */
    tell_exit(world, 0, 0);
    turn(world);
    struct cloister_release_args release = {CLOISTER_INIT(struct cloister_release_args), .sandbox = cl_sv_cstr(id),
                                            .process = world->processes[0].number};
    assert_int_equal(cl_engine_api.release(&world->other.host, &release, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_DENIED);
    struct cloister_wait_args wait = {CLOISTER_INIT(struct cloister_wait_args), .until = 1, .sandbox = cl_sv_cstr(id)};
    assert_true(cl_engine_api.wait(&world->other.host, &wait, on_done, caller(world, "wait"), &err) != 0);
    (void)trace(world);
    turn(world);
    assert_string_equal(trace(world), "wait:ok");
    /* Names are per service; a granted one does not shadow the own. */
    struct cloister_sandbox_create_args create = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                  .name = CLOISTER_SV("web")};
    assert_true(cl_engine_api.sandbox_create(&world->other.host, &create, on_done, caller(world, "create"), &err) != 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok"); /* control does not see the events of other */
    assert_int_equal(cl_engine_api.find(&world->other.host, CLOISTER_SV("web"), &found, &err), 0);
    assert_false(cl_sv_is(found, id));
}

static void test_views(void **state)
{
    struct world *world = *state;
    struct cloister_label labels[] = {{.key = CLOISTER_SV("a"), .value = CLOISTER_SV("1")},
                                      {.key = CLOISTER_SV("b"), .value = CLOISTER_SV("2")}};
    struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args), .labels = labels,
                                                .label_count = 2, .label_size = sizeof(labels[0])};
    ask_create_with(world, &args);
    turn(world);
    struct cloister_sv id = cl_sv_cstr(world->last_sandbox), value;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    assert_int_equal(cl_engine_api.label_get(&world->control.host, id, CLOISTER_SV("b"), &value, &err), 0);
    assert_true(cl_sv_is(value, "2"));
    assert_int_equal(cl_engine_api.label_get(&world->control.host, id, CLOISTER_SV("c"), &value, &err), -1);
    assert_int_equal(err.code, CLOISTER_NO_ENTITY);
    struct cloister_describe_args describe = {CLOISTER_INIT(struct cloister_describe_args), .sandbox = id};
    assert_true(cl_engine_api.describe(&world->control.host, &describe, on_done, caller(world, "describe"), &err) != 0);
    turn(world);
    assert_string_equal(world->last_json, "{\"fake\":true}");
    struct cloister_machine_info machine = {CLOISTER_INIT(struct cloister_machine_info)};
    assert_int_equal(cl_engine_api.machine_info(&world->control.host, &machine), 0);
    assert_true(machine.cpus > 0 && machine.memory_bytes > 0 && machine.sandboxes == 1);
    /* An older personality's shorter struct is not written past its end. */
    struct {
        uint32_t struct_size;
        uint32_t state;
        uint32_t guard;
    } old = {8, 0, 0xdeadbeef};
    assert_int_equal(cl_engine_api.info(&world->control.host, id, (struct cloister_sandbox_info *)(void *)&old, &err),
                     0);
    assert_int_equal(old.state, CLOISTER_SANDBOX_UP);
    assert_int_equal(old.struct_size, 8);
    assert_true(old.guard == 0xdeadbeef);
}

static void test_profiles(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name;
        const char *file; /* NULL: there is none */
        uint32_t code;
    } cases[] = {
        {"good", "{\"ociVersion\":\"1.1.0\"}", 0},
        {"bad", "{", CLOISTER_INVALID},
        {"absent", NULL, CLOISTER_NO_ENTITY},
        {"../good", NULL, CLOISTER_INVALID},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s.json", world->run_dir, cases[i].name);
        FILE *file = cases[i].file ? fopen(path, "w") : NULL;
        if (file) {
            fputs(cases[i].file, file);
            fclose(file);
        }
        struct cloister_sv text;
        struct cloister_error err = CLOISTER_ERROR_INIT;
        int r = cl_engine_api.spec_default(&world->control.host, cl_sv_cstr(cases[i].name), &text, &err);
        CL_CHECK_INT(cases[i].name, err.code, cases[i].code);
        CL_CHECK(cases[i].name, r == 0 ? cl_sv_is(text, cases[i].file) : cases[i].code != 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_life),
        CASE(test_exec_before_its_exit),
        CASE(test_thousand_execs),
        CASE(test_three_waiters),
        CASE(test_pause_container),
        CASE(test_sandbox_without_container),
        CASE(test_blocked_init),
        CASE(test_stop),
        CASE(test_rest_is_killed_with_the_init),
        CASE(test_init_ends_during_an_exec),
        CASE(test_log),
        CASE(test_short_features),
        CASE(test_names),
        CASE(test_one_blocked_call),
        CASE(test_exec_waits_for_the_create),
        CASE(test_limit),
        CASE(test_grants),
        CASE(test_views),
        CASE(test_profiles),
    };
    return cmocka_run_group_tests_name("core/engine", tests, NULL, NULL);
}
