/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a recovered sandbox comes back (O5), what waits for it, and what does not. */
#include "core/engine/test_world.h"

#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/recover.h"

static void on_recovered(void *instance, const struct cloister_sandbox_info *sandbox, cloister_op op)
{
    struct world *world = instance;
    trace_add(world, "recovered(%.*s,%u,%u) ", CL_SV_ARG(sandbox->name), sandbox->state, sandbox->flags);
    assert_true(world->recovered_count < CL_COUNT(world->recovered));
    world->recovered[world->recovered_count++] = op;
    if (world->answers_at_once)
        cl_engine_api.recovered_done(&world->control.host, op);
}

static int asking_setup(void **state)
{
    int r = world_setup(state);
    ((struct world *)*state)->personality_vtable.personality.recovered = on_recovered;
    return r;
}

static char *start(struct world *world, const char *name, char id[64])
{
    snprintf(id, 64, "%s", running(world, name));
    return id;
}

static void answer(struct world *world, cloister_op op)
{
    cl_engine_api.recovered_done(&world->control.host, op);
    turn(world);
}

/* recovered, then the exits, then operations and the daemon's start. */
static void test_order(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    ask_exec(world, id, "", 0);
    turn(world);
    world_die(world);
    tell_exit(world, 1, 1);
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_string_equal(trace(world), "recovered(web,4,1)"); /* up, recovering */
    assert_int_equal(world->settled, 0);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_RECOVERING);
    tell_exit(world, 0, 2); /* of its own accord, behind what was missed */
    ask_wait(world, id, world->processes[1].number);
    ask_exec(world, id, "", 0);
    turn(world);
    assert_string_equal(trace(world), "");
    answer(world, world->recovered[0] + 1000); /* it was not asked that */
    cl_engine_api.recovered_done(&world->other.host, world->recovered[0]);
    turn(world);
    assert_string_equal(trace(world), "");
    answer(world, world->recovered[0]);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "exit(p1) drained(p1) exit(init) wait:ok exec:invalid_state drained(init) "
                                      "container_down container=4 sandbox_down(2) sandbox=2");
    answer(world, world->recovered[0]); /* once is enough */
    assert_string_equal(trace(world), "");
    assert_int_equal(info(world, id).flags, 0);
}

static void test_answer_at_once(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world->answers_at_once = true;
    world_again(world);
    assert_string_equal(trace(world), "recovered(web,4,1)");
    assert_int_equal(world->settled, 1);
}

/* Nobody cancels it by its number, and it is not the start's to wait for ever. */
static void test_late_answer(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world->boot.recover_ns = 30 * CL_NS_PER_MS;
    world_again(world);
    assert_int_equal(world->settled, 0);
    cl_engine_api.cancel(&world->control.host, world->recovered[0]);
    turn_for(world, 60);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_RECOVERING);
    ask_exec(world, id, "", 0);
    turn(world);
    (void)trace(world);
    answer(world, world->recovered[0]);
    assert_string_equal(trace(world), "exec:ok");
    assert_int_equal(world->settled, 1);
}

/* One adopt that does not come back holds up only its own sandbox. */
static void test_one_is_blocked(void **state)
{
    struct world *world = *state;
    char id[64], other[64];
    start(world, "web", id);
    start(world, "two", other);
    world_die(world);
    world->hold[SLOT_ADOPT] = true;
    world->boot.recover_ns = 30 * CL_NS_PER_MS;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(calls_of(world, SLOT_ADOPT), 2);
    unsigned blocked = last_call(world, SLOT_ADOPT);
    complete(world, blocked - 1, 0);
    turn(world);
    assert_int_equal(world->settled, 0);
    turn_for(world, 60);
    assert_int_equal(world->settled, 1);
    const struct cloister_iso_adopt_args *args = world->calls[blocked].args;
    char late[64], settled[64];
    snprintf(late, sizeof(late), "%.*s", CL_SV_ARG(args->sandbox.id));
    snprintf(settled, sizeof(settled), "%s", strcmp(late, id) == 0 ? other : id);
    ask_exec(world, late, "", 0);
    ask_exec(world, settled, "", 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
    ask_create(world, strcmp(late, id) == 0 ? "web" : "two", 0, 0); /* its name is taken */
    assert_string_equal(trace(world), "create!exists");
    running(world, "new");
    (void)trace(world);
    complete(world, blocked, 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
    assert_int_equal(world->settled, 1);
}

/* A destroy does not wait for what is not known yet. */
static void test_destroy_of_a_blocked_one(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world_die(world);
    world->hold[SLOT_ADOPT] = true;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    ask_exec(world, id, "", 0);
    ask_destroy(world, id, 0);
    turn(world);
    assert_int_equal(world->cancels, 1);
    assert_string_equal(trace(world),
                        "exec:cancelled exit(init) drained(init) container_down container=4 sandbox_down(2) "
                        "destroy:ok");
    assert_int_equal(store_sets(world), 0);
    assert_int_equal(world->settled, 1);
}

static void test_destroy_while_the_personality_thinks(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world_die(world);
    tell_exit(world, 0, 5);
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "recovered(web,4,1) exit(init) drained(init) container_down container=4 "
                                      "sandbox_down(2) destroy:ok");
    answer(world, world->recovered[0]);
    assert_string_equal(trace(world), "");
    assert_int_equal(world->settled, 1);
}

/* It lives and does not answer: shown, asked again, and the start does not wait for it. */
static void test_no_contact(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    set_fate(world, id, 0, CLOISTER_NO_CONTACT);
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "");
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_RECOVERING | CLOISTER_SANDBOX_NO_CONTACT);
    assert_int_equal(info(world, id).failure.code, CLOISTER_NO_CONTACT);
    ask_exec(world, id, "", 0);
    turn(world);
    assert_int_equal(calls_of(world, SLOT_ADOPT), 1);
    turn_for(world, 1200);
    assert_int_equal(calls_of(world, SLOT_ADOPT), 2);
    assert_string_equal(trace(world), "event7 exec:ok");
    assert_int_equal(info(world, id).flags, 0);
    assert_int_equal(info(world, id).failure.code, 0);
}

static void test_destroy_without_contact(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    set_fate(world, id, 0, CLOISTER_NO_CONTACT);
    world_again(world);
    ask_destroy(world, id, 0);
    turn(world);
    assert_int_equal(store_sets(world), 0);
    assert_string_equal(world->plan_seen, "plan");
}

/* What is not answered by the plugin at all, or with nonsense, is no reason to lose a sandbox. */
static void test_no_inventory(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    set_fate(world, id, 77, 0);
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_RECOVERING | CLOISTER_SANDBOX_NO_CONTACT);
    set_fate(world, id, CLOISTER_FATE_ALIVE, 0);
    turn_for(world, 1200);
    assert_int_equal(info(world, id).flags, 0);
}

/* A completion from inside the call is put off, with everything in it. */
static void test_adopt_inside(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world_die(world);
    tell_exit(world, 0, 5);
    world->inside[SLOT_ADOPT] = true;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_string_equal(trace(world), "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2");
}

/* The store does not answer one get: the rest goes on. */
static void test_a_blocked_get(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world_die(world);
    world->hold_gets = true;
    world->boot.recover_ns = 30 * CL_NS_PER_MS;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(world->settled, 0);
    turn_for(world, 60);
    assert_int_equal(world->settled, 1);
    assert_int_equal(world->known_seen, 1); /* not swept */
    assert_true(run_dir_exists(world, id));
    release_gets(world);
    turn(world);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
}

/* What is made during a sweep would be taken for an orphan. */
static void test_a_blocked_sweep(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_SWEEP] = true;
    world_die(world);
    world->boot.recover_ns = 30 * CL_NS_PER_MS;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    turn_for(world, 60);
    assert_int_equal(world->settled, 1);
    ask_create(world, "web", 0, 0);
    cloister_op op = ask_create(world, "two", 0, 0);
    turn(world);
    assert_int_equal(calls_of(world, SLOT_CREATE), 0);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "create:cancelled");
    complete(world, last_call(world, SLOT_SWEEP), 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4");
}

static void on_drained(void *ctx)
{
    ((struct world *)ctx)->drained++;
}

/* A drain does not wait for answers that may never come; the next daemon finds everything as it was. */
static void test_drain_while_recovering(void **state)
{
    struct world *world = *state;
    char id[64], other[64];
    start(world, "web", id);
    start(world, "two", other);
    set_fate(world, other, 0, CLOISTER_NO_CONTACT);
    world_again(world);
    (void)trace(world);
    cl_engine_drain(world->engine, cl_mono_ns() + 60 * CL_NS_PER_S, on_drained, world);
    turn(world);
    assert_int_equal(world->drained, 1);
    assert_int_equal(world->settled, 1);
    assert_int_equal(store_sets(world), 2);
    world_die(world);
    world->answers_at_once = true;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).flags, 0);
    assert_int_equal(info(world, other).flags, 0);
}

static void test_a_thousand(void **state)
{
    struct world *world = *state;
    char name[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        ask_create(world, name, CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
        if (i % 50 == 0)
            turn(world);
    }
    turn(world);
    assert_int_equal(store_sets(world), 1000);
    world_again(world);
    for (unsigned i = 0; i < 200 && !world->settled; i++)
        turn(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(world->engine->by_id.size, 1000);
    assert_int_equal(calls_of(world, SLOT_ADOPT), 1000);
    assert_true(world->adopting_most > 8 && world->adopting_most <= 64); /* side by side, but not all at once */
    CL_LIST_FOREACH(node, &world->engine->sandboxes)
    {
        const struct cl_sandbox *sandbox = CL_CONTAINER(node, struct cl_sandbox, node);
        assert_int_equal(sandbox->state, CLOISTER_SANDBOX_UP);
        assert_false(sandbox->recovering);
    }
}

/* One of each kind; returns how many sandboxes must be listed in the end. */
static unsigned make_past(struct world *world)
{
    static const char *const names[] = {"alive", "dead", "stopped", "gone"};
    char ids[4][64];
    for (unsigned i = 0; i < CL_COUNT(names); i++)
        start(world, names[i], ids[i]);
    ask_exec(world, ids[0], "named", 0);
    ask_label(world, ids[0], "key", "value", 0);
    ask_record(world, ids[0], CLOISTER_RECORD_STORE, CLOISTER_SV("mine"));
    turn(world);
    set_fate(world, ids[1], CLOISTER_FATE_OFF, 0);
    tell_exit(world, 2, 1);
    world->hold[SLOT_DESTROY] = world->hold[SLOT_CREATE] = true;
    ask_destroy(world, ids[3], 0);
    ask_create(world, "half", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    world->hold[SLOT_DESTROY] = world->hold[SLOT_CREATE] = false;
    unsigned i = 0;
    while (world->sets[i].used)
        i++;
    world->sets[i] = (struct fake_set){.used = true, .health = CLOISTER_HEALTH_LOST};
    snprintf(world->sets[i].id, sizeof(world->sets[i].id), "zzzzzzzzzzzzzzzz");
    snprintf(world->sets[i].summary, sizeof(world->sets[i].summary), "up nobody main lost");
    return 4;
}

static bool comes_back(const struct world *world, unsigned expected)
{
    unsigned recovering = 0, stuck = 0;
    CL_LIST_FOREACH(node, &world->engine->sandboxes)
    {
        const struct cl_sandbox *sandbox = CL_CONTAINER(node, struct cl_sandbox, node);
        recovering += sandbox->recovering;
        stuck += sandbox->state == CLOISTER_SANDBOX_DESTROYING && sandbox->failure.os_errno == ENOMEM;
    }
    return world->settled == 1 && world->engine->by_id.size == expected + stuck && stuck < 2 && recovering == 0;
}

/* What waits for a better time thinks that it has come. */
static void hurry(struct world *world)
{
    CL_LIST_FOREACH(node, &world->engine->operations)
    {
        struct cl_operation *operation = CL_CONTAINER(node, struct cl_operation, node);
        if (operation->wake_at)
            operation->wake_at = 1;
    }
    cl_engine_wake_at(world->engine, 1);
    if (world->engine->recovery)
        (void)cl_timer_set(world->engine->recovery->retry, 1, 0);
    turn(world);
}

/* Recovers with the nth allocation failing; returns how many there were. */
static uint64_t recover_without(uint64_t nth)
{
    struct world *world;
    assert_int_equal(world_setup((void **)&world), 0);
    unsigned expected = make_past(world);
    world_die(world);
    assert_int_equal(world_born(world), 0);
    cl_mem_fail_nth(nth);
    int r = cl_engine_recover(world->engine, on_settled, world);
    for (unsigned i = 0; i < 3 && r == 0; i++)
        turn(world);
    uint64_t count = cl_mem_count();
    cl_mem_fail_nth(0);
    for (unsigned i = 0; i < 15 && r == 0 && !comes_back(world, expected); i++)
        hurry(world); /* what found none is tried again */
    if (r == 0 && !comes_back(world, expected))
        fail_msg("allocation %llu: settled %u, %zu sandboxes: %s", (unsigned long long)nth, world->settled,
                 world->engine->by_id.size, logged(world));
    assert_int_equal(world_teardown((void **)&world), 0);
    return count;
}

/* Wherever memory fails once, it comes to the same end; but what was to be removed may stay listed, with the reason. */
static void test_no_memory(void **state)
{
    (void)state;
    uint64_t sites = recover_without(UINT64_MAX);
    assert_true(sites > 300);
    for (uint64_t nth = 1; nth <= sites; nth++)
        (void)recover_without(nth);
}

/* Killed after any turn of the loop, the next one comes to the same end. */
static void test_killed_again(void **state)
{
    (void)state;
    bool settled = false;
    for (unsigned turns = 0; !settled; turns++) {
        struct world *world;
        assert_int_equal(world_setup((void **)&world), 0);
        unsigned expected = make_past(world);
        world_die(world);
        for (unsigned times = 0; times < 2; times++) {
            assert_int_equal(world_born(world), 0);
            assert_int_equal(cl_engine_recover(world->engine, on_settled, world), 0);
            for (unsigned i = 0; i < turns && !world->settled; i++)
                cl_loop_run_pending(world->loop, 1);
            settled = world->settled;
            world_die(world);
        }
        assert_int_equal(world_born(world), 0);
        world_recover(world);
        for (unsigned i = 0; i < 3 && !comes_back(world, expected); i++)
            hurry(world);
        if (!comes_back(world, expected))
            fail_msg("after %u turns: %zu sandboxes", turns, world->engine->by_id.size);
        assert_int_equal(world_teardown((void **)&world), 0);
    }
}

static void test_fenced(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world->put_fails = CLOISTER_FENCED;
    world->put_fail_count = 1000;
    tell_exit(world, 0, 0);
    turn(world);
    (void)trace(world);
    ask_create(world, "two", 0, 0);
    assert_string_equal(trace(world), "create!unavailable");
    assert_non_null(strstr(world->sentence, "another daemon has taken the store over"));
    assert_non_null(strstr(logged(world), "no more sandboxes here"));
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_DIRTY);
}

/* The disk is full: a destroy is what makes room. */
static void test_destroy_on_a_full_disk(void **state)
{
    struct world *world = *state;
    char id[64];
    start(world, "web", id);
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1000;
    ask_create(world, "two", 0, 0);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 create:no_space exit(init) drained(init) container_down container=4 "
                                      "sandbox_down(2) destroy:ok");
    assert_int_equal(store_sets(world), 0);
}

#define PLAIN(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
#define ASKING(name) cmocka_unit_test_setup_teardown(name, asking_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASKING(test_order),
        ASKING(test_answer_at_once),
        ASKING(test_late_answer),
        PLAIN(test_one_is_blocked),
        PLAIN(test_destroy_of_a_blocked_one),
        ASKING(test_destroy_while_the_personality_thinks),
        PLAIN(test_no_contact),
        PLAIN(test_destroy_without_contact),
        PLAIN(test_no_inventory),
        PLAIN(test_adopt_inside),
        PLAIN(test_a_blocked_get),
        PLAIN(test_a_blocked_sweep),
        ASKING(test_drain_while_recovering),
        PLAIN(test_a_thousand),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_killed_again),
        PLAIN(test_fenced),
        PLAIN(test_destroy_on_a_full_disk),
    };
    return cmocka_run_group_tests_name("core/engine recovered", tests, NULL, NULL);
}
