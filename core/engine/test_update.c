/* SPDX-License-Identifier: Apache-2.0 */
/* Limits change: on record before and behind, and what a death between the two leads to. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/room.h"

#define MS CL_NS_PER_MS
#define FIVE "{\"pids\":{\"limit\":5}}"
#define SIX "{\"pids\":{\"limit\":6}}"

static void see_container(void *ctx, const struct cloister_container_info *info)
{
    snprintf(ctx, 64, "%.*s", CL_SV_ARG(info->limits));
}

/* Of the container (or, NULL, the sandbox), as everybody sees them. */
static const char *limits(struct world *world, const char *id, const char *container)
{
    static char text[64];
    text[0] = 0;
    if (!container)
        snprintf(text, sizeof(text), "%.*s", CL_SV_ARG(info(world, id).limits));
    else
        assert_int_equal(cl_engine_api.containers(&world->control.host, cl_sv_cstr(id), see_container, text, NULL), 0);
    return text;
}

static bool recorded(struct world *world, const char *container, const char *key, const char *value)
{
    char want[128];
    snprintf(want, sizeof(want), "\"%s\":%s", key, value);
    return strstr(put_record(world, container ? "c:main" : "sandbox"), want);
}

static const struct {
    const char *what, *container;
} scopes[] = {{"the sandbox", NULL}, {"a container", "main"}};

static void test_update(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        const char *container = scopes[i].container, *id = running(world, i ? "b" : "a");
        print_message("  %s\n", scopes[i].what);
        unsigned power = world->puts_power, daemon = world->puts_daemon;
        assert_string_equal(limits(world, id, container), "");
        world->hold[SLOT_UPDATE] = true;
        world->limits_told = "{\"pids\":{\"limit\":5},\"cpu\":{\"shares\":1024}}";
        ask_update(world, id, container, FIVE, 0);
        turn(world);
        assert_string_equal(trace(world), "");
        assert_true(recorded(world, container, "limits_wanted", FIVE)); /* before isolation is asked */
        assert_false(recorded(world, container, "limits", ""));
        const struct cloister_update_args *asked =
            ((const struct cloister_iso_update_args *)world->calls[last_call(world, SLOT_UPDATE)].args)->update;
        assert_int_equal(asked->scope, container ? CLOISTER_SCOPE_CONTAINER : CLOISTER_SCOPE_SANDBOX);
        assert_true(cl_sv_is(asked->container, container ? container : ""));
        assert_true(cl_sv_is(asked->resources, FIVE));
        complete(world, last_call(world, SLOT_UPDATE), 0);
        turn(world);
        assert_string_equal(trace(world), "update:ok");
        assert_string_equal(world->last_json, world->limits_told);
        assert_string_equal(limits(world, id, container), world->limits_told);
        assert_true(recorded(world, container, "limits", world->limits_told));
        assert_false(recorded(world, container, "limits_wanted", ""));
        assert_int_equal(world->puts_power, power);
        assert_int_equal(world->puts_daemon, daemon + 2);
        world->hold[SLOT_UPDATE] = false;
        world->limits_told = NULL;
        ask_update(world, id, container, SIX, 0);
        turn(world);
        assert_string_equal(trace(world), "update:ok");
        assert_string_equal(limits(world, id, container), SIX);
        assert_string_equal(limits(world, id, container ? NULL : "main"), ""); /* each its own */
    }
}

/* The old limits stay, in force and on record, unless they do not: then none are told. */
static void test_failures(void **state)
{
    static char big[3000];
    static const struct {
        const char *what, *told;
        uint32_t fail;
        const char *left, *trace, *sentence;
    } cases[] = {
        {"busy", NULL, CLOISTER_BUSY, FIVE, "update:busy", "update the limits of 'a': the fake was told to fail"},
        {"in part", NULL, CLOISTER_PARTIAL, "", "update:partial",
         "update the limits of 'b': the fake was told to fail"},
        {"nothing told", "", 0, "", "update:internal",
         "update the limits of 'c': the limits that isolation 'main' (fake) tells are in force: resources is missing"},
        {"a list told", "[]", 0, "", "update:internal",
         "update the limits of 'd': the limits that isolation 'main' (fake) tells are in force: resources is not an "
         "object"},
        {"too much told", big, 0, "", "update:too_big",
         "update the limits of 'e': the limits that isolation 'main' (fake) tells are in force: resources has 2999 "
         "bytes, a record keeps 2048"},
    };
    struct world *world = *state;
    memset(big, ' ', sizeof(big) - 1);
    memcpy(big, "{}", 2);
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        char name[2] = {(char)('a' + i), 0};
        const char *id = running(world, name);
        print_message("  %s\n", cases[i].what);
        ask_update(world, id, "main", FIVE, 0);
        turn(world);
        (void)trace(world);
        world->fail[SLOT_UPDATE] = cases[i].fail;
        world->limits_told = cases[i].told;
        ask_update(world, id, "main", SIX, 0);
        turn(world);
        assert_string_equal(trace(world), cases[i].trace);
        assert_string_equal(world->sentence, cases[i].sentence);
        assert_string_equal(limits(world, id, "main"), cases[i].left);
        assert_int_equal(recorded(world, "main", "limits", FIVE), *cases[i].left != 0);
        assert_false(recorded(world, "main", "limits_wanted", ""));
        world->limits_told = NULL;
    }
}

static void test_refusals(void **state)
{
    static char big[3000];
    static const struct {
        const char *what;
        uint32_t scope;
        const char *container, *resources, *trace;
    } cases[] = {
        {"no such container", CLOISTER_SCOPE_CONTAINER, "none", FIVE, "update!no_entity"},
        {"the machine", CLOISTER_SCOPE_MACHINE, "", FIVE, "update!invalid"},
        {"a process", CLOISTER_SCOPE_PROCESS, "", FIVE, "update!invalid"},
        {"a container in the sandbox's scope", CLOISTER_SCOPE_SANDBOX, "main", FIVE, "update!invalid"},
        {"nothing", CLOISTER_SCOPE_CONTAINER, "", "", "update!invalid"},
        {"a list", CLOISTER_SCOPE_CONTAINER, "", "[]", "update!invalid"},
        {"half", CLOISTER_SCOPE_CONTAINER, "", "{", "update!invalid"},
        {"too much", CLOISTER_SCOPE_CONTAINER, "", big, "update!too_big"},
    };
    struct world *world = *state;
    const char *id = running(world, "web");
    memset(big, ' ', sizeof(big) - 1);
    memcpy(big, "{}", 2);
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_update_args args = {CLOISTER_INIT(struct cloister_update_args), .scope = cases[i].scope,
                                            .sandbox = cl_sv_cstr(id), .container = cl_sv_cstr(cases[i].container),
                                            .resources = cl_sv_cstr(cases[i].resources)};
        ask_update_with(world, &args);
        CL_CHECK_STR(cases[i].what, trace(world), cases[i].trace);
    }
    world->isolation_vtable.isolation.update = NULL;
    ask_update(world, id, "main", FIVE, 0);
    turn(world);
    assert_string_equal(trace(world), "update:unsupported");
    tell_exit(world, 0, 0);
    turn(world);
    (void)trace(world);
    ask_update(world, id, "main", FIVE, 0);
    ask_update(world, id, NULL, FIVE, 0);
    assert_string_equal(trace(world), "update!invalid_state update!invalid_state");
    assert_int_equal(calls_of(world, SLOT_UPDATE), 0);
}

/* O8: exclusive on what it changes; a frozen one may be changed, too. */
static void test_order(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(scopes); i++) {
        const char *id = running(world, i ? "b" : "a");
        world->hold[SLOT_EXEC] = true;
        ask_exec(world, id, "", 0);
        ask_update(world, id, scopes[i].container, FIVE, 0);
        ask_freeze(world, id, "", 0);
        ask_update(world, id, scopes[i].container, SIX, 0);
        turn(world);
        assert_int_equal(calls_of(world, SLOT_UPDATE), 2 * i);
        complete(world, last_call(world, SLOT_EXEC), 0);
        turn(world);
        assert_string_equal(trace(world), "exec:ok update:ok sandbox=4 freeze:ok update:ok");
        assert_string_equal(limits(world, id, scopes[i].container), SIX);
        world->hold[SLOT_EXEC] = false;
    }
}

/* Without the intent on record nothing happens. */
static void test_intent_fails(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1;
    ask_update(world, id, "main", FIVE, 0);
    turn(world);
    assert_string_equal(trace(world), "update:no_space");
    assert_int_equal(calls_of(world, SLOT_UPDATE), 0);
    assert_string_equal(limits(world, id, "main"), "");
    ask_label(world, id, "k", "v", 0);
    ask_update(world, id, NULL, SIX, 0);
    turn(world);
    assert_false(recorded(world, "main", "limits_wanted", ""));
    assert_string_equal(trace(world), "label:ok update:ok");
}

/* The answer stands if what has been reached cannot be written; it is owed. */
static void test_reached_fails(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_after = 1;
    world->put_fail_count = 1;
    ask_update(world, id, "main", FIVE, 0);
    turn(world);
    assert_string_equal(trace(world), "update:ok");
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_DIRTY);
    turn_for(world, 1200);
    assert_int_equal(info(world, id).flags, 0);
    assert_true(recorded(world, "main", "limits", FIVE));
}

static void test_cancel_and_deadline(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_UPDATE] = true;
    cloister_op op = ask_update(world, id, "main", FIVE, 0);
    cl_engine_api.cancel(&world->control.host, op); /* before its intent is written */
    turn(world);
    assert_string_equal(trace(world), "update:cancelled");
    assert_int_equal(calls_of(world, SLOT_UPDATE), 0);
    ask_update(world, id, "main", FIVE, cl_mono_ns() + 20 * MS);
    turn_for(world, 40);
    assert_string_equal(trace(world), "update:deadline");
    assert_int_equal(world->cancels, 1);
    assert_string_equal(limits(world, id, "main"), "");
    assert_false(recorded(world, "main", "limits_wanted", ""));
    world->ignore_cancel = true; /* it is done all the same, and that is recorded */
    op = ask_update(world, id, "main", SIX, 0);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    complete(world, last_call(world, SLOT_UPDATE), 0);
    turn(world);
    assert_string_equal(trace(world), "update:ok");
    assert_true(recorded(world, "main", "limits", SIX));
}

/* Ends while it is asked for: there is nothing to record any more. */
static void test_destroy_meanwhile(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_UPDATE] = true;
    ask_update(world, id, "main", FIVE, 0);
    turn(world);
    ask_destroy(world, id, 0);
    turn(world);
    assert_non_null(strstr(trace(world), "update:cancelled"));
    assert_int_equal(store_sets(world), 0);
}

/* ---- a daemon's death ---- */

static void test_in_force_is_kept(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    ask_update(world, id, NULL, FIVE, 0);
    ask_update(world, id, "main", SIX, 0);
    turn(world);
    world_again(world);
    assert_string_equal(limits(world, id, NULL), FIVE);
    assert_string_equal(limits(world, id, "main"), SIX);
    assert_int_equal(calls_of(world, SLOT_UPDATE), 2); /* nobody asks again */
    assert_int_equal(info(world, id).failure.code, 0);
}

/* Between intent and reached: asked again, before anybody else has a turn. */
static void test_half_done(void **state)
{
    static const struct {
        const char *what;
        uint32_t fail;
        const char *limits, *failure;
    } cases[] = {
        {"again", 0, SIX, ""},
        {"fails", CLOISTER_BUSY, FIVE,
         "finish the update of limits that a former daemon began: the fake was told to fail"},
        {"fails in part", CLOISTER_PARTIAL, "",
         "finish the update of limits that a former daemon began: the fake was told to fail"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(cases) * CL_COUNT(scopes); i++) {
        const char *container = scopes[i % 2].container;
        char id[20], name[2] = {(char)('a' + i), 0}, why[256] = "";
        print_message("  %s, %s\n", cases[i / 2].what, scopes[i % 2].what);
        snprintf(id, sizeof(id), "%s", running(world, name));
        ask_update(world, id, container, FIVE, 0);
        turn(world);
        world->hold[SLOT_UPDATE] = true;
        ask_update(world, id, container, SIX, 0);
        turn(world);
        world_die(world);
        world->hold[SLOT_UPDATE] = false;
        world->fail[SLOT_UPDATE] = cases[i / 2].fail;
        unsigned before = calls_of(world, SLOT_UPDATE);
        assert_int_equal(world_born(world), 0);
        world_recover(world);
        assert_int_equal(world->settled, 1);
        assert_int_equal(calls_of(world, SLOT_UPDATE), before + 1);
        assert_string_equal(limits(world, id, container), cases[i / 2].limits);
        assert_int_equal(recorded(world, container, "limits", ""), *cases[i / 2].limits != 0);
        assert_true(!*cases[i / 2].limits || recorded(world, container, "limits", cases[i / 2].limits));
        assert_false(recorded(world, container, "limits_wanted", ""));
        assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
        const struct cloister_error failure = info(world, id).failure;
        if (failure.code)
            cl_error_sentence(&failure, why, sizeof(why));
        assert_string_equal(why, cases[i / 2].failure);
        world_again(world);
        assert_int_equal(calls_of(world, SLOT_UPDATE), before + 1); /* once */
        assert_string_equal(limits(world, id, container), cases[i / 2].limits);
    }
}

/* Who asks while it is taken over has the last word. */
static void test_half_done_and_another(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->hold[SLOT_UPDATE] = true;
    ask_update(world, id, "main", FIVE, 0);
    turn(world);
    world_die(world);
    world->boot.recover_ns = 20 * MS;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(calls_of(world, SLOT_UPDATE), 2);
    turn_for(world, 40);
    assert_int_equal(world->settled, 1); /* it takes long: the daemon starts all the same */
    ask_update(world, id, "main", SIX, 0);
    turn(world);
    assert_string_equal(trace(world), "");
    world->hold[SLOT_UPDATE] = false;
    complete(world, last_call(world, SLOT_UPDATE), 0);
    turn(world);
    assert_string_equal(trace(world), "update:ok");
    assert_string_equal(limits(world, id, "main"), SIX);
}

static void test_half_done_and_destroyed(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->hold[SLOT_UPDATE] = true;
    ask_update(world, id, "main", FIVE, 0);
    turn(world);
    world_die(world);
    world->boot.recover_ns = 20 * MS;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    (void)logged(world);
    ask_destroy(world, id, 0);
    turn_for(world, 40);
    assert_non_null(strstr(trace(world), "destroy:ok"));
    assert_null(strstr(logged(world), "finish the update")); /* that it was cut short is no failure */
    assert_int_equal(store_sets(world), 0);
}

/* Nothing is wanted of what does not run any more. */
static void test_half_done_of_an_ended_one(void **state)
{
    static const char *const boots[] = {"boot", "another"};
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(boots); i++) {
        char id[20];
        snprintf(id, sizeof(id), "%s", running(world, i ? "b" : "a"));
        world->hold[SLOT_UPDATE] = true;
        ask_update(world, id, "main", FIVE, 0);
        turn(world);
        world_die(world);
        world->hold[SLOT_UPDATE] = false;
        tell_exit(world, (unsigned)i, 0);
        world->boot.boot_id = boots[i];
        unsigned before = calls_of(world, SLOT_UPDATE);
        assert_int_equal(world_born(world), 0);
        world_recover(world);
        (void)trace(world);
        assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
        assert_int_equal(calls_of(world, SLOT_UPDATE), before);
        assert_false(recorded(world, "main", "limits_wanted", ""));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_update),
                                       CASE(test_failures),
                                       CASE(test_refusals),
                                       CASE(test_order),
                                       CASE(test_intent_fails),
                                       CASE(test_reached_fails),
                                       CASE(test_cancel_and_deadline),
                                       CASE(test_destroy_meanwhile),
                                       CASE(test_in_force_is_kept),
                                       CASE(test_half_done),
                                       CASE(test_half_done_and_another),
                                       CASE(test_half_done_and_destroyed),
                                       CASE(test_half_done_of_an_ended_one)};
    return cmocka_run_group_tests_name("core/engine update", tests, NULL, NULL);
}
