/* SPDX-License-Identifier: Apache-2.0 */
/* What stands still, who says so, and what may be done to it meanwhile. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/room.h"

#define MS CL_NS_PER_MS
#define DOWN "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2"

static void see_container(void *ctx, const struct cloister_container_info *info)
{
    *(bool *)ctx |= info->frozen != 0;
}

/* "-": runs; "s": the sandbox is frozen; "c": a container is shown so; "sc": both. */
static const char *frozen(struct world *world, const char *id)
{
    bool container = false, whole = info(world, id).flags & CLOISTER_SANDBOX_FROZEN;
    assert_int_equal(cl_engine_api.containers(&world->control.host, cl_sv_cstr(id), see_container, &container, NULL),
                     0);
    return whole ? (container ? "sc" : "s") : container ? "c" : "-";
}

static const char *running_frozen(struct world *world, const char *container)
{
    const char *id = running(world, "web");
    ask_freeze(world, id, container, 0);
    turn(world);
    assert_string_equal(trace(world), *container ? "container=3 freeze:ok" : "sandbox=4 freeze:ok");
    return id;
}

struct one {
    const char *what, *container, *shown, *told_freeze, *told_thaw;
};

static const struct one scopes[] = {
    {"the sandbox", "", "sc", "sandbox=4 freeze:ok", "sandbox=4 thaw:ok"},
    {"a container", "main", "c", "container=3 freeze:ok", "container=3 thaw:ok"},
};

static void test_freeze_and_thaw(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        const struct one *one = &scopes[i];
        char name[2] = {(char)('a' + i), 0};
        print_message("  %s\n", one->what);
        const char *id = running(world, name);
        unsigned puts = world->puts_power + world->puts_daemon;
        ask_freeze(world, id, one->container, 0);
        turn(world);
        assert_string_equal(trace(world), one->told_freeze);
        assert_string_equal(frozen(world, id), one->shown);
        ask_freeze(world, id, one->container, 0); /* again: isolation looks, nothing is told */
        turn(world);
        assert_string_equal(trace(world), "freeze:ok");
        assert_int_equal(calls_of(world, SLOT_FREEZE), 2 * (i + 1));
        ask_thaw(world, id, one->container);
        turn(world);
        assert_string_equal(trace(world), one->told_thaw);
        assert_string_equal(frozen(world, id), "-");
        ask_thaw(world, id, one->container);
        turn(world);
        assert_string_equal(trace(world), "thaw:ok");
        assert_int_equal(calls_of(world, SLOT_THAW), 2 * (i + 1));
        assert_int_equal(world->puts_power + world->puts_daemon, puts); /* it is read back, not recorded */
    }
}

/* Every row of ARCHITECTURE's table that is the engine's to answer. */
static void test_what_is_asked_of_a_frozen_one(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"a", "b"};
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        print_message("  %s\n", scopes[i].what);
        const char *id = running(world, names[i]);
        ask_exec(world, id, "", 0);
        turn(world);
        cloister_process process = world->last.process;
        ask_freeze(world, id, scopes[i].container, 0);
        turn(world);
        (void)trace(world);
        ask_exec(world, id, "", 0);
        turn(world);
        assert_string_equal(trace(world), "exec:frozen");
        char want[128];
        snprintf(want, sizeof(want), "exec in '%s': %s", names[i],
                 *scopes[i].container ? "container 'main' is frozen"
                 : i                  ? "sandbox 'b' is frozen"
                                      : "sandbox 'a' is frozen");
        assert_string_equal(world->sentence, want);
        ask_signal(world, id, process, SIGKILL);
        ask_label(world, id, "key", "value", 0);
        ask_release(world, id, process);
        turn(world);
        assert_string_equal(trace(world), "release!invalid_state exit(p1) drained(p1) signal:ok label:ok");
        assert_string_equal(frozen(world, id), scopes[i].shown); /* the others stand still */
        ask_destroy(world, id, 0);
        turn(world);
        assert_non_null(strstr(trace(world), "destroy:ok"));
        world->process_count = 0;
    }
}

static void test_start_of_a_frozen_one(void **state)
{
    struct world *world = *state;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=2");
    char id[20];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    ask_freeze(world, id, "", 0);
    ask_start(world, id);
    turn(world);
    assert_string_equal(trace(world), "sandbox=4 freeze:ok start:frozen");
    assert_int_equal(calls_of(world, SLOT_START), 0);
    ask_thaw(world, id, "");
    ask_start(world, id);
    turn(world);
    assert_string_equal(trace(world), "sandbox=4 thaw:ok start:ok container=3");
}

/* O8: it waits for what runs, and who comes behind it finds it frozen, or thawed. */
static void test_order(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        const char *container = scopes[i].container;
        const char *id = running(world, i ? "b" : "a");
        world->hold[SLOT_EXEC] = true;
        ask_exec(world, id, "", 0);
        turn(world);
        ask_freeze(world, id, container, 0);
        ask_exec(world, id, "", 0);
        turn(world);
        assert_int_equal(calls_of(world, SLOT_FREEZE), i);
        complete(world, last_call(world, SLOT_EXEC), 0);
        turn(world);
        char want[64];
        snprintf(want, sizeof(want), "exec:ok %s exec:frozen", scopes[i].told_freeze);
        assert_string_equal(trace(world), want);
        world->hold[SLOT_EXEC] = false;
        ask_thaw(world, id, container);
        ask_exec(world, id, "", 0);
        turn(world);
        snprintf(want, sizeof(want), "%s exec:ok", scopes[i].told_thaw);
        assert_string_equal(trace(world), want);
    }
}

/* A container's own freeze goes with the sandbox's thaw; but not the other way round. */
static void test_thaw_of_the_whole(void **state)
{
    struct world *world = *state;
    const char *id = running_frozen(world, "main");
    ask_freeze(world, id, "", 0);
    ask_thaw(world, id, "");
    turn(world);
    assert_string_equal(trace(world), "sandbox=4 freeze:ok sandbox=4 container=3 thaw:ok");
    assert_int_equal(calls_of(world, SLOT_THAW), 2);
    assert_false(fake_is_frozen(world, cl_sv_cstr(id)));
    ask_freeze(world, id, "", 0);
    ask_thaw(world, id, "main");
    turn(world);
    assert_string_equal(trace(world), "sandbox=4 freeze:ok thaw:frozen");
    assert_string_equal(world->sentence, "thaw 'web': sandbox 'web' is frozen");
    assert_string_equal(frozen(world, id), "sc");
}

static void test_refusals(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_freeze(world, id, "none", 0);
    ask_thaw(world, "aaaaaaaaaaaaaaaa", "");
    assert_string_equal(trace(world), "freeze!no_entity thaw!no_entity");
    cl_backend_of(&world->isolation)->capabilities &= ~(uint64_t)CLOISTER_ISO_FREEZE;
    ask_freeze(world, id, "", 0);
    assert_string_equal(world->sentence, "freeze 'web': FREEZE is not supported here");
    ask_thaw(world, id, "");
    assert_string_equal(trace(world), "freeze!unsupported thaw!unsupported");
    cl_backend_of(&world->isolation)->capabilities |= CLOISTER_ISO_FREEZE;
    tell_exit(world, 0, 0);
    turn(world);
    (void)trace(world);
    ask_freeze(world, id, "", 0);
    ask_thaw(world, id, "main");
    assert_string_equal(trace(world), "freeze!invalid_state thaw!invalid_state");
    assert_int_equal(calls_of(world, SLOT_FREEZE) + calls_of(world, SLOT_THAW), 0);
}

/* It takes too long: the caller is told, isolation undoes it, and what comes too late all the same is thawed. */
static void test_deadline(void **state)
{
    static const struct {
        const char *what;
        bool late;
    } cases[] = {{"undone", false}, {"too late", true}};
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        print_message("  %s\n", cases[i].what);
        const char *id = running(world, cases[i].late ? "b" : "a");
        world->hold[SLOT_FREEZE] = true;
        world->ignore_cancel = cases[i].late;
        ask_freeze(world, id, "", cl_mono_ns() + 20 * MS);
        turn_for(world, 40);
        assert_string_equal(trace(world), "freeze:deadline");
        assert_int_equal(world->cancels, i + 1);
        ask_exec(world, id, "", 0); /* behind it */
        if (cases[i].late)
            complete(world, last_call(world, SLOT_FREEZE), 0);
        turn(world);
        assert_string_equal(trace(world), "exec:ok");
        assert_int_equal(calls_of(world, SLOT_THAW), cases[i].late);
        assert_string_equal(frozen(world, id), "-");
        assert_false(fake_is_frozen(world, cl_sv_cstr(id)));
    }
}

/* And nobody has said how long: ten seconds; isolation knows, too. */
static void test_default_deadline(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_FREEZE] = true;
    uint64_t before = cl_mono_ns();
    cloister_op op = ask_freeze(world, id, "", 0);
    turn(world);
    const struct cloister_iso_freeze_args *args = world->calls[last_call(world, SLOT_FREEZE)].args;
    assert_true(args->deadline >= before + 10 * CL_NS_PER_S && args->deadline <= cl_mono_ns() + 10 * CL_NS_PER_S);
    assert_int_equal(args->container.size, 0);
    assert_true(cl_sv_is(args->sandbox.id, id));
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "freeze:cancelled");
    assert_string_equal(frozen(world, id), "-");
}

/* Cancelled, and it cannot be taken back: it is shown as what it is. */
static void test_undo_fails(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_FREEZE] = world->ignore_cancel = true;
    cloister_op op = ask_freeze(world, id, "main", 0);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    world->fail[SLOT_THAW] = CLOISTER_IO;
    complete(world, last_call(world, SLOT_FREEZE), 0);
    turn(world);
    assert_string_equal(trace(world), "container=3 freeze:cancelled");
    assert_string_equal(frozen(world, id), "c");
}

static void test_failures(void **state)
{
    static const struct {
        uint32_t code;
        const char *trace, *shown;
    } cases[] = {{CLOISTER_DEADLINE, "sandbox=4 freeze:deadline", "-"}, {CLOISTER_IO, "sandbox=4 freeze:io", "-"}};
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        const char *id = running(world, i ? "b" : "a");
        ask_freeze(world, id, "", 0);
        turn(world);
        (void)trace(world);
        world->fail[SLOT_FREEZE] = cases[i].code; /* of one that stands still already */
        ask_freeze(world, id, "", 0);
        turn(world);
        assert_string_equal(trace(world), cases[i].trace);
        assert_string_equal(frozen(world, id), cases[i].shown);
        world->fail[SLOT_THAW] = CLOISTER_IO;
        ask_thaw(world, id, "");
        turn(world);
        assert_string_equal(trace(world), "thaw:io");
        assert_string_equal(frozen(world, id), cases[i].shown);
    }
    world->fail[SLOT_EXEC] = CLOISTER_FROZEN; /* isolation knows better */
    ask_exec(world, running(world, "c"), "", 0);
    turn(world);
    assert_string_equal(trace(world), "exec:frozen");
}

/* A stop's grace is not waited for; a kill under v1 takes effect with the thaw. */
static void test_stop(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < 4; i++) {
        const char *container = i % 2 ? "main" : "";
        char name[2] = {(char)('a' + i), 0};
        print_message("  %s, v%d\n", scopes[i % 2].what, i < 2 ? 2 : 1);
        const char *id = running(world, name);
        ask_freeze(world, id, container, 0);
        turn(world);
        (void)trace(world);
        world->stubborn = true;
        world->v1 = i >= 2;
        uint64_t before = cl_mono_ns();
        ask_stop(world, id, 3600 * CL_NS_PER_S, 0);
        for (unsigned round = 0; round < 100 && info(world, id).state != CLOISTER_SANDBOX_OFF; round++)
            turn_for(world, 5);
        assert_true(cl_mono_ns() - before < 3 * CL_NS_PER_S);
        turn(world);
        const char *told = trace(world);
        assert_non_null(strstr(told, DOWN));
        assert_non_null(strstr(told, "stop:ok"));
        assert_int_equal(calls_of(world, SLOT_KILL), 2 * (i + 1)); /* the signal, and KILL */
        assert_string_equal(frozen(world, id), "-");
        assert_int_equal(calls_of(world, SLOT_THAW), i < 2 ? 0 : i - 1);
        world->process_count = 0;
    }
}

/* Frozen stays frozen; the next daemon reads it back, and can thaw it. */
static void test_read_back(void **state)
{
    struct world *world = *state;
    char ids[2][20];
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        snprintf(ids[i], sizeof(ids[i]), "%s", running(world, i ? "b" : "a"));
        ask_freeze(world, ids[i], scopes[i].container, 0);
        turn(world);
        (void)trace(world);
    }
    world_again(world);
    assert_string_equal(trace(world), "");
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        assert_string_equal(frozen(world, ids[i]), scopes[i].shown);
        ask_exec(world, ids[i], "", 0);
        ask_thaw(world, ids[i], scopes[i].container);
        ask_exec(world, ids[i], "", 0);
        turn(world);
        char want[64];
        snprintf(want, sizeof(want), "exec:frozen %s exec:ok", scopes[i].told_thaw);
        assert_string_equal(trace(world), want);
    }
    world_again(world);
    assert_string_equal(frozen(world, ids[0]), "-");
    assert_string_equal(frozen(world, ids[1]), "-");
}

/* Its group is the sandbox's: both are told as frozen, and thawing either thaws it. */
static void test_one_group(void **state)
{
    struct world *world = *state;
    char id[20];
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        snprintf(id, sizeof(id), "%s", running(world, i ? "b" : "a"));
        fake_freeze(world, cl_sv_cstr(id), CLOISTER_SV(""), true);
        fake_freeze(world, cl_sv_cstr(id), CLOISTER_SV("main"), true);
        world_again(world);
        assert_string_equal(frozen(world, id), "sc");
        ask_thaw(world, id, scopes[i].container);
        turn(world);
        assert_non_null(strstr(trace(world), "thaw:ok"));
        assert_string_equal(frozen(world, id), "-");
        fake_freeze(world, cl_sv_cstr(id), CLOISTER_SV(""), false);
        fake_freeze(world, cl_sv_cstr(id), CLOISTER_SV("main"), false);
    }
}

/* A former daemon's stop is finished without its grace. */
static void test_stop_of_a_former_daemon(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->stubborn = true;
    ask_stop(world, id, 3600 * CL_NS_PER_S, 0);
    turn(world);
    world_die(world);
    fake_freeze(world, cl_sv_cstr(id), CLOISTER_SV(""), true);
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    for (unsigned round = 0; round < 100 && info(world, id).state != CLOISTER_SANDBOX_OFF; round++)
        turn_for(world, 5);
    assert_non_null(strstr(trace(world), DOWN));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_freeze_and_thaw),
                                       CASE(test_what_is_asked_of_a_frozen_one),
                                       CASE(test_start_of_a_frozen_one),
                                       CASE(test_order),
                                       CASE(test_thaw_of_the_whole),
                                       CASE(test_refusals),
                                       CASE(test_deadline),
                                       CASE(test_default_deadline),
                                       CASE(test_undo_fails),
                                       CASE(test_failures),
                                       CASE(test_stop),
                                       CASE(test_read_back),
                                       CASE(test_one_group),
                                       CASE(test_stop_of_a_former_daemon)};
    return cmocka_run_group_tests_name("core/engine freeze", tests, NULL, NULL);
}
