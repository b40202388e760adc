/* SPDX-License-Identifier: Apache-2.0 */
/* A container is deleted: what it waits for, what it sends away, what is left when it fails. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/sandbox.h"

#define MS CL_NS_PER_MS

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

static void test_delete(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    ask_delete(world, id, "c2", 0, 0);
    assert_string_equal(trace(world), "delete!invalid_state");
    assert_int_equal(world->last_error.detail, CLOISTER_CONTAINER_RUNNING);
    assert_string_equal(world->last_error.subject, "c2");
    ask_delete(world, id, "c2", 2, 0);
    assert_string_equal(trace(world), "delete!invalid");
    ask_exec_in(world, id, "c2");
    ask_wait_for(world, id, "c2");
    turn(world);
    unsigned power = world->puts_power;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(p1@c2) drained(p1@c2) exit(init@c2) drained(init@c2) "
                                      "container_down@c2 container@c2=4 wait-for:ok delete:ok delete:ok");
    assert_int_equal(world->puts_power, power);
    assert_int_equal(calls_of(world, SLOT_DELETE), 1);
    check_gone("deleted", world, id);
    ask_wait_for(world, id, "c2");
    ask_exec_in(world, id, "c2");
    assert_string_equal(trace(world), "wait-for!no_entity exec!no_entity");
    ask_delete(world, id, "c2", 0, 0); /* idempotent */
    ask_delete(world, id, "zz", 0, 0);
    turn(world);
    assert_string_equal(trace(world), "delete:ok delete:ok");
    /* Its id is free, and the next one of it is another. */
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    tell_exit(world, 3, 0);
    turn(world);
    (void)trace(world);
    ask_delete(world, id, "c2", 0, 0); /* stopped: without force */
    turn(world);
    assert_string_equal(trace(world), "delete:ok");
    check_gone("again", world, id);
}

/* The first one is like any other, and the last one takes the sandbox along unless it is made to last. */
static void test_delete_the_first(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    ask_delete(world, id, "main", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) drained(init) container_down container=4 delete:ok");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    assert_int_equal(info(world, id).container_count, 0);
    (void)trace(world);
    const char *one = running(world, "one");
    ask_delete(world, one, "main", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2 delete:ok");
    assert_int_equal(info(world, one).state, CLOISTER_SANDBOX_OFF);
    ask_destroy(world, one, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:ok");
}

/* It waits for an exec that has begun, and sends those away that wait behind it. */
static void test_delete_while_exec_runs(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->hold[SLOT_EXEC] = true;
    ask_exec_in(world, id, "c2");
    turn(world);
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    ask_exec_in(world, id, "c2");
    ask_exec_in(world, id, ""); /* not its business */
    turn(world);
    assert_int_equal(calls_of(world, SLOT_DELETE), 0);
    assert_int_equal(calls_of(world, SLOT_EXEC), 2);
    complete(world, last_call(world, SLOT_EXEC), 0);
    complete(world, last_call(world, SLOT_EXEC) - 1, 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exec:ok exec:cancelled exit(p2@c2) drained(p2@c2) exit(init@c2) "
                                      "drained(init@c2) container_down@c2 container@c2=4 delete:ok");
    assert_int_equal(info(world, id).process_count, 2);
}

static void test_no_exec_behind_a_delete(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->hold[SLOT_KILL] = true;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    ask_exec_in(world, id, "c2");
    assert_string_equal(trace(world), "exec!invalid_state");
    assert_non_null(strstr(world->sentence, "container 'c2' is being deleted"));
    complete(world, last_call(world, SLOT_KILL), 0);
    turn(world);
    assert_non_null(strstr(trace(world), "delete:ok"));
}

/* Every event of it has been told before the delete is answered, also those that wait for somebody else's turn. */
static void test_delete_waits_for_events(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    tell_exit(world, 1, 0);
    turn(world);
    (void)trace(world);
    world->hold[SLOT_EXEC] = true;
    ask_exec_in(world, id, "");
    turn(world);
    unsigned held = last_call(world, SLOT_EXEC);
    struct cloister_iso_event event = {
        CLOISTER_INIT(struct cloister_iso_event), .kind = CLOISTER_EVENT_EXIT, .sandbox = cl_sv_cstr(id),
        .process = ((const struct cloister_iso_exec_args *)world->calls[held].args)->process,
        .status = {.kind = CLOISTER_STATUS_EXITED}};
    cl_engine_iso_api.event(&world->isolation.host, &event);
    event.kind = CLOISTER_EVENT_OOM;
    event.container = CLOISTER_SV("c2");
    event.process = 0;
    cl_engine_iso_api.event(&world->isolation.host, &event);
    ask_delete(world, id, "c2", 0, 0);
    turn(world);
    assert_int_equal(calls_of(world, SLOT_DELETE), 1);
    assert_string_equal(trace(world), "");
    complete(world, held, 0);
    turn(world);
    char want[80];
    snprintf(want, sizeof(want), "exec:ok exit(p1) drained(p1) event%d delete:ok", CLOISTER_EVENT_OOM);
    assert_string_equal(trace(world), want);
}

/* It stays listed with what is wanted of it, and the next one goes on. */
static void test_delete_fails(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world), "delete:no_space"); /* nothing happened */
    assert_true(world->processes[1].alive);
    ask_exec_in(world, id, "c2");
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
    world->fail[SLOT_KILL] = CLOISTER_IO;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world), "delete:io");
    assert_non_null(strstr(put_record(world, "c:c2"), "\"goal\":3"));
    world->fail[SLOT_DELETE] = CLOISTER_BUSY;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(p1@c2) drained(p1@c2) exit(init@c2) drained(init@c2) container_down@c2 "
                                      "container@c2=4 delete:busy");
    assert_int_equal(info(world, id).container_count, 2);
    /* The answer stands whether its record has gone or not. */
    world->put_fail_after = 1;
    world->put_fail_count = 2;
    ask_delete(world, id, "c2", 0, 0);
    turn(world);
    assert_string_equal(trace(world), "delete:ok");
    assert_int_equal(info(world, id).container_count, 1);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_DIRTY);
    assert_non_null(put_record(world, "c:c2"));
    turn_for(world, 1100);
    assert_int_equal(info(world, id).flags, 0);
    check_gone("in the end", world, id);
}

/* Removed from the store once it can be, or written over by the next one of that id. */
static void test_its_id_before_its_record_has_gone(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->put_fails = CLOISTER_IO;
    world->put_fail_after = 2;
    world->put_fail_count = 2;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    (void)trace(world);
    assert_false(cl_list_empty(&sandbox_of(world, id)->graves));
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3");
    turn_for(world, 1100);
    assert_true(cl_list_empty(&sandbox_of(world, id)->graves));
    assert_non_null(put_record(world, "c:c2"));
    assert_non_null(put_record(world, "spec:c2"));
}

/* A deadline ends the wait, not the work; a destroy takes over what does not come to an end. */
static void test_delete_does_not_end(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->immortal = true;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, cl_mono_ns() + 20 * MS);
    turn_for(world, 40);
    assert_string_equal(trace(world), "delete:deadline");
    world->immortal = false;
    tell_exit(world, 1, 0);
    turn(world);
    check_gone("later", world, id);
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    (void)trace(world);
    world->immortal = true;
    cloister_op op = ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "delete:cancelled");
    ask_destroy(world, id, 0);
    turn(world);
    const char *text = trace(world);
    assert_non_null(strstr(text, "exit(init@c2)"));
    assert_non_null(strstr(text, "destroy:ok"));
    assert_int_equal(store_sets(world), 0);
}

/* What isolation does not tell of has ended all the same when it says that nothing is left. */
static void test_untold_ends(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->hold[SLOT_KILL] = true;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    world->hold[SLOT_DELETE] = true;
    complete(world, last_call(world, SLOT_KILL), 0);
    turn(world);
    (void)trace(world);
    world->processes[1].alive = true; /* it has told, so nothing is told twice */
    complete(world, last_call(world, SLOT_DELETE), CLOISTER_NO_ENTITY);
    turn(world);
    assert_string_equal(trace(world), "delete:ok");
}

static void test_delete_what_is_frozen(void **state)
{
    struct world *world = *state;
    const char *id = two(world);
    world->v1 = true;
    ask_freeze(world, id, "c2", 0);
    turn(world);
    (void)trace(world);
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    const char *text = trace(world);
    assert_non_null(strstr(text, "exit(init@c2)"));
    assert_non_null(strstr(text, "delete:ok"));
    assert_true(calls_of(world, SLOT_THAW) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        TEST(test_delete),
        TEST(test_delete_the_first),
        TEST(test_delete_while_exec_runs),
        TEST(test_no_exec_behind_a_delete),
        TEST(test_delete_waits_for_events),
        TEST(test_delete_fails),
        TEST(test_its_id_before_its_record_has_gone),
        TEST(test_delete_does_not_end),
        TEST(test_untold_ends),
        TEST(test_delete_what_is_frozen),
    };
    return cmocka_run_group_tests_name("core/engine container_delete", tests, NULL, NULL);
}
