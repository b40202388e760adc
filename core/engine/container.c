/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/engine/records.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/time.h"

int cl_container_new(struct cl_sandbox *sandbox, struct cloister_sv cid, struct cloister_sv rootfs,
                     struct cl_container **ret)
{
    struct cl_container *container = cl_new(struct cl_container);
    if (!container)
        return -ENOMEM;
    container->sandbox = sandbox;
    container->state = CLOISTER_CONTAINER_CREATING;
    container->incarnation = 1;
    cl_list_init(&container->watchers);
    cl_list_append(&sandbox->containers, &container->node);
    container->cid = cl_sv_dup(cl_args_cid(cid));
    container->rootfs = cl_sv_dup(rootfs);
    if (!container->cid || !container->rootfs) {
        cl_container_free(container);
        return -ENOMEM;
    }
    *ret = container;
    return 0;
}

void cl_container_free(struct cl_container *container)
{
    cl_list_remove(&container->node);
    cl_limits_free(&container->limits);
    free(container->cid);
    free(container->rootfs);
    free(container);
}

struct cl_container *cl_container_find(const struct cl_sandbox *sandbox, struct cloister_sv cid,
                                       struct cloister_error *err)
{
    struct cloister_sv wanted = cl_args_cid(cid);
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (cl_sv_is(wanted, container->cid))
            return container;
    }
    (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "container", "sandbox '%.*s' has no container '%.*s'",
                       CL_SV_ARG(sandbox->name), CL_SV_ARG(wanted));
    cl_error_subject(err, wanted);
    return NULL;
}

unsigned cl_container_live(const struct cl_container *container)
{
    unsigned count = 0;
    CL_LIST_FOREACH(node, &container->sandbox->processes)
    {
        const struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        count += process->container == container && !cl_process_ended(process);
    }
    return count;
}

void cl_container_made(struct cl_operation *create, const struct cloister_container_args *args,
                       const struct cloister_result *result)
{
    struct cl_container *container = create->container;
    struct cl_process *init = create->process;
    bool blocked = args->start == CLOISTER_START_BLOCKED;
    init->pid = result->pid;
    container->state = blocked ? CLOISTER_CONTAINER_CREATED : CLOISTER_CONTAINER_RUNNING;
    if (!blocked) {
        init->state = CLOISTER_PROCESS_RUNNING;
        init->started_real_ns = container->started_real_ns = cl_real_ns();
    }
    create->result.process = init->number;
    create->result.pid = init->pid;
    create->result.container_state = container->state;
}

int cl_container_check_join(const struct cl_sandbox *sandbox, const struct cloister_container_args *args, bool running,
                            struct cloister_error *err)
{
    const struct cl_container *join = args->join.size ? cl_container_find(sandbox, args->join, err) : NULL;
    if (args->join.size && !join)
        return -ENOENT;
    if (join && running && (join->state != CLOISTER_CONTAINER_RUNNING || join->ending || join->deleting)) {
        int r =
            cl_error_set(err, CLOISTER_INVALID_STATE, 0, join->cid, NULL, "container '%s' is not running", join->cid);
        if (err)
            err->detail = join->state;
        return r;
    }
    for (uint64_t i = 0; i < args->file_count; i++)
        if (args->files[i].share.size && !cl_container_find(sandbox, args->files[i].share, err))
            return -ENOENT;
    return 0;
}

/* ---- its end ---- */

int cl_container_refuse_gone(const struct cl_container *container, struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_NO_ENTITY, 0, container->cid, "container", "sandbox '%.*s' has no container '%s'",
                        CL_SV_ARG(container->sandbox->name), container->cid);
}

/* Held ones other than the init belong to an exec that waits for its turn, and go with it. */
static struct cl_process *next_process(const struct cl_container *container, bool awaited)
{
    CL_LIST_FOREACH(node, &container->sandbox->processes)
    {
        struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (process->container == container && (process->is_init || !process->held) &&
            (!awaited || !cl_list_empty(&process->waiters)))
            return process;
    }
    return NULL;
}

/* Each answer may change anything, so each round looks anew. */
static void forget_processes(struct cl_container *container)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_container_refuse_gone(container, &err);
    for (struct cl_process *process; (process = next_process(container, true));)
        cl_process_answer(process, &err);
    for (struct cl_process *process; (process = next_process(container, false));)
        cl_process_free(process);
}

static void leave(struct cl_container *container)
{
    container->gone = true;
    container->creating = NULL;
    container->making = NULL;
    cl_list_remove(&container->node);
    forget_processes(container);
    cl_notices_drop_of(container);
}

void cl_container_doom(struct cl_container *container)
{
    leave(container);
    cl_list_append(&container->sandbox->doomed, &container->node);
}

void cl_container_bury(struct cl_container *container)
{
    leave(container);
    if (container->recorded) {
        container->grave = CL_GRAVE_DUE;
        cl_list_append(&container->sandbox->graves, &container->node);
    }
    cl_container_reap(container);
}

void cl_container_reap(struct cl_container *container)
{
    if (!container->gone || !cl_list_empty(&container->node))
        return;
    CL_LIST_FOREACH(node, &container->sandbox->operations)
    if (CL_CONTAINER(node, struct cl_operation, in_sandbox)->container == container)
        return;
    cl_container_free(container);
}

void cl_graves_fly(struct cl_sandbox *sandbox)
{
    unsigned count = 0;
    CL_LIST_FOREACH(node, &sandbox->graves)
    if (count++ < CL_RECORDS_GRAVES)
        CL_CONTAINER(node, struct cl_container, node)->grave = CL_GRAVE_FLYING;
}

bool cl_graves_written(struct cl_sandbox *sandbox, bool removed)
{
    CL_LIST_FOREACH(node, &sandbox->graves)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->grave != CL_GRAVE_FLYING)
            continue;
        container->grave = CL_GRAVE_DUE;
        if (!removed)
            continue;
        cl_list_remove(node);
        cl_container_reap(container);
    }
    return !cl_list_empty(&sandbox->graves);
}

struct cl_container *cl_container_doomed(const struct cl_sandbox *sandbox, struct cloister_sv cid)
{
    CL_LIST_FOREACH(node, &sandbox->doomed)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (cl_sv_is(cl_args_cid(cid), container->cid))
            return container;
    }
    return NULL;
}
