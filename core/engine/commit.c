/* SPDX-License-Identifier: Apache-2.0 */
/* commit.c - a provisional sandbox becomes an ordinary one: others see it, and a later daemon keeps it. */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/engine/record_put.h"
#include "core/error/error.h"

struct cl_commit {
    struct cloister_sandbox_commit_args args;
    struct cloister_sv old; /* the record that args.record takes the place of; malloc'd */
};

/* Everybody may know of it now. */
static void announce(struct cl_sandbox *sandbox)
{
    cl_sandbox_emit_state(sandbox);
    CL_LIST_FOREACH(node, &sandbox->containers)
    cl_container_emit_state(CL_CONTAINER(node, struct cl_container, node));
}

static void swap_records(struct cl_sandbox *sandbox, struct cl_commit *commit)
{
    struct cloister_sv mine = commit->old;
    commit->old = sandbox->svc;
    sandbox->svc = mine;
}

static void on_written(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = cl_sandbox_ref(operation->sandbox);
    struct cl_commit *commit = operation->args.commit;
    sandbox->committing = false;
    if (err && commit->args.record.size)
        swap_records(sandbox, commit);
    if (!err)
        sandbox->uncommitted = false;
    cl_operation_finish(operation, err, NULL);
    if (!err && !sandbox->gate_closed)
        announce(sandbox);
    cl_sandbox_unref(sandbox);
}

static int set_record(struct cl_sandbox *sandbox, struct cl_commit *commit, struct cloister_error *err)
{
    if (!commit->args.record.size)
        return 0;
    swap_records(sandbox, commit); /* the old one is kept until the new one is in the store */
    if (cl_sandbox_set_svc(sandbox, commit->args.record) == 0)
        return 0;
    swap_records(sandbox, commit);
    return cl_args_no_memory(err);
}

static void begin(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_commit *commit = operation->args.commit;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = 0;
    if (sandbox->gate_closed)
        r = cl_error_set(&err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "it is being destroyed");
    else if (sandbox->uncommitted)
        r = set_record(sandbox, commit, &err);
    if (r < 0 || !sandbox->uncommitted) {
        cl_operation_finish(operation, r < 0 ? &err : NULL, NULL);
        return;
    }
    sandbox->committing = true;
    cl_journal_write(sandbox, CL_RECORD_SANDBOX | (commit->args.record.size ? CL_RECORD_SVC : 0),
                     CLOISTER_DURABLE_POWER, &operation->journal, on_written, operation);
}

static void drop(struct cl_operation *operation)
{
    if (operation->args.commit)
        free((void *)(uintptr_t)operation->args.commit->old.data);
}

static const struct cl_operation_class class = {.name = "sandbox_commit",
                                                .verb = "commit sandbox",
                                                .begin = begin,
                                                .cancel = cl_operation_leave_it,
                                                .drop = drop,
                                                .one_way = true};

static int prepare(struct cl_operation *operation, const struct cloister_sandbox_commit_args *args,
                   struct cloister_error *err)
{
    struct cl_commit *commit = cl_arena_alloc(&operation->arena, 1, sizeof(*commit));
    operation->args.commit = commit;
    if (!commit)
        return cl_args_no_memory(err);
    if (cl_args_reserved(args->reserved, err) < 0 || cl_args_record(args->record, err) < 0)
        return -EINVAL;
    commit->args = *args;
    commit->args.record = cl_arena_sv(&operation->arena, args->record);
    return operation->arena.failed ? cl_args_no_memory(err) : 0;
}

cloister_op cl_api_sandbox_commit(const struct cloister_host *host, const struct cloister_sandbox_commit_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_sandbox_commit_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, copy.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare(operation, &copy, err), 0, CL_CLAIM_SANDBOX, err) : 0;
}
