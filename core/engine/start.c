/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/error/error.h"
#include "core/util/time.h"

static int check_state(const struct cl_operation *operation, struct cloister_error *err)
{
    const struct cl_container *container = operation->container;
    bool making =
        container->state == CLOISTER_CONTAINER_CREATING && (operation->sandbox->creating || container->creating);
    if (!operation->sandbox->gate_closed && !container->deleting &&
        (container->state == CLOISTER_CONTAINER_CREATED || making))
        return 0;
    int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "container '%s' does not wait for its start",
                         container->cid);
    if (err)
        err->detail = container->state;
    return r;
}

static void release_hold(struct cl_sandbox *sandbox, struct cl_process *init)
{
    if (init)
        init->held = false;
    cl_sandbox_flush(sandbox);
}

static void on_started(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    const struct cloister_result *from = data;
    struct cl_sandbox *sandbox = cl_sandbox_ref(operation->sandbox);
    struct cl_container *container = operation->container;
    struct cl_process *init = container->init;
    if (err) {
        struct cloister_error copy = *err;
        bool undone = err->code == CLOISTER_CANCELLED;
        cl_operation_finish(operation, err, NULL);
        release_hold(sandbox, init);
        if (!undone)
            cl_container_start_failed(container, &copy);
    } else {
        struct cloister_result result = *from;
        container->state = CLOISTER_CONTAINER_RUNNING;
        container->started_real_ns = cl_real_ns();
        result.process = container->init_number;
        result.container_state = container->state;
        if (init) {
            init->state = CLOISTER_PROCESS_RUNNING;
            init->started_real_ns = container->started_real_ns;
            init->pid = from->pid ? from->pid : init->pid;
            result.pid = init->pid;
        }
        cl_journal_write(sandbox, CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, NULL, NULL, NULL);
        cl_operation_finish(operation, NULL, &result);
        cl_container_emit_state(container);
        release_hold(sandbox, init);
    }
    cl_sandbox_unref(sandbox);
}

static void on_intent(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (err || operation->cancelled) {
        if (err)
            cl_operation_finish(operation, err, NULL);
        else
            cl_operation_finish_cancelled(operation, "cancelled");
        return;
    }
    struct cl_process *init = operation->container->init;
    int r = check_state(operation, &own); /* a signal may have ended it while the intent was written */
    if (r == 0 && !operation->backend->vtable->container_start)
        r = cl_operation_no_slot(operation, "container_start", &own);
    if (r < 0 || !init) {
        cl_operation_finish(operation, &own, NULL);
        return;
    }
    struct cloister_iso_start_args *args = &operation->iso.start;
    *args = (struct cloister_iso_start_args){CLOISTER_INIT(struct cloister_iso_start_args),
                                             .start = operation->args.start, .init = init->number};
    cl_sandbox_identity(operation->sandbox, &args->sandbox);
    cl_process_set_stdio(init, operation->args.start->stdio, operation->args.start->stdio_count);
    init->held = true;
    if (CL_ISO_CALL(operation, container_start, args, on_started, &own) < 0) {
        init->held = false;
        cl_operation_finish(operation, &own, NULL);
    }
}

static void begin(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (check_state(operation, &err) < 0 || cl_frozen_refuse(operation->sandbox, operation->container, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
    else
        cl_journal_write(operation->sandbox, CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, &operation->journal,
                         on_intent, operation);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation); /* what has been exec'ed stays: a start cannot be taken back */
}

static const struct cl_operation_class class = {
    .name = "container_start", .verb = "start container of", .begin = begin, .cancel = cancel};

cloister_op cl_api_container_start(const struct cloister_host *host, const struct cloister_container_start_args *args,
                                   cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_container_start_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, head.sandbox, true, done, ctx, err);
    if (!operation)
        return 0;
    int r = -EINVAL;
    operation->container = cl_container_find(operation->sandbox, head.container, err);
    if (operation->container) {
        operation->args.start = cl_args_start(operation, args, operation->backend->capabilities, err);
        r = operation->args.start ? check_state(operation, err) : -EINVAL;
    }
    return cl_operation_prepared(operation, r, head.deadline, CL_CLAIM_CONTAINER, err);
}
