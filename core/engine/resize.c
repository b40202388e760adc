/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - the size of a process's terminal. Never queued behind anything; an init that waits for its start has one
 * too. */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/attach.h"
#include "core/error/error.h"

#define SIDE_MAX 65535u

static void on_done(void *ctx, const struct cloister_error *err, const void *data)
{
    cl_operation_finish(ctx, err, data);
}

static void begin(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_resize_args *args = operation->args.resize;
    /* The process is looked for again: in between it may have been released. */
    if (cl_attach_find(operation, args->container, args->process, &args->process, &err) < 0 ||
        CL_ISO_CALL(operation, resize, &operation->iso.resize, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation);
}

static const struct cl_operation_class class = {
    .name = "resize", .verb = "resize the terminal of a process of", .begin = begin, .cancel = cancel};

static int check_side(uint32_t side, const char *where, struct cloister_error *err)
{
    return side >= 1 && side <= SIDE_MAX
               ? 0
               : cl_error_set(err, CLOISTER_INVALID, 0, where, NULL, "%s %u is not in 1..%u", where, side, SIDE_MAX);
}

static int prepare(struct cl_operation *operation, const struct cloister_resize_args *from, struct cloister_error *err)
{
    struct cloister_resize_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->args.resize = copy;
    operation->iso.resize =
        (struct cloister_iso_resize_args){CLOISTER_INIT(struct cloister_iso_resize_args), .resize = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.resize.sandbox);
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_arena_sv(&operation->arena, cl_args_cid(copy->container));
    int r = operation->arena.failed ? cl_args_no_memory(err) : cl_args_reserved(copy->reserved, err);
    r = r ? r : check_side(copy->rows, "rows", err);
    r = r ? r : check_side(copy->columns, "columns", err);
    return r ? r : cl_attach_check(operation, copy->container, copy->process, err);
}

cloister_op cl_api_resize(const struct cloister_host *host, const struct cloister_resize_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_resize_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare(operation, &head, err), 0, CL_CLAIM_NONE, err) : 0;
}
