/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream is a descriptor with manners. Reading is handed out piece by piece, with a limit for each turn of the loop,
 * so that one busy peer cannot starve the others; writing goes straight to the kernel while that takes it and waits in
 * a queue of copies when it does not. Each end comes with a verdict, because a cut upload must never look like a
 * complete one. The caller is never called back from inside its own call: `gone` and `drained` come later, as a task of
 * the loop. A stream ends in one of two ways. `abort` closes at once. `finish` sends what is queued, half-closes, and
 * reads the peer's rest away before it closes: closing with unread input would make the kernel send a reset, and the
 * peer would lose the answer it was about to read. Both are bounded, so that no peer can keep a stream that nobody owns
 * any more.
 */
#include "core/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <assert.h>

#include "core/loop/task.h"
#include "core/net/chunks.h"
#include "core/net/raw.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/util/time.h"

#define PIECE_BYTES (64u << 10)  /* one read */
#define TURN_BYTES (256u << 10)  /* read or written in one turn of the loop */
#define DISCARD_BYTES (1u << 20) /* read away by finish */
#define DISCARD_NS (1 * CL_NS_PER_S)
#define STALL_NS (30 * CL_NS_PER_S) /* finish gives up on a peer that takes nothing for so long */
#define PIECES_MAX 16

enum stream_state { STREAM_OPEN, STREAM_FINISHING, STREAM_CLOSING };

struct closer {
    cloister_fn fn;
    void *ctx;
};

struct cloister_stream {
    struct cl_loop *loop;
    int fd;
    bool is_socket;
    enum stream_state state;
    cloister_watch *watch;
    struct cloister_stream_reader reader;
    void *ctx;

    bool reading;  /* wanted by the caller */
    bool end_told; /* no more data is handed out */
    bool at_end;   /* the kernel has no more */
    struct cl_chunks unread;

    struct cl_chunks out;
    uint64_t sent;
    int write_errno; /* the write side has failed */
    bool shut_asked;
    bool shut_done;
    bool owe_gone;
    bool owe_drained;
    struct cl_task task;

    cloister_timer *timer; /* of finish */
    uint64_t discarded;
    unsigned handles;
    struct closer closers[2]; /* of finish, and of an abort that hastened it */
};

static void on_part_closed(void *ctx)
{
    cloister_stream *stream = ctx;
    if (--stream->handles > 0)
        return;
    struct closer first = stream->closers[0], second = stream->closers[1];
    free(stream);
    if (first.fn)
        first.fn(first.ctx);
    if (second.fn)
        second.fn(second.ctx);
}

static void close_now(cloister_stream *stream)
{
    stream->state = STREAM_CLOSING;
    cl_task_revoke(stream->loop, &stream->task);
    cl_chunks_clear(&stream->out);
    cl_chunks_clear(&stream->unread);
    stream->handles = stream->timer ? 2 : 1;
    cl_watch_close(stream->watch, on_part_closed, stream);
    if (stream->timer)
        cl_timer_close(stream->timer, on_part_closed, stream);
    cl_closep(&stream->fd);
}

static void fail_write(cloister_stream *stream, int error)
{
    stream->write_errno = error;
    cl_chunks_clear(&stream->out);
    stream->owe_drained = false;
    stream->owe_gone = true;
    cl_task_defer(stream->loop, &stream->task);
}

static void shut_if_due(cloister_stream *stream)
{
    if (!stream->shut_asked || stream->shut_done || stream->out.size > 0)
        return;
    stream->shut_done = true;
    if (stream->is_socket)
        (void)shutdown(stream->fd, SHUT_WR);
}

static void flush(cloister_stream *stream)
{
    uint64_t budget = TURN_BYTES;
    if (stream->out.size == 0)
        return;
    while (stream->out.size > 0 && budget > 0) {
        struct iovec iov[PIECES_MAX];
        int count = cl_chunks_peek(&stream->out, iov, PIECES_MAX);
        ssize_t sent = cl_raw_send(stream->fd, stream->is_socket, iov, count);
        if (sent == -EAGAIN)
            return;
        if (sent < 0) {
            fail_write(stream, (int)-sent);
            return;
        }
        cl_chunks_consume(&stream->out, (uint64_t)sent);
        stream->sent += (uint64_t)sent;
        budget -= (uint64_t)sent < budget ? (uint64_t)sent : budget;
    }
    if (stream->out.size > 0)
        return;
    stream->owe_drained = true;
    cl_task_defer(stream->loop, &stream->task);
    shut_if_due(stream);
}

static bool wants_data(const cloister_stream *stream)
{
    return stream->state == STREAM_OPEN && stream->reading && !stream->end_told;
}

static void tell_end(cloister_stream *stream, uint32_t verdict, int error)
{
    stream->end_told = true;
    stream->reader.end(stream->ctx, verdict, error);
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

/*
 * While nothing is read (the input has ended, or reading rests) only the kernel's hang-up tells a peer that has closed
 * from one that has shut its sending side and waits: for hours perhaps nothing is written that would fail. With our own
 * side shut both look alike.
 */
static bool wants_hangup(const cloister_stream *stream)
{
    return stream->state == STREAM_OPEN && stream->is_socket && !wants_data(stream) && !stream->shut_asked &&
           !stream->write_errno;
}

/* One piece from the kernel to the reader. False when there will not be another one in this turn. */
static bool read_piece(cloister_stream *stream, char *buffer, size_t size, size_t *ret_got)
{
    struct cl_raw_fds received;
    ssize_t got = cl_raw_receive(stream->fd, stream->is_socket, buffer, size, &received);
    if (got == -EAGAIN)
        return false;
    if (got <= 0) {
        stream->at_end = true;
        tell_end(stream, got == 0 ? CLOISTER_EOF : CLOISTER_ABORTED, (int)-got);
        return false;
    }
    if (!stream->is_socket)
        received.count = 0;
    else if (received.lost) {
        tell_end(stream, CLOISTER_FDS_LOST, 0);
        return false;
    }
    *ret_got = (size_t)got;
    stream->reader.data(stream->ctx, cl_sv(buffer, (uint64_t)got), received.fds, received.count);
    return (size_t)got == size;
}

static void read_turn(cloister_stream *stream)
{
    char buffer[PIECE_BYTES];
    size_t budget = TURN_BYTES;
    while (wants_data(stream) && budget > 0) {
        size_t got = 0;
        if (stream->unread.size > 0) {
            got = take_unread(stream, buffer, sizeof(buffer));
            stream->reader.data(stream->ctx, cl_sv(buffer, got), NULL, 0);
        } else if (!read_piece(stream, buffer, sizeof(buffer), &got)) {
            break;
        }
        budget -= got < budget ? got : budget;
    }
}

static void discard_turn(cloister_stream *stream)
{
    char buffer[PIECE_BYTES];
    while (!stream->at_end && stream->discarded < DISCARD_BYTES) {
        ssize_t got = cl_raw_receive(stream->fd, stream->is_socket, buffer, sizeof(buffer), NULL);
        if (got == -EAGAIN)
            return;
        if (got <= 0)
            stream->at_end = true;
        else
            stream->discarded += (uint64_t)got;
    }
}

/* Where finish stands: flushing until the queue is empty, then discarding until the peer has ended too. */
static void finish_step(cloister_stream *stream)
{
    bool failed = stream->write_errno != 0;
    if (!failed && stream->out.size > 0)
        return;
    if (failed || !stream->is_socket || stream->at_end || stream->discarded >= DISCARD_BYTES) {
        close_now(stream); /* the descriptor's close is the FIN if shutdown has not been */
        return;
    }
    if (stream->shut_done)
        return;
    stream->shut_asked = true;
    shut_if_due(stream);
    (void)cl_timer_set(stream->timer, cl_mono_ns() + DISCARD_NS, 0);
}

/* After everything that may have changed what we wait for. */
static void settle(cloister_stream *stream)
{
    uint32_t events = 0;
    if (stream->state == STREAM_FINISHING)
        finish_step(stream);
    if (stream->state == STREAM_CLOSING)
        return;
    if (wants_data(stream) ||
        (stream->state == STREAM_FINISHING && !stream->at_end && stream->discarded < DISCARD_BYTES))
        events |= CLOISTER_READABLE;
    if (wants_hangup(stream))
        events |= CLOISTER_HANGUP;
    if (stream->out.size > 0)
        events |= CLOISTER_WRITABLE;
    (void)cl_watch_update(stream->watch, events);
}

static void on_ready(void *ctx, int32_t fd, uint32_t events)
{
    cloister_stream *stream = ctx;
    (void)fd;
    if (events & (CLOISTER_WRITABLE | CLOISTER_HANGUP)) {
        uint64_t before = stream->sent;
        flush(stream);
        if (stream->state == STREAM_FINISHING && stream->sent > before && !stream->shut_done)
            (void)cl_timer_set(stream->timer, cl_mono_ns() + STALL_NS, 0);
    }
    if (events & (CLOISTER_READABLE | CLOISTER_HANGUP)) {
        if (stream->state == STREAM_FINISHING)
            discard_turn(stream);
        else if (wants_data(stream))
            read_turn(stream);
        else if ((events & CLOISTER_HANGUP) && wants_hangup(stream))
            fail_write(stream, EPIPE);
    }
    settle(stream);
}

static void on_task(void *ctx)
{
    cloister_stream *stream = ctx;
    if (stream->state == STREAM_OPEN && stream->owe_gone && stream->reader.gone) {
        stream->owe_gone = false;
        stream->reader.gone(stream->ctx, stream->write_errno);
    }
    if (stream->state == STREAM_OPEN && stream->owe_drained && stream->out.size == 0 && stream->reader.drained) {
        stream->owe_drained = false;
        stream->reader.drained(stream->ctx);
    }
    if (wants_data(stream) && stream->unread.size > 0)
        read_turn(stream);
    settle(stream);
}

int cl_stream_from_fd(struct cl_loop *loop, int fd, cloister_stream **ret)
{
    CL_CLOSE int owned = fd;
    CL_FREE cloister_stream *stream = cl_new(cloister_stream);
    struct stat status;
    if (!stream)
        return -ENOMEM;
    if (fstat(owned, &status) < 0 || fcntl(owned, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    int result = cl_fd_set_nonblock(owned);
    if (result < 0)
        return result;
    stream->loop = loop;
    stream->is_socket = S_ISSOCK(status.st_mode);
    cl_chunks_init(&stream->unread);
    cl_chunks_init(&stream->out);
    cl_task_init(&stream->task, on_task, stream);
    result = cl_watch_open(loop, owned, 0, on_ready, stream, &stream->watch);
    if (result < 0)
        return result;
    stream->fd = cl_steal_fd(&owned);
    *ret = cl_steal_ptr(&stream);
    return 0;
}

int cl_stream_read_start(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx)
{
    if (stream->state != STREAM_OPEN)
        return -EPIPE;
    if (!CLOISTER_HAS(reader, end) || !reader->data || !reader->end)
        return -EINVAL;
    struct cloister_stream_reader copy = {0};
    memcpy(&copy, reader, reader->struct_size < sizeof(copy) ? reader->struct_size : sizeof(copy));
    copy.struct_size = sizeof(copy);
    stream->reader = copy;
    stream->ctx = ctx;
    stream->reading = true;
    if (stream->unread.size > 0 || stream->owe_gone || stream->owe_drained)
        cl_task_defer(stream->loop, &stream->task);
    settle(stream);
    return 0;
}

int cl_stream_read_stop(cloister_stream *stream)
{
    stream->reading = false;
    settle(stream);
    return 0;
}

/* Sends what the kernel takes at once; nothing may be waiting before it. Returns how much, negative errno if the peer
 * is gone. */
static ssize_t send_ahead(cloister_stream *stream, struct cloister_sv bytes)
{
    struct iovec iov = {(void *)bytes.data, bytes.size};
    ssize_t sent = cl_raw_send(stream->fd, stream->is_socket, &iov, 1);
    if (sent == -EAGAIN)
        return 0;
    if (sent > 0)
        stream->sent += (uint64_t)sent;
    return sent;
}

int cl_stream_write(cloister_stream *stream, struct cloister_sv bytes)
{
    uint64_t ahead = 0;
    if (stream->state != STREAM_OPEN || stream->write_errno || stream->shut_asked)
        return -EPIPE;
    if (bytes.size == 0)
        return 0;
    if (stream->out.size == 0) {
        ssize_t sent = send_ahead(stream, bytes);
        if (sent < 0) {
            fail_write(stream, (int)-sent);
            return -EPIPE;
        }
        ahead = (uint64_t)sent;
    }
    int result = cl_chunks_append(&stream->out, cl_sv(bytes.data + ahead, bytes.size - ahead));
    if (result < 0 && ahead > 0)
        fail_write(stream, -result); /* half a message is out: nothing sensible can follow it */
    settle(stream);
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

int cl_stream_shut(cloister_stream *stream, uint32_t sides)
{
    if (sides & ~(CLOISTER_SHUT_RD | CLOISTER_SHUT_WR))
        return -EINVAL;
    if (stream->state != STREAM_OPEN)
        return -EPIPE;
    if (!stream->is_socket)
        return -ENOTSOCK;
    if (sides & CLOISTER_SHUT_RD) {
        stream->end_told = true;
        cl_chunks_clear(&stream->unread);
        (void)shutdown(stream->fd, SHUT_RD);
    }
    if (sides & CLOISTER_SHUT_WR) {
        stream->shut_asked = true;
        shut_if_due(stream);
    }
    settle(stream);
    return 0;
}

static void on_finish_timer(void *ctx)
{
    close_now(ctx);
}

void cl_stream_finish(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    assert(stream->state == STREAM_OPEN);
    stream->state = STREAM_FINISHING;
    stream->closers[0] = (struct closer){closed, ctx};
    cl_chunks_clear(&stream->unread);
    /* Without a timer the wait would have no bound: then what the kernel takes at once has to do. */
    if (cl_timer_open(stream->loop, on_finish_timer, stream, &stream->timer) < 0) {
        flush(stream);
        close_now(stream);
        return;
    }
    (void)cl_timer_set(stream->timer, cl_mono_ns() + STALL_NS, 0);
    settle(stream);
}

void cl_stream_abort(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    assert(!stream->closers[1].fn);
    stream->closers[stream->state == STREAM_OPEN ? 0 : 1] = (struct closer){closed, ctx};
    if (stream->state != STREAM_CLOSING)
        close_now(stream);
}

int cl_stream_unread(cloister_stream *stream, struct cloister_sv bytes)
{
    if (stream->state != STREAM_OPEN || stream->end_told)
        return -EPIPE;
    int result = cl_chunks_prepend(&stream->unread, bytes);
    if (result == 0 && stream->reading)
        cl_task_defer(stream->loop, &stream->task);
    return result;
}
