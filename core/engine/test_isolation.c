/* SPDX-License-Identifier: Apache-2.0 */
/* The fake isolation plugin: what the engine asks is noted, and done on a later turn unless the test holds it. */
#include <errno.h>
#include <sys/socket.h>

#include "core/engine/api.h"
#include "core/engine/test_world.h"
#include "core/net/stream.h"

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
                                       .container = cl_sv_cstr(process->cid),
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

/* cid empty: of any container. */
static bool is_of(const struct fake_process *process, struct cloister_sv sandbox, struct cloister_sv cid)
{
    return cl_sv_is(sandbox, process->sandbox) && (!cid.size || cl_sv_is(cid, process->cid));
}

static void forget(struct world *world, struct cloister_sv sandbox, struct cloister_sv cid, cloister_process only)
{
    for (unsigned i = 0; i < world->process_count; i++)
        if (is_of(&world->processes[i], sandbox, cid) && (!only || world->processes[i].number == only))
            world->processes[i].forgotten = true;
}

static void start_process(struct world *world, struct cloister_sv sandbox, struct cloister_sv cid,
                          cloister_process number, bool init)
{
    struct fake_process *process = &world->processes[world->process_count++];
    *process = (struct fake_process){.number = number, .init = init, .alive = true};
    snprintf(process->sandbox, sizeof(process->sandbox), "%.*s", CL_SV_ARG(sandbox));
    snprintf(process->cid, sizeof(process->cid), "%.*s", CL_SV_ARG(cid));
}

static void start_init(struct world *world, struct cloister_sv sandbox, const struct cloister_container_args *container,
                       cloister_process number)
{
    start_process(world, sandbox, container->cid, number, true);
    world->processes[world->process_count - 1].blocked = container->start == CLOISTER_START_BLOCKED;
}

/* A namespace's init takes everything with it, and is the last to be reaped. */
static void end_matching(struct world *world, struct cloister_sv sandbox, struct cloister_sv cid, cloister_process only,
                         bool all, uint32_t number)
{
    if (world->immortal || (world->stubborn && number != SIGKILL))
        return;
    for (int inits = 0; inits < 2; inits++)
        for (unsigned i = 0; i < world->process_count; i++) {
            struct fake_process *process = &world->processes[i];
            if (is_of(process, sandbox, cid) && process->init == inits && (all || process->number == only))
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

static char lent_data[32]; /* of read_file: until it has told */

/* Of further containers, and of files. */
static bool perform_further(struct fake_call *call, struct cloister_result *result)
{
    struct world *world = call->world;
    struct cloister_sv id = sandbox_of(call)->id;
    if (call->slot == SLOT_FURTHER) {
        const struct cloister_iso_create_args *args = call->args;
        result->pid = 300;
        start_init(world, id, args->container, args->init);
    } else if (call->slot == SLOT_DELETE) {
        const struct cloister_iso_delete_args *args = call->args;
        end_matching(world, id, args->delete_->container, 0, true, SIGKILL);
        forget(world, id, args->delete_->container, 0);
    } else if (call->slot == SLOT_FILE_PUT) {
        const struct cloister_file_put_args *put = ((const struct cloister_iso_file_put_args *)call->args)->file_put;
        snprintf(world->file_seen, sizeof(world->file_seen), "%.*s=%.*s", CL_SV_ARG(put->path), CL_SV_ARG(put->bytes));
    } else if (call->slot == SLOT_READ_FILE) {
        snprintf(lent_data, sizeof(lent_data), "%s", world->read ? world->read : "");
        result->data = cl_sv_cstr(lent_data);
    } else if (call->slot == SLOT_FILES_IN) {
        result->entries = 2;
        result->bytes = 9;
    } else if (call->slot == SLOT_FILES_OUT) {
        give_stream(world, result);
    } else {
        return false;
    }
    return true;
}

static void perform(struct fake_call *call, struct cloister_result *result)
{
    struct world *world = call->world;
    struct cloister_sv id = sandbox_of(call)->id, any = {NULL, 0};
    if (call->slot == SLOT_CREATE) {
        const struct cloister_iso_create_args *args = call->args;
        result->pid = 100;
        if (args->container)
            start_init(world, id, args->container, args->init);
    } else if (call->slot == SLOT_START) {
        const struct cloister_iso_start_args *args = call->args;
        for (unsigned i = 0; i < world->process_count; i++)
            if (world->processes[i].number == args->init)
                world->processes[i].blocked = false;
    } else if (call->slot == SLOT_RELEASE) {
        const struct cloister_iso_release_args *args = call->args;
        forget(world, id, any, args->process);
    } else if (call->slot == SLOT_EXEC) {
        const struct cloister_iso_exec_args *args = call->args;
        result->pid = 200;
        start_process(world, id, args->exec->container, args->process, false);
        if (world->exit_first)
            tell(world, &world->processes[world->process_count - 1], CLOISTER_STATUS_EXITED, 0);
    } else if (call->slot == SLOT_DESTROY) {
        bool immortal = world->immortal;
        world->immortal = false;
        end_matching(world, id, any, 0, true, SIGKILL);
        world->immortal = immortal;
        forget(world, id, any, 0);
        world->cookie_seen = sandbox_of(call)->cookie;
        snprintf(world->plan_seen, sizeof(world->plan_seen), "%.*s", CL_SV_ARG(sandbox_of(call)->plan));
    } else if (call->slot == SLOT_ADOPT) {
        fake_inventory(world, call->args, result);
    } else if (call->slot == SLOT_SIGNAL) {
        const struct cloister_iso_signal_args *args = call->args;
        end_matching(world, id, any, args->signal->process, false, args->signal->signal);
    } else if (call->slot == SLOT_KILL) {
        const struct cloister_iso_kill_args *args = call->args;
        if (world->v1 && fake_is_frozen(world, id))
            world->pending_kill = args->kill->signal; /* until it is thawed */
        else
            end_matching(world, id, args->kill->container, 0, true, args->kill->signal);
    } else if (call->slot == SLOT_FREEZE || call->slot == SLOT_THAW) {
        const struct cloister_iso_freeze_args *args = call->args;
        fake_freeze(world, id, args->container, call->slot == SLOT_FREEZE);
        if (call->slot == SLOT_THAW && world->pending_kill && !fake_is_frozen(world, id)) {
            end_matching(world, id, any, 0, true, world->pending_kill);
            world->pending_kill = 0;
        }
    } else if (call->slot == SLOT_UPDATE) {
        const struct cloister_iso_update_args *args = call->args;
        result->json = world->limits_told ? cl_sv_cstr(world->limits_told) : args->update->resources;
    } else if (call->slot == SLOT_STATS || call->slot == SLOT_PROCS) {
        *result = world->counted;
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
    else if (!call->done && !perform_further(call, &result))
        perform(call, &result);
    call->done = true;
    cl_engine_iso_api.done(iso_host(world), call->op, code ? &err : NULL, &result);
    memset(lent_data, 'x', sizeof(lent_data) - 1);
    if (world->lent)
        memset(world->lent, 'x', strlen(world->lent));
    if (result.inventory) /* borrowed for the call */
        memset((void *)(uintptr_t)result.inventory, 0, sizeof(*result.inventory));
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

static void take_process(struct world *world, const struct cloister_process_args *process)
{
    take_stdio(world, process->stdio, process->stdio_count);
    for (uint64_t i = 0; i < process->extra_count; i++)
        assert_int_equal(close(process->extra[i].fd), 0);
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
        take_process(instance, args->container->process);
    called(instance, SLOT_CREATE, args, op);
}

static void iso_further(void *instance, const struct cloister_iso_create_args *args, cloister_op op)
{
    if (args->container->process)
        take_stdio(instance, args->container->process->stdio, args->container->process->stdio_count);
    called(instance, SLOT_FURTHER, args, op);
}

static void iso_delete(void *instance, const struct cloister_iso_delete_args *args, cloister_op op)
{
    struct world *world = instance;
    snprintf(world->deleted, sizeof(world->deleted), "%.*s", CL_SV_ARG(args->delete_->container));
    world->delete_flags = args->delete_->flags;
    called(instance, SLOT_DELETE, args, op);
}

/* A plugin owns the stream from the call on. */
static void iso_files_in(void *instance, const struct cloister_iso_files_in_args *args, cloister_op op)
{
    cl_stream_abort(args->files->stream, NULL, NULL);
    called(instance, SLOT_FILES_IN, args, op);
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
    take_process(instance, args->exec->process);
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
ISO_SLOT(freeze, cloister_iso_freeze_args, SLOT_FREEZE)
ISO_SLOT(file_put, cloister_iso_file_put_args, SLOT_FILE_PUT)
ISO_SLOT(read_file, cloister_iso_read_file_args, SLOT_READ_FILE)
ISO_SLOT(files_out, cloister_iso_files_out_args, SLOT_FILES_OUT)
ISO_SLOT(thaw, cloister_iso_freeze_args, SLOT_THAW)
ISO_SLOT(update, cloister_iso_update_args, SLOT_UPDATE)
ISO_SLOT(stats, cloister_iso_stats_args, SLOT_STATS)
ISO_SLOT(procs, cloister_iso_procs_args, SLOT_PROCS)

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
ISO_SLOT_OF_PROCESS(resize, cloister_iso_resize_args, SLOT_RESIZE, resize->process)

static int32_t iso_probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    (void)err;
    ret->capabilities = CLOISTER_ISO_PAUSE_INIT | CLOISTER_ISO_BLOCKED_INIT | CLOISTER_ISO_STDIO_DIRECT |
                        CLOISTER_ISO_TAPE | CLOISTER_ISO_FREEZE | CLOISTER_ISO_RESOLVE | CLOISTER_ISO_OWN_CGROUP |
                        CLOISTER_ISO_PEAK_RESET | CLOISTER_ISO_MACHINE_STATS | CLOISTER_ISO_NS_JOIN | CLOISTER_ISO_PTY |
                        CLOISTER_ISO_EXTRA_FDS;
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

static void iso_hold(void *instance, struct cloister_sv plan)
{
    struct world *world = instance;
    world->holds++;
    snprintf(world->held_plan, sizeof(world->held_plan), "%.*s", CL_SV_ARG(plan));
}

const struct cloister_isolation fake_isolation = {CLOISTER_INIT(struct cloister_isolation),
                                                  .probe = iso_probe,
                                                  .plan = iso_plan,
                                                  .sandbox_create = iso_create,
                                                  .sandbox_destroy = iso_destroy,
                                                  .container_start = iso_start,
                                                  .container_create = iso_further,
                                                  .container_delete = iso_delete,
                                                  .file_put = iso_file_put,
                                                  .read_file = iso_read_file,
                                                  .files_in = iso_files_in,
                                                  .files_out = iso_files_out,
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
                                                  .resize = iso_resize,
                                                  .freeze = iso_freeze,
                                                  .thaw = iso_thaw,
                                                  .update = iso_update,
                                                  .stats = iso_stats,
                                                  .procs = iso_procs,
                                                  .cancel = iso_cancel,
                                                  .detach = iso_detach,
                                                  .hold = iso_hold};
