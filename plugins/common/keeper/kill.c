/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill.c - signals. We are the parent and reap in this same thread, so a number we know cannot be another's while we
 * use it; the members of a group that are not our children may be gone, and then the signal finds nobody in our own pid
 * namespace but them.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/keeper/sandbox.h"

static int send_one(pid_t pid, int signal)
{
    return kill(pid, signal) < 0 ? -errno : 0;
}

static struct cl_wire_record *live(struct cl_sandbox *sandbox, uint64_t pseq)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, pseq);

    return record != NULL && record->state != CL_WIRE_EXITED && record->pid != 0 ? record : NULL;
}

static void expect_kill(struct cl_sandbox *sandbox, uint64_t container_id, int signal)
{
    struct cl_container *container = cl_container_find(&sandbox->containers, container_id);

    if (container != NULL && signal == SIGKILL)
        cl_container_oom_reset(container);
}

static int kill_process(struct cl_sandbox *sandbox, uint64_t pseq, int signal, int group)
{
    const struct cl_wire_record *record = live(sandbox, pseq);

    if (record == NULL)
        return -ESRCH;
    expect_kill(sandbox, record->container, signal);
    if (group && getpgid((pid_t)record->pid) == (pid_t)record->pid)
        return send_one(-(pid_t)record->pid, signal);
    return send_one((pid_t)record->pid, signal);
}

/* Only what the keeper itself started, where nothing says who else is in it. */
static int known_members(const struct cl_sandbox *sandbox, uint64_t container, pid_t **ret_pids)
{
    pid_t *pids = calloc(sandbox->records.count + 1, sizeof(pid_t));
    int n = 0;

    if (pids == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < sandbox->records.count; i++) {
        const struct cl_wire_record *record = &sandbox->records.item[i];

        if (record->container == container && record->state != CL_WIRE_EXITED && record->pid != 0)
            pids[n++] = (pid_t)record->pid;
    }
    *ret_pids = pids;
    return n;
}

static int contains(const pid_t *pids, int n, pid_t pid)
{
    for (int i = 0; i < n; i++)
        if (pids[i] == pid)
            return 1;
    return 0;
}

/* Whoever joined its pid namespace lives there too, and is none of it. Returns how many are left. */
static int leave_out_guests(const struct cl_sandbox *sandbox, const struct cl_container *container, pid_t *pids, int n)
{
    for (uint32_t i = 0; i < CL_WIRE_CONTAINERS_MAX; i++) {
        const struct cl_container *guest = &sandbox->containers.item[i];
        pid_t *its = NULL;
        int left = 0;

        if (guest->id == 0 || guest->joined != container->id || !(guest->join_ns & CLONE_NEWPID))
            continue;
        int count = cl_container_members(guest, sandbox->proc, &its);

        if (count == -ENOTSUP)
            count = known_members(sandbox, guest->id, &its);
        for (int k = 0; k < n; k++)
            if (!contains(its, count, pids[k]))
                pids[left++] = pids[k];
        free(its);
        n = left;
    }
    return n;
}

static int members(const struct cl_sandbox *sandbox, const struct cl_container *container, pid_t **ret_pids)
{
    int n = cl_container_members(container, sandbox->proc, ret_pids);

    if (n > 0 && container->own_pids)
        n = leave_out_guests(sandbox, container, *ret_pids, n);
    return n == -ENOTSUP ? known_members(sandbox, container->id, ret_pids) : n;
}

/* One round; the number of processes that were not in the round before. Replaces *io_before. */
static int round_of(const struct cl_sandbox *sandbox, const struct cl_container *container, int signal, pid_t spare,
                    pid_t **io_before, int *io_count)
{
    pid_t *pids = NULL;
    int n = members(sandbox, container, &pids);
    int fresh = 0;

    if (n < 0)
        return n;
    for (int i = 0; i < n; i++) {
        if (pids[i] == spare || pids[i] == getpid() || contains(*io_before, *io_count, pids[i]))
            continue;
        if (send_one(pids[i], signal) == 0)
            fresh++;
    }
    free(*io_before);
    *io_before = pids;
    *io_count = n;
    return fresh;
}

/* A fork bomb makes new ones while we count: SIGKILL goes round until a round finds nobody new. */
static int kill_all(const struct cl_sandbox *sandbox, const struct cl_container *container, int signal, pid_t spare,
                    uint32_t *ret_count)
{
    pid_t *before = NULL;
    int count = 0;
    int r = 0;

    for (int round = 0; round < (signal == SIGKILL ? 1000 : 1); round++) {
        r = round_of(sandbox, container, signal, spare, &before, &count);
        if (r <= 0)
            break;
        *ret_count += (uint32_t)r;
    }
    free(before);
    return r < 0 ? r : 0;
}

void cl_kill_members(struct cl_sandbox *sandbox, struct cl_container *container)
{
    uint32_t count = 0;

    cl_container_oom_reset(container);
    if (!container->own_pids)
        kill_all(sandbox, container, SIGKILL, 0, &count);
}

static int kill_container(struct cl_sandbox *sandbox, const struct cl_wire_signal *signal, uint32_t *ret_count)
{
    struct cl_container *container = cl_container_find(&sandbox->containers, signal->target);
    const struct cl_wire_record *init = container && signal->target ? live(sandbox, container->init) : NULL;
    int r;

    if (container == NULL || signal->target == 0 || (init == NULL && container->down))
        return -ESRCH;
    expect_kill(sandbox, container->id, signal->signal);
    /* The kernel takes everything in a pid namespace with its init, children being forked included. */
    if (signal->scope == CL_WIRE_SCOPE_INIT ||
        (signal->scope == CL_WIRE_SCOPE_ALL && container->own_pids && signal->signal == SIGKILL)) {
        r = init ? send_one((pid_t)init->pid, signal->signal) : -ESRCH;
        *ret_count = r == 0;
        return r;
    }
    pid_t spare = signal->scope == CL_WIRE_SCOPE_ALL_BUT_INIT && init ? (pid_t)init->pid : 0;

    r = kill_all(sandbox, container, signal->signal, spare, ret_count);
    return r == 0 && *ret_count == 0 && signal->scope == CL_WIRE_SCOPE_ALL ? -ESRCH : r;
}

int cl_kill(struct cl_sandbox *sandbox, const struct cl_wire_signal *signal, uint32_t *ret_count)
{
    int r;

    *ret_count = 0;
    if (signal->signal < 0 || signal->signal > 64 || signal->scope > CL_WIRE_SCOPE_ALL_BUT_INIT)
        return -EINVAL;
    if (signal->scope >= CL_WIRE_SCOPE_INIT)
        return kill_container(sandbox, signal, ret_count);
    r = kill_process(sandbox, signal->target, signal->signal, signal->scope == CL_WIRE_SCOPE_GROUP);
    *ret_count = r == 0;
    return r;
}
