/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.c - one small process, started before the daemon has threads or plugins, that forks keepers on request, and
 * parents of helper programs.
 *
 * What a keeper is, it has inherited from here: the minimal mount namespace (nest.h), no supplementary groups, not
 * dumpable. The bytes are those of <cloister/zygote.h>. Its children live on when it ends, and it never waits for them:
 * SIGCHLD is ignored, so the kernel reaps; whoever cares holds the pidfd.
 */
#include "common/keeper/zygote.h"

#include <cloister/zygote.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/helper.h"
#include "common/keeper/kernel.h"
#include "common/keeper/nest.h"
#include "common/keeper/sandbox.h"

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CLOISTER_ZYGOTE_FDS_MAX * sizeof(int))];
};

struct request {
    struct cloister_zygote_fork fork;
    int fds[CLOISTER_ZYGOTE_FDS_MAX];
    size_t fd_count;
    ssize_t size;
};

static int send_packet(const void *data, size_t size, const int *fd)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;

    if (fd != NULL) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), fd, sizeof(int));
    }
    for (;;) {
        if (sendmsg(CLOISTER_ZYGOTE_FD, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static int say_hello(int r, const char *step)
{
    struct cloister_zygote_hello hello = {
        CLOISTER_INIT(struct cloister_zygote_hello),
        .magic = CLOISTER_ZYGOTE_MAGIC,
        .version = CLOISTER_ZYGOTE_VERSION,
        .os_errno = -r,
        .pid = getpid(),
    };

    snprintf(hello.step, sizeof(hello.step), "%s", step);
    return send_packet(&hello, sizeof(hello), NULL);
}

static int answer(const struct request *request, int r, const char *step, pid_t pid, int pidfd)
{
    struct cloister_zygote_forked forked = {
        CLOISTER_INIT(struct cloister_zygote_forked),
        .magic = CLOISTER_ZYGOTE_MAGIC,
        .serial = request->fork.serial,
        .os_errno = -r,
        .pid = pid,
    };

    snprintf(forked.step, sizeof(forked.step), "%s", step);
    return send_packet(&forked, sizeof(forked), r == 0 ? &pidfd : NULL);
}

static void close_fds(struct request *request)
{
    for (size_t i = 0; i < request->fd_count; i++)
        cl_drop_fd(&request->fds[i]);
    request->fd_count = 0;
}

/* 0; -EPIPE at the end. */
static int receive(struct request *request)
{
    union control control;
    struct iovec part = {.iov_base = &request->fork, .iov_len = sizeof(request->fork)};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};

    memset(request, 0, sizeof(*request));
    do
        request->size = recvmsg(CLOISTER_ZYGOTE_FD, &msg, MSG_CMSG_CLOEXEC);
    while (request->size < 0 && errno == EINTR);
    if (request->size <= 0)
        return -EPIPE;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        request->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(request->fds, CMSG_DATA(c), request->fd_count * sizeof(int));
    }
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        request->size = 0; /* refused by check() */
    return 0;
}

static int is_helper(const struct request *request)
{
    return strcmp(request->fork.role, CLOISTER_ZYGOTE_HELPER_ROLE) == 0;
}

static int check(const struct request *request)
{
    const struct cloister_zygote_fork *f = &request->fork;

    if (request->size != (ssize_t)sizeof(*f) || f->struct_size != sizeof(*f) || f->magic != CLOISTER_ZYGOTE_MAGIC ||
        memchr(f->role, '\0', sizeof(f->role)) == NULL || request->fd_count == 0)
        return -EBADMSG;
    return strcmp(f->role, "sandbox") == 0 || is_helper(request) ? 0 : -ENOTSUP;
}

/* In the new process: nothing is left of the zygote but its nest. */
static int become(struct request *request)
{
    int control = cl_steal_fd(&request->fds[0]);

    signal(SIGCHLD, SIG_DFL);
    close(CLOISTER_ZYGOTE_FD);
    if (is_helper(request))
        return cl_helper_run(control, request->fds + 1, request->fd_count - 1);
    close_fds(request);
    return cl_sandbox_run(control);
}

/* 1: we are the new process, which has run to its end; *ret_code is its exit code. */
static int serve(struct request *request, int *ret_code)
{
    CL_CLOSE int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    int r = check(request);
    const char *step = r < 0 ? "request" : "clone";

    if (r == 0 && is_helper(request)) /* its program sees the host as it is */
        args.flags = CLONE_PIDFD;
    pid_t pid = r < 0 ? r : cl_clone3(&args);

    if (pid == 0) {
        pidfd = -1;
        *ret_code = become(request);
        return 1;
    }
    r = answer(request, pid < 0 ? pid : 0, pid < 0 ? step : "forked", pid < 0 ? 0 : pid, pidfd);
    if (r < 0 && pid > 0) { /* no memory for the message: the daemon learns of none that lives */
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        r = answer(request, r, "forked", 0, -1);
    }
    close_fds(request);
    return r;
}

int cl_zygote_run(void)
{
    struct request request;
    const char *step;
    int code = 0;
    int r;

    prctl(PR_SET_NAME, "cl-zygote", 0, 0, 0);
    signal(SIGCHLD, SIG_IGN);
    if (fcntl(CLOISTER_ZYGOTE_FD, F_SETFD, FD_CLOEXEC) < 0)
        return 1;
    step = "groups";
    r = syscall(SYS_setgroups, (size_t)0, NULL) < 0 ? -errno : cl_nest_make(&step);
    if (r < 0) {
        say_hello(r, step);
        return 1;
    }
    close_range(CLOISTER_ZYGOTE_FD + 1, ~0U, 0);
    r = say_hello(0, "ready");
    while (r == 0 && receive(&request) == 0)
        r = serve(&request, &code);
    return r < 0 ? 1 : code;
}
