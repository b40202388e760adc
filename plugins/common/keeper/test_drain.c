/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of output and the ways of input: drain deadlines, children left behind, stdin, whose the pipes are. */
#include "common/keeper/test_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static const char *program;

static int open_bed(void **state)
{
    *state = bed_open(program);
    bed_start_pause(*state, 1, BED_USER_NAMESPACE);
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const struct cl_wire_stdio captured[3] = {
    {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_SAME, 1}};

/* A child in the background holds the pipe: the exit is told at once, drained when the deadline passes, and the child
 * lives on, also after RELEASE. */
static void test_deadlines(void **state)
{
    static const struct {
        const char *name;
        const char *script;
        uint64_t idle_ms, max_ms;
        uint64_t least_ms;
        uint32_t state;
    } cases[] = {
        {"silent", "(sleep 1000 &); echo x", 300, 60000, 300, CL_TAPE_ENDED_EARLY},
        {"never silent", "(while true; do echo y; sleep 0.02; done &); echo x", 300, 900, 900, CL_TAPE_ENDED_EARLY},
        {"full", "(yes &) ; exit 0", 200, 700, 700, CL_TAPE_ENDED_EARLY},
        {"its pipe ends", "(sleep 0.4 &); echo x", 5000, 60000, 200, CL_TAPE_ENDED},
        {"nobody left", "echo x", 60000, 60000, 0, CL_TAPE_ENDED},
    };
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_wire_memo memo = {
            .drain_idle_ns = cases[i].idle_ms * MS, .drain_max_ns = cases[i].max_ms * MS, .pipe[1] = {.window = 65536}};
        uint64_t pseq = 10 + i;

        bed->stdio = captured;
        bed->memo = &memo;
        bed_start_exec(bed, 1, pseq, cases[i].script);
        struct cl_wire_record record = bed_wait_exit(bed, pseq);
        uint64_t begin = now_ms();

        assert_int_equal(record.flags & CL_WIRE_RECORD_DRAINED, 0);
        struct cl_wire_end end = bed_wait_drained(bed, pseq).end[1];
        uint64_t took = now_ms() - begin;

        if (end.state != cases[i].state || took + 50 < cases[i].least_ms || took > cases[i].least_ms + 4000)
            fail_msg("%s: state %u after %llu ms", cases[i].name, end.state, (unsigned long long)took);
        assert_int_equal(bed_release(bed, pseq).os_errno, 0);
    }
    usleep(300000);
    assert_true(bed_processes(bed) >= 5); /* pause, sleep, the loop and its sleep, yes */
}

/* The window grows by what a pipe holds: nobody has to read for the end to come. */
static void test_drained_without_reader(void **state)
{
    struct bed *bed = *state;

    tape_exec(bed, 1, 10, "dd if=/dev/zero bs=1024 count=100", CL_TAPE_BLOCK, 65536, 0);
    bed_wait_exit(bed, 10);
    struct cl_wire_end end = bed_wait_drained(bed, 10).end[1];

    assert_int_equal(end.state, CL_TAPE_ENDED);
    assert_true(end.position >= 102400);
    assert_int_equal(end.lost, 0);
}

/* Init's tapes are done when nothing of its container lives, and then at once. */
static void test_init(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_memo memo = {.drain_idle_ns = 60000 * MS, .drain_max_ns = 60000 * MS};
    struct bed_plan plan;

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE,
                       "(setsid sleep 1000 &); echo x; exec >&- 2>&-; sleep 0.1; exit 4");
    bed->stdio = captured;
    bed->memo = &memo;
    assert_int_equal(bed_create(bed, &plan, 2, 0, -1).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, UINT64_C(2) << 32).status, 4);
    struct cl_wire_drained drained = bed_wait_drained(bed, UINT64_C(2) << 32);

    assert_int_equal(drained.end[1].state, CL_TAPE_ENDED);
    assert_int_equal(drained.end[1].position, 2);
    bed_wait_down(bed, 2);
}

/* A blocked init is given its pipes by START. */
static void test_start(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_memo memo = {0};
    struct bed_plan plan;

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "echo started");
    assert_int_equal(bed_create(bed, &plan, 2, CL_WIRE_BLOCKED, -1).os_errno, 0);
    bed->stdio = captured;
    bed->memo = &memo;
    assert_int_equal(bed_start(bed, 2, 0).os_errno, 0);
    assert_int_equal(bed_wait_drained(bed, UINT64_C(2) << 32).end[1].position, 8);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "echo started");
    memo.pipe[1].window = 1;
    bed->memo = &memo; /* a pipe's properties, and no pipe */
    struct cl_wire_answer answer = bed_create(bed, &plan, 3, CL_WIRE_BLOCKED, -1);

    assert_int_equal(answer.os_errno, EBADMSG);
    assert_string_equal(answer.step, "message");
}

/* --- input --- */

static struct cl_wire_answer ask(struct bed *bed, uint32_t type, uint64_t pseq)
{
    struct cl_wire_process request;

    cl_wire_init(&request, type, 0);
    request.pseq = pseq;
    return bed_call_fds(bed, &request);
}

static void test_input(void **state)
{
    static const struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_SAME, 1}};
    struct bed *bed = *state;
    struct cl_wire_memo memo = {0};
    char text[64];

    bed->stdio = stdio;
    bed->memo = &memo;
    bed_start_exec(bed, 1, 10, "cat; exit 5");
    bed_start_exec(bed, 1, 11, "sleep 1000");
    assert_int_equal(ask(bed, CL_WIRE_STDIN, 11).os_errno, ENODATA);
    assert_int_equal(ask(bed, CL_WIRE_STDIN_CLOSE, 11).os_errno, ENODATA);
    assert_int_equal(ask(bed, CL_WIRE_STDIN, 12).os_errno, ENOENT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(bed, CL_WIRE_STDIN, 10).os_errno, 0);
        assert_int_equal(bed->fd_count, 1);
        assert_int_equal(fcntl(bed->fds[0], F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK | O_WRONLY);
        assert_int_equal(write(bed->fds[0], "word\n", 5), 5);
        close(bed->fds[0]); /* no end: the keeper has another */
    }
    usleep(100000);
    assert_false(bed_has_exit(bed, 10));
    assert_int_equal(ask(bed, CL_WIRE_STDIN_CLOSE, 10).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 10).status, 5);
    assert_int_equal(ask(bed, CL_WIRE_STDIN_CLOSE, 10).os_errno, 0);
    assert_int_equal(ask(bed, CL_WIRE_STDIN, 10).os_errno, EPIPE);
    struct tape tape = tape_open(bed, 10);

    reader_all(&tape, reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0), text, sizeof(text));
    assert_string_equal(text, "word\nword\n");
    tape_close(&tape);
}

/* The child's end waits, though the keeper's does not; a process that is gone can be told nothing. */
static void test_input_of_the_dead(void **state)
{
    static const struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}};
    struct bed *bed = *state;

    bed->stdio = stdio;
    bed_start_exec(bed, 1, 10, "head -n 1; exit 6");
    usleep(50000);
    assert_false(bed_has_exit(bed, 10));
    assert_int_equal(ask(bed, CL_WIRE_STDIN, 10).os_errno, 0);
    int input = bed->fds[0];

    assert_int_equal(write(input, "x\n", 2), 2);
    struct cl_wire_record record = bed_wait_exit(bed, 10);

    assert_int_equal(record.status, 6);
    assert_int_equal(record.flags, CL_WIRE_RECORD_DRAINED);
    assert_int_equal(ask(bed, CL_WIRE_STDIN, 10).os_errno, EPIPE);
    assert_int_equal(write(input, "x\n", 2), -1);
    close(input);
}

/* /dev/stdout opened again by a user that is not root. */
static void test_owner(void **state)
{
    static const struct {
        const char *name;
        uint32_t owner;
        const char *expected;
    } cases[] = {{"its user", 1000, "yes\n"}, {"another", 1001, "no\n"}};
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_wire_memo memo = {.pipe[1] = {.owner_uid = cases[i].owner}};
        struct bed_plan plan;
        char text[64];
        uint64_t pseq = 10 + i;

        bed_plan_process(&plan, "(echo yes > /proc/self/fd/1) 2>/dev/null || echo no");
        plan.plan.head.uid = 1000;
        plan.plan.head.gid = 1000;
        bed->stdio = captured;
        bed->memo = &memo;
        assert_int_equal(bed_exec(bed, &plan, 1, pseq, -1).os_errno, 0);
        struct tape tape = tape_open(bed, pseq);

        reader_all(&tape, reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0), text, sizeof(text));
        if (strcmp(text, cases[i].expected) != 0)
            fail_msg("%s: '%s'", cases[i].name, text);
        tape_close(&tape);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_deadlines, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_drained_without_reader, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_init, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_start, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_input, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_input_of_the_dead, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_owner, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper drain", tests, NULL, NULL);
}
