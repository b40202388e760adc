/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's table: where a function takes the host, its loop takes that place; the rest passes through. */
#include "core/loop/loop.h"

#include "core/host/tables.h"

static struct cl_loop *loop_of(const struct cloister_host *host)
{
    return cl_host_of(host)->loop;
}

static int32_t watch_open(const struct cloister_host *host, int32_t fd, uint32_t events, cloister_watch_fn fn,
                          void *ctx, cloister_watch **ret)
{
    return cl_watch_open(loop_of(host), fd, events, fn, ctx, ret);
}

static int32_t timer_open(const struct cloister_host *host, cloister_fn fn, void *ctx, cloister_timer **ret)
{
    return cl_timer_open(loop_of(host), fn, ctx, ret);
}

static int32_t post(const struct cloister_host *host, cloister_fn fn, void *ctx)
{
    return cl_loop_post(loop_of(host), fn, ctx);
}

static int32_t queue_open(const struct cloister_host *host, const char *name, uint32_t threads, cloister_queue **ret)
{
    return cl_queue_open(loop_of(host), name, threads, ret);
}

const struct cloister_loop_api cl_host_loop = {
    CLOISTER_INIT(struct cloister_loop_api),
    .watch_open = watch_open,
    .watch_update = cl_watch_update,
    .watch_close = cl_watch_close,
    .timer_open = timer_open,
    .timer_set = cl_timer_set,
    .timer_stop = cl_timer_stop,
    .timer_close = cl_timer_close,
    .post = post,
    .queue_open = queue_open,
    .job = cl_queue_job,
    .queue_close = cl_queue_close,
};
