/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zygote/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cloister/zygote.h>

#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/time.h"

#define HELLO_NS (5 * CL_NS_PER_S)
#define KILL_MS 1000
#define HOW_MAX 64
#define FIRST_HIGH_FD 10 /* out of the way of 0..3 */

/* [child] The last word of a child that could not become the program, in the zygote's own protocol. */
static void fail_child(int socket, const char *step)
{
    struct cloister_zygote_hello hello = {
        CLOISTER_INIT(struct cloister_zygote_hello),
        .magic = CLOISTER_ZYGOTE_MAGIC,
        .version = CLOISTER_ZYGOTE_VERSION,
        .os_errno = errno,
    };
    for (size_t i = 0; step[i] && i + 1 < sizeof(hello.step); i++)
        hello.step[i] = step[i];
    (void)send(socket, &hello, sizeof(hello), MSG_NOSIGNAL);
    _exit(127);
}

/* [child] Whatever the daemon, or whoever started it, did to signals must not reach the containers. */
static void reset_signals(void)
{
    sigset_t none;
    for (int signo = 1; signo < NSIG; signo++)
        (void)signal(signo, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * [child] 0 and 1 are /dev/null, 2 stays, 3 is the socket; the rest ends with exec. A session of its own keeps a
 * terminal's interrupt from the keepers.
 */
static void become_program(int program, int socket)
{
    static const char *const argv[] = {"cloister-keeper", "zygote", NULL};
    static const char *const envp[] = {NULL};
    reset_signals();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        fail_child(socket, "open-null");
    if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(socket, CLOISTER_ZYGOTE_FD) < 0)
        fail_child(socket, "dup");
    if (syscall(SYS_close_range, CLOISTER_ZYGOTE_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        fail_child(socket, "close-range");
    (void)umask(0022);
    if (setsid() < 0)
        fail_child(socket, "setsid");
    if (chdir("/") < 0)
        fail_child(socket, "chdir");
    (void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    fail_child(socket, "exec");
}

static int start_child(int program, const char *path, struct cl_launched *ret, struct cloister_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "socket", "make the zygote's socket");
    CL_CLOSE int ours = pair[0];
    CL_CLOSE int theirs = pair[1];
    CL_CLOSE int high_socket = fcntl(theirs, F_DUPFD_CLOEXEC, FIRST_HIGH_FD);
    CL_CLOSE int high_program = fcntl(program, F_DUPFD_CLOEXEC, FIRST_HIGH_FD);
    if (high_socket < 0 || high_program < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "socket", "duplicate the zygote's descriptors");
    pid_t pid = fork();
    if (pid < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "fork", "fork the zygote");
    if (pid == 0)
        become_program(high_program, high_socket);
    CL_CLOSE int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        int error = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return cl_error_set(err, CLOISTER_IO, error, path, "pidfd", "open the zygote's pidfd");
    }
    ret->pid = pid;
    ret->pidfd = cl_steal_fd(&pidfd);
    ret->socket = cl_steal_fd(&ours);
    return 0;
}

/* 1 = readable, 0 = deadline, negative errno. */
static int wait_readable(int fd, uint64_t deadline)
{
    for (;;) {
        uint64_t now = cl_mono_ns();
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        int left = now < deadline ? (int)((deadline - now + CL_NS_PER_MS - 1) / CL_NS_PER_MS) : 0;
        int ready = poll(&entry, 1, left);
        if (ready > 0)
            return 1;
        if (ready == 0 && left == 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
    }
}

void cl_launch_reap(int pidfd, int timeout_ms, char *ret_how, size_t size)
{
    siginfo_t info = {0};
    if (wait_readable(pidfd, cl_mono_ns() + (uint64_t)timeout_ms * CL_NS_PER_MS) != 1) {
        (void)snprintf(ret_how, size, "still running");
        return;
    }
    /* An ignored SIGCHLD lets the kernel reap: then nobody knows. */
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        (void)snprintf(ret_how, size, "unknown");
    else if (info.si_code == CLD_EXITED)
        (void)snprintf(ret_how, size, "exit status %d", info.si_status);
    else
        (void)snprintf(ret_how, size, "signal %d (%s)", info.si_status, strsignal(info.si_status));
}

static int check_hello(const struct cloister_zygote_hello *hello, size_t size, const char *path,
                       struct cloister_error *err)
{
    static const char advice[] = "install daemon and keeper from one build";
    if (size < 3 * sizeof(uint32_t) || hello->magic != CLOISTER_ZYGOTE_MAGIC)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, path, "hello",
                            "'%s' does not answer like a keeper program (%zu bytes)", path, size);
    if (hello->version != CLOISTER_ZYGOTE_VERSION)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, path, "hello",
                            "'%s' speaks zygote protocol %u, this daemon speaks %u: %s", path, hello->version,
                            CLOISTER_ZYGOTE_VERSION, advice);
    if (size != sizeof(*hello) || hello->struct_size != sizeof(*hello))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, path, "hello",
                            "'%s' sends a hello of %zu bytes that says %u, this daemon expects %zu: %s", path, size,
                            hello->struct_size, sizeof(*hello), advice);
    if (hello->os_errno != 0)
        return cl_error_set(err, CLOISTER_IO, hello->os_errno, path, "hello", "'%s' could not start: %.*s", path,
                            (int)strnlen(hello->step, sizeof(hello->step)), hello->step);
    return 0;
}

static int await_hello(const struct cl_launched *launched, const char *path, struct cloister_error *err)
{
    struct cloister_zygote_hello hello = {0};
    int ready = wait_readable(launched->socket, cl_mono_ns() + HELLO_NS);
    if (ready < 0)
        return cl_error_set(err, CLOISTER_IO, -ready, path, "hello", "wait for the hello of '%s'", path);
    if (ready == 0)
        return cl_error_set(err, CLOISTER_DEADLINE, 0, path, "hello", "'%s' did not say hello within 5 s", path);
    /* MSG_TRUNC: the packet's own length, so that one too long is not taken for a good one. */
    ssize_t got = recv(launched->socket, &hello, sizeof(hello), MSG_TRUNC);
    if (got > 0)
        return check_hello(&hello, (size_t)got, path, err);
    char how[HOW_MAX];
    cl_launch_reap(launched->pidfd, KILL_MS, how, sizeof(how));
    return cl_error_set(err, CLOISTER_PROTOCOL, 0, path, "hello", "'%s' ended before its hello: %s", path, how);
}

int cl_launch(int program, const char *path, struct cl_launched *ret, struct cloister_error *err)
{
    struct cl_launched launched;
    char how[HOW_MAX];
    int result = start_child(program, path, &launched, err);
    if (result < 0)
        return result;
    result = await_hello(&launched, path, err);
    if (result == 0) {
        *ret = launched;
        return 0;
    }
    (void)pidfd_send_signal(launched.pidfd, SIGKILL, NULL, 0);
    cl_launch_reap(launched.pidfd, KILL_MS, how, sizeof(how));
    cl_closep(&launched.socket);
    cl_closep(&launched.pidfd);
    return result;
}
