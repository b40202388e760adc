/* SPDX-License-Identifier: Apache-2.0 */
/* room.h - what the files of core/loop share; nobody else includes it. */
#ifndef CL_CORE_LOOP_ROOM_H
#define CL_CORE_LOOP_ROOM_H

#include <assert.h>
#include <pthread.h>

#include <uv.h>

#include "core/loop/loop.h"
#include "core/loop/task.h"
#include "core/util/list.h"

struct cl_loop {
    uv_loop_t uv;
    uv_async_t wake; /* for other threads */
    uv_idle_t again; /* our own thread has posted: runs at the beginning of the next turn, which then does not wait */
    pthread_t thread;
    struct cl_list signals;
    size_t handles;        /* watches, timers and queues whose closed callback has not run */
    size_t queues_closing; /* queues whose threads still have to end */
    uint64_t served;       /* callbacks run so far: tells a turn that did something from one that did not */

    pthread_mutex_t lock; /* of the two lists, and of every task's node */
    struct cl_list posted;
    struct cl_list serving; /* the batch under way; what is posted meanwhile waits for the next turn */
};

int cl_loop_posts_init(struct cl_loop *loop);
/* Closes the waking handles; asserts that nothing is posted. */
void cl_loop_posts_close(struct cl_loop *loop);

void cl_loop_signals_close(struct cl_loop *loop);

#define CL_ASSERT_LOOP(loop) assert(cl_loop_on_thread(loop))

#endif
