/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay holds the reading side of one stream and the writing side of another. Each turn takes steps until it waits
 * for one of the two or has moved its share, so a relay at full speed costs the others one turn at a time. A step takes
 * the cheapest way there is: the source's own `move` into a descriptor, a splice where one end is a pipe, else one
 * buffer that is only read into when it is empty. So no more than that buffer is ever in memory, a sink that takes
 * nothing stops the reading, and nothing is allocated on the way. What was read and not taken goes back to the source.
 */
#include "core/net/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <assert.h>

#include "core/net/made.h"
#include "core/net/room.h"
#include "core/util/mem.h"

#define TURN_BYTES (1u << 20)
#define STEP_COST 512u /* of one that moved less: a turn of tiny steps ends too */
#define ALL_FLAGS (CLOISTER_RELAY_WATCH_DST | CLOISTER_RELAY_HOLD)

enum step { STEP_ON, STEP_NEEDS_SRC, STEP_NEEDS_DST, STEP_OVER };

struct relay {
    struct cl_relays *relays;
    struct cl_loop *loop;
    struct cl_task task;
    cloister_op op;
    struct cloister_relay_args args;
    struct cl_chunk *buffer;
    uint64_t bytes;
    bool copies;        /* the kernel would not move these by itself */
    bool sink_talks;    /* the sink has sent something: its end would stand behind that */
    bool waits_for_src; /* else for room in the sink */
    uint32_t end;       /* enum cloister_relay_end */
    int error;
};

static enum step end_with(struct relay *relay, uint32_t end, int error)
{
    relay->end = end;
    relay->error = error;
    return STEP_OVER;
}

static enum step sink_gone(struct relay *relay, int error)
{
    if (!relay->args.dst->write_errno)
        cl_stream_fail_write(relay->args.dst, error);
    return end_with(relay, CLOISTER_RELAY_DST_GONE, error);
}

/* result: 0 = EOF, else negative errno */
static enum step source_ended(struct relay *relay, int result)
{
    if (!relay->args.src->verdict)
        cl_stream_note_end(relay->args.src, result);
    return end_with(relay, result == 0 ? CLOISTER_RELAY_EOF : CLOISTER_RELAY_SRC_ABORTED, -result);
}

static uint64_t at_most(const struct relay *relay, uint64_t size)
{
    uint64_t left = relay->args.limit ? relay->args.limit - relay->bytes : UINT64_MAX;
    return size < left ? size : left;
}

static enum step took(struct relay *relay, uint64_t size)
{
    relay->bytes += size;
    return STEP_ON;
}

static enum step move(struct relay *relay, uint64_t budget)
{
    cloister_stream *src = relay->args.src, *dst = relay->args.dst;
    uint64_t moved = 0;
    int32_t error = 0;
    uint32_t how = cl_made_move(src, dst->fd, at_most(relay, budget), &moved, &error);
    dst->sent += moved;
    (void)took(relay, moved);
    switch (how) {
    case CLOISTER_MOVED_SOME:
        return STEP_ON;
    case CLOISTER_MOVED_EMPTY:
        return STEP_NEEDS_SRC;
    case CLOISTER_MOVED_FULL:
        return STEP_NEEDS_DST;
    case CLOISTER_MOVED_EOF:
        return source_ended(relay, 0);
    case CLOISTER_MOVED_SINK_GONE:
        /* sendfile into a file that was opened for appending, or a device that knows no splice */
        relay->copies = error == EINVAL && src->made.read;
        return relay->copies ? STEP_ON : sink_gone(relay, error > 0 ? error : EPIPE);
    default:
        return source_ended(relay, error > 0 ? -error : -EPROTO);
    }
}

static bool is_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 0) > 0;
}

/* EAGAIN does not say which of the two it means. */
static enum step splice_failed(struct relay *relay, int error)
{
    if (error == EAGAIN)
        return is_readable(relay->args.src->fd) ? STEP_NEEDS_DST : STEP_NEEDS_SRC;
    if (error == EINVAL || error == EBADF) {
        relay->copies = true;
        return STEP_ON;
    }
    if (relay->args.src->kind == CL_PORT_PIPE || error == EPIPE)
        return sink_gone(relay, error);
    return source_ended(relay, -error);
}

static enum step splice_step(struct relay *relay, uint64_t budget)
{
    cloister_stream *src = relay->args.src, *dst = relay->args.dst;
    ssize_t moved;
    do {
        moved = splice(src->fd, NULL, dst->fd, NULL, at_most(relay, budget), SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    } while (moved < 0 && errno == EINTR);
    if (moved < 0)
        return splice_failed(relay, errno);
    if (moved == 0)
        return source_ended(relay, 0);
    dst->sent += (uint64_t)moved;
    return took(relay, (uint64_t)moved);
}

static enum step fill(struct relay *relay)
{
    struct iovec space = cl_chunk_space(relay->buffer);
    ssize_t got = cl_stream_pull(relay->args.src, space.iov_base, at_most(relay, space.iov_len), NULL);
    if (got == -EAGAIN)
        return STEP_NEEDS_SRC;
    if (got <= 0)
        return source_ended(relay, (int)got);
    cl_chunk_filled(relay->buffer, (size_t)got);
    return STEP_ON;
}

static enum step empty(struct relay *relay)
{
    struct iovec bytes = cl_chunk_bytes(relay->buffer);
    ssize_t taken = cl_stream_push(relay->args.dst, &bytes, 1);
    if (taken == -EAGAIN)
        return STEP_NEEDS_DST;
    if (taken < 0)
        return sink_gone(relay, (int)-taken);
    cl_chunk_taken(relay->buffer, (size_t)taken);
    return took(relay, (uint64_t)taken);
}

static bool can_splice(const cloister_stream *src, const cloister_stream *dst)
{
    return (src->kind == CL_PORT_PIPE && (dst->kind == CL_PORT_PIPE || dst->kind == CL_PORT_SOCKET)) ||
           (src->kind == CL_PORT_SOCKET && dst->kind == CL_PORT_PIPE);
}

/* What its owner had written before comes first. */
static enum step flush_first(struct relay *relay)
{
    cloister_stream *dst = relay->args.dst;
    cl_stream_flush(dst);
    if (dst->write_errno || dst->shut_done)
        return sink_gone(relay, dst->write_errno ? dst->write_errno : EPIPE);
    return dst->out.size > 0 ? STEP_NEEDS_DST : STEP_ON;
}

static enum step step(struct relay *relay, uint64_t budget)
{
    cloister_stream *src = relay->args.src, *dst = relay->args.dst;
    enum step first = flush_first(relay);
    if (first != STEP_ON)
        return first;
    if (cl_chunk_bytes(relay->buffer).iov_len > 0)
        return empty(relay);
    if (at_most(relay, 1) == 0)
        return end_with(relay, CLOISTER_RELAY_EOF, 0);
    if (src->unread.size > 0 || src->verdict || relay->copies)
        return fill(relay);
    if (src->kind == CL_PORT_MADE && src->made.move && dst->fd >= 0)
        return move(relay, budget);
    return can_splice(src, dst) ? splice_step(relay, budget) : fill(relay);
}

/* A sink that has gone is to be noticed while the source is silent. */
static uint32_t watched_of_sink(const struct relay *relay)
{
    if (!(relay->args.flags & CLOISTER_RELAY_WATCH_DST))
        return 0;
    return CLOISTER_HANGUP | (relay->args.dst->tells_half_close && !relay->sink_talks ? CLOISTER_READABLE : 0);
}

static void wait_for(struct relay *relay, enum step what)
{
    relay->waits_for_src = what == STEP_NEEDS_SRC;
    cl_stream_want(relay->args.src, CL_SIDE_READ, what == STEP_NEEDS_SRC ? CLOISTER_READABLE : 0);
    cl_stream_want(relay->args.dst, CL_SIDE_WRITE,
                   what == STEP_NEEDS_DST   ? CLOISTER_WRITABLE
                   : what == STEP_NEEDS_SRC ? watched_of_sink(relay)
                                            : 0);
    if (what == STEP_ON || what == STEP_OVER)
        cl_task_defer(relay->loop, &relay->task);
}

static void turn(struct relay *relay)
{
    enum step what = STEP_ON;
    for (uint64_t budget = TURN_BYTES; budget > 0 && what == STEP_ON;) {
        uint64_t before = relay->bytes;
        what = step(relay, budget);
        uint64_t cost = relay->bytes - before > STEP_COST ? relay->bytes - before : STEP_COST;
        budget -= cost < budget ? cost : budget;
    }
    wait_for(relay, what);
}

static void on_src(void *ctx, uint32_t events)
{
    struct relay *relay = ctx;
    (void)events;
    if (!relay->end)
        turn(relay);
}

/* The sink says something, or nothing any more: where a half-close looks like a close, its EOF is taken for that. */
static void listen_to_sink(struct relay *relay)
{
    char byte;
    ssize_t got = recv(relay->args.dst->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    relay->sink_talks = got > 0;
    wait_for(relay, got > 0 ? STEP_NEEDS_SRC : sink_gone(relay, got == 0 ? EPIPE : errno));
}

static void on_dst(void *ctx, uint32_t events)
{
    struct relay *relay = ctx;
    if (relay->end)
        return;
    if (!relay->waits_for_src)
        turn(relay);
    else if (events & CLOISTER_HANGUP)
        wait_for(relay, sink_gone(relay, EPIPE));
    else if (events & CLOISTER_READABLE)
        listen_to_sink(relay);
}

static void complete(struct relay *relay)
{
    const struct cloister_relay_args args = relay->args;
    const struct cloister_relay_result result = {
        .struct_size = sizeof(result), .end = relay->end, .os_errno = relay->error, .bytes = relay->bytes};
    cloister_op op = relay->op;
    (void)cl_map_remove_u64(&relay->relays->live, op);
    cl_chunks_give(&args.src->unread, relay->buffer);
    free(relay);
    if (result.end == CLOISTER_RELAY_EOF && !(args.flags & CLOISTER_RELAY_HOLD))
        cl_stream_shut_write(args.dst);
    cl_stream_release(args.src, CL_SIDE_READ);
    cl_stream_release(args.dst, CL_SIDE_WRITE);
    args.done(args.ctx, op, &result);
}

static void on_task(void *ctx)
{
    struct relay *relay = ctx;
    if (relay->end)
        complete(relay);
    else
        turn(relay);
}

static int hold_both(struct relay *relay)
{
    int result = cl_stream_hold(relay->args.src, CL_SIDE_READ, on_src, relay);
    if (result < 0)
        return result;
    result = cl_stream_hold(relay->args.dst, CL_SIDE_WRITE, on_dst, relay);
    if (result < 0)
        cl_stream_release(relay->args.src, CL_SIDE_READ);
    return result;
}

static bool args_fit(const struct cloister_relay_args *args)
{
    return CLOISTER_HAS(args, ctx) && args->src && args->dst && args->done && !(args->flags & ~ALL_FLAGS);
}

int cl_relay_start(struct cl_relays *relays, struct cl_loop *loop, const struct cloister_relay_args *args,
                   cloister_op *ret)
{
    if (!args_fit(args))
        return -EINVAL;
    CL_FREE struct cl_chunk *buffer = cl_chunk_new(CL_STREAM_PIECE);
    CL_FREE struct relay *relay = cl_new(struct relay);
    if (!relay || !buffer)
        return -ENOMEM;
    memcpy(&relay->args, args, args->struct_size < sizeof(*args) ? args->struct_size : sizeof(*args));
    relay->relays = relays;
    relay->loop = loop;
    relay->buffer = buffer;
    cl_task_init(&relay->task, on_task, relay);
    cloister_op op = relays->last + 1;
    int result = cl_map_put_u64(&relays->live, op, relay);
    if (result < 0)
        return result;
    result = hold_both(relay);
    if (result < 0) {
        (void)cl_map_remove_u64(&relays->live, op);
        return result;
    }
    relay->op = relays->last = op;
    cl_task_defer(loop, &relay->task);
    *ret = op;
    (void)cl_steal_ptr(&buffer);
    (void)cl_steal_ptr(&relay);
    return 0;
}

void cl_relay_cancel(struct cl_relays *relays, cloister_op op)
{
    struct relay *relay = cl_map_get_u64(&relays->live, op);
    if (relay && !relay->end)
        wait_for(relay, end_with(relay, CLOISTER_RELAY_CANCELLED, 0));
}

void cl_relays_free(struct cl_relays *relays)
{
    assert(relays->live.size == 0);
    cl_map_free(&relays->live);
}
