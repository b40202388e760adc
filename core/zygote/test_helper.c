/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers by the real keeper program (argv[1]). The helper is this test itself, told by its first argument what to do.
 */
#include "core/zygote/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/util/time.h"

extern char **environ;
static const char *keeper;

/* ---- the helper ---- */

static void show_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    unsigned long long bits = 0;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
            bits |= 1ull << atoi(entry->d_name);
    printf("fds=%llx\n", bits);
    closedir(dir);
}

static void show_status(void)
{
    static const char *const keys[] = {"SigBlk", "SigIgn", "NoNewPrivs", "Groups"};
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    while (fgets(line, sizeof(line), file))
        for (size_t i = 0; i < CL_COUNT(keys); i++)
            if (!strncmp(line, keys[i], strlen(keys[i])))
                fputs(line, stdout);
    fclose(file);
}

static int show(int argc, char **argv)
{
    char text[256];
    int signal = 0;
    struct rlimit core;
    for (int i = 0; i < argc; i++)
        printf("arg=%s\n", argv[i]);
    for (char **at = environ; *at; at++)
        printf("env=%s\n", *at);
    show_descriptors();
    show_status();
    printf("cwd=%s\n", getcwd(text, sizeof(text)));
    printf("leads=%d\n", getsid(0) == getpid());
    printf("umask=%o\n", umask(0));
    (void)getrlimit(RLIMIT_CORE, &core);
    printf("core=%llu\n", (unsigned long long)core.rlim_max);
    (void)prctl(PR_GET_PDEATHSIG, &signal);
    printf("deathsig=%d\n", signal);
    ssize_t size = readlink("/proc/self/ns/mnt", text, sizeof(text) - 1);
    printf("mnt=%.*s\n", (int)size, text);
    return 7;
}

/* With a child in its group; says when both are there. */
static int linger(void)
{
    if (fork() != 0 && write(1, "x", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static int play(int argc, char **argv)
{
    if (!strcmp(argv[1], "show"))
        return show(argc, argv);
    if (!strcmp(argv[1], "linger"))
        return linger();
    if (!strcmp(argv[1], "die"))
        (void)raise(SIGTERM);
    if (!strcmp(argv[1], "echo")) { /* descriptor 4 to descriptor 3 */
        char byte;
        while (read(4, &byte, 1) == 1)
            if (write(3, &byte, 1) != 1)
                return 1;
    }
    return 0;
}

/* ---- the tests ---- */

struct seen {
    struct cl_loop *loop;
    struct cl_zygote *zygote;
    unsigned starts, exits, closes;
    int32_t result;
    char step[32];
    int32_t pid;
    int pidfd;
    struct cloister_status status;
};

static void on_started(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd)
{
    struct seen *seen = ctx;
    seen->starts++;
    seen->result = result;
    (void)snprintf(seen->step, sizeof(seen->step), "%s", step);
    seen->pid = pid;
    seen->pidfd = pidfd;
}

static void on_exited(void *ctx, const struct cloister_status *status)
{
    struct seen *seen = ctx;
    seen->exits++;
    seen->status = *status;
}

static void on_closed(void *ctx)
{
    struct seen *seen = ctx;
    seen->closes++;
}

static void begin(struct seen *seen)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    memset(seen, 0, sizeof(*seen));
    seen->pidfd = -1;
    if (cl_zygote_start(keeper, &seen->zygote, &err) != 0)
        fail_msg("%s", err.chain);
    assert_int_equal(cl_loop_new(&seen->loop), 0);
    assert_int_equal(cl_zygote_attach(seen->zygote, seen->loop, NULL, NULL), 0);
}

static void turn_until(struct seen *seen, const unsigned *count)
{
    uint64_t deadline = cl_mono_ns() + 10 * CL_NS_PER_S;
    while (*count == 0 && cl_mono_ns() < deadline) {
        cl_loop_run_pending(seen->loop, 10);
        usleep(1000);
    }
    assert_int_equal(*count, 1);
}

static void end(struct seen *seen)
{
    cl_zygote_close(seen->zygote, on_closed, seen);
    turn_until(seen, &seen->closes);
    cl_loop_free(seen->loop);
    if (seen->pidfd >= 0)
        close(seen->pidfd);
}

struct run {
    const char *path; /* of the program; NULL = ourselves */
    const char *argv[8];
    const char *env[8];
    int32_t fds[34];
    uint64_t fd_count;
    uint32_t flags;
};

static int spawn(struct seen *seen, const struct run *run)
{
    struct cloister_sv argv[8], env[8];
    struct cl_helper_args args = {.path = run->path ? run->path : "/proc/self/exe",
                                  .flags = run->flags,
                                  .argv = argv,
                                  .env = env,
                                  .fds = run->fds,
                                  .fd_count = run->fd_count,
                                  .started = on_started,
                                  .exited = on_exited,
                                  .ctx = seen};
    for (; args.argv_count < 8 && run->argv[args.argv_count]; args.argv_count++)
        argv[args.argv_count] = cl_sv_cstr(run->argv[args.argv_count]);
    for (; args.env_count < 8 && run->env[args.env_count]; args.env_count++)
        env[args.env_count] = cl_sv_cstr(run->env[args.env_count]);
    args.program = open(args.path, O_PATH | O_CLOEXEC);
    assert_true(args.program >= 0);
    int result = cl_helper_spawn(seen->zygote, &args);
    close(args.program);
    assert_int_equal(seen->starts, 0);
    return result;
}

static void read_all(int fd, char *ret, size_t size)
{
    size_t have = 0;
    ssize_t got;
    while ((got = read(fd, ret + have, size - 1 - have)) > 0)
        have += (size_t)got;
    ret[have] = 0;
    close(fd);
}

/* Runs to its end with descriptor 1 a pipe; its text. */
static void run_and_read(struct seen *seen, struct run *run, char *ret, size_t size)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (uint64_t i = 0; i < run->fd_count; i++)
        run->fds[i] = i == 1 ? ends[1] : null;
    assert_int_equal(spawn(seen, run), 0);
    close(ends[1]);
    close(null);
    turn_until(seen, &seen->starts);
    assert_int_equal(seen->result, 0);
    assert_string_equal(seen->step, "started");
    read_all(ends[0], ret, size);
    turn_until(seen, &seen->exits);
}

static void expect(const char *text, const char *line)
{
    char whole[512];
    (void)snprintf(whole, sizeof(whole), "%s\n", line);
    if (!strstr(text, whole))
        fail_msg("\"%s\" is not in:\n%s", line, text);
}

/* Arguments, environment and descriptors are those of the description and no others; nothing of ours is inherited. */
static void it_gets_what_is_described(void **state)
{
    struct seen seen;
    struct run run = {.argv = {"name", "show", "", "a b\n"}, .env = {"A=1", "B="}, .fd_count = 5};
    static const char begins[] = "arg=name\narg=show\narg=\narg=a b\n\nenv=A=1\nenv=B=\nfds=1f\n";
    static char text[8192], line[300], mounts[256];
    sigset_t blocked, before;
    gid_t groups[] = {4711};
    sigfillset(&blocked);
    (void)setenv("LD_PRELOAD", "/evil.so", 1);
    (void)signal(SIGUSR1, SIG_IGN);
    (void)umask(077);
    assert_int_equal(setgroups(1, groups), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, &before), 0);
    int leak = fcntl(0, F_DUPFD, 50);
    begin(&seen);
    run_and_read(&seen, &run, text, sizeof(text));
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    (void)signal(SIGUSR1, SIG_DFL);
    (void)unsetenv("LD_PRELOAD");
    (void)umask(022);
    (void)setgroups(0, NULL);
    close(leak);
    if (strncmp(text, begins, strlen(begins)) != 0)
        fail_msg("%s", text);
    expect(text, "SigBlk:\t0000000000000000");
    expect(text, "SigIgn:\t0000000000000000");
    expect(text, "NoNewPrivs:\t1");
    expect(text, "Groups:\t ");
    expect(text, "cwd=/");
    expect(text, "leads=1");
    expect(text, "umask=22");
    expect(text, "core=0");
    expect(text, "deathsig=9");
    ssize_t size = readlink("/proc/self/ns/mnt", mounts, sizeof(mounts) - 1);
    (void)snprintf(line, sizeof(line), "mnt=%.*s", (int)size, mounts);
    expect(text, line);
    assert_int_equal(seen.status.kind, CLOISTER_STATUS_EXITED);
    assert_int_equal(seen.status.value, 7);
    assert_true(fcntl(seen.pidfd, F_GETFD) & FD_CLOEXEC);
    end(&seen);
}

static void few_descriptors_are_filled_up(void **state)
{
    struct seen seen;
    struct run run = {.argv = {"name", "show"}, .fd_count = 2, .flags = CLOISTER_ZYGOTE_HELPER_PRIVILEGES};
    static char text[8192];
    begin(&seen);
    run_and_read(&seen, &run, text, sizeof(text));
    expect(text, "fds=7");
    expect(text, "NoNewPrivs:\t0");
    end(&seen);
}

/* More descriptors than fit below the numbers that they arrive under. */
static void many_descriptors_keep_their_order(void **state)
{
    struct seen seen;
    struct run run = {.argv = {"name", "echo"}, .fd_count = 32};
    int to[2], from[2];
    char byte = 0;
    begin(&seen);
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (uint64_t i = 0; i < run.fd_count; i++)
        run.fds[i] = i == 3 ? from[1] : i == 4 ? to[0] : null;
    assert_int_equal(spawn(&seen, &run), 0);
    close(null);
    close(from[1]);
    close(to[0]);
    turn_until(&seen, &seen.starts);
    assert_int_equal(write(to[1], "q", 1), 1);
    assert_int_equal(read(from[0], &byte, 1), 1);
    assert_int_equal(byte, 'q');
    assert_int_equal(seen.exits, 0);
    close(to[1]); /* its stdin ends: nobody else, its parent least of all, holds the far end */
    assert_int_equal(read(from[0], &byte, 1), 0);
    close(from[0]);
    turn_until(&seen, &seen.exits);
    assert_int_equal(seen.status.value, 0);
    end(&seen);
}

static void a_script_is_run_by_its_path(void **state)
{
    struct seen seen;
    struct run run = {.path = "/tmp/cl-helper-script", .argv = {"name", "one"}, .fd_count = 3};
    static char text[8192];
    FILE *file = fopen(run.path, "we");
    fputs("#!/bin/sh\necho $0 $1; exit 3\n", file);
    fclose(file);
    assert_int_equal(chmod(run.path, 0755), 0);
    begin(&seen);
    run_and_read(&seen, &run, text, sizeof(text));
    (void)unlink(run.path);
    assert_string_equal(text, "/tmp/cl-helper-script one\n");
    assert_int_equal(seen.status.value, 3);
    end(&seen);
}

static void a_signal_is_told(void **state)
{
    struct seen seen;
    struct run run = {.argv = {"name", "die"}};
    begin(&seen);
    assert_int_equal(spawn(&seen, &run), 0);
    turn_until(&seen, &seen.starts);
    turn_until(&seen, &seen.exits);
    assert_int_equal(seen.status.kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(seen.status.value, SIGTERM);
    end(&seen);
}

static void a_failed_exec_is_told(void **state)
{
    struct seen seen;
    struct run run = {.path = "/etc/passwd", .argv = {"name"}};
    begin(&seen);
    assert_int_equal(spawn(&seen, &run), 0);
    turn_until(&seen, &seen.starts);
    assert_int_equal(seen.result, -EACCES);
    assert_string_equal(seen.step, "exec");
    assert_int_equal(seen.pidfd, -1);
    end(&seen);
    assert_int_equal(seen.exits, 0);
}

static void arguments_are_checked(void **state)
{
    struct seen seen;
    struct run run = {.argv = {NULL}};
    struct cloister_sv nul = {"a\0b", 3};
    begin(&seen);
    assert_int_equal(spawn(&seen, &run), -EINVAL);
    run = (struct run){.argv = {"name"}, .fd_count = 33};
    assert_int_equal(spawn(&seen, &run), -E2BIG);
    CL_FREE char *big = cl_calloc(1, (1u << 20) + 1);
    memset(big, 'x', 1u << 20);
    run = (struct run){.argv = {"name", big}};
    assert_int_equal(spawn(&seen, &run), -E2BIG);
    struct cl_helper_args args = {.program = 0, .path = "/x", .argv = &nul, .argv_count = 1};
    assert_int_equal(cl_helper_spawn(seen.zygote, &args), -EINVAL);
    end(&seen);
    assert_int_equal(seen.starts, 0);
}

/* Both ends of a group of two hold the pipe: it ends when both have. */
static int start_lingering(struct seen *seen)
{
    struct run run = {.argv = {"name", "linger"}, .fd_count = 2};
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    run.fds[0] = run.fds[1] = ends[1];
    assert_int_equal(spawn(seen, &run), 0);
    close(ends[1]);
    turn_until(seen, &seen->starts);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    return ends[0];
}

static void it_ends_with_the_zygote(void **state)
{
    struct seen seen;
    char byte;
    begin(&seen);
    int end_of = start_lingering(&seen);
    end(&seen);
    assert_int_equal(seen.exits, 1);
    assert_int_equal(seen.status.kind, CLOISTER_STATUS_LOST);
    assert_int_equal(read(end_of, &byte, 1), 0);
    close(end_of);
}

/* The daemon that dies is a child of this test; what it started dies with it, its children too. */
static void it_dies_with_the_daemon(void **state)
{
    int ends[2], status;
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct seen seen;
        struct run run = {.argv = {"name", "linger"}, .fd_count = 2, .fds = {ends[1], ends[1]}};
        begin(&seen);
        (void)spawn(&seen, &run);
        close(ends[1]);
        for (;;)
            cl_loop_run_pending(seen.loop, 10);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

/* With what it has started. */
static void it_can_be_ended_early(void **state)
{
    struct seen seen;
    char byte;
    begin(&seen);
    int end_of = start_lingering(&seen);
    assert_int_equal(syscall(SYS_pidfd_send_signal, seen.pidfd, SIGKILL, NULL, 0), 0);
    turn_until(&seen, &seen.exits);
    assert_int_equal(seen.status.kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(seen.status.value, SIGKILL);
    struct pollfd wait = {.fd = end_of, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(read(end_of, &byte, 1), 0);
    close(end_of);
    end(&seen);
    assert_int_equal(seen.exits, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gets_what_is_described),
        cmocka_unit_test(few_descriptors_are_filled_up),
        cmocka_unit_test(many_descriptors_keep_their_order),
        cmocka_unit_test(a_script_is_run_by_its_path),
        cmocka_unit_test(a_signal_is_told),
        cmocka_unit_test(a_failed_exec_is_told),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(it_ends_with_the_zygote),
        cmocka_unit_test(it_dies_with_the_daemon),
        cmocka_unit_test(it_can_be_ended_early),
    };
    if (argc >= 2 && !strcmp(argv[0], "name"))
        return play(argc, argv);
    if (argc != 2 || geteuid() != 0) {
        print_message("usage, as root: %s KEEPER\n", argv[0]);
        return 2;
    }
    keeper = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
