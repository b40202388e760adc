/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

struct cloister_stream {
    struct cloister_stream_vtable vtable; /* of a made one */
    void *ctx;
    int fd; /* -1: made */
};

static int32_t stream_new(int fd, cloister_stream **ret)
{
    cloister_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    stream->fd = fd;
    *ret = stream;
    return 0;
}

static int32_t make(const struct cloister_host *host, const struct cloister_stream_vtable *vtable, void *ctx,
                    cloister_stream **ret)
{
    uint32_t size = vtable->struct_size;
    (void)host;
    int r = stream_new(-1, ret);
    if (r < 0)
        return r;
    memcpy(&(*ret)->vtable, vtable, size < sizeof(*vtable) ? size : sizeof(*vtable));
    (*ret)->ctx = ctx;
    return 0;
}

static int32_t from_fd(const struct cloister_host *host, int32_t fd, cloister_stream **ret)
{
    (void)host;
    int flags = fcntl(fd, F_GETFL);
    int r = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : stream_new(fd, ret);
    if (r < 0)
        (void)close(fd);
    return r;
}

/* The suite asks again by itself, see `later`. */
static void ready(cloister_stream *stream, uint32_t what)
{
    (void)stream;
    (void)what;
}

static void stream_end(cloister_stream *stream, uint32_t aborted)
{
    if (stream->fd >= 0)
        (void)close(stream->fd);
    else if (stream->vtable.close)
        stream->vtable.close(stream->ctx, aborted);
    free(stream);
}

static void stream_abort(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    stream_end(stream, 1);
    if (closed && kit_loop_api.post(NULL, closed, ctx) < 0)
        abort(); /* the kit itself is out of memory: no verdict on a plugin */
}

static void stream_finish(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    stream_end(stream, 0);
    if (closed && kit_loop_api.post(NULL, closed, ctx) < 0)
        abort();
}

void kit_stream_close(cloister_stream *stream)
{
    stream_end(stream, 1);
    kit_loop_turns(0);
}

static int64_t read_once(cloister_stream *stream, char *buffer, size_t size)
{
    if (stream->fd < 0)
        return stream->vtable.read ? stream->vtable.read(stream->ctx, buffer, size) : 0;
    ssize_t n = read(stream->fd, buffer, size);
    return n < 0 ? -errno : n;
}

static int64_t write_once(cloister_stream *stream, struct cloister_sv bytes)
{
    if (stream->fd < 0)
        return stream->vtable.write ? stream->vtable.write(stream->ctx, bytes) : -EPIPE;
    ssize_t n = write(stream->fd, bytes.data, bytes.size);
    return n < 0 ? -errno : n;
}

static bool later(uint64_t end)
{
    kit_loop_turns(1);
    return kit_now_ns(CLOCK_MONOTONIC) < end;
}

/* One relay at a time is enough for a suite that waits for each operation; it is moved on by a timer. */
static struct relay {
    struct cloister_relay_args args;
    cloister_op op; /* 0: none is under way */
    cloister_timer *timer;
    char bytes[4096];
    size_t at, size; /* of bytes that the sink has not taken yet */
    struct cloister_relay_result result;
} relay;

static void relay_done(void *ctx)
{
    struct relay ended = relay;
    (void)ctx;
    relay.op = 0;
    ended.args.done(ended.args.ctx, ended.op, &ended.result);
}

static void relay_end(uint32_t end, int64_t error)
{
    relay.result.end = end;
    relay.result.os_errno = error < 0 ? (int32_t)-error : 0;
    if (end == CLOISTER_RELAY_EOF && !(relay.args.flags & CLOISTER_RELAY_HOLD) && relay.args.dst->fd >= 0)
        (void)shutdown(relay.args.dst->fd, SHUT_WR);
    kit_loop_api.timer_close(relay.timer, relay_done, NULL);
    relay.timer = NULL;
}

static void relay_move(void *ctx)
{
    (void)ctx;
    for (;;) {
        int64_t n = relay.at == relay.size ? read_once(relay.args.src, relay.bytes, sizeof(relay.bytes)) : 1;
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            relay_end(n == 0 ? CLOISTER_RELAY_EOF : CLOISTER_RELAY_SRC_ABORTED, n);
            return;
        }
        if (relay.at == relay.size) {
            relay.at = 0;
            relay.size = (size_t)n;
        }
        n = write_once(relay.args.dst, (struct cloister_sv){relay.bytes + relay.at, relay.size - relay.at});
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            relay_end(CLOISTER_RELAY_DST_GONE, n);
            return;
        }
        relay.at += (size_t)n;
        relay.result.bytes += (uint64_t)n;
    }
}

static int32_t relay_begin(const struct cloister_host *host, const struct cloister_relay_args *args, cloister_op *ret)
{
    static cloister_op last = 1ull << 60;
    if (relay.op || args->limit)
        return -EBUSY;
    memset(&relay, 0, sizeof(relay));
    relay.result.struct_size = sizeof(relay.result);
    relay.args = *args;
    int r = kit_loop_api.timer_open(host, relay_move, NULL, &relay.timer);
    if (r < 0)
        return r;
    *ret = relay.op = ++last;
    return kit_loop_api.timer_set(relay.timer, 1, 1000000);
}

static void relay_cancel(const struct cloister_host *host, cloister_op op)
{
    (void)host;
    if (op == relay.op && relay.timer)
        relay_end(CLOISTER_RELAY_CANCELLED, 0);
}

const struct cloister_stream_api kit_stream_api = {
    CLOISTER_INIT(struct cloister_stream_api),
    .finish = stream_finish,
    .abort = stream_abort,
    .from_fd = from_fd,
    .make = make,
    .relay = relay_begin,
    .relay_cancel = relay_cancel,
    .ready = ready,
};

size_t kit_stream_read(cloister_stream *stream, char *buffer, size_t size, unsigned seconds, uint32_t *ret_verdict)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + seconds * 1000000000ull;
    size_t got = 0;
    *ret_verdict = 0;
    while (got < size) {
        int64_t n = read_once(stream, buffer + got, size - got);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || n != -EAGAIN) {
            *ret_verdict = n == 0 ? CLOISTER_EOF : CLOISTER_ABORTED;
            break;
        } else if (!later(end))
            break;
    }
    return got;
}

bool kit_stream_write(cloister_stream *stream, struct cloister_sv bytes, unsigned seconds)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + seconds * 1000000000ull;
    while (bytes.size) {
        int64_t n = write_once(stream, bytes);
        if (n > 0)
            bytes = (struct cloister_sv){bytes.data + n, bytes.size - (uint64_t)n};
        else if (n != -EAGAIN || !later(end))
            return false;
    }
    return true;
}
