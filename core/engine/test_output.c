/* SPDX-License-Identifier: Apache-2.0 */
/* Captured output: when it has ended, who reads it, and that no stream is left to nobody. */
#include "core/engine/test_world.h"

#include <fcntl.h>

#include "core/engine/api.h"
#include "core/engine/room.h"
#include "core/net/stream.h"

#define DOWN "container_down container=4 sandbox_down(2) sandbox=2"

static cloister_op exec_captured(struct world *world, const char *id)
{
    const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                  .oci = CLOISTER_SV("{}"),
                                                  .stdio = captured_stdio,
                                                  .stdio_count = 3,
                                                  .stdio_size = sizeof(captured_stdio[0]),
                                                  .tag = CLOISTER_SV("job 7")};
    const struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args), .sandbox = cl_sv_cstr(id),
                                            .name = CLOISTER_SV("job"), .process = &process};
    return ask_exec_with(world, &args);
}

static void drop_stream(struct world *world)
{
    assert_non_null(world->last_stream);
    cl_stream_abort(world->last_stream, NULL, NULL);
    world->last_stream = NULL;
}

/* ---- drained ---- */

static void test_drained_comes_from_isolation(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    exec_captured(world, id);
    turn(world);
    cloister_process job = world->last.process;
    ask_wait(world, id, job);
    ask_wait_drained(world, id, job);
    turn(world);
    (void)trace(world);
    tell_exit(world, 1, 3);
    turn(world);
    assert_string_equal(trace(world), "exit(p1) wait:ok"); /* the exit never waits for pipes */
    tell_drained(world, 1, 1000, 24);
    turn(world);
    assert_string_equal(trace(world), "drained(p1,1@1000-24) wait-drained:ok");
    assert_int_equal(world->last.output_count, 1);
    tell_drained(world, 1, 1, 1);     /* twice */
    ask_wait_drained(world, id, job); /* also afterwards */
    turn(world);
    assert_string_equal(trace(world), "wait-drained:ok");
    /* What is not captured is drained with its exit, whatever the backend can do. */
    ask_exec(world, id, "", 0);
    turn(world);
    (void)trace(world);
    tell_exit(world, 2, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(p2) drained(p2)");
}

static void test_order_of_an_inits_end(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name;
        bool drained_first; /* the init's output ends before the rest of its container has */
        const char *middle;
        const char *last;
    } cases[] = {
        {"output last", false, "exit(p1) drained(p1)", "drained(init,1@7-0) " DOWN " wait-drained:ok"},
        {"rest last", true, "", "exit(p1) drained(p1) drained(init,1@7-0) " DOWN " wait-drained:ok"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        world->process_count = 0;
        const char *id = running_captured(world, cases[i].name);
        ask_exec(world, id, "", 0);
        ask_wait_drained(world, id, 0);
        turn(world);
        (void)trace(world);
        world->immortal = true;
        tell_exit(world, 0, 0);
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), "exit(init)");
        if (cases[i].drained_first)
            tell_drained(world, 0, 7, 0);
        else
            tell_exit(world, 1, 0);
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].middle);
        if (cases[i].drained_first)
            tell_exit(world, 1, 0);
        else
            tell_drained(world, 0, 7, 0);
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].last);
        world->immortal = false;
        ask_destroy(world, id, 0);
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), "sandbox=6 destroy:ok");
    }
}

/* Waits for the end of output whose keeper has gone, or whose sandbox is destroyed, do not hang. */
static void test_output_that_nobody_keeps(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "lost");
    exec_captured(world, id);
    turn(world);
    tell_exit(world, 1, 0);
    ask_wait_drained(world, id, world->last.process);
    ask_wait_drained(world, id, 0);
    turn(world);
    (void)trace(world);
    tell_lost(world, id);
    turn(world);
    assert_string_equal(trace(world), "exit(init,lost) drained(p1) container_down,lost container=4 sandbox_down(3) "
                                      "sandbox=2 wait-drained:ok wait-drained:ok");
    world->process_count = 0;
    id = running_captured(world, "destroyed");
    tell_exit(world, 0, 0);
    ask_wait_drained(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init)");
    ask_destroy(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "sandbox=6 drained(init) container_down container=4 sandbox_down(2) "
                                      "wait-drained:ok destroy:ok");
}

static void test_start_decides_what_is_captured(void **state)
{
    struct world *world = *state;
    assert_true(ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED) != 0);
    turn(world);
    char id[20];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    const struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args),
                                                        .sandbox = cl_sv_cstr(id), .stdio = captured_stdio,
                                                        .stdio_count = 3, .stdio_size = sizeof(captured_stdio[0])};
    assert_true(cl_engine_api.container_start(&world->control.host, &start, on_done, caller(world, "start"), NULL) !=
                0);
    turn(world);
    (void)trace(world);
    tell_exit(world, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(init)");
    tell_drained(world, 0, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "drained(init) " DOWN);
}

/* Released before it is drained: nobody will read it, so there is no end to wait for. */
static void test_release_before_drained(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    exec_captured(world, id);
    turn(world);
    cloister_process job = world->last.process;
    tell_exit(world, 1, 0);
    ask_wait_drained(world, id, job);
    turn(world);
    (void)trace(world);
    ask_release(world, id, job);
    turn(world);
    assert_string_equal(trace(world), "drained(p1) wait-drained:ok release:ok");
    assert_int_equal(calls_of(world, SLOT_RELEASE), 1);
    ask_wait(world, id, job);
    assert_string_equal(trace(world), "wait!no_entity");
    tell_drained(world, 1, 5, 0); /* its end, told too late */
    /* An init stays until its container is down; its status stays there. */
    ask_exec(world, id, "", 0);
    turn(world);
    (void)trace(world);
    world->immortal = true;
    tell_exit(world, 0, 9);
    ask_wait_drained(world, id, 0);
    turn(world);
    ask_release(world, id, world->processes[0].number);
    turn(world);
    assert_string_equal(trace(world), "exit(init) release:ok");
    ask_release(world, id, world->processes[0].number);
    assert_string_equal(trace(world), "release!no_entity");
    tell_exit(world, 2, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(p2) drained(p2) drained(init) " DOWN " wait-drained:ok");
    ask_wait_drained(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "wait-drained:ok");
    assert_int_equal(world->last.status.value, 9);
    assert_int_equal(info(world, id).process_count, 1); /* p2, which nobody has released */
    /* One that is lost meanwhile is not forgotten to be forgotten. */
    world->process_count = 0;
    id = running_captured(world, "lost");
    ask_exec(world, id, "", 0);
    turn(world);
    tell_exit(world, 0, 0);
    ask_release(world, id, world->processes[0].number);
    turn(world);
    tell_lost(world, id);
    turn(world);
    assert_int_equal(info(world, id).process_count, 1);
}

/* ---- attach, stdin ---- */

static void test_attach(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    ask_attach(world, id, 0, 0);
    turn(world);
    assert_string_equal(trace(world), "attach:ok");
    assert_int_equal(world->last.process, world->processes[0].number);
    assert_int_equal(world->last.position, 5);
    assert_int_equal(world->last.lost, 2);
    assert_int_equal(world->process_seen, world->processes[0].number); /* never 0 */
    assert_false(stream_gone(world, 0));
    drop_stream(world);
    /* A process that has ended, until it is released. */
    exec_captured(world, id);
    turn(world);
    cloister_process job = world->last.process;
    tell_exit(world, 1, 0);
    tell_drained(world, 1, 0, 0);
    ask_attach(world, id, job, 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok exit(p1) drained(p1) attach:ok");
    drop_stream(world);
    ask_attach(world, id, job, 0);
    ask_release(world, id, job);
    turn(world);
    assert_string_equal(trace(world), "attach:ok release:ok");
    drop_stream(world);
    ask_release(world, id, world->processes[0].number);
    ask_attach(world, id, job, 0);
    assert_string_equal(trace(world), "release!invalid_state attach!no_entity");
    struct cloister_attach_policy_args policy = {CLOISTER_INIT(struct cloister_attach_policy_args),
                                                 .policy = CLOISTER_POLICY_DISCARD, .sandbox = cl_sv_cstr(id), .fd = 2};
    ask_policy(world, &policy);
    turn(world);
    assert_int_equal(world->process_seen, world->processes[0].number);
    ask_stdin(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "policy:ok stdin:ok");
    drop_stream(world);
    ask_stdin_close(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "stdin-close:ok");
    assert_int_equal(world->process_seen, world->processes[0].number);
    tell_lost(world, id);
    turn(world);
    (void)trace(world);
    ask_attach(world, id, 0, 0);
    assert_string_equal(trace(world), "attach!lost");
}

static void test_attach_is_refused(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    const struct cloister_attach_args good = {CLOISTER_INIT(struct cloister_attach_args), .from = CLOISTER_ATTACH_LIVE,
                                              .sandbox = cl_sv_cstr(id), .fd = 1};
    struct cloister_attach_args bad_fd = good, bad_from = good, bad_policy = good, bad_position = good, nowhere = good,
                                unknown = good, nobody = good;
    bad_fd.fd = 0;
    bad_from.from = 5;
    bad_policy.policy = CLOISTER_POLICY_DISCARD;
    bad_position.position = 1;
    nowhere.container = CLOISTER_SV("other");
    unknown.process = 12345;
    nobody.sandbox = CLOISTER_SV("nobody");
    const struct {
        const char *name;
        const struct cloister_attach_args *args;
        const char *want;
    } cases[] = {
        {"fd 0", &bad_fd, "attach!invalid"},         {"unknown from", &bad_from, "attach!invalid"},
        {"DISCARD", &bad_policy, "attach!invalid"},  {"a stray position", &bad_position, "attach!invalid"},
        {"container", &nowhere, "attach!no_entity"}, {"process", &unknown, "attach!no_entity"},
        {"sandbox", &nobody, "attach!no_entity"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_CHECK_INT(cases[i].name, ask_attach_with(world, cases[i].args), 0);
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].want);
    }
    struct cloister_attach_policy_args policy = {CLOISTER_INIT(struct cloister_attach_policy_args), .policy = 3,
                                                 .sandbox = cl_sv_cstr(id), .fd = 1};
    ask_policy(world, &policy);
    policy.policy = 0;
    policy.window = (16u << 20) + 1;
    ask_policy(world, &policy);
    assert_string_equal(trace(world), "policy!invalid policy!invalid");
    struct cloister_error err = CLOISTER_ERROR_INIT;
    assert_int_equal(cl_engine_api.attach(&world->other.host, &good, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_NO_ENTITY); /* other sees it, but may not act on it */
    world->isolation_vtable.isolation.attach = NULL;
    world->isolation_vtable.isolation.stdin = NULL;
    ask_attach(world, id, 0, 0);
    ask_stdin(world, id, 0);
    turn(world);
    assert_string_equal(trace(world), "attach:unsupported stdin:unsupported");
}

/* It never queues: not behind a create's claim, nor behind an exec that hangs; but there is nothing to attach to before
 * the program runs. */
static void test_attach_never_waits(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    world->hold[SLOT_EXEC] = true;
    exec_captured(world, id);
    turn(world);
    ask_stop(world, id, CL_NS_PER_S * 60, 0);
    ask_attach(world, id, 0, 0);
    ask_attach(world, id, world->processes[0].number + 1, 0);
    turn(world);
    assert_string_equal(trace(world), "attach!invalid_state exit(init) attach:ok");
    drop_stream(world);
}

static void test_stream_that_nobody_wants(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    struct cloister_error err = CLOISTER_ERROR_INIT;
    world->ignore_cancel = true;
    world->hold[SLOT_ATTACH] = world->hold[SLOT_STDIN] = true;
    /* Cancelled meanwhile. */
    cloister_op op = ask_attach(world, id, 0, 0);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    complete(world, last_call(world, SLOT_ATTACH), 0);
    turn(world);
    assert_string_equal(trace(world), "attach:cancelled");
    assert_true(stream_gone(world, 0));
    /* Its deadline passed: answered long ago. */
    ask_attach(world, id, 0, cl_mono_ns() + 10 * CL_NS_PER_MS);
    turn_for(world, 30);
    assert_string_equal(trace(world), "attach:deadline");
    complete(world, last_call(world, SLOT_ATTACH), 0);
    turn(world);
    assert_string_equal(trace(world), "");
    assert_true(stream_gone(world, 1));
    op = ask_stdin(world, id, 0);
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    complete(world, last_call(world, SLOT_STDIN), 0);
    turn(world);
    assert_string_equal(trace(world), "stdin:cancelled");
    assert_true(stream_gone(world, 2));
    /* Nobody to hand it to. */
    const struct cloister_attach_args args = {CLOISTER_INIT(struct cloister_attach_args), .from = CLOISTER_ATTACH_LIVE,
                                              .sandbox = cl_sv_cstr(id), .fd = 1};
    assert_true(cl_engine_api.attach(&world->control.host, &args, NULL, NULL, &err) != 0);
    turn(world);
    complete(world, last_call(world, SLOT_ATTACH), 0);
    turn(world);
    assert_true(stream_gone(world, 3));
    world->no_stream = true;
    ask_attach(world, id, 0, 0);
    turn(world);
    complete(world, last_call(world, SLOT_ATTACH), 0);
    turn(world);
    assert_string_equal(trace(world), "attach:internal");
}

static void on_drained_engine(void *ctx)
{
    ((struct world *)ctx)->drained++;
}

static void test_stream_behind_a_drain(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    world->hold[SLOT_ATTACH] = world->ignore_cancel = true;
    ask_attach(world, id, 0, 0);
    turn(world);
    cl_engine_drain(world->engine, cl_mono_ns() + 10 * CL_NS_PER_MS, on_drained_engine, world);
    turn_for(world, 40);
    assert_int_equal(world->drained, 1);
    assert_string_equal(trace(world), "attach:unavailable");
    ask_attach(world, id, 0, 0);
    assert_string_equal(trace(world), "attach!unavailable");
    complete(world, last_call(world, SLOT_ATTACH), 0);
    turn(world);
    assert_true(stream_gone(world, 0));
}

/* What waited for its turn when isolation was detached does not get it. */
static void test_nothing_begins_behind_a_drain(void **state)
{
    struct world *world = *state;
    assert_true(ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED) != 0);
    turn(world);
    char id[20];
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    (void)trace(world);
    world->hold[SLOT_START] = world->ignore_cancel = true;
    ask_start(world, id);
    ask_exec(world, id, "", 0);
    turn(world);
    cl_engine_drain(world->engine, cl_mono_ns() + 10 * CL_NS_PER_MS, on_drained_engine, world);
    turn_for(world, 40);
    assert_int_equal(world->detached, 1);
    assert_string_equal(trace(world), "start:unavailable exec:unavailable");
    complete(world, last_call(world, SLOT_START), 0);
    turn(world);
    assert_int_equal(calls_of(world, SLOT_EXEC), 0);
}

/* ---- stdio ---- */

static void test_stdio_checks(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    struct cl_backend *backend = world->isolation.engine_room;
    const struct {
        const char *name;
        struct cloister_stdio list[3];
        uint64_t without; /* capability that the backend lacks */
        const char *want;
    } cases[] = {
        {"all pipes",
         {{.kind = CLOISTER_STDIO_PIPE},
          {.kind = CLOISTER_STDIO_PIPE, .window = 16u << 20},
          {.kind = CLOISTER_STDIO_PIPE, .policy = CLOISTER_POLICY_DISCARD}},
         0,
         ""},
        {"closed",
         {{.kind = CLOISTER_STDIO_CLOSED}, {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_CLOSED}},
         0,
         ""},
        {"no tapes",
         {{.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_PIPE}, {.kind = CLOISTER_STDIO_NULL}},
         CLOISTER_ISO_TAPE,
         "exec!unsupported"},
        {"window",
         {{.kind = CLOISTER_STDIO_NULL},
          {.kind = CLOISTER_STDIO_PIPE, .window = (16u << 20) + 1},
          {.kind = CLOISTER_STDIO_NULL}},
         0,
         "exec!invalid"},
        {"policy",
         {{.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_PIPE, .policy = 3}, {.kind = CLOISTER_STDIO_NULL}},
         0,
         "exec!invalid"},
        {"a window on stdin",
         {{.kind = CLOISTER_STDIO_PIPE, .window = 1}, {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}},
         0,
         "exec!invalid"},
        {"a window on NULL",
         {{.kind = CLOISTER_STDIO_NULL, .window = 1}, {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}},
         0,
         "exec!invalid"},
        {"reserved",
         {{.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_PIPE, .reserved = {1}}, {.kind = CLOISTER_STDIO_NULL}},
         0,
         "exec!invalid"},
        {"a copy of a later one",
         {{.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_SAME_AS, .fd = 2}, {.kind = CLOISTER_STDIO_NULL}},
         0,
         "exec!invalid"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                      .oci = CLOISTER_SV("{}"), .stdio = cases[i].list,
                                                      .stdio_count = 3, .stdio_size = sizeof(cases[i].list[0])};
        const struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args), .sandbox = cl_sv_cstr(id),
                                                .process = &process};
        backend->capabilities &= ~cases[i].without;
        (void)ask_exec_with(world, &args);
        backend->capabilities |= cases[i].without;
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].want);
    }
    struct cloister_process_args long_drain = {CLOISTER_INIT(struct cloister_process_args), .oci = CLOISTER_SV("{}"),
                                               .drain_max = 3601 * CL_NS_PER_S};
    struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args), .sandbox = cl_sv_cstr(id),
                                      .process = &long_drain};
    ask_exec_with(world, &args);
    long_drain.drain_max = 0;
    args.flags = 1u << 31;
    ask_exec_with(world, &args);
    assert_string_equal(trace(world), "exec!invalid exec!invalid");
}

static void on_process(void *ctx, const struct cloister_process_info *seen)
{
    char *text = ctx;
    size_t size = strlen(text);
    snprintf(text + size, 128 - size, "%.*s/%.*s;", CL_SV_ARG(seen->name), CL_SV_ARG(seen->tag));
}

static void test_names_and_tags(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    char seen[128] = "";
    exec_captured(world, id);
    turn(world);
    assert_int_equal(cl_engine_api.processes(&world->control.host, cl_sv_cstr(id), on_process, seen, NULL), 0);
    assert_string_equal(seen, "/the init;job/job 7;");
}

/* Every allocation on the way fails once: each request is answered or refused, and no stream is left. */
static void test_no_memory(void **state)
{
    struct world *world = *state;
    const char *id = running_captured(world, "web");
    unsigned before = open_fds();
    bool through = false;
    for (uint64_t nth = 1; !through; nth++) {
        char name[24];
        snprintf(name, sizeof(name), "%llu", (unsigned long long)nth);
        world->call_count = world->stream_count = 0;
        cl_mem_fail_nth(nth);
        bool attached = ask_attach(world, id, 0, 0) != 0;
        turn(world);
        through = cl_mem_count() < nth;
        cl_mem_fail_nth(0);
        const char *text = trace(world);
        CL_CHECK(name, !attached || strncmp(text, "attach:", 7) == 0);
        CL_CHECK(name, !through || strcmp(text, "attach:ok") == 0);
        if (strcmp(text, "attach:ok") == 0)
            drop_stream(world);
        turn(world);
        CL_CHECK(name, world->stream_count == 0 || stream_gone(world, 0));
        for (unsigned i = 0; i < world->stream_count; i++)
            close(world->stream_peers[i]);
        CL_CHECK_INT(name, open_fds(), before);
    }
    world->stream_count = 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

static void test_reserved_members_are_refused(void **state)
{
    struct world *world = *state;
    struct cloister_sv id = cl_sv_cstr(running_captured(world, "web"));
    const struct cloister_attach_policy_args policy = {CLOISTER_INIT(struct cloister_attach_policy_args),
                                                       .policy = CLOISTER_POLICY_DROP, .sandbox = id, .fd = 1,
                                                       .reserved = 1};
    const struct cloister_stdin_args in = {CLOISTER_INIT(struct cloister_stdin_args), .reserved = 1, .sandbox = id};
    const struct cloister_stdin_close_args end = {CLOISTER_INIT(struct cloister_stdin_close_args), .reserved = 1,
                                                  .sandbox = id};
    const struct cloister_sandbox_commit_args commit = {CLOISTER_INIT(struct cloister_sandbox_commit_args),
                                                        .reserved = 1, .sandbox = id};
    const struct cloister_host *host = &world->control.host;
    struct cloister_error errs[4] = {CLOISTER_ERROR_INIT, CLOISTER_ERROR_INIT, CLOISTER_ERROR_INIT,
                                     CLOISTER_ERROR_INIT};
    assert_int_equal(cl_engine_api.attach_policy(host, &policy, on_done, NULL, &errs[0]), 0);
    assert_int_equal(cl_engine_api.stdin(host, &in, on_done, NULL, &errs[1]), 0);
    assert_int_equal(cl_engine_api.stdin_close(host, &end, on_done, NULL, &errs[2]), 0);
    assert_int_equal(cl_engine_api.sandbox_commit(host, &commit, on_done, NULL, &errs[3]), 0);
    for (size_t i = 0; i < CL_COUNT(errs); i++) {
        assert_int_equal(errs[i].code, CLOISTER_INVALID);
        assert_string_equal(errs[i].subject, "reserved");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_reserved_members_are_refused),
        CASE(test_drained_comes_from_isolation),
        CASE(test_order_of_an_inits_end),
        CASE(test_output_that_nobody_keeps),
        CASE(test_start_decides_what_is_captured),
        CASE(test_release_before_drained),
        CASE(test_attach),
        CASE(test_attach_is_refused),
        CASE(test_attach_never_waits),
        CASE(test_stream_that_nobody_wants),
        CASE(test_stream_behind_a_drain),
        CASE(test_nothing_begins_behind_a_drain),
        CASE(test_stdio_checks),
        CASE(test_names_and_tags),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests_name("core/engine output", tests, NULL, NULL);
}
