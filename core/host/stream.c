/* SPDX-License-Identifier: Apache-2.0 */
/* The streams' table. */
#include "core/net/stream.h"

#include "core/host/tables.h"

static int32_t from_fd(const struct cloister_host *host, int32_t fd, cloister_stream **ret)
{
    return cl_stream_from_fd(cl_host_of(host)->loop, fd, ret);
}

static int32_t pair(const struct cloister_host *host, const struct cloister_pair_args *args, cloister_stream **ret_a,
                    cloister_stream **ret_b)
{
    return cl_stream_pair(cl_host_of(host)->loop, args, ret_a, ret_b);
}

static int32_t make(const struct cloister_host *host, const struct cloister_stream_vtable *vtable, void *ctx,
                    cloister_stream **ret)
{
    return cl_stream_make(cl_host_of(host)->loop, vtable, ctx, ret);
}

static int32_t relay(const struct cloister_host *host, const struct cloister_relay_args *args, cloister_op *ret)
{
    struct cl_host *own = cl_host_of(host);
    return cl_relay_start(&own->relays, own->loop, args, ret);
}

static void relay_cancel(const struct cloister_host *host, cloister_op op)
{
    cl_relay_cancel(&cl_host_of(host)->relays, op);
}

const struct cloister_stream_api cl_host_stream = {
    CLOISTER_INIT(struct cloister_stream_api),
    .read_start = cl_stream_read_start,
    .read_stop = cl_stream_read_stop,
    .write = cl_stream_write,
    .queued = cl_stream_queued,
    .sent = cl_stream_sent,
    .shut = cl_stream_shut,
    .finish = cl_stream_finish,
    .abort = cl_stream_abort,
    .unread = cl_stream_unread,
    .from_fd = from_fd,
    .take_fd = cl_stream_take_fd,
    .linger = cl_stream_linger,
    .pair = pair,
    .gate = cl_stream_gate,
    .make = make,
    .relay = relay,
    .relay_cancel = relay_cancel,
    .ready = cl_stream_ready,
    .gate_end = cl_stream_gate_end,
    .info = cl_stream_info,
};
