/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point.c - the hooks of a create. At the keeper's POINT the container's mounts stand and its first process waits: the
 * hooks of the host's namespaces are run, and PROCEED says how they ended. When the program runs, poststart ones
 * follow, which can only warn.
 */
#include <errno.h>
#include <stdio.h>

#include "create.h"

static void ignored(void *ctx, struct cl_packet *answer, int os_errno)
{
}

/* Whatever becomes of it, the CREATE is answered. If it cannot be sent, nothing more will come of it. */
static void proceed(struct ns_create *create)
{
    struct cl_wire_proceed message;
    const struct cloister_error *err = &create->base.err;

    cl_wire_init(&message, CL_WIRE_PROCEED, 0);
    message.create = create->serial;
    message.os_errno = err->code ? ECANCELED : 0;
    if (err->code)
        snprintf(message.detail, sizeof(message.detail), "%s", err->subject);
    if (ns_conn_send(&create->sandbox->conn, &message, NULL, 0, -1, ignored, NULL))
        return;
    if (err->code == 0)
        ns_keeper_error(create->base.instance, &create->base.err, NULL, EPIPE);
    ns_create_undo(create); /* the keeper would wait for ever */
}

static void at_point_done(void *ctx, const struct cloister_error *err)
{
    struct ns_create *create = ctx;

    create->hooks = NULL;
    if (err->code != 0 && create->base.err.code == 0)
        create->base.err = *err;
    if (create->over || create->base.cancelled)
        ns_create_undo(create);
    else
        proceed(create);
}

void ns_create_point(struct ns_create *create, const struct cl_packet *packet)
{
    if (create->stage != NS_CREATE_MAKING || create->hooks)
        return;
    create->serial = packet->u.point.create;
    create->hooks = ns_hook_run_start(create->sandbox, create->container, NS_HOOKS_AT_POINT, "creating",
                                      ns_answer_pid(packet), at_point_done, create, &create->base.err);
    if (create->hooks == NULL)
        proceed(create);
}

static void after_start_done(void *ctx, const struct cloister_error *err)
{
    struct ns_create *create = ctx;

    create->hooks = NULL;
    if (create->over || create->base.cancelled) {
        ns_create_undo(create);
        return;
    }
    if (err->code != 0)
        ns_sandbox_warn(create->sandbox, err->subject, err->chain);
    ns_create_finish(create, create->pid);
}

void ns_create_started(struct ns_create *create, int32_t pid)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;

    create->pid = pid;
    create->hooks = ns_hook_run_start(create->sandbox, create->container, NS_HOOK_POSTSTART, "running", pid,
                                      after_start_done, create, &err);
    if (create->hooks)
        return;
    if (err.code != 0)
        ns_sandbox_warn(create->sandbox, "hooks.poststart", err.chain);
    ns_create_finish(create, pid);
}
