/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log/log.h"

#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/fd.h"
#include "core/util/sv.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int log_pipe[2];

static int set_up(void **state)
{
    (void)state;
    if (pipe2(log_pipe, O_CLOEXEC) < 0 || cl_fd_set_nonblock(log_pipe[0]) < 0)
        return -1;
    cl_log_set_fd(log_pipe[1]);
    cl_log_set_level(CL_LOG_INFO);
    cl_log_set_timestamps(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cl_log_set_fd(STDERR_FILENO);
    cl_closep(&log_pipe[0]);
    cl_closep(&log_pipe[1]);
    return 0;
}

/* All that is in the pipe, as text. */
static const char *logged(void)
{
    static char text[2 * CL_LOG_LINE_MAX];
    ssize_t size = read(log_pipe[0], text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static void lines_have_level_and_area(void **state)
{
    (void)state;
    cl_log(CL_LOG_WARN, "net", "peer %d went away", 7);
    assert_string_equal(logged(), "warn net: peer 7 went away\n");
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_IO, EIO, "", "", "read config");
    cl_log_error(CL_LOG_ERROR, "main", &err, "start '%s'", "web");
    assert_string_equal(logged(), "error main: start 'web': read config: Input/output error\n");
}

static void levels_filter(void **state)
{
    (void)state;
    enum cl_log_level level;
    cl_log(CL_LOG_DEBUG, "a", "hidden");
    assert_string_equal(logged(), "");
    assert_int_equal(cl_log_level_parse("debug", &level), 0);
    cl_log_set_level(level);
    assert_true(cl_log_enabled(CL_LOG_DEBUG));
    cl_log(CL_LOG_DEBUG, "a", "seen");
    assert_string_equal(logged(), "debug a: seen\n");
    assert_int_equal(cl_log_level_parse("error", &level), 0);
    cl_log_set_level(level);
    assert_false(cl_log_enabled(CL_LOG_WARN));
    assert_int_equal(cl_log_level_parse("Error", &level), -EINVAL);
    assert_string_equal(cl_log_level_name(CL_LOG_INFO), "info");
    assert_string_equal(cl_log_level_name(9), "unknown");
}

static void nobody_forges_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"newline", "a\nerror main: b", "info x: a\\x0aerror main: b\n"},
        {"escape", "\x1b[2J", "info x: \\x1b[2J\n"},
        {"delete", "\x7f", "info x: \\x7f\n"},
        {"C1 control",
         "\xc2\x9b"
         "2J",
         "info x: \\xc2\\x9b2J\n"},
        {"malformed", "\xff\xc3", "info x: \\xff\\xc3\n"},
        {"letters stay", "\xc3\xa9\xe2\x82\xac", "info x: \xc3\xa9\xe2\x82\xac\n"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        cl_log(CL_LOG_INFO, "x", "%s", cases[i].text);
        CL_CHECK_STR(cases[i].name, logged(), cases[i].want);
    }
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        char byte;
        size_t size;
        bool cut;
    } cases[] = {
        {"just fits", 'a', CL_LOG_LINE_MAX - 8 - 4, false},
        {"one too many", 'a', CL_LOG_LINE_MAX - 8 - 3, true},
        {"far too long", 'a', 3 * CL_LOG_LINE_MAX, true},
        {"grows by escaping", '\t', CL_LOG_LINE_MAX / 2, true},
    };
    static char text[4 * CL_LOG_LINE_MAX];
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        memset(text, cases[i].byte, cases[i].size);
        text[cases[i].size] = 0;
        cl_log(CL_LOG_INFO, "x", "%s", text);
        const char *line = logged();
        size_t size = strlen(line);
        CL_CHECK(cases[i].name, size <= CL_LOG_LINE_MAX && line[size - 1] == '\n');
        CL_CHECK(cases[i].name, (strcmp(line + size - 4, "...\n") == 0) == cases[i].cut);
    }
}

static void timestamps(void **state)
{
    (void)state;
    cl_log_set_timestamps(true);
    cl_log(CL_LOG_INFO, "x", "y");
    unsigned year, month, day, hour, minute, second, milli;
    const char *line = logged();
    assert_int_equal(
        sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ info x: y", &year, &month, &day, &hour, &minute, &second, &milli),
        7);
    assert_string_equal(line + 24, " info x: y\n");
}

/* The pipe's reader sleeps: no call may wait, and the loss is told once there is room again. */
static void full_sink_drops_and_counts(void **state)
{
    (void)state;
    char line[1024];
    memset(line, 'z', sizeof(line));
    line[sizeof(line) - 1] = 0;
    uint64_t before = cl_log_dropped();
    for (int i = 0; i < 200; i++)
        cl_log(CL_LOG_INFO, "x", "%s", line);
    uint64_t lost = cl_log_dropped() - before;
    assert_true(lost >= 100 && lost < 200);
    assert_false(fcntl(log_pipe[1], F_GETFL) & O_NONBLOCK);
    while (logged()[0])
        continue;
    cl_log(CL_LOG_INFO, "x", "again");
    char want[128];
    (void)snprintf(want, sizeof(want), "warn log: %llu lines were lost, the sink was full\ninfo x: again\n",
                   (unsigned long long)lost);
    assert_string_equal(logged(), want);
    cl_log(CL_LOG_INFO, "x", "told once");
    assert_string_equal(logged(), "info x: told once\n");
}

static void other_sinks(void **state)
{
    (void)state;
    static const char want[] = "info x: hello\n";
    char got[64];
    CL_CLOSE int file = memfd_create("log", MFD_CLOEXEC);
    cl_log_set_fd(file);
    cl_log(CL_LOG_INFO, "x", "hello");
    assert_int_equal(pread(file, got, sizeof(got), 0), sizeof(want) - 1);
    assert_memory_equal(got, want, sizeof(want) - 1);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CL_CLOSE int near = pair[0];
    CL_CLOSE int far = pair[1];
    cl_log_set_fd(near);
    cl_log(CL_LOG_INFO, "x", "hello");
    assert_int_equal(read(far, got, sizeof(got)), sizeof(want) - 1);
    uint64_t before = cl_log_dropped();
    for (int i = 0; i < 10000 && cl_log_dropped() == before; i++)
        cl_log(CL_LOG_INFO, "x", "%0512d", i);
    assert_true(cl_log_dropped() > before);
    CL_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cl_log_set_fd(null);
    before = cl_log_dropped();
    cl_log(CL_LOG_INFO, "x", "hello");
    assert_int_equal(cl_log_dropped(), before);
}

static void errno_survives(void **state)
{
    (void)state;
    cl_log_set_fd(-1);
    errno = 77;
    cl_log(CL_LOG_INFO, "x", "nowhere");
    assert_int_equal(errno, 77);
}

int main(void)
{
#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOG_TEST(lines_have_level_and_area),
        LOG_TEST(levels_filter),
        LOG_TEST(nobody_forges_a_line),
        LOG_TEST(long_lines_are_cut),
        LOG_TEST(timestamps),
        LOG_TEST(full_sink_drops_and_counts),
        LOG_TEST(other_sinks),
        LOG_TEST(errno_survives),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
