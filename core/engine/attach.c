/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - captured output: reading it, and what happens to it while nobody does. Never queued behind anything. */
#include "core/engine/attach.h"

#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/error/error.h"
#include "core/net/stream.h"

int cl_attach_check(struct cl_operation *operation, struct cloister_sv container, cloister_process number,
                    struct cloister_error *err)
{
    cloister_process process;
    return operation->sandbox->recovering ? 0 : cl_attach_find(operation, container, number, &process, err);
}

static struct cl_process *find(const struct cl_sandbox *sandbox, struct cloister_sv cid, cloister_process number,
                               struct cloister_error *err)
{
    if (number)
        return cl_process_find(sandbox, number, err);
    const struct cl_container *container = cl_container_find(sandbox, cid, err);
    if (container && !container->init)
        (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "process", "the init of container '%s' was released",
                           container->cid);
    return container ? container->init : NULL;
}

int cl_attach_find(struct cl_operation *operation, struct cloister_sv container, cloister_process number,
                   cloister_process *ret, struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = operation->sandbox;
    const struct cl_process *process = find(sandbox, container, number, err);
    if (!process)
        return -ENOENT;
    unsigned long long shown = process->number;
    if (sandbox->creating || process->container->creating || (process->held && !process->is_init))
        return cl_error_set(err, CLOISTER_INVALID_STATE, 0, "process", NULL, "process %llu is being started", shown);
    if (process->state == CLOISTER_PROCESS_LOST)
        return cl_error_set(err, CLOISTER_LOST, 0, "process", NULL, "process %llu is lost, and its pipes with it",
                            shown);
    *ret = operation->result.process = process->number;
    return 0;
}

void cl_attach_done(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    struct cloister_result result = *(const struct cloister_result *)data;
    struct cloister_error none = CLOISTER_ERROR_INIT;
    result.process = operation->result.process;
    bool unwanted = operation->answered || operation->cancelled || !operation->done;
    if (result.stream && (err || unwanted))
        cl_stream_abort(result.stream, NULL, NULL);
    if (!err && !result.stream) {
        (void)cl_error_set(&none, CLOISTER_INTERNAL, 0, NULL, NULL, "%s gave no stream",
                           operation->backend->instance->label);
        err = &none;
    }
    if (!err && unwanted)
        cl_operation_finish_cancelled(operation, "cancelled");
    else
        cl_operation_finish(operation, err, err ? NULL : &result);
}

static void on_done(void *ctx, const struct cloister_error *err, const void *data)
{
    cl_operation_finish(ctx, err, data);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation); /* a stream that comes all the same is aborted */
}

/* ---- attach ---- */

static void begin_attach(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_attach_args *args = operation->args.attach;
    if (cl_attach_find(operation, args->container, args->process, &args->process, &err) < 0 ||
        CL_ISO_CALL(operation, attach, &operation->iso.attach, cl_attach_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class attach_class = {
    .name = "attach", .verb = "attach to a process of", .begin = begin_attach, .cancel = cancel};

static int check_output(uint32_t fd, uint32_t policy, uint32_t last_policy, struct cloister_error *err)
{
    if (fd != 1 && fd != 2)
        return cl_error_set(err, CLOISTER_INVALID, 0, "fd", NULL, "fd %u is not 1 or 2", fd);
    if (policy > last_policy)
        return cl_error_set(err, CLOISTER_INVALID, 0, "policy", NULL, "policy has unknown kind %u", policy);
    return 0;
}

static int prepare_attach(struct cl_operation *operation, const struct cloister_attach_args *from,
                          struct cloister_error *err)
{
    struct cloister_attach_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->args.attach = copy;
    operation->iso.attach =
        (struct cloister_iso_attach_args){CLOISTER_INIT(struct cloister_iso_attach_args), .attach = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.attach.sandbox);
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    int r = check_output(copy->fd, copy->policy, CLOISTER_POLICY_DROP, err);
    if (r == 0 && (copy->from < CLOISTER_ATTACH_LIVE || copy->from > CLOISTER_ATTACH_POSITION))
        r = cl_error_set(err, CLOISTER_INVALID, 0, "from", NULL, "from has unknown kind %u", copy->from);
    if (r == 0 && copy->position && copy->from != CLOISTER_ATTACH_POSITION)
        r = cl_error_set(err, CLOISTER_INVALID, 0, "position", NULL, "position belongs to another kind of from");
    r = r ? r : cl_attach_check(operation, copy->container, copy->process, err);
    copy->container = cl_arena_sv(&operation->arena, cl_args_cid(copy->container));
    return r == 0 && operation->arena.failed ? cl_args_no_memory(err) : r;
}

cloister_op cl_api_attach(const struct cloister_host *host, const struct cloister_attach_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_attach_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &attach_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_attach(operation, args, err), head.deadline,
                                             CL_CLAIM_NONE, err)
                     : 0;
}

/* ---- attach_policy ---- */

static void begin_policy(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_attach_policy_args *args = operation->args.policy;
    if (cl_attach_find(operation, args->container, args->process, &args->process, &err) < 0 ||
        CL_ISO_CALL(operation, attach_policy, &operation->iso.policy, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class policy_class = {
    .name = "attach_policy", .verb = "set the output policy of", .begin = begin_policy, .cancel = cancel};

static int prepare_policy(struct cl_operation *operation, const struct cloister_attach_policy_args *from,
                          struct cloister_error *err)
{
    struct cloister_attach_policy_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->args.policy = copy;
    operation->iso.policy =
        (struct cloister_iso_attach_policy_args){CLOISTER_INIT(struct cloister_iso_attach_policy_args), .policy = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.policy.sandbox);
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    int r = cl_args_reserved(copy->reserved, err);
    r = r ? r : check_output(copy->fd, copy->policy, CLOISTER_POLICY_DISCARD, err);
    r = r ? r : cl_args_window(copy->window, err);
    r = r ? r : cl_attach_check(operation, copy->container, copy->process, err);
    copy->container = cl_arena_sv(&operation->arena, cl_args_cid(copy->container));
    return r == 0 && operation->arena.failed ? cl_args_no_memory(err) : r;
}

cloister_op cl_api_attach_policy(const struct cloister_host *host, const struct cloister_attach_policy_args *args,
                                 cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_attach_policy_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &policy_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_policy(operation, args, err), 0, CL_CLAIM_NONE, err)
                     : 0;
}
