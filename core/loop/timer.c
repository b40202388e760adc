/* SPDX-License-Identifier: Apache-2.0 */
/* Moments on the monotonic clock. Millisecond steps, never early. */
#include <errno.h>
#include <stdbool.h>

#include "core/loop/room.h"
#include "core/util/mem.h"
#include "core/util/time.h"

struct cloister_timer {
    uv_timer_t uv;
    struct cl_loop *loop;
    bool closing;
    cloister_fn fn;
    void *ctx;
    cloister_fn closed;
    void *closed_ctx;
};

static uint64_t ms_up(uint64_t ns)
{
    return ns / CL_NS_PER_MS + (ns % CL_NS_PER_MS != 0);
}

static void on_timer(uv_timer_t *uv)
{
    cloister_timer *timer = uv->data;
    timer->loop->served++;
    timer->fn(timer->ctx);
}

int cl_timer_open(struct cl_loop *loop, cloister_fn fn, void *ctx, cloister_timer **ret)
{
    CL_ASSERT_LOOP(loop);
    if (!fn)
        return -EINVAL;
    cloister_timer *timer = cl_new(cloister_timer);
    if (!timer)
        return -ENOMEM;
    int result = uv_timer_init(&loop->uv, &timer->uv);
    if (result < 0) {
        free(timer);
        return result;
    }
    timer->uv.data = timer;
    timer->loop = loop;
    timer->fn = fn;
    timer->ctx = ctx;
    loop->handles++;
    *ret = timer;
    return 0;
}

int cl_timer_set(cloister_timer *timer, uint64_t deadline, uint64_t repeat)
{
    CL_ASSERT_LOOP(timer->loop);
    if (timer->closing)
        return -ECANCELED;
    /*
     * libuv adds the loop's time, which stands still during a callback, to what it is given; taking the same time off
     * again leaves the deadline itself, however old that time is. Both clocks are CLOCK_MONOTONIC.
     */
    uint64_t now = uv_now(&timer->loop->uv);
    uint64_t at = ms_up(deadline);
    return uv_timer_start(&timer->uv, on_timer, at > now ? at - now : 0, ms_up(repeat));
}

int cl_timer_stop(cloister_timer *timer)
{
    CL_ASSERT_LOOP(timer->loop);
    return uv_timer_stop(&timer->uv);
}

static void on_closed(uv_handle_t *handle)
{
    cloister_timer *timer = handle->data;
    cloister_fn closed = timer->closed;
    void *ctx = timer->closed_ctx;
    timer->loop->handles--;
    timer->loop->served++;
    free(timer);
    if (closed)
        closed(ctx);
}

void cl_timer_close(cloister_timer *timer, cloister_fn closed, void *ctx)
{
    CL_ASSERT_LOOP(timer->loop);
    assert(!timer->closing);
    timer->closing = true;
    timer->closed = closed;
    timer->closed_ctx = ctx;
    uv_close((uv_handle_t *)&timer->uv, on_closed);
}
