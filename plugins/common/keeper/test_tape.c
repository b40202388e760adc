/* SPDX-License-Identifier: Apache-2.0 */
/* Captured output: what is kept, what holds the process up, what is lost and counted, and when it ends. */
#include "common/keeper/test_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

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

static void sleep_ms(unsigned int ms)
{
    usleep(ms * 1000);
}

/* Both descriptors, in order, read after the process has long gone; then the memory is given back. */
static void test_after_the_end(void **state)
{
    struct bed *bed = *state;
    char text[256];

    tape_exec(bed, 1, 10, "echo out; echo err >&2; echo more; exit 3", CL_TAPE_BLOCK, 0, 1);
    struct cl_wire_record record = bed_wait_exit(bed, 10);

    assert_int_equal(record.status, 3);
    assert_int_equal(record.flags & CL_WIRE_RECORD_CAPTURED, CL_WIRE_RECORD_CAPTURED);
    struct cl_wire_drained drained = bed_wait_drained(bed, 10);

    assert_int_equal(drained.end[0].state, CL_TAPE_NONE);
    assert_int_equal(drained.end[1].state, CL_TAPE_ENDED);
    assert_int_equal(drained.end[1].position, 9);
    assert_int_equal(drained.end[2].position, 4);
    struct tape tape = tape_open(bed, 10);
    uint32_t out = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);
    uint32_t err = reader_new(&tape, 2, CL_TAPE_SLOT_BLOCK, 0);

    assert_int_equal(reader_all(&tape, out, text, sizeof(text)), 9);
    assert_string_equal(text, "out\nmore\n");
    assert_int_equal(reader_all(&tape, err, text, sizeof(text)), 4);
    assert_string_equal(text, "err\n");
    tape_close(&tape);
    assert_int_equal(bed_release(bed, 10).os_errno, 0);
}

/* 2>&1: one tape, one order. */
static void test_same(void **state)
{
    struct bed *bed = *state;
    char text[256];

    tape_exec(bed, 1, 10, "echo a; echo b >&2; echo c", CL_TAPE_BLOCK, 0, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t out = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    reader_all(&tape, out, text, sizeof(text));
    assert_string_equal(text, "a\nb\nc\n");
    assert_int_equal(TAPE_LOAD(tape.head->tape[2].state), CL_TAPE_NONE);
    tape_close(&tape);
}

static uint64_t settled_end(const struct tape *tape, uint32_t fd)
{
    uint64_t before = UINT64_MAX;

    for (int i = 0; i < 200 && before != TAPE_LOAD(tape->head->tape[fd].end); i++) {
        before = TAPE_LOAD(tape->head->tape[fd].end);
        sleep_ms(50);
    }
    return before;
}

/* Nobody reads: each policy, and how much memory it takes. */
static void test_policies(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 128 << 10;

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, window, 0);
    tape_exec(bed, 1, 11, "exec yes", CL_TAPE_DROP, window, 0);
    tape_exec(bed, 1, 12, "exec yes", CL_TAPE_DISCARD, window, 0);
    struct tape block = tape_open(bed, 10);
    struct tape drop = tape_open(bed, 11);
    struct tape discard = tape_open(bed, 12);

    assert_int_equal(settled_end(&block, 1), window);
    assert_int_equal(TAPE_LOAD(block.head->tape[1].start), 0);
    sleep_ms(200);
    assert_true(TAPE_LOAD(drop.head->tape[1].end) > 16 * window);
    assert_true(TAPE_LOAD(discard.head->tape[1].end) > 16 * window);
    for (int i = 0; i < 20; i++) {
        assert_true(tape_bytes(&block) <= window + 4096);
        assert_true(tape_bytes(&drop) <= 4 * window + (16 << 10)); /* a turn more comes in before a window goes */
        assert_true(tape_bytes(&discard) <= 3 * 4096);
        sleep_ms(5);
    }
    for (uint64_t pseq = 10; pseq < 13; pseq++)
        assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, pseq, SIGKILL).os_errno, 0);
    struct cl_wire_end end = bed_wait_drained(bed, 10).end[1];

    assert_true(end.position >= window && end.position <= window + (64 << 10));
    assert_int_equal(end.lost, 0);
    end = bed_wait_drained(bed, 11).end[1];
    assert_int_equal(end.lost, TAPE_LOAD(drop.head->tape[1].start));
    assert_true(end.position - end.lost >= window && end.position - end.lost <= window + (256 << 10));
    end = bed_wait_drained(bed, 12).end[1];
    assert_int_equal(end.lost, end.position);
    tape_close(&block);
    tape_close(&drop);
    tape_close(&discard);
}

/* --- readers --- */

static void kill_and_drain(struct bed *bed, uint64_t pseq)
{
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, pseq, SIGKILL).os_errno, 0);
    bed_wait_drained(bed, pseq);
}

/* One that never reads holds the process up, and nothing else grows. */
static void test_silent_reader(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 256 << 10;

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_DROP, window, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t reader = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, TAPE_LOAD(tape.head->tape[1].start));
    uint64_t begin = reader_position(&tape, reader);

    settled_end(&tape, 1);
    begin = TAPE_LOAD(tape.head->tape[1].start) > begin ? TAPE_LOAD(tape.head->tape[1].start) : begin;
    for (int i = 0; i < 20; i++) {
        assert_true(TAPE_LOAD(tape.head->tape[1].end) <= begin + window);
        assert_true(tape_bytes(&tape) <= 3 * window);
        sleep_ms(5);
    }
    kill_and_drain(bed, 10);
    tape_close(&tape);
}

/* The fast one sets the pace; the slow one has a window, then loses, and what it lost is counted. */
static void test_slow_reader(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 256 << 10;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    uint64_t got = 0;

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, window, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t fast = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);
    uint32_t slow = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    for (int i = 0; reader_position(&tape, fast) < 100 * window; i++) {
        ssize_t n = reader_move(&tape, fast, null, 64 << 10);

        if (n == -EAGAIN)
            reader_wait(&tape, fast, 20000);
        if (i % 16 == 0)
            got += (uint64_t)reader_move(&tape, slow, null, 1);
        assert_true(tape_bytes(&tape) <= 2 * window + (144 << 10));
    }
    got += (uint64_t)reader_move(&tape, slow, null, 1);
    assert_true(reader_lost(&tape, slow) > 90 * window);
    assert_int_equal(reader_lost(&tape, slow) + got, reader_position(&tape, slow));
    assert_int_equal(reader_lost(&tape, fast), 0);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].lost), 0);
    kill_and_drain(bed, 10);
    tape_close(&tape);
    close(null);
}

static void move_to(struct tape *tape, uint32_t reader, uint64_t position, int out)
{
    while (reader_position(tape, reader) < position)
        if (reader_move(tape, reader, out, 64 << 10) == -EAGAIN)
            reader_wait(tape, reader, 20000);
}

/* What the own policy BLOCK keeps until somebody has had it goes by nobody who begins at the end, whatever his own is.
 */
static void test_live_reader(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, window, 0);
    struct tape tape = tape_open(bed, 10);
    const struct cl_tape *own = &tape.head->tape[1];

    assert_int_equal(settled_end(&tape, 1), window);
    uint32_t drop = reader_new(&tape, 1, CL_TAPE_SLOT_DROP, window);
    uint32_t block = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, window);

    assert_int_equal(eventfd_write(tape.to_keeper, 1), 0);
    assert_int_equal(settled_end(&tape, 1), 2 * window); /* the BLOCK reader sets the pace */
    assert_int_equal(TAPE_LOAD(own->start), 0);
    reader_free(&tape, block);
    move_to(&tape, drop, 2 * window, null); /* has had what came from then on, and releases nothing */
    assert_int_equal(eventfd_write(tape.to_keeper, 1), 0);
    assert_int_equal(settled_end(&tape, 1), 2 * window);
    assert_int_equal(TAPE_LOAD(own->start), 0);
    assert_int_equal(TAPE_LOAD(own->lost), 0);
    block = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 2 * window);
    move_to(&tape, block, 8 * window, null); /* more than a window ahead: that is gone, and counted */
    settled_end(&tape, 1);
    assert_true(TAPE_LOAD(own->start) >= 6 * window);
    assert_int_equal(TAPE_LOAD(own->lost), window); /* the second one the DROP reader has had */
    kill_and_drain(bed, 10);
    tape_close(&tape);
    close(null);
}

/* Of bytes that go all at once only those are lost that nobody was given, wherever they lie. */
static void test_lost_between(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct cl_wire_policy request;

    tape_exec(bed, 1, 10, "head -c 65536 /dev/zero; exec sleep 1000", CL_TAPE_BLOCK, window, 0);
    struct tape tape = tape_open(bed, 10);

    assert_int_equal(settled_end(&tape, 1), window);
    uint32_t first = reader_new(&tape, 1, CL_TAPE_SLOT_DROP, 10000);
    uint32_t second = reader_new(&tape, 1, CL_TAPE_SLOT_DROP, 30000);

    assert_int_equal(reader_move(&tape, first, null, 5000), 5000);
    assert_int_equal(reader_move(&tape, second, null, 25000), 25000);
    cl_wire_init(&request, CL_WIRE_POLICY, 0);
    request.pseq = 10;
    request.fd = 1;
    request.policy = CL_TAPE_DROP;
    request.window = window - 60000;
    assert_int_equal(bed_call(bed, &request).os_errno, 0);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].start), 60000);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].lost), 10000 + 15000 + 5000);
    tape_close(&tape);
    close(null);
}

static uint64_t pipe_capacity(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fd/1", pid);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    assert_true(fd >= 0);
    int capacity = fcntl(fd, F_GETPIPE_SZ);

    close(fd);
    assert_true(capacity > 0);
    return (uint64_t)capacity;
}

/* Who keeps filling the pipe gets a bigger one; who wrote a lot once costs no more than before. */
static void test_fast_writer(void **state)
{
    struct bed *bed = *state;
    const uint64_t usual = 64 << 10;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, usual, 0);
    pid_t fast = bed->slip_pid;

    tape_exec(bed, 1, 11, "head -c 131072 /dev/zero; exec sleep 1000", CL_TAPE_BLOCK, 2 * usual, 0);
    pid_t slow = bed->slip_pid;
    struct tape tape = tape_open(bed, 10);
    struct tape other = tape_open(bed, 11);
    uint32_t reader = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    for (int i = 0; i < 2000 && pipe_capacity(fast) == usual; i++) {
        sleep_ms(5); /* the pipe fills */
        if (reader_move(&tape, reader, null, usual) == -EAGAIN)
            reader_wait(&tape, reader, 20000);
    }
    assert_int_equal(pipe_capacity(fast), 4 * usual);
    assert_int_equal(settled_end(&other, 1), 2 * usual);
    assert_int_equal(pipe_capacity(slow), usual);
    kill_and_drain(bed, 10);
    kill_and_drain(bed, 11);
    tape_close(&tape);
    tape_close(&other);
    close(null);
}

/* A DROP reader holds nothing back, whatever it does; when it looks again it learns what it has missed. */
static void test_drop_reader(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    char text[64];

    for (uint32_t policy = CL_TAPE_DROP; policy <= CL_TAPE_DISCARD; policy++) {
        uint64_t pseq = 10 + policy;

        tape_exec(bed, 1, pseq, "exec yes", policy, window, 0);
        struct tape tape = tape_open(bed, pseq);
        uint32_t reader = reader_new(&tape, 1, CL_TAPE_SLOT_DROP, 0);

        for (int i = 0; i < 200 && TAPE_LOAD(tape.head->tape[1].end) < 50 * window; i++)
            sleep_ms(10);
        assert_true(TAPE_LOAD(tape.head->tape[1].end) >= 50 * window);
        kill_and_drain(bed, pseq);
        assert_true(tape_bytes(&tape) <= 8 * window); /* with what a bigger pipe still held at the kill */
        int memory = memfd_create("reader", MFD_CLOEXEC);

        assert_int_equal(reader_move(&tape, reader, memory, 4), 4);
        assert_int_equal(reader_lost(&tape, reader) + 4, reader_position(&tape, reader));
        assert_true(reader_lost(&tape, reader) >= 40 * window);
        assert_int_equal(pread(memory, text, 4, 0), 4);
        assert_true(memcmp(text, "y\ny\n", 4) == 0 || memcmp(text, "\ny\ny", 4) == 0);
        close(memory);
        tape_close(&tape);
    }
}

/* DROP while a BLOCK reader is there means BLOCK; POLICY changes the rest of the story. */
static void test_policy_request(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    struct cl_wire_policy request;

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, window, 0);
    struct tape tape = tape_open(bed, 10);

    assert_int_equal(settled_end(&tape, 1), window);
    cl_wire_init(&request, CL_WIRE_POLICY, 0);
    request.pseq = 10;
    request.fd = 2;
    assert_int_equal(bed_call(bed, &request).os_errno, ENODATA);
    request.fd = 3;
    assert_int_equal(bed_call(bed, &request).os_errno, EINVAL);
    request.fd = 1;
    request.window = 2 * window;
    assert_int_equal(bed_call(bed, &request).os_errno, 0);
    assert_int_equal(settled_end(&tape, 1), 2 * window);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].window), 2 * window);
    request.policy = CL_TAPE_DISCARD;
    request.window = 0;
    assert_int_equal(bed_call(bed, &request).os_errno, 0);
    for (int i = 0; i < 200 && TAPE_LOAD(tape.head->tape[1].end) < 20 * window; i++)
        sleep_ms(10);
    assert_true(TAPE_LOAD(tape.head->tape[1].end) >= 20 * window);
    request.pseq = 99;
    assert_int_equal(bed_call(bed, &request).os_errno, ENOENT);
    kill_and_drain(bed, 10);
    tape_close(&tape);
}

/* A reader that is just sending loses its bytes, but not under its hands: their pages stay until it is done. */
static void test_busy_reader(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    char text[2];

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, window, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t fast = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);
    uint32_t slow = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    TAPE_STORE(tape.head->slot[slow].busy, 1);
    move_to(&tape, fast, 8 * window, null);
    settled_end(&tape, 1);
    assert_true(TAPE_LOAD(tape.head->tape[1].start) >= 6 * window);
    assert_int_equal(pread(tape.memfd, text, 2, (off_t)(UINT64_C(1) << CL_TAPE_SHIFT)), 2);
    assert_memory_equal(text, "y\n", 2);
    TAPE_STORE(tape.head->slot[slow].busy, 0);
    for (int i = 0; i < 500 && tape_bytes(&tape) > 4 * window; i++)
        sleep_ms(10);
    assert_true(tape_bytes(&tape) <= 4 * window);
    kill_and_drain(bed, 10);
    tape_close(&tape);
    close(null);
}

/* A reader that has caught up with a process which then says nothing: the memory is given back by itself. */
static void test_tidy(void **state)
{
    struct bed *bed = *state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    tape_exec(bed, 1, 10, "dd if=/dev/zero bs=1024 count=600 2>/dev/null; sleep 1000", CL_TAPE_BLOCK, 0, 0);
    struct tape tape = tape_open(bed, 10);

    assert_int_equal(settled_end(&tape, 1), 600 << 10);
    assert_true(tape_bytes(&tape) >= 600 << 10);
    uint32_t reader = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    while (reader_position(&tape, reader) < 600 << 10)
        assert_true(reader_move(&tape, reader, null, 1 << 20) > 0);
    for (int i = 0; i < 500 && tape_bytes(&tape) > 80 << 10; i++)
        sleep_ms(10);
    assert_true(tape_bytes(&tape) <= 80 << 10);
    tape_close(&tape);
    close(null);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_after_the_end, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_same, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_policies, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_silent_reader, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_slow_reader, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_fast_writer, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_live_reader, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_lost_between, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_drop_reader, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_policy_request, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_busy_reader, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_tidy, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper tapes", tests, NULL, NULL);
}
