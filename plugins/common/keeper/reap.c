/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reap.c - every child is collected at once.
 *
 * Signals coalesce, so one wake-up collects all. A child is looked at before it is reaped: its number is its own until
 * then, and /proc still says whether it ever execed. Children that we know become records; the rest are orphans of the
 * sandbox (we are their pid 1) or helpers, and just go.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/keeper/client.h"
#include "common/keeper/op.h"

/* A blocked init ends itself with 128 + SIGTERM, because a pid 1 cannot die of it. */
static void as_signal(const struct cl_wire_record *record, int *code, int *status)
{
    if (record->state == CL_WIRE_BLOCKED_INIT && *code == CLD_EXITED && *status == 128 + SIGTERM) {
        *code = CLD_KILLED;
        *status = SIGTERM;
    }
}

static void record_exit(struct cl_sandbox *sandbox, pid_t pid, int code, int status)
{
    struct cl_wire_record *record = cl_records_find_pid(&sandbox->records, (uint32_t)pid);
    struct cl_wire_exit message;

    if (record == NULL)
        return;
    struct cl_container *container = cl_container_find(&sandbox->containers, record->container);

    as_signal(record, &code, &status);
    if (container != NULL && code != CLD_EXITED && status == SIGKILL && cl_container_oom_take(container))
        record->flags |= CL_WIRE_RECORD_OOM;
    cl_records_exit(&sandbox->records, record, code, status);
    cl_drain_exited(sandbox, record, container != NULL && container->init == record->pseq);
    cl_wire_init(&message, CL_WIRE_EXIT, 0);
    message.record = *record;
    cl_sandbox_tell(sandbox, &message);
    if (container != NULL && container->init == record->pseq)
        cl_kill_members(sandbox, container);
}

static int has_ops(const struct cl_sandbox *sandbox, uint64_t container)
{
    const struct cl_op *op = sandbox->ops;

    while (op != NULL && op->container != container)
        op = op->next;
    return op != NULL;
}

static int is_empty(struct cl_sandbox *sandbox, const struct cl_container *container)
{
    pid_t *pids = NULL;

    if (cl_records_live(&sandbox->records, container->id) != 0 || has_ops(sandbox, container->id))
        return 0;
    int n = container->own_pids ? 0 : cl_container_members(container, sandbox->proc, &pids);

    free(pids);
    return n <= 0;
}

static void tell_down(struct cl_sandbox *sandbox)
{
    struct cl_wire_down message;

    for (uint32_t i = 0; i < CL_WIRE_CONTAINERS_MAX; i++) {
        struct cl_container *container = &sandbox->containers.item[i];
        const struct cl_wire_record *init = container->id ? cl_records_find(&sandbox->records, container->init) : NULL;

        if (init == NULL || init->state != CL_WIRE_EXITED || container->down || !is_empty(sandbox, container))
            continue;
        container->down = 1;
        cl_drain_empty(sandbox, container);
        cl_wire_init(&message, CL_WIRE_DOWN, 0);
        message.container = container->id;
        cl_sandbox_tell(sandbox, &message);
    }
}

int cl_reap(struct cl_sandbox *sandbox)
{
    int none = 0;

    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0) {
            none = errno == ECHILD;
            break;
        }
        if (info.si_pid == 0)
            break;
        int ran = cl_op_child_died(sandbox, info.si_pid, info.si_code, info.si_status);

        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | __WALL);
        if (ran)
            record_exit(sandbox, info.si_pid, info.si_code, info.si_status);
        cl_op_reaped(sandbox, info.si_pid);
    }
    tell_down(sandbox);
    return none;
}
