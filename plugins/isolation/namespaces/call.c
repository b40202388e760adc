/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - see call.h. */
#include "call.h"

#include <errno.h>

void ns_call_complete(struct ns_call *call)
{
    ns_deadline_end(&call->deadline, &call->base);
    ns_op_done(&call->base, &call->result);
    ns_container_unref(call->container);
    ns_sandbox_unref(call->sandbox);
    free(call);
}

static void complete_late(void *ctx)
{
    ns_call_complete(ctx);
}

void ns_call_end(struct ns_call *call)
{
    const struct cloister_host *host = call->base.instance->host;

    if (host->loop->post(host, complete_late, call) < 0)
        ns_call_complete(call);
}

static void answered(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct ns_call *call = ctx;
    int refusal = answer ? answer->u.answer.os_errno : 0;

    if (answer && refusal == 0 && call->finish)
        call->finish(call, answer);
    else if (answer == NULL || (refusal != 0 && (call->refused == NULL || !call->refused(call, refusal))))
        ns_keeper_error(call->base.instance, &call->base.err, answer, os_errno);
    if (!call->kills || refusal != 0 || !ns_sandbox_release_killed(call->sandbox, complete_late, call))
        ns_call_complete(call);
}

static void cancel(struct ns_op *op)
{
    struct ns_call *call = (struct ns_call *)op;

    if (call->hooks)
        ns_hook_run_cancel(call->hooks);
    else if (call->cancellable)
        ns_sandbox_cancel(call->sandbox, call->serial);
}

struct ns_call *ns_call_new(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                            struct cloister_sv cid, const void *args, cloister_op number)
{
    struct ns_sandbox *sandbox = ns_sandbox_up(instance, which, cid, number);
    struct ns_call *call = sandbox ? calloc(1, sizeof(*call)) : NULL;

    if (call == NULL) {
        if (sandbox)
            ns_fail_memory(instance, number);
        return NULL;
    }
    call->sandbox = ns_sandbox_ref(sandbox);
    call->container = ns_container_ref(ns_container_find(sandbox, cid));
    call->args = args;
    call->result = (struct cloister_result){CLOISTER_INIT(struct cloister_result)};
    ns_op_begin(instance, &call->base, number, cancel);
    return call;
}

void ns_too_old(struct ns_instance *instance, struct cloister_error *err, const char *what)
{
    instance->host->log->error_set(err, CLOISTER_UNSUPPORTED, 0, what, "keeper",
                                   "the sandbox's keeper, of an earlier daemon, does not know %s", what);
}

void ns_call_too_old(struct ns_call *call, const char *what)
{
    ns_too_old(call->base.instance, &call->base.err, what);
}

void ns_call_send(struct ns_call *call, void *message, const int *fds, uint32_t count)
{
    struct ns_conn *conn = &call->sandbox->conn;
    bool knows = ns_conn_knows(conn, ((struct cl_wire_head *)message)->type);

    call->serial = ns_conn_send(conn, message, fds, count, -1, answered, call);
    if (call->serial != 0) {
        if (call->cancellable)
            ns_deadline_begin(&call->deadline, call->sandbox, call->serial);
        return;
    }
    if (knows)
        ns_keeper_error(call->base.instance, &call->base.err, NULL, EPIPE);
    else
        ns_call_too_old(call, "captured output");
    ns_call_end(call);
}
