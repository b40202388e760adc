/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - a post whose memory is part of its owner: deferring it cannot fail, and it can be taken back.
 *
 * For callbacks that must come later, from the loop, and never inside the call that caused them.
 */
#ifndef CL_CORE_LOOP_TASK_H
#define CL_CORE_LOOP_TASK_H

#include "core/loop/loop.h"
#include "core/util/list.h"

struct cl_task {
    struct cl_list node;
    cloister_fn fn;
    void *ctx;
};

void cl_task_init(struct cl_task *task, cloister_fn fn, void *ctx);
/* [any] Runs the task on the loop, in order with the posts. One that already waits keeps its place. */
void cl_task_defer(struct cl_loop *loop, struct cl_task *task);
/* [loop] Takes it back: afterwards its memory may go. One that does not wait is left alone. */
void cl_task_revoke(struct cl_loop *loop, struct cl_task *task);

#endif
