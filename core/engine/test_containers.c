/* SPDX-License-Identifier: Apache-2.0 */
/* Further containers of a sandbox: made whole or gone, and what comes out meanwhile. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/sandbox.h"

static const char *two(struct world *world)
{
    const char *id = running(world, "web");
    assert_true(ask_container(world, id, "c2", CLOISTER_START_NOW) != 0);
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3");
    return id;
}

static bool run_file(const struct world *world, const char *id, const char *cid)
{
    char leaf[64];
    snprintf(leaf, sizeof(leaf), "%s/run-%s", id, cid);
    return run_dir_exists(world, leaf);
}

static struct cl_sandbox *sandbox_of(struct world *world, const char *id)
{
    return cl_map_get(&world->engine->by_id, cl_sv_cstr(id));
}

/* Nothing of it is left, and its id is free. */
static void check_gone(const char *name, struct world *world, const char *id)
{
    CL_CHECK_INT(name, info(world, id).container_count, 1);
    CL_CHECK_INT(name, info(world, id).process_count, 1);
    CL_CHECK(name, !put_record(world, "c:c2"));
    CL_CHECK(name, !put_record(world, "spec:c2"));
    CL_CHECK(name, !run_file(world, id, "c2"));
    CL_CHECK(name, cl_list_empty(&sandbox_of(world, id)->graves));
    CL_CHECK(name, cl_list_empty(&sandbox_of(world, id)->doomed));
}

static void test_life(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    unsigned power = world->puts_power, daemon = world->puts_daemon;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    ask_wait_for(world, id, "c2");
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3");
    assert_int_equal(world->puts_power, power + 1);
    assert_int_equal(world->puts_daemon, daemon + 1);
    assert_non_null(strstr(put_record(world, "spec:c2"), "\"rootfs\":\"/srv/other\""));
    assert_non_null(strstr(put_record(world, "c:c2"), "\"state\":3"));
    assert_non_null(strstr(put_record(world, "sandbox"), "\"lasting\":true"));
    assert_true(run_file(world, id, "c2"));
    assert_int_equal(info(world, id).container_count, 2);
    /* Each has its own environment, and its events its name. */
    ask_exec_in(world, id, "c2");
    turn(world);
    assert_string_equal(world->env_seen, "TOKEN=SECRET2;");
    ask_exec_in(world, id, "");
    turn(world);
    assert_string_equal(world->env_seen, "TOKEN=SECRET;");
    tell_exit(world, 2, 0);
    tell_exit(world, 3, 0);
    assert_string_equal(trace(world), "exec:ok exec:ok exit(p1@c2) drained(p1@c2) exit(p2) drained(p2)");
    /* Its end is its own, and the sandbox outlives them all. */
    ask_exec_in(world, id, "c2");
    turn(world);
    tell_exit(world, 1, 5);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(init@c2) exit(p3@c2) drained(p3@c2) drained(init@c2) "
                                      "container_down@c2 container@c2=4 wait-for:ok");
    assert_int_equal(world->last.status.value, 5);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) drained(init) container_down container=4");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    assert_true(run_file(world, id, "c2"));
    ask_container(world, id, "c3", CLOISTER_START_NOW); /* and takes more */
    turn(world);
    assert_string_equal(trace(world), "c3:ok container@c3=3");
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 exit(init@c3) drained(init@c3) container_down@c3 container@c3=4 "
                                      "sandbox_down(2) destroy:ok");
    assert_int_equal(store_sets(world), 0);
    assert_false(world->saw_secret);
}

static void test_in_an_empty_sandbox(void **state)
{
    struct world *world = *state;
    ask_create(world, "pod", 0, 0);
    ask_container(world, "", "c1", CLOISTER_START_NOW);
    assert_string_equal(trace(world), "c1!no_entity");
    turn(world);
    char id[20];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    ask_container(world, id, "c1", CLOISTER_START_NOW);
    turn(world);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 c1:ok container@c1=3 exit(init@c1) drained(init@c1) "
                                      "container_down@c1 container@c1=4");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
}

static void test_blocked(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args),
                                                  .sandbox = cl_sv_cstr(id), .container = CLOISTER_SV("c2")};
    ask_container(world, id, "c2", CLOISTER_START_BLOCKED);
    /* Asked before it is there, done when it is. */
    assert_true(cl_engine_api.container_start(&world->control.host, &start, on_done, caller(world, "start"), NULL));
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=2 start:ok container@c2=3");
    assert_false(world->processes[1].blocked);
}

/* O1, also for the others of the sandbox: what comes behind an event that has to wait waits with it (O4). */
static void test_an_init_that_ends_at_once(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_exec(world, id, "", 0);
    turn(world);
    (void)trace(world);
    world->hold[SLOT_FURTHER] = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    unsigned held = last_call(world, SLOT_FURTHER);
    struct cloister_iso_event early = {
        CLOISTER_INIT(struct cloister_iso_event), .kind = CLOISTER_EVENT_EXIT, .sandbox = cl_sv_cstr(id),
        .process = ((const struct cloister_iso_create_args *)world->calls[held].args)->init,
        .status = {.kind = CLOISTER_STATUS_EXITED}};
    cl_engine_iso_api.event(&world->isolation.host, &early);
    tell_exit(world, 1, 0);
    turn(world);
    assert_string_equal(trace(world), "");
    complete(world, held, 0);
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3 exit(init@c2) drained(init@c2) container_down@c2 "
                                      "container@c2=4 exit(p1) drained(p1)");
}

static void test_side_by_side(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_FURTHER] = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    assert_string_equal(trace(world), "c2!exists");
    assert_string_equal(world->last_error.subject, "c2");
    turn(world);
    assert_int_equal(calls_of(world, SLOT_FURTHER), 2);
    unsigned last = last_call(world, SLOT_FURTHER);
    complete(world, last, 0);
    turn(world);
    ask_exec_in(world, id, "c3"); /* while the other is not there yet */
    turn(world);
    complete(world, last - 1, CLOISTER_IO);
    turn(world);
    assert_string_equal(trace(world), "c3:ok container@c3=3 exec:ok c2:io");
    assert_int_equal(info(world, id).container_count, 2);
    assert_null(put_record(world, "c:c2"));
    assert_non_null(put_record(world, "c:c3"));
}

static void test_limit(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static char cids[64][8];
    world->hold[SLOT_FURTHER] = true;
    for (unsigned i = 0; i < 63; i++) {
        snprintf(cids[i], sizeof(cids[i]), "n-%u", i);
        assert_true(ask_container(world, id, cids[i], CLOISTER_START_NOW) != 0);
    }
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    assert_string_equal(trace(world), "c2!limit");
    assert_string_equal(world->last_error.subject, "containers");
    world_die(world); /* with all of them under way */
    assert_int_equal(world_born(world), 0);
}

/* Asked for in a sandbox or a world that cannot. */
static void test_refused(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    ask_freeze(world, id, "", 0);
    turn(world);
    (void)trace(world);
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "c3:frozen");
    ask_thaw(world, id, "");
    turn(world);
    (void)trace(world);
    world->isolation_vtable.isolation.container_delete = NULL;
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    assert_string_equal(trace(world), "c3!unsupported");
    world->isolation_vtable.isolation.container_delete = fake_isolation.container_delete;
    struct cloister_container_create_args args = {CLOISTER_INIT(struct cloister_container_create_args),
                                                  .sandbox = cl_sv_cstr(id)};
    ask_container_with(world, &args);
    assert_string_equal(trace(world), "further!invalid");
    assert_string_equal(world->last_error.subject, "container");
    ask_container(world, id, "", CLOISTER_START_NOW);
    assert_string_equal(world->last_error.subject, "cid");
    (void)trace(world);
    tell_lost(world, id);
    turn(world);
    (void)trace(world);
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    assert_string_equal(trace(world), "c3!invalid_state");
    assert_int_equal(world->last_error.detail, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).container_count, 2);
}

/* Whatever fails on the way: undone, then answered (sdk.md section 5: "undo"). */
static void test_undone(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static const struct {
        const char *name;
        uint32_t put_fails;
        unsigned put_fail_after;
        uint32_t iso_fails;
        unsigned deletes; /* asked of isolation */
        const char *want;
    } cases[] = {
        {"intent", CLOISTER_NO_SPACE, 0, 0, 0, "c2:no_space"},
        {"isolation", 0, 0, CLOISTER_MOUNT_FAILED, 0, "c2:mount_failed"},
        {"reached", CLOISTER_IO, 1, 0, 1, "c2:io"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        unsigned deletes = calls_of(world, SLOT_DELETE), fds = open_fds();
        world->put_fails = cases[i].put_fails;
        world->put_fail_after = cases[i].put_fail_after;
        world->put_fail_count = 1;
        world->fail[SLOT_FURTHER] = cases[i].iso_fails;
        ask_container(world, id, "c2", CLOISTER_START_NOW);
        ask_wait_for(world, id, "c2");
        turn(world);
        const char *text = trace(world);
        CL_CHECK(cases[i].name, strstr(text, cases[i].want) && strstr(text, "wait-for:no_entity"));
        CL_CHECK(cases[i].name, !strstr(text, "exit") && !strstr(text, "container"));
        CL_CHECK_INT(cases[i].name, calls_of(world, SLOT_DELETE), deletes + cases[i].deletes);
        CL_CHECK_INT(cases[i].name, open_fds(), fds);
        world->put_fails = world->put_fail_count = 0;
        check_gone(cases[i].name, world, id);
    }
    assert_non_null(strstr(put_record(world, "sandbox"), "\"lasting\":false"));
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3");
}

/* A deadline or a cancel, at each step. */
static void test_cancelled(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    cloister_op op = ask_container(world, id, "c2", CLOISTER_START_NOW);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "c2:cancelled");
    check_gone("at once", world, id);
    assert_int_equal(calls_of(world, SLOT_FURTHER), 0);
    world->hold[SLOT_FURTHER] = true;
    op = ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "c2:cancelled");
    check_gone("isolation obeys", world, id);
    assert_int_equal(calls_of(world, SLOT_DELETE), 0);
    world->ignore_cancel = true;
    op = ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "");
    complete(world, last_call(world, SLOT_FURTHER), 0);
    turn(world);
    assert_string_equal(trace(world), "c2:cancelled");
    check_gone("isolation does not", world, id);
    assert_int_equal(calls_of(world, SLOT_DELETE), 1);
    assert_false(world->processes[1].alive);
}

/* What isolation cannot be rid of is tried again until it goes; meanwhile its id is not free. */
static void test_undo_fails(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->put_fails = CLOISTER_IO;
    world->put_fail_after = 1;
    world->put_fail_count = 1;
    world->hold[SLOT_DELETE] = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    complete(world, last_call(world, SLOT_DELETE), CLOISTER_BUSY);
    turn(world);
    assert_string_equal(trace(world), "c2:io");
    assert_int_equal(info(world, id).container_count, 1);
    complete(world, last_call(world, SLOT_DELETE), CLOISTER_BUSY);
    turn(world);
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    assert_string_equal(trace(world), "c2!busy");
    assert_non_null(put_record(world, "c:c2")); /* for the next daemon */
    world->hold[SLOT_DELETE] = false;
    turn_for(world, 1100);
    check_gone("in the end", world, id);
    assert_int_equal(calls_of(world, SLOT_DELETE), 3);
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3");
}

/* Its only container ends while another one is made: it is up as long as it may come, and not longer. */
static void test_down_behind_an_undo(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_FURTHER] = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) drained(init) container_down container=4");
    complete(world, last_call(world, SLOT_FURTHER), CLOISTER_IO);
    turn(world);
    assert_string_equal(trace(world), "c2:io sandbox_down(2) sandbox=2");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
}

static void test_keeper_dies_meanwhile(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_FURTHER] = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    tell_lost(world, id);
    turn(world);
    assert_string_equal(trace(world), "exit(init,lost) container_down,lost container=4 sandbox_down(3) sandbox=2");
    complete(world, last_call(world, SLOT_FURTHER), 0);
    turn(world);
    assert_string_equal(trace(world), "c2:lost");
    check_gone("lost", world, id);
}

static void test_destroyed_meanwhile(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    world->hold[SLOT_FURTHER] = true;
    world->ignore_cancel = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    ask_exec_in(world, id, "c2");
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 exec:cancelled");
    complete(world, last_call(world, SLOT_FURTHER), 0);
    turn(world);
    assert_string_equal(trace(world), "c2:cancelled exit(init) drained(init) container_down container=4 "
                                      "sandbox_down(2) destroy:ok");
    assert_int_equal(calls_of(world, SLOT_DELETE), 0); /* the sandbox's end is enough */
    assert_int_equal(store_sets(world), 0);
}

static void test_destroy_of_three(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    ask_exec_in(world, id, "c2");
    turn(world);
    for (unsigned i = 0; i < 3; i++)
        ask_wait_for(world, id, i == 0 ? "" : i == 1 ? "c2" : "c3");
    turn(world);
    (void)trace(world);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world),
                        "sandbox=6 exit(p1@c2) drained(p1@c2) exit(init) drained(init) container_down container=4 "
                        "wait-for:ok exit(init@c2) drained(init@c2) container_down@c2 container@c2=4 wait-for:ok "
                        "exit(init@c3) drained(init@c3) container_down@c3 container@c3=4 wait-for:ok sandbox_down(2) "
                        "destroy:ok");
    assert_int_equal(store_sets(world), 0);
}

static void test_lost_with_three(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    turn(world);
    (void)trace(world);
    tell_lost(world, id);
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init,lost) exit(init@c2,lost) exit(init@c3,lost) container_down,lost container=4 "
                        "container_down@c2,lost container@c2=4 container_down@c3,lost container@c3=4 sandbox_down(3) "
                        "sandbox=2");
    assert_false(run_file(world, id, "c2"));
    ask_delete(world, id, "c2", 0, 0);
    turn(world);
    assert_string_equal(trace(world), "delete:ok");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        TEST(test_life),
        TEST(test_in_an_empty_sandbox),
        TEST(test_blocked),
        TEST(test_an_init_that_ends_at_once),
        TEST(test_side_by_side),
        TEST(test_limit),
        TEST(test_refused),
        TEST(test_undone),
        TEST(test_cancelled),
        TEST(test_undo_fails),
        TEST(test_down_behind_an_undo),
        TEST(test_keeper_dies_meanwhile),
        TEST(test_destroyed_meanwhile),
        TEST(test_destroy_of_three),
        TEST(test_lost_with_three),
    };
    return cmocka_run_group_tests_name("core/engine containers", tests, NULL, NULL);
}
