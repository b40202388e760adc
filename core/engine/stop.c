/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - signal, grace, KILL, wait. A deadline ends it: what has been sent has been sent, nothing more follows; stop
 * again. */
#include <errno.h>
#include <signal.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/errand.h"
#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/error/error.h"
#include "core/util/time.h"

/* Not waited for: a full disk must not keep a container running. A daemon that dies before it is written has answered
 * nobody. */
static void set_stopping(struct cl_container *container, bool stopping)
{
    if (container->stopping == stopping || container->state == CLOISTER_CONTAINER_STOPPED)
        return;
    container->stopping = stopping;
    cl_journal_write(container->sandbox, CL_RECORD_CONTAINERS, CLOISTER_DURABLE_DAEMON, NULL, NULL, NULL);
}

/* This stop is over; unless there is another one, a later daemon has nothing to finish. */
static void give_up(struct cl_operation *operation)
{
    cl_list_remove(&operation->waiting);
    if (cl_list_empty(&operation->container->watchers) && !operation->sandbox->gate_closed &&
        !operation->engine->detached)
        set_stopping(operation->container, false);
}

static void on_signalled(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    bool gone = !err || err->code == CLOISTER_NO_ENTITY; /* NO_ENTITY: its exit is on the way */
    if (!gone)
        give_up(operation);
    if (operation->answered || !gone)
        cl_operation_finish(operation, err, NULL);
}

static void begin(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (container->state == CLOISTER_CONTAINER_STOPPED) {
        cl_container_answer_stop(operation);
        return;
    }
    cl_list_append(&container->watchers, &operation->waiting);
    set_stopping(container, true);
    uint64_t now = cl_mono_ns();
    uint64_t grace = cl_frozen(operation->sandbox, container) ? 0 : operation->args.stop->grace; /* nobody could act */
    if (__builtin_add_overflow(now, grace, &operation->wake_at))
        operation->wake_at = UINT64_MAX;
    cl_engine_wake_at(operation->engine, operation->wake_at);
    if (CL_ISO_CALL(operation, container_kill, &operation->iso.kill, on_signalled, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void wake(struct cl_operation *operation)
{
    cl_errand_kill_container(operation->container);
}

static void cancel(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, NULL, "cancelled");
    cl_operation_cancel_call(operation);
    give_up(operation);
    cl_operation_settle(operation, &err, NULL);
}

static const struct cl_operation_class class = {.name = "container_stop",
                                                .verb = "stop container of",
                                                .begin = begin,
                                                .cancel = cancel,
                                                .wake = wake,
                                                .down = cl_container_answer_stop};

void cl_container_answer_stop(struct cl_operation *operation)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result)};
    result.status = operation->container->status;
    result.process = operation->container->init_number;
    result.container_state = operation->container->state;
    result.survivors = cl_container_live(operation->container);
    cl_operation_settle(operation, NULL, &result);
}

static void aim(struct cl_operation *operation)
{
    uint32_t number = operation->args.stop->signal;
    operation->own_kill = (struct cloister_container_kill_args){
        CLOISTER_INIT(struct cloister_container_kill_args), .set = CLOISTER_KILL_INIT,
        .sandbox = cl_sandbox_id(operation->sandbox), .container = cl_sv_cstr(operation->container->cid),
        .signal = number ? number : SIGTERM};
    operation->iso.kill =
        (struct cloister_iso_kill_args){CLOISTER_INIT(struct cloister_iso_kill_args), .kill = &operation->own_kill};
    cl_sandbox_identity(operation->sandbox, &operation->iso.kill.sandbox);
}

static int prepare(struct cl_operation *operation, const struct cloister_container_stop_args *from,
                   struct cloister_error *err)
{
    struct cloister_container_stop_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->args.stop = copy;
    operation->container = cl_container_find(operation->sandbox, copy->container, err);
    if (!operation->container)
        return -ENOENT;
    aim(operation);
    return cl_args_signal(operation->own_kill.signal, "signal", err);
}

int cl_container_stop(struct cl_container *container, uint64_t grace, uint64_t deadline, cloister_done_fn done,
                      void *ctx)
{
    struct cl_operation *operation = cl_operation_errand(container->sandbox, &class);
    if (!operation)
        return -ENOMEM;
    struct cloister_container_stop_args *args = cl_arena_alloc(&operation->arena, 1, sizeof(*args));
    if (!args) {
        (void)cl_operation_drop(operation);
        return -ENOMEM;
    }
    args->grace = grace;
    operation->args.stop = args;
    operation->container = container;
    operation->done = done;
    operation->ctx = ctx;
    aim(operation);
    (void)cl_operation_start(operation, deadline, CL_CLAIM_CONTAINER_SHARED);
    return 0;
}

cloister_op cl_api_container_stop(const struct cloister_host *host, const struct cloister_container_stop_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_container_stop_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare(operation, args, err), head.deadline,
                                             CL_CLAIM_CONTAINER_SHARED, err)
                     : 0;
}
