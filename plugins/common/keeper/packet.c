/* SPDX-License-Identifier: Apache-2.0 */
/* packet.c - one message, one packet, with its descriptors; used by both ends. Never waits, unless the socket does. */
#include "common/keeper/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void cl_wire_init_at(void *message, uint32_t type, uint64_t serial, uint32_t version)
{
    struct cl_wire_head *head = message;

    memset(message, 0, cl_wire_message_size(type));
    head->magic = CL_WIRE_MAGIC;
    head->size = (uint32_t)cl_wire_size_at(type, version);
    head->type = type;
    head->serial = serial;
}

void cl_wire_init(void *message, uint32_t type, uint64_t serial)
{
    cl_wire_init_at(message, type, serial, CL_WIRE_VERSION);
}

int cl_wire_send(int sock, void *message, const int *fds, uint32_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CL_WIRE_FDS_MAX * sizeof(int))];
    } control;
    struct cl_wire_head *head = message;
    struct iovec part = {.iov_base = message, .iov_len = head->size};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

    if (n > CL_WIRE_FDS_MAX)
        return -E2BIG;
    head->fds = n;
    if (n > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    for (;;) {
        if (sendmsg(sock, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return errno == ECONNRESET ? -EPIPE : -errno;
    }
}

void cl_packet_clear(struct cl_packet *packet)
{
    for (uint32_t i = 0; i < packet->fd_count; i++)
        if (packet->fds[i] >= 0)
            close(packet->fds[i]);
    packet->fd_count = 0;
}

static void take_fds(struct msghdr *msg, struct cl_packet *packet)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (n > CL_WIRE_FDS_MAX - packet->fd_count)
            n = CL_WIRE_FDS_MAX - packet->fd_count; /* cannot happen: the control buffer holds no more */
        memcpy(packet->fds + packet->fd_count, CMSG_DATA(c), n * sizeof(int));
        packet->fd_count += (uint32_t)n;
    }
}

/* The kernel cuts a list of descriptors short (MSG_CTRUNC) when our limit is reached. A request without all of its own
 * is no request; an answer still tells what was done, and whoever asked sees that the descriptors are missing. */
static int is_answer(const struct cl_packet *packet)
{
    return packet->size >= sizeof(packet->u.head) && packet->u.head.type == CL_WIRE_ANSWER;
}

int cl_wire_recv(int sock, struct cl_packet *ret_packet)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CL_WIRE_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = ret_packet->u.bytes, .iov_len = sizeof(ret_packet->u.bytes)};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t n;

    ret_packet->fd_count = 0;
    /* ECONNRESET, once, if the peer has died with words of ours unread: what it said before is still to be had. */
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return -errno;
    take_fds(&msg, ret_packet);
    if (n == 0 && ret_packet->fd_count == 0)
        return -EPIPE;
    ret_packet->size = (uint32_t)n;
    if ((msg.msg_flags & MSG_CTRUNC) && is_answer(ret_packet)) {
        cl_packet_clear(ret_packet);
        ret_packet->u.head.fds = 0;
        msg.msg_flags &= ~MSG_CTRUNC;
    }
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        cl_wire_message_check(ret_packet->u.bytes, (size_t)n, ret_packet->fd_count) < 0) {
        cl_packet_clear(ret_packet);
        return -EBADMSG;
    }
    memset(ret_packet->u.bytes + n, 0, sizeof(ret_packet->u.bytes) - (size_t)n);
    return 0;
}

int cl_wire_send_request(int sock, void *message, const int *fds, uint32_t n, int plan_fd, uint32_t *io_sent)
{
    uint32_t own = plan_fd >= 0 ? 1 : 0;
    int last[CL_WIRE_FDS_MAX];

    if (n + own > CL_WIRE_STAGED_MAX)
        return -E2BIG;
    while (n - *io_sent + own > CL_WIRE_FDS_MAX) {
        struct cl_wire_simple stage;

        cl_wire_init(&stage, CL_WIRE_FDS, 0);
        int r = cl_wire_send(sock, &stage, fds + *io_sent, CL_WIRE_FDS_MAX);

        if (r < 0)
            return r;
        *io_sent += CL_WIRE_FDS_MAX;
    }
    uint32_t rest = n - *io_sent;

    if (rest > 0)
        memcpy(last, fds + *io_sent, rest * sizeof(int));
    if (own)
        last[rest] = plan_fd;
    return cl_wire_send(sock, message, last, rest + own);
}
