/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/freeze.h"

#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/error/error.h"
#include "core/util/time.h"

#define TAKES (10 * CL_NS_PER_S) /* at most, if nobody says how long */

bool cl_frozen(const struct cl_sandbox *sandbox, const struct cl_container *container)
{
    return sandbox->frozen || (container && container->frozen);
}

int cl_frozen_refuse(const struct cl_sandbox *sandbox, const struct cl_container *container, struct cloister_error *err)
{
    int r = 0;
    if (sandbox->frozen) {
        r = cl_error_set(err, CLOISTER_FROZEN, 0, NULL, NULL, "sandbox '%.*s' is frozen", CL_SV_ARG(sandbox->name));
        cl_error_subject(err, sandbox->name);
    } else if (container && container->frozen) {
        r = cl_error_set(err, CLOISTER_FROZEN, 0, container->cid, NULL, "container '%s' is frozen", container->cid);
    }
    return r;
}

/* Told at once, so that whoever is answered behind it finds it told. What has stopped stands still in another way. */
static void set_frozen(struct cl_sandbox *sandbox, struct cl_container *container, bool frozen)
{
    bool *flag = container ? &container->frozen : &sandbox->frozen;
    bool over = container ? container->state == CLOISTER_CONTAINER_STOPPED : sandbox->state != CLOISTER_SANDBOX_UP;
    if (*flag == frozen || over)
        return;
    *flag = frozen;
    if (container)
        cl_container_emit_state(container);
    else
        cl_sandbox_emit_state(sandbox);
}

static bool is_set(const struct cl_operation *operation)
{
    return operation->container ? operation->container->frozen : operation->sandbox->frozen;
}

static int check(const struct cl_operation *operation, struct cloister_error *err)
{
    int r = cl_sandbox_check_coming(operation->sandbox, err);
    return r == 0 && operation->container ? cl_container_check_live(operation->container, err) : r;
}

/* ---- freeze ---- */

/* It came too late: nobody wants it any more. */
static void on_undone(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    if (err)
        set_frozen(operation->sandbox, operation->container, true);
    cl_operation_finish_cancelled(operation, "cancelled");
}

static void undo(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    operation->iso.freeze.deadline = cl_mono_ns() + TAKES;
    if (CL_ISO_CALL(operation, thaw, &operation->iso.freeze, on_undone, &err) < 0)
        on_undone(operation, &err, NULL);
}

static void on_frozen(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    if (!err && operation->cancelled && !is_set(operation)) {
        undo(operation);
        return;
    }
    set_frozen(operation->sandbox, operation->container, !err); /* on failure what did stand still runs again */
    cl_operation_finish(operation, err, data);
}

static void begin_freeze(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (check(operation, &err) < 0 || CL_ISO_CALL(operation, freeze, &operation->iso.freeze, on_frozen, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation);
}

static const struct cl_operation_class freeze_class = {
    .name = "freeze", .verb = "freeze", .begin = begin_freeze, .cancel = cancel};

/* ---- thaw ---- */

/* The sandbox does: whoever stands still by itself is next. */
static struct cl_container *next_frozen(const struct cl_operation *operation)
{
    CL_LIST_FOREACH(node, &operation->sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->frozen)
            return container;
    }
    return NULL;
}

/* What runs does not stand still with its sandbox: a container may be all that the sandbox's group has in it. */
static void thawed(struct cl_sandbox *sandbox, struct cl_container *container)
{
    if (container)
        set_frozen(sandbox, container, false);
    set_frozen(sandbox, NULL, false);
}

static void on_thawed(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    struct cloister_iso_freeze_args *args = &operation->iso.freeze;
    struct cl_container *container =
        args->container.size ? cl_container_find(operation->sandbox, args->container, NULL) : NULL;
    if (!err)
        thawed(operation->sandbox, container);
    struct cl_container *next = err || operation->container ? NULL : next_frozen(operation);
    if (!next || next == container) {
        cl_operation_finish(operation, err, data);
        return;
    }
    args->container = cl_sv_cstr(next->cid);
    if (CL_ISO_CALL(operation, thaw, args, on_thawed, &own) < 0)
        cl_operation_finish(operation, &own, NULL);
}

static void begin_thaw(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = check(operation, &err);
    if (r == 0 && operation->container && !operation->container->frozen)
        r = cl_frozen_refuse(operation->sandbox, NULL, &err);
    if (r < 0 || CL_ISO_CALL(operation, thaw, &operation->iso.freeze, on_thawed, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class thaw_class = {
    .name = "thaw", .verb = "thaw", .begin = begin_thaw, .cancel = cancel};

/* ---- the api ---- */

static int prepare(struct cl_operation *operation, struct cloister_sv cid, uint64_t reserved, uint64_t *deadline,
                   struct cloister_error *err)
{
    if (cl_args_reserved(reserved, err) < 0)
        return -EINVAL;
    if (!(operation->backend->capabilities & CLOISTER_ISO_FREEZE))
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "FREEZE", NULL, "FREEZE is not supported here");
    operation->container = cid.size ? cl_container_find(operation->sandbox, cid, err) : NULL;
    if (cid.size && !operation->container)
        return -ENOENT;
    if (!*deadline)
        *deadline = cl_mono_ns() + TAKES;
    operation->iso.freeze = (struct cloister_iso_freeze_args){
        CLOISTER_INIT(struct cloister_iso_freeze_args),
        .container = cl_sv_cstr(operation->container ? operation->container->cid : NULL), .deadline = *deadline};
    cl_sandbox_identity(operation->sandbox, &operation->iso.freeze.sandbox);
    return operation->sandbox->recovering ? 0 : check(operation, err);
}

static cloister_op ask(const struct cloister_host *host, const struct cl_operation_class *class,
                       const struct cloister_freeze_args *args, cloister_done_fn done, void *ctx,
                       struct cloister_error *err)
{
    uint64_t deadline = args->deadline;
    struct cl_operation *operation = cl_operation_ask(host, class, args->sandbox, true, done, ctx, err);
    return operation
               ? cl_operation_prepared(operation, prepare(operation, args->container, args->reserved, &deadline, err),
                                       deadline, args->container.size ? CL_CLAIM_CONTAINER : CL_CLAIM_SANDBOX, err)
               : 0;
}

cloister_op cl_api_freeze(const struct cloister_host *host, const struct cloister_freeze_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_freeze_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    return ask(host, &freeze_class, &copy, done, ctx, err);
}

cloister_op cl_api_thaw(const struct cloister_host *host, const struct cloister_thaw_args *args, cloister_done_fn done,
                        void *ctx, struct cloister_error *err)
{
    struct cloister_thaw_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    const struct cloister_freeze_args same = {
        .reserved = copy.reserved, .sandbox = copy.sandbox, .container = copy.container, .deadline = copy.deadline};
    return ask(host, &thaw_class, &same, done, ctx, err);
}

/* ---- ends ---- */

/* Does anything run in it but this one? */
static bool has_others(const struct cl_container *container)
{
    CL_LIST_FOREACH(node, &container->sandbox->containers)
    {
        const struct cl_container *other = CL_CONTAINER(node, struct cl_container, node);
        if (other != container && other->state != CLOISTER_CONTAINER_STOPPED)
            return true;
    }
    return false;
}

static void on_let_die(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cloister_sv cid = operation->iso.freeze.container;
    if (!err)
        thawed(operation->sandbox, cid.size ? cl_container_find(operation->sandbox, cid, NULL) : NULL);
    cl_operation_finish(operation, err, NULL);
}

bool cl_frozen_let_die(struct cl_operation *operation, struct cl_container *container)
{
    const struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (operation->engine->detached || !cl_frozen(sandbox, container) || (!container->frozen && has_others(container)))
        return false;
    operation->iso.freeze = (struct cloister_iso_freeze_args){
        CLOISTER_INIT(struct cloister_iso_freeze_args),
        .container = cl_arena_sv(&operation->arena, cl_sv_cstr(container->frozen ? container->cid : NULL)),
        .deadline = cl_mono_ns() + TAKES};
    cl_sandbox_identity(sandbox, &operation->iso.freeze.sandbox);
    return CL_ISO_CALL(operation, thaw, &operation->iso.freeze, on_let_die, &err) == 0;
}
