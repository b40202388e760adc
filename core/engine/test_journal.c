/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal owes, and to whom, when puts fail or come too late. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/sandbox.h"

struct told {
    struct cl_journal_wait wait;
    unsigned count;
    uint32_t code;
};

static void on_told(void *ctx, const struct cloister_error *err)
{
    struct told *told = ctx;
    told->count++;
    told->code = err ? err->code : 0;
}

static struct cl_sandbox *sandbox_of(struct world *world, const char *id)
{
    return cl_map_get(&world->engine->by_id, cl_sv_cstr(id));
}

/* An exit, which nobody waits for, shares its put with a write that somebody waits for. */
static void test_failed_put_of_two(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cl_sandbox *sandbox = sandbox_of(world, id);
    struct told told = {.count = 0};
    cl_journal_write(sandbox, CL_RECORD_LABELS, CLOISTER_DURABLE_DAEMON, NULL, NULL, NULL);
    tell_exit(world, 0, 0);
    cl_journal_write(sandbox, CL_RECORD_SANDBOX, CLOISTER_DURABLE_DAEMON, &told.wait, on_told, &told);
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1; /* the first is under way already */
    turn(world);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.code, CLOISTER_NO_SPACE);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_DIRTY);
    assert_int_equal(world->engine->dirty, 1);
    assert_non_null(strstr(world->sets[0].sandbox_record, "\"state\":\"up\""));
    turn_for(world, 1200);
    assert_int_equal(world->engine->dirty, 0);
    assert_non_null(strstr(world->sets[0].sandbox_record, "\"state\":\"off\""));
    /* What is only waited for is not owed: its waiter undoes it. */
    cl_journal_write(sandbox, CL_RECORD_SANDBOX, CLOISTER_DURABLE_DAEMON, &told.wait, on_told, &told);
    turn(world);
    assert_int_equal(told.code, 0);
    world->put_fail_count = 1;
    cl_journal_write(sandbox, CL_RECORD_SANDBOX, CLOISTER_DURABLE_DAEMON, &told.wait, on_told, &told);
    turn(world);
    assert_int_equal(told.code, CLOISTER_NO_SPACE);
    assert_int_equal(world->engine->dirty, 0);
}

static void test_write_to_a_removed_record(void **state)
{
    struct world *world = *state;
    struct cl_sandbox *sandbox = cl_sandbox_ref(sandbox_of(world, running(world, "web")));
    struct told removed = {.count = 0}, during = {.count = 0}, after = {.count = 0};
    unsigned puts = world->puts_daemon;
    cl_journal_remove(sandbox, &removed.wait, on_told, &removed);
    cl_journal_write(sandbox, CL_RECORD_SANDBOX, CLOISTER_DURABLE_DAEMON, &during.wait, on_told, &during);
    turn(world);
    assert_int_equal(removed.count, 1);
    assert_int_equal(removed.code, 0);
    assert_int_equal(during.count, 1);
    assert_int_equal(during.code, CLOISTER_CANCELLED);
    cl_journal_write(sandbox, CL_RECORD_SANDBOX, CLOISTER_DURABLE_DAEMON, &after.wait, on_told, &after);
    assert_int_equal(after.count, 0);
    turn(world);
    assert_int_equal(after.count, 1);
    assert_int_equal(after.code, CLOISTER_CANCELLED);
    assert_int_equal(world->puts_daemon, puts);
    cl_sandbox_unref(sandbox);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_failed_put_of_two),
        CASE(test_write_to_a_removed_record),
    };
    return cmocka_run_group_tests_name("core/engine journal", tests, NULL, NULL);
}
