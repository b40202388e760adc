/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/errand.h"
#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/time.h"
#include "core/value/value.h"

static int check_state(const struct cl_operation *operation, struct cloister_error *err)
{
    int r = cl_sandbox_check_coming(operation->sandbox, err);
    return r ? r : cl_container_check_live(operation->container, err);
}

static int check_room(const struct cl_operation *operation, struct cloister_sv name, struct cloister_error *err)
{
    if (operation->sandbox->by_number.size >= CL_ENGINE_MAX_PROCESSES)
        return cl_error_set(err, CLOISTER_LIMIT, 0, "processes", NULL, "it has %u processes whose end was not released",
                            CL_ENGINE_MAX_PROCESSES);
    if (name.size && cl_process_named(operation->container, name))
        return cl_error_set(err, CLOISTER_NAME_IN_USE, 0, NULL, "name", "a process '%.*s' is running", CL_SV_ARG(name));
    return 0;
}

/* It runs although nobody wants it any more: it is ended, and its exit is nobody's business. */
static void disown(struct cl_process *process)
{
    if (cl_process_ended(process)) {
        cl_process_free(process);
        return;
    }
    process->disowned = true;
    process->state = CLOISTER_PROCESS_RUNNING;
    process->held = false;
    cl_errand_kill_process(process);
    cl_sandbox_flush(process->sandbox);
}

static void started(struct cl_operation *operation, const struct cloister_result *from)
{
    struct cl_process *process = cl_steal_ptr(&operation->process);
    struct cl_sandbox *sandbox = process->sandbox;
    struct cloister_result result = *from;
    process->pid = from->pid;
    process->state = CLOISTER_PROCESS_RUNNING;
    process->started_real_ns = cl_real_ns();
    result.process = process->number;
    cl_log(CL_LOG_DEBUG, CL_ENGINE_AREA, CL_SANDBOX_LOG ": process %llu started, pid %d", CL_SANDBOX_LOG_ARG(sandbox),
           (unsigned long long)process->number, process->pid);
    cl_operation_finish(operation, NULL, &result);
    process->held = false; /* O1: its events come behind the answer */
    cl_sandbox_flush(sandbox);
    if (sandbox->down)
        cl_sandbox_lost(sandbox,
                        sandbox->cause); /* it cannot outlive the others; an exit that was seen came out above */
}

static void on_exec(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = cl_sandbox_ref(operation->sandbox);
    if (err) {
        cl_operation_finish(operation, err, NULL);
    } else if (operation->cancelled) {
        struct cl_process *process = cl_steal_ptr(&operation->process);
        cl_operation_finish_cancelled(operation, "cancelled");
        disown(process);
    } else {
        started(operation, data);
    }
    cl_sandbox_unref(sandbox);
}

/* From the run file, so that it works after a restart of the daemon, too. Never part of a message. */
static int add_environment(struct cl_operation *operation, struct cloister_error *err)
{
    struct cl_runfile file = cl_runfile_of_container(operation->container);
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_runfile_read_container(operation->container, &document, err);
    if (r < 0)
        return r;
    const cloister_value *list = cl_value_get_cstr(document, CL_RUN_ENV);
    if (cl_value_type(list) != CLOISTER_VALUE_ARRAY)
        return cl_error_set(err, CLOISTER_LOST, 0, "env", "run-file",
                            "the environment of container '%s' is not in %s/%s", operation->container->cid,
                            file.directory, file.name);
    struct cloister_sv *env = cl_arena_alloc(&operation->arena, cl_value_count(list) + 1, sizeof(*env));
    uint64_t count = 0;
    for (const cloister_value *v = env ? cl_value_first(list) : NULL; r == 0 && v; v = cl_value_next(v))
        r = cl_runfile_take(v, &operation->arena, &env[count++]);
    if (r < 0 && !operation->arena.failed)
        return cl_error_set(err, CLOISTER_CORRUPT, 0, "env", "run-file", "%s/%s has a bad environment", file.directory,
                            file.name);
    if (operation->arena.failed)
        return cl_args_no_memory(err);
    operation->args.exec = cl_args_exec_in(operation, operation->args.exec, env, count, err);
    return operation->args.exec ? 0 : -EINVAL;
}

static void begin(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_iso_exec_args *args = &operation->iso.exec;
    int r = check_state(operation, &err);
    r = r ? r : cl_frozen_refuse(operation->sandbox, operation->container, &err);
    if (r == 0 && !operation->backend->vtable->exec)
        r = cl_operation_no_slot(operation, "exec", &err);
    if (r == 0 && operation->args.exec->flags & CLOISTER_EXEC_ENV_FROM_CONTAINER)
        r = add_environment(operation, &err);
    if (r < 0) {
        cl_operation_finish(operation, &err, NULL);
        return;
    }
    *args = (struct cloister_iso_exec_args){CLOISTER_INIT(struct cloister_iso_exec_args), .exec = operation->args.exec,
                                            .process = operation->process->number};
    cl_sandbox_identity(operation->sandbox, &args->sandbox);
    if (CL_ISO_CALL(operation, exec, args, on_exec, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation); /* if it starts all the same, on_exec ends it */
}

static void drop(struct cl_operation *operation)
{
    if (!operation->process)
        return;
    struct cl_container *container = operation->process->container;
    cl_process_free(operation->process);
    if (!operation->engine->detached)
        cl_container_lost_one(container); /* its init may have ended meanwhile, and waited only for this one */
}

static const struct cl_operation_class class = {
    .name = "exec", .verb = "exec in", .begin = begin, .cancel = cancel, .drop = drop};

static int prepare(struct cl_operation *operation, const struct cloister_exec_args *from, struct cloister_error *err)
{
    struct cloister_exec_args head;
    cl_struct_copy(&head, sizeof(head), from);
    operation->container = cl_container_find(operation->sandbox, head.container, err);
    if (!operation->container)
        return -ENOENT;
    operation->args.exec = cl_args_exec(operation, from, operation->backend->capabilities, err);
    if (!operation->args.exec)
        return -EINVAL;
    int r = check_state(operation, err);
    r = r ? r : check_room(operation, operation->args.exec->name, err);
    if (r == 0 && (cl_process_new(operation->container, operation->args.exec->name, false, &operation->process) < 0 ||
                   cl_process_describe(operation->process, operation->args.exec->process) < 0))
        r = cl_args_no_memory(err);
    return r;
}

cloister_op cl_api_exec(const struct cloister_host *host, const struct cloister_exec_args *args, cloister_done_fn done,
                        void *ctx, struct cloister_error *err)
{
    struct cloister_exec_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare(operation, args, err), head.deadline,
                                             CL_CLAIM_CONTAINER_SHARED, err)
                     : 0;
}
