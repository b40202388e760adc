/* SPDX-License-Identifier: Apache-2.0 */
/* Made streams, pairs, gates; the ways of ending that came with them. */
#include "core/net/stream.h"

#include <stdio.h>

#include "core/net/test_ends.h"
#include "core/net/test_link.h"
#include "core/util/mem.h"

struct own {
    struct link link;
    struct far_end end;
};

static void open_own(struct own *own, enum kind kind, bool source)
{
    memset(own, 0, sizeof(*own));
    own->link.peer = -1;
    own->link.inside = '.';
    own->link.got = malloc(KEPT);
    assert_non_null(own->link.got);
    assert_int_equal(cl_loop_new(&own->link.loop), 0);
    end_open(&own->end, own->link.loop, kind, source);
    own->link.stream = own->end.stream;
}

static void close_own(struct own *own)
{
    if (own->end.other)
        cl_stream_abort(own->end.other, NULL, NULL);
    turn(&own->link);
    close_fd(&own->end);
    end(&own->link);
}

/* What a reader of a descriptor's stream gets, that of a made one gets too. */
static void readers(void **state)
{
    (void)state;
    static const enum kind kinds[] = {SOCKET, PIPE, FILE_END, MOVED, READ, PAIR, GATE, GATED_MOVE};
    for (size_t i = 0; i < CL_COUNT(kinds); i++) {
        const char *name = kind_names[kinds[i]];
        struct own own;
        struct far_end check = {.kind = kinds[i]};
        open_own(&own, kinds[i], true);
        feed(&own.end, 50000);
        assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
        CL_CHECK_INT(name, own.link.size, 0);
        turn(&own.link);
        CL_CHECK_INT(name, own.link.size, 50000);
        if (kinds[i] == FILE_END) {
            CL_CHECK_INT(name, own.link.verdict, CLOISTER_EOF);
        } else {
            feed(&own.end, 500);
            feed_end(&own.end);
            CL_CHECK_INT(name, own.link.size, 50000);
            turn(&own.link);
            CL_CHECK_INT(name, own.link.size, 50500);
        }
        CL_CHECK_INT(name, own.link.verdict, CLOISTER_EOF);
        CL_CHECK_INT(name, own.link.ends, 1);
        check_pattern(&check, own.link.got, own.link.size);
        close_own(&own);
    }
}

static void aborts_reach_readers(void **state)
{
    (void)state;
    static const enum kind kinds[] = {SOCKET, READ, PAIR, GATE};
    for (size_t i = 0; i < CL_COUNT(kinds); i++) {
        const char *name = kind_names[kinds[i]];
        struct own own;
        open_own(&own, kinds[i], true);
        assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
        feed(&own.end, 500);
        turn(&own.link);
        feed_abort(&own.end);
        turn(&own.link);
        CL_CHECK_INT(name, own.link.size, 500);
        CL_CHECK_INT(name, own.link.verdict, CLOISTER_ABORTED);
        CL_CHECK_INT(name, own.link.end_errno, ECONNRESET);
        close_own(&own);
    }
}

static void writes_wait_for_a_made_sink(void **state)
{
    (void)state;
    struct own own;
    char bytes[100];
    open_own(&own, READ, false);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    own.end.room = 30;
    assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
    turn(&own.link);
    assert_int_equal(own.link.verdict, CLOISTER_EOF); /* it has no reading side */
    assert_int_equal(cl_stream_write(own.end.stream, cl_sv(bytes, 50)), 0);
    assert_int_equal(cl_stream_write(own.end.stream, cl_sv(bytes + 50, 50)), 0);
    assert_int_equal(cl_stream_queued(own.end.stream), 70);
    turn(&own.link);
    assert_int_equal(own.end.at, 30);
    own.end.room = 60;
    cl_stream_ready(own.end.stream, CLOISTER_READY_WRITE);
    assert_int_equal(own.end.at, 30); /* not inside the call */
    turn(&own.link);
    assert_int_equal(own.end.at, 90);
    assert_int_equal(own.link.drains, 0);
    cl_stream_finish(own.end.stream, on_closed, &own.link);
    turn(&own.link);
    assert_int_equal(own.link.closes, 0);
    own.end.room = 60;
    cl_stream_ready(own.end.stream, CLOISTER_READY_WRITE);
    turn(&own.link);
    assert_int_equal(own.end.at, 100);
    assert_int_equal(own.link.closes, 1);
    assert_true(own.end.closed);
    assert_int_equal(own.end.closed_aborted, 0);
    close_own(&own);

    open_own(&own, READ, false);
    assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
    sink_leaves(&own.end);
    assert_int_equal(own.link.gones, 0);
    assert_int_equal(cl_stream_write(own.end.stream, cl_sv(bytes, 1)), -EPIPE);
    turn(&own.link);
    assert_int_equal(own.link.gones, 1);
    cl_stream_abort(own.end.stream, on_closed, &own.link);
    assert_false(own.end.closed); /* not inside the call */
    turn(&own.link);
    assert_int_equal(own.end.closed_aborted, 1);
    close_own(&own);
}

/* Nobody writes, nobody reads: that the other end of a pair has gone is told all the same. */
static void a_pair_tells_of_the_other_end(void **state)
{
    (void)state;
    struct own own;
    open_own(&own, PAIR, false);
    assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
    assert_int_equal(cl_stream_read_stop(own.end.stream), 0);
    turn(&own.link);
    assert_int_equal(own.link.gones, 0);
    sink_leaves(&own.end);
    turn(&own.link);
    assert_int_equal(own.link.gones, 1);
    assert_int_equal(own.link.ends, 0);
    close_own(&own);
}

static void a_pair_holds_its_capacity(void **state)
{
    (void)state;
    struct cl_loop *loop;
    cloister_stream *a, *b;
    struct far_end end = {.kind = PAIR};
    static const uint64_t capacities[] = {1, 1000, 16u << 20};
    static char bytes[3000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    assert_int_equal(cl_loop_new(&loop), 0);
    for (size_t i = 0; i < CL_COUNT(capacities); i++) {
        struct cloister_pair_args args = {CLOISTER_INIT(struct cloister_pair_args), .capacity = capacities[i]};
        end.at = 0;
        end.other_ended = false;
        assert_int_equal(cl_stream_pair(loop, &args, &a, &b), 0);
        assert_int_equal(cl_stream_write(a, cl_sv(bytes, sizeof(bytes))), 0);
        assert_int_equal(cl_stream_queued(a), capacities[i] < 3000 ? 3000 - capacities[i] : 0);
        cl_stream_finish(a, NULL, NULL);
        assert_int_equal(cl_stream_read_start(b, &other_reader, &end), 0);
        cl_loop_run_pending(loop, 10000);
        assert_int_equal(end.at, 3000);
        assert_true(end.other_ended && !end.other_aborted);
        assert_int_equal(cl_stream_write(b, CLOISTER_SV("x")), -EPIPE);
        cl_stream_abort(b, NULL, NULL);
        cl_loop_run_pending(loop, 50);
    }
    struct cloister_pair_args args = {CLOISTER_INIT(struct cloister_pair_args), .capacity = (16u << 20) + 1};
    assert_int_equal(cl_stream_pair(loop, &args, &a, &b), -E2BIG);
    for (unsigned nth = 1; nth <= 5; nth++) {
        cl_mem_fail_nth(nth);
        assert_int_equal(cl_stream_pair(loop, NULL, &a, &b), -ENOMEM);
        cl_mem_fail_nth(0);
        cl_loop_run_pending(loop, 50);
    }
    cl_loop_free(loop);
}

struct gate_case {
    const char *name;
    const char *steps; /* 'f'eed 100, 'e'nd, 'a'bort, 'o'pen the gate, 's'hut it for good */
    uint32_t verdict;
    int error;
};

static const struct gate_case gate_cases[] = {
    {"nobody has judged", "fe", 0, 0},
    {"judged afterwards", "feo", CLOISTER_EOF, 0},
    {"judged before", "foe", CLOISTER_EOF, 0},
    {"judged before all", "ofe", CLOISTER_EOF, 0},
    {"refused afterwards", "fes", CLOISTER_ABORTED, ENOTRECOVERABLE},
    {"refused before", "fse", CLOISTER_ABORTED, ENOTRECOVERABLE},
    {"a second word does not count", "fose", CLOISTER_EOF, 0},
    {"an abort passes", "fa", CLOISTER_ABORTED, ECONNRESET},
    {"an abort passes an open gate", "foa", CLOISTER_ABORTED, ECONNRESET},
};

static void gates(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(gate_cases); i++) {
        const struct gate_case *test = &gate_cases[i];
        struct own own;
        struct cloister_stream_info info = {CLOISTER_INIT(struct cloister_stream_info)};
        open_own(&own, i % 2 ? GATE : GATED_MOVE, true);
        assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
        for (const char *step = test->steps; *step; step++) {
            if (*step == 'f')
                feed(&own.end, 100);
            own.end.over |= *step == 'e';
            own.end.aborted |= *step == 'a';
            if (*step == 'e' || *step == 'a')
                cl_stream_ready(own.end.inner, CLOISTER_READY_READ);
            if (*step == 'o')
                cl_stream_gate_end(own.end.stream, CLOISTER_EOF, 0);
            if (*step == 's')
                cl_stream_gate_end(own.end.stream, CLOISTER_ABORTED, ENOTRECOVERABLE);
            turn(&own.link);
        }
        CL_CHECK_INT(test->name, own.link.size, 100);
        CL_CHECK_INT(test->name, own.link.verdict, test->verdict);
        CL_CHECK_INT(test->name, own.link.end_errno, test->error);
        CL_CHECK_INT(test->name, cl_stream_info(own.end.stream, &info), 0);
        CL_CHECK_INT(test->name, info.position, 100);
        close_own(&own);
        CL_CHECK(test->name, own.end.closed);
    }
}

static void what_is_put_back_counts_for_the_position(void **state)
{
    (void)state;
    struct own own;
    struct cloister_stream_info info = {CLOISTER_INIT(struct cloister_stream_info)};
    open_own(&own, READ, true);
    feed(&own.end, 100);
    own.link.inside = 's';
    assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
    turn(&own.link);
    assert_int_equal(cl_stream_unread(own.end.stream, cl_sv(own.link.got + 60, 40)), 0);
    assert_int_equal(cl_stream_info(own.end.stream, &info), 0);
    assert_int_equal(info.position, 60);
    assert_int_equal(info.lost, 7);
    close_own(&own);
    open_own(&own, SOCKET, true);
    assert_int_equal(cl_stream_info(own.end.stream, &info), -EOPNOTSUPP);
    close_own(&own);
}

static void a_descriptor_is_taken_out(void **state)
{
    (void)state;
    struct own own;
    int fd = -1, before;
    open_own(&own, SOCKET, true);
    before = count_fds();
    assert_int_equal(cl_stream_unread(own.end.stream, CLOISTER_SV("x")), 0);
    assert_int_equal(cl_stream_take_fd(own.end.stream, &fd), -EBUSY);
    assert_int_equal(cl_stream_read_start(own.end.stream, &reader, &own.link), 0);
    turn(&own.link);
    assert_int_equal(cl_stream_take_fd(own.end.stream, &fd), 0);
    turn(&own.link);
    assert_int_equal(count_fds(), before);
    assert_int_equal(write(fd, "alive", 5), 5);
    char buffer[8];
    assert_int_equal(read(own.end.fd, buffer, sizeof(buffer)), 5);
    close(fd);
    own.link.stream = NULL;
    close_own(&own);

    open_own(&own, FILE_END, true);
    assert_int_equal(cl_stream_take_fd(own.end.stream, &fd), 0);
    turn(&own.link);
    close(fd);
    own.link.stream = NULL;
    close_own(&own);

    open_own(&own, READ, true);
    assert_int_equal(cl_stream_take_fd(own.end.stream, &fd), -EOPNOTSUPP);
    close_own(&own);
}

/* Longer than finish would, and more than it would read. */
static void lingering_waits_for_the_peer(void **state)
{
    (void)state;
    static const enum kind kinds[] = {SOCKET, PIPE, READ, PAIR};
    for (size_t i = 0; i < CL_COUNT(kinds); i++) {
        const char *name = kind_names[kinds[i]];
        struct own own;
        open_own(&own, kinds[i], true);
        cl_stream_linger(own.end.stream, on_closed, &own.link);
        for (int k = 0; k < 100; k++) {
            feed(&own.end, 30000);
            turn(&own.link);
        }
        CL_CHECK_INT(name, own.end.at, 3000000);
        CL_CHECK_INT(name, own.link.closes, 0);
        feed_end(&own.end);
        turn(&own.link);
        CL_CHECK_INT(name, own.link.closes, 1);
        close_own(&own);
    }
}

static void devices(void **state)
{
    (void)state;
    struct link link;
    begin_with(&link, open("/dev/null", O_RDWR | O_CLOEXEC), -1);
    assert_int_equal(cl_stream_read_start(link.stream, &reader, &link), 0);
    turn(&link);
    assert_int_equal(link.verdict, CLOISTER_EOF);
    assert_int_equal(cl_stream_write(link.stream, CLOISTER_SV("gone")), 0);
    assert_int_equal(cl_stream_sent(link.stream), 4);
    end(&link);

    /* A terminal's end is EIO. */
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
        print_message("no terminals here\n");
        return;
    }
    char path[64];
    assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
    int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    begin_with(&link, master, slave);
    assert_int_equal(cl_stream_read_start(link.stream, &reader, &link), 0);
    say(&link, "hello");
    turn(&link);
    heard(&link, "hello");
    close(slave);
    link.peer = -1;
    turn(&link);
    assert_int_equal(link.verdict, CLOISTER_EOF);
    end(&link);
}

static void bad_vtables(void **state)
{
    (void)state;
    struct cl_loop *loop;
    cloister_stream *stream;
    struct cloister_stream_vtable vtable = {.struct_size = 4};
    assert_int_equal(cl_loop_new(&loop), 0);
    assert_int_equal(cl_stream_make(loop, &vtable, NULL, &stream), -EINVAL);
    vtable = (struct cloister_stream_vtable){CLOISTER_INIT(struct cloister_stream_vtable), .reserved = 1};
    assert_int_equal(cl_stream_make(loop, &vtable, NULL, &stream), -EINVAL);
    cl_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers),
        cmocka_unit_test(aborts_reach_readers),
        cmocka_unit_test(writes_wait_for_a_made_sink),
        cmocka_unit_test(a_pair_tells_of_the_other_end),
        cmocka_unit_test(a_pair_holds_its_capacity),
        cmocka_unit_test(gates),
        cmocka_unit_test(what_is_put_back_counts_for_the_position),
        cmocka_unit_test(a_descriptor_is_taken_out),
        cmocka_unit_test(lingering_waits_for_the_peer),
        cmocka_unit_test(devices),
        cmocka_unit_test(bad_vtables),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
