/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - operations that are one message to the keeper and its answer: start, kill, signal, release. */
#include <errno.h>
#include <signal.h>

#include "deadline.h"
#include "stdset.h"

struct call {
    struct ns_op base;          /* first */
    struct ns_sandbox *sandbox; /* a reference */
    uint64_t serial;
    bool cancellable;              /* START */
    struct ns_deadline deadline;   /* so too */
    struct cloister_result result; /* what success tells, filled further from the answer */
};

static void free_call(struct call *call)
{
    ns_sandbox_unref(call->sandbox);
    free(call);
}

static void answered(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct call *call = ctx;

    if (answer == NULL || answer->u.answer.os_errno != 0) {
        ns_keeper_error(call->base.instance, &call->base.err, answer, os_errno);
    } else {
        if (answer->u.answer.request == CL_WIRE_START)
            call->result.pid = ns_answer_pid(answer);
        if (answer->u.answer.request == CL_WIRE_SIGNAL && call->result.survivors)
            call->result.survivors = answer->u.answer.count;
    }
    ns_deadline_end(&call->deadline, &call->base);
    ns_op_done(&call->base, &call->result);
    free_call(call);
}

static void cancel(struct ns_op *op)
{
    struct call *call = (struct call *)op;

    if (call->cancellable)
        ns_sandbox_cancel(call->sandbox, call->serial);
}

static void lost(void *ctx)
{
    struct call *call = ctx;

    ns_keeper_error(call->base.instance, &call->base.err, NULL, EPIPE);
    ns_op_done(&call->base, NULL);
    free_call(call);
}

static struct call *new_call(struct ns_sandbox *sandbox, cloister_op number)
{
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL) {
        ns_fail_memory(sandbox->instance, number);
        return NULL;
    }
    call->sandbox = ns_sandbox_ref(sandbox);
    call->result = (struct cloister_result){CLOISTER_INIT(struct cloister_result)};
    ns_op_begin(sandbox->instance, &call->base, number, cancel);
    return call;
}

static void send(struct call *call, void *message, const int *fds, uint32_t count)
{
    const struct cloister_host *host = call->base.instance->host;

    call->serial = ns_conn_send(&call->sandbox->conn, message, fds, count, -1, answered, call);
    if (call->serial != 0 && call->cancellable)
        ns_deadline_begin(&call->deadline, call->sandbox, call->serial);
    if (call->serial == 0 && host->loop->post(host, lost, call) < 0)
        lost(call);
}

void ns_container_start(void *ctx, const struct cloister_iso_start_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_container_start_args *start = args->start;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct cl_wire_start message;
    struct ns_stdio stdio;
    struct ns_sandbox *sandbox;
    struct call *call;
    uint32_t count = 0;
    int fds[3];

    if (ns_stdio_take(&r, start->stdio, start->stdio_count, start->stdio_size, &stdio) < 0) {
        ns_fail_now(instance, number, &err);
        return;
    }
    sandbox = ns_sandbox_up(instance, &args->sandbox, start->container, number);
    call = sandbox ? new_call(sandbox, number) : NULL;
    if (call == NULL) {
        ns_stdio_clear(&stdio);
        return;
    }
    cl_wire_init(&message, CL_WIRE_START, 0);
    message.container = NS_CONTAINER;
    ns_stdio_move(&stdio, fds, &count, message.stdio);
    call->cancellable = true;
    call->result.process = args->init;
    call->result.container_state = CLOISTER_CONTAINER_RUNNING;
    send(call, &message, fds, count);
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
    struct ns_sandbox *sandbox;
    struct cl_wire_signal message;
    struct call *call;

    if (kill->set < CLOISTER_KILL_INIT || kill->set > CLOISTER_KILL_ALL_BUT_INIT) {
        ns_refuse_at(&r, CLOISTER_INVALID, "set", "%u is not a set of processes", kill->set);
        ns_fail_now(instance, number, &err);
        return;
    }
    sandbox = signal_ok(instance, kill->signal, number)
                  ? ns_sandbox_up(instance, &args->sandbox, kill->container, number)
                  : NULL;
    call = sandbox ? new_call(sandbox, number) : NULL;
    if (call == NULL)
        return;
    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.target = NS_CONTAINER;
    message.scope = scopes[kill->set];
    message.signal = (int32_t)kill->signal;
    call->result.survivors = kill->signal != SIGKILL;
    send(call, &message, NULL, 0);
}

void ns_signal(void *ctx, const struct cloister_iso_signal_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_signal_args *signal = args->signal;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_sandbox *sandbox;
    struct cl_wire_signal message;
    struct call *call;

    if (signal->scope != CLOISTER_SIGNAL_PROCESS && signal->scope != CLOISTER_SIGNAL_GROUP) {
        ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "scope", "%u is not supported: a process has no cgroup of its own",
                     signal->scope);
        ns_fail_now(instance, number, &err);
        return;
    }
    sandbox = signal_ok(instance, signal->signal, number)
                  ? ns_sandbox_up(instance, &args->sandbox, CLOISTER_SV(""), number)
                  : NULL;
    call = sandbox ? new_call(sandbox, number) : NULL;
    if (call == NULL)
        return;
    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.target = signal->process;
    message.scope = signal->scope == CLOISTER_SIGNAL_GROUP ? CL_WIRE_SCOPE_GROUP : CL_WIRE_SCOPE_PROCESS;
    message.signal = (int32_t)signal->signal;
    send(call, &message, NULL, 0);
}

void ns_release(void *ctx, const struct cloister_iso_release_args *args, cloister_op number)
{
    struct ns_sandbox *sandbox = ns_sandbox_up(ctx, &args->sandbox, CLOISTER_SV(""), number);
    struct call *call = sandbox ? new_call(sandbox, number) : NULL;
    struct cl_wire_release message;

    if (call == NULL)
        return;
    cl_wire_init(&message, CL_WIRE_RELEASE, 0);
    message.pseq = args->process;
    send(call, &message, NULL, 0);
}
