/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted, and who lives there: of what may be asked, by whom, and that it waits for nobody. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/room.h"

#define MACHINE CLOISTER_SCOPE_MACHINE
#define SANDBOX CLOISTER_SCOPE_SANDBOX
#define CONTAINER CLOISTER_SCOPE_CONTAINER
#define PROCESS CLOISTER_SCOPE_PROCESS

enum which { NO_PROCESS, LIVE, ENDED, NOBODY };

struct one {
    const char *what;
    uint32_t scope;
    enum which process;
    const char *container;
    uint32_t flags;
    const char *trace;    /* behind the word */
    const char *sentence; /* behind the verb and the name */
    const char *told;     /* the container that isolation hears of */
};

/* Of both. */
static const struct one subjects[] = {
    {"the sandbox", SANDBOX, NO_PROCESS, "", 0, ":ok", NULL, ""},
    {"a container", CONTAINER, NO_PROCESS, "main", 0, ":ok", NULL, "main"},
    {"the first container", CONTAINER, NO_PROCESS, "", 0, ":ok", NULL, "main"},
    {"a process", PROCESS, LIVE, "", 0, ":ok", NULL, "main"},
    {"a process of a container", PROCESS, LIVE, "main", 0, ":ok", NULL, "main"},
    {"nothing", 0, NO_PROCESS, "", 0, "!invalid", "scope has unknown kind 0", NULL},
    {"something", 5, NO_PROCESS, "", 0, "!invalid", "scope has unknown kind 5", NULL},
    {"no such container", CONTAINER, NO_PROCESS, "none", 0, "!no_entity", "sandbox 'web' has no container 'none'",
     NULL},
    {"a container, of the sandbox", SANDBOX, NO_PROCESS, "main", 0, "!invalid", "container is not of this scope", NULL},
    {"a process, of the container", CONTAINER, LIVE, "", 0, "!invalid", "process is not of this scope", NULL},
    {"no process", PROCESS, NO_PROCESS, "", 0, "!invalid", "process is missing", NULL},
    {"an unknown process", PROCESS, NOBODY, "", 0, "!no_entity", "sandbox 'web' has no process 7", NULL},
    {"an ended process", PROCESS, ENDED, "", 0, "!no_entity", "process ", NULL},
    {"a process of another container", PROCESS, LIVE, "none", 0, "!no_entity", "container 'none' has no process ",
     NULL},
};

struct setting {
    struct world *world;
    const char *id;
    cloister_process processes[4]; /* by enum which */
};

/* One sandbox with an exec'ed process that lives and one that has ended. */
static struct setting set_up(struct world *world)
{
    struct setting setting = {.world = world, .id = running(world, "web"), .processes = {0, 0, 0, 7}};
    for (enum which which = LIVE; which <= ENDED; which++) {
        ask_exec(world, setting.id, "", 0);
        turn(world);
        setting.processes[which] = world->last.process;
    }
    tell_exit(world, 2, 0);
    (void)trace(world);
    return setting;
}

static struct cloister_stats_args stats_args(const struct setting *setting, const struct one *one)
{
    return (struct cloister_stats_args){CLOISTER_INIT(struct cloister_stats_args),
                                        .scope = one->scope,
                                        .flags = one->flags,
                                        .sandbox = cl_sv_cstr(setting->id),
                                        .container = cl_sv_cstr(one->container),
                                        .process = setting->processes[one->process]};
}

static void check_told(struct world *world, const char *word, const char *verb, const struct one *one)
{
    char want[256];
    snprintf(want, sizeof(want), "%s%s", word, one->trace);
    CL_CHECK_STR(one->what, trace(world), want);
    snprintf(want, sizeof(want), "%s%s", verb, one->sentence ? one->sentence : "");
    if (one->sentence)
        assert_int_equal(strncmp(world->sentence, want, strlen(want)), 0);
}

static void test_stats_subjects(void **state)
{
    static const struct one flags[] = {
        {"raw", SANDBOX, NO_PROCESS, "", CLOISTER_STATS_RAW, ":ok", NULL, ""},
        {"peak", CONTAINER, NO_PROCESS, "", CLOISTER_STATS_RESET_PEAK, ":ok", NULL, "main"},
        {"flags", SANDBOX, NO_PROCESS, "", 4, "!invalid", "flags has an unknown bit", NULL},
    };
    struct setting setting = set_up(*state);
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(subjects) + CL_COUNT(flags); i++) {
        const struct one *one = i < CL_COUNT(subjects) ? &subjects[i] : &flags[i - CL_COUNT(subjects)];
        struct cloister_stats_args args = stats_args(&setting, one);
        world->hold[SLOT_STATS] = true;
        ask_stats(world, &args);
        turn(world);
        if (one->told) {
            const struct cloister_iso_stats_args *seen = world->calls[last_call(world, SLOT_STATS)].args;
            assert_true(cl_sv_is(seen->sandbox.id, setting.id));
            assert_int_equal(seen->stats->scope, one->scope);
            assert_int_equal(seen->stats->flags, one->flags);
            assert_true(cl_sv_is(seen->stats->container, one->told));
            assert_int_equal(seen->stats->process, setting.processes[one->process]);
            complete(world, last_call(world, SLOT_STATS), 0);
            turn(world);
        }
        check_told(world, "stats", "read the counters of 'web': ", one);
    }
    cl_backend_of(&world->isolation)->capabilities &= ~(uint64_t)CLOISTER_ISO_PEAK_RESET;
    struct cloister_stats_args args = stats_args(&setting, &flags[1]);
    ask_stats(world, &args);
    assert_string_equal(trace(world), "stats!unsupported");
}

static void test_procs_subjects(void **state)
{
    static const struct one machine = {
        "the machine", MACHINE, NO_PROCESS, "", 0, "!invalid", "scope has unknown kind 1", NULL};
    struct setting setting = set_up(*state);
    struct world *world = *state;
    for (size_t i = 0; i <= CL_COUNT(subjects); i++) {
        const struct one *one = i < CL_COUNT(subjects) ? &subjects[i] : &machine;
        struct cloister_procs_args args = {CLOISTER_INIT(struct cloister_procs_args), .scope = one->scope,
                                           .sandbox = cl_sv_cstr(setting.id), .container = cl_sv_cstr(one->container),
                                           .process = setting.processes[one->process]};
        world->hold[SLOT_PROCS] = true;
        ask_procs(world, &args);
        turn(world);
        if (one->told) {
            const struct cloister_iso_procs_args *seen = world->calls[last_call(world, SLOT_PROCS)].args;
            assert_int_equal(seen->procs->scope, one->scope);
            assert_true(cl_sv_is(seen->procs->container, one->told));
            assert_int_equal(seen->procs->process, setting.processes[one->process]);
            complete(world, last_call(world, SLOT_PROCS), 0);
            turn(world);
        }
        check_told(world, "procs", "list the processes of 'web': ", one);
    }
}

/* ---- what comes back ---- */

static struct cloister_stat told_stats[2];
static struct cloister_proc told_procs[1];
static char told_texts[16];
static char seen[256];

static void see(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    (void)ctx, (void)op;
    size_t used = (size_t)snprintf(seen, sizeof(seen), "%s@%llu ", error ? cl_error_code_name(error->code) : "ok",
                                   (unsigned long long)result->sampled_mono_ns);
    for (uint64_t i = 0; i < result->stat_count; i++) {
        struct cloister_stat stat = {0};
        memcpy(&stat, (const char *)result->stats + i * result->stat_size, offsetof(struct cloister_stat, reserved));
        used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%.*s=%llu ", CL_SV_ARG(stat.key),
                                 (unsigned long long)stat.value);
    }
    for (uint64_t i = 0; i < result->proc_count; i++) {
        const struct cloister_proc *proc = &result->procs[i];
        used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%d/%llu/%llu/%.*s ", proc->pid,
                                 (unsigned long long)proc->process, (unsigned long long)proc->started_boot_ns,
                                 CL_SV_ARG(proc->comm));
    }
}

static void tell_some(struct world *world)
{
    strcpy(told_texts, "cpu_nssh");
    world->lent = told_texts;
    told_stats[0] = (struct cloister_stat){.key = cl_sv(told_texts, 6), .value = 12};
    told_stats[1] = (struct cloister_stat){.key = CLOISTER_SV("pids"), .value = UINT64_MAX};
    told_procs[0] =
        (struct cloister_proc){.pid = 5, .process = 9, .started_boot_ns = 77, .comm = cl_sv(told_texts + 6, 2)};
    world->counted =
        (struct cloister_result){CLOISTER_INIT(struct cloister_result), .stats = told_stats, .stat_count = 2,
                                 .stat_size = sizeof(told_stats[0]),    .procs = told_procs, .proc_count = 1,
                                 .proc_size = sizeof(told_procs[0]),    .sampled_mono_ns = 4};
}

static const char *ask_and_see(struct world *world, const char *id)
{
    const struct cloister_stats_args args = {CLOISTER_INIT(struct cloister_stats_args), .scope = SANDBOX,
                                             .sandbox = cl_sv_cstr(id)};
    seen[0] = 0;
    assert_true(cl_engine_api.stats(&world->control.host, &args, see, NULL, NULL) != 0);
    turn(world);
    return seen;
}

static void test_result(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    tell_some(world);
    assert_string_equal(ask_and_see(world, id), "ok@4 cpu_ns=12 pids=18446744073709551615 5/9/77/sh ");
    tell_some(world);
    world->inside[SLOT_STATS] = true; /* put off, with everything in it */
    assert_string_equal(ask_and_see(world, id), "ok@4 cpu_ns=12 pids=18446744073709551615 5/9/77/sh ");
    assert_non_null(strstr(logged(world), "inside the call"));
    world->inside[SLOT_STATS] = false;
    tell_some(world);
    world->counted.stats = NULL;
    assert_string_equal(ask_and_see(world, id), "internal@0 ");
    tell_some(world);
    world->counted.proc_size = 4;
    assert_string_equal(ask_and_see(world, id), "internal@0 ");
    world->counted = (struct cloister_result){CLOISTER_INIT(struct cloister_result)};
    assert_string_equal(ask_and_see(world, id), "ok@0 ");
    world->fail[SLOT_STATS] = CLOISTER_IO;
    assert_string_equal(ask_and_see(world, id), "io@0 ");
}

/* ---- order, states ---- */

static const struct one whole = {"the sandbox", SANDBOX, NO_PROCESS, "", 0, NULL, NULL, NULL};

static void test_never_queues(void **state)
{
    struct world *world = *state;
    struct setting setting = {.world = world, .id = running(world, "web")};
    struct cloister_stats_args args = stats_args(&setting, &whole);
    world->hold[SLOT_FREEZE] = true;
    ask_freeze(world, setting.id, "", 0);
    turn(world);
    ask_stats(world, &args);
    turn(world);
    assert_string_equal(trace(world), "stats:ok");
    complete(world, last_call(world, SLOT_FREEZE), 0);
    ask_stats(world, &args); /* also of what stands still */
    turn(world);
    assert_string_equal(trace(world), "sandbox=4 freeze:ok stats:ok");
    world->hold[SLOT_STATS] = true;
    cloister_op op = ask_stats(world, &args);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "stats:cancelled");
}

static void test_states(void **state)
{
    struct world *world = *state;
    char id[20];
    world->hold[SLOT_CREATE] = true;
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_NOW);
    turn(world);
    struct cloister_sv found;
    assert_int_equal(cl_engine_api.find(&world->control.host, CLOISTER_SV("web"), &found, NULL), 0);
    snprintf(id, sizeof(id), "%.*s", CL_SV_ARG(found));
    struct setting setting = {.world = world, .id = id};
    struct cloister_stats_args args = stats_args(&setting, &whole);
    ask_stats(world, &args);
    assert_string_equal(trace(world), "stats!invalid_state");
    assert_string_equal(world->sentence, "read the counters of 'web': it is creating, not up");
    complete(world, last_call(world, SLOT_CREATE), 0);
    turn(world);
    (void)trace(world);
    ask_stats(world, &args);
    tell_exit(world, 0, 0); /* before its turn */
    (void)trace(world);
    turn(world);
    assert_string_equal(trace(world), "stats:invalid_state");
    ask_stats(world, &args);
    assert_string_equal(trace(world), "stats!invalid_state");
    assert_int_equal(calls_of(world, SLOT_STATS), 0);
}

/* While it is taken over nothing is known of it: it waits. */
static void test_recovering(void **state)
{
    struct world *world = *state;
    char id[20];
    snprintf(id, sizeof(id), "%s", running(world, "web"));
    world_die(world);
    world->hold[SLOT_ADOPT] = true;
    world->boot.recover_ns = 20 * CL_NS_PER_MS;
    assert_int_equal(world_born(world), 0);
    world_recover(world);
    turn_for(world, 40);
    struct setting setting = {.world = world, .id = id};
    struct cloister_stats_args args = stats_args(&setting, &whole);
    ask_stats(world, &args);
    turn(world);
    assert_string_equal(trace(world), "");
    complete(world, last_call(world, SLOT_ADOPT), 0);
    turn(world);
    assert_string_equal(trace(world), "stats:ok");
}

/* ---- who ---- */

static uint32_t ask_as(struct cl_instance *who, const struct cloister_stats_args *args)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    return cl_engine_api.stats(&who->host, args, see, NULL, &err) ? 0 : err.code;
}

/* `other` sees control's sandboxes and may do nothing to them: setting a peak back is doing. */
static void test_of_another_service(void **state)
{
    struct world *world = *state;
    struct setting setting = {.world = world, .id = running(world, "web")};
    struct cloister_stats_args args = stats_args(&setting, &whole);
    assert_int_equal(ask_as(&world->other, &args), 0);
    args.flags = CLOISTER_STATS_RESET_PEAK;
    assert_int_equal(ask_as(&world->other, &args), CLOISTER_NO_ENTITY);
    assert_int_equal(ask_as(&world->control, &args), 0);
    turn(world);
    assert_int_equal(calls_of(world, SLOT_STATS), 2);
}

static void test_machine(void **state)
{
    static const struct {
        const char *what, *sandbox, *container;
        cloister_process process;
        uint32_t flags;
        const char *sentence;
    } cases[] = {
        {"a sandbox", "x", "", 0, 0, "the machine is in no sandbox"},
        {"a container", "", "main", 0, 0, "the machine is in no sandbox"},
        {"a process", "", "", 1, 0, "the machine is in no sandbox"},
        {"peak", "", "", 0, CLOISTER_STATS_RESET_PEAK, "flags has a bit that is not of this scope"},
        {"flags", "", "", 0, 8, "flags has a bit that is not of this scope"},
    };
    struct world *world = *state;
    struct cloister_stats_args args = {CLOISTER_INIT(struct cloister_stats_args), .scope = MACHINE};
    ask_stats(world, &args);
    assert_string_equal(trace(world), "stats!denied");
    assert_string_equal(world->sentence,
                        "read the machine's counters: service 'control' is not granted them ('machine' in the config)");
    world->machine_stats = true;
    world_again(world);
    world->hold[SLOT_STATS] = true;
    ask_stats(world, &args);
    turn(world);
    const struct cloister_iso_stats_args *told = world->calls[last_call(world, SLOT_STATS)].args;
    assert_int_equal(told->sandbox.struct_size, sizeof(told->sandbox));
    assert_int_equal(told->sandbox.id.size, 0);
    assert_int_equal(told->stats->scope, MACHINE);
    complete(world, last_call(world, SLOT_STATS), 0);
    turn(world);
    assert_string_equal(trace(world), "stats:ok");
    assert_int_equal(ask_as(&world->other, &args), CLOISTER_DENIED); /* each for itself */
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_stats_args bad = args;
        char want[128];
        bad.sandbox = cl_sv_cstr(cases[i].sandbox);
        bad.container = cl_sv_cstr(cases[i].container);
        bad.process = cases[i].process;
        bad.flags = cases[i].flags;
        ask_stats(world, &bad);
        CL_CHECK_STR(cases[i].what, trace(world), "stats!invalid");
        snprintf(want, sizeof(want), "read the machine's counters: %s", cases[i].sentence);
        assert_string_equal(world->sentence, want);
    }
    cl_backend_of(&world->isolation)->capabilities &= ~(uint64_t)CLOISTER_ISO_MACHINE_STATS;
    ask_stats(world, &args);
    assert_string_equal(trace(world), "stats!unsupported");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_stats_subjects),     CASE(test_procs_subjects), CASE(test_result),
                                       CASE(test_never_queues),       CASE(test_states),         CASE(test_recovering),
                                       CASE(test_of_another_service), CASE(test_machine)};
    return cmocka_run_group_tests_name("core/engine stats", tests, NULL, NULL);
}
