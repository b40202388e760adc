/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/ending.h"

#include <errno.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

static void finish_joined(struct cl_ending *ending, const struct cloister_error *err)
{
    struct cl_list told;
    cl_list_init(&told);
    for (struct cl_list *node; (node = cl_list_first(&ending->joined));) {
        cl_list_remove(node);
        cl_list_append(&told, node);
    }
    for (struct cl_list *node; (node = cl_list_first(&told));)
        cl_operation_finish(CL_CONTAINER(node, struct cl_operation, waiting), err, NULL);
}

static void finish_creator(struct cl_ending *ending)
{
    struct cl_operation *creator = cl_steal_ptr(&ending->creator);
    if (!creator)
        return;
    struct cloister_error err = creator->error;
    cl_operation_finish(creator, &err, NULL);
}

/* It goes no further: the sandbox stays, with the reason, until the next destroy. */
static void fail(struct cl_sandbox *sandbox, const struct cloister_error *err)
{
    struct cl_ending *ending = &sandbox->ending;
    ending->step = CL_ENDING_NONE;
    sandbox->state = sandbox->unknown ? CLOISTER_SANDBOX_UNKNOWN : CLOISTER_SANDBOX_DESTROYING;
    sandbox->failure = *err;
    if (cl_list_empty(&ending->joined))
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, "remove what is left of sandbox %s", sandbox->id);
    (void)cl_sandbox_ref(sandbox);
    finish_creator(ending);
    finish_joined(ending, err);
    cl_engine_ended(sandbox->engine);
    cl_sandbox_unref(sandbox);
}

/* Waits that nothing will satisfy any more: on an init that never ran. */
static void answer_waits(struct cl_sandbox *sandbox)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, NULL, "the sandbox was destroyed");
    CL_LIST_FOREACH(node, &sandbox->processes)
    cl_process_answer(CL_CONTAINER(node, struct cl_process, node), &err);
}

static void on_removed(void *ctx, const struct cloister_error *err)
{
    struct cl_sandbox *sandbox = ctx;
    if (err) {
        fail(sandbox, err);
        return;
    }
    struct cl_engine *engine = sandbox->engine;
    if (!sandbox->ending.creator) /* else nobody was told that it was there */
        cl_log(CL_LOG_INFO, CL_ENGINE_AREA, CL_SANDBOX_LOG ": destroyed", CL_SANDBOX_LOG_ARG(sandbox));
    (void)cl_sandbox_ref(sandbox);
    cl_sandbox_forget(sandbox);
    sandbox->ending.step = CL_ENDING_NONE;
    answer_waits(sandbox);
    finish_creator(&sandbox->ending);
    finish_joined(&sandbox->ending, NULL);
    cl_sandbox_unref(sandbox);
    cl_engine_ended(engine);
}

/* Isolation has nothing left of it. What was under way inside can only fail now, even if its plugin has forgotten it.
 */
static void end_processes(struct cl_sandbox *sandbox)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, NULL, "the sandbox was destroyed");
    CL_LIST_FOREACH(node, &sandbox->operations)
    {
        struct cl_operation *operation = CL_CONTAINER(node, struct cl_operation, in_sandbox);
        if (!operation->begun || !operation->process || !operation->process->held ||
            operation == sandbox->ending.creator)
            continue;
        operation->cancelled = true;
        operation->process->disowned = true;
        operation->process->held = false;
        cl_operation_answer(operation, &err, NULL);
    }
    if (sandbox->held)
        return; /* nobody was ever told of it: its end is not told either */
    cl_sandbox_flush(sandbox);
    cl_sandbox_lost(sandbox, CLOISTER_CAUSE_STOPPED);
}

static void remove_rest(struct cl_sandbox *sandbox)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = cl_run_dir_remove(sandbox->run_dir);
    if (r < 0) {
        (void)cl_error_set(&err, CLOISTER_PARTIAL, r, sandbox->run_dir, "run-directory", "remove %s", sandbox->run_dir);
        fail(sandbox, &err);
        return;
    }
    sandbox->ending.step = CL_ENDING_STORE;
    if (sandbox->store)
        cl_journal_remove(sandbox, &sandbox->ending.journal, on_removed, sandbox);
    else
        on_removed(sandbox, NULL);
}

static void on_destroyed(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_sandbox *sandbox = ctx;
    if (err) {
        fail(sandbox, err);
        return;
    }
    sandbox->made = false;
    end_processes(sandbox);
    remove_rest(sandbox);
}

static void on_settled(void *ctx)
{
    struct cl_sandbox *sandbox = ctx;
    struct cl_ending *ending = &sandbox->ending;
    struct cl_backend *backend = sandbox->backend;
    if (!sandbox->made || backend->ghost) {
        if (backend->ghost)
            cl_log(CL_LOG_WARN, CL_ENGINE_AREA, CL_SANDBOX_LOG ": %s may have left something of it behind",
                   CL_SANDBOX_LOG_ARG(sandbox), backend->instance->label);
        remove_rest(sandbox);
        return;
    }
    ending->args = (struct cloister_iso_destroy_args){CLOISTER_INIT(struct cloister_iso_destroy_args)};
    cl_sandbox_identity(sandbox, &ending->args.sandbox);
    uint64_t token = cl_calls_begin(&backend->calls, &ending->call, "sandbox_destroy", cl_sandbox_id(sandbox), 0,
                                    on_destroyed, sandbox);
    if (!token) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        (void)cl_error_set(&err, CLOISTER_INTERNAL, ENOMEM, NULL, NULL, "ask %s", backend->instance->label);
        fail(sandbox, &err);
        return;
    }
    backend->vtable->sandbox_destroy(backend->instance->self, &ending->args, token);
    cl_calls_entered(&ending->call);
}

void cl_ending_settle(struct cl_sandbox *sandbox)
{
    struct cl_ending *ending = &sandbox->ending;
    if (ending->step != CL_ENDING_SETTLE || cl_order_exclusive(sandbox))
        return;
    ending->step = CL_ENDING_ISOLATION;
    cl_engine_later(sandbox->engine, &ending->later, on_settled, sandbox);
}

/* Who waits at the gate is sent away, who works is asked to stop. */
static void cancel_claims(struct cl_sandbox *sandbox)
{
    sandbox->ending.step = CL_ENDING_CANCELLING;
    sandbox->gate_closed = true;
    CL_LIST_FOREACH(node, &sandbox->claims)
    cl_operation_cancel(CL_CONTAINER(node, struct cl_operation, claim.node));
    sandbox->ending.step = CL_ENDING_SETTLE;
    cl_ending_settle(sandbox);
}

static void on_goal(void *ctx, const struct cloister_error *err)
{
    struct cl_sandbox *sandbox = ctx;
    struct cl_ending *ending = &sandbox->ending;
    bool full = err && (err->code == CLOISTER_NO_SPACE || err->code == CLOISTER_QUOTA);
    if (full) /* removing its record is what makes room; a daemon that dies before finds the rest of it off */
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, CL_SANDBOX_LOG ": destroyed without a record of the intent",
                     CL_SANDBOX_LOG_ARG(sandbox));
    if (err && !full && !ending->creator) {
        /* The intent is not on record: nothing happened. */
        ending->step = CL_ENDING_NONE;
        sandbox->goal = sandbox->down ? CL_GOAL_OFF : CL_GOAL_UP;
        sandbox->gate_closed = false;
        cl_order_admit(sandbox);
        finish_joined(ending, err);
        return;
    }
    sandbox->state = CLOISTER_SANDBOX_DESTROYING;
    if (!sandbox->held)
        cl_sandbox_emit_state(sandbox);
    cancel_claims(sandbox);
}

void cl_ending_join(struct cl_operation *destroy)
{
    struct cl_sandbox *sandbox = destroy->sandbox;
    struct cl_ending *ending = &sandbox->ending;
    if (sandbox->gone) {
        cl_operation_finish(destroy, NULL, NULL);
        return;
    }
    cl_list_append(&ending->joined, &destroy->waiting);
    if (ending->step != CL_ENDING_NONE)
        return;
    if (sandbox->unknown) /* what cannot be read is not written over */
        sandbox->state = CLOISTER_SANDBOX_DESTROYING;
    if (sandbox->state == CLOISTER_SANDBOX_DESTROYING) {
        cancel_claims(sandbox);
        return;
    }
    ending->step = CL_ENDING_GOAL;
    sandbox->gate_closed = true;
    sandbox->goal = CL_GOAL_GONE;
    cl_journal_write(sandbox, CL_RECORD_SANDBOX, CLOISTER_DURABLE_DAEMON, &ending->journal, on_goal, sandbox);
}

void cl_ending_undo(struct cl_operation *create, const struct cloister_error *err)
{
    struct cl_sandbox *sandbox = create->sandbox;
    struct cl_ending *ending = &sandbox->ending;
    create->error = *err;
    sandbox->creating = NULL;
    sandbox->state = CLOISTER_SANDBOX_DESTROYING;
    sandbox->gate_closed = true;
    ending->creator = create;
    cl_order_leave(create);
    if (ending->step == CL_ENDING_NONE)
        cancel_claims(sandbox);
    else
        cl_ending_settle(sandbox);
}
