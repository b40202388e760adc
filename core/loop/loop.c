/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon has one thread that decides things, and this room is where it waits. libuv does the waiting; nobody above
 * sees it, because its types are not ours to promise. Four kinds of handle are lent out: a watch tells that a
 * descriptor is ready, a timer that a moment has come, a queue runs work that may block on threads of its own and comes
 * back when it is done, and a post is the one door through which other threads enter. All follow one rule: closing is
 * asynchronous, and what a callback points at may go only in the closed callback. A callback is never run from inside
 * the call that asked for it, so no caller needs to fear that the world has changed under its feet.
 */
#include "core/loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "core/loop/room.h"
#include "core/util/mem.h"

int cl_loop_new(struct cl_loop **ret)
{
    struct cl_loop *loop = cl_new(struct cl_loop);
    if (!loop)
        return -ENOMEM;
    loop->thread = pthread_self();
    /* A peer that goes is an errno of the write that finds out, for pipes too, which have no MSG_NOSIGNAL. */
    (void)signal(SIGPIPE, SIG_IGN);
    int result = uv_loop_init(&loop->uv);
    if (result < 0) {
        free(loop);
        return result;
    }
    cl_list_init(&loop->signals);
    result = cl_loop_posts_init(loop);
    if (result < 0) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return result;
    }
    *ret = loop;
    return 0;
}

struct cl_loop *cl_loop_free(struct cl_loop *loop)
{
    if (!loop)
        return NULL;
    CL_ASSERT_LOOP(loop);
    assert(loop->handles == 0);
    cl_loop_signals_close(loop);
    cl_loop_posts_close(loop);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT))
        ; /* once more after a stop that nobody had run into */
    int result = uv_loop_close(&loop->uv);
    assert(result == 0);
    (void)result;
    (void)pthread_mutex_destroy(&loop->lock);
    free(loop);
    return NULL;
}

void cl_loop_run(struct cl_loop *loop)
{
    CL_ASSERT_LOOP(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void cl_loop_stop(struct cl_loop *loop)
{
    CL_ASSERT_LOOP(loop);
    uv_stop(&loop->uv);
}

void cl_loop_run_pending(struct cl_loop *loop, unsigned rounds)
{
    CL_ASSERT_LOOP(loop);
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t before = loop->served;
        bool threads = loop->queues_closing > 0; /* they end in their own time, and say so */
        (void)uv_run(&loop->uv, threads ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        /* A stop asked for before makes libuv skip the first turn. */
        if (loop->served == before && round > 0 && !threads)
            break;
    }
}

int cl_loop_on_thread(const struct cl_loop *loop)
{
    return pthread_equal(loop->thread, pthread_self());
}
