/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_delete.c - a container goes, and everything that is known of it.
 *
 * Intent (w: goal gone) -> who waits for it is sent away -> killed, and down -> isolation -> every event of it has been
 * told -> out of the sandbox, its records removed (w) -> answer. From the intent on it does not turn back: a deadline
 * ends the wait, not the work; if it fails the container stays listed, with that goal, and the next delete or the next
 * daemon goes on. A destroy of the sandbox takes over what is left.
 */
#include <errno.h>
#include <signal.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/errand.h"
#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/time.h"

#define AGAIN CL_NS_PER_S

static const struct cl_operation_class class;

/* A destroy has come, which takes everything down; or the daemon goes, and the next one sees to it. */
static bool give_way(struct cl_operation *operation)
{
    if (!operation->sandbox->gate_closed && !operation->engine->detached)
        return false;
    cl_operation_finish_cancelled(operation, operation->sandbox->gate_closed ? "the sandbox is being destroyed"
                                                                             : "the daemon is shutting down");
    return true;
}

static void log_deleted(const struct cl_container *container)
{
    cl_log(CL_LOG_INFO, CL_ENGINE_AREA, CL_SANDBOX_LOG ": container '%s' deleted",
           CL_SANDBOX_LOG_ARG(container->sandbox), container->cid);
}

/* The answer stands whether its record is gone or not. */
static void on_unrecorded(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    if (err && !sandbox->gate_closed)
        cl_journal_write(sandbox, CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, NULL, NULL, NULL);
    cl_operation_finish(operation, NULL, NULL);
}

static void bury(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    struct cl_runfile file = cl_runfile_of_container(container);
    container->burying = NULL;
    if (give_way(operation))
        return;
    if (!container->gone) { /* else it was doomed, and nobody has known it */
        cl_container_lost(container);
        log_deleted(container);
    }
    cl_runfile_drop(&file);
    cl_container_bury(container);
    cl_journal_write(operation->sandbox, CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, &operation->journal,
                     on_unrecorded, operation);
}

static void on_told(void *ctx)
{
    bury(ctx);
}

void cl_container_settle_burials(struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->burying && !cl_container_untold(container))
            cl_engine_later(sandbox->engine, &container->burying->later, on_told, container->burying);
    }
}

/* It stays listed. */
static void fail(struct cl_operation *operation, const struct cloister_error *err)
{
    if (!give_way(operation))
        cl_operation_finish(operation, err, NULL);
}

static void on_deleted(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cl_container *container = operation->container;
    if (err && err->code != CLOISTER_NO_ENTITY) {
        fail(operation, err);
        return;
    }
    container->burying = operation;
    cl_container_settle_burials(operation->sandbox); /* an event may have to wait for somebody else's turn */
}

static void aim(struct cl_operation *operation)
{
    operation->own_delete = (struct cloister_container_delete_args){
        CLOISTER_INIT(struct cloister_container_delete_args), .flags = CLOISTER_DELETE_FORCE,
        .sandbox = cl_sandbox_id(operation->sandbox), .container = cl_sv_cstr(operation->container->cid)};
    operation->iso.remove = (struct cloister_iso_delete_args){CLOISTER_INIT(struct cloister_iso_delete_args),
                                                              .delete_ = &operation->own_delete};
    cl_sandbox_identity(operation->sandbox, &operation->iso.remove.sandbox);
}

static void ask_isolation(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (give_way(operation))
        return;
    if (!operation->sandbox->made) {
        on_deleted(operation, NULL, NULL);
        return;
    }
    aim(operation);
    if (CL_ISO_CALL(operation, container_delete, &operation->iso.remove, on_deleted, &err) < 0)
        fail(operation, &err);
}

static void on_down(void *ctx)
{
    ask_isolation(ctx);
}

/* Called from among its last events; it must not go before they are through. */
static void down(struct cl_operation *operation)
{
    if (!operation->call.token) /* else the kill has not come back yet */
        cl_engine_later(operation->engine, &operation->later, on_down, operation);
}

static void on_killed(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    bool gone = !err || err->code == CLOISTER_NO_ENTITY; /* NO_ENTITY: its exit is on the way */
    if (!gone)
        cl_list_remove(&operation->waiting);
    if (operation->sandbox->gate_closed || !gone)
        fail(operation, err);
    else if (operation->container->state == CLOISTER_CONTAINER_STOPPED)
        ask_isolation(operation);
    else if (cl_frozen(operation->sandbox, operation->container))
        cl_errand_kill_container(operation->container); /* once more, and then it is thawed, so that it can die */
}

static void kill_it(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    operation->own_kill = (struct cloister_container_kill_args){
        CLOISTER_INIT(struct cloister_container_kill_args), .set = CLOISTER_KILL_ALL,
        .sandbox = cl_sandbox_id(operation->sandbox), .container = cl_sv_cstr(container->cid), .signal = SIGKILL};
    operation->iso.kill =
        (struct cloister_iso_kill_args){CLOISTER_INIT(struct cloister_iso_kill_args), .kill = &operation->own_kill};
    cl_sandbox_identity(operation->sandbox, &operation->iso.kill.sandbox);
    cl_list_append(&container->watchers, &operation->waiting);
    if (CL_ISO_CALL(operation, container_kill, &operation->iso.kill, on_killed, &err) < 0)
        fail(operation, &err);
}

/* Whoever queues behind it would wait for what is not going to be there; a process that is yet to be started would keep
 * the container from being down. */
static void send_away(const struct cl_operation *operation)
{
    CL_LIST_FOREACH(node, &operation->sandbox->claims)
    {
        struct cl_operation *other = CL_CONTAINER(node, struct cl_operation, claim.node);
        if (other->container == operation->container && !other->claim.running && other->class != &class)
            cl_operation_cancel_later(other);
    }
}

static void on_intent(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_container *container = operation->container;
    if (give_way(operation))
        return;
    if (err) { /* nothing happened */
        container->deleting = false;
        cl_operation_finish(operation, err, NULL);
        return;
    }
    send_away(operation);
    if (container->state == CLOISTER_CONTAINER_STOPPED)
        ask_isolation(operation);
    else
        kill_it(operation);
}

static int check_state(const struct cl_operation *operation, struct cloister_error *err)
{
    const struct cl_container *container = operation->container;
    if (operation->sandbox->made && !operation->backend->vtable->container_delete)
        return cl_operation_no_slot(operation, "container_delete", err);
    if (operation->own_delete.flags & CLOISTER_DELETE_FORCE || container->state == CLOISTER_CONTAINER_STOPPED)
        return 0;
    int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, container->cid, NULL, "container '%s' has not stopped",
                         container->cid);
    if (err)
        err->detail = container->state;
    return r;
}

static void begin(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (!container || container->gone) { /* by another delete, or it never was */
        cl_operation_finish(operation, NULL, NULL);
        return;
    }
    if (check_state(operation, &err) < 0) {
        cl_operation_finish(operation, &err, NULL);
        return;
    }
    container->deleting = true;
    cl_journal_write(operation->sandbox, CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, &operation->journal, on_intent,
                     operation);
}

/* Only the waiter is lost, unless it is the sandbox's end that wants it out of the way. */
static void cancel(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    if (!operation->sandbox->gate_closed) {
        cl_operation_leave_it(operation);
        operation->cancelled = false;
        return;
    }
    cl_operation_cancel_call(operation);
    bool idle = !operation->call.token && cl_list_empty(&operation->journal.node);
    cl_list_remove(&operation->waiting);
    if (container)
        container->burying = NULL;
    if (idle) /* what else is under way looks when it comes back */
        cl_engine_later(operation->engine, &operation->later, on_down, operation);
}

static void drop(struct cl_operation *operation)
{
    if (operation->container && operation->container->burying == operation)
        operation->container->burying = NULL;
}

static const struct cl_operation_class class = {.name = "container_delete",
                                                .verb = "delete a container of",
                                                .begin = begin,
                                                .cancel = cancel,
                                                .down = down,
                                                .drop = drop,
                                                .one_way = true,
                                                .on_gone = true};

static int prepare(struct cl_operation *operation, const struct cloister_container_delete_args *args,
                   struct cloister_error *err)
{
    if (args->flags & ~CLOISTER_DELETE_FORCE)
        return cl_error_set(err, CLOISTER_INVALID, 0, "flags", NULL, "flags has an unknown bit");
    if (!args->container.size)
        return cl_error_set(err, CLOISTER_INVALID, 0, "container", NULL, "container is empty");
    if (operation->sandbox->gate_closed) {
        int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "it is being destroyed");
        if (err)
            err->detail = CLOISTER_SANDBOX_DESTROYING;
        return r;
    }
    operation->own_delete.flags = args->flags;
    operation->container = cl_container_find(operation->sandbox, args->container, NULL);
    return operation->container && !operation->container->creating ? check_state(operation, err) : 0;
}

cloister_op cl_api_container_delete(const struct cloister_host *host, const struct cloister_container_delete_args *args,
                                    cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_container_delete_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, copy.sandbox, true, done, ctx, err);
    if (!operation)
        return 0;
    int r = prepare(operation, &copy, err);
    return cl_operation_prepared(operation, r, copy.deadline,
                                 operation->container ? CL_CLAIM_CONTAINER : CL_CLAIM_PASSING, err);
}

void cl_container_finish_delete(struct cl_container *container)
{
    struct cl_operation *errand = cl_operation_errand(container->sandbox, &class);
    if (!errand)
        return;
    errand->own_delete.flags = CLOISTER_DELETE_FORCE;
    errand->container = container;
    (void)cl_operation_start(errand, 0, CL_CLAIM_CONTAINER);
}

/* ---- the rest of one that nobody knows ---- */

static void on_rest_deleted(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    if (!err || err->code == CLOISTER_NO_ENTITY) {
        bury(operation);
    } else if (!give_way(operation)) {
        if (!operation->error.code)
            cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err,
                         CL_SANDBOX_LOG ": remove what is left of container '%s'; trying again",
                         CL_SANDBOX_LOG_ARG(sandbox), operation->container->cid);
        operation->error = *err;
        operation->wake_at = cl_mono_ns() + AGAIN;
        cl_engine_wake_at(operation->engine, operation->wake_at);
    }
}

static void begin_rest(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (give_way(operation))
        return;
    aim(operation);
    if (CL_ISO_CALL(operation, container_delete, &operation->iso.remove, on_rest_deleted, &err) < 0)
        on_rest_deleted(operation, &err, NULL);
}

static void on_rest_cancelled(void *ctx)
{
    begin_rest(ctx);
}

static void cancel_rest(struct cl_operation *operation)
{
    operation->wake_at = 0;
    if (operation->call.token)
        cl_operation_cancel_call(operation);
    else if (cl_list_empty(&operation->journal.node))
        cl_engine_later(operation->engine, &operation->later, on_rest_cancelled, operation);
}

static const struct cl_operation_class rest_class = {.name = "container_delete",
                                                     .verb = "remove the rest of a container of",
                                                     .begin = begin_rest,
                                                     .cancel = cancel_rest,
                                                     .wake = begin_rest,
                                                     .passive = true,
                                                     .on_gone = true};

void cl_container_delete_rest(struct cl_container *container)
{
    struct cl_operation *errand = cl_operation_errand(container->sandbox, &rest_class);
    if (!errand)
        return; /* its record stays, and the next daemon's start does it */
    errand->container = container;
    (void)cl_operation_start(errand, 0, CL_CLAIM_CONTAINER);
}
