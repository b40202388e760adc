/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/slip.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/keeper/fd.h"

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct ucred))];
};

static int put(int sock, pid_t pid)
{
    struct ucred who = {.pid = pid};
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    union control control = {.bytes = {0}};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN(sizeof(who));
    memcpy(CMSG_DATA(c), &who, sizeof(who));
    return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The packet stays in the queue of the one end when the other is closed. */
int cl_slip_make(pid_t pid, int *ret_fd)
{
    int pair[2];
    int on = 1;

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    CL_CLOSE int reader = pair[0];
    CL_CLOSE int writer = pair[1];

    if (setsockopt(reader, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return -errno;
    int r = put(writer, pid);

    if (r == 0)
        *ret_fd = cl_steal_fd(&reader);
    return r;
}

pid_t cl_slip_read(int fd)
{
    struct ucred who = {0};
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    union control control;
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};

    if (recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return -errno;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
        c->cmsg_len != CMSG_LEN(sizeof(who)))
        return -EBADMSG;
    memcpy(&who, CMSG_DATA(c), sizeof(who));
    return who.pid > 0 ? who.pid : -ESRCH;
}
