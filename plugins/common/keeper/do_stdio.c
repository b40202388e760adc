/* SPDX-License-Identifier: Apache-2.0 */
/* do_stdio.c - which descriptors the process has: 0, 1, 2 and the further ones as the plugin said, and no other. */
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
    int keep[6 + CL_WIRE_EXTRA_MAX] = {setup->status, setup->null, setup->terminal};
    size_t n = 3;

    for (int i = 0; i < 3; i++) {
        setup->std[i] = setup->stdio[i].kind == CL_WIRE_STDIO_DESCRIPTOR ? setup->fds[setup->stdio[i].fd] : -1;
        keep[n++] = setup->std[i];
    }
    for (uint32_t i = 0; i < setup->extra_count; i++) {
        setup->extra[i].fd = (uint32_t)setup->fds[setup->extra[i].fd];
        keep[n++] = (int)setup->extra[i].fd;
    }
    cl_close_all_but(keep, n);
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

static int is_wanted(const struct cl_setup *setup, int number)
{
    for (uint32_t i = 0; i < setup->extra_count; i++)
        if (setup->extra[i].number == (uint32_t)number)
            return 1;
    return 0;
}

/* What has a number that another one is to get takes a number that nobody wants. */
static int step_aside(const struct cl_setup *setup, int fd)
{
    while (fd >= 0 && is_wanted(setup, fd)) {
        int from = fd;

        do
            from++;
        while (is_wanted(setup, from));
        fd = fcntl(fd, F_DUPFD_CLOEXEC, from);
    }
    return fd < 0 ? -errno : fd;
}

static int place_extras(struct cl_setup *setup)
{
    int keep[CL_WIRE_EXTRA_MAX + 1];
    size_t n = 0;
    int fd = step_aside(setup, setup->status);

    if (fd < 0)
        return fd;
    setup->status = fd;
    keep[n++] = fd;
    for (uint32_t i = 0; i < setup->extra_count; i++) {
        fd = step_aside(setup, (int)setup->extra[i].fd);
        if (fd < 0)
            return cl_setup_detail(setup, fd, "descriptor %u", setup->extra[i].number);
        setup->extra[i].fd = (uint32_t)fd;
    }
    for (uint32_t i = 0; i < setup->extra_count; i++) {
        if (dup2((int)setup->extra[i].fd, (int)setup->extra[i].number) < 0)
            return cl_setup_detail(setup, -errno, "descriptor %u", setup->extra[i].number);
        keep[n++] = (int)setup->extra[i].number;
    }
    cl_close_all_but(keep, n);
    return 0;
}

static int source_of(const struct cl_setup *setup, int i)
{
    switch (setup->stdio[i].kind) {
    case CL_WIRE_STDIO_NULL:
        return setup->null;
    case CL_WIRE_STDIO_TERMINAL:
        return setup->terminal;
    default:
        return setup->std[i];
    }
}

/* 0, 1 and 2 are open since the zygote's birth, so every source lies above them and no order of the three can lose one.
 */
int cl_do_stdio(struct cl_setup *setup)
{
    for (int i = 0; i < 3; i++)
        if (dup2(source_of(setup, i), i) < 0)
            return cl_setup_detail(setup, -errno, "descriptor %d", i);
    int r = place_extras(setup);

    setup->null = -1;
    setup->terminal = -1;
    return r;
}
