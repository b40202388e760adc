/* SPDX-License-Identifier: Apache-2.0 */
/* The filter is for ever, so each case runs in a child of its own that installs it first. */
#include "core/zygote/fork_filter.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#include "core/error/error.h"
#include "core/loop/loop.h"
#include "core/util/check.h"

/* Each returns the errno it got, 0 for success; in a process that must not have been made it exits. */

static int after_fork(long pid)
{
    if (pid == 0)
        _exit(0);
    return pid < 0 ? errno : 0;
}

static int do_libc_fork(void)
{
    return after_fork(fork());
}

#ifdef __NR_fork
static int do_fork(void)
{
    return after_fork(syscall(__NR_fork));
}
#endif

static int do_clone_process(void)
{
    return after_fork(syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0));
}

static int do_clone_vm(void)
{
    return after_fork(syscall(__NR_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
}

/* CLONE_THREAD above the 32 bits that count must not help. */
static int do_clone_high_bits(void)
{
    return after_fork(syscall(__NR_clone, ((unsigned long)CLONE_THREAD << 32) | SIGCHLD, 0, 0, 0, 0));
}

static int do_clone3(void)
{
    struct clone_args args = {.flags = 0, .exit_signal = SIGCHLD};
    return after_fork(syscall(__NR_clone3, &args, sizeof(args)));
}

static int do_execve(void)
{
    char name[] = "true";
    char *const argv[] = {name, NULL};
    (void)execve("/bin/true", argv, NULL);
    return errno;
}

static int do_execveat(void)
{
    const char *const argv[] = {"true", NULL};
    return syscall(__NR_execveat, -1, "/bin/true", argv, NULL, 0) < 0 ? errno : 0;
}

static void *add_one(void *ctx)
{
    ++*(int *)ctx;
    return NULL;
}

static int do_thread(void)
{
    pthread_t thread;
    int number = 0;
    int result = pthread_create(&thread, NULL, add_one, &number);
    if (result == 0)
        result = pthread_join(thread, NULL);
    return result ? result : number == 1 ? 0 : EIO;
}

struct counts {
    struct cl_loop *loop;
    int worked;
    int done;
};

static void count_work(void *ctx)
{
    struct counts *counts = ctx;
    counts->worked++;
}

static void count_done(void *ctx)
{
    struct counts *counts = ctx;
    counts->done++;
}

static void stop(void *ctx)
{
    const struct counts *counts = ctx;
    cl_loop_stop(counts->loop);
}

static int do_queue(void)
{
    struct counts counts = {0};
    cloister_queue *queue;
    if (cl_loop_new(&counts.loop) < 0 || cl_queue_open(counts.loop, "test", 1, &queue) < 0)
        return EIO;
    for (int i = 0; i < 10; i++)
        if (cl_queue_job(queue, count_work, count_done, &counts) < 0)
            return EAGAIN;
    cl_queue_close(queue, stop, &counts);
    cl_loop_run(counts.loop);
    cl_loop_free(counts.loop);
    return counts.worked == 10 && counts.done == 10 ? 0 : EIO;
}

static int do_ordinary(void)
{
    int fds[2];
    char byte;
    if (pipe(fds) < 0 || write(fds[1], "x", 1) != 1 || read(fds[0], &byte, 1) != 1 || close(fds[0]) < 0 ||
        close(fds[1]) < 0)
        return errno;
    return getppid() > 0 ? 0 : EIO;
}

/* A second one on top is allowed: an in-place restart of main's code must not trip over it. */
static int do_again(void)
{
    return cl_fork_filter_install(NULL) < 0 ? EIO : 0;
}

/* Without CAP_SYS_ADMIN the filter comes with no_new_privs; with it that is left alone. */
static int do_no_new_privs(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : EIO;
}

#ifdef __x86_64__
static int do_x32(void)
{
    return after_fork(syscall(0x40000000 | __NR_fork));
}

/* getpid by the 32-bit gate: another architecture. */
static int do_int80(void)
{
    long number = 20;
    __asm__ volatile("int $0x80" : "+a"(number)::"memory", "r8", "r9", "r10", "r11");
    return number > 0 ? 0 : EIO;
}
#endif

struct filter_case {
    const char *name;
    int (*run)(void);
    int error;
    int signo; /* the child is killed by it */
};

static const struct filter_case cases[] = {
    {"libc's fork", do_libc_fork, EPERM, 0},
#ifdef __NR_fork
    {"fork", do_fork, EPERM, 0},
#endif
    {"clone of a process", do_clone_process, EPERM, 0},
    {"clone as vfork", do_clone_vm, EPERM, 0},
    {"clone with CLONE_THREAD in the wrong half", do_clone_high_bits, EPERM, 0},
    {"clone3", do_clone3, ENOSYS, 0},
    {"execve", do_execve, EPERM, 0},
    {"execveat", do_execveat, EPERM, 0},
    {"a thread", do_thread, 0, 0},
    {"a queue of the loop", do_queue, 0, 0},
    {"ordinary calls", do_ordinary, 0, 0},
    {"the filter again", do_again, 0, 0},
    {"no_new_privs is left alone", do_no_new_privs, 0, 0},
#ifdef __x86_64__
    {"x32", do_x32, ENOSYS, 0},
    {"int 0x80", do_int80, 0, SIGSYS},
#endif
};

/* [child] With drop, as a user without capabilities. */
static void run_case(int (*run)(void), int drop)
{
    if (drop && setresuid(4711, 4711, 4711) < 0)
        _exit(201);
    if (cl_fork_filter_install(NULL) < 0)
        _exit(200);
    if (drop && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        _exit(202);
    _exit(run());
}

static int run_in_child(int (*run)(void), int drop)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_case(run, drop);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void processes_are_refused_and_threads_are_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        int status = run_in_child(cases[i].run, 0);
        if (cases[i].signo) {
            CL_CHECK(cases[i].name, WIFSIGNALED(status));
            CL_CHECK_INT(cases[i].name, WTERMSIG(status), cases[i].signo);
        } else {
            CL_CHECK(cases[i].name, WIFEXITED(status));
            CL_CHECK_INT(cases[i].name, WEXITSTATUS(status), cases[i].error);
        }
    }
}

static void it_works_without_capabilities(void **state)
{
    (void)state;
    int status = run_in_child(do_libc_fork, 1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPERM);
}

/* Threads that were there before it are bound too. */
struct early {
    pthread_barrier_t installed;
    int result;
};

static void *fork_later(void *ctx)
{
    struct early *early = ctx;
    (void)pthread_barrier_wait(&early->installed);
    early->result = do_clone_process();
    return NULL;
}

static int with_an_earlier_thread(void)
{
    struct early early = {.result = -1};
    pthread_t thread;
    if (pthread_barrier_init(&early.installed, NULL, 2) || pthread_create(&thread, NULL, fork_later, &early))
        return 200;
    if (cl_fork_filter_install(NULL) < 0)
        return 201;
    (void)pthread_barrier_wait(&early.installed);
    (void)pthread_join(thread, NULL);
    return early.result;
}

static void earlier_threads_are_bound_too(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(with_an_earlier_thread());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_are_refused_and_threads_are_not),
        cmocka_unit_test(it_works_without_capabilities),
        cmocka_unit_test(earlier_threads_are_bound_too),
    };
    if (geteuid() != 0) {
        print_message("this test needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
