/* SPDX-License-Identifier: Apache-2.0 */
/* do_namespaces.c - joining, entering and making namespaces, and the process in them. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"
#include "common/keeper/procfs.h"
#include "common/keeper/setup.h"

int cl_in_user_namespace(const struct cl_setup *setup)
{
    return ((setup->plan->ns_new | setup->join_ns) & CLONE_NEWUSER) ||
           setup->plan->ns_join[CL_WIRE_NS_USER] != CL_WIRE_NO_FD;
}

/* As host root we may join any of them; the user namespace is left for later, because it takes that right away. */
int cl_do_join(struct cl_setup *setup)
{
    static const struct {
        uint32_t ns;
        int type;
        const char *name;
    } order[] = {
        {CL_WIRE_NS_NET, CLONE_NEWNET, "net"},    {CL_WIRE_NS_IPC, CLONE_NEWIPC, "ipc"},
        {CL_WIRE_NS_UTS, CLONE_NEWUTS, "uts"},    {CL_WIRE_NS_CGROUP, CLONE_NEWCGROUP, "cgroup"},
        {CL_WIRE_NS_TIME, CLONE_NEWTIME, "time"}, {CL_WIRE_NS_PID, CLONE_NEWPID, "pid"},
        {CL_WIRE_NS_MOUNT, CLONE_NEWNS, "mount"},
    };

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        uint32_t index = setup->plan->ns_join[order[i].ns];

        if (index != CL_WIRE_NO_FD && setns(setup->fds[index], order[i].type) < 0)
            return cl_setup_detail(setup, -errno, "%s namespace", order[i].name);
    }
    int shared = (int)(setup->join_ns & ~(uint64_t)CLONE_NEWUSER);

    if (shared != 0 && setns(setup->join, shared) < 0)
        return cl_setup_detail(setup, -errno, "namespaces of the other container's init");
    return 0;
}

int cl_do_join_user(struct cl_setup *setup)
{
    uint32_t index = setup->plan->ns_join[CL_WIRE_NS_USER];

    if (index != CL_WIRE_NO_FD && setns(setup->fds[index], CLONE_NEWUSER) < 0)
        return cl_setup_detail(setup, -errno, "user namespace");
    if ((setup->join_ns & CLONE_NEWUSER) && setns(setup->join, CLONE_NEWUSER) < 0)
        return cl_setup_detail(setup, -errno, "user namespace of the other container's init");
    return 0;
}

/* Our procfs shows the keeper: it does not come along into a container that already runs foreign code. */
int cl_do_enter(struct cl_setup *setup)
{
    close(setup->proc);
    setup->proc = -1;
    if (setns(setup->init, (int)setup->enter) < 0)
        return cl_setup_detail(setup, -errno, "namespaces of the container's init");
    return 0;
}

/* clone3 with CLONE_NEWTIME would make the offsets unwritable: unshare here, write, and the clone that follows is born
 * in it. */
int cl_do_time(struct cl_setup *setup)
{
    const struct cl_wire_time_offset *offset = cl_wire_items(setup->plan, CL_WIRE_TIME);
    char text[128];
    int length = 0;

    if (!(setup->plan->ns_new & CLONE_NEWTIME))
        return 0;
    if (unshare(CLONE_NEWTIME) < 0)
        return cl_setup_detail(setup, -errno, "new time namespace");
    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_TIME); i++)
        length += snprintf(text + length, sizeof(text) - (size_t)length, "%s %lld %lld\n",
                           offset[i].clock == CLOCK_MONOTONIC ? "monotonic" : "boottime", (long long)offset[i].seconds,
                           (long long)offset[i].nanoseconds);
    if (length == 0)
        return 0;
    snprintf(setup->detail, sizeof(setup->detail), "clock offsets %.*s", length - 1, text);
    char path[32];

    snprintf(path, sizeof(path), "%d/timens_offsets", getpid());
    return cl_procfs_write(setup->proc, path, text, (size_t)length);
}

/* The helper's last act. CLONE_PARENT makes the keeper the parent, which may then reap it and write its id maps. */
int cl_do_clone(struct cl_setup *setup)
{
    CL_CLOSE int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PARENT | CLONE_PIDFD | (setup->plan->ns_new & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME)),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
    };
    pid_t pid = cl_clone3(&args);

    if (pid < 0)
        return cl_setup_detail(setup, pid, "new process and its namespaces");
    if (pid == 0) {
        pidfd = -1; /* the parent's; nothing is open under that number here */
        return 1;
    }
    struct cl_report report = {.kind = CL_REPORT_CHILD, .value = (uint32_t)pid};
    int r = cl_report_send(setup->status, &report, &pidfd, 1);

    if (r < 0)
        kill(pid, SIGKILL);
    return r;
}

/* After the joins, so that the namespace's root is the container's own group in every hierarchy. */
int cl_do_cgroup_namespace(struct cl_setup *setup)
{
    if ((setup->plan->ns_new & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
        return -errno;
    return 0;
}

int cl_do_hostname(struct cl_setup *setup)
{
    const char *host = cl_wire_string(setup->plan, setup->plan->hostname);
    const char *domain = cl_wire_string(setup->plan, setup->plan->domainname);

    if (host[0] != '\0' && sethostname(host, strlen(host)) < 0)
        return cl_setup_detail(setup, -errno, "host name '%s'", host);
    if (domain[0] != '\0' && setdomainname(domain, strlen(domain)) < 0)
        return cl_setup_detail(setup, -errno, "domain name '%s'", domain);
    return 0;
}
