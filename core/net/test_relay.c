/* SPDX-License-Identifier: Apache-2.0 */
/* Every verdict through every pair of ends. */
#include "core/net/relay.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "core/net/test_ends.h"
#include "core/net/test_link.h"
#include "core/util/mem.h"
#include "core/util/time.h"

#define SIZE (300u << 10)

static const enum kind sources[] = {SOCKET, PIPE, MOVED, READ, PAIR, GATE, GATED_MOVE};
static const enum kind sinks[] = {SOCKET, PIPE, READ, PAIR};

struct bench {
    char name[64];
    struct cl_loop *loop;
    struct cl_relays relays;
    struct far_end src;
    struct far_end dst;
    cloister_op op;
    unsigned dones;
    struct cloister_relay_result result;
    bool inside; /* a call of ours is under way: no callback may come */
};

static void on_done(void *ctx, cloister_op op, const struct cloister_relay_result *result)
{
    struct bench *bench = ctx;
    CL_CHECK(bench->name, !bench->inside);
    CL_CHECK_INT(bench->name, op, bench->op);
    bench->dones++;
    bench->result = *result;
}

static void open_bench(struct bench *bench, const char *what, enum kind src, enum kind dst)
{
    memset(bench, 0, sizeof(*bench));
    (void)snprintf(bench->name, sizeof(bench->name), "%s: %s to %s", what, kind_names[src], kind_names[dst]);
    assert_int_equal(cl_loop_new(&bench->loop), 0);
    end_open(&bench->src, bench->loop, src, true);
    end_open(&bench->dst, bench->loop, dst, false);
}

static int start(struct bench *bench, uint32_t flags, uint64_t limit)
{
    const struct cloister_relay_args args = {CLOISTER_INIT(struct cloister_relay_args),
                                             .flags = flags,
                                             .src = bench->src.stream,
                                             .dst = bench->dst.stream,
                                             .done = on_done,
                                             .ctx = bench,
                                             .limit = limit};
    bench->inside = true;
    int result = cl_relay_start(&bench->relays, bench->loop, &args, &bench->op);
    bench->inside = false;
    return result;
}

static void turns(struct bench *bench)
{
    cl_loop_run_pending(bench->loop, 200);
}

static void close_bench(struct bench *bench)
{
    end_close(&bench->src);
    end_close(&bench->dst);
    cl_relays_free(&bench->relays);
    cl_loop_free(bench->loop);
}

static void check_end(struct bench *bench, uint32_t end, int error)
{
    CL_CHECK_INT(bench->name, bench->dones, 1);
    CL_CHECK_INT(bench->name, bench->result.end, end);
    if (error >= 0)
        CL_CHECK_INT(bench->name, bench->result.os_errno, error);
}

/* Feeds and drinks until `until` bytes have passed or nothing moves any more. */
static void pump(struct bench *bench, uint64_t until)
{
    for (unsigned idle = 0; idle < 3 && bench->dst.at < until;) {
        uint64_t before = bench->src.at + bench->dst.at;
        feed(&bench->src, until - bench->src.at < 7777 ? until - bench->src.at : 7777);
        turns(bench);
        (void)drink(&bench->dst, UINT64_MAX);
        idle = bench->src.at + bench->dst.at > before ? 0 : idle + 1;
    }
}

typedef void (*pair_fn)(enum kind src, enum kind dst);

static void each_pair(pair_fn fn)
{
    for (size_t i = 0; i < CL_COUNT(sources); i++) {
        for (size_t k = 0; k < CL_COUNT(sinks); k++)
            fn(sources[i], sinks[k]);
    }
}

static void to_the_end(enum kind src, enum kind dst)
{
    for (uint32_t flags = 0; flags <= CLOISTER_RELAY_HOLD; flags += CLOISTER_RELAY_HOLD) {
        struct bench bench;
        open_bench(&bench, flags ? "held EOF" : "EOF", src, dst);
        CL_CHECK_INT(bench.name, start(&bench, flags, 0), 0);
        pump(&bench, SIZE);
        CL_CHECK_INT(bench.name, bench.dst.at, SIZE);
        CL_CHECK_INT(bench.name, bench.dones, 0);
        feed(&bench.src, 10);
        feed_end(&bench.src);
        turns(&bench);
        bool ended = drink(&bench.dst, UINT64_MAX);
        check_end(&bench, CLOISTER_RELAY_EOF, 0);
        CL_CHECK_INT(bench.name, bench.dst.at, SIZE + 10);
        CL_CHECK_INT(bench.name, bench.result.bytes, SIZE + 10);
        if (dst != PIPE)
            CL_CHECK_INT(bench.name, ended, flags == 0);
        if (flags == 0)
            CL_CHECK_INT(bench.name, cl_stream_write(bench.dst.stream, CLOISTER_SV("x")), -EPIPE);
        close_bench(&bench);
    }
}

static void eof_comes_through(void **state)
{
    (void)state;
    each_pair(to_the_end);
}

static void to_an_abort(enum kind src, enum kind dst)
{
    struct bench bench;
    if (!can_abort(src))
        return;
    open_bench(&bench, "abort", src, dst);
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    pump(&bench, 5000);
    feed_abort(&bench.src);
    turns(&bench);
    CL_CHECK_INT(bench.name, drink(&bench.dst, UINT64_MAX), false);
    check_end(&bench, CLOISTER_RELAY_SRC_ABORTED, ECONNRESET);
    CL_CHECK_INT(bench.name, bench.result.bytes, 5000);
    /* Told again to whoever relays next: no second try makes a clean end of it. */
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    turns(&bench);
    CL_CHECK_INT(bench.name, bench.dones, 2);
    CL_CHECK_INT(bench.name, bench.result.end, CLOISTER_RELAY_SRC_ABORTED);
    close_bench(&bench);
}

static void an_abort_is_never_a_clean_end(void **state)
{
    (void)state;
    each_pair(to_an_abort);
}

static void to_a_limit(enum kind src, enum kind dst)
{
    struct bench bench;
    open_bench(&bench, "limit", src, dst);
    CL_CHECK_INT(bench.name, start(&bench, CLOISTER_RELAY_HOLD, 1000), 0);
    feed(&bench.src, 2500);
    turns(&bench);
    (void)drink(&bench.dst, UINT64_MAX);
    check_end(&bench, CLOISTER_RELAY_EOF, 0);
    CL_CHECK_INT(bench.name, bench.result.bytes, 1000);
    CL_CHECK_INT(bench.name, bench.dst.at, 1000);
    CL_CHECK_INT(bench.name, start(&bench, 0, 1500), 0);
    turns(&bench);
    bool ended = drink(&bench.dst, UINT64_MAX);
    CL_CHECK_INT(bench.name, bench.dones, 2);
    CL_CHECK_INT(bench.name, bench.dst.at, 2500);
    CL_CHECK_INT(bench.name, ended, dst != PIPE);
    close_bench(&bench);
}

static void a_limit_ends_it(void **state)
{
    (void)state;
    each_pair(to_a_limit);
}

/* Whatever had been read and not taken is read by the next one: nothing is lost, nothing comes twice. */
static void with_cancels(enum kind src, enum kind dst)
{
    struct bench bench;
    uint64_t moved = 0;
    open_bench(&bench, "cancel", src, dst);
    bench.dst.room = dst == READ ? 100 : 0;
    for (unsigned i = 0; i < 10; i++) {
        CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
        CL_CHECK_INT(bench.name, start(&bench, 0, 0), -EBUSY);
        CL_CHECK_INT(bench.name, cl_stream_write(bench.dst.stream, CLOISTER_SV("x")), -EBUSY);
        feed(&bench.src, 50000);
        turns(&bench);
        (void)drink(&bench.dst, 5000);
        bench.dst.room += 5000;
        cl_stream_ready(bench.dst.stream, CLOISTER_READY_WRITE);
        bench.inside = true;
        cl_relay_cancel(&bench.relays, bench.op);
        cl_relay_cancel(&bench.relays, bench.op);
        bench.inside = false;
        turns(&bench);
        CL_CHECK_INT(bench.name, bench.dones, i + 1);
        CL_CHECK_INT(bench.name, bench.result.end, CLOISTER_RELAY_CANCELLED);
        moved += bench.result.bytes;
    }
    cl_relay_cancel(&bench.relays, bench.op);
    bench.dst.room = UINT64_MAX;
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    pump(&bench, bench.src.at);
    feed_end(&bench.src);
    turns(&bench);
    (void)drink(&bench.dst, UINT64_MAX);
    CL_CHECK_INT(bench.name, bench.result.end, CLOISTER_RELAY_EOF);
    CL_CHECK_INT(bench.name, bench.dst.at, bench.src.at);
    CL_CHECK_INT(bench.name, moved + bench.result.bytes, bench.src.at);
    close_bench(&bench);
}

static void a_cancelled_one_can_be_taken_up(void **state)
{
    (void)state;
    each_pair(with_cancels);
}

static void sink_gone_before(enum kind src, enum kind dst)
{
    struct bench bench;
    open_bench(&bench, "gone before", src, dst);
    sink_leaves(&bench.dst);
    turns(&bench);
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    feed(&bench.src, 1000);
    turns(&bench);
    check_end(&bench, CLOISTER_RELAY_DST_GONE, EPIPE);
    CL_CHECK_INT(bench.name, bench.result.bytes, 0);
    close_bench(&bench);
}

static void sink_gone_while_busy(enum kind src, enum kind dst)
{
    struct bench bench;
    open_bench(&bench, "gone while it is full", src, dst);
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    bench.dst.room = 10000;
    feed(&bench.src, 60000);
    turns(&bench);
    sink_leaves(&bench.dst);
    feed(&bench.src, 60000);
    turns(&bench);
    check_end(&bench, CLOISTER_RELAY_DST_GONE, -1);
    CL_CHECK(bench.name, bench.result.os_errno == EPIPE || bench.result.os_errno == ECONNRESET);
    close_bench(&bench);
}

static void sink_gone_in_silence(enum kind src, enum kind dst)
{
    for (uint32_t flags = 0; flags <= CLOISTER_RELAY_WATCH_DST; flags += CLOISTER_RELAY_WATCH_DST) {
        struct bench bench;
        open_bench(&bench, flags ? "gone in silence, watched" : "gone in silence", src, dst);
        CL_CHECK_INT(bench.name, start(&bench, flags, 0), 0);
        pump(&bench, 1000);
        sink_leaves(&bench.dst);
        turns(&bench);
        CL_CHECK_INT(bench.name, bench.dones, flags ? 1 : 0);
        if (flags) {
            check_end(&bench, CLOISTER_RELAY_DST_GONE, EPIPE);
        } else {
            cl_relay_cancel(&bench.relays, bench.op);
            turns(&bench);
        }
        CL_CHECK_INT(bench.name, bench.result.bytes, 1000);
        close_bench(&bench);
    }
}

static void sinks_that_go(void **state)
{
    (void)state;
    each_pair(sink_gone_before);
    each_pair(sink_gone_while_busy);
    each_pair(sink_gone_in_silence);
}

static void stop_loop(void *ctx)
{
    cl_loop_stop(ctx);
}

static void wait_idly(struct bench *bench)
{
    uint64_t end_ns = cl_mono_ns() + 30 * CL_NS_PER_MS;
    clock_t before = clock();
    cloister_timer *timer;
    assert_int_equal(cl_timer_open(bench->loop, stop_loop, bench->loop, &timer), 0);
    assert_int_equal(cl_timer_set(timer, end_ns, 0), 0);
    cl_loop_run(bench->loop);
    CL_CHECK(bench->name, cl_mono_ns() >= end_ns);
    CL_CHECK(bench->name, clock() - before < CLOCKS_PER_SEC / 100);
    cl_timer_close(timer, NULL, NULL);
}

/* A half-close looks like a close there; a sink that has said something is not heard any more, but costs nothing. */
static void a_sink_over_tcp_that_goes(void **state)
{
    (void)state;
    static const char *const names[] = {"it closes", "it talks, then closes"};
    for (size_t i = 0; i < CL_COUNT(names); i++) {
        struct bench bench;
        int fds[2];
        if (tcp_pair(fds) < 0) {
            print_message("no TCP over loopback here\n");
            return;
        }
        open_bench(&bench, names[i], READ, SOCKET);
        cl_stream_abort(bench.dst.stream, NULL, NULL);
        close_fd(&bench.dst);
        assert_int_equal(cl_stream_from_fd(bench.loop, fds[0], &bench.dst.stream), 0);
        assert_int_equal(start(&bench, CLOISTER_RELAY_WATCH_DST, 0), 0);
        turns(&bench);
        if (i == 1)
            assert_int_equal(write(fds[1], "hello", 5), 5);
        turns(&bench);
        CL_CHECK_INT(names[i], bench.dones, 0);
        close(fds[1]);
        turns(&bench);
        wait_idly(&bench);
        CL_CHECK_INT(names[i], bench.dones, i == 0 ? 1 : 0);
        feed(&bench.src, 1000);
        turns(&bench);
        feed(&bench.src, 1000);
        turns(&bench);
        check_end(&bench, CLOISTER_RELAY_DST_GONE, -1);
        close_bench(&bench);
    }
}

/* A reader that never reads costs the ends' own buffers and one of ours, however much the source has. */
static void nobody_reads(enum kind src, enum kind dst)
{
    struct bench bench;
    open_bench(&bench, "never read", src, dst);
    bench.dst.room = 0;
    if (dst == PAIR)
        CL_CHECK_INT(bench.name, cl_stream_read_stop(bench.dst.other), 0);
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    feed(&bench.src, 4u << 20);
    turns(&bench);
    uint64_t before = cl_mem_count();
    for (unsigned i = 0; i < 5; i++)
        turns(&bench);
    CL_CHECK_INT(bench.name, cl_mem_count(), before);
    CL_CHECK_INT(bench.name, cl_stream_queued(bench.dst.stream), 0);
    if (src == READ || src == GATE || src == MOVED)
        CL_CHECK(bench.name, bench.src.taken <= 1u << 20);
    CL_CHECK_INT(bench.name, bench.dones, 0);
    cl_relay_cancel(&bench.relays, bench.op);
    turns(&bench);
    check_end(&bench, CLOISTER_RELAY_CANCELLED, 0);
    close_bench(&bench);
}

static void a_sink_that_never_reads(void **state)
{
    (void)state;
    each_pair(nobody_reads);
}

static void byte_by_byte(enum kind src, enum kind dst)
{
    struct bench bench;
    open_bench(&bench, "slow", src, dst);
    int smallest = 1;
    if (dst == SOCKET) {
        int fd;
        CL_CHECK_INT(bench.name, cl_stream_take_fd(bench.dst.stream, &fd), 0);
        turns(&bench);
        CL_CHECK_INT(bench.name, setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest)), 0);
        CL_CHECK_INT(bench.name, cl_stream_from_fd(bench.loop, fd, &bench.dst.stream), 0);
    }
    bench.dst.room = 0;
    CL_CHECK_INT(bench.name, start(&bench, 0, 0), 0);
    feed(&bench.src, 20000);
    feed_end(&bench.src);
    for (unsigned i = 0; i < 60000 && bench.dones == 0; i++) {
        bench.dst.room = 1 + i % 3;
        cl_stream_ready(bench.dst.stream, CLOISTER_READY_WRITE);
        (void)drink(&bench.dst, 1 + i % 700);
        cl_loop_run_pending(bench.loop, 3);
    }
    (void)drink(&bench.dst, UINT64_MAX);
    check_end(&bench, CLOISTER_RELAY_EOF, 0);
    CL_CHECK_INT(bench.name, bench.dst.at, bench.src.at);
    close_bench(&bench);
}

static void a_sink_of_single_bytes(void **state)
{
    (void)state;
    each_pair(byte_by_byte);
}

/* What was queued before goes out before; both directions of one stream may be relayed at once. */
static void a_round_trip(void **state)
{
    (void)state;
    struct bench there, back;
    open_bench(&there, "there", SOCKET, SOCKET);
    back = there;
    back.src.stream = there.dst.stream;
    back.dst.stream = there.src.stream;
    back.src.fd = there.dst.fd;
    back.dst.fd = there.src.fd;
    char first[] = {pattern(0), pattern(1)};
    assert_int_equal(cl_stream_write(there.dst.stream, cl_sv(first, 2)), 0);
    there.src.at = 2;
    assert_int_equal(start(&there, 0, 0), 0);
    assert_int_equal(start(&back, 0, 0), 0);
    pump(&there, SIZE);
    back.loop = there.loop;
    pump(&back, SIZE);
    assert_int_equal(there.dst.at, SIZE);
    assert_int_equal(back.dst.at, SIZE);
    feed_end(&there.src);
    turns(&there);
    assert_true(drink(&there.dst, UINT64_MAX));
    assert_int_equal(there.result.bytes, SIZE - 2);
    assert_int_equal(back.dones, 0);
    feed(&back.src, 10);
    feed_end(&back.src);
    turns(&there);
    assert_true(drink(&back.dst, UINT64_MAX));
    assert_int_equal(back.result.bytes, SIZE + 10);
    cl_relays_free(&back.relays);
    close_bench(&there);
}

/* The queue of the sink's owner is no part of the relay, and comes before it. */
static void a_queue_goes_first(void **state)
{
    (void)state;
    struct bench bench;
    char first[] = {pattern(0), pattern(1)};
    open_bench(&bench, "queue", READ, READ);
    bench.dst.room = 0;
    assert_int_equal(cl_stream_write(bench.dst.stream, cl_sv(first, 2)), 0);
    assert_int_equal(cl_stream_queued(bench.dst.stream), 2);
    bench.src.at = bench.src.taken = 2;
    assert_int_equal(start(&bench, 0, 0), 0);
    feed(&bench.src, 1000);
    turns(&bench);
    assert_int_equal(bench.src.taken, 2);
    bench.dst.room = UINT64_MAX;
    cl_stream_ready(bench.dst.stream, CLOISTER_READY_WRITE);
    feed_end(&bench.src);
    turns(&bench);
    check_end(&bench, CLOISTER_RELAY_EOF, 0);
    assert_int_equal(bench.dst.at, 1002);
    assert_int_equal(bench.result.bytes, 1000);
    close_bench(&bench);
}

static void others_get_their_turn(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, "turn", READ, READ);
    assert_int_equal(start(&bench, 0, 0), 0);
    feed(&bench.src, 20u << 20);
    uint64_t before = 0;
    for (unsigned i = 0; i < 100 && bench.dst.at < bench.src.at; i++) {
        cl_loop_run_pending(bench.loop, 1);
        assert_true(bench.dst.at - before <= 3u << 20);
        before = bench.dst.at;
    }
    assert_int_equal(bench.dst.at, bench.src.at);
    cl_relay_cancel(&bench.relays, bench.op);
    turns(&bench);
    close_bench(&bench);
}

/* Neither silence nor a full sink wakes anybody. */
static void waiting_costs_nothing(void **state)
{
    (void)state;
    static const enum kind ways[][2] = {{PIPE, SOCKET}, {SOCKET, PIPE}, {PIPE, PIPE}, {MOVED, SOCKET}, {READ, PAIR}};
    for (size_t i = 0; i < CL_COUNT(ways); i++) {
        struct bench bench;
        open_bench(&bench, "idle", ways[i][0], ways[i][1]);
        if (bench.dst.other)
            assert_int_equal(cl_stream_read_stop(bench.dst.other), 0);
        assert_int_equal(start(&bench, CLOISTER_RELAY_WATCH_DST, 0), 0);
        wait_idly(&bench);
        for (unsigned k = 0; k < 10; k++) {
            feed(&bench.src, 1u << 20);
            turns(&bench);
        }
        wait_idly(&bench);
        cl_relay_cancel(&bench.relays, bench.op);
        turns(&bench);
        close_bench(&bench);
    }
}

static void files(void **state)
{
    (void)state;
    static const enum kind others[] = {SOCKET, PIPE, MOVED, READ, PAIR, FILE_END};
    for (size_t i = 0; i < CL_COUNT(others); i++) {
        struct bench bench;
        open_bench(&bench, "into a file", others[i], FILE_END);
        if (others[i] == MOVED) /* appending: sendfile refuses that */
            assert_int_equal(fcntl(bench.dst.fd, F_SETFL, O_APPEND), 0);
        assert_int_equal(start(&bench, CLOISTER_RELAY_WATCH_DST, 0), 0);
        feed(&bench.src, 50000);
        feed_end(&bench.src);
        turns(&bench);
        (void)drink(&bench.dst, UINT64_MAX);
        check_end(&bench, CLOISTER_RELAY_EOF, 0);
        CL_CHECK_INT(bench.name, bench.dst.at, bench.src.at);
        close_bench(&bench);
        if (others[i] == MOVED)
            continue;
        open_bench(&bench, "out of a file", FILE_END, others[i]);
        feed(&bench.src, 50000);
        assert_int_equal(start(&bench, 0, 0), 0);
        turns(&bench);
        (void)drink(&bench.dst, UINT64_MAX);
        check_end(&bench, CLOISTER_RELAY_EOF, 0);
        CL_CHECK_INT(bench.name, bench.dst.at, 50000);
        close_bench(&bench);
    }
}

static void ten_thousand(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, "relay and cancel", SOCKET, SOCKET);
    size_t before = 0;
    int fds = count_fds();
    for (unsigned i = 0; i < 10000; i++) {
        bench.dones = 0;
        assert_int_equal(start(&bench, i % 2 ? CLOISTER_RELAY_WATCH_DST : 0, 0), 0);
        if (i % 3)
            cl_loop_run_pending(bench.loop, 1);
        cl_relay_cancel(&bench.relays, bench.op);
        turns(&bench);
        assert_int_equal(bench.dones, 1);
        if (i == 99)
            before = mallinfo2().uordblks;
    }
    assert_int_equal(count_fds(), fds);
    assert_true(mallinfo2().uordblks <= before + 4096);
    close_bench(&bench);
}

static void bad_relays(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, "bad", SOCKET, SOCKET);
    assert_int_equal(start(&bench, 4, 0), -EINVAL);
    struct cloister_relay_args none = {CLOISTER_INIT(struct cloister_relay_args)};
    assert_int_equal(cl_relay_start(&bench.relays, bench.loop, &none, &bench.op), -EINVAL);
    for (unsigned nth = 1; nth < 10; nth++) {
        cl_mem_fail_nth(nth);
        int result = start(&bench, 0, 0);
        cl_mem_fail_nth(0);
        if (result == 0)
            break;
        assert_int_equal(result, -ENOMEM);
    }
    turns(&bench);
    cl_relay_cancel(&bench.relays, bench.op + 1);
    turns(&bench);
    assert_int_equal(bench.dones, 0);
    cl_relay_cancel(&bench.relays, bench.op);
    turns(&bench);
    assert_int_equal(bench.dones, 1);
    cl_stream_finish(bench.dst.stream, NULL, NULL);
    assert_int_equal(start(&bench, 0, 0), -EPIPE);
    /* The source has been given back. */
    assert_int_equal(cl_stream_read_start(bench.src.stream, &other_reader, &bench.src), 0);
    turns(&bench);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eof_comes_through),
        cmocka_unit_test(an_abort_is_never_a_clean_end),
        cmocka_unit_test(a_limit_ends_it),
        cmocka_unit_test(a_cancelled_one_can_be_taken_up),
        cmocka_unit_test(sinks_that_go),
        cmocka_unit_test(a_sink_over_tcp_that_goes),
        cmocka_unit_test(a_sink_that_never_reads),
        cmocka_unit_test(a_sink_of_single_bytes),
        cmocka_unit_test(a_round_trip),
        cmocka_unit_test(a_queue_goes_first),
        cmocka_unit_test(others_get_their_turn),
        cmocka_unit_test(waiting_costs_nothing),
        cmocka_unit_test(files),
        cmocka_unit_test(ten_thousand),
        cmocka_unit_test(bad_relays),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
