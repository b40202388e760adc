/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port that is a vtable of its maker's. No kernel tells when to try again: a call that said -EAGAIN is repeated
 * after `ready`, always as a task of the loop, so the maker is never called from inside a call of its own.
 */
#include "core/net/made.h"

#include <errno.h>
#include <string.h>

#include "core/net/room.h"
#include "core/util/mem.h"

#define EVERYTHING (CLOISTER_READABLE | CLOISTER_WRITABLE | CLOISTER_HANGUP)

/* The mark is taken away before the call and not after: a `ready` that comes during the call must not be forgotten. */
static void try_side(cloister_stream *stream, uint32_t event)
{
    stream->ready &= ~event;
}

static void tried_side(cloister_stream *stream, uint32_t event, int64_t result)
{
    if (result != -EAGAIN)
        stream->ready |= event;
}

static ssize_t receive(cloister_stream *stream, void *buffer, size_t size, struct cl_raw_fds *ret_fds)
{
    (void)ret_fds;
    if (!stream->made.read)
        return 0;
    try_side(stream, CLOISTER_READABLE);
    int64_t got = stream->made.read(stream->made_ctx, buffer, size);
    tried_side(stream, CLOISTER_READABLE, got);
    return got > (int64_t)size ? -EPROTO : (ssize_t)got;
}

static ssize_t write_one(cloister_stream *stream, const struct iovec *piece)
{
    try_side(stream, CLOISTER_WRITABLE);
    int64_t taken = stream->made.write(stream->made_ctx, (struct cloister_sv){piece->iov_base, piece->iov_len});
    if (taken == 0)
        taken = -EAGAIN;
    tried_side(stream, CLOISTER_WRITABLE, taken);
    return taken > (int64_t)piece->iov_len ? -EPROTO : (ssize_t)taken;
}

static ssize_t send_out(cloister_stream *stream, const struct iovec *iov, int count)
{
    ssize_t total = 0;
    if (!stream->made.write)
        return -EPIPE;
    for (int i = 0; i < count; i++) {
        ssize_t taken = write_one(stream, &iov[i]);
        if (taken < 0)
            return total > 0 ? total : taken;
        total += taken;
        if ((size_t)taken < iov[i].iov_len)
            break;
    }
    return total;
}

static void shut(cloister_stream *stream, uint32_t sides)
{
    if (stream->made.shut)
        (void)stream->made.shut(stream->made_ctx, sides);
}

/* A sink that has gone without anybody writing: asked by writing nothing. */
static bool sink_gone(cloister_stream *stream)
{
    if (!stream->made.write)
        return false;
    int64_t taken = stream->made.write(stream->made_ctx, (struct cloister_sv){"", 0});
    return taken < 0 && taken != -EAGAIN;
}

static void want(cloister_stream *stream, uint32_t events)
{
    stream->wanted = events;
    if (events & stream->ready)
        cl_task_defer(stream->loop, &stream->task);
}

static uint32_t holding(cloister_stream *stream)
{
    if ((stream->wanted & stream->ready & CLOISTER_HANGUP) && !sink_gone(stream))
        stream->ready &= ~CLOISTER_HANGUP;
    return stream->wanted & stream->ready;
}

static void close_port(cloister_stream *stream)
{
    (void)stream; /* `gone` does it, from a stack of its own */
}

static void gone(cloister_stream *stream)
{
    if (stream->made.close)
        stream->made.close(stream->made_ctx, stream->aborted);
}

static const struct cl_port made_port = {
    .receive = receive,
    .send = send_out,
    .shut = shut,
    .want = want,
    .holding = holding,
    .close = close_port,
    .gone = gone,
};

int cl_stream_make(struct cl_loop *loop, const struct cloister_stream_vtable *vtable, void *ctx, cloister_stream **ret)
{
    struct cloister_stream_vtable copy = {0};
    if (!vtable || !CLOISTER_HAS(vtable, reserved) || vtable->reserved)
        return -EINVAL;
    memcpy(&copy, vtable, vtable->struct_size < sizeof(copy) ? vtable->struct_size : sizeof(copy));
    cloister_stream *stream = cl_stream_new(loop, &made_port, CL_PORT_MADE);
    if (!stream)
        return -ENOMEM;
    stream->made = copy;
    stream->made_ctx = ctx;
    stream->ready = EVERYTHING;
    *ret = stream;
    return 0;
}

void cl_stream_ready(cloister_stream *stream, uint32_t what)
{
    if (stream->kind != CL_PORT_MADE || stream->state == CL_STREAM_CLOSING)
        return;
    if (what & CLOISTER_READY_READ)
        stream->ready |= CLOISTER_READABLE;
    if (what & CLOISTER_READY_WRITE)
        stream->ready |= CLOISTER_WRITABLE | CLOISTER_HANGUP;
    if (stream->wanted & stream->ready)
        cl_task_defer(stream->loop, &stream->task);
}

uint32_t cl_made_move(cloister_stream *stream, int fd, uint64_t size, uint64_t *ret_moved, int32_t *ret_errno)
{
    *ret_moved = 0;
    *ret_errno = 0;
    try_side(stream, CLOISTER_READABLE);
    uint32_t moved = stream->made.move(stream->made_ctx, fd, size, ret_moved, ret_errno);
    tried_side(stream, CLOISTER_READABLE, moved == CLOISTER_MOVED_EMPTY ? -EAGAIN : 0);
    if (*ret_moved <= size)
        return moved;
    *ret_moved = size;
    *ret_errno = EPROTO;
    return CLOISTER_MOVED_ABORTED;
}

int cl_stream_info(const cloister_stream *stream, struct cloister_stream_info *ret)
{
    struct cloister_stream_info info = {CLOISTER_INIT(struct cloister_stream_info)};
    if (stream->kind != CL_PORT_MADE || !stream->made.info)
        return -EOPNOTSUPP;
    if (ret->struct_size < offsetof(struct cloister_stream_info, position))
        return -EINVAL;
    stream->made.info(stream->made_ctx, &info);
    info.position -= stream->unread.size < info.position ? stream->unread.size : info.position;
    info.struct_size = ret->struct_size;
    memcpy(ret, &info, ret->struct_size < sizeof(info) ? ret->struct_size : sizeof(info));
    return 0;
}
