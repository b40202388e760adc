/* SPDX-License-Identifier: Apache-2.0 */
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cloister/zygote.h>

#include "loop.h"

#define PATIENCE_S 10
#define HIGH_FD 10 /* out of the way of 0..3 */

static struct {
    pid_t pid;
    int socket;
    uint64_t serial;
} zygote = {.socket = -1};

static int seal(const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    int memory = file < 0 ? -1 : memfd_create("cloister-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory >= 0 && fstat(file, &status) == 0)
        for (off_t done = 0; done < status.st_size;) {
            ssize_t n = sendfile(memory, file, NULL, (size_t)(status.st_size - done));
            if (n <= 0)
                break;
            done += n;
        }
    if (file >= 0)
        (void)close(file);
    if (memory >= 0)
        (void)fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return memory;
}

/* [child] */
static void become(int program, int socket)
{
    static const char *const argv[] = {"cloister-keeper", "zygote", NULL}, *const envp[] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int signo = 1; signo < NSIG; signo++)
        (void)signal(signo, SIG_DFL);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(socket, CLOISTER_ZYGOTE_FD) > 0 &&
        syscall(SYS_close_range, CLOISTER_ZYGOTE_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0 && setsid() > 0 &&
        chdir("/") == 0)
        (void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    _exit(127);
}

static bool said_hello(const char *keeper)
{
    struct cloister_zygote_hello hello = {0};
    ssize_t got = recv(zygote.socket, &hello, sizeof(hello), MSG_TRUNC);
    if (got == (ssize_t)sizeof(hello) && hello.magic == CLOISTER_ZYGOTE_MAGIC &&
        hello.version == CLOISTER_ZYGOTE_VERSION && hello.os_errno == 0)
        return true;
    (void)fprintf(stderr, "'%s' does not become a zygote: %.*s: %s\n", keeper, (int)sizeof(hello.step),
                  got > 0 ? hello.step : "no hello", strerror(hello.os_errno));
    kit_zygote_end();
    return false;
}

bool kit_zygote_start(const char *keeper)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int pair[2] = {-1, -1};
    int sealed = seal(keeper);
    int program = sealed < 0 ? -1 : fcntl(sealed, F_DUPFD_CLOEXEC, HIGH_FD);
    if (program < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        (void)fprintf(stderr, "read the keeper program '%s': %s\n", keeper, strerror(errno));
        return false;
    }
    (void)close(sealed);
    int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, HIGH_FD);
    (void)close(pair[1]);
    zygote.socket = pair[0];
    (void)setsockopt(zygote.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    zygote.pid = theirs < 0 ? -1 : fork();
    if (zygote.pid == 0)
        become(program, theirs);
    (void)close(program);
    if (theirs >= 0)
        (void)close(theirs);
    return said_hello(keeper);
}

void kit_zygote_end(void)
{
    if (zygote.socket < 0)
        return;
    (void)close(zygote.socket);
    zygote.socket = -1;
    if (zygote.pid > 0)
        (void)waitpid(zygote.pid, NULL, 0);
}

/* A request that has been answered: it is told later. */
struct fork_answer {
    void (*fn)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd, int32_t socket);
    void *ctx;
    int32_t result;
    int32_t pid;
    int32_t pidfd;
    int32_t socket;
    char step[32];
};

static void tell(void *ctx)
{
    struct fork_answer *answer = ctx;
    answer->fn(answer->ctx, answer->result, answer->step, answer->pid, answer->pidfd, answer->socket);
    free(answer);
}

static int send_request(const char *role, const int32_t *fds, uint32_t count)
{
    struct cloister_zygote_fork request = {CLOISTER_INIT(struct cloister_zygote_fork), .magic = CLOISTER_ZYGOTE_MAGIC,
                                           .serial = ++zygote.serial};
    struct iovec bytes = {&request, sizeof(request)};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * CLOISTER_ZYGOTE_FDS_MAX)];
    } control = {.room = {0}};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    (void)snprintf(request.role, sizeof(request.role), "%s", role);
    control.header = (struct cmsghdr){CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
    return sendmsg(zygote.socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int receive_answer(struct fork_answer *ret)
{
    struct cloister_zygote_forked forked = {0};
    struct iovec bytes = {&forked, sizeof(forked)};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
    ssize_t got = recvmsg(zygote.socket, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (got != (ssize_t)sizeof(forked) || forked.serial != zygote.serial || (!header && !forked.os_errno))
        return -EBADMSG;
    ret->result = -forked.os_errno;
    ret->pid = forked.pid;
    memcpy(ret->step, forked.step, sizeof(ret->step));
    ret->step[sizeof(ret->step) - 1] = 0;
    if (header)
        memcpy(&ret->pidfd, CMSG_DATA(header), sizeof(int));
    return 0;
}

int32_t kit_zygote_fork(const struct cloister_host *host, const char *role, const int32_t *fds, uint32_t fd_count,
                        void (*fn)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd,
                                   int32_t socket),
                        void *ctx)
{
    int32_t all[CLOISTER_ZYGOTE_FDS_MAX];
    int pair[2];
    if (zygote.socket < 0)
        return -EOPNOTSUPP;
    if (fd_count >= CLOISTER_ZYGOTE_FDS_MAX || !*role || strlen(role) >= CLOISTER_ZYGOTE_ROLE_MAX)
        return -EINVAL;
    struct fork_answer *answer = calloc(1, sizeof(*answer));
    if (!answer || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        free(answer);
        return -ENOMEM;
    }
    *answer = (struct fork_answer){.fn = fn, .ctx = ctx, .pidfd = -1, .socket = pair[0]};
    all[0] = pair[1];
    if (fd_count)
        memcpy(all + 1, fds, fd_count * sizeof(*fds));
    int r = fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : send_request(role, all, fd_count + 1);
    (void)close(pair[1]);
    r = r < 0 ? r : receive_answer(answer);
    r = r < 0 ? r : kit_loop_api.post(host, tell, answer);
    if (r < 0 || answer->result < 0)
        (void)close(pair[0]);
    if (r < 0)
        free(answer);
    else if (answer->result < 0)
        answer->socket = -1;
    return r;
}
