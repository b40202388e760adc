/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as callbacks of the loop. They belong to the loop and end with it. */
#include <errno.h>
#include <signal.h>

#include "core/loop/room.h"
#include "core/util/mem.h"

struct handler {
    uv_signal_t uv;
    struct cl_loop *loop;
    struct cl_list node;
    void (*fn)(void *ctx, int signo);
    void *ctx;
};

static void on_signal(uv_signal_t *uv, int signo)
{
    struct handler *handler = uv->data;
    handler->loop->served++;
    handler->fn(handler->ctx, signo);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_handler(struct handler *handler)
{
    cl_list_remove(&handler->node);
    uv_close((uv_handle_t *)&handler->uv, on_closed);
}

int cl_loop_signal(struct cl_loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
    CL_ASSERT_LOOP(loop);
    struct handler *handler = cl_new(struct handler);
    if (!handler)
        return -ENOMEM;
    int result = uv_signal_init(&loop->uv, &handler->uv);
    if (result < 0) {
        free(handler);
        return result;
    }
    handler->uv.data = handler;
    handler->loop = loop;
    handler->fn = fn;
    handler->ctx = ctx;
    cl_list_append(&loop->signals, &handler->node);
    result = uv_signal_start(&handler->uv, on_signal, signo);
    if (result < 0) {
        close_handler(handler);
        return result;
    }
    /* Whoever started us may have left it blocked; then it would never come. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void cl_loop_signals_close(struct cl_loop *loop)
{
    CL_LIST_FOREACH(node, &loop->signals)
    close_handler(CL_CONTAINER(node, struct handler, node));
}
