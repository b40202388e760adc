/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream is a channel with manners. Reading is handed out piece by piece, with a limit for each turn of the loop, so
 * that one busy peer cannot starve the others; writing goes straight to the kernel while that takes it and waits in a
 * queue of copies when it does not. Each end comes with a verdict, because a cut upload must never look like a complete
 * one, and the verdict is kept: a kernel tells a reset only once. The caller is never called back from inside its own
 * call: `gone` and `drained` come later, as a task of the loop. What the bytes come from and go to is the port's
 * business (room.h); how a stream ends is in stream_end.c.
 */
#include "core/net/stream.h"

#include <errno.h>
#include <string.h>

#include "core/net/room.h"
#include "core/util/mem.h"
#include "core/util/sv.h"

#define TURN_BYTES (256u << 10) /* read or written in one turn of the loop */

void cl_stream_fail_write(cloister_stream *stream, int error)
{
    stream->write_errno = error;
    cl_chunks_clear(&stream->out);
    stream->owe_drained = false;
    stream->owe_gone = true;
    cl_task_defer(stream->loop, &stream->task);
}

ssize_t cl_stream_push(cloister_stream *stream, const struct iovec *iov, int count)
{
    ssize_t sent = stream->port->send(stream, iov, count);
    if (sent > 0)
        stream->sent += (uint64_t)sent;
    return sent;
}

void cl_stream_flush(cloister_stream *stream)
{
    uint64_t budget = TURN_BYTES;
    if (stream->out.size == 0)
        return;
    while (stream->out.size > 0 && budget > 0) {
        struct iovec iov[CL_STREAM_PIECES_MAX];
        int count = cl_chunks_peek(&stream->out, iov, CL_STREAM_PIECES_MAX);
        ssize_t sent = cl_stream_push(stream, iov, count);
        if (sent == -EAGAIN)
            return;
        if (sent < 0) {
            cl_stream_fail_write(stream, (int)-sent);
            return;
        }
        cl_chunks_consume(&stream->out, (uint64_t)sent);
        budget -= (uint64_t)sent < budget ? (uint64_t)sent : budget;
    }
    if (stream->out.size > 0)
        return;
    stream->owe_drained = true;
    cl_task_defer(stream->loop, &stream->task);
    cl_stream_shut_if_due(stream);
}

static bool wants_data(const cloister_stream *stream)
{
    return stream->state == CL_STREAM_OPEN && stream->reading && !stream->end_told;
}

void cl_stream_note_end(cloister_stream *stream, int result)
{
    stream->verdict = result == 0 ? CLOISTER_EOF : CLOISTER_ABORTED;
    stream->end_errno = -result;
}

/* Copied out, because what is put back may be dropped by the very call that is reading it. */
static size_t take_unread(cloister_stream *stream, char *buffer, size_t size)
{
    struct iovec iov;
    (void)cl_chunks_peek(&stream->unread, &iov, 1);
    size_t take = iov.iov_len < size ? iov.iov_len : size;
    memcpy(buffer, iov.iov_base, take);
    cl_chunks_consume(&stream->unread, take);
    return take;
}

ssize_t cl_stream_pull(cloister_stream *stream, void *buffer, size_t size, struct cl_raw_fds *ret_fds)
{
    if (ret_fds) {
        ret_fds->count = 0;
        ret_fds->lost = false;
    }
    if (stream->unread.size > 0)
        return (ssize_t)take_unread(stream, buffer, size);
    if (stream->verdict == 0) {
        ssize_t got = stream->port->receive(stream, buffer, size, ret_fds);
        if (got > 0 || got == -EAGAIN)
            return got;
        cl_stream_note_end(stream, (int)got);
    }
    return stream->verdict == CLOISTER_EOF ? 0 : -stream->end_errno;
}

static void tell_end(cloister_stream *stream)
{
    stream->end_told = true;
    stream->reader.end(stream->ctx, stream->verdict, stream->verdict == CLOISTER_ABORTED ? stream->end_errno : 0);
}

/* One piece to the reader. False when there will not be another one in this turn. */
static bool read_piece(cloister_stream *stream, char *buffer, size_t size, size_t *ret_got)
{
    struct cl_raw_fds received;
    bool put_back = stream->unread.size > 0;
    ssize_t got = cl_stream_pull(stream, buffer, size, &received);
    if (got == -EAGAIN)
        return false;
    if (got > 0 && received.lost) {
        stream->verdict = CLOISTER_FDS_LOST;
        stream->end_errno = EBADMSG;
        got = -EBADMSG;
    }
    if (got <= 0) {
        tell_end(stream);
        return false;
    }
    *ret_got = (size_t)got;
    stream->reader.data(stream->ctx, cl_sv(buffer, (uint64_t)got), received.fds, received.count);
    return put_back || (size_t)got == size;
}

static void read_turn(cloister_stream *stream)
{
    char buffer[CL_STREAM_PIECE];
    size_t budget = TURN_BYTES;
    while (wants_data(stream) && budget > 0) {
        size_t got = 0;
        if (!read_piece(stream, buffer, sizeof(buffer), &got))
            break;
        budget -= got < budget ? got : budget;
    }
}

/*
 * While nothing is read (the input has ended, or reading rests) only the hang-up tells a peer that has closed from one
 * that has shut its sending side and waits: for hours perhaps nothing is written that would fail. With our own side
 * shut both look alike.
 */
static bool wants_hangup(const cloister_stream *stream)
{
    bool duplex = stream->kind == CL_PORT_SOCKET || (stream->kind == CL_PORT_MADE && stream->made.write);
    return stream->state == CL_STREAM_OPEN && duplex && !wants_data(stream) && !stream->shut_asked &&
           !stream->write_errno && !cl_stream_held(stream, CL_SIDE_WRITE) && !cl_stream_held(stream, CL_SIDE_READ);
}

void cl_stream_settle(cloister_stream *stream)
{
    uint32_t events = 0;
    if (stream->state == CL_STREAM_FINISHING)
        cl_stream_finish_step(stream);
    if (stream->state == CL_STREAM_CLOSING)
        return;
    events |= stream->hold[CL_SIDE_READ].wanted | stream->hold[CL_SIDE_WRITE].wanted;
    if (wants_data(stream) || cl_stream_discards(stream))
        events |= CLOISTER_READABLE;
    if (wants_hangup(stream))
        events |= CLOISTER_HANGUP;
    if (stream->out.size > 0)
        events |= CLOISTER_WRITABLE;
    stream->port->want(stream, events);
}

static bool tell_holder(cloister_stream *stream, enum cl_side side, uint32_t events)
{
    struct cl_hold *hold = &stream->hold[side];
    if (!hold->ready)
        return false;
    if (hold->wanted && (events & (hold->wanted | CLOISTER_HANGUP)))
        hold->ready(hold->ctx, events);
    return true;
}

void cl_stream_events(cloister_stream *stream, uint32_t events)
{
    if (!tell_holder(stream, CL_SIDE_WRITE, events) && (events & (CLOISTER_WRITABLE | CLOISTER_HANGUP))) {
        uint64_t before = stream->sent;
        cl_stream_flush(stream);
        if (stream->sent > before)
            cl_stream_finish_moved(stream);
    }
    if (!tell_holder(stream, CL_SIDE_READ, events) && (events & (CLOISTER_READABLE | CLOISTER_HANGUP))) {
        if (stream->state == CL_STREAM_FINISHING)
            cl_stream_discard(stream);
        else if (wants_data(stream))
            read_turn(stream);
        else if ((events & CLOISTER_HANGUP) && wants_hangup(stream))
            cl_stream_fail_write(stream, EPIPE);
    }
    cl_stream_settle(stream);
}

static void on_task(void *ctx)
{
    cloister_stream *stream = ctx;
    if (stream->state == CL_STREAM_OPEN && stream->owe_gone && stream->reader.gone) {
        stream->owe_gone = false;
        stream->reader.gone(stream->ctx, stream->write_errno);
    }
    if (stream->state == CL_STREAM_OPEN && stream->owe_drained && stream->out.size == 0 && stream->reader.drained) {
        stream->owe_drained = false;
        stream->reader.drained(stream->ctx);
    }
    if (wants_data(stream) && (stream->unread.size > 0 || stream->verdict))
        read_turn(stream);
    if (stream->state != CL_STREAM_CLOSING && !stream->watch)
        cl_stream_events(stream, stream->port->holding(stream));
    cl_stream_settle(stream);
}

cloister_stream *cl_stream_new(struct cl_loop *loop, const struct cl_port *port, enum cl_port_kind kind)
{
    cloister_stream *stream = cl_new(cloister_stream);
    if (!stream)
        return NULL;
    stream->loop = loop;
    stream->port = port;
    stream->kind = kind;
    stream->fd = -1;
    cl_chunks_init(&stream->unread);
    cl_chunks_init(&stream->out);
    cl_task_init(&stream->task, on_task, stream);
    return stream;
}

int cl_stream_read_start(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx)
{
    if (stream->state != CL_STREAM_OPEN)
        return -EPIPE;
    if (cl_stream_held(stream, CL_SIDE_READ))
        return -EBUSY;
    if (!CLOISTER_HAS(reader, end) || !reader->data || !reader->end)
        return -EINVAL;
    struct cloister_stream_reader copy = {0};
    memcpy(&copy, reader, reader->struct_size < sizeof(copy) ? reader->struct_size : sizeof(copy));
    copy.struct_size = sizeof(copy);
    stream->reader = copy;
    stream->ctx = ctx;
    stream->reading = true;
    if (stream->unread.size > 0 || stream->verdict || stream->owe_gone || stream->owe_drained)
        cl_task_defer(stream->loop, &stream->task);
    cl_stream_settle(stream);
    return 0;
}

int cl_stream_read_stop(cloister_stream *stream)
{
    stream->reading = false;
    cl_stream_settle(stream);
    return 0;
}

int cl_stream_write(cloister_stream *stream, struct cloister_sv bytes)
{
    uint64_t ahead = 0;
    if (stream->state != CL_STREAM_OPEN || stream->write_errno || stream->shut_asked)
        return -EPIPE;
    if (cl_stream_held(stream, CL_SIDE_WRITE))
        return -EBUSY;
    if (bytes.size == 0)
        return 0;
    if (stream->out.size == 0) {
        struct iovec iov = {(void *)bytes.data, bytes.size};
        ssize_t sent = cl_stream_push(stream, &iov, 1);
        if (sent < 0 && sent != -EAGAIN) {
            cl_stream_fail_write(stream, (int)-sent);
            return -EPIPE;
        }
        ahead = sent > 0 ? (uint64_t)sent : 0;
    }
    int result = cl_chunks_append(&stream->out, cl_sv(bytes.data + ahead, bytes.size - ahead));
    if (result < 0 && ahead > 0)
        cl_stream_fail_write(stream, -result); /* half a message is out: nothing sensible can follow it */
    cl_stream_settle(stream);
    return result;
}

uint64_t cl_stream_queued(const cloister_stream *stream)
{
    return stream->out.size;
}

uint64_t cl_stream_sent(const cloister_stream *stream)
{
    return stream->sent;
}

int cl_stream_unread(cloister_stream *stream, struct cloister_sv bytes)
{
    if (stream->state != CL_STREAM_OPEN || stream->end_told)
        return -EPIPE;
    if (cl_stream_held(stream, CL_SIDE_READ))
        return -EBUSY;
    int result = cl_chunks_prepend(&stream->unread, bytes);
    if (result == 0 && stream->reading)
        cl_task_defer(stream->loop, &stream->task);
    return result;
}

int cl_stream_hold(cloister_stream *stream, enum cl_side side, void (*ready)(void *ctx, uint32_t events), void *ctx)
{
    if (stream->state != CL_STREAM_OPEN)
        return -EPIPE;
    if (cl_stream_held(stream, side))
        return -EBUSY;
    if (side == CL_SIDE_READ)
        stream->reading = false;
    stream->hold[side] = (struct cl_hold){ready, ctx, 0};
    cl_stream_settle(stream);
    return 0;
}

void cl_stream_want(cloister_stream *stream, enum cl_side side, uint32_t events)
{
    if (stream->hold[side].wanted == events && stream->watch)
        return;
    stream->hold[side].wanted = events;
    cl_stream_settle(stream);
}

void cl_stream_release(cloister_stream *stream, enum cl_side side)
{
    stream->hold[side] = (struct cl_hold){0};
    cl_stream_settle(stream);
}
