/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outflow.c - what a helper writes, as a stream. The end of its pipe is not the end of the stream: whether the archive
 * is whole is known when the helper has ended well, and until then the reader waits for one verdict or the other.
 */
#include <errno.h>
#include <fcntl.h>

#include "transfer.h"

enum { OPEN = 0, WHOLE = 1, BROKEN = 2 };

struct outflow {
    struct ns_transfer *transfer; /* a reference */
    cloister_stream *stream;
    cloister_watch *watch;
    int fd;
    int verdict;
};

static int64_t outflow_read(void *ctx, void *buffer, uint64_t size)
{
    struct outflow *flow = ctx;
    ssize_t n;

    do
        n = read(flow->fd, buffer, size);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN) {
        flow->transfer->host->loop->watch_update(flow->watch, CLOISTER_READABLE);
        return -EAGAIN;
    }
    if (n < 0)
        return -errno;
    return flow->verdict == WHOLE ? 0 : flow->verdict == BROKEN ? -EIO : -EAGAIN;
}

static void on_data(void *ctx, int32_t fd, uint32_t events)
{
    struct outflow *flow = ctx;

    flow->transfer->host->loop->watch_update(flow->watch, 0);
    flow->transfer->host->stream->ready(flow->stream, CLOISTER_READY_READ);
}

static void unwatched(void *ctx)
{
    struct outflow *flow = ctx;
    struct ns_transfer *transfer = flow->transfer;

    close(flow->fd);
    free(flow);
    ns_transfer_unref(transfer);
}

/* A reader that leaves early ends the helper too. */
static void outflow_close(void *ctx, uint32_t aborted)
{
    struct outflow *flow = ctx;
    struct ns_transfer *transfer = flow->transfer;

    transfer->own = NULL;
    if (flow->verdict == OPEN)
        ns_transfer_stop(transfer, CLOISTER_CANCELLED, "nobody reads any more");
    transfer->host->loop->watch_close(flow->watch, unwatched, flow);
}

static const struct cloister_stream_vtable vtable = {CLOISTER_INIT(struct cloister_stream_vtable), .read = outflow_read,
                                                     .close = outflow_close};

int ns_outflow_open(struct ns_transfer *transfer, int fd, cloister_stream **ret)
{
    const struct cloister_host *host = transfer->host;
    struct outflow *flow = calloc(1, sizeof(*flow));
    int rc = flow == NULL                         ? -ENOMEM
             : fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno
                                                  : host->loop->watch_open(host, fd, 0, on_data, flow, &flow->watch);

    if (rc < 0) {
        free(flow);
        close(fd);
        return rc;
    }
    flow->transfer = transfer;
    flow->fd = fd;
    ns_transfer_ref(transfer);
    rc = host->stream->make(host, &vtable, flow, &flow->stream);
    if (rc < 0) {
        host->loop->watch_close(flow->watch, unwatched, flow);
        return rc;
    }
    transfer->own = flow;
    *ret = flow->stream;
    return 0;
}

void ns_outflow_end(struct ns_transfer *transfer, bool whole)
{
    struct outflow *flow = transfer->own;

    if (flow == NULL || flow->verdict != OPEN)
        return;
    flow->verdict = whole ? WHOLE : BROKEN;
    transfer->host->stream->ready(flow->stream, CLOISTER_READY_READ);
}
