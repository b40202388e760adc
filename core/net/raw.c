/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/raw.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(CL_RAW_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

void cl_raw_fds_close(struct cl_raw_fds *fds)
{
    for (uint32_t i = 0; i < fds->count; i++)
        (void)close(fds->fds[i]);
    fds->count = 0;
}

static void take_fds(struct msghdr *message, struct cl_raw_fds *ret)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && ret->count < CL_RAW_FDS_MAX; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
            ret->fds[ret->count++] = fd;
        }
    }
    if (message->msg_flags & MSG_CTRUNC) {
        ret->lost = true;
        cl_raw_fds_close(ret);
    }
}

ssize_t cl_raw_receive(int fd, bool is_socket, void *buffer, size_t size, struct cl_raw_fds *ret_fds)
{
    union control control;
    struct iovec iov = {buffer, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t got;
    if (ret_fds) {
        ret_fds->count = 0;
        ret_fds->lost = false;
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    do {
        got = is_socket ? recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) : read(fd, buffer, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if (is_socket && ret_fds)
        take_fds(&message, ret_fds);
    return got;
}

ssize_t cl_raw_send(int fd, bool is_socket, const struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t sent;
    do {
        sent = is_socket ? sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) : writev(fd, iov, count);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int cl_raw_send_message(int fd, const void *data, size_t size, const int *fds, size_t fd_count)
{
    union control control;
    struct iovec iov = {(void *)data, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;
    if (fd_count > CL_RAW_FDS_MAX)
        return -E2BIG;
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
    }
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return -errno;
    return (size_t)sent == size ? 0 : -EMSGSIZE;
}
