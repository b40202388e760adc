/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovered.c - the operation `recover`: it has the sandbox to itself until it is clear what became of it, its
 * personality has been told and has answered, and what happened meanwhile has come out (O5).
 */
#include "core/engine/api.h"
#include "core/engine/ending.h"
#include "core/engine/recover.h"
#include "core/engine/views.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/time.h"

#define AGAIN CL_NS_PER_S
#define STOP_GRACE (10 * CL_NS_PER_S)

/* What a former daemon began to stop or to delete, or could not undo. */
static void finish_rest(struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->stopping && container->state != CLOISTER_CONTAINER_STOPPED)
            (void)cl_container_stop(container, STOP_GRACE, 0, NULL, NULL);
        if (container->deleting)
            cl_container_finish_delete(container);
    }
    CL_LIST_FOREACH(node, &sandbox->doomed)
    cl_container_delete_rest(CL_CONTAINER(node, struct cl_container, node));
    cl_sandbox_check_down(sandbox);
}

void cl_recovered_finish(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = cl_sandbox_ref(operation->sandbox);
    bool changed = operation->args.row->changed;
    if (operation->args.row->contact)
        cl_sandbox_emit(sandbox, CLOISTER_EVENT_CONTACT, NULL);
    sandbox->recovering = sandbox->no_contact = false;
    sandbox->held = sandbox->unknown;
    cl_operation_finish(operation, NULL, NULL); /* and tells what has been held back */
    if (changed && !sandbox->gate_closed)
        cl_journal_write(sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, CLOISTER_DURABLE_POWER, NULL, NULL, NULL);
    if (!sandbox->gate_closed)
        finish_rest(sandbox);
    cl_sandbox_unref(sandbox);
}

static void on_answered(void *ctx)
{
    cl_recovered_finish(ctx);
}

void cl_recovered_ask(struct cl_operation *operation)
{
    struct cl_instance *instance = operation->service->personality;
    void (*recovered)(void *, const struct cloister_sandbox_info *, cloister_op) =
        instance->vtable->personality.recovered;
    if (operation->cancelled || !recovered) {
        cl_engine_later(operation->engine, &operation->later, on_answered, operation);
        return;
    }
    struct cloister_sandbox_info info = cl_view_sandbox(operation->sandbox);
    operation->args.row->asked = true;
    recovered(instance->self, &info, operation->number);
}

void cl_api_recovered_done(const struct cloister_host *host, cloister_op op)
{
    const struct cl_service *service = cl_service_of(host);
    struct cl_operation *operation = cl_map_get_u64(&service->engine->by_number, op);
    if (!operation || operation->class != &cl_recover_class || operation->service != service ||
        !operation->args.row->asked) {
        cl_log(CL_LOG_DEBUG, CL_ENGINE_AREA, "service '%s' answered %llu, which it was not asked", service->name,
               (unsigned long long)op);
        return;
    }
    operation->args.row->asked = false;
    cl_engine_later(operation->engine, &operation->later, on_answered, operation);
}

void cl_recovered_again(struct cl_operation *operation)
{
    operation->wake_at = cl_mono_ns() + AGAIN;
    cl_engine_wake_at(operation->engine, operation->wake_at);
}

/* Isolation has nothing left of a sandbox of another boot, or could not say so: then the next destroy asks again. */
static void on_cleaned(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_row *row = operation->args.row;
    cl_row_idle(row);
    if (err) {
        cl_error_copy(&sandbox->failure, err);
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, CL_SANDBOX_LOG ": clean up after the boot before",
                     CL_SANDBOX_LOG_ARG(sandbox));
    } else {
        for (struct cl_list *node; (node = cl_list_first(&sandbox->doomed));)
            cl_container_bury(CL_CONTAINER(node, struct cl_container, node));
        sandbox->made = false;
        sandbox->cookie = sandbox->engine->cookie;
        sandbox->boot_id = cl_sv_cstr(sandbox->engine->boot_id);
    }
    row->changed = true;
    if (sandbox->state != CLOISTER_SANDBOX_OFF)
        cl_notice_lost(sandbox, CLOISTER_CAUSE_REBOOT);
    cl_recovered_ask(operation);
}

static void clean(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    operation->iso.destroy = (struct cloister_iso_destroy_args){CLOISTER_INIT(struct cloister_iso_destroy_args)};
    cl_sandbox_identity(sandbox, &operation->iso.destroy.sandbox);
    cl_doom_half_made(sandbox);
    if (cl_restore_inits(sandbox, NULL) < 0 ||
        CL_ISO_CALL(operation, sandbox_destroy, &operation->iso.destroy, on_cleaned, &err) < 0)
        cl_recovered_again(operation);
}

static void end(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_row *row = operation->args.row;
    if (row->way == CL_ROW_UNDO) {
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, CL_SANDBOX_LOG " of an earlier daemon %s; it is removed",
               CL_SANDBOX_LOG_ARG(sandbox), row->why);
    } else {
        cl_doom_half_made(sandbox);
        if (cl_restore_inits(sandbox, NULL) < 0) {
            cl_recovered_again(operation);
            return;
        }
        sandbox->held = false; /* its end is told */
    }
    cl_row_idle(row);
    cl_order_leave(operation);
    cl_ending_join(operation);
}

static void begin(struct cl_operation *operation)
{
    if (operation->engine->draining)
        return; /* the next daemon's */
    switch (operation->args.row->way) {
    case CL_ROW_ADOPT:
        cl_adopt_begin(operation);
        break;
    case CL_ROW_CLEAN:
        clean(operation);
        break;
    case CL_ROW_KEEP:
        cl_row_idle(operation->args.row);
        cl_recovered_ask(operation);
        break;
    case CL_ROW_FINISH:
    case CL_ROW_UNDO:
        end(operation);
        break;
    }
}

/* A destroy: what is not known by now will not be needed. */
static void cancel(struct cl_operation *operation)
{
    bool ends = operation->args.row->way == CL_ROW_FINISH || operation->args.row->way == CL_ROW_UNDO;
    operation->wake_at = 0;
    if (operation->call.token)
        cl_operation_cancel_call(operation);
    else if (!ends || cl_list_empty(&operation->waiting))
        cl_engine_later(operation->engine, &operation->later, on_answered, operation);
}

static void drop(struct cl_operation *operation)
{
    cl_row_free(operation->args.row);
}

const struct cl_operation_class cl_recover_class = {.name = "recovery",
                                                    .verb = "recover sandbox",
                                                    .begin = begin,
                                                    .cancel = cancel,
                                                    .wake = begin,
                                                    .drop = drop,
                                                    .passive = true};
