/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds: what all tapes hold together, what thousands of short processes leave behind, a daemon that does not listen.
 */
#include "common/keeper/test_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;

static int open_bed(void **state)
{
    *state = bed_open_listening(program);
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

/* --- tape_max --- */

#define MAX (1u << 20)

static void run_written(struct bed *bed, uint64_t pseq, const char *kilobytes)
{
    char script[64];

    snprintf(script, sizeof(script), "exec dd if=/dev/zero bs=1024 count=%s 2>/dev/null", kilobytes);
    tape_exec(bed, 1, pseq, script, CL_TAPE_BLOCK, 0, 0);
    bed_wait_drained(bed, pseq);
}

/* Processes that have exited lose, the oldest first, what nobody has read; one that lives is not held up by them. */
static void test_all_together(void **state)
{
    struct bed *bed = *state;
    uint64_t bytes[3];
    struct tape tape[4];

    close(bed->sock);
    bed->tape_max = MAX;
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).os_errno, 0);
    for (uint64_t i = 0; i < 3; i++) {
        run_written(bed, 10 + i, "500");
        tape[i] = tape_open(bed, 10 + i);
    }
    for (int i = 0; i < 3; i++)
        bytes[i] = tape_bytes(&tape[i]);
    assert_true(bytes[0] + bytes[1] + bytes[2] <= MAX + 6 * 4096);
    assert_true(TAPE_LOAD(tape[0].head->tape[1].lost) >= 400 * 1024);
    assert_int_equal(TAPE_LOAD(tape[0].head->tape[1].lost), TAPE_LOAD(tape[0].head->tape[1].start));
    assert_int_equal(TAPE_LOAD(tape[1].head->tape[1].lost), 0);
    assert_int_equal(TAPE_LOAD(tape[2].head->tape[1].lost), 0);
    tape_exec(bed, 1, 20, "exec yes", CL_TAPE_BLOCK, 700 << 10, 0);
    tape[3] = tape_open(bed, 20);
    for (int i = 0; i < 500 && TAPE_LOAD(tape[3].head->tape[1].end) < 700 << 10; i++)
        usleep(10000);
    assert_int_equal(TAPE_LOAD(tape[3].head->tape[1].end), 700 << 10);
    assert_true(TAPE_LOAD(tape[1].head->tape[1].lost) > 0);
    assert_true(TAPE_LOAD(tape[2].head->tape[1].lost) < TAPE_LOAD(tape[1].head->tape[1].lost));
    for (int i = 0; i < 4; i++)
        tape_close(&tape[i]);
}

/* All the room is taken by one that lives and is not read: another one still gets through with its reader. */
static void test_no_hostage(void **state)
{
    struct bed *bed = *state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    close(bed->sock);
    bed->tape_max = 256 << 10;
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).os_errno, 0);
    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, 0, 0);
    struct tape hostage = tape_open(bed, 10);

    for (int i = 0; i < 500 && TAPE_LOAD(hostage.head->tape[1].end) < 240 << 10; i++)
        usleep(10000);
    tape_exec(bed, 1, 11, "exec dd if=/dev/zero bs=4096 count=100 2>/dev/null", CL_TAPE_BLOCK, 0, 0);
    struct tape tape = tape_open(bed, 11);
    uint32_t reader = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);
    ssize_t n;

    while ((n = reader_move(&tape, reader, null, 1 << 20)) != 0) {
        assert_true(n > 0 || n == -EAGAIN);
        if (n == -EAGAIN)
            reader_wait(&tape, reader, 20000);
    }
    assert_int_equal(reader_position(&tape, reader), 409600);
    assert_int_equal(reader_lost(&tape, reader), 0);
    assert_true(tape_bytes(&hostage) + tape_bytes(&tape) <= (256 << 10) + 6 * 4096);
    tape_close(&hostage);
    tape_close(&tape);
    close(null);
}

/* --- many short ones --- */

static unsigned long memory_kib(const struct bed *bed)
{
    char path[64];
    char text[8192];

    snprintf(path, sizeof(path), "/proc/%d/status", bed->pid);
    bed_read_all(open(path, O_RDONLY | O_CLOEXEC), text, sizeof(text));
    const char *line = strstr(text, "\nVmRSS:");

    assert_non_null(line);
    return strtoul(line + 7, NULL, 10);
}

static int descriptors(const struct bed *bed)
{
    char path[64];
    int n = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", bed->pid);
    DIR *dir = opendir(path);

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void run_short(struct bed *bed, uint64_t pseq)
{
    struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}};
    struct cl_wire_memo memo = {.name_size = 100, .tag_size = 1000};
    struct bed_plan plan;

    memset(memo.name, 'n', sizeof(memo.name));
    bed->stdio = stdio;
    bed->memo = &memo;
    bed_plan_process(&plan, NULL);
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "echo", 4);
    assert_int_equal(bed_exec(bed, &plan, 1, pseq, -1).os_errno, 0);
    bed->exit_count = 0;
    bed->drained_count = 0;
    bed_wait_drained(bed, pseq);
    assert_int_equal(bed_release(bed, pseq).os_errno, 0);
}

static void test_short_ones(void **state)
{
    struct bed *bed = *state;

    for (uint64_t i = 0; i < 100; i++)
        run_short(bed, 100 + i);
    unsigned long memory = memory_kib(bed);
    int fds = descriptors(bed);

    for (uint64_t i = 0; i < 500; i++)
        run_short(bed, 1000 + i);
    assert_int_equal(descriptors(bed), fds);
    if (memory_kib(bed) > memory + 64)
        fail_msg("%lu KiB after 100, %lu KiB after 600", memory, memory_kib(bed));
}

/* A pause never execs: what it had inherited of a tape would stay in memory as long as it lives. */
static void test_not_inherited(void **state)
{
    struct bed *bed = *state;
    char path[64];
    char text[16384];

    tape_exec(bed, 1, 10, "sleep 1000", CL_TAPE_BLOCK, 0, 0);
    bed_start_pause(bed, 2, BED_USER_NAMESPACE);
    snprintf(path, sizeof(path), "/proc/%d/maps", bed->slip_pid);
    bed_read_all(open(path, O_RDONLY | O_CLOEXEC), text, sizeof(text));
    assert_non_null(strstr(text, "[stack]"));
    assert_null(strstr(text, "cl-tape"));
    snprintf(path, sizeof(path), "/proc/%d/maps", bed->pid);
    bed_read_all(open(path, O_RDONLY | O_CLOEXEC), text, sizeof(text));
    assert_non_null(strstr(text, "cl-tape"));
}

/* The limit that a daemon happens to have is not the keeper's; what it starts has it all the same. */
static void test_descriptors(void **state)
{
    struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}};
    struct bed *bed = *state;
    struct cl_wire_memo memo = {0};
    char text[64];

    for (uint64_t i = 0; i < 80; i++) {
        bed->stdio = stdio;
        bed->memo = &memo;
        bed_start_exec(bed, 1, 10 + i, "read line; ulimit -n");
    }
    assert_true(descriptors(bed) > 320);
    struct cl_wire_process request;

    cl_wire_init(&request, CL_WIRE_STDIN_CLOSE, 0);
    request.pseq = 89;
    assert_int_equal(bed_call(bed, &request).os_errno, 0);
    bed_wait_drained(bed, 89);
    struct tape tape = tape_open(bed, 89);

    reader_all(&tape, reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0), text, sizeof(text));
    assert_string_equal(text, "256\n");
    tape_close(&tape);
}

static int open_narrow_bed(void **state)
{
    struct rlimit old;
    struct rlimit narrow;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    narrow = (struct rlimit){256, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &narrow), 0);
    open_bed(state);
    return setrlimit(RLIMIT_NOFILE, &old);
}

/* --- a daemon that is stopped --- */

#define SLEEPERS 400u

static uint64_t boot_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void start_sleep(struct bed *bed, uint64_t pseq)
{
    struct bed_plan plan;

    bed_plan_process(&plan, NULL);
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "sleep", 5);
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "1000", 4);
    assert_int_equal(bed_exec(bed, &plan, 2, pseq, -1).os_errno, 0);
}

/* More exits than its socket takes, and the init's behind them: all are recorded at once, and told when it looks. */
static void test_stopped_daemon(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    uint64_t init = UINT64_C(2) << 32;

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "while ! test -e /data/go; do sleep 0.02; done; exit 3");
    bed_plan_fs(&plan, "tmpfs", "/data", 0);
    assert_int_equal(bed_create(bed, &plan, 2, 0, -1).os_errno, 0);
    for (uint64_t i = 0; i < SLEEPERS; i++)
        start_sleep(bed, 100 + i);
    bed_start_exec(bed, 2, 99, "sleep 0.1; touch /data/go; sleep 1000");
    usleep(1000000);
    uint64_t woken = boot_ns();

    bed_wait_down(bed, 2);
    struct cl_wire_record record = bed_wait_exit(bed, init);

    assert_int_equal(record.status, 3);
    assert_true(record.exit_boot_ns + 100000000 < woken);
    for (uint64_t i = 0; i < SLEEPERS; i++)
        assert_true(bed_has_exit(bed, 100 + i));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_together, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_no_hostage, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_short_ones, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_descriptors, open_narrow_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_not_inherited, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_stopped_daemon, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper bounds", tests, NULL, NULL);
}
