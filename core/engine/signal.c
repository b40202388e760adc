/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c - signals to a process or to a container's processes: never queued, answered when the kernel has taken them.
 */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/error/error.h"

static void on_done(void *ctx, const struct cloister_error *err, const void *data)
{
    cl_operation_finish(ctx, err, data);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation);
}

static void begin_signal(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct cl_process *process = cl_process_find(operation->sandbox, operation->args.signal->process, &err);
    if (process && cl_process_ended(process)) {
        (void)cl_error_set(&err, CLOISTER_NO_ENTITY, 0, NULL, "process", "process %llu has ended",
                           (unsigned long long)process->number);
        process = NULL;
    }
    if (!process || CL_ISO_CALL(operation, signal, &operation->iso.signal, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void begin_kill(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (operation->container->state == CLOISTER_CONTAINER_STOPPED) {
        cl_operation_finish(operation, NULL, NULL); /* nothing is left: no survivors */
        return;
    }
    if (operation->container->state == CLOISTER_CONTAINER_CREATING) {
        (void)cl_error_set(&err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "container '%s' is being created",
                           operation->container->cid);
        err.detail = CLOISTER_CONTAINER_CREATING;
        cl_operation_finish(operation, &err, NULL);
        return;
    }
    if (CL_ISO_CALL(operation, container_kill, &operation->iso.kill, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class signal_class = {
    .name = "signal", .verb = "signal a process of", .begin = begin_signal, .cancel = cancel};
static const struct cl_operation_class kill_class = {
    .name = "container_kill", .verb = "signal container of", .begin = begin_kill, .cancel = cancel};

static int check_scope(uint32_t scope, uint64_t capabilities, struct cloister_error *err)
{
    if (scope < CLOISTER_SIGNAL_PROCESS || scope > CLOISTER_SIGNAL_TREE)
        return cl_error_set(err, CLOISTER_INVALID, 0, "scope", NULL, "scope has unknown kind %u", scope);
    uint64_t needed = scope == CLOISTER_SIGNAL_GROUP  ? CLOISTER_ISO_GROUP_SIGNAL
                      : scope == CLOISTER_SIGNAL_TREE ? CLOISTER_ISO_OWN_CGROUP
                                                      : 0;
    if (needed & ~capabilities) {
        const char *feature = scope == CLOISTER_SIGNAL_GROUP ? "GROUP_SIGNAL" : "OWN_CGROUP";
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, feature, NULL, "%s is not supported here", feature);
    }
    return 0;
}

static int prepare_signal(struct cl_operation *operation, const struct cloister_signal_args *from,
                          struct cloister_error *err)
{
    struct cloister_signal_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    operation->args.signal = copy;
    operation->iso.signal =
        (struct cloister_iso_signal_args){CLOISTER_INIT(struct cloister_iso_signal_args), .signal = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.signal.sandbox);
    int r = cl_args_signal(copy->signal, "signal", err);
    r = r ? r : check_scope(copy->scope, operation->backend->capabilities, err);
    return r ? r : cl_process_check(operation->sandbox, copy->process, err);
}

cloister_op cl_api_signal(const struct cloister_host *host, const struct cloister_signal_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_signal_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &signal_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_signal(operation, args, err), 0, CL_CLAIM_NONE, err)
                     : 0;
}

static int prepare_kill(struct cl_operation *operation, const struct cloister_container_kill_args *from,
                        struct cloister_error *err)
{
    struct cloister_container_kill_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->container = cl_container_find(operation->sandbox, copy->container, err);
    if (!operation->container)
        return -ENOENT;
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_sv_cstr(operation->container->cid);
    operation->iso.kill = (struct cloister_iso_kill_args){CLOISTER_INIT(struct cloister_iso_kill_args), .kill = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.kill.sandbox);
    if (copy->set < CLOISTER_KILL_INIT || copy->set > CLOISTER_KILL_ALL_BUT_INIT)
        return cl_error_set(err, CLOISTER_INVALID, 0, "set", NULL, "set has unknown kind %u", copy->set);
    return cl_args_signal(copy->signal, "signal", err);
}

cloister_op cl_api_container_kill(const struct cloister_host *host, const struct cloister_container_kill_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_container_kill_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &kill_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_kill(operation, args, err), 0, CL_CLAIM_NONE, err) : 0;
}
