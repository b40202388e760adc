/* SPDX-License-Identifier: Apache-2.0 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define HIGH_FD 64 /* out of the way of the program's */
#define FDS_MAX 32u
#define STRINGS_MAX 64u

static char directory[PATH_MAX];

/* A program that runs, or could not be run. */
struct helper {
    void (*started)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd);
    void (*exited)(void *ctx, const struct cloister_status *status);
    void *ctx;
    int result;
    pid_t pid;
    int pidfd;
    cloister_watch *watch;
};

/* What the child needs, made before the fork. */
struct program {
    char path[PATH_MAX + 128];
    char *argv[STRINGS_MAX + 1];
    char *env[STRINGS_MAX + 1];
};

void kit_helper_directory(const char *path)
{
    /* Helpers run in "/": a relative path would be another one there. */
    if (!realpath(path, directory))
        directory[0] = 0;
}

static bool copy_strings(char **to, const struct cloister_sv *from, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < STRINGS_MAX; i++)
        if (!(to[i] = strndup(from[i].size ? from[i].data : "", from[i].size)))
            return false;
    return count <= STRINGS_MAX;
}

static void free_program(struct program *program)
{
    for (unsigned i = 0; i < STRINGS_MAX; i++) {
        free(program->argv[i]);
        free(program->env[i]);
    }
    free(program);
}

static struct program *make_program(const struct cloister_helper_args *args)
{
    struct program *program = calloc(1, sizeof(*program));
    if (!program)
        return NULL;
    (void)snprintf(program->path, sizeof(program->path), "%s/%.*s", directory, (int)args->program.size,
                   args->program.data);
    if (args->fd_count <= FDS_MAX && copy_strings(program->argv, args->argv, args->argv_count) &&
        copy_strings(program->env, args->env, args->env_count))
        return program;
    free_program(program);
    return NULL;
}

/* [child] */
static void become(const struct program *program, const struct cloister_helper_args *args, int report)
{
    int high[FDS_MAX], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool good = null >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && setpgid(0, 0) == 0 && chdir("/") == 0;
    report = fcntl(report, F_DUPFD_CLOEXEC, HIGH_FD + (int)FDS_MAX);
    if (!(args->flags & CLOISTER_HELPER_PRIVILEGES))
        good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    (void)signal(SIGPIPE, SIG_DFL);
    for (uint64_t i = 0; i < args->fd_count; i++)
        good = good && (high[i] = fcntl(args->fds[i], F_DUPFD_CLOEXEC, HIGH_FD)) >= 0;
    for (int i = 0; i < 3; i++)
        good = good && dup2(null, i) == i;
    for (uint64_t i = 0; good && i < args->fd_count; i++)
        good = dup2(high[i], (int)i) == (int)i;
    unsigned first = args->fd_count > 3 ? (unsigned)args->fd_count : 3u;
    if (good && syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        (void)execve(program->path, program->argv, program->env);
    int error = errno;
    (void)!write(report, &error, sizeof(error));
    _exit(127);
}

/* 0, or why it does not run. */
static int run(const struct program *program, const struct cloister_helper_args *args, struct helper *helper)
{
    int ends[2], error = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    helper->pid = fork();
    if (helper->pid == 0)
        become(program, args, ends[1]);
    (void)close(ends[1]);
    bool failed = helper->pid < 0 || read(ends[0], &error, sizeof(error)) == (ssize_t)sizeof(error);
    (void)close(ends[0]);
    helper->pidfd = failed ? -1 : pidfd_open(helper->pid, 0);
    if (failed && helper->pid > 0)
        (void)waitpid(helper->pid, NULL, 0);
    return failed ? -(error ? error : EAGAIN) : helper->pidfd < 0 ? -errno : 0;
}

static void on_end(void *ctx, int32_t fd, uint32_t events)
{
    struct helper *helper = ctx;
    siginfo_t info = {0};
    struct cloister_status status = {
        .kind = CLOISTER_STATUS_LOST, .real_ns = kit_now_ns(CLOCK_REALTIME), .mono_ns = kit_now_ns(CLOCK_MONOTONIC)};
    (void)events;
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
        status.kind = info.si_code == CLD_EXITED ? CLOISTER_STATUS_EXITED : CLOISTER_STATUS_SIGNALED;
        status.value = (uint32_t)info.si_status;
    }
    kit_loop_api.watch_close(helper->watch, NULL, NULL);
    (void)close(helper->pidfd);
    helper->exited(helper->ctx, &status);
    free(helper);
}

static void tell_started(void *ctx)
{
    struct helper *helper = ctx;
    int theirs = helper->result < 0 ? -1 : fcntl(helper->pidfd, F_DUPFD_CLOEXEC, 0);
    helper->started(helper->ctx, helper->result, helper->result < 0 ? "exec" : "", helper->result < 0 ? 0 : helper->pid,
                    theirs);
    if (helper->result < 0)
        free(helper);
    else if (kit_loop_api.watch_open(NULL, helper->pidfd, CLOISTER_READABLE, on_end, helper, &helper->watch) < 0)
        abort(); /* the kit itself has no room: no verdict on a plugin */
}

int32_t kit_helper_spawn(const struct cloister_host *host, const struct cloister_helper_args *args,
                         struct cloister_error *err)
{
    if (args->program.size == 0 || memchr(args->program.data, '/', args->program.size)) {
        host->log->error_set(err, CLOISTER_DENIED, 0, "program", "helper",
                             "the kit runs helper programs of its own only");
        return -1;
    }
    struct program *program = make_program(args);
    struct helper *helper = calloc(1, sizeof(*helper));
    if (program && helper) {
        *helper = (struct helper){.started = args->started, .exited = args->exited, .ctx = args->ctx, .pidfd = -1};
        helper->result = run(program, args, helper);
        free_program(program);
        if (kit_loop_api.post(host, tell_started, helper) < 0)
            abort();
        return 0;
    }
    if (program)
        free_program(program);
    free(helper);
    host->log->error_set(err, CLOISTER_INVALID, 0, "argv", "helper", "too many words, variables or descriptors");
    return -1;
}
