/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness of a descriptor, level-triggered. The descriptor may be closed as soon as cl_watch_close has returned. */
#include <errno.h>
#include <stdbool.h>

#include "core/loop/room.h"
#include "core/util/mem.h"

#define ALL_EVENTS (CLOISTER_READABLE | CLOISTER_WRITABLE | CLOISTER_HANGUP)

struct cloister_watch {
    uv_poll_t uv;
    struct cl_loop *loop;
    int fd;
    uint32_t events;
    bool closing;
    cloister_watch_fn fn;
    void *ctx;
    cloister_fn closed;
    void *closed_ctx;
};

/*
 * A hang-up (POLLHUP) is always reported, but not to a handle that asks for nothing. UV_DISCONNECT is no help:
 * POLLRDHUP stays set on a half-closed socket and would wake us for ever. So priority data is asked for, which no peer
 * of ours sends (one that does counts as hung up), and libuv hands a lone hang-up to whoever waits for that.
 */
static int to_uv(uint32_t events)
{
    return (events & CLOISTER_READABLE ? UV_READABLE : 0) | (events & CLOISTER_WRITABLE ? UV_WRITABLE : 0) |
           (events & CLOISTER_HANGUP ? UV_PRIORITIZED : 0);
}

static uint32_t from_uv(int events)
{
    return (events & UV_READABLE ? CLOISTER_READABLE : 0) | (events & UV_WRITABLE ? CLOISTER_WRITABLE : 0) |
           (events & UV_PRIORITIZED ? CLOISTER_HANGUP : 0);
}

static void on_poll(uv_poll_t *uv, int status, int events);

/* Starting costs two system calls even when nothing changes, so it is not done then. */
static int start(cloister_watch *watch, uint32_t events)
{
    if (events == watch->events && (events == 0 || uv_is_active((const uv_handle_t *)&watch->uv)))
        return 0;
    int result = events ? uv_poll_start(&watch->uv, to_uv(events), on_poll) : uv_poll_stop(&watch->uv);
    if (result == 0)
        watch->events = events;
    return result;
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    cloister_watch *watch = uv->data;
    watch->loop->served++;
    uint32_t ready = from_uv(events);
    /*
     * libuv takes POLLERR (the reader of a pipe has gone, a connection was reset) for a bad descriptor and stops
     * watching. Here it is a hang-up that shows as readiness of everything asked for: the next read or write gets the
     * errno.
     */
    if (status < 0)
        ready = watch->events | CLOISTER_HANGUP;
    watch->fn(watch->ctx, watch->fd, ready);
    if (status < 0 && !watch->closing)
        (void)start(watch, watch->events);
}

int cl_watch_open(struct cl_loop *loop, int fd, uint32_t events, cloister_watch_fn fn, void *ctx, cloister_watch **ret)
{
    CL_ASSERT_LOOP(loop);
    if (events & ~ALL_EVENTS || !fn || fd < 0)
        return -EINVAL;
    cloister_watch *watch = cl_new(cloister_watch);
    if (!watch)
        return -ENOMEM;
    int result = uv_poll_init(&loop->uv, &watch->uv, fd);
    if (result < 0) {
        free(watch);
        return result;
    }
    watch->uv.data = watch;
    watch->loop = loop;
    watch->fd = fd;
    watch->fn = fn;
    watch->ctx = ctx;
    loop->handles++;
    result = start(watch, events);
    if (result < 0) {
        cl_watch_close(watch, NULL, NULL);
        return result;
    }
    *ret = watch;
    return 0;
}

int cl_watch_update(cloister_watch *watch, uint32_t events)
{
    CL_ASSERT_LOOP(watch->loop);
    if (events & ~ALL_EVENTS)
        return -EINVAL;
    if (watch->closing)
        return -ECANCELED;
    return start(watch, events);
}

static void on_closed(uv_handle_t *handle)
{
    cloister_watch *watch = handle->data;
    cloister_fn closed = watch->closed;
    void *ctx = watch->closed_ctx;
    watch->loop->handles--;
    watch->loop->served++;
    free(watch);
    if (closed)
        closed(ctx);
}

void cl_watch_close(cloister_watch *watch, cloister_fn closed, void *ctx)
{
    CL_ASSERT_LOOP(watch->loop);
    assert(!watch->closing);
    watch->closing = true;
    watch->closed = closed;
    watch->closed_ctx = ctx;
    uv_close((uv_handle_t *)&watch->uv, on_closed);
}
