/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - programs, started as cheaply as a program can be (no copy of this one's memory) and timed to their end.
 */
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "stopwatch.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define ARGUMENTS_MAX 32u

extern char **environ;

struct command {
    char *argv[ARGUMENTS_MAX + 2]; /* the strings are the task's */
    char *name;                    /* made here, or NULL */
};

static void command_free(struct command *command)
{
    free(command->name);
}

static int read_command(struct watch *watch, const cloister_value *task, struct command *ret,
                        struct cloister_error *err)
{
    const cloister_value *list = cl_value_get_cstr(task, "argv");
    const char *name = cl_value_cstr(cl_value_get_cstr(task, "name"));
    size_t count = cl_value_count(list);

    if (count == 0 || count > ARGUMENTS_MAX)
        return cl_error_set(err, CLOISTER_INVALID, 0, NULL, NULL, "argv: 1 to %u strings are possible", ARGUMENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *argument = cl_value_cstr(cl_value_at(list, i));
        if (!argument)
            return cl_error_set(err, CLOISTER_INVALID, 0, NULL, NULL, "argv: not a string");
        ret->argv[i] = (char *)(uintptr_t)argument; /* posix_spawn's type; it changes nothing */
    }
    if (!name)
        return 0;
    ret->name = cl_asprintf("%s-%d-%llu", name, (int)getpid(), (unsigned long long)watch->serial++);
    if (!ret->name)
        return watch_no_memory(err);
    ret->argv[count] = ret->name;
    return 0;
}

/* Its stdin is /dev/null, its stdout `out` (-1: /dev/null), its stderr ours. */
static int spawn(const struct command *command, int out, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed)
        return -failed;
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed && out < 0)
        failed = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed && out >= 0)
        failed = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawnp(ret_pid, command->argv[0], &actions, NULL, command->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -failed;
}

static int reap(const struct command *command, pid_t pid, struct cloister_error *err)
{
    siginfo_t info;
    int failed;

    do
        failed = waitid(P_PID, (id_t)pid, &info, WEXITED);
    while (failed < 0 && errno == EINTR);
    if (failed < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "wait for '%s'", command->argv[0]);
    if (info.si_code == CLD_EXITED && info.si_status == 0)
        return 0;
    return cl_error_set(err, CLOISTER_IO, 0, NULL, NULL, "'%s' ended with %s %d", command->argv[0],
                        info.si_code == CLD_EXITED ? "code" : "signal", info.si_status);
}

static int start(const struct command *command, int out, pid_t *ret_pid, struct cloister_error *err)
{
    int failed = spawn(command, out, ret_pid);

    if (failed < 0)
        return cl_error_set(err, CLOISTER_IO, failed, NULL, NULL, "start '%s'", command->argv[0]);
    return 0;
}

int watch_program(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err)
{
    __attribute__((cleanup(command_free))) struct command command = {.name = NULL};
    pid_t pid = -1;

    int failed = read_command(watch, task, &command, err);
    if (failed < 0)
        return failed;
    uint64_t begin = watch_now();
    failed = start(&command, -1, &pid, err);
    if (failed == 0)
        failed = reap(&command, pid, err);
    *ret_ns = watch_now() - begin;
    return failed;
}

/* Timed from when the writer runs to the last byte read, as the output of a container that is there already. */
int watch_pipe(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err)
{
    __attribute__((cleanup(command_free))) struct command command = {.name = NULL};
    int ends[2];
    uint64_t bytes = 0;
    pid_t pid = -1;

    int failed = read_command(watch, task, &command, err);
    if (failed < 0)
        return failed;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "make a pipe");
    CL_CLOSE int in = ends[0];
    CL_CLOSE int out = ends[1];
    failed = start(&command, out, &pid, err);
    if (failed < 0)
        return failed;
    cl_closep(&out);
    uint64_t begin = watch_now();
    failed = watch_drain(in, &bytes, err);
    *ret_ns = watch_now() - begin;
    cl_closep(&in); /* a writer that is still there must end before it is waited for */
    int ended = reap(&command, pid, failed == 0 ? err : NULL);
    if (failed == 0)
        failed = ended;
    return failed == 0 ? watch_check_bytes(task, bytes, err) : failed;
}
