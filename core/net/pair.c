/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two made streams back to back: what one writes the other reads, out of two rings of a fixed size. An end that was
 * finished leaves its bytes and then an EOF; one that was aborted leaves its bytes and then ECONNRESET. What is written
 * to an end that has gone, or reads no more, is EPIPE.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/net/stream.h"
#include "core/util/mem.h"

#define CAPACITY (64u << 10)
#define CAPACITY_MAX (16u << 20)

struct ring {
    char *bytes;
    size_t first;
    size_t used;
};

struct end {
    struct pair *pair;
    struct end *other;
    cloister_stream *stream; /* NULL: closed */
    struct ring in;
    bool writes_over; /* shut, or closed */
    bool reads_over;
    bool aborted;
};

struct pair {
    size_t capacity;
    unsigned open;
    struct end ends[2];
};

static struct pair *pair_free(struct pair *pair)
{
    free(pair->ends[0].in.bytes);
    free(pair->ends[1].in.bytes);
    free(pair);
    return NULL;
}

static size_t ring_put(struct ring *ring, size_t capacity, const char *bytes, size_t size)
{
    size_t room = capacity - ring->used, take = size < room ? size : room;
    size_t at = (ring->first + ring->used) % capacity;
    size_t straight = capacity - at < take ? capacity - at : take;
    if (take == 0)
        return 0;
    memcpy(ring->bytes + at, bytes, straight);
    memcpy(ring->bytes, bytes + straight, take - straight);
    ring->used += take;
    return take;
}

static size_t ring_take(struct ring *ring, size_t capacity, char *buffer, size_t size)
{
    size_t take = size < ring->used ? size : ring->used;
    size_t straight = capacity - ring->first < take ? capacity - ring->first : take;
    memcpy(buffer, ring->bytes + ring->first, straight);
    memcpy(buffer + straight, ring->bytes, take - straight);
    ring->first = (ring->first + take) % capacity;
    ring->used -= take;
    return take;
}

static void tell(struct end *end, uint32_t what)
{
    if (end->stream)
        cl_stream_ready(end->stream, what);
}

static int64_t end_read(void *ctx, void *buffer, uint64_t size)
{
    struct end *end = ctx;
    if (end->in.used > 0) {
        size_t got = ring_take(&end->in, end->pair->capacity, buffer, size);
        tell(end->other, CLOISTER_READY_WRITE);
        return (int64_t)got;
    }
    if (!end->other->writes_over)
        return -EAGAIN;
    return end->other->aborted ? -ECONNRESET : 0;
}

static int64_t end_write(void *ctx, struct cloister_sv bytes)
{
    struct end *end = ctx, *other = end->other;
    if (end->writes_over || other->reads_over)
        return -EPIPE;
    size_t taken = ring_put(&other->in, end->pair->capacity, bytes.data, bytes.size);
    if (taken > 0)
        tell(other, CLOISTER_READY_READ);
    return taken > 0 || bytes.size == 0 ? (int64_t)taken : -EAGAIN;
}

static int32_t end_shut(void *ctx, uint32_t sides)
{
    struct end *end = ctx;
    if (sides & CLOISTER_SHUT_WR) {
        end->writes_over = true;
        tell(end->other, CLOISTER_READY_READ);
    }
    if (sides & CLOISTER_SHUT_RD) {
        end->reads_over = true;
        tell(end->other, CLOISTER_READY_WRITE);
    }
    return 0;
}

static void end_close(void *ctx, uint32_t aborted)
{
    struct end *end = ctx;
    struct pair *pair = end->pair;
    end->stream = NULL;
    end->aborted = aborted && !end->writes_over;
    (void)end_shut(end, CLOISTER_SHUT_RD | CLOISTER_SHUT_WR);
    if (--pair->open == 0)
        (void)pair_free(pair);
}

static const struct cloister_stream_vtable end_vtable = {
    CLOISTER_INIT(struct cloister_stream_vtable),
    .read = end_read,
    .write = end_write,
    .shut = end_shut,
    .close = end_close,
};

static struct pair *pair_new(size_t capacity)
{
    struct pair *pair = cl_new(struct pair);
    if (!pair)
        return NULL;
    pair->capacity = capacity;
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = &pair->ends[i];
        end->pair = pair;
        end->other = &pair->ends[1 - i];
        end->in.bytes = cl_malloc(capacity);
        if (!end->in.bytes)
            return pair_free(pair);
    }
    return pair;
}

int cl_stream_pair(struct cl_loop *loop, const struct cloister_pair_args *args, cloister_stream **ret_a,
                   cloister_stream **ret_b)
{
    uint64_t capacity = args && CLOISTER_HAS(args, capacity) ? args->capacity : 0;
    if (args && CLOISTER_HAS(args, reserved) && args->reserved)
        return -EINVAL;
    if (capacity > CAPACITY_MAX)
        return -E2BIG;
    struct pair *pair = pair_new(capacity ? capacity : CAPACITY);
    if (!pair)
        return -ENOMEM;
    for (unsigned i = 0; i < 2; i++) {
        if (cl_stream_make(loop, &end_vtable, &pair->ends[i], &pair->ends[i].stream) == 0)
            pair->open++;
    }
    if (pair->open < 2) {
        if (pair->open == 0)
            (void)pair_free(pair);
        else
            cl_stream_abort(pair->ends[0].stream ? pair->ends[0].stream : pair->ends[1].stream, NULL, NULL);
        return -ENOMEM;
    }
    *ret_a = pair->ends[0].stream;
    *ret_b = pair->ends[1].stream;
    return 0;
}
