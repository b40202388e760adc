/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways a stream ends. `abort` closes at once. `finish` sends what is queued, half-closes, and reads the peer's rest
 * away before it closes: closing with unread input would make the kernel send a reset, and the peer would lose the
 * answer it was about to read. Both are bounded, so that no peer can keep a stream that nobody owns any more; `linger`
 * is a finish that waits for the peer's end however long that takes. `take_fd` leaves the descriptor alone. Closing is
 * asynchronous in each case, because a watch is, and because the maker of a stream must not be called back inside a
 * call of its own.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/net/room.h"
#include "core/util/fd.h"
#include "core/util/time.h"

#define TURN_BYTES (256u << 10)  /* read away in one turn of the loop */
#define DISCARD_BYTES (1u << 20) /* read away by finish */
#define DISCARD_NS (1 * CL_NS_PER_S)
#define STALL_NS (30 * CL_NS_PER_S) /* finish gives up on a peer that takes nothing for so long */

void cl_stream_part_closed(void *ctx)
{
    cloister_stream *stream = ctx;
    if (--stream->parts > 0)
        return;
    struct cl_closer first = stream->closers[0], second = stream->closers[1];
    if (stream->port->gone)
        stream->port->gone(stream);
    free(stream);
    if (first.fn)
        first.fn(first.ctx);
    if (second.fn)
        second.fn(second.ctx);
}

static void close_now(cloister_stream *stream)
{
    stream->state = CL_STREAM_CLOSING;
    cl_chunks_clear(&stream->out);
    cl_chunks_clear(&stream->unread);
    stream->parts = 1;
    cl_task_revoke(stream->loop, &stream->task);
    cl_task_init(&stream->task, cl_stream_part_closed, stream);
    cl_task_defer(stream->loop, &stream->task);
    if (stream->timer) {
        stream->parts++;
        cl_timer_close(stream->timer, cl_stream_part_closed, stream);
    }
    stream->port->close(stream);
}

void cl_stream_shut_if_due(cloister_stream *stream)
{
    if (!stream->shut_asked || stream->shut_done || stream->out.size > 0)
        return;
    stream->shut_done = true;
    stream->port->shut(stream, CLOISTER_SHUT_WR);
}

void cl_stream_shut_write(cloister_stream *stream)
{
    stream->shut_asked = true;
    cl_stream_shut_if_due(stream);
}

int cl_stream_shut(cloister_stream *stream, uint32_t sides)
{
    if (sides & ~(CLOISTER_SHUT_RD | CLOISTER_SHUT_WR))
        return -EINVAL;
    if (stream->state != CL_STREAM_OPEN)
        return -EPIPE;
    if (stream->kind != CL_PORT_SOCKET && stream->kind != CL_PORT_MADE)
        return -ENOTSOCK;
    if (((sides & CLOISTER_SHUT_RD) && cl_stream_held(stream, CL_SIDE_READ)) ||
        ((sides & CLOISTER_SHUT_WR) && cl_stream_held(stream, CL_SIDE_WRITE)))
        return -EBUSY;
    if (sides & CLOISTER_SHUT_RD) {
        stream->end_told = true;
        stream->verdict = stream->verdict ? stream->verdict : CLOISTER_EOF;
        cl_chunks_clear(&stream->unread);
        stream->port->shut(stream, CLOISTER_SHUT_RD);
    }
    if (sides & CLOISTER_SHUT_WR)
        cl_stream_shut_write(stream);
    cl_stream_settle(stream);
    return 0;
}

static bool discards_on(const cloister_stream *stream)
{
    if (stream->verdict == CLOISTER_EOF || stream->verdict == CLOISTER_ABORTED)
        return false;
    return stream->lingers || (stream->kind == CL_PORT_SOCKET && stream->discarded < DISCARD_BYTES);
}

bool cl_stream_discards(const cloister_stream *stream)
{
    return stream->state == CL_STREAM_FINISHING && discards_on(stream);
}

void cl_stream_discard(cloister_stream *stream)
{
    char buffer[CL_STREAM_PIECE];
    size_t budget = TURN_BYTES;
    while (discards_on(stream) && budget > 0) {
        ssize_t got = stream->port->receive(stream, buffer, sizeof(buffer), NULL);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            cl_stream_note_end(stream, (int)got);
            return;
        }
        stream->discarded += (uint64_t)got;
        budget -= (size_t)got < budget ? (size_t)got : budget;
    }
}

/* Where finish stands: flushing until the queue is empty, then discarding until the peer has ended too. */
void cl_stream_finish_step(cloister_stream *stream)
{
    bool failed = stream->write_errno != 0;
    if (!failed && stream->out.size > 0)
        return;
    stream->aborted |= failed;
    if (failed || !discards_on(stream)) {
        close_now(stream); /* its close is the FIN if shutdown has not been */
        return;
    }
    if (stream->shut_done)
        return;
    cl_stream_shut_write(stream);
    if (stream->lingers)
        (void)cl_timer_stop(stream->timer);
    else
        (void)cl_timer_set(stream->timer, cl_mono_ns() + DISCARD_NS, 0);
}

void cl_stream_finish_moved(cloister_stream *stream)
{
    if (stream->state == CL_STREAM_FINISHING && !stream->shut_done)
        (void)cl_timer_set(stream->timer, cl_mono_ns() + STALL_NS, 0);
}

static void on_finish_timer(void *ctx)
{
    cloister_stream *stream = ctx;
    stream->aborted = stream->out.size > 0;
    close_now(stream);
}

static void begin_end(cloister_stream *stream, bool lingers, cloister_fn closed, void *ctx)
{
    assert(stream->state == CL_STREAM_OPEN);
    assert(!cl_stream_held(stream, CL_SIDE_READ) && !cl_stream_held(stream, CL_SIDE_WRITE));
    stream->state = CL_STREAM_FINISHING;
    stream->lingers = lingers;
    stream->closers[0] = (struct cl_closer){closed, ctx};
    cl_chunks_clear(&stream->unread);
    /* Without a timer the wait would have no bound: then what the kernel takes at once has to do. */
    if (cl_timer_open(stream->loop, on_finish_timer, stream, &stream->timer) < 0) {
        cl_stream_flush(stream);
        stream->aborted = stream->out.size > 0;
        close_now(stream);
        return;
    }
    (void)cl_timer_set(stream->timer, cl_mono_ns() + STALL_NS, 0);
    cl_stream_settle(stream);
}

void cl_stream_finish(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    begin_end(stream, false, closed, ctx);
}

void cl_stream_linger(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    begin_end(stream, true, closed, ctx);
}

void cl_stream_abort(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    assert(!stream->closers[1].fn);
    assert(!cl_stream_held(stream, CL_SIDE_READ) && !cl_stream_held(stream, CL_SIDE_WRITE));
    stream->closers[stream->state == CL_STREAM_OPEN ? 0 : 1] = (struct cl_closer){closed, ctx};
    if (stream->state == CL_STREAM_CLOSING)
        return;
    stream->aborted = true;
    close_now(stream);
}

int cl_stream_take_fd(cloister_stream *stream, int *ret_fd)
{
    if (stream->kind == CL_PORT_MADE)
        return -EOPNOTSUPP;
    if (stream->state != CL_STREAM_OPEN)
        return -EPIPE;
    if (stream->out.size > 0 || stream->unread.size > 0 || cl_stream_held(stream, CL_SIDE_READ) ||
        cl_stream_held(stream, CL_SIDE_WRITE))
        return -EBUSY;
    *ret_fd = cl_steal_fd(&stream->fd);
    close_now(stream);
    return 0;
}
