/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - operations that are one message to the keeper and its answer: start, resize, kill, signal, release. */
#include <errno.h>
#include <signal.h>

#include "call.h"
#include "stdset.h"

static void started(struct ns_call *call, struct cl_packet *answer)
{
    call->result.pid = ns_answer_pid(answer);
}

static void after_start_done(void *ctx, const struct cloister_error *err)
{
    struct ns_call *call = ctx;

    call->hooks = NULL;
    if (err->code != 0)
        ns_sandbox_warn(call->sandbox, err->subject, err->chain);
    ns_call_complete(call);
}

static bool after_start(struct ns_call *call)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;

    call->hooks = ns_hook_run_start(call->sandbox, call->container, NS_HOOK_POSTSTART, "running", call->result.pid,
                                    after_start_done, call, &err);
    if (err.code != 0)
        ns_sandbox_warn(call->sandbox, "hooks.poststart", err.chain);
    return call->hooks != NULL;
}

void ns_container_start(void *ctx, const struct cloister_iso_start_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_container_start_args *start = args->start;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct cl_wire_start message;
    struct ns_stdio stdio;
    struct ns_call *call;
    uint32_t count = 0;
    int fds[NS_STDIO_ROOM];
    const char *unknown;

    if (ns_stdio_take(&r, start->stdio, start->stdio_count, start->stdio_size, &stdio) < 0) {
        ns_fail_now(instance, number, &err);
        return;
    }
    call = ns_call_new(instance, &args->sandbox, start->container, args, number);
    if (call && ns_sandbox_refuse_frozen(call->sandbox, start->container, &call->base.err)) {
        ns_stdio_clear(&stdio);
        ns_call_end(call);
        return;
    }
    unknown = call ? ns_stdio_too_new(&stdio, call->sandbox->conn.version) : NULL;
    if (call == NULL || unknown) {
        ns_stdio_clear(&stdio);
        if (call) {
            ns_call_too_old(call, unknown);
            ns_call_end(call);
        }
        return;
    }
    cl_wire_init(&message, CL_WIRE_START, 0);
    message.container = call->container->number;
    ns_stdio_move(&stdio, fds, &count, call->container->init_user, message.stdio, &message.memo);
    message.memo.drain_idle_ns = call->container->drain_idle;
    message.memo.drain_max_ns = call->container->drain_max;
    call->cancellable = true;
    call->result.process = args->init;
    call->result.container_state = CLOISTER_CONTAINER_RUNNING;
    call->finish = started;
    call->hold = after_start;
    ns_halt_before(instance, NS_STEP_start_send);
    ns_call_send(call, &message, fds, count);
    ns_halt_after(instance, NS_STEP_start_send);
}

static bool no_terminal(struct ns_call *call, int os_errno)
{
    const struct cloister_log_api *log = call->base.instance->host->log;
    struct cloister_error *err = &call->base.err;

    if (os_errno == ENOTTY)
        log->error_set(err, CLOISTER_NOT_TTY, 0, "terminal", "resize", "the process has no terminal");
    else if (os_errno == ESRCH)
        log->error_set(err, CLOISTER_INVALID_STATE, 0, "process", "resize", "the process has exited");
    else if (os_errno == ENOENT)
        log->error_set(err, CLOISTER_NO_ENTITY, 0, "process", "find", "no such process");
    return err->code != 0;
}

void ns_resize(void *ctx, const struct cloister_iso_resize_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_resize_args *resize = args->resize;
    struct ns_call *call = ns_call_new(instance, &args->sandbox, resize->container, args, number);
    struct cl_wire_resize message;

    if (call == NULL)
        return;
    if (!ns_conn_knows(&call->sandbox->conn, CL_WIRE_RESIZE)) {
        ns_call_too_old(call, "terminals");
        ns_call_end(call);
        return;
    }
    cl_wire_init(&message, CL_WIRE_RESIZE, 0);
    message.pseq = resize->process;
    message.rows = resize->rows;
    message.columns = resize->columns;
    call->refused = no_terminal;
    ns_call_send(call, &message, NULL, 0);
}

static bool signal_ok(struct ns_instance *instance, uint32_t number, cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);

    if (number < (uint32_t)NSIG)
        return true;
    ns_refuse_at(&r, CLOISTER_INVALID, "signal", "%u is not a signal number", number);
    ns_fail_now(instance, op, &err);
    return false;
}

static void count_survivors(struct ns_call *call, struct cl_packet *answer)
{
    call->result.survivors = answer->u.answer.count;
}

/* The keeper counts whom it signalled: with anything but KILL they may all live on. After KILL none does. */
void ns_container_kill(void *ctx, const struct cloister_iso_kill_args *args, cloister_op number)
{
    static const uint32_t scopes[] = {
        [CLOISTER_KILL_INIT] = CL_WIRE_SCOPE_INIT,
        [CLOISTER_KILL_ALL] = CL_WIRE_SCOPE_ALL,
        [CLOISTER_KILL_ALL_BUT_INIT] = CL_WIRE_SCOPE_ALL_BUT_INIT,
    };
    struct ns_instance *instance = ctx;
    const struct cloister_container_kill_args *kill = args->kill;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct cl_wire_signal message;
    struct ns_call *call;

    if (kill->set < CLOISTER_KILL_INIT || kill->set > CLOISTER_KILL_ALL_BUT_INIT) {
        ns_refuse_at(&r, CLOISTER_INVALID, "set", "%u is not a set of processes", kill->set);
        ns_fail_now(instance, number, &err);
        return;
    }
    call = signal_ok(instance, kill->signal, number)
               ? ns_call_new(instance, &args->sandbox, kill->container, args, number)
               : NULL;
    if (call == NULL)
        return;
    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.target = call->container->number;
    message.scope = scopes[kill->set];
    call->kills = kill->signal == SIGKILL;
    message.signal = (int32_t)kill->signal;
    if (kill->signal != SIGKILL)
        call->finish = count_survivors;
    ns_halt_before(instance, NS_STEP_stop_send);
    ns_call_send(call, &message, NULL, 0);
    ns_halt_after(instance, NS_STEP_stop_send);
}

void ns_signal(void *ctx, const struct cloister_iso_signal_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_signal_args *signal = args->signal;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct cl_wire_signal message;
    struct ns_call *call;

    if (signal->scope != CLOISTER_SIGNAL_PROCESS && signal->scope != CLOISTER_SIGNAL_GROUP) {
        ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "scope", "%u is not supported: a process has no cgroup of its own",
                     signal->scope);
        ns_fail_now(instance, number, &err);
        return;
    }
    call = signal_ok(instance, signal->signal, number)
               ? ns_call_new(instance, &args->sandbox, CLOISTER_SV(""), args, number)
               : NULL;
    if (call == NULL)
        return;
    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.target = signal->process;
    message.scope = signal->scope == CLOISTER_SIGNAL_GROUP ? CL_WIRE_SCOPE_GROUP : CL_WIRE_SCOPE_PROCESS;
    message.signal = (int32_t)signal->signal;
    call->kills = signal->signal == SIGKILL;
    ns_call_send(call, &message, NULL, 0);
}

/* The keeper has forgotten it: who still reads comes to an end. */
static void released(struct ns_call *call, struct cl_packet *answer)
{
    const struct cloister_iso_release_args *args = call->args;

    ns_tapes_over(call->sandbox, args->process);
}

void ns_release(void *ctx, const struct cloister_iso_release_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    struct ns_call *call = ns_call_new(instance, &args->sandbox, CLOISTER_SV(""), args, number);
    struct cl_wire_release message;

    if (call == NULL)
        return;
    cl_wire_init(&message, CL_WIRE_RELEASE, 0);
    message.pseq = args->process;
    call->finish = released;
    ns_halt_before(instance, NS_STEP_release_send);
    ns_call_send(call, &message, NULL, 0);
    ns_halt_after(instance, NS_STEP_release_send);
}
