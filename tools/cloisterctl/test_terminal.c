/* SPDX-License-Identifier: Apache-2.0 */
/* test_terminal.c - which keys are the program's; and a terminal that comes back as it was. */
#include "core/util/check.h"
#include "core/util/fd.h"
#include "terminal.h"
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void test_keys(void **state)
{
    static const struct {
        const char *name, *typed[3], *passed[3];
        bool wanted, done;
    } cases[] = {
        {"none", {"abc"}, {"abc"}, true, false},
        {"both", {"a\x10\x11z"}, {"a"}, true, true},
        {"one, then the other", {"a\x10", "\x11z"}, {"a", ""}, true, true},
        {"only one",
         {"\x10", "b"},
         {"", "\x10"
              "b"},
         true,
         false},
        {"twice one", {"\x10\x10\x11"}, {"\x10"}, true, true},
        {"the wrong way around",
         {"\x11\x10", "c"},
         {"\x11", "\x10"
                  "c"},
         true,
         false},
        {"nothing after them", {"\x10\x11", "c"}, {"", ""}, true, true},
        {"not wanted", {"a\x10\x11z"}, {"a\x10\x11z"}, false, false},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct ctl_detach detach = {.wanted = cases[i].wanted};
        for (size_t k = 0; k < 3 && cases[i].typed[k]; k++) {
            char bytes[32];
            size_t size = strlen(cases[i].typed[k]);
            memcpy(bytes + 1, cases[i].typed[k], size);
            bytes[ctl_detach_filter(&detach, bytes, size)] = 0;
            CL_CHECK_STR(cases[i].name, bytes, cases[i].passed[k]);
        }
        CL_CHECK_INT(cases[i].name, detach.done, cases[i].done);
    }
}

/* A child that makes its terminal raw and ends in its own way. */
static void end_in(int way)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ctl_terminal terminal = CTL_TERMINAL_INIT;

    if (way > 0)
        (void)signal(way, SIG_DFL); /* under nohup SIGHUP is ignored */
    if (ctl_terminal_check(&err) < 0 || ctl_terminal_begin(&terminal, &err) < 0 ||
        ctl_terminal_raw(&terminal, &err) < 0)
        _exit(99);
    if (way == 0)
        ctl_terminal_end(&terminal);
    if (way > 0)
        (void)raise(way);
    exit(7); /* -1: without a word */
}

static void test_comes_back(void **state)
{
    static const int ways[] = {-1, 0, SIGTERM, SIGHUP, SIGINT, SIGSEGV, SIGABRT};
    for (size_t i = 0; i < CL_COUNT(ways); i++) {
        struct termios before, after;
        char name[32];
        int master, slave, status;
        (void)snprintf(name, sizeof(name), "way %d", ways[i]);
        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        assert_int_equal(tcgetattr(slave, &before), 0);
        CL_CHECK(name, before.c_lflag & ICANON);
        pid_t pid = fork();
        if (pid == 0) {
            (void)dup2(slave, 0);
            end_in(ways[i]);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (ways[i] > 0)
            CL_CHECK_INT(name, WIFSIGNALED(status) ? WTERMSIG(status) : 0, ways[i]);
        else
            CL_CHECK_INT(name, WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
        assert_int_equal(tcgetattr(slave, &after), 0);
        CL_CHECK_INT(name, after.c_lflag, before.c_lflag);
        CL_CHECK_INT(name, after.c_oflag, before.c_oflag);
        CL_CHECK_INT(name, after.c_iflag, before.c_iflag);
        (void)close(master);
        (void)close(slave);
    }
}

static void test_size(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct winsize size = {.ws_row = 40, .ws_col = 100};
    int kept = dup(0), pipe_fds[2], master, slave;
    uint32_t rows, columns;

    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    assert_int_equal(dup2(slave, 0), 0);
    assert_int_equal(ctl_terminal_check(&err), 0);
    ctl_terminal_size(&rows, &columns);
    assert_int_equal(rows, 40);
    assert_int_equal(columns, 100);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(dup2(pipe_fds[0], 0), 0);
    assert_true(ctl_terminal_check(&err) < 0);
    assert_int_equal(err.code, CLOISTER_NOT_TTY);
    ctl_terminal_size(&rows, &columns);
    assert_int_equal(rows, 0);
    assert_int_equal(dup2(kept, 0), 0);
    for (int fd = 0; fd < 2; fd++)
        (void)close(pipe_fds[fd]);
    (void)close(master);
    (void)close(slave);
    (void)close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_comes_back),
                                       cmocka_unit_test(test_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
