/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/operation.h"

#include <errno.h>
#include <stdlib.h>

#include "core/engine/ending.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/net/stream.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "core/util/time.h"

static struct cl_operation *operation_new(struct cl_engine *engine, const struct cl_operation_class *class,
                                          struct cl_sandbox *sandbox)
{
    struct cl_operation *operation = cl_new(struct cl_operation);
    if (!operation)
        return NULL;
    if (cl_map_put_u64(&engine->by_number, engine->last_number + 1, operation) < 0) {
        free(operation);
        return NULL;
    }
    operation->number = ++engine->last_number;
    operation->engine = engine;
    operation->class = class;
    operation->error = (struct cloister_error)CLOISTER_ERROR_INIT;
    operation->result = (struct cloister_result){CLOISTER_INIT(struct cloister_result)};
    cl_list_init(&operation->in_sandbox);
    cl_list_init(&operation->claim.node);
    cl_list_init(&operation->journal.node);
    cl_list_init(&operation->waiting);
    cl_list_append(&engine->operations, &operation->node);
    if (sandbox) {
        operation->sandbox = cl_sandbox_ref(sandbox);
        operation->backend = sandbox->backend;
        cl_list_append(&sandbox->operations, &operation->in_sandbox);
    }
    return operation;
}

int cl_operation_refuse_unknown(const struct cl_sandbox *sandbox, struct cloister_error *err)
{
    char why[CL_ERROR_SENTENCE_MAX];
    (void)cl_error_sentence(&sandbox->failure, why, sizeof(why));
    int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "it can only be shown, or destroyed by force: %s",
                         why);
    if (err)
        err->detail = CLOISTER_SANDBOX_UNKNOWN;
    return r;
}

struct cl_operation *cl_operation_new(struct cl_service *service, const struct cl_operation_class *class,
                                      struct cl_sandbox *sandbox, cloister_done_fn done, void *ctx,
                                      struct cloister_error *err)
{
    if (service->engine->draining) {
        (void)cl_error_set(err, CLOISTER_UNAVAILABLE, 0, NULL, NULL, "the daemon is shutting down");
        return NULL;
    }
    if (sandbox && sandbox->unknown && !class->on_unknown) {
        (void)cl_operation_refuse_unknown(sandbox, err);
        cl_error_wrap(err, "%s '%.*s'", class->verb, CL_SV_ARG(sandbox->name));
        return NULL;
    }
    struct cl_operation *operation = operation_new(service->engine, class, sandbox);
    if (!operation) {
        (void)cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, NULL, "%s", class->verb);
        return NULL;
    }
    operation->service = service;
    operation->done = done;
    operation->ctx = ctx;
    return operation;
}

struct cl_operation *cl_operation_errand(struct cl_sandbox *sandbox, const struct cl_operation_class *class)
{
    struct cl_operation *operation = operation_new(sandbox->engine, class, sandbox);
    if (!operation)
        cl_log(CL_LOG_ERROR, CL_ENGINE_AREA, "no memory to %s of %s", class->verb, sandbox->id);
    return operation;
}

static void operation_free(struct cl_operation *operation)
{
    struct cl_engine *engine = operation->engine;
    if (operation->class->drop)
        operation->class->drop(operation);
    cl_later_cancel(&operation->later);
    cl_later_cancel(&operation->cancelling);
    (void)cl_map_remove_u64(&engine->by_number, operation->number);
    cl_list_remove(&operation->node);
    cl_list_remove(&operation->in_sandbox);
    cl_list_remove(&operation->waiting);
    cl_list_remove(&operation->journal.node);
    if (operation->container)
        cl_container_reap(operation->container);
    if (operation->sandbox)
        cl_sandbox_unref(operation->sandbox);
    cl_arena_free(&operation->arena);
    free(operation->fds);
    free(operation);
    cl_engine_ended(engine);
}

cloister_op cl_operation_drop(struct cl_operation *operation)
{
    if (operation) {
        cl_list_remove(&operation->claim.node);
        operation_free(operation);
    }
    return 0;
}

static bool is_too_late(const struct cl_operation *operation)
{
    return operation->container && operation->container->gone && !operation->class->on_gone;
}

static void on_turn(void *ctx)
{
    struct cl_operation *operation = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    operation->begun = true;
    if (operation->claim.mode == CL_CLAIM_PASSING)
        cl_order_leave(operation);
    if (operation->engine->detached) /* isolation is not to be called any more */
        cl_operation_finish_cancelled(operation, "the daemon is shutting down");
    else if (is_too_late(operation) && cl_container_refuse_gone(operation->container, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
    else
        operation->class->begin(operation);
}

void cl_operation_turn(struct cl_operation *operation)
{
    cl_engine_later(operation->engine, &operation->later, on_turn, operation);
}

cloister_op cl_operation_start(struct cl_operation *operation, uint64_t deadline, enum cl_claim_mode mode)
{
    operation->deadline = deadline;
    cl_engine_wake_at(operation->engine, deadline);
    /* What never queues has nothing to work on yet. A destroy does, and the engine knows what it does. */
    if (mode == CL_CLAIM_NONE && operation->done && operation->sandbox && operation->sandbox->recovering &&
        !operation->class->one_way)
        mode = CL_CLAIM_PASSING;
    if (mode == CL_CLAIM_NONE || cl_order_enter(operation, mode))
        cl_operation_turn(operation);
    return operation->number;
}

struct cl_operation *cl_operation_ask(const struct cloister_host *host, const struct cl_operation_class *class,
                                      struct cloister_sv sandbox, bool act, cloister_done_fn done, void *ctx,
                                      struct cloister_error *err)
{
    struct cl_service *service = cl_service_of(host);
    struct cl_sandbox *found = cl_sandbox_find(service, sandbox, act, err);
    return found ? cl_operation_new(service, class, found, done, ctx, err) : NULL;
}

cloister_op cl_operation_prepared(struct cl_operation *operation, int r, uint64_t deadline, enum cl_claim_mode mode,
                                  struct cloister_error *err)
{
    if (r == 0)
        return cl_operation_start(operation, deadline, mode);
    cl_operation_wrap(operation, err);
    return cl_operation_drop(operation);
}

int cl_operation_take_fds(struct cl_operation *operation, const struct cloister_stdio *stdio, uint64_t count)
{
    free(operation->fds);
    operation->fd_count = 0;
    operation->fds = cl_calloc(count + 1, sizeof(*operation->fds));
    if (!operation->fds)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++)
        if (stdio[i].kind == CLOISTER_STDIO_DESCRIPTOR)
            operation->fds[operation->fd_count++] = stdio[i].fd;
    return 0;
}

int cl_operation_take_extra(struct cl_operation *operation, const struct cloister_extra_fd *extra, uint64_t count)
{
    int32_t *both = cl_calloc(operation->fd_count + count + 1, sizeof(*both));
    if (!both)
        return -ENOMEM;
    if (operation->fd_count)
        memcpy(both, operation->fds, operation->fd_count * sizeof(*both));
    free(operation->fds);
    operation->fds = both;
    for (uint64_t i = 0; i < count; i++)
        operation->fds[operation->fd_count++] = extra[i].fd;
    return 0;
}

static void close_fds(struct cl_operation *operation)
{
    for (size_t i = 0; i < operation->fd_count; i++)
        cl_closep(&operation->fds[i]);
    operation->fd_count = 0;
}

void cl_operation_wrap(const struct cl_operation *operation, struct cloister_error *err)
{
    if (operation->sandbox)
        cl_error_wrap(err, "%s '%.*s'", operation->class->verb, CL_SV_ARG(operation->sandbox->name));
    else
        cl_error_wrap(err, "%s", operation->class->verb);
}

void cl_operation_answer(struct cl_operation *operation, const struct cloister_error *err,
                         const struct cloister_result *result)
{
    if (operation->answered)
        return;
    operation->answered = true;
    operation->deadline = 0;
    struct cloister_error wrapped = CLOISTER_ERROR_INIT;
    struct cloister_result ours = {CLOISTER_INIT(struct cloister_result)};
    if (err) {
        wrapped = *err;
        cl_operation_wrap(operation, &wrapped);
    }
    if (result)
        ours = *result;
    if (operation->sandbox && !ours.sandbox.size)
        ours.sandbox = cl_sandbox_id(operation->sandbox);
    if (operation->done)
        operation->done(operation->ctx, operation->number, err ? &wrapped : NULL, &ours);
    else if (err && err->code != CLOISTER_NO_ENTITY && err->code != CLOISTER_CANCELLED)
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, &wrapped, "%s", operation->backend->instance->label);
}

void cl_operation_finish(struct cl_operation *operation, const struct cloister_error *err,
                         const struct cloister_result *result)
{
    struct cl_sandbox *sandbox = operation->sandbox ? cl_sandbox_ref(operation->sandbox) : NULL;
    cl_list_remove(&operation->waiting);
    cl_operation_answer(operation, err, result);
    close_fds(operation);
    if (operation->stream) /* an end that says that it is not the end */
        cl_stream_abort(cl_steal_ptr(&operation->stream), NULL, NULL);
    cl_order_leave(operation);
    operation_free(operation);
    if (sandbox) {
        cl_sandbox_flush(sandbox);
        cl_ending_settle(sandbox);
        cl_sandbox_unref(sandbox);
    }
}

void cl_operation_finish_cancelled(struct cl_operation *operation, const char *why)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, NULL, "%s", why);
    cl_operation_finish(operation, &err, NULL);
}

static void on_cancel(void *ctx)
{
    cl_operation_finish_cancelled(ctx, "cancelled");
}

void cl_operation_cancel(struct cl_operation *operation)
{
    if (operation->cancelled)
        return;
    operation->cancelled = true;
    if (operation->begun)
        operation->class->cancel(operation);
    else {
        cl_later_cancel(&operation->later);
        cl_engine_later(operation->engine, &operation->later, on_cancel, operation);
    }
}

static void on_cancel_later(void *ctx)
{
    cl_operation_cancel(ctx);
}

void cl_operation_cancel_later(struct cl_operation *operation)
{
    cl_engine_later(operation->engine, &operation->cancelling, on_cancel_later, operation);
}

void cl_operation_leave_it(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, NULL, "nobody waits for it any more; it goes on");
    cl_operation_answer(operation, &err, NULL);
}

void cl_operation_cancel_call(struct cl_operation *operation)
{
    if (operation->call.token)
        operation->backend->vtable->cancel(operation->backend->instance->self, operation->call.token);
}

static bool due(uint64_t at, uint64_t now)
{
    return at && at <= now;
}

uint64_t cl_operation_tick(struct cl_operation *operation, uint64_t now)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (due(operation->deadline, now)) {
        (void)cl_error_set(&err, CLOISTER_DEADLINE, 0, NULL, NULL, "the deadline has passed");
        cl_operation_answer(operation, &err, NULL);
        if (!operation->class->one_way)
            cl_operation_cancel(operation);
        return now;
    }
    if (due(operation->wake_at, now)) {
        operation->wake_at = 0;
        operation->class->wake(operation);
        return now;
    }
    if (!operation->wake_at || (operation->deadline && operation->deadline < operation->wake_at))
        return operation->deadline;
    return operation->wake_at;
}

void cl_operation_settle(struct cl_operation *operation, const struct cloister_error *err,
                         const struct cloister_result *result)
{
    operation->wake_at = 0;
    cl_list_remove(&operation->waiting);
    if (operation->call.token)
        cl_operation_answer(operation, err, result);
    else
        cl_operation_finish(operation, err, result);
}

uint64_t cl_operation_calls(struct cl_operation *operation, const char *slot, cl_call_fn fn)
{
    struct cloister_sv subject = operation->sandbox ? cl_sandbox_id(operation->sandbox) : cl_sv(NULL, 0);
    return cl_calls_begin(&operation->backend->calls, &operation->call, slot, subject, operation->deadline, fn,
                          operation);
}

int cl_operation_no_slot(const struct cl_operation *operation, const char *slot, struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, slot, NULL, "%s does not support %s",
                        operation->backend->instance->label, slot);
}

int cl_operation_no_memory(const struct cl_operation *operation, struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, NULL, "ask %s", operation->backend->instance->label);
}
