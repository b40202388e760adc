/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door into the loop for other threads: a list under a lock, and libuv's wake-up, which coalesces. The loop's
 * own thread is awake when it posts, so that costs no system call.
 */
#include <errno.h>
#include <stdbool.h>

#include "core/loop/room.h"
#include "core/util/mem.h"

/* A post of cl_loop_post: a task that owns itself. */
struct post {
    struct cl_task task;
    cloister_fn fn;
    void *ctx;
};

static void move_all(struct cl_list *from, struct cl_list *to)
{
    if (cl_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    cl_list_init(from);
}

static struct cl_task *next_task(struct cl_loop *loop)
{
    struct cl_task *task = NULL;
    pthread_mutex_lock(&loop->lock);
    struct cl_list *first = cl_list_first(&loop->serving);
    if (first) {
        cl_list_remove(first);
        task = CL_CONTAINER(first, struct cl_task, node);
    }
    pthread_mutex_unlock(&loop->lock);
    return task;
}

static void serve(struct cl_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    move_all(&loop->posted, &loop->serving);
    pthread_mutex_unlock(&loop->lock);
    for (struct cl_task *task = next_task(loop); task; task = next_task(loop)) {
        loop->served++;
        task->fn(task->ctx);
    }
}

static void on_wake(uv_async_t *wake)
{
    serve(CL_CONTAINER(wake, struct cl_loop, wake));
}

static void on_again(uv_idle_t *again)
{
    struct cl_loop *loop = CL_CONTAINER(again, struct cl_loop, again);
    serve(loop);
    pthread_mutex_lock(&loop->lock);
    bool done = cl_list_empty(&loop->posted);
    pthread_mutex_unlock(&loop->lock);
    if (done)
        (void)uv_idle_stop(again);
}

int cl_loop_posts_init(struct cl_loop *loop)
{
    cl_list_init(&loop->posted);
    cl_list_init(&loop->serving);
    int result = pthread_mutex_init(&loop->lock, NULL);
    if (result)
        return -result;
    result = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (result < 0)
        return result;
    (void)uv_idle_init(&loop->uv, &loop->again); /* never fails */
    uv_unref((uv_handle_t *)&loop->again);
    return 0;
}

void cl_loop_posts_close(struct cl_loop *loop)
{
    assert(cl_list_empty(&loop->posted) && cl_list_empty(&loop->serving));
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->again, NULL);
}

void cl_task_init(struct cl_task *task, cloister_fn fn, void *ctx)
{
    cl_list_init(&task->node);
    task->fn = fn;
    task->ctx = ctx;
}

void cl_task_defer(struct cl_loop *loop, struct cl_task *task)
{
    pthread_mutex_lock(&loop->lock);
    if (cl_list_empty(&task->node))
        cl_list_append(&loop->posted, &task->node);
    pthread_mutex_unlock(&loop->lock);
    if (cl_loop_on_thread(loop))
        (void)uv_idle_start(&loop->again, on_again);
    else
        (void)uv_async_send(&loop->wake);
}

void cl_task_revoke(struct cl_loop *loop, struct cl_task *task)
{
    CL_ASSERT_LOOP(loop);
    pthread_mutex_lock(&loop->lock);
    cl_list_remove(&task->node);
    pthread_mutex_unlock(&loop->lock);
}

static void run_post(void *ctx)
{
    struct post *post = ctx;
    cloister_fn fn = post->fn;
    void *fn_ctx = post->ctx;
    free(post);
    fn(fn_ctx);
}

int cl_loop_post(struct cl_loop *loop, cloister_fn fn, void *ctx)
{
    struct post *post = cl_new(struct post);
    if (!post)
        return -ENOMEM;
    cl_task_init(&post->task, run_post, post);
    post->fn = fn;
    post->ctx = ctx;
    cl_task_defer(loop, &post->task);
    return 0;
}
