/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_create.c - a further container in a sandbox that is up: whole or gone, like the sandbox itself.
 *
 * Intent (W) -> run file -> isolation -> reached (w) -> answer. It has its container to itself and shares the sandbox,
 * so several are made side by side. Whatever fails is undone before it is answered; what isolation cannot be rid of is
 * doomed (container_delete.c), and what a dying daemon leaves half made is undone by the next one (adopt.c).
 */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

/* ---- undone ---- */

/* The answer stands, whether its record is gone yet or not: a later daemon has it undone once more. */
static void on_unrecorded(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = cl_sandbox_ref(operation->sandbox);
    struct cloister_error why = operation->error;
    if (err && !sandbox->gate_closed)
        cl_journal_write(sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, NULL, NULL, NULL);
    cl_operation_finish(operation, &why, NULL);
    if (!sandbox->gate_closed)
        cl_sandbox_check_down(sandbox);
    cl_sandbox_unref(sandbox);
}

/* Isolation has nothing of it. */
static void undone(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    struct cl_runfile file = cl_runfile_of_container(container);
    bool recorded = container->recorded;
    cl_runfile_drop(&file);
    operation->process = NULL; /* goes with its container */
    cl_container_bury(container);
    if (recorded)
        cl_journal_write(operation->sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON,
                         &operation->journal, on_unrecorded, operation);
    else
        on_unrecorded(operation, NULL);
}

static void on_unmade(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cl_container *container = operation->container;
    if (!err || operation->sandbox->gate_closed) {
        undone(operation);
        return;
    }
    struct cloister_error why = operation->error;
    operation->process = NULL;
    cl_container_doom(container);
    cl_container_delete_rest(container);
    cl_operation_finish(operation, &why, NULL);
}

/* err NULL: somebody does not want it any more. made: isolation has something of it; a destroy that waits for this
 * takes that down with the rest. */
static void undo(struct cl_operation *operation, const struct cloister_error *err, bool made)
{
    const struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (err)
        operation->error = *err;
    else
        (void)cl_error_set(&operation->error, CLOISTER_CANCELLED, 0, NULL, NULL, "cancelled");
    if (!made || sandbox->gate_closed || sandbox->down) {
        undone(operation);
        return;
    }
    operation->container->state = CLOISTER_CONTAINER_CREATING; /* it will not be more than that */
    cl_journal_write(operation->sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, NULL, NULL,
                     NULL);
    operation->own_delete = (struct cloister_container_delete_args){
        CLOISTER_INIT(struct cloister_container_delete_args), .flags = CLOISTER_DELETE_FORCE,
        .sandbox = cl_sandbox_id(sandbox), .container = cl_sv_cstr(operation->container->cid)};
    operation->iso.remove = (struct cloister_iso_delete_args){CLOISTER_INIT(struct cloister_iso_delete_args),
                                                              .delete_ = &operation->own_delete};
    cl_sandbox_identity(sandbox, &operation->iso.remove.sandbox);
    if (CL_ISO_CALL(operation, container_delete, &operation->iso.remove, on_unmade, &own) < 0)
        on_unmade(operation, &own, NULL);
}

/* ---- made ---- */

static int check_alive(const struct cl_operation *operation, struct cloister_error *err)
{
    return operation->sandbox->down
               ? cl_error_set(err, CLOISTER_LOST, 0, NULL, "keeper", "the sandbox ended while it was being made")
               : 0;
}

static void on_reached(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_container *container = operation->container;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (!err && check_alive(operation, &own) < 0)
        err = &own;
    if (err || operation->cancelled) {
        undo(operation, operation->cancelled ? NULL : err, true);
        return;
    }
    struct cloister_result result = operation->result;
    struct cl_process *init = cl_steal_ptr(&operation->process);
    (void)cl_sandbox_ref(sandbox);
    cl_log(CL_LOG_INFO, CL_ENGINE_AREA, CL_SANDBOX_LOG ": container '%s' created, init has pid %d",
           CL_SANDBOX_LOG_ARG(sandbox), container->cid, init->pid);
    container->creating = NULL;
    sandbox->lasting = true;
    cl_operation_finish(operation, NULL, &result);
    cl_container_emit_state(container);
    init->held = false; /* O1 */
    cl_sandbox_flush(sandbox);
    cl_sandbox_unref(sandbox);
}

static void on_made(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (err) { /* and it has undone its part */
        undo(operation, operation->cancelled ? NULL : err, false);
        return;
    }
    if (operation->cancelled || check_alive(operation, &own) < 0) {
        undo(operation, operation->cancelled ? NULL : &own, true);
        return;
    }
    cl_container_made(operation, operation->args.further->container, data);
    cl_journal_write(sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, &operation->journal,
                     on_reached, operation);
}

static void on_intent(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_container *container = operation->container;
    const struct cloister_container_args *made = operation->args.further->container;
    struct cloister_iso_create_args *args = &operation->iso.create;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    container->making = NULL;
    container->recorded = !err;
    int r = err ? -EIO : check_alive(operation, &own);
    if (r == 0 && !operation->cancelled)
        r = cl_runfile_create_container(container, made, &own);
    if (r < 0 || operation->cancelled) {
        undo(operation, operation->cancelled ? NULL : err ? err : &own, false);
        return;
    }
    *args = (struct cloister_iso_create_args){CLOISTER_INIT(struct cloister_iso_create_args), .container = made,
                                              .init = operation->process->number, .incarnation = container->incarnation,
                                              .deadline = operation->deadline};
    cl_sandbox_identity(operation->sandbox, &args->sandbox);
    if (CL_ISO_CALL(operation, container_create, args, on_made, &own) < 0)
        undo(operation, &own, false);
}

/* ---- asked ---- */

static void begin(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = operation->cancelled ? -ECANCELED : cl_sandbox_check_up(sandbox, &err);
    r = r ? r : cl_frozen_refuse(sandbox, NULL, &err);
    r = r ? r : cl_container_check_join(sandbox, operation->args.further->container, true, &err);
    if (r < 0) {
        undo(operation, operation->cancelled ? NULL : &err, false);
        return;
    }
    operation->container->recorded = true;
    cl_journal_write(sandbox, CL_RECORD_CONTAINERS | CL_RECORD_SPEC, CLOISTER_DURABLE_POWER, &operation->journal,
                     on_intent, operation);
}

static void cancel(struct cl_operation *operation)
{
    if (operation->claim.running)
        cl_operation_cancel_call(operation); /* between two steps there is no call: the next step looks */
    else
        cl_operation_turn(operation);
}

/* Before its turn, or with the daemon. */
static void drop(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    if (!container || container->creating != operation)
        return;
    container->recorded = false; /* if it has a record, the next daemon undoes it */
    cl_container_bury(container);
}

static const struct cl_operation_class class = {.name = "container_create",
                                                .verb = "create a container in",
                                                .begin = begin,
                                                .cancel = cancel,
                                                .drop = drop,
                                                .on_gone = true};

static int check_room(const struct cl_sandbox *sandbox, struct cloister_sv cid, struct cloister_error *err)
{
    unsigned count = 0;
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        count++;
        if (!cl_sv_is(cid, CL_CONTAINER(node, struct cl_container, node)->cid))
            continue;
        (void)cl_error_set(err, CLOISTER_EXISTS, 0, NULL, "cid", "there is a container '%.*s'", CL_SV_ARG(cid));
        cl_error_subject(err, cid);
        return -EEXIST;
    }
    if (cl_container_doomed(sandbox, cid)) {
        (void)cl_error_set(err, CLOISTER_BUSY, 0, NULL, "cid",
                           "what is left of a former container '%.*s' is being removed", CL_SV_ARG(cid));
        cl_error_subject(err, cid);
        return -EBUSY;
    }
    if (count >= CL_CONTAINERS_MAX)
        return cl_error_set(err, CLOISTER_LIMIT, 0, "containers", NULL, "it has %u containers, the most allowed",
                            count);
    if (sandbox->by_number.size >= CL_ENGINE_MAX_PROCESSES)
        return cl_error_set(err, CLOISTER_LIMIT, 0, "processes", NULL, "it has %u processes whose end was not released",
                            CL_ENGINE_MAX_PROCESSES);
    return 0;
}

static int copy_args(struct cl_operation *operation, const struct cloister_container_create_args *from,
                     struct cloister_error *err)
{
    struct cloister_container_create_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    if (cl_args_reserved(copy->reserved, err) < 0)
        return -EINVAL;
    if (!copy->container)
        return cl_error_set(err, CLOISTER_INVALID, 0, "container", NULL, "container is missing");
    struct cloister_container_args head;
    cl_struct_copy(&head, sizeof(head), copy->container);
    if (!head.cid.size)
        return cl_error_set(err, CLOISTER_INVALID, 0, "cid", NULL, "cid is empty");
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_args_container(operation, copy->container, operation->backend->capabilities, err);
    operation->args.further = copy;
    return copy->container ? 0 : -EINVAL;
}

static int make(struct cl_operation *operation, struct cloister_error *err)
{
    const struct cloister_container_args *args = operation->args.further->container;
    struct cl_container *container;
    if (cl_container_new(operation->sandbox, args->cid, args->rootfs, &container) < 0)
        return cl_args_no_memory(err);
    operation->container = container;
    container->creating = operation;
    container->making = args;
    int r = cl_process_new(container, cl_sv(NULL, 0), true, &operation->process);
    if (r == 0 && args->process)
        r = cl_process_describe(operation->process, args->process);
    if (r < 0)
        return cl_args_no_memory(err);
    container->init = operation->process;
    container->init_number = operation->process->number;
    return 0;
}

/* Everything that can be refused at once. On failure the caller's descriptors are still its own. */
static int prepare(struct cl_operation *operation, const struct cloister_container_create_args *from,
                   struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = operation->sandbox;
    const struct cloister_isolation *vtable = operation->backend->vtable;
    if (!vtable->container_create || !vtable->container_delete) /* the second undoes the first */
        return cl_operation_no_slot(operation, "container_create", err);
    int r = copy_args(operation, from, err);
    r = r ? r : cl_sandbox_check_coming(sandbox, err);
    r = r ? r : check_room(sandbox, operation->args.further->container->cid, err);
    r = r ? r : cl_container_check_join(sandbox, operation->args.further->container, false, err);
    return r ? r : make(operation, err);
}

cloister_op cl_api_container_create(const struct cloister_host *host, const struct cloister_container_create_args *args,
                                    cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_container_create_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, head.sandbox, true, done, ctx, err);
    if (!operation)
        return 0;
    int r = prepare(operation, args, err);
    operation->begun = r == 0; /* there is something to undo from here on: a cancel before its turn leaves by begin */
    return cl_operation_prepared(operation, r, head.deadline, CL_CLAIM_CONTAINER, err);
}
