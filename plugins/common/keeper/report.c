/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the short packets between a keeper and a process it is setting up. */
#include "common/keeper/report.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CL_REPORT_FDS_MAX * sizeof(int))];
};

int cl_report_send(int sock, const struct cl_report *report, const int *fds, uint32_t n)
{
    struct cl_report copy = *report;
    struct iovec part = {.iov_base = &copy, .iov_len = sizeof(copy)};
    union control control;
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

    if (n > CL_REPORT_FDS_MAX)
        return -E2BIG;
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
            return -errno;
    }
}

static void take_fds(struct msghdr *msg, int *ret_fds)
{
    uint32_t taken = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n && taken < CL_REPORT_FDS_MAX; i++)
            memcpy(&ret_fds[taken++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

int cl_report_recv(int sock, struct cl_report *ret_report, int *ret_fds)
{
    struct iovec part = {.iov_base = ret_report, .iov_len = sizeof(*ret_report)};
    union control control;
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t n;

    for (uint32_t i = 0; i < CL_REPORT_FDS_MAX; i++)
        ret_fds[i] = -1;
    /* ECONNRESET, once, if the peer has died with words of ours unread: what it said before is still to be had. */
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EPIPE;
    take_fds(&msg, ret_fds);
    if ((size_t)n != sizeof(*ret_report) || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
        for (uint32_t i = 0; i < CL_REPORT_FDS_MAX; i++)
            if (ret_fds[i] >= 0)
                close(ret_fds[i]);
        return -EBADMSG;
    }
    ret_report->step[CL_WIRE_STEP_MAX - 1] = '\0';
    ret_report->detail[CL_WIRE_DETAIL_MAX - 1] = '\0';
    return 0;
}
