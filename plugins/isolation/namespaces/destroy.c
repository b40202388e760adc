/* SPDX-License-Identifier: Apache-2.0 */
/*
 * destroy.c - sandbox_destroy: the keeper is asked to end everything and to tell every exit; then the outside is
 * cleaned. Works from id and cookie alone, and the plan if there still is one, for a sandbox that is only half there,
 * or of a daemon that is dead. Idempotent; one-way, so cancel does nothing.
 */
#include <errno.h>
#include <stdio.h>

#include "ending.h"
#include "hook_run.h"
#include "transfer.h"

static void cancel(struct ns_op *op)
{
}

static void complete(struct ns_ending *ending)
{
    struct ns_op *op = ending->op;
    struct ns_instance *instance = op->instance;

    if (op->err.code == 0)
        ns_ranges_release(instance->ranges, ending->id);
    if (ending->sandbox)
        ns_sandbox_drop(ending->sandbox);
    ns_ending_free(ending);
    ns_op_done(op, NULL);
    free(op);
}

static void run_hooks(struct ns_ending *ending);

static void after_stop_done(void *ctx, const struct cloister_error *err)
{
    struct ns_ending *ending = ctx;

    if (err->code != 0)
        ns_sandbox_warn(ending->sandbox, err->subject, err->chain);
    run_hooks(ending);
}

/* Each container's poststop hooks, one after the other; they can only warn. */
static void run_hooks(struct ns_ending *ending)
{
    while (ending->stopped) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct ns_container *container = ending->stopped;

        ending->stopped = container->next;
        if (ns_hook_run_start(ending->sandbox, container, NS_HOOK_POSTSTOP, "stopped", 0, after_stop_done, ending,
                              &err))
            return;
        if (err.code != 0)
            ns_sandbox_warn(ending->sandbox, "hooks.poststop", err.chain);
    }
    complete(ending);
}

/* Nothing of it is left. */
static void destroyed(struct ns_ending *ending)
{
    struct ns_op *op = ending->op;

    if (op->err.code == 0 && ending->left)
        op->instance->host->log->error_set(&op->err, CLOISTER_PARTIAL, 0, ending->left, "destroy", "left over: %s",
                                           ending->left);
    if (op->err.code == 0 && ending->sandbox)
        ending->stopped = ending->sandbox->containers;
    run_hooks(ending);
}

static void asked(void *ctx, struct cl_packet *answer, int os_errno)
{
}

/* True: the keeper has been asked, and will end by itself. */
static bool ask_keeper(struct ns_sandbox *sandbox)
{
    struct cl_wire_simple message;
    bool sent;

    cl_wire_init(&message, CL_WIRE_DESTROY, 0);
    ns_halt_before(sandbox->instance, NS_STEP_destroy_ask);
    sent = ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, asked, NULL) != 0;
    ns_halt_after(sandbox->instance, NS_STEP_destroy_ask);
    return sent;
}

static struct ns_ending *new_ending(struct ns_instance *instance, const struct cloister_iso_destroy_args *args,
                                    struct cloister_error *err)
{
    struct ns_reader r = ns_reader(instance, err);
    struct ns_ending *ending = calloc(1, sizeof(*ending));

    if (ending == NULL) {
        ns_no_memory(&r);
        return NULL;
    }
    if (ns_intent_of(&r, &args->sandbox, instance->cgroup_root, &ending->intent) < 0 ||
        instance->host->system->run_path(instance->host, args->sandbox.id, "k", ending->socket, sizeof(ending->socket),
                                         err) < 0) {
        free(ending);
        return NULL;
    }
    snprintf(ending->id, sizeof(ending->id), "%.*s", (int)args->sandbox.id.size, args->sandbox.id.data);
    ending->cookie = args->sandbox.cookie;
    ending->done = destroyed;
    return ending;
}

static void start(struct ns_ending *ending, struct ns_sandbox *sandbox)
{
    bool force = true;
    int rc;

    if (sandbox) {
        ending->sandbox = ns_sandbox_ref(sandbox);
        ns_transfers_stop(sandbox->instance, sandbox, CLOISTER_LOST, "the sandbox is being destroyed");
        force = sandbox->state != NS_UP || !ask_keeper(sandbox);
        if (ns_sandbox_any_frozen(sandbox)) /* else it is looked at if that does not end at once */
            ns_sandbox_end_frozen(sandbox);
        sandbox->state = NS_ENDING;
    }
    rc = ns_ending_start(ending, force);
    if (rc < 0) {
        struct ns_op *op = ending->op;

        op->instance->host->log->error_set(&op->err, CLOISTER_LIMIT, -rc, "", "timer", "start a timer");
        ns_fail_now(op->instance, op->op, &op->err);
        op->instance->ops = op->next; /* it was begun just now: it is the first */
        free(op);
        if (sandbox)
            sandbox->state = NS_LOST;
        ns_ending_free(ending);
    }
}

void ns_sandbox_destroy(void *ctx, const struct cloister_iso_destroy_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    struct ns_sandbox *sandbox = ns_sandbox_find(instance, args->sandbox.id);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_ending *ending = NULL;
    struct ns_op *op;

    if (sandbox && (sandbox->state == NS_MAKING || sandbox->state == NS_ENDING || sandbox->state == NS_ADOPTING))
        r.log->error_set(&err, CLOISTER_BUSY, 0, sandbox->id, "state",
                         "another operation is creating, destroying or taking it over");
    else
        ending = new_ending(instance, args, &err);
    op = ending ? calloc(1, sizeof(*op)) : NULL;
    if (op == NULL) {
        if (ending)
            ns_no_memory(&r);
        free(ending);
        ns_fail_now(instance, number, &err);
        return;
    }
    ns_op_begin(instance, op, number, cancel);
    ending->op = op;
    start(ending, sandbox);
}
