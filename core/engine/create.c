/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c - a sandbox, perhaps with its first container: one operation, whole or gone.
 *
 * Checked, planned and named in the call itself; then intent (W) -> run directory -> isolation -> reached (W) ->
 * answer. Whatever fails on the way, or comes back after somebody has asked for its end, leaves by ending.c: undone
 * first, then answered.
 */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/ending.h"
#include "core/engine/label.h"
#include "core/engine/operation.h"
#include "core/engine/record_put.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"

#define CREATE_RECORDS (CL_RECORD_SANDBOX | CL_RECORD_LABELS | CL_RECORD_CONTAINERS | CL_RECORD_SPEC | CL_RECORD_ISO)

/* True if the create is not wanted any more; it is on its way out then. */
static bool give_up(struct cl_operation *operation)
{
    if (!operation->cancelled)
        return false;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, NULL, "cancelled");
    cl_ending_undo(operation, &err);
    return true;
}

static void fail(struct cl_operation *operation, const struct cloister_error *err)
{
    if (!give_up(operation))
        cl_ending_undo(operation, err);
}

static void log_created(const struct cl_sandbox *sandbox, const struct cl_process *init)
{
    if (init)
        cl_log(CL_LOG_INFO, CL_ENGINE_AREA, CL_SANDBOX_LOG ": created, init has pid %d", CL_SANDBOX_LOG_ARG(sandbox),
               init->pid);
    else
        cl_log(CL_LOG_INFO, CL_ENGINE_AREA, CL_SANDBOX_LOG ": created", CL_SANDBOX_LOG_ARG(sandbox));
}

static void on_reached(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = cl_sandbox_ref(operation->sandbox);
    struct cl_container *container = operation->container;
    if (err || operation->cancelled) {
        fail(operation, err);
    } else {
        struct cloister_result result = operation->result;
        log_created(sandbox, container ? container->init : NULL);
        sandbox->creating = NULL;
        if (container && container->init)
            container->init->held = false;
        cl_operation_finish(operation, NULL, &result);
        cl_sandbox_emit_state(sandbox);
        if (container)
            cl_container_emit_state(container);
        sandbox->held = false;
        cl_sandbox_flush(sandbox);
    }
    cl_sandbox_unref(sandbox);
}

static void on_made(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    if (err || operation->cancelled) {
        fail(operation, err);
        return;
    }
    if (operation->container)
        cl_container_made(operation, operation->args.create->container, data);
    sandbox->state = CLOISTER_SANDBOX_UP;
    cl_journal_write(sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, CLOISTER_DURABLE_POWER, &operation->journal,
                     on_reached, operation);
}

static void on_intent(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (operation->container)
        operation->container->making = NULL;
    if (err || operation->cancelled) {
        fail(operation, err);
        return;
    }
    if (cl_sandbox_make_run_dir(sandbox, &own) < 0 || cl_runfile_create(sandbox, &own) < 0 ||
        (operation->container &&
         cl_runfile_create_container(operation->container, operation->args.create->container, &own) < 0)) {
        fail(operation, &own);
        return;
    }
    struct cloister_iso_create_args *args = &operation->iso.create;
    *args = (struct cloister_iso_create_args){
        CLOISTER_INIT(struct cloister_iso_create_args),
        .container = operation->args.create->container,
        .init = operation->process ? operation->process->number : 0,
        .incarnation = operation->container ? operation->container->incarnation : 0,
        .deadline = operation->deadline,
    };
    cl_sandbox_identity(sandbox, &args->sandbox);
    sandbox->made = true;
    if (CL_ISO_CALL(operation, sandbox_create, args, on_made, &own) < 0)
        fail(operation, &own);
}

static void begin(struct cl_operation *operation)
{
    if (give_up(operation))
        return;
    if (operation->engine->sweeping) {
        cl_list_append(&operation->engine->parked, &operation->waiting);
        return;
    }
    cl_journal_write(operation->sandbox, CREATE_RECORDS | (operation->sandbox->svc.data ? CL_RECORD_SVC : 0),
                     CLOISTER_DURABLE_POWER, &operation->journal, on_intent, operation);
}

static void cancel(struct cl_operation *operation)
{
    if (!cl_list_empty(&operation->waiting)) {
        cl_list_remove(&operation->waiting); /* parked */
        cl_operation_turn(operation);
    }
    cl_operation_cancel_call(operation); /* between two steps there is no call: the next step looks */
}

static void drop(struct cl_operation *operation)
{
    if (operation->sandbox && operation->sandbox->creating == operation)
        operation->sandbox->creating = NULL;
}

static const struct cl_operation_class class = {
    .name = "sandbox_create", .verb = "create sandbox", .begin = begin, .cancel = cancel, .drop = drop};

static int make_container(struct cl_operation *operation, struct cloister_error *err)
{
    const struct cloister_container_args *args = operation->args.create->container;
    if (!args)
        return 0;
    if (cl_container_check_join(operation->sandbox, args, false, err) < 0)
        return -ENOENT;
    int r = cl_container_new(operation->sandbox, args->cid, args->rootfs, &operation->container);
    if (r == 0)
        r = cl_process_new(operation->container, cl_sv(NULL, 0), true, &operation->process);
    if (r == 0 && args->process)
        r = cl_process_describe(operation->process, args->process);
    if (r < 0)
        return cl_args_no_memory(err);
    operation->container->making = args;
    operation->container->recorded = true;
    operation->container->init = operation->process;
    operation->container->init_number = operation->process->number;
    return 0;
}

static int make_plan(struct cl_operation *operation, struct cloister_error *err)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_backend *backend = sandbox->backend;
    struct cloister_iso_plan_args args = {CLOISTER_INIT(struct cloister_iso_plan_args),
                                          .create = operation->args.create};
    struct cloister_sv blob = {NULL, 0};
    cl_sandbox_identity(sandbox, &args.sandbox);
    if (backend->vtable->plan(backend->instance->self, &args, &blob, err) != 0)
        return -EINVAL;
    if (blob.size > CLOISTER_PLAN_MAX)
        return cl_error_set(err, CLOISTER_INTERNAL, 0, NULL, "plan", "%s made a plan of %llu bytes",
                            backend->instance->label, (unsigned long long)blob.size);
    sandbox->plan = cl_arena_sv(&sandbox->arena, blob);
    return sandbox->arena.failed ? cl_args_no_memory(err) : 0;
}

static int keep_properties(struct cl_operation *operation, struct cloister_error *err)
{
    const struct cloister_sandbox_create_args *args = operation->args.create;
    struct cl_sandbox *sandbox = operation->sandbox;
    int r = args->record.size ? cl_sandbox_set_svc(sandbox, args->record) : 0;
    for (uint64_t i = 0; r == 0 && i < args->label_count; i++)
        r = cl_label_set(sandbox, args->labels[i].key, args->labels[i].value, args->labels[i].flags);
    sandbox->secrets_known = true;
    return r < 0 ? cl_args_no_memory(err) : 0;
}

static struct cl_backend *choose_backend(const struct cl_service *service, struct cloister_sv name,
                                         struct cloister_error *err)
{
    struct cl_backend *backend = name.size ? cl_backend_lookup(service->engine, name) : service->backend;
    if (!backend)
        (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "isolation", "there is no isolation '%.*s'",
                           CL_SV_ARG(name));
    return backend;
}

/* Everything that can be refused at once. On failure the caller's descriptors are still its own. */
static int prepare(struct cl_operation *operation, const struct cloister_sandbox_create_args *from,
                   struct cloister_error *err)
{
    struct cloister_sandbox_create_args head;
    cl_struct_copy(&head, sizeof(head), from);
    struct cl_backend *backend = choose_backend(operation->service, head.isolation, err);
    if (!backend)
        return -ENOENT;
    operation->args.create = cl_args_create(operation, from, backend->capabilities, err);
    if (!operation->args.create)
        return -EINVAL;
    struct cl_sandbox *sandbox;
    int r = cl_sandbox_new(operation->service, backend, operation->args.create->name, &sandbox, err);
    if (r < 0)
        return r;
    operation->sandbox = cl_sandbox_ref(sandbox);
    operation->backend = backend;
    sandbox->lasting = !operation->args.create->container;
    sandbox->uncommitted = operation->args.create->flags & CLOISTER_SANDBOX_PROVISIONAL;
    cl_list_append(&sandbox->operations, &operation->in_sandbox);
    r = make_container(operation, err);
    r = r ? r : keep_properties(operation, err);
    r = r ? r : make_plan(operation, err);
    if (r < 0)
        cl_sandbox_forget(sandbox);
    return r;
}

cloister_op cl_api_sandbox_create(const struct cloister_host *host, const struct cloister_sandbox_create_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cl_operation *operation = cl_operation_new(cl_service_of(host), &class, NULL, done, ctx, err);
    if (!operation)
        return 0;
    if (prepare(operation, args, err) < 0) {
        cl_error_wrap(err, "create sandbox");
        return cl_operation_drop(operation);
    }
    operation->sandbox->creating = operation;
    operation->sandbox->held = true;
    operation->begun = true; /* there is something to undo from here on: a cancel before its turn leaves by begin */
    return cl_operation_start(operation, operation->args.create->deadline, CL_CLAIM_SANDBOX);
}
