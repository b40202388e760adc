/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's end and the next one's beginning: what becomes of each sandbox (sdk.md section 5, "half done at restart").
 */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/sandbox.h"

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

static const struct fake_set *set_of(const struct world *world, const char *id)
{
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        if (world->sets[i].used && strcmp(world->sets[i].id, id) == 0)
            return &world->sets[i];
    return NULL;
}

static const char *record_of(const struct world *world, const char *id)
{
    const struct fake_set *set = set_of(world, id);
    return set ? set->sandbox_record : "";
}

static struct cl_sandbox *sandbox_of(struct world *world, const char *id)
{
    return cl_map_get(&world->engine->by_id, cl_sv_cstr(id));
}

struct seen {
    struct cloister_container_info container;
    struct cloister_process_info processes[8];
    unsigned count;
    char name[16];
    char tag[16];
};

static void see_container(void *ctx, const struct cloister_container_info *info)
{
    ((struct seen *)ctx)->container = *info;
}

static void see_process(void *ctx, const struct cloister_process_info *info)
{
    struct seen *seen = ctx;
    seen->processes[seen->count++] = *info;
    if (!info->is_init) {
        snprintf(seen->name, sizeof(seen->name), "%.*s", CL_SV_ARG(info->name));
        snprintf(seen->tag, sizeof(seen->tag), "%.*s", CL_SV_ARG(info->tag));
    }
}

static struct seen look(struct world *world, const char *id)
{
    struct seen seen = {.count = 0};
    assert_int_equal(cl_engine_api.containers(&world->control.host, cl_sv_cstr(id), see_container, &seen, NULL), 0);
    assert_int_equal(cl_engine_api.processes(&world->control.host, cl_sv_cstr(id), see_process, &seen, NULL), 0);
    return seen;
}

/* Alive: containers and processes are as they were, old numbers are good, new ones are new; nothing is told. */
static void test_alive(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    ask_exec(world, id, "named", 0);
    turn(world);
    cloister_process first = world->last.process;
    unsigned puts = world->puts_power + world->puts_daemon;
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "");
    assert_int_equal(world->puts_power + world->puts_daemon, puts); /* nothing had to be put right */
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    assert_int_equal(info(world, id).flags, 0);
    struct seen seen = look(world, id);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.name, "named");
    assert_string_equal(seen.tag, "tag");
    assert_int_equal(seen.container.state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(seen.container.pid, 101);
    assert_int_equal(seen.container.incarnation, 1);
    assert_true(cl_sv_is(seen.container.rootfs, "/srv/root"));
    assert_int_equal(seen.processes[1].process, first);
    assert_int_equal(seen.processes[1].pid, 201);
    ask_exec(world, id, "", 0);
    turn(world);
    assert_int_equal(first >> 32, 7);
    assert_int_equal(world->last.process >> 32, 8);
    ask_wait(world, id, first);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
    tell_exit(world, 1, 3);
    assert_string_equal(trace(world), "exit(p1) drained(p1) wait:ok");
    assert_int_equal(world->last.status.value, 3);
    ask_destroy(world, id, 0);
    turn(world);
    assert_int_equal(store_sets(world), 0);
}

/* What adopt is told of the past is what the records say. */
static void test_adopt_arguments(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->hold[SLOT_ADOPT] = true;
    world_again(world);
    const struct cloister_iso_adopt_args *args = world->calls[last_call(world, SLOT_ADOPT)].args;
    assert_true(cl_sv_is(args->sandbox.id, id));
    assert_true(cl_sv_is(args->sandbox.name, "web"));
    assert_true(cl_sv_eq(args->sandbox.plan, CLOISTER_SV("plan\0blob")));
    assert_int_equal(args->sandbox.cookie, 0xabc);
    assert_true(args->deadline > cl_mono_ns());
    assert_int_equal(args->container_count, 1);
    const struct cloister_iso_container *container = args->containers;
    assert_true(cl_sv_is(container->cid, "main"));
    assert_true(cl_sv_is(container->spec, spec_text));
    assert_true(cl_sv_is(container->rootfs, "/srv/root"));
    assert_int_equal(container->incarnation, 1);
    assert_int_equal(container->init, world->processes[0].number);
    assert_int_equal(container->init_kind, CLOISTER_INIT_PROCESS);
    assert_int_equal(container->no_new_privs, 0);
}

/* What happened meanwhile is told in the keeper's order; the end of an init, in the order of O5. */
static void test_missed_exits(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    for (int i = 0; i < 3; i++)
        ask_exec(world, id, "", 0);
    turn(world);
    world_die(world);
    tell_exit(world, 3, 3);
    tell_exit(world, 1, 1);
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_string_equal(trace(world), "exit(p3) drained(p3) exit(p1) drained(p1)");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    world_die(world);
    tell_exit(world, 2, 2);
    tell_exit(world, 0, 9);
    assert_int_equal(world_born(world), 0);
    world_recover(world); /* what nobody has released is told again */
    assert_string_equal(trace(world), "exit(p3) drained(p3) exit(p1) drained(p1) exit(p2) drained(p2) "
                                      "exit(init) drained(init) container_down container=4 sandbox_down(2) sandbox=2");
    turn(world);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_STOPPED);
    assert_non_null(strstr(record_of(world, id), "\"state\":\"off\""));
    assert_int_equal(look(world, id).container.status.value, 9);
}

/* A container whose end has been told stays stopped; only its exit is told again until it is released. */
static void test_stopped_stays_stopped(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    tell_exit(world, 0, 4);
    turn(world);
    world_again(world);
    assert_string_equal(trace(world), "exit(init) drained(init)");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_STOPPED);
    ask_release(world, id, world->processes[0].number);
    turn(world);
    assert_string_equal(trace(world), "release:ok");
    world_again(world);
    assert_string_equal(trace(world), "");
    ask_wait(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "wait:ok");
    assert_int_equal(world->last.status.value, 4);
    set_fate(world, id, CLOISTER_FATE_OFF, 0);
    world_again(world);
    assert_string_equal(trace(world), "");
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_STOPPED);
}

static void test_a_dead_keeper(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    set_fate(world, id, CLOISTER_FATE_OFF, 0);
    world_again(world);
    assert_string_equal(trace(world), "exit(init,lost) container_down,lost container=4 sandbox_down(3) sandbox=2");
    turn(world);
    assert_non_null(strstr(record_of(world, id), "\"state\":\"off\""));
    assert_non_null(strstr(record_of(world, id), "\"cause\":3"));
    ask_wait(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "wait:ok");
    assert_int_equal(world->last.status.kind, CLOISTER_STATUS_LOST);
    world_again(world); /* and once more: it is off(lost) already */
    assert_string_equal(trace(world), "");
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_LOST);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:ok");
    assert_int_equal(store_sets(world), 0);
}

/* The keeper lives and does not know the init of a running container. */
static void test_a_missing_init(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->processes[0].forgotten = true;
    world_again(world);
    assert_string_equal(trace(world), "exit(init,lost) drained(init) container_down,lost container=4 sandbox_down(2) "
                                      "sandbox=2");
}

static void test_blocked_init(void **state)
{
    struct world *world = *state;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED);
    turn(world);
    char id[64];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    world_again(world);
    assert_string_equal(trace(world), "");
    assert_int_equal(look(world, id).container.state, CLOISTER_CONTAINER_CREATED);
    ask_start(world, id);
    turn(world);
    assert_string_equal(trace(world), "start:ok container=3");
}

/* Without a container it is up until it is destroyed. */
static void test_without_container(void **state)
{
    struct world *world = *state;
    ask_create(world, "pod", 0, 0);
    turn(world);
    char id[64];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    world_again(world);
    assert_string_equal(trace(world), "");
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    set_fate(world, id, CLOISTER_FATE_OFF, 0);
    world_again(world);
    assert_string_equal(trace(world), "sandbox_down(3) sandbox=2");
}

/* A create whose caller was never answered: nothing of it is left, and its name is free. */
static void test_half_made(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    assert_int_equal(store_sets(world), 1);
    char id[64];
    snprintf(id, sizeof(id), "%s", world->sets[0].id);
    assert_true(run_dir_exists(world, id));
    world->hold[SLOT_CREATE] = false;
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "");
    assert_int_equal(calls_of(world, SLOT_DESTROY), 1);
    assert_int_equal(calls_of(world, SLOT_ADOPT), 0);
    assert_string_equal(world->plan_seen, "plan");
    assert_int_equal(store_sets(world), 0);
    assert_false(run_dir_exists(world, id));
    assert_non_null(strstr(logged(world), "was only half made; it is removed"));
    running(world, "web");
}

/* The same record in a store that has lost what came behind it: perhaps it was made whole, and lives. */
static void test_half_made_and_records_lost(void **state)
{
    struct world *world = *state;
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    char id[64];
    snprintf(id, sizeof(id), "%s", world->sets[0].id);
    world->hold[SLOT_CREATE] = false;
    world->store_report = "{\"cut\":304}";
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UNKNOWN);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 0);
    assert_int_equal(store_sets(world), 1);
    assert_true(run_dir_exists(world, id));
    world->store_report = NULL; /* read whole again, it says what it said */
    world_again(world);
    assert_int_equal(store_sets(world), 0);
}

static void ask_provisional(struct world *world, const char *name)
{
    struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                .flags = CLOISTER_SANDBOX_PROVISIONAL, .name = cl_sv_cstr(name)};
    ask_create_with(world, &args);
    turn(world);
}

static void ask_commit(struct world *world, const char *id, struct cloister_sv record)
{
    struct cloister_sandbox_commit_args args = {CLOISTER_INIT(struct cloister_sandbox_commit_args),
                                                .sandbox = cl_sv_cstr(id), .record = record};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_op op = cl_engine_api.sandbox_commit(&world->control.host, &args, on_done, caller(world, "commit"), &err);
    if (!op)
        trace_add(world, "commit!%s ", cl_error_code_name(err.code));
    turn(world);
}

static void test_uncommitted(void **state)
{
    struct world *world = *state;
    ask_provisional(world, "one");
    char id[64];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    assert_int_equal(info(world, id).flags, CLOISTER_SANDBOX_UNCOMMITTED);
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "");
    assert_int_equal(store_sets(world), 0);
    assert_non_null(strstr(logged(world), "was never committed; it is removed"));
}

static void count(void *ctx, const struct cloister_sandbox_info *info)
{
    (void)info;
    ++*(unsigned *)ctx;
}

static unsigned others_see(struct world *world)
{
    unsigned seen = 0;
    cl_engine_api.iterate(&world->other.host, count, &seen);
    return seen;
}

static void on_event_of_other(void *ctx, const struct cloister_event *event)
{
    (void)event;
    ++*(unsigned *)ctx;
}

static void test_committed(void **state)
{
    static const char *const see[] = {"control", NULL};
    struct world *world = *state;
    unsigned events = 0;
    assert_int_equal(cl_events_add(world->events, "other", see, on_event_of_other, &events), 0);
    ask_provisional(world, "one");
    char id[64];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    assert_string_equal(trace(world), "create:ok sandbox=4");
    assert_int_equal(events, 0);
    assert_int_equal(others_see(world), 0);
    world->put_fails = CLOISTER_NO_SPACE;
    world->put_fail_count = 1;
    ask_commit(world, id, CLOISTER_SV("mine"));
    assert_string_equal(trace(world), "commit:no_space");
    assert_int_equal(others_see(world), 0);
    struct cloister_sv record;
    assert_int_equal(
        cl_engine_api.record_get(&world->control.host, cl_sv_cstr(id), CLOISTER_RECORD_STORE, &record, NULL), 0);
    assert_int_equal(record.size, 0);
    ask_commit(world, id, CLOISTER_SV("mine"));
    assert_string_equal(trace(world), "commit:ok sandbox=4");
    assert_int_equal(events, 1);
    assert_int_equal(others_see(world), 1);
    assert_int_equal(info(world, id).flags, 0);
    ask_commit(world, id, CLOISTER_SV("other"));
    assert_string_equal(trace(world), "commit:ok");
    world_again(world);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
    assert_int_equal(
        cl_engine_api.record_get(&world->control.host, cl_sv_cstr(id), CLOISTER_RECORD_STORE, &record, NULL), 0);
    assert_true(cl_sv_is(record, "mine"));
    ask_commit(world, "nobody", CLOISTER_SV(""));
    assert_string_equal(trace(world), "commit!no_entity");
}

/* A destroy that has been begun goes on; whoever asks meanwhile joins it. */
static void test_half_destroyed(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->hold[SLOT_DESTROY] = true;
    ask_destroy(world, id, 0);
    turn(world);
    assert_non_null(strstr(record_of(world, id), "\"goal\":3"));
    world_again(world);
    assert_int_equal(world->settled, 0);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_DESTROYING);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 2);
    ask_destroy(world, id, 0);
    turn(world);
    world->processes[0].alive = false;
    complete(world, last_call(world, SLOT_DESTROY), 0);
    turn(world);
    assert_int_equal(world->settled, 1);
    assert_string_equal(trace(world), "exit(init,lost) container_down,lost container=4 sandbox_down(2) destroy:ok");
    assert_int_equal(store_sets(world), 0);
    assert_false(run_dir_exists(world, id));
}

/* If it cannot be finished it stays listed with the reason. */
static void test_half_destroyed_and_stuck(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->hold[SLOT_DESTROY] = true;
    ask_destroy(world, id, 0);
    turn(world);
    world->hold[SLOT_DESTROY] = false;
    world->fail[SLOT_DESTROY] = CLOISTER_PARTIAL;
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_DESTROYING);
    assert_int_equal(info(world, id).failure.code, CLOISTER_PARTIAL);
    ask_destroy(world, id, 0);
    turn(world);
    assert_int_equal(store_sets(world), 0);
}

static void test_half_stopped(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->stubborn = true;
    ask_stop(world, id, 60 * CL_NS_PER_S, 0);
    turn(world);
    world_die(world);
    unsigned kills = calls_of(world, SLOT_KILL);
    assert_int_equal(world_born(world), 0);
    world->stubborn = false;
    world_recover(world);
    assert_int_equal(calls_of(world, SLOT_KILL), kills + 1);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_STOPPED);
}

/* A stop that gave up leaves nothing to be finished. */
static void test_stop_given_up(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->stubborn = true;
    ask_stop(world, id, 60 * CL_NS_PER_S, cl_mono_ns() + 20 * CL_NS_PER_MS);
    turn_for(world, 60);
    assert_string_equal(trace(world), "stop:deadline");
    world->stubborn = false;
    world_again(world);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
}

/* Nothing of another boot lives; what is left of it is cleaned up once, and then it is an ordinary one that is off. */
static void reboot(struct world *world, uint64_t cookie, uint64_t old_cookie)
{
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    const char *stopped = running(world, "done");
    char id_stopped[64];
    snprintf(id_stopped, sizeof(id_stopped), "%s", stopped);
    tell_exit(world, 1, 6);
    turn(world);
    world_die(world);
    world->boot = (struct fake_boot){.boot_id = "later", .cookie = cookie, .old_cookie = old_cookie, .epoch = 9};
    world->process_count = 0;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(calls_of(world, SLOT_ADOPT), 0);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 2);
    assert_int_equal(world->cookie_seen, 0xabc); /* it was made under that one */
    assert_string_equal(world->plan_seen, "plan");
    assert_string_equal(trace(world), "exit(?,lost) container_down,lost container=4 sandbox_down(4) sandbox=2");
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_REBOOT);
    assert_int_equal(info(world, id_stopped).cause, CLOISTER_CAUSE_STOPPED);
    assert_int_equal(look(world, id_stopped).container.status.value, 6);
    turn(world);
    assert_non_null(strstr(record_of(world, id), "\"boot_id\":\"later\""));
    assert_non_null(strstr(record_of(world, id), "\"made\":false"));
    world_again(world);
    assert_string_equal(trace(world), "");
    assert_int_equal(calls_of(world, SLOT_ADOPT), 0);
    assert_int_equal(calls_of(world, SLOT_DESTROY), 2);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_REBOOT);
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 destroy:ok");
}

static void test_reboot(void **state)
{
    reboot(*state, 0xdef, 0xabc);
}

/* The run directory went with the boot, and the old cookie with it. */
static void test_reboot_with_an_empty_run_directory(void **state)
{
    reboot(*state, 0xdef, 0);
}

static void test_reboot_and_no_cleaning(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world_die(world);
    world->boot = (struct fake_boot){.boot_id = "later", .cookie = 0xdef, .old_cookie = 0xabc, .epoch = 9};
    world->fail[SLOT_DESTROY] = CLOISTER_PARTIAL;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_REBOOT);
    assert_int_equal(info(world, id).failure.code, CLOISTER_PARTIAL);
    assert_int_equal(sandbox_of(world, id)->cookie, 0xabc);
    ask_destroy(world, id, 0);
    turn(world);
    assert_int_equal(world->cookie_seen, 0xabc);
    assert_int_equal(store_sets(world), 0);
}

static void test_isolation_without_adopt(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world->no_adopt = true;
    world_again(world);
    assert_int_equal(world->settled, 1);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UNKNOWN);
    assert_non_null(strstr(logged(world), "isolation 'main' cannot take over what an earlier daemon made"));
    assert_int_equal(calls_of(world, SLOT_DESTROY), 0);
    assert_true(world->processes[0].alive);
    world->no_adopt = false; /* the old config again */
    world_again(world);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_UP);
}

static void on_all_stopped(void *ctx)
{
    ((struct world *)ctx)->drained++;
}

static void test_stop_all(void **state)
{
    struct world *world = *state;
    char id[64];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    running(world, "two");
    ask_create(world, "pod", 0, 0);
    turn(world);
    world->stubborn = true;
    cl_engine_stop_all(world->engine, 30 * CL_NS_PER_MS, on_all_stopped, world);
    assert_int_equal(world->drained, 0);
    turn(world);
    assert_int_equal(world->drained, 0);
    turn_for(world, 100);
    assert_int_equal(world->drained, 1);
    assert_int_equal(info(world, id).state, CLOISTER_SANDBOX_OFF);
    assert_int_equal(info(world, id).cause, CLOISTER_CAUSE_STOPPED);
    assert_false(world->processes[0].alive || world->processes[1].alive);
    cl_engine_stop_all(world->engine, 0, on_all_stopped, world); /* nothing runs */
    assert_int_equal(world->drained, 1);
    turn(world);
    assert_int_equal(world->drained, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_drain),
        CASE(test_alive),
        CASE(test_adopt_arguments),
        CASE(test_missed_exits),
        CASE(test_stopped_stays_stopped),
        CASE(test_a_dead_keeper),
        CASE(test_a_missing_init),
        CASE(test_blocked_init),
        CASE(test_without_container),
        CASE(test_half_made),
        CASE(test_half_made_and_records_lost),
        CASE(test_uncommitted),
        CASE(test_committed),
        CASE(test_half_destroyed),
        CASE(test_half_destroyed_and_stuck),
        CASE(test_half_stopped),
        CASE(test_stop_given_up),
        CASE(test_reboot),
        CASE(test_reboot_with_an_empty_run_directory),
        CASE(test_reboot_and_no_cleaning),
        CASE(test_isolation_without_adopt),
        CASE(test_stop_all),
    };
    return cmocka_run_group_tests_name("core/engine recovery", tests, NULL, NULL);
}
