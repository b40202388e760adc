/* SPDX-License-Identifier: Apache-2.0 */
/* stdin.c - writing to a process's stdin, and its end. Never queued behind anything. */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/attach.h"
#include "core/error/error.h"

static void on_closed(void *ctx, const struct cloister_error *err, const void *data)
{
    cl_operation_finish(ctx, err, data);
}

/* The process is looked for again: in between it may have been released. */
static int find_again(struct cl_operation *operation, struct cloister_error *err)
{
    const struct cloister_stdin_args *args = operation->args.stdio;
    return cl_attach_find(operation, args->container, args->process, &operation->iso.stdio.process, err);
}

static void begin_stdin(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (find_again(operation, &err) < 0 ||
        CL_ISO_CALL(operation, stdin, &operation->iso.stdio, cl_attach_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void begin_close(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (find_again(operation, &err) < 0 ||
        CL_ISO_CALL(operation, stdin_close, &operation->iso.stdio, on_closed, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation); /* a stream that comes all the same is aborted */
}

static const struct cl_operation_class stdin_class = {
    .name = "stdin", .verb = "open the stdin of a process of", .begin = begin_stdin, .cancel = cancel};
static const struct cl_operation_class close_class = {
    .name = "stdin_close", .verb = "close the stdin of a process of", .begin = begin_close, .cancel = cancel};

static int prepare(struct cl_operation *operation, const struct cloister_stdin_args *from, struct cloister_error *err)
{
    struct cloister_stdin_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->args.stdio = copy;
    operation->iso.stdio = (struct cloister_iso_stdin_args){CLOISTER_INIT(struct cloister_iso_stdin_args)};
    cl_sandbox_identity(operation->sandbox, &operation->iso.stdio.sandbox);
    copy->container = cl_arena_sv(&operation->arena, cl_args_cid(copy->container));
    int r = operation->arena.failed ? cl_args_no_memory(err) : cl_args_reserved(copy->reserved, err);
    return r ? r : cl_attach_check(operation, copy->container, copy->process, err);
}

static cloister_op ask(const struct cloister_host *host, const struct cl_operation_class *class,
                       const struct cloister_stdin_args *args, cloister_done_fn done, void *ctx,
                       struct cloister_error *err)
{
    struct cl_operation *operation = cl_operation_ask(host, class, args->sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare(operation, args, err), 0, CL_CLAIM_NONE, err) : 0;
}

cloister_op cl_api_stdin(const struct cloister_host *host, const struct cloister_stdin_args *args,
                         cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_stdin_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    return ask(host, &stdin_class, &copy, done, ctx, err);
}

cloister_op cl_api_stdin_close(const struct cloister_host *host, const struct cloister_stdin_close_args *args,
                               cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_stdin_close_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    const struct cloister_stdin_args same = {CLOISTER_INIT(struct cloister_stdin_args), .reserved = copy.reserved,
                                             .sandbox = copy.sandbox, .container = copy.container,
                                             .process = copy.process};
    return ask(host, &close_class, &same, done, ctx, err);
}
