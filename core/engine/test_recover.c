/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's end and the next one's beginning. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"

static void on_drained(void *ctx)
{
    ((struct world *)ctx)->drained++;
}

static void test_drain(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_wait(world, id, 0);
    world->hold[SLOT_EXEC] = true;
    ask_exec(world, id, "", 0);
    turn(world);
    cl_engine_drain(world->engine, cl_mono_ns() + 60 * CL_NS_PER_S, on_drained, world);
    turn(world);
    assert_int_equal(world->drained, 0);
    ask_exec(world, id, "", 0);
    assert_string_equal(trace(world), "exec!unavailable");
    complete(world, last_call(world, SLOT_EXEC), 0);
    turn(world);
    assert_int_equal(world->drained, 1);
    assert_int_equal(world->detached, 1);
    assert_string_equal(trace(world), "exec:ok wait:unavailable");
    assert_true(world->processes[0].alive); /* containers run on */
}

static void set_record(struct world *world, size_t index, const char *id, const char *isolation)
{
    struct fake_set *set = &world->sets[index];
    set->used = true;
    snprintf(set->id, sizeof(set->id), "%s", id);
    snprintf(
        set->sandbox_record, sizeof(set->sandbox_record),
        "{\"schema\":1,\"service\":\"control\",\"name\":\"web\",\"isolation\":\"%s\",\"boot_id\":\"b\",\"cookie\":%u}",
        isolation, 0xabcu);
}

static void test_recovery(void **state)
{
    struct world *world = *state;
    char path[128];
    set_record(world, 0, "aaaaaaaaaaaaaaaa", "main");
    set_record(world, 1, "bbbbbbbbbbbbbbbb", "elsewhere");
    set_record(world, 2, "cccccccccccccccc", "main");
    snprintf(world->sets[2].sandbox_record, 8, "garbage");
    for (const char *id = "abcd"; *id; id++) {
        snprintf(path, sizeof(path), "%s/%c%c%c%c%c%c%c%c%c%c%c%c%c%c%c%c", world->run_dir, *id, *id, *id, *id, *id,
                 *id, *id, *id, *id, *id, *id, *id, *id, *id, *id, *id);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 1);
    assert_int_equal(store_sets(world), 2); /* what cannot be undone is left alone */
    assert_false(run_dir_exists(world, "aaaaaaaaaaaaaaaa"));
    assert_true(run_dir_exists(world, "bbbbbbbbbbbbbbbb"));
    assert_true(run_dir_exists(world, "cccccccccccccccc"));
    assert_false(run_dir_exists(world, "dddddddddddddddd")); /* nobody knows it */
    assert_int_equal(world->known_seen, 2);
    assert_int_equal(world->report_only_seen, 0);
    const char *log = logged(world);
    assert_non_null(strstr(log, "no isolation 'elsewhere' is in the config"));
    assert_non_null(strstr(log, "cccccccccccccccc is left as it is: record 'sandbox'"));
}

static void test_recovery_from_an_older_store(void **state)
{
    ((struct world *)*state)->short_elements = true;
    test_recovery(state);
}

static void ignore_result(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)ctx, (void)result;
    assert_null(err);
}

static int setup_unclean(void **state)
{
    int r = world_setup(state);
    struct world *world = *state;
    world->store_capabilities = CLOISTER_STORE_DURABLE;
    world->store_report = "{\"repaired\":1}";
    return r;
}

static void test_an_unclean_store_sweeps_nothing(void **state)
{
    struct world *world = *state;
    char path[128];
    assert_int_equal(cl_store_open(world->store, "test", "/nowhere", ignore_result, NULL), 0);
    turn(world);
    snprintf(path, sizeof(path), "%s/dddddddddddddddd", world->run_dir);
    assert_int_equal(mkdir(path, 0700), 0);
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(world->report_only_seen, 1);
    assert_true(run_dir_exists(world, "dddddddddddddddd"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_drain),
        CASE(test_recovery),
        CASE(test_recovery_from_an_older_store),
        cmocka_unit_test_setup_teardown(test_an_unclean_store_sweeps_nothing, setup_unclean, world_teardown),
    };
    return cmocka_run_group_tests_name("core/engine recovery", tests, NULL, NULL);
}
