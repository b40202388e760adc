/* SPDX-License-Identifier: Apache-2.0 */
/* release.c - what is known of a process may be forgotten; and what isolation knows of a sandbox may be told. */
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

static struct cl_process *find_ended(const struct cl_operation *operation, struct cloister_error *err)
{
    struct cl_process *process = cl_process_find(operation->sandbox, operation->iso.release.process, err);
    if (!process || cl_process_ended(process))
        return process;
    (void)cl_error_set(err, CLOISTER_INVALID_STATE, 0, "process", NULL, "process %llu has not ended",
                       (unsigned long long)process->number);
    return NULL;
}

static void begin_release(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_process *process = find_ended(operation, &err);
    if (!process) {
        cl_operation_finish(operation, &err, NULL);
        return;
    }
    cl_process_forget(process);
    if (!operation->backend->vtable->release)
        cl_operation_finish(operation, NULL, NULL); /* it keeps no exit records */
    else if (CL_ISO_CALL(operation, release, &operation->iso.release, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void begin_describe(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (CL_ISO_CALL(operation, describe, &operation->iso.describe, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class release_class = {
    .name = "release", .verb = "release a process of", .begin = begin_release, .cancel = cancel};
static const struct cl_operation_class describe_class = {
    .name = "describe", .verb = "describe", .begin = begin_describe, .cancel = cancel, .on_unknown = true};

cloister_op cl_api_release(const struct cloister_host *host, const struct cloister_release_args *args,
                           cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_release_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_service *service = cl_service_of(host);
    struct cl_sandbox *sandbox = cl_sandbox_find(service, copy.sandbox, false, err);
    if (sandbox && sandbox->service != service) {
        (void)cl_error_set(err, CLOISTER_DENIED, 0, sandbox->service->name, NULL, "only service '%s' may release it",
                           sandbox->service->name);
        return 0;
    }
    struct cl_operation *operation =
        sandbox ? cl_operation_new(service, &release_class, sandbox, done, ctx, err) : NULL;
    if (!operation)
        return 0;
    operation->iso.release =
        (struct cloister_iso_release_args){CLOISTER_INIT(struct cloister_iso_release_args), .process = copy.process};
    cl_sandbox_identity(sandbox, &operation->iso.release.sandbox);
    int r = sandbox->recovering || find_ended(operation, err) ? 0 : -ENOENT;
    return cl_operation_prepared(operation, r, 0, CL_CLAIM_NONE, err);
}

cloister_op cl_api_describe(const struct cloister_host *host, const struct cloister_describe_args *args,
                            cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_describe_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_operation *operation = cl_operation_ask(host, &describe_class, copy.sandbox, false, done, ctx, err);
    if (!operation)
        return 0;
    operation->iso.describe = (struct cloister_iso_describe_args){CLOISTER_INIT(struct cloister_iso_describe_args)};
    cl_sandbox_identity(operation->sandbox, &operation->iso.describe.sandbox);
    return cl_operation_start(operation, 0, CL_CLAIM_NONE);
}
