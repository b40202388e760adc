/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes of several containers, and the next daemon (sdk.md section 5, "further container create / delete"). */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/sandbox.h"

/* "web" with main (process 0), c2 (1) and c3 (2), which live. */
static void three(struct world *world, char id[20])
{
    snprintf(id, 20, "%s", running(world, "web"));
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    ask_container(world, id, "c3", CLOISTER_START_BLOCKED);
    turn(world);
    assert_string_equal(trace(world), "c2:ok container@c2=3 c3:ok container@c3=2");
}

static struct fake_text *text_of(struct world *world, const char *id, const char *kind)
{
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        for (size_t k = 0; strcmp(world->sets[i].id, id) == 0 && k < CL_COUNT(world->sets[i].texts); k++)
            if (strcmp(world->sets[i].texts[k].kind, kind) == 0)
                return &world->sets[i].texts[k];
    return NULL;
}

/* As a daemon left it that died in the middle. */
static void rewrite(struct world *world, const char *id, const char *kind, const char *from, const char *to)
{
    struct fake_text *text = text_of(world, id, kind);
    assert_non_null(text);
    char *at = memmem(text->data, text->size, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
}

static struct cl_sandbox *sandbox_of(struct world *world, const char *id)
{
    return cl_map_get(&world->engine->by_id, cl_sv_cstr(id));
}

static void test_alive(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    ask_exec_in(world, id, "c2");
    turn(world);
    cloister_process exec = world->last.process;
    unsigned puts = world->puts_power + world->puts_daemon;
    world->hold[SLOT_ADOPT] = true;
    world_again(world);
    const struct cloister_iso_adopt_args *args = world->calls[last_call(world, SLOT_ADOPT)].args;
    assert_int_equal(args->container_count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(args->containers[i].init, world->processes[i].number);
    assert_true(cl_sv_is(args->containers[1].cid, "c2"));
    assert_true(cl_sv_is(args->containers[1].rootfs, "/srv/other"));
    world->hold[SLOT_ADOPT] = false;
    complete(world, last_call(world, SLOT_ADOPT), 0);
    turn(world);
    assert_string_equal(trace(world), "");
    assert_int_equal(world->puts_power + world->puts_daemon, puts);
    assert_int_equal(info(world, id).container_count, 3);
    assert_int_equal(info(world, id).process_count, 4);
    assert_int_equal(calls_of(world, SLOT_DELETE), 0);
    struct cl_sandbox *sandbox = sandbox_of(world, id);
    assert_int_equal(cl_container_find(sandbox, CLOISTER_SV("c2"), NULL)->state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(cl_container_find(sandbox, CLOISTER_SV("c3"), NULL)->state, CLOISTER_CONTAINER_CREATED);
    assert_true(cl_process_find(sandbox, exec, NULL)->container == cl_container_find(sandbox, CLOISTER_SV("c2"), NULL));
    /* It goes on where it was: each with its environment, and up without any of them. */
    ask_exec_in(world, id, "c2");
    turn(world);
    assert_string_equal(world->env_seen, "TOKEN=SECRET2;");
    tell_exit(world, 0, 0);
    tell_exit(world, 1, 0);
    turn(world);
    (void)trace(world);
    world_again(world);
    assert_string_equal(trace(world),
                        "exit(init) drained(init) exit(init@c2) drained(init@c2) exit(p1@c2) drained(p1@c2) "
                        "exit(p2@c2) drained(p2@c2)");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    ask_delete(world, id, "c2", 0, 0);
    ask_delete(world, id, "c3", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_string_equal(trace(world),
                        "exit(init@c3) drained(init@c3) container_down@c3 container@c3=4 delete:ok delete:ok");
    world_again(world);
    (void)trace(world);
    assert_int_equal(info(world, id).container_count, 1);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
}

/* Nobody was answered: undone before anybody hears of the sandbox again. */
static void test_half_made(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    rewrite(world, id, "c:c3", "\"state\":2", "\"state\":1");
    world->hold[SLOT_DELETE] = true;
    world_again(world);
    assert_int_equal(info(world, id).container_count, 2);
    assert_true(info(world, id).flags & CLOISTER_SANDBOX_RECOVERING);
    assert_int_equal(calls_of(world, SLOT_DELETE), 1);
    assert_string_equal(world->deleted, "c3");
    assert_int_equal(world->delete_flags, CLOISTER_DELETE_FORCE);
    assert_non_null(text_of(world, id, "c:c3"));
    ask_container(world, id, "c3", CLOISTER_START_NOW); /* waits for it, or is refused */
    assert_string_equal(trace(world), "c3!busy");
    world->hold[SLOT_DELETE] = false;
    complete(world, last_call(world, SLOT_DELETE), 0);
    turn(world);
    assert_string_equal(trace(world), ""); /* no exit of what nobody knew */
    assert_int_equal(info(world, id).flags, 0);
    assert_false(world->processes[2].alive);
    assert_null(text_of(world, id, "c:c3"));
    assert_null(text_of(world, id, "spec:c3"));
    assert_non_null(strstr(logged(world), "container 'c3' was only half made; it is removed"));
    ask_container(world, id, "c3", CLOISTER_START_NOW);
    turn(world);
    assert_string_equal(trace(world), "c3:ok container@c3=3");
    assert_true(world->processes[0].alive && world->processes[1].alive);
}

static void test_half_made_and_stuck(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    rewrite(world, id, "c:c2", "\"state\":3", "\"state\":1");
    rewrite(world, id, "c:c3", "\"state\":2", "\"state\":1");
    world->hold[SLOT_DELETE] = true;
    world_again(world);
    complete(world, last_call(world, SLOT_DELETE), CLOISTER_BUSY);
    turn(world);
    complete(world, last_call(world, SLOT_DELETE), 0);
    turn(world);
    assert_int_equal(info(world, id).flags, 0); /* it is not waited for */
    assert_int_equal(calls_of(world, SLOT_DELETE), 3);
    assert_string_equal(world->deleted, "c2");
    complete(world, last_call(world, SLOT_DELETE), CLOISTER_BUSY);
    turn(world);
    assert_non_null(text_of(world, id, "c:c2")); /* for the next daemon */
    assert_null(text_of(world, id, "c:c3"));
    world->hold[SLOT_DELETE] = false;
    turn_for(world, 1100);
    assert_int_equal(calls_of(world, SLOT_DELETE), 4);
    assert_null(text_of(world, id, "c:c2"));
    assert_string_equal(trace(world), "");
}

/* The store has lost records: perhaps it was made whole, and its client knows it. */
static void test_half_made_and_records_lost(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    rewrite(world, id, "c:c2", "\"state\":3", "\"state\":1");
    text_of(world, id, "c:c3")->kind[0] = 'x';
    world->store_report = "{\"cut\":304}";
    world_again(world);
    assert_int_equal(calls_of(world, SLOT_DELETE), 0);
    assert_int_equal(info(world, id).container_count, 2);
    assert_int_equal(cl_container_find(sandbox_of(world, id), CLOISTER_SV("c2"), NULL)->state,
                     CLOISTER_CONTAINER_RUNNING);
    assert_non_null(strstr(logged(world), "no record explains its container 'c3'; it is left as it is"));
    assert_true(world->processes[1].alive && world->processes[2].alive);
}

static void test_unexplained(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    text_of(world, id, "c:c3")->kind[0] = 'x';
    world_again(world);
    assert_string_equal(trace(world), "");
    assert_int_equal(calls_of(world, SLOT_DELETE), 1);
    assert_string_equal(world->deleted, "c3");
    assert_false(world->processes[2].alive);
    assert_int_equal(info(world, id).container_count, 2);
    assert_non_null(strstr(logged(world), "no record explains its container 'c3'; it is removed"));
}

/* The keeper does not know it: it is stopped(lost), and nothing else is. */
static void test_unknown_to_the_keeper(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    world->processes[1].forgotten = true;
    world_again(world);
    assert_string_equal(trace(world), "exit(init@c2,lost) drained(init@c2) container_down@c2,lost container@c2=4");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    ask_wait_for(world, id, "c2");
    turn(world);
    assert_string_equal(trace(world), "wait-for:ok");
    assert_int_equal(world->last.status.kind, CLOISTER_STATUS_LOST);
}

/* A delete whose intent was written goes on. */
static void test_half_deleted(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    world->hold[SLOT_KILL] = true;
    ask_delete(world, id, "c2", CLOISTER_DELETE_FORCE, 0);
    turn(world);
    assert_non_null(strstr(text_of(world, id, "c:c2")->data, "\"goal\":3"));
    world->hold[SLOT_KILL] = false;
    world_again(world);
    assert_string_equal(trace(world), "exit(init@c2) drained(init@c2) container_down@c2 container@c2=4");
    assert_string_equal(world->deleted, "c2");
    assert_null(text_of(world, id, "c:c2"));
    assert_null(text_of(world, id, "spec:c2"));
    assert_int_equal(info(world, id).container_count, 2);
    /* And one that had gone already, but not from the store. */
    rewrite(world, id, "c:c3", "\"goal\":1", "\"goal\":3");
    world->processes[2].forgotten = true;
    world_again(world);
    assert_null(text_of(world, id, "c:c3"));
    assert_int_equal(info(world, id).container_count, 1);
}

/* The one that might have kept it up is not there: it goes down behind the undo. */
static void test_down_behind_an_undo(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->hold[SLOT_FURTHER] = true;
    ask_container(world, id, "c2", CLOISTER_START_NOW);
    turn(world);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init) drained(init) container_down container=4");
    world_again(world);
    assert_string_equal(trace(world), "exit(init) drained(init) sandbox_down(2) sandbox=2");
    assert_string_equal(world->deleted, "c2");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    turn(world);
    world_again(world);
    assert_string_equal(trace(world), "exit(init) drained(init)");
}

static void test_dead_keeper(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    rewrite(world, id, "c:c3", "\"state\":2", "\"state\":1");
    set_fate(world, id, CLOISTER_FATE_OFF, 0);
    world_again(world);
    assert_string_equal(trace(world), "exit(init,lost) exit(init@c2,lost) container_down,lost container=4 "
                                      "container_down@c2,lost container@c2=4 sandbox_down(3) sandbox=2");
    turn(world);
    assert_null(text_of(world, id, "c:c3"));
    assert_non_null(text_of(world, id, "c:c2"));
}

static void test_reboot(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    rewrite(world, id, "c:c3", "\"state\":2", "\"state\":1");
    world_die(world);
    for (unsigned i = 0; i < 3; i++)
        world->processes[i].alive = false;
    world->boot.boot_id = "later";
    world->boot.old_cookie = 0xabc;
    world->boot.cookie = 0xdef;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_string_equal(trace(world), "exit(init,lost) exit(init@c2,lost) container_down,lost container=4 "
                                      "container_down@c2,lost container@c2=4 sandbox_down(4) sandbox=2");
    turn(world);
    assert_int_equal(calls_of(world, SLOT_DELETE), 0);
    assert_null(text_of(world, id, "c:c3"));
    ask_delete(world, id, "c2", 0, 0); /* nothing is left of it but its record */
    turn(world);
    assert_string_equal(trace(world), "delete:ok");
    assert_int_equal(calls_of(world, SLOT_DELETE), 0);
    assert_null(text_of(world, id, "c:c2"));
}

static void test_half_destroyed(void **state)
{
    struct world *world = *state;
    char id[20];
    three(world, id);
    rewrite(world, id, "c:c3", "\"state\":2", "\"state\":1");
    rewrite(world, id, "sandbox", "\"goal\":1", "\"goal\":3");
    char *goal = strstr(world->sets[0].sandbox_record, "\"goal\":1");
    goal[7] = '3';
    world_again(world);
    const char *text = trace(world);
    assert_non_null(strstr(text, "exit(init@c2)"));
    assert_null(strstr(text, "@c3"));
    assert_int_equal(store_sets(world), 0);
}

/* Before there were further containers, one without any was made to last. */
static void test_old_records(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    ask_create(world, "pod", 0, 0);
    turn(world);
    char pod[20];
    snprintf(pod, sizeof(pod), "%s", world->last_sandbox);
    for (size_t i = 0; i < 2; i++)
        memcpy(strstr(world->sets[i].sandbox_record, "\"lasting\""), "\"forever\"", 9);
    (void)trace(world);
    world_again(world);
    assert_true(sandbox_of(world, pod)->lasting);
    assert_false(sandbox_of(world, id)->lasting);
    tell_exit(world, 0, 0);
    turn(world);
    assert_non_null(strstr(trace(world), "sandbox_down(2)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        TEST(test_alive),
        TEST(test_half_made),
        TEST(test_half_made_and_stuck),
        TEST(test_half_made_and_records_lost),
        TEST(test_unexplained),
        TEST(test_unknown_to_the_keeper),
        TEST(test_half_deleted),
        TEST(test_down_behind_an_undo),
        TEST(test_dead_keeper),
        TEST(test_reboot),
        TEST(test_half_destroyed),
        TEST(test_old_records),
    };
    return cmocka_run_group_tests_name("core/engine containers again", tests, NULL, NULL);
}
