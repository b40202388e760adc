/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/update.h"

#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/recover.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/time.h"

static struct cl_limits *limits_of(struct cl_sandbox *sandbox, struct cl_container *container)
{
    return container ? &container->limits : &sandbox->limits;
}

static void forget_wanted(struct cl_limits *limits)
{
    (void)cl_limits_set(&limits->wanted, cl_sv(NULL, 0));
}

static int check_told(const struct cl_operation *operation, struct cloister_sv json, struct cloister_error *err)
{
    int r = cl_limits_check(json, err);
    if (r < 0)
        cl_error_wrap(err, "the limits that %s tells are in force", operation->backend->instance->label);
    if (r < 0 && err->code != CLOISTER_TOO_BIG)
        err->code = CLOISTER_INTERNAL; /* not the caller's fault */
    return r;
}

/* They have changed in part, or into what cannot be told: nothing is claimed to be in force. */
static void forget_in_force(struct cl_limits *limits)
{
    (void)cl_limits_set(&limits->in_force, cl_sv(NULL, 0));
}

/* What isolation has told, or failed with: 0 if the former is in force now, else *own may be what is wrong with it. */
static int take(struct cl_operation *operation, struct cl_limits *limits, const struct cloister_error *failed,
                const struct cloister_result *result, struct cloister_error *own)
{
    if (failed) {
        if (failed->code == CLOISTER_PARTIAL)
            forget_in_force(limits);
        return 0;
    }
    int r = check_told(operation, result->json, own);
    if (r == 0 && cl_limits_set(&limits->in_force, result->json) < 0)
        r = cl_args_no_memory(own);
    if (r < 0)
        forget_in_force(limits);
    return r;
}

/* ---- update ---- */

static unsigned record_of(const struct cl_operation *operation)
{
    return operation->container ? CL_RECORD_CONTAINERS : CL_RECORD_SANDBOX;
}

static int check(const struct cl_operation *operation, struct cloister_error *err)
{
    int r = cl_sandbox_check_coming(operation->sandbox, err);
    return r == 0 && operation->container ? cl_container_check_live(operation->container, err) : r;
}

/* It has come to an end: the record says what is in force, and nothing is wanted any more. Not waited for: until it is
 * written the intent stands, which only repeats it. */
static void finish(struct cl_operation *operation, const struct cloister_error *err,
                   const struct cloister_result *result)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    forget_wanted(limits_of(sandbox, operation->container));
    if (sandbox->state != CLOISTER_SANDBOX_DESTROYING)
        cl_journal_write(sandbox, record_of(operation), CLOISTER_DURABLE_DAEMON, NULL, NULL, NULL);
    cl_operation_finish(operation, err, result);
}

static void on_updated(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    const struct cloister_result *result = data;
    struct cl_limits *limits = limits_of(operation->sandbox, operation->container);
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (take(operation, limits, err, result, &own) < 0)
        err = &own;
    finish(operation, err, result);
}

static void on_intent(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (err) { /* it is not on record, and nothing has happened */
        forget_wanted(limits_of(operation->sandbox, operation->container));
        cl_operation_finish(operation, err, NULL);
        return;
    }
    int r = operation->cancelled ? cl_error_set(&own, CLOISTER_CANCELLED, 0, NULL, NULL, "cancelled")
                                 : check(operation, &own);
    if (r < 0 || CL_ISO_CALL(operation, update, &operation->iso.update, on_updated, &own) < 0)
        finish(operation, &own, NULL);
}

static void begin(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_limits *limits = limits_of(sandbox, operation->container);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = check(operation, &err);
    if (r == 0 && !operation->backend->vtable->update)
        r = cl_operation_no_slot(operation, "update", &err);
    if (r == 0 && cl_limits_set(&limits->wanted, operation->iso.update.update->resources) < 0)
        r = cl_args_no_memory(&err);
    if (r < 0)
        cl_operation_finish(operation, &err, NULL);
    else
        cl_journal_write(sandbox, record_of(operation), CLOISTER_DURABLE_DAEMON, &operation->journal, on_intent,
                         operation);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation); /* what is in force all the same stays, and is recorded */
}

static const struct cl_operation_class class = {
    .name = "update", .verb = "update the limits of", .begin = begin, .cancel = cancel};

static int find_subject(struct cl_operation *operation, const struct cloister_update_args *args,
                        struct cloister_error *err)
{
    if (args->scope == CLOISTER_SCOPE_CONTAINER) {
        operation->container = cl_container_find(operation->sandbox, args->container, err);
        return operation->container ? 0 : -ENOENT;
    }
    if (args->scope != CLOISTER_SCOPE_SANDBOX)
        return cl_error_set(err, CLOISTER_INVALID, 0, "scope", NULL, "scope has unknown kind %u", args->scope);
    return args->container.size
               ? cl_error_set(err, CLOISTER_INVALID, 0, "container", NULL, "container is not of this scope")
               : 0;
}

static int prepare(struct cl_operation *operation, const struct cloister_update_args *from, struct cloister_error *err)
{
    struct cloister_update_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy)
        return cl_args_no_memory(err);
    int r = find_subject(operation, copy, err);
    r = r ? r : cl_limits_check(copy->resources, err);
    if (r < 0)
        return r;
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    copy->container = cl_sv_cstr(operation->container ? operation->container->cid : NULL);
    copy->resources = cl_arena_sv(&operation->arena, copy->resources);
    operation->iso.update =
        (struct cloister_iso_update_args){CLOISTER_INIT(struct cloister_iso_update_args), .update = copy};
    cl_sandbox_identity(operation->sandbox, &operation->iso.update.sandbox);
    if (operation->arena.failed)
        return cl_args_no_memory(err);
    return operation->sandbox->recovering ? 0 : check(operation, err);
}

cloister_op cl_api_update(const struct cloister_host *host, const struct cloister_update_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_update_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, head.sandbox, true, done, ctx, err);
    return operation
               ? cl_operation_prepared(operation, prepare(operation, args, err), head.deadline,
                                       head.scope == CLOISTER_SCOPE_CONTAINER ? CL_CLAIM_CONTAINER : CL_CLAIM_SANDBOX,
                                       err)
               : 0;
}

/* ---- of a former daemon ---- */

static void go_on(struct cl_operation *recovery);

/* Whose limits are next; *ret_container NULL: the sandbox's. False: nobody's. */
static bool next_wanted(const struct cl_sandbox *sandbox, struct cl_container **ret_container)
{
    if (sandbox->limits.wanted.size) {
        *ret_container = NULL;
        return true;
    }
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->limits.wanted.size && container->state != CLOISTER_CONTAINER_STOPPED) {
            *ret_container = container;
            return true;
        }
    }
    return false;
}

/* Shown, but in nobody's way: the old limits are in force, or none are told. */
static void note_failure(struct cl_operation *recovery, const struct cloister_error *err)
{
    struct cl_sandbox *sandbox = recovery->sandbox;
    cl_error_copy(&sandbox->failure, err);
    cl_error_wrap(&sandbox->failure, "finish the update of limits that a former daemon began");
    cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, &sandbox->failure, CL_SANDBOX_LOG, CL_SANDBOX_LOG_ARG(sandbox));
}

static void on_again(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *recovery = ctx;
    struct cl_container *container = NULL;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    const struct cloister_result *result = data;
    if (recovery->cancelled) {
        cl_recovered_finish(recovery);
        return;
    }
    if (next_wanted(recovery->sandbox, &container)) {
        struct cl_limits *limits = limits_of(recovery->sandbox, container);
        if (take(recovery, limits, err, result, &own) < 0)
            err = &own;
        forget_wanted(limits);
    }
    if (err)
        note_failure(recovery, err);
    recovery->args.row->changed = true;
    go_on(recovery);
}

static void go_on(struct cl_operation *recovery)
{
    struct cl_sandbox *sandbox = recovery->sandbox;
    struct cl_container *container;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (recovery->engine->detached || sandbox->state != CLOISTER_SANDBOX_UP || !next_wanted(sandbox, &container)) {
        cl_recovered_ask(recovery);
        return;
    }
    struct cloister_update_args *args = cl_arena_alloc(&recovery->arena, 1, sizeof(*args));
    if (!args) {
        (void)cl_args_no_memory(&err);
        on_again(recovery, &err, NULL);
        return;
    }
    *args = (struct cloister_update_args){CLOISTER_INIT(struct cloister_update_args),
                                          .scope = container ? CLOISTER_SCOPE_CONTAINER : CLOISTER_SCOPE_SANDBOX,
                                          .sandbox = cl_sandbox_id(sandbox),
                                          .container = cl_sv_cstr(container ? container->cid : NULL),
                                          .resources = limits_of(sandbox, container)->wanted,
                                          .deadline = cl_mono_ns() + recovery->engine->recover_ns};
    recovery->iso.update =
        (struct cloister_iso_update_args){CLOISTER_INIT(struct cloister_iso_update_args), .update = args};
    cl_sandbox_identity(sandbox, &recovery->iso.update.sandbox);
    if (CL_ISO_CALL(recovery, update, &recovery->iso.update, on_again, &err) < 0)
        on_again(recovery, &err, NULL);
}

void cl_update_again(struct cl_operation *recovery)
{
    go_on(recovery);
}
