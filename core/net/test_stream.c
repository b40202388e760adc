/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing. */
#include "core/net/stream.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

#include "core/net/raw.h"
#include "core/net/test_link.h"
#include "core/util/mem.h"

static void descriptors_come_with_the_data(void **state)
{
    (void)state;
    struct link link;
    int before = count_fds();
    begin(&link);
    int send[3] = {0, 1, 2};
    assert_int_equal(cl_raw_send_message(link.peer, "take", 4, send, 3), 0);
    turn(&link);
    heard(&link, "take");
    assert_int_equal(link.fd_count, 3);
    for (uint32_t i = 0; i < link.fd_count; i++) {
        assert_true(fcntl(link.fds[i], F_GETFD) & FD_CLOEXEC);
        close(link.fds[i]);
    }
    end(&link);
    assert_int_equal(count_fds(), before);
}

/* With no number free the kernel cuts the list: the bytes are not trusted and nothing that arrived leaks. */
static void lost_descriptors_are_a_verdict(void **state)
{
    (void)state;
    struct link link;
    struct rlimit old, tight;
    begin(&link);
    int send[4] = {0, 1, 2, 2};
    assert_int_equal(cl_raw_send_message(link.peer, "take", 4, send, 4), 0);
    int before = count_fds();
    int next = dup(0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)next + 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    turn(&link);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(link.ends, 1);
    assert_int_equal(link.verdict, CLOISTER_FDS_LOST);
    assert_int_equal(link.size, 0);
    assert_int_equal(link.fd_count, 0);
    assert_int_equal(count_fds(), before);
    say(&link, "more");
    turn(&link);
    assert_int_equal(link.size, 0);
    end(&link);
}

struct end_case {
    const char *name;
    const char *peer_does; /* 'w'rite, 'h'alf-close, 'c'lose; '<' = we send first what it never reads */
    const char *heard;
    uint32_t verdict;
    int32_t error;
};

static const struct end_case end_cases[] = {
    {"close", "c", "", CLOISTER_EOF, 0},
    {"half-close", "h", "", CLOISTER_EOF, 0},
    {"data, then close", "wc", "data", CLOISTER_EOF, 0},
    {"reset", "<c", "", CLOISTER_ABORTED, ECONNRESET},
    {"data, then reset", "<wc", "data", CLOISTER_ABORTED, ECONNRESET},
    {"still there", "w", "data", 0, 0},
};

static void each_end_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(end_cases); i++) {
        const struct end_case *test = &end_cases[i];
        struct link link;
        begin(&link);
        for (const char *step = test->peer_does; *step; step++) {
            if (*step == '<')
                CL_CHECK_INT(test->name, cl_stream_write(link.stream, CLOISTER_SV("ignored")), 0);
            if (*step == 'w')
                say(&link, "data");
            if (*step == 'h')
                CL_CHECK_INT(test->name, shutdown(link.peer, SHUT_WR), 0);
            if (*step == 'c')
                CL_CHECK_INT(test->name, close(link.peer), 0);
        }
        if (strchr(test->peer_does, 'c'))
            link.peer = -1;
        turn(&link);
        turn(&link);
        heard(&link, test->heard);
        CL_CHECK_INT(test->name, link.ends, test->verdict ? 1 : 0);
        CL_CHECK_INT(test->name, link.verdict, test->verdict);
        CL_CHECK_INT(test->name, link.end_errno, test->error);
        end(&link);
    }
}

static char pattern(size_t position)
{
    return (char)(position * 31 + (position >> 12) * 7);
}

/* Takes what is there, checks it against the pattern from *position on. */
static void drink(const struct link *link, size_t *position)
{
    char buffer[30000];
    for (;;) {
        ssize_t got = read(link->peer, buffer, sizeof(buffer));
        if (got <= 0)
            return;
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal(buffer[i], pattern(*position + (size_t)i));
        *position += (size_t)got;
    }
}

static void writes_keep_their_order_under_pressure(void **state)
{
    (void)state;
    struct link link;
    static char bytes[2500000];
    size_t written = 0, drunk = 0, step = 1;
    begin(&link);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    while (written < sizeof(bytes)) {
        size_t size = step < sizeof(bytes) - written ? step : sizeof(bytes) - written;
        assert_int_equal(cl_stream_write(link.stream, cl_sv(bytes + written, size)), 0);
        written += size;
        step = step * 3 % 70001;
        assert_int_equal(cl_stream_queued(link.stream) + cl_stream_sent(link.stream), written);
    }
    assert_true(cl_stream_queued(link.stream) > 0);
    assert_int_equal(link.drains, 0);
    for (int i = 0; i < 1000 && drunk < written; i++) {
        drink(&link, &drunk);
        turn(&link);
    }
    assert_int_equal(drunk, written);
    assert_int_equal(cl_stream_queued(link.stream), 0);
    assert_int_equal(cl_stream_sent(link.stream), written);
    assert_int_equal(link.drains, 1);
    end(&link);
}

static void a_write_that_goes_through_is_not_queued(void **state)
{
    (void)state;
    struct link link;
    char buffer[8];
    begin(&link);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("short")), 0);
    assert_int_equal(cl_stream_queued(link.stream), 0);
    assert_int_equal(cl_stream_sent(link.stream), 5);
    assert_int_equal(read(link.peer, buffer, sizeof(buffer)), 5);
    assert_int_equal(cl_stream_write(link.stream, cl_sv(NULL, 0)), 0);
    turn(&link);
    assert_int_equal(link.drains, 0);
    end(&link);
}

static void a_peer_that_has_gone_is_told_later_and_once(void **state)
{
    (void)state;
    struct link link;
    begin(&link);
    close(link.peer);
    link.peer = -1;
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("hello")), -EPIPE);
    assert_int_equal(link.gones, 0);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("hello")), -EPIPE);
    turn(&link);
    assert_int_equal(link.gones, 1);
    assert_int_equal(link.gone_errno, EPIPE);
    assert_int_equal(link.verdict, CLOISTER_EOF);
    turn(&link);
    assert_int_equal(link.gones, 1);
    end(&link);
}

/* Also while reading is paused: then only the queue can notice. */
static void a_queue_whose_peer_goes_is_dropped(void **state)
{
    (void)state;
    struct link link;
    begin(&link);
    assert_int_equal(cl_stream_read_stop(link.stream), 0);
    fill_up(&link);
    turn(&link);
    close(link.peer);
    link.peer = -1;
    turn(&link);
    assert_int_equal(link.gones, 1);
    assert_int_equal(link.drains, 0);
    assert_int_equal(cl_stream_queued(link.stream), 0);
    end(&link);
}

static void no_memory_for_the_queue(void **state)
{
    (void)state;
    struct link link;
    static char bytes[1 << 20];
    begin(&link);
    fill_up(&link);
    uint64_t queued = cl_stream_queued(link.stream);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_stream_write(link.stream, cl_sv(bytes, sizeof(bytes))), -ENOMEM);
    cl_mem_fail_nth(0);
    assert_int_equal(cl_stream_queued(link.stream), queued);
    end(&link);

    /* Half of it has left: the stream can not go on as if nothing had been written. */
    begin(&link);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_stream_write(link.stream, cl_sv(bytes, sizeof(bytes))), -ENOMEM);
    cl_mem_fail_nth(0);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("x")), -EPIPE);
    turn(&link);
    assert_int_equal(link.gones, 1);
    assert_int_equal(link.gone_errno, ENOMEM);
    end(&link);
}

static void reading_stops_inside_data_and_resumes(void **state)
{
    (void)state;
    struct link link;
    begin(&link);
    link.inside = 's';
    say(&link, "one");
    turn(&link);
    heard(&link, "one");
    say(&link, " two");
    shutdown(link.peer, SHUT_WR);
    turn(&link);
    heard(&link, "one");
    assert_int_equal(link.ends, 0);
    assert_int_equal(cl_stream_read_start(link.stream, &reader, &link), 0);
    heard(&link, "one");
    turn(&link);
    heard(&link, "one two");
    assert_int_equal(link.ends, 0);
    assert_int_equal(cl_stream_read_start(link.stream, &reader, &link), 0);
    turn(&link);
    assert_int_equal(link.ends, 1);
    end(&link);
}

static void what_is_put_back_comes_first(void **state)
{
    (void)state;
    struct link link;
    begin(&link);
    link.inside = 's';
    say(&link, "GET ");
    turn(&link);
    assert_int_equal(cl_stream_unread(link.stream, CLOISTER_SV("world ")), 0);
    assert_int_equal(cl_stream_unread(link.stream, CLOISTER_SV("hello ")), 0);
    say(&link, "last");
    link.inside = '.';
    turn(&link);
    heard(&link, "GET ");
    assert_int_equal(cl_stream_read_start(link.stream, &reader, &link), 0);
    heard(&link, "GET ");
    turn(&link);
    heard(&link, "GET hello world last");
    /* Without anything new from the kernel, and from inside data. */
    link.inside = 'u';
    say(&link, ", once ");
    turn(&link);
    heard(&link, "GET hello world last, once again ");
    assert_int_equal(cl_stream_unread(link.stream, CLOISTER_SV("more")), 0);
    turn(&link);
    heard(&link, "GET hello world last, once again more");
    end(&link);
}

static void one_turn_reads_a_bounded_amount(void **state)
{
    (void)state;
    struct link link;
    static char bytes[1 << 20];
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, (int)sizeof(bytes)) >= (int)sizeof(bytes));
    assert_int_equal(write(fds[1], bytes, sizeof(bytes)), sizeof(bytes));
    begin_with(&link, fds[0], fds[1]);
    assert_int_equal(cl_stream_read_start(link.stream, &reader, &link), 0);
    cl_loop_run_pending(link.loop, 1);
    assert_true(link.size > 0);
    assert_true(link.size <= 320u << 10);
    turn(&link);
    assert_int_equal(link.size, sizeof(bytes));
    close(link.peer);
    link.peer = -1;
    turn(&link);
    assert_int_equal(link.verdict, CLOISTER_EOF);
    end(&link);
}

static void a_pipe_can_be_written(void **state)
{
    (void)state;
    struct link link;
    char buffer[8];
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    begin_with(&link, fds[1], fds[0]);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("down")), 0);
    assert_int_equal(cl_stream_shut(link.stream, CLOISTER_SHUT_WR), -ENOTSOCK);
    cl_stream_finish(link.stream, on_closed, &link);
    turn(&link);
    assert_int_equal(link.closes, 1);
    assert_int_equal(read(link.peer, buffer, sizeof(buffer)), 4);
    assert_int_equal(read(link.peer, buffer, sizeof(buffer)), 0);
    end(&link);

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    begin_with(&link, fds[1], -1);
    close(fds[0]);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("down")), -EPIPE);
    end(&link);
}

static void answers_inside_data(void **state)
{
    (void)state;
    struct link link;
    char buffer[16];
    begin(&link);
    link.inside = 'w';
    say(&link, "echo");
    turn(&link);
    assert_int_equal(read(link.peer, buffer, sizeof(buffer)), 4);
    assert_memory_equal(buffer, "echo", 4);
    end(&link);
}

static void bad_arguments(void **state)
{
    (void)state;
    struct link link;
    struct cloister_stream_reader shorter = reader, empty = {CLOISTER_INIT(struct cloister_stream_reader)};
    begin(&link);
    shorter.struct_size = offsetof(struct cloister_stream_reader, end);
    assert_int_equal(cl_stream_read_start(link.stream, &shorter, &link), -EINVAL);
    assert_int_equal(cl_stream_read_start(link.stream, &empty, &link), -EINVAL);
    /* An older caller's reader ends before gone: then nobody is told, and nothing past its size is read. */
    shorter.struct_size = offsetof(struct cloister_stream_reader, gone);
    assert_int_equal(cl_stream_read_start(link.stream, &shorter, &link), 0);
    close(link.peer);
    link.peer = -1;
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("x")), -EPIPE);
    turn(&link);
    assert_int_equal(link.gones, 0);
    end(&link);

    cloister_stream *stream;
    struct cl_loop *loop;
    int before = count_fds();
    assert_int_equal(cl_loop_new(&loop), 0);
    assert_int_equal(cl_stream_from_fd(loop, 9999, &stream), -EBADF);
    int fd = dup(0);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_stream_from_fd(loop, fd, &stream), -ENOMEM);
    cl_mem_fail_nth(0);
    cl_loop_free(loop);
    assert_int_equal(count_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_come_with_the_data),
        cmocka_unit_test(lost_descriptors_are_a_verdict),
        cmocka_unit_test(each_end_has_its_verdict),
        cmocka_unit_test(writes_keep_their_order_under_pressure),
        cmocka_unit_test(a_write_that_goes_through_is_not_queued),
        cmocka_unit_test(a_peer_that_has_gone_is_told_later_and_once),
        cmocka_unit_test(a_queue_whose_peer_goes_is_dropped),
        cmocka_unit_test(no_memory_for_the_queue),
        cmocka_unit_test(reading_stops_inside_data_and_resumes),
        cmocka_unit_test(what_is_put_back_comes_first),
        cmocka_unit_test(one_turn_reads_a_bounded_amount),
        cmocka_unit_test(a_pipe_can_be_written),
        cmocka_unit_test(answers_inside_data),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
