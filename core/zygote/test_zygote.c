/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote here is this test itself: started with argv[1] "zygote" it speaks the protocol, well or badly. It has no
 * environment and no arguments of its own, so the file it was copied from tells it what to do: a byte appended to the
 * ELF.
 */
#include "core/zygote/zygote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/net/raw.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/time.h"

/* ---- the fake zygote ---- */

#define WAY_GOOD 'g'
#define WAY_VERSION 'v'
#define WAY_SIZE 's'
#define WAY_STRANGER 'x'
#define WAY_EXIT 'e'
#define WAY_SILENT 't'
#define WAY_NOT_READY 'n'
#define WAY_BAD_SERIAL 'b'
#define WAY_NO_PIDFD 'p'
#define WAY_SHORT 'h'

static char own_way(void)
{
    char way = 0;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    off_t end = lseek(fd, 0, SEEK_END);
    if (pread(fd, &way, 1, end - 1) != 1)
        way = 0;
    close(fd);
    return way;
}

static void say_hello(char way)
{
    struct cloister_zygote_hello hello = {
        CLOISTER_INIT(struct cloister_zygote_hello),
        .magic = CLOISTER_ZYGOTE_MAGIC,
        .version = CLOISTER_ZYGOTE_VERSION + (way == WAY_VERSION),
        .os_errno = way == WAY_NOT_READY ? ENOSPC : 0,
        .pid = (int32_t)getpid(),
        .step = "ready",
    };
    if (way == WAY_NOT_READY)
        strcpy(hello.step, "mount-tmpfs");
    if (way == WAY_STRANGER)
        hello.magic = 0;
    if (way == WAY_SIZE)
        hello.struct_size = 8;
    if (way == WAY_EXIT)
        _exit(3);
    if (way != WAY_SILENT)
        (void)send(CLOISTER_ZYGOTE_FD, &hello, sizeof(hello), 0);
}

/* "echo" sends back what it is told, and how many descriptors it got; "fail" is refused; "exit" ends the zygote. */
static void play_echo(const struct cl_raw_fds *fds)
{
    char buffer[32];
    int ours = fds->fds[0];
    char count = (char)('0' + fds->count);
    close(CLOISTER_ZYGOTE_FD);
    for (;;) {
        ssize_t got = recv(ours, buffer, sizeof(buffer) - 1, 0);
        if (got <= 0)
            _exit(0);
        buffer[got] = count;
        (void)send(ours, buffer, (size_t)got + 1, MSG_NOSIGNAL);
    }
}

static void answer_fork(char way, const struct cloister_zygote_fork *request, struct cl_raw_fds *fds)
{
    struct cloister_zygote_forked answer = {
        CLOISTER_INIT(struct cloister_zygote_forked),
        .magic = CLOISTER_ZYGOTE_MAGIC,
        .serial = request->serial + (way == WAY_BAD_SERIAL),
        .step = "forked",
    };
    int pidfd = -1;
    if (!strcmp(request->role, "exit"))
        _exit(5);
    if (!strcmp(request->role, "fail")) {
        answer.os_errno = EAGAIN;
        strcpy(answer.step, "clone");
    } else {
        answer.pid = (int32_t)fork();
        if (answer.pid == 0)
            play_echo(fds);
        pidfd = pidfd_open(answer.pid, 0);
    }
    cl_raw_fds_close(fds);
    size_t size = way == WAY_SHORT ? 8 : sizeof(answer);
    (void)cl_raw_send_message(CLOISTER_ZYGOTE_FD, &answer, size, &pidfd, pidfd >= 0 && way != WAY_NO_PIDFD ? 1 : 0);
    if (pidfd >= 0)
        close(pidfd);
}

static int play_zygote(void)
{
    char way = own_way();
    say_hello(way);
    for (;;) {
        struct cloister_zygote_fork request;
        struct cl_raw_fds fds;
        struct pollfd entry = {.fd = CLOISTER_ZYGOTE_FD, .events = POLLIN};
        (void)poll(&entry, 1, -1);
        ssize_t got = cl_raw_receive(CLOISTER_ZYGOTE_FD, true, &request, sizeof(request), &fds);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (got == 0)
            return 0;
        if (got == (ssize_t)sizeof(request))
            answer_fork(way, &request, &fds);
    }
}

/* ---- the tests ---- */

struct seen {
    struct cl_loop *loop;
    struct cl_zygote *zygote;
    char order[64]; /* marks of the requests as they complete */
    size_t count;
    int32_t result;
    char step[32];
    int32_t pid;
    int32_t pidfd;
    int32_t socket;
    unsigned deaths;
    unsigned closes;
    bool ask_again; /* inside the callback */
};

struct asked {
    struct seen *seen;
    char mark;
};

static void on_forked(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd, int32_t socket)
{
    struct asked *asked = ctx;
    struct seen *seen = asked->seen;
    seen->order[seen->count++] = asked->mark;
    seen->result = result;
    (void)snprintf(seen->step, sizeof(seen->step), "%s", step);
    seen->pid = pid;
    seen->pidfd = pidfd;
    seen->socket = socket;
    if (seen->ask_again)
        assert_true(cl_zygote_fork(seen->zygote, "echo", NULL, 0, on_forked, asked) < 0);
}

/* Like on_forked, for requests whose process is not needed. */
static void on_forked_drop(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd, int32_t socket)
{
    on_forked(ctx, result, step, pid, pidfd, socket);
    if (result == 0) {
        close(pidfd);
        close(socket);
    }
}

static void on_died(void *ctx)
{
    struct seen *seen = ctx;
    seen->deaths++;
}

static void on_closed(void *ctx)
{
    struct seen *seen = ctx;
    seen->closes++;
}

/* A copy of this program that behaves in a certain way as a zygote. */
static void make_program(char way, char *ret_path, size_t size)
{
    char buffer[65536];
    ssize_t got;
    (void)snprintf(ret_path, size, "/tmp/cloister-test-zygote-XXXXXX");
    int to = mkostemp(ret_path, O_CLOEXEC);
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(to >= 0 && from >= 0);
    while ((got = read(from, buffer, sizeof(buffer))) > 0)
        assert_int_equal(write(to, buffer, (size_t)got), got);
    assert_int_equal(write(to, &way, 1), 1);
    close(from);
    close(to);
}

static int start_as(char way, struct cl_zygote **ret, struct cloister_error *err)
{
    char path[64];
    make_program(way, path, sizeof(path));
    int result = cl_zygote_start(path, ret, err);
    unlink(path);
    return result;
}

static void begin(struct seen *seen, char way)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    memset(seen, 0, sizeof(*seen));
    if (start_as(way, &seen->zygote, &err) != 0)
        fail_msg("%s", err.chain);
    assert_int_equal(cl_loop_new(&seen->loop), 0);
    assert_int_equal(cl_zygote_attach(seen->zygote, seen->loop, on_died, seen), 0);
}

static void turn_until(struct seen *seen, const size_t *count, size_t wanted)
{
    uint64_t deadline = cl_mono_ns() + 10 * CL_NS_PER_S;
    while (*count < wanted && cl_mono_ns() < deadline) {
        cl_loop_run_pending(seen->loop, 10);
        usleep(1000);
    }
    assert_int_equal(*count, wanted);
}

static void end(struct seen *seen)
{
    uint64_t deadline = cl_mono_ns() + 10 * CL_NS_PER_S;
    cl_zygote_close(seen->zygote, on_closed, seen);
    assert_int_equal(seen->closes, 0);
    while (seen->closes == 0 && cl_mono_ns() < deadline) {
        cl_loop_run_pending(seen->loop, 10);
        usleep(1000);
    }
    assert_int_equal(seen->closes, 1);
    cl_loop_free(seen->loop);
    /* It has been reaped: there is no child left. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

struct start_case {
    const char *name;
    char way;
    const char *sentence;
};

static const struct start_case start_cases[] = {
    {"version", WAY_VERSION,
     "speaks zygote protocol 2, this daemon speaks 1: install daemon and keeper from one build"},
    {"size", WAY_SIZE, "that says 8, this daemon expects 56: install daemon and keeper from one build"},
    {"stranger", WAY_STRANGER, "does not answer like a keeper program"},
    {"ends", WAY_EXIT, "ended before its hello: exit status 3"},
    {"not ready", WAY_NOT_READY, "could not start: mount-tmpfs: No space left on device"},
    {"silent", WAY_SILENT, "did not say hello within 5 s"},
};

static void a_bad_start_is_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(start_cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_zygote *zygote = NULL;
        char text[CL_ERROR_SENTENCE_MAX];
        CL_CHECK(start_cases[i].name, start_as(start_cases[i].way, &zygote, &err) < 0);
        cl_error_sentence(&err, text, sizeof(text));
        if (!strstr(text, start_cases[i].sentence) || strncmp(text, "start the keeper program: ", 26) != 0)
            fail_msg("case '%s': \"%s\" does not say \"%s\"", start_cases[i].name, text, start_cases[i].sentence);
        CL_CHECK_INT(start_cases[i].name, waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void expect_file_refused(const char *name, const char *path, const char *sentence)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_zygote *zygote;
    char text[CL_ERROR_SENTENCE_MAX];
    CL_CHECK(name, cl_zygote_start(path, &zygote, &err) < 0);
    cl_error_sentence(&err, text, sizeof(text));
    if (!strstr(text, sentence))
        fail_msg("case '%s': \"%s\" does not say \"%s\"", name, text, sentence);
}

static void a_bad_file_is_a_sentence(void **state)
{
    (void)state;
    char path[64];
    expect_file_refused("absent", "/nonexistent/keeper", "open '/nonexistent/keeper': No such file or directory");
    expect_file_refused("directory", "/tmp", "'/tmp' is not a regular file");
    expect_file_refused("text", "/etc/passwd", "is not an ELF program");
    make_program(WAY_GOOD, path, sizeof(path));
    assert_int_equal(chmod(path, 0775), 0);
    expect_file_refused("writable", path, "is writable by its group or by others (mode 0775)");
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(chown(path, 4711, 0), 0);
    expect_file_refused("owner", path, "belongs to user 4711");
    unlink(path);
}

static void read_proc(int pid, const char *name, char *buffer, size_t size)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, buffer, size - 1);
    assert_true(got >= 0);
    buffer[got] = 0;
    close(fd);
}

static void check_descriptors(int pid)
{
    char path[64], target[128];
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(atoi(entry->d_name) <= CLOISTER_ZYGOTE_FD);
        ssize_t size = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        assert_true(size > 0);
        target[size] = 0;
        if (atoi(entry->d_name) < 2)
            assert_string_equal(target, "/dev/null");
    }
    closedir(dir);
}

static int own_child(void)
{
    char path[64], text[64];
    (void)snprintf(path, sizeof(path), "task/%d/children", (int)getpid());
    read_proc(getpid(), path, text, sizeof(text));
    return atoi(text);
}

/* Clean: four descriptors, no environment, no signal ignored or blocked, a session of its own, a program nobody can
 * change. */
static void it_starts_clean(void **state)
{
    (void)state;
    struct seen seen;
    char text[8192], path[64];
    sigset_t blocked, before;
    sigfillset(&blocked);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, &before), 0);
    (void)signal(SIGUSR1, SIG_IGN);
    int leak = fcntl(0, F_DUPFD, 50);
    begin(&seen, WAY_GOOD);
    close(leak);
    (void)signal(SIGUSR1, SIG_DFL);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);

    int pid = own_child();
    assert_true(pid > 0);
    check_descriptors(pid);
    read_proc(pid, "environ", text, sizeof(text));
    assert_string_equal(text, "");
    read_proc(pid, "cmdline", text, sizeof(text));
    assert_memory_equal(text, "cloister-keeper\0zygote", 23);
    read_proc(pid, "status", text, sizeof(text));
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(text, "SigIgn:\t0000000000000000"));
    assert_int_equal(getsid(pid), pid);
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    ssize_t size = readlink(path, text, sizeof(text) - 1);
    assert_true(size > 0);
    text[size] = 0;
    assert_non_null(strstr(text, "memfd:cloister-keeper"));
    int exe = open(path, O_RDWR | O_CLOEXEC);
    if (exe >= 0) {
        assert_int_equal(write(exe, "x", 1), -1);
        assert_int_equal(ftruncate(exe, 0), -1);
        close(exe);
    }
    end(&seen);
}

static void a_fork_is_answered_later(void **state)
{
    (void)state;
    struct seen seen;
    char buffer[16];
    begin(&seen, WAY_GOOD);
    struct asked asked = {&seen, 'a'};
    int fds[3] = {0, 1, 2};
    assert_int_equal(cl_zygote_fork(seen.zygote, "echo", fds, 3, on_forked, &asked), 0);
    assert_int_equal(seen.count, 0);
    turn_until(&seen, &seen.count, 1);
    assert_int_equal(seen.result, 0);
    assert_true(seen.pid > 0);
    assert_true(fcntl(seen.pidfd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(seen.socket, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(seen.socket, F_GETFL) & O_NONBLOCK);
    assert_int_equal(send(seen.socket, "hi", 2, 0), 2);
    struct pollfd entry = {.fd = seen.socket, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 5000), 1);
    assert_int_equal(recv(seen.socket, buffer, sizeof(buffer), 0), 3);
    assert_memory_equal(buffer, "hi4", 3);
    /* What it forked outlives it. */
    end(&seen);
    assert_int_equal(send(seen.socket, "yo", 2, 0), 2);
    assert_int_equal(poll(&entry, 1, 5000), 1);
    assert_int_equal(recv(seen.socket, buffer, sizeof(buffer), 0), 3);
    close(seen.socket);
    entry.fd = seen.pidfd;
    assert_int_equal(poll(&entry, 1, 5000), 1);
    close(seen.pidfd);
}

static void a_refusal_carries_its_step(void **state)
{
    (void)state;
    struct seen seen;
    begin(&seen, WAY_GOOD);
    struct asked asked = {&seen, 'a'};
    assert_int_equal(cl_zygote_fork(seen.zygote, "fail", NULL, 0, on_forked, &asked), 0);
    turn_until(&seen, &seen.count, 1);
    assert_int_equal(seen.result, -EAGAIN);
    assert_string_equal(seen.step, "clone");
    assert_int_equal(seen.pidfd, -1);
    assert_int_equal(seen.socket, -1);
    end(&seen);
}

struct argument_case {
    const char *name;
    const char *role;
    size_t fd_count;
    int result;
};

static const struct argument_case argument_cases[] = {
    {"no role", "", 0, -EINVAL},
    {"role of 15 bytes", "fifteen-bytes-x", 0, 0},
    {"role of 16 bytes", "sixteen-bytes-xx", 0, -EINVAL},
    {"63 descriptors", "echo", 63, 0},
    {"64 descriptors", "echo", 64, -E2BIG},
    {"bad descriptor", "echo", 1, -EBADF},
};

static void arguments_are_checked(void **state)
{
    (void)state;
    struct seen seen;
    int fds[64] = {0};
    size_t sent = 0;
    begin(&seen, WAY_GOOD);
    struct asked asked = {&seen, 'a'};
    for (size_t i = 0; i < CL_COUNT(argument_cases); i++) {
        const struct argument_case *test = &argument_cases[i];
        fds[0] = test->result == -EBADF ? 9999 : 0;
        CL_CHECK_INT(test->name, cl_zygote_fork(seen.zygote, test->role, fds, test->fd_count, on_forked_drop, &asked),
                     test->result);
        sent += test->result == 0;
    }
    turn_until(&seen, &seen.count, sent);
    end(&seen);
}

/* More than the socket's buffer holds: the rest waits with duplicates, and the order stays. */
static void many_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct seen seen;
    struct asked asked[60];
    begin(&seen, WAY_GOOD);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < CL_COUNT(asked); i++) {
        asked[i] = (struct asked){&seen, (char)('0' + i)};
        assert_int_equal(cl_zygote_fork(seen.zygote, "echo", &null, 1, on_forked_drop, &asked[i]), 0);
    }
    close(null);
    assert_int_equal(seen.count, 0);
    turn_until(&seen, &seen.count, CL_COUNT(asked));
    for (size_t i = 0; i < CL_COUNT(asked); i++)
        assert_int_equal(seen.order[i], '0' + (char)i);
    assert_int_equal(seen.result, 0);
    end(&seen);
}

struct death_case {
    const char *name;
    char way;
    const char *role;
};

static const struct death_case death_cases[] = {
    {"it exits", WAY_GOOD, "exit"},
    {"it answers another serial", WAY_BAD_SERIAL, "echo"},
    {"it sends no pidfd", WAY_NO_PIDFD, "echo"},
    {"it sends half an answer", WAY_SHORT, "echo"},
};

static void a_death_fails_what_waits_and_is_told_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(death_cases); i++) {
        const struct death_case *test = &death_cases[i];
        struct seen seen;
        begin(&seen, test->way);
        seen.ask_again = true;
        struct asked first = {&seen, '1'}, second = {&seen, '2'};
        /* Held still, it can not die of the first request before the second has been sent. */
        int pid = own_child();
        assert_int_equal(kill(pid, SIGSTOP), 0);
        CL_CHECK_INT(test->name, cl_zygote_fork(seen.zygote, test->role, NULL, 0, on_forked, &first), 0);
        CL_CHECK_INT(test->name, cl_zygote_fork(seen.zygote, test->role, NULL, 0, on_forked, &second), 0);
        assert_int_equal(kill(pid, SIGCONT), 0);
        turn_until(&seen, &seen.count, 2);
        cl_loop_run_pending(seen.loop, 10);
        CL_CHECK_STR(test->name, seen.order, "12");
        CL_CHECK_INT(test->name, seen.result, -EPIPE);
        CL_CHECK_INT(test->name, seen.deaths, 1);
        CL_CHECK_INT(test->name, cl_zygote_fork(seen.zygote, "echo", NULL, 0, on_forked, &first), -EPIPE);
        end(&seen);
        CL_CHECK_INT(test->name, seen.deaths, 1);
    }
}

static void close_cancels_what_waits(void **state)
{
    (void)state;
    struct seen seen;
    begin(&seen, WAY_GOOD);
    struct asked first = {&seen, '1'}, second = {&seen, '2'};
    seen.ask_again = true;
    assert_int_equal(cl_zygote_fork(seen.zygote, "echo", NULL, 0, on_forked, &first), 0);
    assert_int_equal(cl_zygote_fork(seen.zygote, "echo", NULL, 0, on_forked, &second), 0);
    end(&seen);
    assert_string_equal(seen.order, "12");
    assert_int_equal(seen.result, -ECANCELED);
    assert_int_equal(seen.deaths, 0);
}

static void one_never_attached_closes_at_once(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_int_equal(start_as(WAY_GOOD, &seen.zygote, NULL), 0);
    cl_zygote_close(seen.zygote, on_closed, &seen);
    assert_int_equal(seen.closes, 1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_start_is_a_sentence),
        cmocka_unit_test(a_bad_file_is_a_sentence),
        cmocka_unit_test(it_starts_clean),
        cmocka_unit_test(a_fork_is_answered_later),
        cmocka_unit_test(a_refusal_carries_its_step),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(many_requests_are_answered_in_order),
        cmocka_unit_test(a_death_fails_what_waits_and_is_told_once),
        cmocka_unit_test(close_cancels_what_waits),
        cmocka_unit_test(one_never_attached_closes_at_once),
    };
    if (argc == 2 && !strcmp(argv[1], "zygote"))
        return play_zygote();
    if (geteuid() != 0) {
        print_message("this test needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
