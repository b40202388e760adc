/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "core/engine/errand.h"
#include "core/engine/label.h"
#include "core/engine/operation.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/time.h"

static struct cloister_event event_of(const struct cl_sandbox *sandbox, uint32_t kind,
                                      const struct cl_container *container)
{
    return (struct cloister_event){
        CLOISTER_INIT(struct cloister_event),
        .kind = kind,
        .service = cl_sv_cstr(sandbox->service->name),
        .sandbox = cl_sandbox_id(sandbox),
        .name = sandbox->name,
        .container = cl_sv_cstr(container ? container->cid : NULL),
        .incarnation = container ? container->incarnation : 0,
        .cause = sandbox->cause,
    };
}

/* Who may not see it hears nothing of it either. */
static void emit(struct cl_sandbox *sandbox, struct cloister_event *event)
{
    if (sandbox->uncommitted)
        cl_events_emit_own(sandbox->engine->events, event);
    else
        cl_events_emit(sandbox->engine->events, event);
}

void cl_sandbox_emit(struct cl_sandbox *sandbox, uint32_t kind, const struct cl_container *container)
{
    struct cloister_event event = event_of(sandbox, kind, container);
    emit(sandbox, &event);
}

void cl_sandbox_emit_state(struct cl_sandbox *sandbox)
{
    struct cloister_event event = event_of(sandbox, CLOISTER_EVENT_STATE, NULL);
    event.state = sandbox->state;
    emit(sandbox, &event);
}

void cl_container_emit_state(struct cl_container *container)
{
    struct cloister_event event = event_of(container->sandbox, CLOISTER_EVENT_STATE, container);
    event.state = container->state;
    emit(container->sandbox, &event);
}

static void emit_process(const struct cl_process *process, uint32_t kind)
{
    struct cl_sandbox *sandbox = process->sandbox;
    struct cloister_event event = event_of(sandbox, kind, process->container);
    event.process = process->number;
    event.is_init = process->is_init;
    event.status = process->status;
    if (kind == CLOISTER_EVENT_DRAINED) {
        event.outputs = process->outputs;
        event.output_count = process->output_count;
        event.output_size = sizeof(process->outputs[0]);
    }
    event.real_ns = process->status.real_ns;
    event.mono_ns = process->status.mono_ns;
    emit(sandbox, &event);
}

/* "exited with 7", "was killed by signal 9, out of memory": for people. */
static void status_words(const struct cloister_status *status, char *words, size_t size)
{
    const char *oom = status->flags & CLOISTER_STATUS_OOM ? ", out of memory" : "";
    const char *core = status->flags & CLOISTER_STATUS_CORE ? ", core dumped" : "";
    if (status->kind == CLOISTER_STATUS_EXITED)
        (void)snprintf(words, size, "exited with %u%s", status->value, oom);
    else if (status->kind == CLOISTER_STATUS_SIGNALED)
        (void)snprintf(words, size, "was killed by signal %u%s%s", status->value, oom, core);
    else
        (void)snprintf(words, size, "is lost: nobody saw how it ended");
}

static void log_exit(const struct cl_process *process)
{
    const struct cl_sandbox *sandbox = process->sandbox;
    char words[96];
    status_words(&process->status, words, sizeof(words));
    if (process->is_init)
        cl_log(CL_LOG_INFO, CL_ENGINE_AREA, CL_SANDBOX_LOG ": container '%s': init %s", CL_SANDBOX_LOG_ARG(sandbox),
               process->container->cid, words);
    else
        cl_log(CL_LOG_DEBUG, CL_ENGINE_AREA, CL_SANDBOX_LOG ": process %llu %s", CL_SANDBOX_LOG_ARG(sandbox),
               (unsigned long long)process->number, words);
}

static bool satisfied(const struct cl_process *process, const struct cl_operation *wait)
{
    if (!cl_process_ended(process))
        return false;
    return wait->args.until == CLOISTER_WAIT_EXIT || process->state != CLOISTER_PROCESS_EXITED;
}

void cl_process_answer(struct cl_process *process, const struct cloister_error *err)
{
    struct cl_list told;
    cl_list_init(&told);
    CL_LIST_FOREACH(node, &process->waiters)
    {
        if (!err && !satisfied(process, CL_CONTAINER(node, struct cl_operation, waiting)))
            continue;
        cl_list_remove(node);
        cl_list_append(&told, node);
    }
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result)};
    result.process = process->number;
    result.status = process->status;
    result.container_state = process->container->state;
    if (process->state == CLOISTER_PROCESS_DRAINED) {
        result.outputs = process->outputs;
        result.output_count = process->output_count;
        result.output_size = sizeof(process->outputs[0]);
    }
    for (struct cl_list *node; (node = cl_list_first(&told));)
        cl_operation_finish(CL_CONTAINER(node, struct cl_operation, waiting), err, err ? NULL : &result);
}

static bool all_stopped(const struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    if (CL_CONTAINER(node, struct cl_container, node)->state != CLOISTER_CONTAINER_STOPPED)
        return false;
    return true;
}

static void sandbox_down(struct cl_sandbox *sandbox, uint32_t cause)
{
    if (sandbox->down)
        return;
    sandbox->down = true;
    sandbox->frozen = false;
    (void)cl_limits_set(&sandbox->limits.wanted, cl_sv(NULL, 0));
    sandbox->cause = cause;
    bool destroying = sandbox->state == CLOISTER_SANDBOX_DESTROYING;
    cl_runfile_drop_all(sandbox);
    cl_labels_drop_secret(sandbox);
    if (!destroying) {
        sandbox->state = CLOISTER_SANDBOX_OFF;
        if (sandbox->goal == CL_GOAL_UP)
            sandbox->goal = CL_GOAL_OFF;
    }
    cl_sandbox_emit(sandbox, CLOISTER_EVENT_SANDBOX_DOWN, NULL);
    if (!destroying)
        cl_sandbox_emit_state(sandbox);
}

static void record(struct cl_sandbox *sandbox, uint32_t durability)
{
    if (sandbox->state != CLOISTER_SANDBOX_DESTROYING)
        cl_journal_write(sandbox, CL_RECORD_SANDBOX | CL_RECORD_CONTAINERS, durability, NULL, NULL, NULL);
}

/* Nothing more of its output is to be waited for. */
static void drain(struct cl_process *process)
{
    if (process->state != CLOISTER_PROCESS_EXITED)
        return;
    process->state = CLOISTER_PROCESS_DRAINED;
    emit_process(process, CLOISTER_EVENT_DRAINED);
}

static void container_down(struct cl_container *container, uint32_t cause)
{
    struct cl_sandbox *sandbox = container->sandbox;
    if (container->state == CLOISTER_CONTAINER_STOPPED)
        return;
    if (container->init)
        drain(container->init);
    container->state = CLOISTER_CONTAINER_STOPPED;
    container->ending = container->frozen = false;
    (void)cl_limits_set(&container->limits.wanted, cl_sv(NULL, 0));
    struct cloister_event event = event_of(sandbox, CLOISTER_EVENT_CONTAINER_DOWN, container);
    event.process = container->init_number;
    event.status = container->status;
    event.cause = cause;
    emit(sandbox, &event);
    cl_container_emit_state(container);
    if (!sandbox->lasting && all_stopped(sandbox))
        sandbox_down(sandbox, cause);
    /* That a stop has been reached outlives the power; an end that nobody asked for is announced again. */
    record(sandbox, container->stopping ? CLOISTER_DURABLE_POWER : CLOISTER_DURABLE_DAEMON);
    struct cl_list told;
    cl_list_init(&told);
    for (struct cl_list *node; (node = cl_list_first(&container->watchers));) {
        cl_list_remove(node);
        cl_list_append(&told, node);
    }
    for (struct cl_list *node; (node = cl_list_first(&told));) {
        struct cl_operation *watcher = CL_CONTAINER(node, struct cl_operation, waiting);
        cl_list_remove(node);
        watcher->class->down(watcher);
    }
}

/* Its end has been told, and its waiters are. */
static void settle(struct cl_process *process)
{
    if (!process)
        return;
    cl_process_answer(process, NULL);
    if (process->released && process->state != CLOISTER_PROCESS_EXITED)
        cl_process_free(process);
}

void cl_container_lost_one(struct cl_container *container)
{
    struct cl_process *init = container->init;
    if (!container->ending || cl_container_live(container) != 0 || (init && init->captured && !init->output_ended))
        return;
    container_down(container, CLOISTER_CAUSE_STOPPED);
    settle(init);
}

/* Its exit has been told. The rest must go; only then is the init drained, for they may hold its output, and the
 * container down. */
static void container_lost_init(struct cl_container *container)
{
    struct cl_process *init = container->init;
    if (container->state == CLOISTER_CONTAINER_STOPPED) {
        /* A former daemon has told and recorded the container's end; the exit is told again until it is released. */
        if (init && (!init->captured || init->output_ended))
            drain(init);
        return;
    }
    container->ending = true;
    if (cl_container_live(container) != 0) {
        record(container->sandbox, CLOISTER_DURABLE_DAEMON);
        cl_errand_kill_container(container);
    }
    cl_container_lost_one(container);
}

static void forget_disowned(struct cl_process *process)
{
    struct cl_container *container = process->container;
    cl_errand_release(process->sandbox, process->number);
    if (process->state == CLOISTER_PROCESS_STARTING)
        process->state = CLOISTER_PROCESS_LOST; /* an exec that has not come back still points at it and frees it */
    else
        cl_process_free(process);
    cl_container_lost_one(container);
}

void cl_process_exited(struct cl_process *process, const struct cloister_status *status)
{
    if (cl_process_ended(process))
        return;
    if (process->disowned) {
        forget_disowned(process);
        return;
    }
    process->state = CLOISTER_PROCESS_EXITED;
    process->status = *status;
    if (process->is_init)
        process->container->status = *status;
    log_exit(process);
    emit_process(process, CLOISTER_EVENT_EXIT);
    if (process->is_init) {
        container_lost_init(process->container);
    } else {
        if (!process->captured || process->output_ended) /* without captured output the exit is the end of it */
            drain(process);
        cl_container_lost_one(process->container);
    }
    cl_process_answer(process, NULL);
}

void cl_process_drained(struct cl_process *process)
{
    if (process->disowned)
        return;
    process->output_ended = true;
    if (process->is_init && process->container->ending) {
        cl_container_lost_one(process->container); /* it is drained when the rest has gone, too */
        return;
    }
    drain(process);
    settle(process);
}

void cl_process_forget(struct cl_process *process)
{
    process->released = true;
    if (process->state == CLOISTER_PROCESS_EXITED)
        cl_process_drained(process); /* nobody will read its output, so there is no end of it to wait for */
    else
        settle(process);
}

void cl_container_start_failed(struct cl_container *container, const struct cloister_error *err)
{
    struct cl_sandbox *sandbox = container->sandbox;
    struct cl_process *init = container->init;
    if (container->state == CLOISTER_CONTAINER_STOPPED)
        return; /* its exit has come by itself */
    cl_error_copy(&sandbox->failure, err);
    cl_errand_kill_container(container); /* if it still stands there, it must not be started later */
    if (init && !cl_process_ended(init)) {
        init->state = CLOISTER_PROCESS_LOST;
        init->status = (struct cloister_status){.kind = CLOISTER_STATUS_LOST};
    }
    container->status = (struct cloister_status){.kind = CLOISTER_STATUS_LOST};
    container_down(container, CLOISTER_CAUSE_STOPPED);
    if (init)
        cl_process_answer(init, err);
}

static void lose(struct cl_process *process, const struct cloister_status *status)
{
    if (process->disowned) {
        forget_disowned(process);
        return;
    }
    process->state = CLOISTER_PROCESS_LOST;
    process->status = *status;
    if (process->is_init)
        process->container->status = *status;
    log_exit(process);
    emit_process(process, CLOISTER_EVENT_EXIT);
}

/* Of one container, or of all. */
static void lose_processes(struct cl_sandbox *sandbox, const struct cl_container *only)
{
    struct cloister_status status = {.kind = CLOISTER_STATUS_LOST, .real_ns = cl_real_ns(), .mono_ns = cl_mono_ns()};
    CL_LIST_FOREACH(node, &sandbox->processes)
    {
        struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (!cl_process_ended(process) && !process->held && (!only || process->container == only))
            lose(process, &status);
    }
    CL_LIST_FOREACH(node, &sandbox->processes)
    {
        struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (!only || process->container == only)
            drain(process); /* what was kept of their output has gone with the keeper */
    }
}

static void settle_processes(struct cl_sandbox *sandbox, const struct cl_container *only)
{
    CL_LIST_FOREACH(node, &sandbox->processes)
    {
        struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (!only || process->container == only)
            cl_process_answer(process, NULL);
    }
    CL_LIST_FOREACH(node, &sandbox->processes)
    {
        struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (process->released && (!only || process->container == only))
            cl_process_free(process);
    }
}

void cl_container_lost(struct cl_container *container)
{
    lose_processes(container->sandbox, container);
    container_down(container, CLOISTER_CAUSE_STOPPED);
    settle_processes(container->sandbox, container);
}

void cl_sandbox_check_down(struct cl_sandbox *sandbox)
{
    if (sandbox->state != CLOISTER_SANDBOX_UP || sandbox->lasting || !all_stopped(sandbox))
        return;
    sandbox_down(sandbox, CLOISTER_CAUSE_STOPPED);
    record(sandbox, CLOISTER_DURABLE_DAEMON);
}

void cl_sandbox_lost(struct cl_sandbox *sandbox, uint32_t cause)
{
    lose_processes(sandbox, NULL);
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (!container->creating) /* that one is undone, and nobody has been told of it */
            container_down(container, cause);
    }
    if (!sandbox->down) {
        sandbox_down(sandbox, cause);
        record(sandbox, CLOISTER_DURABLE_DAEMON);
    }
    settle_processes(sandbox, NULL);
}
