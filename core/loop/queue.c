/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker threads for what may block. Each queue has threads of its own: one slow fsync must not delay everybody, which
 * is what libuv's common pool of four would do. `waiting` and `closing` are the threads' too, under the lock; all else
 * is the loop's. Results and the ends of threads come back as tasks, so no step after a job was accepted can run out of
 * memory.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/loop/room.h"
#include "core/util/mem.h"

#define THREADS_MAX 16u
#define NAME_MAX_BYTES 16u /* of a thread, NUL included */

struct job {
    struct cl_list node; /* while it waits for a thread */
    struct cl_task task; /* on its way back */
    cloister_fn work;
    cloister_fn done;
    void *ctx;
    struct cloister_queue *queue;
};

struct worker {
    pthread_t thread;
    struct cl_task ended;
    struct cloister_queue *queue;
};

struct cloister_queue {
    struct cl_loop *loop;
    char name[NAME_MAX_BYTES];
    struct worker workers[THREADS_MAX];
    uint32_t threads; /* at most */
    uint32_t started;
    uint32_t ended;
    uint32_t jobs; /* accepted and not done */
    bool closing;
    struct cl_task close_task;
    cloister_fn closed;
    void *closed_ctx;

    pthread_mutex_t lock;
    pthread_cond_t more;
    struct cl_list waiting;
    bool stop;
};

static struct job *next_job(struct cloister_queue *queue)
{
    struct job *job = NULL;
    pthread_mutex_lock(&queue->lock);
    while (cl_list_empty(&queue->waiting) && !queue->stop)
        pthread_cond_wait(&queue->more, &queue->lock);
    struct cl_list *first = cl_list_first(&queue->waiting);
    if (first) {
        cl_list_remove(first);
        job = CL_CONTAINER(first, struct job, node);
    }
    pthread_mutex_unlock(&queue->lock);
    return job;
}

static void *serve(void *ctx)
{
    struct worker *worker = ctx;
    struct cloister_queue *queue = worker->queue;
    (void)pthread_setname_np(pthread_self(), queue->name);
    for (struct job *job = next_job(queue); job; job = next_job(queue)) {
        job->work(job->ctx);
        cl_task_defer(queue->loop, &job->task);
    }
    cl_task_defer(queue->loop, &worker->ended);
    return NULL;
}

static void finish_close(void *ctx)
{
    struct cloister_queue *queue = ctx;
    cloister_fn closed = queue->closed;
    void *closed_ctx = queue->closed_ctx;
    assert(queue->jobs == 0);
    (void)pthread_cond_destroy(&queue->more);
    (void)pthread_mutex_destroy(&queue->lock);
    queue->loop->handles--;
    queue->loop->queues_closing--;
    free(queue);
    if (closed)
        closed(closed_ctx);
}

/* A thread posts this after its last job's task, so by the time all have ended every done has been called. */
static void on_worker_ended(void *ctx)
{
    struct worker *worker = ctx;
    struct cloister_queue *queue = worker->queue;
    (void)pthread_join(worker->thread, NULL);
    if (++queue->ended == queue->started)
        finish_close(queue);
}

static void on_job_done(void *ctx)
{
    struct job *job = ctx;
    cloister_fn done = job->done;
    void *done_ctx = job->ctx;
    job->queue->jobs--;
    free(job);
    if (done)
        done(done_ctx);
}

/* Signals are the loop thread's business: a worker is born with all of them blocked. */
static int start_worker(struct cloister_queue *queue)
{
    struct worker *worker = &queue->workers[queue->started];
    worker->queue = queue;
    cl_task_init(&worker->ended, on_worker_ended, worker);
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = -pthread_create(&worker->thread, NULL, serve, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0)
        queue->started++;
    return result;
}

int cl_queue_open(struct cl_loop *loop, const char *name, uint32_t threads, cloister_queue **ret)
{
    CL_ASSERT_LOOP(loop);
    if (threads < 1 || threads > THREADS_MAX || !name || !*name)
        return -EINVAL;
    cloister_queue *queue = cl_new(cloister_queue);
    if (!queue)
        return -ENOMEM;
    queue->loop = loop;
    queue->threads = threads;
    (void)snprintf(queue->name, sizeof(queue->name), "%.*s", (int)sizeof(queue->name) - 1, name);
    cl_list_init(&queue->waiting);
    cl_task_init(&queue->close_task, finish_close, queue);
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->more, NULL);
    loop->handles++;
    *ret = queue;
    return 0;
}

int cl_queue_job(cloister_queue *queue, cloister_fn work, cloister_fn done, void *ctx)
{
    CL_ASSERT_LOOP(queue->loop);
    if (!work)
        return -EINVAL;
    if (queue->closing)
        return -ECANCELED;
    struct job *job = cl_new(struct job);
    if (!job)
        return -ENOMEM;
    /* One more thread while there is more to do than threads to do it. Without any the job cannot be; with fewer it
     * waits. */
    if (queue->started < queue->threads && queue->jobs >= queue->started) {
        int result = start_worker(queue);
        if (result < 0 && queue->started == 0) {
            free(job);
            return result;
        }
    }
    cl_task_init(&job->task, on_job_done, job);
    job->work = work;
    job->done = done;
    job->ctx = ctx;
    job->queue = queue;
    queue->jobs++;
    pthread_mutex_lock(&queue->lock);
    cl_list_append(&queue->waiting, &job->node);
    pthread_cond_signal(&queue->more);
    pthread_mutex_unlock(&queue->lock);
    return 0;
}

void cl_queue_close(cloister_queue *queue, cloister_fn closed, void *ctx)
{
    CL_ASSERT_LOOP(queue->loop);
    assert(!queue->closing);
    queue->closing = true;
    queue->loop->queues_closing++;
    queue->closed = closed;
    queue->closed_ctx = ctx;
    pthread_mutex_lock(&queue->lock);
    queue->stop = true;
    pthread_cond_broadcast(&queue->more);
    pthread_mutex_unlock(&queue->lock);
    if (queue->started == 0)
        cl_task_defer(queue->loop, &queue->close_task);
}
