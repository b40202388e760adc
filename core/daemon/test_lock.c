/* SPDX-License-Identifier: Apache-2.0 */
#include "core/daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/check.h"
#include "core/util/time.h"

#define LONG_NS (20 * CL_NS_PER_S)

static char directory[64];
static int dir_fd;

/* A child that shares what we hold, as a fork does, and after a while sends us a signal (0 = none) and ends. */
static pid_t meanwhile(int signo)
{
    static const struct timespec while_ns = {.tv_nsec = 200000000};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    (void)nanosleep(&while_ns, NULL);
    (void)kill(getppid(), signo);
    _exit(0);
}

static void end_of(pid_t pid)
{
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void the_holder_is_named(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char me[16], want[256];
    int first = -1, second = -1;
    (void)snprintf(me, sizeof(me), "%d", (int)getpid());
    (void)snprintf(want, sizeof(want), "run directory '/d' is in use by the daemon with pid %s", me);
    assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &first, &err), 0);
    assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
    assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &second, &err), -EBUSY);
    assert_int_equal(second, -1);
    assert_int_equal(err.code, CLOISTER_BUSY);
    assert_string_equal(err.subject, me);
    assert_string_equal(err.chain, want);
    (void)close(first);
    assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &second, &err), 0);
    (void)close(second);
}

static const struct {
    const char *name, *text, *holder;
} holders[] = {
    {"not written yet", "", "(unknown)"},
    {"not a number", "mallory\n", "(unknown)"},
    {"something behind it", "12 of them\n", "12"},
    {"no newline", "12", "12"},
};

static void what_the_lock_says_is_not_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(holders); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        char want[256];
        int first = -1, second = -1;
        CL_CHECK_INT(holders[i].name, cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &first, &err), 0);
        CL_CHECK_INT(holders[i].name, ftruncate(first, 0), 0);
        CL_CHECK_INT(holders[i].name, pwrite(first, holders[i].text, strlen(holders[i].text), 0),
                     strlen(holders[i].text));
        CL_CHECK_INT(holders[i].name, cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &second, &err), -EBUSY);
        (void)snprintf(want, sizeof(want), "run directory '/d' is in use by the daemon with pid %s", holders[i].holder);
        CL_CHECK_STR(holders[i].name, err.chain, want);
        (void)close(first);
    }
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int fd = -1;
    (void)unlinkat(dir_fd, "lock", 0);
    assert_int_equal(symlinkat("elsewhere", dir_fd, "lock"), 0);
    assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &fd, &err), -ELOOP);
    assert_string_equal(err.chain, "open lock in '/d'");
    assert_int_equal(unlinkat(dir_fd, "lock", 0), 0);
}

/* What a wait logs: the holder once, however long it lasts, and its end. */
static void the_wait_ends_with_the_holder(void **state)
{
    (void)state;
    char said[1024] = "", want[256];
    int log[2], first = -1, second = -1;
    assert_int_equal(pipe(log), 0);
    assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &first, NULL), 0);
    pid_t child = meanwhile(0);
    (void)close(first);
    cl_log_set_fd(log[1]);
    int r = cl_lock_take(dir_fd, "/d", CL_WAIT_FOR_EVER, &second, NULL);
    cl_log_set_fd(2);
    assert_int_equal(r, 0);
    end_of(child);
    (void)close(second);
    (void)close(log[1]);
    assert_true(read(log[0], said, sizeof(said) - 1) > 0);
    (void)close(log[0]);
    (void)snprintf(want, sizeof(want),
                   "info daemon: waiting: run directory '/d' is in use by the daemon with pid %d\n"
                   "info daemon: run directory '/d' is free after ",
                   (int)getpid());
    said[strlen(want)] = 0;
    assert_string_equal(said, want);
}

static void the_wait_has_an_end(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int first = -1, second = -1;
    assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &first, NULL), 0);
    uint64_t deadline = cl_mono_ns() + 120 * CL_NS_PER_MS;
    assert_int_equal(cl_lock_take(dir_fd, "/d", deadline, &second, &err), -EBUSY);
    assert_true(cl_mono_ns() >= deadline);
    assert_int_equal(err.code, CLOISTER_BUSY);
    (void)close(first);
}

static void signals_end_the_wait(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    (void)state;
    for (size_t i = 0; i < CL_COUNT(signals); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        sigset_t blocked;
        int first = -1, second = -1;
        assert_int_equal(cl_lock_take(dir_fd, "/d", CL_WAIT_NOT, &first, NULL), 0);
        pid_t child = meanwhile(signals[i]);
        assert_int_equal(cl_lock_take(dir_fd, "/d", cl_mono_ns() + LONG_NS, &second, &err), -ECANCELED);
        assert_int_equal(second, -1);
        assert_string_equal(err.chain, "");
        assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &blocked), 0);
        assert_false(sigismember(&blocked, SIGTERM) || sigismember(&blocked, SIGINT));
        end_of(child);
        (void)close(first);
    }
}

static const struct {
    const char *text;
    int result;
    uint64_t ns;
} waits[] = {
    {NULL, 0, CL_WAIT_FOR_EVER},
    {"0", 0, CL_WAIT_NOT},
    {"1", 0, CL_NS_PER_S},
    {"1000000", 0, 1000000000000000ull},
    {"1000001", -EINVAL, 7},
    {"", -EINVAL, 7},
    {"-1", -EINVAL, 7},
    {"1s", -EINVAL, 7},
    {"18446744073709551616", -EINVAL, 7},
};

static void the_time_to_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(waits); i++) {
        uint64_t ns = 7;
        const char *name = waits[i].text ? waits[i].text : "none";
        CL_CHECK_INT(name, cl_wait_parse(waits[i].text, &ns), waits[i].result);
        CL_CHECK_INT(name, ns, waits[i].ns);
    }
}

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/cloister-test-lock-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0;
}

static int remove_directory(void **state)
{
    (void)state;
    (void)unlinkat(dir_fd, "lock", 0);
    (void)close(dir_fd);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_holder_is_named),    cmocka_unit_test(what_the_lock_says_is_not_believed),
        cmocka_unit_test(a_link_is_not_followed), cmocka_unit_test(the_wait_ends_with_the_holder),
        cmocka_unit_test(the_wait_has_an_end),    cmocka_unit_test(signals_end_the_wait),
        cmocka_unit_test(the_time_to_wait),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
