/* SPDX-License-Identifier: Apache-2.0 */
/* Half-close, finish, abort. */
#include "core/net/stream.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "core/net/test_link.h"
#include "core/util/time.h"

static void shut_waits_for_the_queue(void **state)
{
    (void)state;
    struct link link;
    static char sink[1 << 16];
    ssize_t got;
    size_t total = 0;
    begin(&link);
    fill_up(&link);
    assert_int_equal(cl_stream_shut(link.stream, CLOISTER_SHUT_WR), 0);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("late")), -EPIPE);
    for (int i = 0; i < 100; i++) {
        while ((got = read(link.peer, sink, sizeof(sink))) > 0)
            total += (size_t)got;
        if (got == 0)
            break;
        turn(&link);
    }
    assert_int_equal(got, 0);
    assert_int_equal(total, 1 << 20);
    say(&link, "still heard");
    turn(&link);
    heard(&link, "still heard");
    assert_int_equal(cl_stream_shut(link.stream, CLOISTER_SHUT_RD), 0);
    turn(&link);
    assert_int_equal(link.ends, 0);
    assert_int_equal(cl_stream_shut(link.stream, 8), -EINVAL);
    end(&link);
}

static void check_finish_ends_with_fin(int ours, int peer)
{
    struct link link;
    char sink[256];
    static char noise[100000];
    assert_int_equal(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    begin_with(&link, ours, peer);
    assert_int_equal(write(peer, noise, sizeof(noise)), sizeof(noise));
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("the answer")), 0);
    cl_stream_finish(link.stream, on_closed, &link);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("x")), -EPIPE);
    turn(&link);
    assert_int_equal(link.closes, 0);
    assert_int_equal(read(peer, sink, sizeof(sink)), 10);
    assert_memory_equal(sink, "the answer", 10);
    assert_int_equal(read(peer, sink, sizeof(sink)), 0);
    assert_int_equal(write(peer, "bye", 3), 3);
    turn(&link);
    assert_int_equal(read(peer, sink, sizeof(sink)), 0);
    close(peer);
    link.peer = -1;
    for (int i = 0; i < 100 && link.closes == 0; i++) {
        turn(&link);
        usleep(1000);
    }
    assert_int_equal(link.closes, 1);
    end(&link);
}

static void finish_ends_with_fin_even_after_unread_input(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    check_finish_ends_with_fin(fds[0], fds[1]);
    if (tcp_pair(fds) == 0)
        check_finish_ends_with_fin(fds[0], fds[1]);
    else
        print_message("no TCP over loopback here: Unix sockets only\n");
}

static void finish_flushes_to_a_slow_peer(void **state)
{
    (void)state;
    struct link link;
    static char sink[1 << 16];
    size_t total = 0;
    ssize_t got = -1;
    begin(&link);
    fill_up(&link);
    cl_stream_finish(link.stream, on_closed, &link);
    for (int i = 0; i < 1000 && got != 0; i++) {
        got = read(link.peer, sink, sizeof(sink));
        total += got > 0 ? (size_t)got : 0;
        turn(&link);
    }
    assert_int_equal(got, 0);
    assert_int_equal(total, 1 << 20);
    close(link.peer);
    link.peer = -1;
    turn(&link);
    assert_int_equal(link.closes, 1);
    assert_int_equal(link.ends + link.drains + link.gones, 0);
    end(&link);
}

/* A peer that neither reads nor closes is left after a second, one that never stops talking after 1 MiB. */
static void finish_is_bounded(void **state)
{
    (void)state;
    struct link link;
    static char noise[1 << 16];
    begin(&link);
    uint64_t start = cl_mono_ns();
    cl_stream_finish(link.stream, on_closed, &link);
    while (link.closes == 0 && cl_mono_ns() < start + 5 * CL_NS_PER_S) {
        turn(&link);
        usleep(10000);
    }
    assert_int_equal(link.closes, 1);
    assert_true(cl_mono_ns() - start >= 900 * CL_NS_PER_MS);
    end(&link);

    begin(&link);
    start = cl_mono_ns();
    cl_stream_finish(link.stream, on_closed, &link);
    size_t said = 0;
    while (link.closes == 0 && said < 3u << 20) {
        ssize_t sent = send(link.peer, noise, sizeof(noise), MSG_NOSIGNAL);
        said += sent > 0 ? (size_t)sent : 0;
        turn(&link);
    }
    assert_int_equal(link.closes, 1);
    assert_true(said >= 1u << 20);
    end(&link);
}

/* Over TCP a plain close would look like a complete answer. */
static void an_abort_is_a_reset(void **state)
{
    (void)state;
    struct link link;
    int fds[2];
    char buffer[8];
    if (tcp_pair(fds) < 0) {
        print_message("no TCP over loopback here\n");
        return;
    }
    begin_with(&link, fds[0], fds[1]);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("half")), 0);
    cl_stream_abort(link.stream, on_closed, &link);
    turn(&link);
    ssize_t got = read(link.peer, buffer, sizeof(buffer));
    if (got > 0)
        got = read(link.peer, buffer, sizeof(buffer));
    assert_int_equal(got, -1);
    assert_int_equal(errno, ECONNRESET);
    end(&link);
}

static void streams_end_inside_data(void **state)
{
    (void)state;
    static const char ways[] = {'a', 'f'};
    for (size_t i = 0; i < CL_COUNT(ways); i++) {
        struct link link;
        begin(&link);
        link.inside = ways[i];
        say(&link, "end");
        shutdown(link.peer, SHUT_WR);
        turn(&link);
        heard(&link, "end");
        assert_int_equal(link.closes, 1);
        assert_int_equal(link.ends, 0);
        end(&link);
    }
}

static void abort_hastens_a_finish(void **state)
{
    (void)state;
    struct link link;
    begin(&link);
    fill_up(&link);
    cl_stream_finish(link.stream, on_closed, &link);
    turn(&link);
    assert_int_equal(link.closes, 0);
    cl_stream_abort(link.stream, on_closed, &link);
    assert_int_equal(link.closes, 0);
    turn(&link);
    assert_int_equal(link.closes, 2);
    end(&link);
}

static void stop_loop(void *ctx)
{
    cl_loop_stop(ctx);
}

struct gone_case {
    const char *name;
    const char *happens; /* the peer 'w'rites, 'h'alf-closes, 'c'loses; we 's'top reading, shut our 'o'wn side */
    unsigned ends;
    unsigned gones;
};

static const struct gone_case gone_cases[] = {
    {"half-close", "h", 1, 0},
    {"close", "c", 1, 1},
    {"half-close, then close", "hc", 1, 1},
    {"data, half-close, then close", "whc", 1, 1},
    {"close while reading rests", "sc", 0, 1},
    {"half-close while reading rests", "sh", 0, 0},
    {"half-close, then close while reading rests", "shc", 0, 1},
    {"data and close while reading rests", "swc", 0, 1},
    {"half-close of both sides", "ho", 1, 0},
};

static void happen(struct link *link, const char *name, char step)
{
    if (step == 'w')
        say(link, "data");
    if (step == 'h')
        CL_CHECK_INT(name, shutdown(link->peer, SHUT_WR), 0);
    if (step == 's')
        CL_CHECK_INT(name, cl_stream_read_stop(link->stream), 0);
    if (step == 'o')
        CL_CHECK_INT(name, cl_stream_shut(link->stream, CLOISTER_SHUT_WR), 0);
    if (step == 'c') {
        close(link->peer);
        link->peer = -1;
    }
    turn(link);
}

/*
 * Somebody who waits for an answer for hours is written nothing: that the peer has closed must be known without a
 * write. One that has only half-closed still gets its answer.
 */
static void a_closed_peer_is_gone_a_half_closed_one_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(gone_cases); i++) {
        const struct gone_case *test = &gone_cases[i];
        struct link link;
        begin(&link);
        for (const char *step = test->happens; *step; step++)
            happen(&link, test->name, *step);
        CL_CHECK_INT(test->name, link.ends, test->ends);
        CL_CHECK_INT(test->name, link.gones, test->gones);
        bool writable = test->gones == 0 && !strchr(test->happens, 'o');
        CL_CHECK_INT(test->name, cl_stream_write(link.stream, CLOISTER_SV("answer")), writable ? 0 : -EPIPE);
        end(&link);
    }
}

/* Its end stays readable for the kernel: nobody may be woken by that. */
static void a_half_closed_peer_costs_nothing(void **state)
{
    (void)state;
    struct link link;
    begin(&link);
    assert_int_equal(shutdown(link.peer, SHUT_WR), 0);
    turn(&link);
    clock_t before = clock();
    uint64_t end_ns = cl_mono_ns() + 200 * CL_NS_PER_MS;
    cloister_timer *timer;
    assert_int_equal(cl_timer_open(link.loop, stop_loop, link.loop, &timer), 0);
    assert_int_equal(cl_timer_set(timer, end_ns, 0), 0);
    cl_loop_run(link.loop);
    assert_true(cl_mono_ns() >= end_ns);
    assert_true(clock() - before < CLOCKS_PER_SEC / 20);
    cl_timer_close(timer, NULL, NULL);
    end(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_peer_is_gone_a_half_closed_one_is_not),
        cmocka_unit_test(a_half_closed_peer_costs_nothing),
        cmocka_unit_test(shut_waits_for_the_queue),
        cmocka_unit_test(finish_ends_with_fin_even_after_unread_input),
        cmocka_unit_test(finish_flushes_to_a_slow_peer),
        cmocka_unit_test(finish_is_bounded),
        cmocka_unit_test(streams_end_inside_data),
        cmocka_unit_test(abort_hastens_a_finish),
        cmocka_unit_test(an_abort_is_a_reset),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
