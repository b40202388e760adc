/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - waiting for an end: any number of waiters, also after it, until it is released. */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/error/error.h"

/* The init of a container outlives its release here, in the container's own status. */
static bool answer_from_container(struct cl_operation *operation)
{
    struct cl_container *container = operation->container;
    if (!container || container->init)
        return false;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result)};
    result.process = container->init_number;
    result.status = container->status;
    result.container_state = container->state;
    cl_operation_finish(operation, NULL, &result);
    return true;
}

static void begin(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (answer_from_container(operation))
        return;
    struct cl_process *process = operation->container
                                     ? operation->container->init
                                     : cl_process_find(operation->sandbox, operation->result.process, &err);
    if (!process) {
        cl_operation_finish(operation, &err, NULL);
        return;
    }
    cl_list_append(&process->waiters, &operation->waiting);
    cl_process_answer(process, NULL);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_finish_cancelled(operation, "cancelled");
}

static const struct cl_operation_class class = {
    .name = "wait", .verb = "wait for a process of", .begin = begin, .cancel = cancel, .passive = true};

static int prepare(struct cl_operation *operation, const struct cloister_wait_args *args, struct cloister_error *err)
{
    if (args->until != CLOISTER_WAIT_EXIT && args->until != CLOISTER_WAIT_DRAINED)
        return cl_error_set(err, CLOISTER_INVALID, 0, "until", NULL, "until has unknown kind %u", args->until);
    operation->args.until = args->until;
    operation->result.process = args->process;
    if (args->process)
        return cl_process_check(operation->sandbox, args->process, err);
    operation->container = cl_container_find(operation->sandbox, args->container, err);
    return operation->container ? 0 : -ENOENT;
}

cloister_op cl_api_wait(const struct cloister_host *host, const struct cloister_wait_args *args, cloister_done_fn done,
                        void *ctx, struct cloister_error *err)
{
    struct cloister_wait_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, copy.sandbox, false, done, ctx, err);
    return operation
               ? cl_operation_prepared(operation, prepare(operation, &copy, err), copy.deadline, CL_CLAIM_NONE, err)
               : 0;
}
