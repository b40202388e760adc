/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/test_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "core/engine/api.h"
#include "core/engine/room.h"
#include "core/net/stream.h"

const char spec_text[] = "{\"ociVersion\":\"1.1.0\"}";

/* ---- trace ---- */

void trace_add(struct world *world, const char *format, ...)
{
    size_t size = strlen(world->trace);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(world->trace + size, sizeof(world->trace) - size, format, args);
    va_end(args);
}

static const char *process_name(const struct world *world, cloister_process number)
{
    static char name[24];
    unsigned execs = 0;
    for (unsigned i = 0; i < world->process_count; i++) {
        execs += !world->processes[i].init;
        if (world->processes[i].number != number)
            continue;
        if (world->processes[i].init)
            return "init";
        snprintf(name, sizeof(name), "p%u", execs);
        return name;
    }
    return "?";
}

static void on_event(void *ctx, const struct cloister_event *event)
{
    struct world *world = ctx;
    const char *lost = event->status.kind == CLOISTER_STATUS_LOST ? ",lost" : "";
    switch (event->kind) {
    case CLOISTER_EVENT_EXIT:
        trace_add(world, "exit(%s%s) ", process_name(world, event->process), lost);
        break;
    case CLOISTER_EVENT_DRAINED:
        trace_add(world, "drained(%s", process_name(world, event->process));
        for (uint64_t i = 0; i < event->output_count; i++)
            trace_add(world, ",%u@%llu-%llu", event->outputs[i].fd, (unsigned long long)event->outputs[i].position,
                      (unsigned long long)event->outputs[i].lost);
        trace_add(world, ") ");
        break;
    case CLOISTER_EVENT_CONTAINER_DOWN:
        trace_add(world, "container_down%s ", lost);
        break;
    case CLOISTER_EVENT_SANDBOX_DOWN:
        trace_add(world, "sandbox_down(%u) ", event->cause);
        break;
    case CLOISTER_EVENT_STATE:
        trace_add(world, "%s=%u ", event->container.size ? "container" : "sandbox", event->state);
        break;
    default:
        trace_add(world, "event%u ", event->kind);
        break;
    }
}

static const char *code_word(uint32_t code)
{
    return code ? cl_error_code_name(code) : "ok";
}

void on_done(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    struct caller *caller_of = ctx;
    struct world *world = caller_of->world;
    assert_true(op != 0);
    trace_add(world, "%s:%s ", caller_of->word, code_word(error ? error->code : 0));
    world->last = *result;
    if (result->stream)
        world->last_stream = result->stream;
    world->last_error = error ? *error : (struct cloister_error)CLOISTER_ERROR_INIT;
    if (result->sandbox.size)
        snprintf(world->last_sandbox, sizeof(world->last_sandbox), "%.*s", CL_SV_ARG(result->sandbox));
    snprintf(world->last_json, sizeof(world->last_json), "%.*s", CL_SV_ARG(result->json));
    if (error)
        cl_error_sentence(error, world->sentence, sizeof(world->sentence));
}

struct caller *caller(struct world *world, const char *word)
{
    static struct caller callers[32];
    static unsigned used;
    for (unsigned i = 0; i < used; i++)
        if (strcmp(callers[i].word, word) == 0) {
            callers[i].world = world;
            return &callers[i];
        }
    callers[used] = (struct caller){world, word};
    return &callers[used++];
}

const char *trace(struct world *world)
{
    static char text[sizeof(world->trace)];
    memcpy(text, world->trace, sizeof(text));
    size_t size = strlen(text);
    if (size)
        text[size - 1] = 0;
    world->trace[0] = 0;
    return text;
}

const char *logged(struct world *world)
{
    static char text[1 << 16];
    (void)!write(world->log_write, "\n", 1);
    ssize_t size = read(world->log_read, text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

/* A plugin's own shortage of memory is not what is tested: one failure is followed by success. */
void post(struct world *world, cloister_fn fn, void *ctx)
{
    if (cl_loop_post(world->loop, fn, ctx) < 0)
        assert_int_equal(cl_loop_post(world->loop, fn, ctx), 0);
}

/* ---- isolation ---- */

static const struct cloister_host *iso_host(struct world *world)
{
    return &world->isolation.host;
}

static void tell(struct world *world, struct fake_process *process, uint32_t kind, uint32_t value)
{
    if (!process->alive)
        return;
    process->alive = false;
    process->exit_order = ++world->exits;
    process->status = (struct cloister_status){.kind = kind, .value = value, .real_ns = 1000 + world->exits};
    if (!world->engine)
        return; /* the keeper remembers */
    struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event),
                                       .kind = CLOISTER_EVENT_EXIT,
                                       .sandbox = cl_sv_cstr(process->sandbox),
                                       .container = CLOISTER_SV("main"),
                                       .incarnation = 1,
                                       .process = process->number,
                                       .status = {.kind = kind, .value = value}};
    cl_engine_iso_api.event(iso_host(world), &event);
}

void tell_exit(struct world *world, unsigned process, uint32_t code)
{
    assert_true(process < world->process_count);
    tell(world, &world->processes[process], CLOISTER_STATUS_EXITED, code);
}

void tell_drained(struct world *world, unsigned process, uint64_t position, uint64_t lost)
{
    const struct cloister_output_end end = {.fd = 1, .position = position, .lost = lost};
    struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event),
                                       .kind = CLOISTER_EVENT_DRAINED,
                                       .sandbox = cl_sv_cstr(world->processes[process].sandbox),
                                       .process = world->processes[process].number,
                                       .outputs = &end,
                                       .output_count = position ? 1 : 0,
                                       .output_size = sizeof(end)};
    cl_engine_iso_api.event(iso_host(world), &event);
}

void tell_lost(struct world *world, const char *sandbox)
{
    struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event), .kind = CLOISTER_EVENT_SANDBOX_DOWN,
                                       .sandbox = cl_sv_cstr(sandbox), .cause = CLOISTER_CAUSE_LOST};
    cl_engine_iso_api.event(iso_host(world), &event);
}

static void forget(struct world *world, struct cloister_sv sandbox, cloister_process only)
{
    for (unsigned i = 0; i < world->process_count; i++)
        if (cl_sv_is(sandbox, world->processes[i].sandbox) && (!only || world->processes[i].number == only))
            world->processes[i].forgotten = true;
}

static void start_process(struct world *world, struct cloister_sv sandbox, cloister_process number, bool init)
{
    struct fake_process *process = &world->processes[world->process_count++];
    *process = (struct fake_process){.number = number, .init = init, .alive = true};
    snprintf(process->sandbox, sizeof(process->sandbox), "%.*s", CL_SV_ARG(sandbox));
}

/* A namespace's init takes everything with it, and is the last to be reaped. */
static void end_matching(struct world *world, struct cloister_sv sandbox, cloister_process only, bool all,
                         uint32_t number)
{
    if (world->immortal || (world->stubborn && number != SIGKILL))
        return;
    for (int inits = 0; inits < 2; inits++)
        for (unsigned i = 0; i < world->process_count; i++) {
            struct fake_process *process = &world->processes[i];
            if (cl_sv_is(sandbox, process->sandbox) && process->init == inits && (all || process->number == only))
                tell(world, process, CLOISTER_STATUS_SIGNALED, number);
        }
}

static const struct cloister_iso_sandbox *sandbox_of(const struct fake_call *call)
{
    /* All argument structs begin alike: size, reserved, sandbox. */
    return &((const struct cloister_iso_describe_args *)call->args)->sandbox;
}

static void give_stream(struct world *world, struct cloister_result *result)
{
    int ends[2];
    if (world->no_stream)
        return;
    assert_true(world->stream_count < CL_COUNT(world->stream_peers));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    world->stream_peers[world->stream_count++] = ends[1];
    if (cl_stream_from_fd(world->loop, ends[0], &result->stream) == 0)
        return; /* else the shortage of memory met the plugin, which takes the descriptor too: once more */
    assert_int_equal(close(ends[1]), 0);
    world->stream_count--;
    give_stream(world, result);
}

bool stream_gone(const struct world *world, unsigned nth)
{
    char byte;
    ssize_t got = recv(world->stream_peers[nth], &byte, 1, MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void perform(struct fake_call *call, struct cloister_result *result)
{
    struct world *world = call->world;
    struct cloister_sv id = sandbox_of(call)->id;
    if (call->slot == SLOT_CREATE) {
        const struct cloister_iso_create_args *args = call->args;
        result->pid = 100;
        if (args->container)
            start_process(world, id, args->init, true);
        if (args->container && args->container->start == CLOISTER_START_BLOCKED)
            world->processes[world->process_count - 1].blocked = true;
    } else if (call->slot == SLOT_START) {
        const struct cloister_iso_start_args *args = call->args;
        for (unsigned i = 0; i < world->process_count; i++)
            if (world->processes[i].number == args->init)
                world->processes[i].blocked = false;
    } else if (call->slot == SLOT_RELEASE) {
        const struct cloister_iso_release_args *args = call->args;
        forget(world, id, args->process);
    } else if (call->slot == SLOT_EXEC) {
        const struct cloister_iso_exec_args *args = call->args;
        result->pid = 200;
        start_process(world, id, args->process, false);
        if (world->exit_first)
            tell(world, &world->processes[world->process_count - 1], CLOISTER_STATUS_EXITED, 0);
    } else if (call->slot == SLOT_DESTROY) {
        bool immortal = world->immortal;
        world->immortal = false;
        end_matching(world, id, 0, true, SIGKILL);
        world->immortal = immortal;
        forget(world, id, 0);
        world->cookie_seen = sandbox_of(call)->cookie;
        snprintf(world->plan_seen, sizeof(world->plan_seen), "%.*s", CL_SV_ARG(sandbox_of(call)->plan));
    } else if (call->slot == SLOT_ADOPT) {
        fake_inventory(world, call->args, result);
    } else if (call->slot == SLOT_SIGNAL) {
        const struct cloister_iso_signal_args *args = call->args;
        end_matching(world, id, args->signal->process, false, args->signal->signal);
    } else if (call->slot == SLOT_KILL) {
        const struct cloister_iso_kill_args *args = call->args;
        end_matching(world, id, 0, true, args->kill->signal);
    } else if (call->slot == SLOT_DESCRIBE) {
        result->json = CLOISTER_SV("{\"fake\":true}");
    } else if (call->slot == SLOT_ATTACH || call->slot == SLOT_STDIN) {
        give_stream(world, result);
        result->position = 5;
        result->lost = 2;
    } else if (call->slot == SLOT_SWEEP) {
        const struct cloister_iso_sweep_args *args = call->args;
        world->known_seen = args->known_count;
        world->report_only_seen = args->report_only;
        world->sweep_cookie_seen = args->cookie;
        if (world->orphan)
            cl_engine_iso_api.orphan(iso_host(world), cl_sv_cstr(world->orphan), "cgroup", CLOISTER_SV("/x"),
                                     !args->report_only);
    }
}

void complete(struct world *world, unsigned index, uint32_t code)
{
    struct fake_call *call = &world->calls[index];
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result)};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    code = world->dead && !code ? CLOISTER_CANCELLED : code;
    world->adopting -= call->slot == SLOT_ADOPT && !call->done;
    if (call->slot == SLOT_ADOPT && !code) /* the fate's error is used up */
        code = fake_fate_code(world, sandbox_of(call)->id);
    if (code)
        (void)cl_error_set(&err, code, 0, NULL, "fake", "the fake was told to fail");
    else if (!call->done)
        perform(call, &result);
    call->done = true;
    cl_engine_iso_api.done(iso_host(world), call->op, code ? &err : NULL, &result);
}

static void on_turn(void *ctx)
{
    struct fake_call *call = ctx;
    struct world *world = call->world;
    uint32_t code = world->fail[call->slot];
    world->fail[call->slot] = 0;
    if (!call->done)
        complete(world, (unsigned)(call - world->calls), code);
}

static void take_stdio(struct world *world, const struct cloister_stdio *stdio, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (stdio[i].kind == CLOISTER_STDIO_DESCRIPTOR) {
            world->stdio_taken++;
            assert_int_equal(close(stdio[i].fd), 0);
        }
}

static void called(void *instance, enum slot slot, const void *args, cloister_op op)
{
    struct world *world = instance;
    struct fake_call *call = &world->calls[world->call_count++];
    *call = (struct fake_call){world, slot, op, args, false};
    world->adopting += slot == SLOT_ADOPT;
    world->adopting_most = world->adopting > world->adopting_most ? world->adopting : world->adopting_most;
    if (world->inside[slot])
        complete(world, world->call_count - 1, 0);
    else if (!world->hold[slot])
        post(world, on_turn, call);
}

static void iso_create(void *instance, const struct cloister_iso_create_args *args, cloister_op op)
{
    if (args->container && args->container->process)
        take_stdio(instance, args->container->process->stdio, args->container->process->stdio_count);
    called(instance, SLOT_CREATE, args, op);
}

static void iso_exec(void *instance, const struct cloister_iso_exec_args *args, cloister_op op)
{
    struct world *world = instance;
    size_t used = 0;
    world->env_seen[0] = 0;
    world->exec_flags_seen = args->exec->flags;
    for (uint64_t i = 0; i < args->exec->process->env_count && used < sizeof(world->env_seen); i++)
        used += (size_t)snprintf(world->env_seen + used, sizeof(world->env_seen) - used, "%.*s;",
                                 CL_SV_ARG(args->exec->process->env[i]));
    take_stdio(instance, args->exec->process->stdio, args->exec->process->stdio_count);
    called(instance, SLOT_EXEC, args, op);
}

#define ISO_SLOT(name, type, slot)                                                  \
    static void iso_##name(void *instance, const struct type *args, cloister_op op) \
    {                                                                               \
        called(instance, slot, args, op);                                           \
    }

ISO_SLOT(destroy, cloister_iso_destroy_args, SLOT_DESTROY)
ISO_SLOT(start, cloister_iso_start_args, SLOT_START)
ISO_SLOT(kill, cloister_iso_kill_args, SLOT_KILL)
ISO_SLOT(signal, cloister_iso_signal_args, SLOT_SIGNAL)
ISO_SLOT(release, cloister_iso_release_args, SLOT_RELEASE)
ISO_SLOT(describe, cloister_iso_describe_args, SLOT_DESCRIBE)
ISO_SLOT(sweep, cloister_iso_sweep_args, SLOT_SWEEP)
ISO_SLOT(adopt, cloister_iso_adopt_args, SLOT_ADOPT)

#define ISO_SLOT_OF_PROCESS(name, type, slot, member)                               \
    static void iso_##name(void *instance, const struct type *args, cloister_op op) \
    {                                                                               \
        ((struct world *)instance)->process_seen = args->member;                    \
        called(instance, slot, args, op);                                           \
    }

ISO_SLOT_OF_PROCESS(attach, cloister_iso_attach_args, SLOT_ATTACH, attach->process)
ISO_SLOT_OF_PROCESS(attach_policy, cloister_iso_attach_policy_args, SLOT_POLICY, policy->process)
ISO_SLOT_OF_PROCESS(write, cloister_iso_stdin_args, SLOT_STDIN, process)
ISO_SLOT_OF_PROCESS(close, cloister_iso_stdin_args, SLOT_STDIN_CLOSE, process)

static int32_t iso_probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    (void)err;
    ret->capabilities =
        CLOISTER_ISO_PAUSE_INIT | CLOISTER_ISO_BLOCKED_INIT | CLOISTER_ISO_STDIO_DIRECT | CLOISTER_ISO_TAPE;
    if (!((struct world *)instance)->no_adopt)
        ret->capabilities |= CLOISTER_ISO_ADOPT;
    return 0;
}

static int32_t iso_plan(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                        struct cloister_error *err)
{
    struct world *world = instance;
    world->planned = *args->create;
    if (world->plan_fails)
        return cl_error_set(err, world->plan_fails, 0, "linux.foo", NULL, "linux.foo is not supported"), -1;
    *ret_blob = CLOISTER_SV("plan\0blob");
    return 0;
}

static void iso_cancel(void *instance, cloister_op op)
{
    struct world *world = instance;
    world->cancels++;
    for (unsigned i = 0; i < world->call_count && !world->ignore_cancel; i++)
        if (world->calls[i].op == op && !world->calls[i].done && world->hold[world->calls[i].slot]) {
            world->fail[world->calls[i].slot] = CLOISTER_CANCELLED;
            post(world, on_turn, &world->calls[i]);
        }
}

static void iso_detach(void *instance)
{
    ((struct world *)instance)->detached++;
}

unsigned last_call(struct world *world, enum slot slot)
{
    for (unsigned i = world->call_count; i > 0; i--)
        if (world->calls[i - 1].slot == slot)
            return i - 1;
    fail_msg("no call of slot %d", (int)slot);
    return 0;
}

unsigned calls_of(struct world *world, enum slot slot)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world->call_count; i++)
        count += world->calls[i].slot == slot;
    return count;
}

/* ---- world ---- */

static void instance_init(struct world *world, struct cl_instance *instance, const char *name, const char *label,
                          const union cl_vtable *vtable)
{
    *instance = (struct cl_instance){.name = strdup(name), .label = strdup(label), .vtable = vtable, .self = world};
    instance->host.self = instance;
    instance->host.engine = &cl_engine_api;
}

static void on_opened(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)result;
    assert_null(err);
    *(bool *)ctx = true;
}

static void iso_hold(void *instance, struct cloister_sv plan)
{
    struct world *world = instance;
    world->holds++;
    snprintf(world->held_plan, sizeof(world->held_plan), "%.*s", CL_SV_ARG(plan));
}

static void fill_vtables(struct world *world)
{
    world->isolation_vtable.isolation = (struct cloister_isolation){CLOISTER_INIT(struct cloister_isolation),
                                                                    .probe = iso_probe,
                                                                    .plan = iso_plan,
                                                                    .sandbox_create = iso_create,
                                                                    .sandbox_destroy = iso_destroy,
                                                                    .container_start = iso_start,
                                                                    .container_kill = iso_kill,
                                                                    .exec = iso_exec,
                                                                    .signal = iso_signal,
                                                                    .release = iso_release,
                                                                    .describe = iso_describe,
                                                                    .sweep = iso_sweep,
                                                                    .adopt = iso_adopt,
                                                                    .attach = iso_attach,
                                                                    .attach_policy = iso_attach_policy,
                                                                    .stdin = iso_write,
                                                                    .stdin_close = iso_close,
                                                                    .cancel = iso_cancel,
                                                                    .detach = iso_detach,
                                                                    .hold = iso_hold};
    world->persistence_vtable.persistence = fake_persistence;
    instance_init(world, &world->isolation, "main", "isolation 'main' (fake)", &world->isolation_vtable);
    instance_init(world, &world->persistence, "main", "persistence 'main' (fake)", &world->persistence_vtable);
    instance_init(world, &world->control, "control", "personality 'control'", &world->personality_vtable);
    instance_init(world, &world->other, "other", "personality 'other'", &world->personality_vtable);
}

static int add_services(struct world *world)
{
    static const char *const see_control[] = {"control", NULL}, *const everything[] = {"*", NULL};
    struct cl_engine_service_args args = {
        .name = "control", .personality = &world->control, .isolation = &world->isolation, .store = world->store};
    args.see = args.act = world->sees_all ? everything : NULL;
    int r = cl_engine_add_service(world->engine, &args, NULL);
    args.act = NULL;
    args.name = "other";
    args.personality = &world->other;
    args.see = see_control;
    r = r ? r : cl_engine_add_service(world->engine, &args, NULL);
    return r ? r : cl_events_add(world->events, "control", NULL, on_event, world);
}

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    int ends[2];
    snprintf(world->run_dir, sizeof(world->run_dir), "/tmp/test-engine-XXXXXX");
    if (!mkdtemp(world->run_dir) || pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    world->log_read = ends[0];
    world->log_write = ends[1];
    cl_log_set_fd(world->log_write);
    fill_vtables(world);
    world->boot = (struct fake_boot){.boot_id = "boot", .cookie = 0xabc, .epoch = 7};
    *state = world;
    return cl_loop_new(&world->loop) < 0 ? -1 : world_born(world);
}

int world_born(struct world *world)
{
    const char *profiles[] = {world->run_dir, NULL};
    bool opened = false;
    if (cl_events_new(&world->events) < 0)
        return -1;
    const struct cl_engine_args args = {.loop = world->loop,
                                        .events = world->events,
                                        .instance = "test",
                                        .run_dir = world->run_dir,
                                        .boot_id = world->boot.boot_id,
                                        .cookie = world->boot.cookie,
                                        .old_cookie = world->boot.old_cookie,
                                        .recover_ns = world->boot.recover_ns,
                                        .orphans_report = world->boot.orphans_report,
                                        .profile_paths = profiles};
    if (cl_engine_new(&args, &world->engine) < 0 ||
        cl_engine_add_isolation(world->engine, &world->isolation, NULL) < 0 ||
        cl_store_new(world->loop, &world->persistence, &world->store) < 0 ||
        cl_store_open(world->store, "test", "/nowhere", on_opened, &opened) < 0)
        return -1;
    turn(world);
    return opened && add_services(world) == 0 ? 0 : -1;
}

static void on_dead(void *ctx)
{
    *(bool *)ctx = true;
}

/* Nothing of what it still does reaches anybody (world->dead); but what it has is given back. */
void world_die(struct world *world)
{
    unsigned detached = world->detached, calls = world->call_count;
    bool dead = world->engine->detached;
    world->dead = true;
    if (!dead)
        cl_engine_drain(world->engine, 1, on_dead, &dead);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < world->call_count; i++)
            if (!world->calls[i].done)
                complete(world, i, CLOISTER_CANCELLED);
        if (world->hold_gets && world->gets_held)
            release_gets(world);
        turn(world);
    }
    assert_true(dead);
    world->call_count = calls;
    cl_engine_free(cl_steal_ptr(&world->engine));
    cl_store_close(world->store);
    cl_events_free(world->events);
    turn(world);
    world->dead = false;
    world->detached = detached;
    world->boot.epoch++;
    world->adopting = world->gets_held = world->settled = world->recovered_count = 0;
    (void)trace(world);
}

static void instance_clear(struct cl_instance *instance)
{
    free(instance->name);
    free(instance->label);
}

int world_teardown(void **state)
{
    struct world *world = *state;
    cl_engine_free(world->engine);
    cl_store_close(world->store);
    cl_events_free(world->events);
    if (world->last_stream) /* of a test that failed */
        cl_stream_abort(world->last_stream, NULL, NULL);
    turn(world);
    cl_loop_free(world->loop);
    instance_clear(&world->isolation);
    instance_clear(&world->persistence);
    instance_clear(&world->control);
    instance_clear(&world->other);
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        fake_set_clear(&world->sets[i]);
    for (unsigned i = 0; i < world->stream_count; i++)
        close(world->stream_peers[i]);
    cl_log_set_fd(2);
    close(world->log_read);
    close(world->log_write);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", world->run_dir);
    int r = system(command);
    free(world);
    return r;
}

void on_settled(void *ctx, const struct cloister_error *err)
{
    struct world *world = ctx;
    assert_null(err);
    world->settled++;
}

void world_recover(struct world *world)
{
    assert_int_equal(cl_engine_recover(world->engine, on_settled, world), 0);
    assert_int_equal(world->settled, 0);
    turn(world);
}

void world_again(struct world *world)
{
    world_die(world);
    assert_int_equal(world_born(world), 0);
    world_recover(world);
}

void turn(struct world *world)
{
    cl_loop_run_pending(world->loop, 64);
}

static void on_stop(void *ctx)
{
    cl_loop_stop(((struct world *)ctx)->loop);
}

void turn_for(struct world *world, unsigned ms)
{
    cloister_timer *timer;
    assert_int_equal(cl_timer_open(world->loop, on_stop, world, &timer), 0);
    assert_int_equal(cl_timer_set(timer, cl_mono_ns() + ms * CL_NS_PER_MS, 0), 0);
    cl_loop_run(world->loop);
    cl_timer_close(timer, NULL, NULL);
    turn(world);
}

unsigned open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

unsigned store_sets(const struct world *world)
{
    unsigned count = 0;
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        count += world->sets[i].used;
    return count;
}

bool run_dir_exists(const struct world *world, const char *id)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", world->run_dir, id);
    return stat(path, &st) == 0;
}
