/* SPDX-License-Identifier: Apache-2.0 */
/* do_stdio.c - which descriptors the process has: 0, 1 and 2 as the plugin said, and no other. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"
#include "common/keeper/setup.h"

static int compare(const void *a, const void *b)
{
    int left = *(const int *)a;
    int right = *(const int *)b;

    return (left > right) - (left < right);
}

void cl_close_all_but(const int *keep, size_t count)
{
    int sorted[CL_WIRE_STAGED_MAX + 16];
    unsigned int from = 3;
    size_t n = 0;

    for (size_t i = 0; i < count && n < sizeof(sorted) / sizeof(sorted[0]); i++)
        if (keep[i] >= 3)
            sorted[n++] = keep[i];
    qsort(sorted, n, sizeof(sorted[0]), compare);
    for (size_t i = 0; i < n; i++) {
        unsigned int next = (unsigned int)sorted[i];

        if (next > from)
            close_range(from, next - 1, 0);
        from = next + 1;
    }
    close_range(from, ~0U, 0);
}

/* Before the working directory is entered: no path can lead through a descriptor of the host's then. */
int cl_do_close(struct cl_setup *setup)
{
    int keep[5] = {setup->status, setup->null, -1, -1, -1};

    for (int i = 0; i < 3; i++) {
        setup->std[i] = setup->stdio[i].kind == CL_WIRE_STDIO_DESCRIPTOR ? setup->fds[setup->stdio[i].fd] : -1;
        keep[2 + i] = setup->std[i];
    }
    cl_close_all_but(keep, 5);
    setup->fds = NULL;
    setup->fd_count = 0;
    setup->proc = -1;
    setup->init = -1;
    return 0;
}

/* As pid 1 of its namespace a process without a handler never sees SIGTERM. */
static void end_blocked(int signal)
{
    _exit(128 + signal);
}

int cl_do_block(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_BLOCKED};
    struct sigaction action = {.sa_handler = end_blocked};
    int r;

    if (!setup->blocked)
        return 0;
    sigaction(SIGTERM, &action, NULL);
    r = cl_report_send(setup->status, &report, NULL, 0);
    if (r == 0)
        r = cl_setup_wait_stdio(setup);
    action.sa_handler = SIG_DFL;
    sigaction(SIGTERM, &action, NULL);
    return r;
}

/* 0, 1 and 2 are open since the zygote's birth, so every source lies above them and no order of the three can lose one.
 */
int cl_do_stdio(struct cl_setup *setup)
{
    for (int i = 0; i < 3; i++) {
        int source = setup->stdio[i].kind == CL_WIRE_STDIO_NULL ? setup->null : setup->std[i];

        if (dup2(source, i) < 0)
            return cl_setup_detail(setup, -errno, "descriptor %d", i);
    }
    int keep = setup->status;

    cl_close_all_but(&keep, 1);
    setup->null = -1;
    return 0;
}
