/* SPDX-License-Identifier: Apache-2.0 */
/* test_ends.h - every kind of stream with somebody at its far end, for the tests of relays: sources that are fed a
 * pattern by its position, sinks that check it. */
#ifndef CL_CORE_NET_TEST_ENDS_H
#define CL_CORE_NET_TEST_ENDS_H

#include "core/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util/check.h"
#include "core/util/sv.h"

enum kind { SOCKET, PIPE, MOVED, READ, PAIR, GATE, GATED_MOVE, FILE_END };

static const char *const kind_names[] = {"socket", "pipe", "moved", "read", "pair", "gate", "gated move", "file"};

/* One end of a stream under test. Sources: `at` has been fed; sinks: `at` has been checked. */
struct far_end {
    enum kind kind;
    struct cl_loop *loop;
    cloister_stream *stream;
    cloister_stream *inner; /* of a gate */
    cloister_stream *other; /* of a pair */
    bool other_ended;
    bool other_aborted;
    int fd; /* the far side's, or the memory behind MOVED */
    uint64_t at;
    uint64_t taken; /* of a made source by its reader, of a made sink */
    uint64_t room;  /* what a made sink takes before it says EAGAIN */
    bool over;
    bool aborted;
    bool closed;
    unsigned closed_aborted;
    bool shut;
};

static inline char pattern(uint64_t position)
{
    return (char)(position * 31 + (position >> 12) * 7);
}

static inline void check_pattern(struct far_end *end, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern(end->at + i))
            fail_msg("%s: byte %llu is wrong", kind_names[end->kind], (unsigned long long)(end->at + i));
    }
    end->at += size;
}

/* A made source: what has been fed and not been taken is there. */
static inline int64_t made_read(void *ctx, void *buffer, uint64_t size)
{
    struct far_end *end = ctx;
    uint64_t there = end->at - end->taken, take = size < there ? size : there;
    for (uint64_t i = 0; i < take; i++)
        ((char *)buffer)[i] = pattern(end->taken + i);
    end->taken += take;
    if (take > 0)
        return (int64_t)take;
    if (end->aborted)
        return -ECONNRESET;
    return end->over ? 0 : -EAGAIN;
}

static inline uint32_t made_move(void *ctx, int32_t fd, uint64_t size, uint64_t *ret_moved, int32_t *ret_errno)
{
    struct far_end *end = ctx;
    uint64_t there = end->at - end->taken;
    if (there == 0 && end->aborted) {
        *ret_errno = ECONNRESET;
        return CLOISTER_MOVED_ABORTED;
    }
    if (there == 0)
        return end->over ? CLOISTER_MOVED_EOF : CLOISTER_MOVED_EMPTY;
    off_t offset = (off_t)end->taken;
    ssize_t moved = sendfile(fd, end->fd, &offset, size < there ? size : there);
    if (moved < 0 && errno == EAGAIN)
        return CLOISTER_MOVED_FULL;
    if (moved < 0) {
        *ret_errno = errno;
        return CLOISTER_MOVED_SINK_GONE;
    }
    end->taken += (uint64_t)moved;
    *ret_moved = (uint64_t)moved;
    return CLOISTER_MOVED_SOME;
}

static inline void made_info(const void *ctx, struct cloister_stream_info *ret)
{
    const struct far_end *end = ctx;
    ret->position = end->taken;
    ret->lost = 7;
}

static inline int64_t made_write(void *ctx, struct cloister_sv bytes)
{
    struct far_end *end = ctx;
    uint64_t take = bytes.size < end->room ? bytes.size : end->room;
    if (end->over)
        return -EPIPE;
    if (take == 0)
        return -EAGAIN;
    check_pattern(end, bytes.data, take);
    end->room -= take;
    return (int64_t)take;
}

static inline int32_t made_shut(void *ctx, uint32_t sides)
{
    struct far_end *end = ctx;
    end->shut |= (sides & CLOISTER_SHUT_WR) != 0;
    return 0;
}

static inline void made_close(void *ctx, uint32_t aborted)
{
    struct far_end *end = ctx;
    assert_false(end->closed);
    end->closed = true;
    end->closed_aborted = aborted;
}

static inline void make_source(struct far_end *end, cloister_stream **ret)
{
    const struct cloister_stream_vtable vtable = {
        CLOISTER_INIT(struct cloister_stream_vtable),
        .read = made_read,
        .move = end->kind == MOVED || end->kind == GATED_MOVE ? made_move : NULL,
        .info = made_info,
        .close = made_close,
    };
    if (vtable.move) {
        end->fd = memfd_create("test", MFD_CLOEXEC);
        assert_true(end->fd >= 0);
    }
    assert_int_equal(cl_stream_make(end->loop, &vtable, end, ret), 0);
}

static inline void make_sink(struct far_end *end)
{
    const struct cloister_stream_vtable vtable = {CLOISTER_INIT(struct cloister_stream_vtable), .write = made_write,
                                                  .shut = made_shut, .close = made_close};
    assert_int_equal(cl_stream_make(end->loop, &vtable, end, &end->stream), 0);
}

static inline void other_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count)
{
    (void)fds;
    assert_int_equal(fd_count, 0);
    check_pattern(ctx, bytes.data, bytes.size);
}

static inline void other_end(void *ctx, uint32_t verdict, int32_t os_errno)
{
    struct far_end *end = ctx;
    (void)os_errno;
    end->other_ended = true;
    end->other_aborted = verdict != CLOISTER_EOF;
}

static const struct cloister_stream_reader other_reader = {CLOISTER_INIT(struct cloister_stream_reader),
                                                           .data = other_data, .end = other_end};

static inline int descriptor_end(struct far_end *end, bool source)
{
    int fds[2];
    if (end->kind == SOCKET)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    else
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    bool swap = end->kind == PIPE && !source;
    end->fd = fds[swap ? 0 : 1];
    assert_int_equal(fcntl(end->fd, F_SETFL, O_NONBLOCK), 0);
    return fds[swap ? 1 : 0];
}

static inline int file_end(struct far_end *end)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    end->fd = dup(fd);
    return fd;
}

static inline void end_open(struct far_end *end, struct cl_loop *loop, enum kind kind, bool source)
{
    *end = (struct far_end){.kind = kind, .loop = loop, .fd = -1, .room = UINT64_MAX};
    if (kind == SOCKET || kind == PIPE)
        assert_int_equal(cl_stream_from_fd(loop, descriptor_end(end, source), &end->stream), 0);
    else if (kind == FILE_END)
        assert_int_equal(cl_stream_from_fd(loop, file_end(end), &end->stream), 0);
    else if (kind == PAIR)
        assert_int_equal(cl_stream_pair(loop, NULL, &end->stream, &end->other), 0);
    else if (!source)
        make_sink(end);
    else
        make_source(end, kind == GATE || kind == GATED_MOVE ? &end->inner : &end->stream);
    if (end->inner)
        assert_int_equal(cl_stream_gate(end->inner, &end->stream), 0);
    if (kind == PAIR && !source)
        assert_int_equal(cl_stream_read_start(end->other, &other_reader, end), 0);
}

/* As much of the pattern as goes in. */
static inline void feed(struct far_end *end, uint64_t size)
{
    static char bytes[1 << 16];
    uint64_t until = end->at + size;
    while (end->at < until) {
        size_t part = until - end->at < sizeof(bytes) ? until - end->at : sizeof(bytes);
        ssize_t put = (ssize_t)part;
        for (size_t i = 0; i < part; i++)
            bytes[i] = pattern(end->at + i);
        if (end->kind == SOCKET || end->kind == PIPE)
            put = write(end->fd, bytes, part);
        if (end->kind == PAIR)
            assert_int_equal(cl_stream_write(end->other, cl_sv(bytes, part)), 0);
        if (end->kind == MOVED || end->kind == GATED_MOVE || end->kind == FILE_END)
            assert_int_equal(pwrite(end->fd, bytes, part, (off_t)end->at), part);
        if (put < 0)
            break;
        end->at += (uint64_t)put;
    }
    cl_stream_ready(end->inner ? end->inner : end->stream, CLOISTER_READY_READ);
}

static inline void close_fd(struct far_end *end)
{
    if (end->fd >= 0)
        close(end->fd);
    end->fd = -1;
}

static inline void feed_end(struct far_end *end)
{
    end->over = true;
    if (end->kind == SOCKET)
        assert_int_equal(shutdown(end->fd, SHUT_WR), 0);
    if (end->kind == PIPE)
        close_fd(end);
    if (end->kind == PAIR)
        assert_int_equal(cl_stream_shut(end->other, CLOISTER_SHUT_WR), 0);
    if (end->inner)
        cl_stream_gate_end(end->stream, CLOISTER_EOF, 0);
    cl_stream_ready(end->inner ? end->inner : end->stream, CLOISTER_READY_READ);
}

/* Pipes and files know no abort. */
static inline bool can_abort(enum kind kind)
{
    return kind != PIPE && kind != FILE_END;
}

static inline void feed_abort(struct far_end *end)
{
    if (end->kind == SOCKET) {
        assert_int_equal(cl_stream_write(end->stream, CLOISTER_SV("never read")), 0);
        close_fd(end);
    } else if (end->kind == PAIR) {
        cl_stream_abort(end->other, NULL, NULL);
        end->other = NULL;
    } else if (end->inner) {
        end->over = true;
        cl_stream_gate_end(end->stream, CLOISTER_ABORTED, ECONNRESET);
    } else {
        end->aborted = true;
    }
    cl_stream_ready(end->inner ? end->inner : end->stream, CLOISTER_READY_READ);
}

/* Takes at most size bytes that have arrived; true if the end has come. */
static inline bool drink(struct far_end *end, uint64_t size)
{
    static char bytes[1 << 16];
    while (size > 0 && (end->kind == SOCKET || end->kind == PIPE)) {
        ssize_t got = read(end->fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
        if (got <= 0)
            return got == 0;
        check_pattern(end, bytes, (size_t)got);
        size -= (uint64_t)got;
    }
    if (end->kind == FILE_END) {
        ssize_t got;
        while ((got = pread(end->fd, bytes, sizeof(bytes), (off_t)end->at)) > 0)
            check_pattern(end, bytes, (size_t)got);
    }
    return end->shut || end->other_ended;
}

static inline void sink_leaves(struct far_end *end)
{
    end->over = true;
    close_fd(end);
    if (end->other)
        cl_stream_abort(end->other, NULL, NULL);
    end->other = NULL;
    cl_stream_ready(end->stream, CLOISTER_READY_WRITE);
}

static inline void end_close(struct far_end *end)
{
    cl_stream_abort(end->stream, NULL, NULL);
    if (end->other)
        cl_stream_abort(end->other, NULL, NULL);
    close_fd(end);
    cl_loop_run_pending(end->loop, 50);
    if (end->kind == MOVED || end->kind == READ || end->kind == GATE || end->kind == GATED_MOVE)
        assert_true(end->closed);
}

#endif
