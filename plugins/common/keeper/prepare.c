/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.c - what the keeper does to a process that waits for it: id maps and id-mapped trees (idmap.c), the OOM
 * score, limits, priorities.
 *
 * The process itself may not: it lives in the new user namespace, and these take rights in the host's.
 */
#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/idmap.h"
#include "common/keeper/procfs.h"

__attribute__((format(printf, 4, 5))) static int failed(struct cl_op *op, int r, const char *step, const char *format,
                                                        ...)
{
    char detail[CL_WIRE_DETAIL_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    cl_op_fail(op, -r, step, detail);
    return r;
}

static int oom_score(struct cl_sandbox *sandbox, struct cl_op *op)
{
    char path[48];
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", op->plan->oom_score_adj);

    if (!(op->plan->flags & CL_WIRE_PLAN_OOM_SCORE))
        return 0;
    snprintf(path, sizeof(path), "%d/oom_score_adj", op->child);
    int r = cl_procfs_write(sandbox->proc, path, text, (size_t)n);

    return r < 0 ? failed(op, r, "oom-score", "%s%s", text, r == -EACCES ? ", below what this host allows" : "") : 0;
}

int cl_prepare(struct cl_sandbox *sandbox, struct cl_op *op)
{
    int r = cl_idmap_process(sandbox, op);

    if (r == 0)
        r = cl_idmap_trees(sandbox, op);
    return r == 0 ? oom_score(sandbox, op) : r;
}

static const char *limit_name(uint32_t resource)
{
    static const char *const names[] = {
        "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
        "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
    };

    return resource < sizeof(names) / sizeof(names[0]) ? names[resource] : "?";
}

int cl_prepare_rlimits(struct cl_op *op)
{
    const struct cl_wire_rlimit *limit = cl_wire_items(op->plan, CL_WIRE_RLIMITS);

    for (uint32_t i = 0; i < op->plan->section[CL_WIRE_RLIMITS].count; i++) {
        struct rlimit wanted = {.rlim_cur = limit[i].soft, .rlim_max = limit[i].hard};
        struct rlimit now = {0};
        int resource = (int)limit[i].resource;

        if (prlimit(op->child, (__rlimit_resource_t)resource, &wanted, NULL) == 0)
            continue;
        int r = -errno;

        if (r == -EPERM && prlimit(op->child, (__rlimit_resource_t)resource, NULL, &now) == 0)
            return failed(op, r, "rlimit", "RLIMIT_%s: hard limit %llu is above the %llu of this host",
                          limit_name(limit[i].resource), (unsigned long long)limit[i].hard,
                          (unsigned long long)now.rlim_max);
        return failed(op, r, "rlimit", "RLIMIT_%s: soft %llu, hard %llu", limit_name(limit[i].resource),
                      (unsigned long long)limit[i].soft, (unsigned long long)limit[i].hard);
    }
    return 0;
}

/* What the kernel takes, in its first form; glibc 2.36 has neither the call nor the struct. */
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

static const char *policy_name(uint32_t policy)
{
    static const char *const names[] = {"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR",      "SCHED_BATCH",
                                        "SCHED_ISO",   "SCHED_IDLE", "SCHED_DEADLINE"};

    return policy < sizeof(names) / sizeof(names[0]) ? names[policy] : "?";
}

static const char *why_not(uint32_t policy, int r)
{
    if (r == -EPERM && (policy == SCHED_FIFO || policy == SCHED_RR))
        return ": its cgroup has no real-time run time (cpu.rt_runtime_us), or this host allows none";
    if (r == -EBUSY)
        return ": the CPUs have not that much time left";
    if (r == -EPERM)
        return ": this host allows none, or it must be able to run on every CPU";
    return "";
}

static int set_scheduler(struct cl_op *op)
{
    const struct cl_wire_sched *sched = &op->plan->sched;
    struct scheduling attr = {
        .size = sizeof(attr),
        .policy = sched->policy,
        .flags = sched->flags,
        .nice = sched->nice ? sched->nice : op->plan->nice,
        .priority = sched->priority,
        .runtime = sched->runtime,
        .deadline = sched->deadline,
        .period = sched->period,
    };

    if (syscall(SYS_sched_setattr, op->child, &attr, 0) == 0)
        return 0;
    int r = -errno;

    return failed(op, r, "scheduler", "%s%s", policy_name(sched->policy), why_not(sched->policy, r));
}

int cl_prepare_priority(struct cl_op *op)
{
    uint32_t io = op->plan->io_priority;

    if ((op->plan->flags & CL_WIRE_PLAN_IO_PRIORITY) &&
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, op->child, (int)io) < 0)
        return failed(op, -errno, "io-priority", "class %u, level %u", io >> IOPRIO_CLASS_SHIFT,
                      (uint32_t)(io & IOPRIO_PRIO_MASK));
    return op->plan->flags & CL_WIRE_PLAN_SCHEDULER ? set_scheduler(op) : 0;
}
