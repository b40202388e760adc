/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gate is a made stream that reads from another one and keeps its EOF back until somebody has judged the whole: the
 * end of an archive is good only when its helper has exited with 0. A source that aborts is not held back: that is a
 * verdict already.
 */
#include <errno.h>

#include "core/net/made.h"
#include "core/net/room.h"
#include "core/util/mem.h"

struct gate {
    cloister_stream *stream;
    cloister_stream *source;
    uint32_t verdict; /* 0: nobody has judged */
    int error;
};

static int64_t end_of(const struct gate *gate)
{
    if (gate->verdict == 0)
        return -EAGAIN;
    return gate->verdict == CLOISTER_EOF ? 0 : -gate->error;
}

static void on_source(void *ctx, uint32_t events)
{
    struct gate *gate = ctx;
    (void)events;
    cl_stream_want(gate->source, CL_SIDE_READ, 0);
    cl_stream_ready(gate->stream, CLOISTER_READY_READ);
}

static int64_t gate_read(void *ctx, void *buffer, uint64_t size)
{
    struct gate *gate = ctx;
    ssize_t got = cl_stream_pull(gate->source, buffer, size, NULL);
    if (got == -EAGAIN)
        cl_stream_want(gate->source, CL_SIDE_READ, CLOISTER_READABLE);
    return got == 0 ? end_of(gate) : got;
}

static uint32_t gate_move(void *ctx, int32_t fd, uint64_t size, uint64_t *ret_moved, int32_t *ret_errno)
{
    struct gate *gate = ctx;
    uint32_t moved = cl_made_move(gate->source, fd, size, ret_moved, ret_errno);
    if (moved == CLOISTER_MOVED_EMPTY)
        cl_stream_want(gate->source, CL_SIDE_READ, CLOISTER_READABLE);
    if (moved != CLOISTER_MOVED_EOF)
        return moved;
    int64_t end = end_of(gate);
    if (end == 0)
        return CLOISTER_MOVED_EOF;
    *ret_errno = end == -EAGAIN ? 0 : (int32_t)-end;
    return end == -EAGAIN ? CLOISTER_MOVED_EMPTY : CLOISTER_MOVED_ABORTED;
}

static void gate_info(const void *ctx, struct cloister_stream_info *ret)
{
    const struct gate *gate = ctx;
    (void)cl_stream_info(gate->source, ret);
}

static void gate_close(void *ctx, uint32_t aborted)
{
    struct gate *gate = ctx;
    cl_stream_release(gate->source, CL_SIDE_READ);
    if (aborted)
        cl_stream_abort(gate->source, NULL, NULL);
    else
        cl_stream_finish(gate->source, NULL, NULL);
    free(gate);
}

/* What has been put back at the source is the reader's first: then only reading knows the order. */
static struct cloister_stream_vtable vtable_for(const cloister_stream *source)
{
    struct cloister_stream_vtable vtable = {CLOISTER_INIT(struct cloister_stream_vtable), .read = gate_read,
                                            .close = gate_close};
    if (source->kind == CL_PORT_MADE && source->made.move && source->unread.size == 0 && !source->verdict)
        vtable.move = gate_move;
    if (source->kind == CL_PORT_MADE && source->made.info)
        vtable.info = gate_info;
    return vtable;
}

int cl_stream_gate(cloister_stream *source, cloister_stream **ret)
{
    struct gate *gate = cl_new(struct gate);
    if (!gate)
        return -ENOMEM;
    gate->source = source;
    int result = cl_stream_hold(source, CL_SIDE_READ, on_source, gate);
    if (result == 0) {
        const struct cloister_stream_vtable vtable = vtable_for(source);
        result = cl_stream_make(source->loop, &vtable, gate, &gate->stream);
        if (result < 0)
            cl_stream_release(source, CL_SIDE_READ);
    }
    if (result < 0) {
        free(gate);
        return result;
    }
    *ret = gate->stream;
    return 0;
}

void cl_stream_gate_end(cloister_stream *stream, uint32_t verdict, int32_t os_errno)
{
    struct gate *gate = stream->made_ctx;
    if (stream->made.read != gate_read || stream->state == CL_STREAM_CLOSING || gate->verdict)
        return;
    gate->verdict = verdict == CLOISTER_EOF ? CLOISTER_EOF : CLOISTER_ABORTED;
    gate->error = os_errno > 0 ? os_errno : EIO;
    cl_stream_ready(stream, CLOISTER_READY_READ);
}
