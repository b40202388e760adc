/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "core/engine/operation.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/time.h"

static void queue(struct cl_sandbox *sandbox, struct cl_notice *notice, uint32_t kind)
{
    notice->kind = kind;
    cl_list_append(&sandbox->notices, &notice->node);
}

static struct cloister_status sane_status(const struct cloister_status *from)
{
    struct cloister_status status = *from;
    if (status.kind != CLOISTER_STATUS_EXITED && status.kind != CLOISTER_STATUS_SIGNALED)
        status.kind = CLOISTER_STATUS_LOST;
    status.flags &= CLOISTER_STATUS_OOM | CLOISTER_STATUS_CORE;
    status.reserved = 0;
    if (!status.real_ns)
        status.real_ns = cl_real_ns();
    if (!status.mono_ns)
        status.mono_ns = cl_mono_ns();
    return status;
}

void cl_notice_ended(struct cl_process *process, uint32_t kind, const struct cloister_status *status)
{
    struct cl_notice *notice = kind == CLOISTER_EVENT_EXIT ? &process->exit : &process->drained;
    if (notice->kind)
        return;
    notice->process = process;
    notice->status = sane_status(status);
    queue(process->sandbox, notice, kind);
}

void cl_notice_lost(struct cl_sandbox *sandbox, uint32_t cause)
{
    if (sandbox->lost.kind)
        return;
    sandbox->lost.cause = cause;
    queue(sandbox, &sandbox->lost, CLOISTER_EVENT_SANDBOX_DOWN);
}

static void take_of_process(struct cl_sandbox *sandbox, const struct cl_backend *backend,
                            const struct cloister_iso_event *event)
{
    struct cl_process *process = cl_map_get_u64(&sandbox->by_number, event->process);
    if (!process) {
        cl_log(CL_LOG_DEBUG, CL_ENGINE_AREA, "%s told of process %llu of sandbox %s, which is not known",
               backend->instance->label, (unsigned long long)event->process, sandbox->id);
        return;
    }
    struct cl_notice *notice = event->kind == CLOISTER_EVENT_EXIT ? &process->exit : &process->drained;
    if (notice->kind) {
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "%s told the end of process %llu of sandbox %s twice; ignored",
               backend->instance->label, (unsigned long long)event->process, sandbox->id);
        return;
    }
    if (event->kind == CLOISTER_EVENT_DRAINED)
        cl_process_set_outputs(process, event->outputs, event->output_count, event->output_size);
    cl_notice_ended(process, event->kind, &event->status);
}

/* Kinds that are not the end of something: allocated, since any number may come. */
static void take_other(struct cl_sandbox *sandbox, const struct cloister_iso_event *event)
{
    struct cl_notice *notice = cl_new(struct cl_notice);
    if (!notice) {
        cl_log(CL_LOG_ERROR, CL_ENGINE_AREA, "no memory for an event of sandbox %s: it is lost", sandbox->id);
        return;
    }
    cl_list_init(&notice->node);
    notice->allocated = true;
    notice->container = event->container.size ? cl_container_find(sandbox, event->container, NULL) : NULL;
    queue(sandbox, notice, event->kind);
}

void cl_notice_take(struct cl_backend *backend, const struct cloister_iso_event *event)
{
    struct cl_sandbox *sandbox = event->sandbox.size ? cl_map_get(&backend->engine->by_id, event->sandbox) : NULL;
    if (!sandbox || sandbox->backend != backend) {
        cl_log(CL_LOG_DEBUG, CL_ENGINE_AREA, "%s told of sandbox %.*s, which is not known", backend->instance->label,
               CL_SV_ARG(event->sandbox));
        return;
    }
    switch (event->kind) {
    case CLOISTER_EVENT_EXIT:
    case CLOISTER_EVENT_DRAINED:
        take_of_process(sandbox, backend, event);
        break;
    case CLOISTER_EVENT_SANDBOX_DOWN:
        cl_notice_lost(sandbox, event->cause ? event->cause : CLOISTER_CAUSE_LOST);
        break;
    case CLOISTER_EVENT_OOM:
    case CLOISTER_EVENT_CONTACT:
        take_other(sandbox, event);
        break;
    default:
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "%s told an event of unknown kind %u; ignored", backend->instance->label,
               event->kind);
        return;
    }
    cl_sandbox_flush(sandbox);
}

static bool blocked(const struct cl_sandbox *sandbox, const struct cl_notice *notice)
{
    return sandbox->held || (notice->process && notice->process->held);
}

static void tell(struct cl_sandbox *sandbox, struct cl_notice *notice)
{
    struct cloister_status status = notice->status;
    switch (notice->kind) {
    case CLOISTER_EVENT_EXIT:
        cl_process_exited(notice->process, &status);
        break;
    case CLOISTER_EVENT_DRAINED:
        cl_process_drained(notice->process);
        break;
    case CLOISTER_EVENT_SANDBOX_DOWN:
        cl_sandbox_lost(sandbox, notice->cause);
        break;
    default:
        cl_sandbox_emit(sandbox, notice->kind, notice->container);
        break;
    }
}

/* In the order of telling; the first one that has to wait holds back those behind it, so that no order is ever changed
 * (O4). */
void cl_sandbox_flush(struct cl_sandbox *sandbox)
{
    if (sandbox->flushing)
        return;
    (void)cl_sandbox_ref(sandbox);
    sandbox->flushing = true;
    for (struct cl_list *node; (node = cl_list_first(&sandbox->notices));) {
        struct cl_notice *notice = CL_CONTAINER(node, struct cl_notice, node);
        if (blocked(sandbox, notice))
            break;
        cl_list_remove(node);
        bool allocated = notice->allocated;
        tell(sandbox, notice); /* may free the process the notice lives in */
        if (allocated)
            free(notice);
    }
    sandbox->flushing = false;
    cl_container_settle_burials(sandbox);
    cl_sandbox_unref(sandbox);
}

void cl_notices_drop(struct cl_sandbox *sandbox)
{
    for (struct cl_list *node; (node = cl_list_first(&sandbox->notices));) {
        struct cl_notice *notice = CL_CONTAINER(node, struct cl_notice, node);
        cl_list_remove(node);
        notice->kind = 0;
        if (notice->allocated)
            free(notice);
    }
}

static bool is_about(const struct cl_notice *notice, const struct cl_container *container)
{
    return notice->container == container || (notice->process && notice->process->container == container);
}

bool cl_container_untold(const struct cl_container *container)
{
    CL_LIST_FOREACH(node, &container->sandbox->notices)
    if (is_about(CL_CONTAINER(node, struct cl_notice, node), container))
        return true;
    return false;
}

void cl_notices_drop_of(const struct cl_container *container)
{
    CL_LIST_FOREACH(node, &container->sandbox->notices)
    {
        struct cl_notice *notice = CL_CONTAINER(node, struct cl_notice, node);
        if (!is_about(notice, container))
            continue;
        cl_list_remove(node);
        notice->kind = 0;
        if (notice->allocated)
            free(notice);
    }
}
