/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - one request from the daemon, obeyed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"
#include "common/keeper/op.h"
#include "common/keeper/terminal.h"

void cl_control_answer(struct cl_sandbox *sandbox, const struct cl_packet *packet, int r, uint32_t count,
                       const int *fds, uint32_t n)
{
    struct cl_wire_answer answer;

    cl_wire_init(&answer, CL_WIRE_ANSWER, packet->u.head.serial);
    answer.request = packet->u.head.type;
    answer.os_errno = -r;
    answer.count = count;
    cl_sandbox_answer_fds(sandbox, &answer, fds, n);
}

static void do_fds(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    for (uint32_t i = 0; i < packet->fd_count && sandbox->staged_count < CL_WIRE_STAGED_MAX - CL_WIRE_FDS_MAX; i++)
        sandbox->staged[sandbox->staged_count++] = cl_steal_fd(&packet->fds[i]);
}

static void do_signal(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    uint32_t count = 0;
    int r = cl_kill(sandbox, &packet->u.signal, &count);

    cl_control_answer(sandbox, packet, r, count, NULL, 0);
}

static void do_release(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, packet->u.release.pseq);
    struct cl_container *container = record ? cl_container_find(&sandbox->containers, record->container) : NULL;
    int is_init = container != NULL && container->init == packet->u.release.pseq;
    int r = 0;

    if (record == NULL)
        r = -ENOENT;
    else if (record->state != CL_WIRE_EXITED || (is_init && !container->down))
        r = -EBUSY;
    if (r == 0) {
        if (is_init)
            cl_container_remove(container);
        cl_records_remove(&sandbox->records, record);
    }
    cl_control_answer(sandbox, packet, r, 0, NULL, 0);
}

static void do_status(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    int fd = -1;
    int r = cl_inventory_status(&sandbox->records, &fd);

    cl_control_answer(sandbox, packet, r, r < 0 ? 0 : sandbox->records.count, &fd, r < 0 ? 0 : 1);
}

static void do_cancel(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    cl_op_cancel(sandbox, &packet->u.cancel);
}

/* Answered by the loop when no child is left. A second one while the first is under way replaces it: there is one end.
 */
static void do_destroy(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    sandbox->destroying = packet->u.head.serial;
}

static void do_enter(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    struct cl_container *container = cl_container_find(&sandbox->containers, packet->u.process.pseq);
    struct cl_wire_record *record = container ? cl_records_find(&sandbox->records, container->init) : NULL;
    int fd = -1, r = 0;

    if (container == NULL || container->pidfd < 0)
        r = -ENOENT;
    else if (record == NULL || record->state == CL_WIRE_EXITED)
        r = -ESRCH;
    else if ((fd = fcntl(container->pidfd, F_DUPFD_CLOEXEC, 0)) < 0)
        r = -errno;
    cl_control_answer(sandbox, packet, r, 0, &fd, r < 0 ? 0 : 1);
}

/* Well said, but nothing that this keeper can do. */
static void refuse(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    struct cl_wire_answer answer;

    cl_wire_init(&answer, CL_WIRE_ANSWER, packet->u.head.serial);
    answer.request = packet->u.head.type;
    answer.os_errno = ENOSYS;
    snprintf(answer.step, sizeof(answer.step), "message");
    cl_sandbox_answer(sandbox, &answer, -1);
}

static const struct {
    uint32_t type;
    void (*obey)(struct cl_sandbox *sandbox, struct cl_packet *packet);
} requests[] = {
    {CL_WIRE_FDS, do_fds},
    {CL_WIRE_CREATE, cl_op_create},
    {CL_WIRE_START, cl_op_start},
    {CL_WIRE_EXEC, cl_op_exec},
    {CL_WIRE_SIGNAL, do_signal},
    {CL_WIRE_RELEASE, do_release},
    {CL_WIRE_STATUS, do_status},
    {CL_WIRE_CANCEL, do_cancel},
    {CL_WIRE_DESTROY, do_destroy},
    {CL_WIRE_LIST, cl_list},
    {CL_WIRE_TAPE, cl_tape},
    {CL_WIRE_STDIN, cl_input},
    {CL_WIRE_STDIN_CLOSE, cl_input_close},
    {CL_WIRE_POLICY, cl_policy},
    {CL_WIRE_RESIZE, cl_resize},
    {CL_WIRE_FILE_PUT, refuse},
    {CL_WIRE_PROCEED, cl_op_proceed},
    {CL_WIRE_ENTER, do_enter},
};

static int obey(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    uint32_t type = packet->u.head.type;

    if (!sandbox->known)
        return type == CL_WIRE_HELLO ? cl_hello_answer(sandbox, packet) : -EPROTO;
    if (type != CL_WIRE_FDS && packet->u.head.serial == 0)
        return -EBADMSG;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (requests[i].type != type)
            continue;
        requests[i].obey(sandbox, packet);
        return 0;
    }
    return -EBADMSG;
}

int cl_control_read(struct cl_sandbox *sandbox)
{
    struct cl_packet packet;
    int r = cl_wire_recv(sandbox->control, &packet);

    if (r < 0)
        return r;
    r = obey(sandbox, &packet);
    cl_packet_clear(&packet);
    return r;
}

int cl_control_alive(struct cl_sandbox *sandbox)
{
    struct pollfd look = {.fd = sandbox->control, .events = POLLIN};
    int r = 0;

    if (sandbox->control < 0)
        return 0;
    if (poll(&look, 1, 0) == 0 || !(look.revents & (POLLHUP | POLLERR)))
        return 1;
    while (r == 0 && sandbox->control >= 0)
        r = cl_control_read(sandbox);
    if (sandbox->control >= 0)
        cl_sandbox_lose(sandbox);
    return 0;
}
