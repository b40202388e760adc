/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.c - the parent of one host program. The daemon cannot fork, and the zygote does not wait: so each helper has a
 * parent of its own, which starts it, stays, and tells its end to whoever holds the other end of the socket. When that
 * closes, the daemon has lost interest or its life, and the program is killed with its process group; so is what is
 * left of the group when the program itself is killed.
 *
 * Nothing of ours reaches the program: it joins the host's mount namespace (we live in the nest), and has the
 * environment, the arguments and the descriptors that the description says, default signals and no core file.
 */
#include "common/keeper/helper.h"

#include <cloister/zygote.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"

#define HIGH_FD 100 /* above every number the program's own descriptors can get */

enum { FD_PROGRAM, FD_MOUNTS, FD_DESCRIPTION, FD_OWN };

struct helper {
    int control;
    const int *fds;
    size_t count; /* of the program's own */
    uint32_t flags;
    char *text; /* the description */
    const char *path;
    char **argv;
    char **env;
    pid_t parent;
};

/* What the child says of a step that failed. If it execs, the pipe ends without a word. */
struct report {
    int32_t os_errno;
    char step[28];
};

static int say(const struct helper *helper, struct cloister_zygote_helper_said *said, const int *fd)
{
    struct iovec part = {.iov_base = said, .iov_len = sizeof(*said)};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;

    said->struct_size = sizeof(*said);
    said->magic = CLOISTER_ZYGOTE_MAGIC;
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
        if (sendmsg(helper->control, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static int say_failed(const struct helper *helper, int r, const char *step)
{
    struct cloister_zygote_helper_said said = {.kind = CLOISTER_ZYGOTE_HELPER_FAILED, .os_errno = -r};

    snprintf(said.step, sizeof(said.step), "%s", step);
    say(helper, &said, NULL);
    return 1;
}

/* The next `count` strings of the description, NULL behind them; NULL: it is malformed, or memory is short. */
static char **take_strings(char **io_at, const char *end, uint32_t count)
{
    char **list;

    if (count > CLOISTER_ZYGOTE_HELPER_STRINGS_MAX)
        return NULL;
    list = calloc(count + 1, sizeof(*list));
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        char *stop = memchr(*io_at, '\0', (size_t)(end - *io_at));

        if (stop == NULL) {
            free(list);
            return NULL;
        }
        list[i] = *io_at;
        *io_at = stop + 1;
    }
    return list;
}

static int parse(struct helper *helper, size_t size)
{
    struct cloister_zygote_helper head;
    char *at = helper->text + sizeof(head), *end = helper->text + size;

    memcpy(&head, helper->text, sizeof(head));
    if (head.struct_size != sizeof(head) || head.magic != CLOISTER_ZYGOTE_MAGIC || head.size != size ||
        (head.flags & ~CLOISTER_ZYGOTE_HELPER_PRIVILEGES) != 0 || head.argv_count == 0)
        return -EBADMSG;
    char **path = take_strings(&at, end, 1);

    helper->flags = head.flags;
    helper->path = path ? path[0] : NULL;
    free(path);
    helper->argv = helper->path ? take_strings(&at, end, head.argv_count) : NULL;
    helper->env = helper->argv ? take_strings(&at, end, head.env_count) : NULL;
    return helper->env && at == end ? 0 : -EBADMSG;
}

static int read_description(struct helper *helper)
{
    struct stat st;
    int fd = helper->fds[FD_DESCRIPTION];

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)sizeof(struct cloister_zygote_helper) || st.st_size > CLOISTER_ZYGOTE_HELPER_SIZE_MAX)
        return -EBADMSG;
    helper->text = malloc((size_t)st.st_size);
    if (helper->text == NULL)
        return -ENOMEM;
    if (pread(fd, helper->text, (size_t)st.st_size, 0) != st.st_size)
        return -EBADMSG;
    return parse(helper, (size_t)st.st_size);
}

static int reset_process(void)
{
    const struct rlimit none = {0, 0};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t empty;

    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &action, NULL);
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    umask(022);
    return setrlimit(RLIMIT_CORE, &none) < 0 || setsid() < 0 ? -errno : 0;
}

/* 0, 1, 2, ... and nothing else; those that stay until exec are moved out of the way first. 0, 1 and 2 are the nest's
 * /dev/null where there is nothing to put there. */
static int place_fds(const struct helper *helper, int *io_report, int *ret_program)
{
    int high[CLOISTER_ZYGOTE_HELPER_FDS_MAX];
    unsigned keep = helper->count < 3 ? 3 : (unsigned)helper->count;

    *io_report = fcntl(*io_report, F_DUPFD_CLOEXEC, HIGH_FD);
    *ret_program = fcntl(helper->fds[FD_PROGRAM], F_DUPFD_CLOEXEC, HIGH_FD);
    if (*io_report < 0 || *ret_program < 0)
        return -errno;
    for (size_t i = 0; i < helper->count; i++)
        if ((high[i] = fcntl(helper->fds[FD_OWN + i], F_DUPFD_CLOEXEC, HIGH_FD)) < 0)
            return -errno;
    for (size_t i = 0; i < helper->count; i++)
        if (dup2(high[i], (int)i) < 0)
            return -errno;
    return close_range(keep, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

/* A script's interpreter is given a name, and the descriptor's would be closed by then: the path, if it still leads to
 * the file that was checked. */
static int exec_script(const struct helper *helper, int program)
{
    struct stat checked, named;

    if (fstat(program, &checked) < 0 || stat(helper->path, &named) < 0)
        return -errno;
    if (checked.st_dev != named.st_dev || checked.st_ino != named.st_ino)
        return -ESTALE;
    execve(helper->path, helper->argv, helper->env);
    return -errno;
}

static int exec_program(const struct helper *helper, int program)
{
    syscall(SYS_execveat, program, "", helper->argv, helper->env, AT_EMPTY_PATH);
    return errno == ENOENT ? exec_script(helper, program) : -errno;
}

/* In the child; comes back only when it fails. */
static int become(const struct helper *helper, int *io_report, const char **ret_step)
{
    int program = -1;
    int r;

    *ret_step = "parent";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    if (getppid() != helper->parent)
        return -ESRCH;
    *ret_step = "mount namespace";
    if (setns(helper->fds[FD_MOUNTS], CLONE_NEWNS) < 0 || chdir("/") < 0)
        return -errno;
    *ret_step = "groups";
    if (syscall(SYS_setgroups, (size_t)0, NULL) < 0)
        return -errno;
    *ret_step = "process";
    if ((r = reset_process()) < 0)
        return r;
    *ret_step = "privileges";
    if (!(helper->flags & CLOISTER_ZYGOTE_HELPER_PRIVILEGES) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    *ret_step = "descriptors";
    if ((r = place_fds(helper, io_report, &program)) < 0)
        return r;
    *ret_step = "exec";
    return exec_program(helper, program);
}

static void be_child(const struct helper *helper, int report)
{
    struct report word = {0};
    const char *step;

    word.os_errno = -become(helper, &report, &step);
    snprintf(word.step, sizeof(word.step), "%s", step);
    ssize_t n = write(report, &word, sizeof(word));

    _exit(n == (ssize_t)sizeof(word) ? 127 : 126);
}

static int start(const struct helper *helper, pid_t *ret_pid, int *ret_pidfd, int *ret_report)
{
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)ret_pidfd, .exit_signal = SIGCHLD};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = cl_clone3(&args);

    if (pid == 0)
        be_child(helper, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return pid;
    }
    *ret_pid = pid;
    *ret_report = ends[0];
    return 0;
}

/* It leads its session, so its children, where they have made none of their own, die with it. Not yet reaped: the
 * number is still its own. */
static void end(pid_t pid, int pidfd)
{
    siginfo_t info;

    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    kill(-pid, SIGKILL);
    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
        continue;
}

/* The pipe has a word, or has ended: 0 it runs, 1 it does not. */
static int on_report(const struct helper *helper, int report, pid_t pid, int pidfd)
{
    struct cloister_zygote_helper_said said = {.kind = CLOISTER_ZYGOTE_HELPER_STARTED, .pid = pid};
    struct report word;
    ssize_t n = read(report, &word, sizeof(word));

    if (n == 0 && say(helper, &said, &pidfd) == 0)
        return 0;
    end(pid, pidfd);
    if (n == (ssize_t)sizeof(word)) {
        word.step[sizeof(word.step) - 1] = '\0';
        say_failed(helper, -word.os_errno, word.step);
    }
    return 1;
}

/* Who kills the program, because it is over its time for one, means what it has started as well. */
static void tell_exit(const struct helper *helper, pid_t pid, int pidfd)
{
    struct cloister_zygote_helper_said said = {.kind = CLOISTER_ZYGOTE_HELPER_EXITED};
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOWAIT) < 0)
        return; /* the socket's end tells that nobody knows */
    if (info.si_code != CLD_EXITED)
        kill(-pid, SIGKILL); /* not yet reaped: the number is still its own */
    waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
    said.pid = info.si_pid;
    said.by_signal = info.si_code != CLD_EXITED;
    said.core = info.si_code == CLD_DUMPED;
    said.value = (uint32_t)info.si_status;
    say(helper, &said, NULL);
}

/* The report comes before the exit: the pipe ends with the child at the latest. */
static int watch(const struct helper *helper, pid_t pid, int pidfd, int report)
{
    for (;;) {
        struct pollfd set[] = {{.fd = helper->control, .events = POLLIN},
                               {.fd = report, .events = POLLIN},
                               {.fd = pidfd, .events = POLLIN}};

        if (poll(set, 3, -1) < 0 && errno != EINTR)
            return 1;
        if (set[0].revents) {
            end(pid, pidfd);
            return 0;
        }
        if (report >= 0 && set[1].revents) {
            if (on_report(helper, report, pid, pidfd) != 0)
                return 1;
            cl_drop_fd(&report);
        } else if (report < 0 && set[2].revents) {
            tell_exit(helper, pid, pidfd);
            return 0;
        }
    }
}

int cl_helper_run(int control, const int *fds, size_t count)
{
    struct helper helper = {.control = control, .fds = fds, .parent = getpid()};
    pid_t pid = -1;
    int pidfd = -1, report = -1;

    prctl(PR_SET_NAME, "cl-helper", 0, 0, 0);
    setsid();
    if (count < FD_OWN || count - FD_OWN > CLOISTER_ZYGOTE_HELPER_FDS_MAX)
        return say_failed(&helper, -EBADMSG, "description");
    helper.count = count - FD_OWN;
    int r = read_description(&helper);

    if (r < 0)
        return say_failed(&helper, r, "description");
    r = start(&helper, &pid, &pidfd, &report);
    if (r < 0)
        return say_failed(&helper, r, "fork");
    for (size_t i = 0; i < count; i++)
        close(fds[i]); /* or the far ends of the program's pipes would never end */
    return watch(&helper, pid, pidfd, report);
}
