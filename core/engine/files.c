/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - a container's files, from outside: one that was handed over at create (file_put), any one (read_file), and
 * trees as tar streams. All share the container, so that it is not started, deleted or undone under their hands.
 */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/attach.h"
#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/error/error.h"
#include "core/net/stream.h"

#define USER_MAX 255u /* "name:group" */

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation);
}

static void on_done(void *ctx, const struct cloister_error *err, const void *data)
{
    cl_operation_finish(ctx, err, err ? NULL : data);
}

static int refuse_state(uint32_t state, const char *what, const char *cid, struct cloister_error *err)
{
    int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, cid, NULL, "container '%s' %s", cid, what);
    if (err)
        err->detail = state;
    return r;
}

/* Its files are where its keeper is. A container whose init has ended has them still. */
static int check_there(const struct cl_operation *operation, struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = operation->sandbox;
    if (sandbox->gate_closed)
        return refuse_state(CLOISTER_SANDBOX_DESTROYING, "is being destroyed with its sandbox",
                            operation->container->cid, err);
    if (!sandbox->made || (sandbox->down && sandbox->cause != CLOISTER_CAUSE_STOPPED))
        return refuse_state(sandbox->state, "has nothing left of it", operation->container->cid, err);
    if (operation->container->deleting)
        return refuse_state(operation->container->state, "is being deleted", operation->container->cid, err);
    return 0;
}

/* A helper has to run in it. */
static int check_running(const struct cl_operation *operation, struct cloister_error *err)
{
    const struct cl_container *container = operation->container;
    int r = check_there(operation, err);
    bool making = container->state == CLOISTER_CONTAINER_CREATING;
    if (r == 0 && (container->ending || (container->state != CLOISTER_CONTAINER_RUNNING && !making)))
        r = refuse_state(container->state, "is not running", container->cid, err);
    return r;
}

/* ---- file_put ---- */

static void begin_put(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (check_there(operation, &err) < 0 ||
        CL_ISO_CALL(operation, file_put, &operation->iso.file_put, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class put_class = {
    .name = "file_put", .verb = "put a file into", .begin = begin_put, .cancel = cancel};

static int prepare_put(struct cl_operation *operation, const struct cloister_file_put_args *from,
                       struct cloister_error *err)
{
    struct cl_arena *arena = &operation->arena;
    struct cloister_file_put_args *copy = cl_arena_struct(arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->container = cl_container_find(operation->sandbox, copy->container, err);
    if (!operation->container)
        return -ENOENT;
    int r = cl_args_reserved(copy->reserved, err);
    r = r ? r : cl_args_path(copy->path, "path", err);
    r = r ? r : cl_args_text(copy->bytes, "bytes", CL_ARGS_FILE_MAX, err);
    r = r ? r : check_there(operation, err);
    if (r < 0)
        return r;
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_sv_cstr(operation->container->cid);
    copy->path = cl_arena_sv(arena, copy->path);
    copy->bytes = cl_arena_sv(arena, copy->bytes);
    operation->iso.file_put =
        (struct cloister_iso_file_put_args){CLOISTER_INIT(struct cloister_iso_file_put_args), .file_put = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.file_put.sandbox);
    return arena->failed ? cl_args_no_memory(err) : 0;
}

cloister_op cl_api_file_put(const struct cloister_host *host, const struct cloister_file_put_args *args,
                            cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_file_put_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &put_class, head.sandbox, true, done, ctx, err);
    return operation
               ? cl_operation_prepared(operation, prepare_put(operation, args, err), 0, CL_CLAIM_CONTAINER_SHARED, err)
               : 0;
}

/* ---- read_file ---- */

static void on_read(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    const struct cloister_result *result = data;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    uint64_t max = operation->iso.read_file.read_file->max;
    if (!err && result->data.size > max) {
        (void)cl_error_set(&own, CLOISTER_TOO_BIG, 0, NULL, NULL, "the file has more than %llu bytes",
                           (unsigned long long)max);
        err = &own;
    }
    cl_operation_finish(operation, err, err ? NULL : result);
}

static void begin_read(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (check_there(operation, &err) < 0 ||
        CL_ISO_CALL(operation, read_file, &operation->iso.read_file, on_read, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class read_class = {
    .name = "read_file", .verb = "read a file of", .begin = begin_read, .cancel = cancel};

static int prepare_read(struct cl_operation *operation, const struct cloister_read_file_args *from,
                        struct cloister_error *err)
{
    struct cloister_read_file_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    operation->container = cl_container_find(operation->sandbox, copy->container, err);
    if (!operation->container)
        return -ENOENT;
    int r = cl_args_reserved(copy->reserved, err);
    r = r ? r : cl_args_path(copy->path, "path", err);
    if (r == 0 && copy->max > CLOISTER_READ_FILE_MAX)
        r = cl_error_set(err, CLOISTER_INVALID, 0, "max", NULL, "max is more than %u", CLOISTER_READ_FILE_MAX);
    r = r ? r : check_there(operation, err);
    if (r < 0)
        return r;
    copy->max = copy->max ? copy->max : CLOISTER_READ_FILE_MAX;
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_sv_cstr(operation->container->cid);
    copy->path = cl_arena_sv(&operation->arena, copy->path);
    operation->iso.read_file =
        (struct cloister_iso_read_file_args){CLOISTER_INIT(struct cloister_iso_read_file_args), .read_file = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.read_file.sandbox);
    return operation->arena.failed ? cl_args_no_memory(err) : 0;
}

cloister_op cl_api_read_file(const struct cloister_host *host, const struct cloister_read_file_args *args,
                             cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_read_file_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &read_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_read(operation, args, err), head.deadline,
                                             CL_CLAIM_CONTAINER_SHARED, err)
                     : 0;
}

/* ---- trees ---- */

static int check_tree(struct cl_operation *operation, struct cloister_sv cid, struct cloister_sv user,
                      struct cloister_sv path, struct cloister_error *err)
{
    operation->container = cl_container_find(operation->sandbox, cid, err);
    if (!operation->container)
        return -ENOENT;
    int r = cl_args_word(user, "user", USER_MAX, err);
    r = r ? r : cl_args_path(path, "path", err);
    return r ? r : check_running(operation, err);
}

static int check_flags(uint32_t flags, uint32_t known, struct cloister_error *err)
{
    return flags & ~known ? cl_error_set(err, CLOISTER_INVALID, 0, "flags", NULL, "flags has an unknown bit") : 0;
}

static void begin_in(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (check_running(operation, &err) < 0 || cl_frozen_refuse(operation->sandbox, operation->container, &err) < 0 ||
        CL_ISO_CALL(operation, files_in, &operation->iso.files_in, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void begin_out(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (check_running(operation, &err) < 0 || cl_frozen_refuse(operation->sandbox, operation->container, &err) < 0 ||
        CL_ISO_CALL(operation, files_out, &operation->iso.files_out, cl_attach_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class in_class = {
    .name = "files_in", .verb = "put files into", .begin = begin_in, .cancel = cancel};
static const struct cl_operation_class out_class = {
    .name = "files_out", .verb = "get files from", .begin = begin_out, .cancel = cancel};

static int prepare_in(struct cl_operation *operation, const struct cloister_files_in_args *from,
                      struct cloister_error *err)
{
    struct cl_arena *arena = &operation->arena;
    struct cloister_files_in_args *copy = cl_arena_struct(arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    int r = check_tree(operation, copy->container, copy->user, copy->path, err);
    r = r ? r : check_flags(copy->flags, CLOISTER_FILES_KEEP_OWNERS, err);
    if (r == 0 && !copy->stream)
        r = cl_error_set(err, CLOISTER_INVALID, 0, "stream", NULL, "stream is missing");
    if (r < 0)
        return r;
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_sv_cstr(operation->container->cid);
    copy->user = cl_arena_sv(arena, copy->user);
    copy->path = cl_arena_sv(arena, copy->path);
    operation->iso.files_in =
        (struct cloister_iso_files_in_args){CLOISTER_INIT(struct cloister_iso_files_in_args), .files = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.files_in.sandbox);
    if (arena->failed)
        return cl_args_no_memory(err);
    operation->stream = copy->stream; /* ours: nothing refuses it any more */
    return 0;
}

cloister_op cl_api_files_in(const struct cloister_host *host, const struct cloister_files_in_args *args,
                            cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_files_in_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &in_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_in(operation, args, err), head.deadline,
                                             CL_CLAIM_CONTAINER_SHARED, err)
                     : 0;
}

static int prepare_out(struct cl_operation *operation, const struct cloister_files_out_args *from,
                       struct cloister_error *err)
{
    struct cl_arena *arena = &operation->arena;
    struct cloister_files_out_args *copy = cl_arena_struct(arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    int r = check_tree(operation, copy->container, copy->user, copy->path, err);
    r = r ? r : check_flags(copy->flags, 0, err);
    if (r < 0)
        return r;
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_sv_cstr(operation->container->cid);
    copy->user = cl_arena_sv(arena, copy->user);
    copy->path = cl_arena_sv(arena, copy->path);
    operation->iso.files_out =
        (struct cloister_iso_files_out_args){CLOISTER_INIT(struct cloister_iso_files_out_args), .files = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.files_out.sandbox);
    return arena->failed ? cl_args_no_memory(err) : 0;
}

cloister_op cl_api_files_out(const struct cloister_host *host, const struct cloister_files_out_args *args,
                             cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_files_out_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &out_class, head.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_out(operation, args, err), head.deadline,
                                             CL_CLAIM_CONTAINER_SHARED, err)
                     : 0;
}
