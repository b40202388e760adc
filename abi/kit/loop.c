/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - readiness by poll, timers by the poll's timeout, posts by an eventfd, one thread for each thread of a queue.
 * Lists are short and walked: a kit is no daemon.
 */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WATCHES 512u
#define TIMERS 1024u
#define THREADS 16u

struct post {
    struct post *next;
    cloister_fn fn;
    void *ctx;
};

struct cloister_watch {
    int32_t fd; /* -1: free */
    uint32_t events;
    cloister_watch_fn fn;
    void *ctx;
    uint64_t birth; /* tells it from an earlier one in this place, of the same descriptor number */
};

struct cloister_timer {
    cloister_fn fn; /* NULL: free */
    void *ctx;
    uint64_t deadline; /* 0: stopped */
    uint64_t repeat;
};

struct job {
    struct job *next;
    cloister_queue *queue;
    cloister_fn work;
    cloister_fn done;
    void *ctx;
};

struct cloister_queue {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first;
    struct job **last;
    bool stop;
    pthread_t threads[THREADS];
    uint32_t thread_count; /* 0: not started */
    uint32_t thread_max;
    uint32_t ended; /* the loop's */
    cloister_fn closed;
    void *closed_ctx;
};

static struct {
    pthread_mutex_t lock;
    int wake;
    struct post *first;
    struct post **last;
    unsigned busy; /* jobs not done and queues not closed, the loop's */
    uint64_t births;
    struct cloister_watch watches[WATCHES];
    struct cloister_timer timers[TIMERS];
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1, .last = &loop.first};

uint64_t kit_now_ns(int clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool kit_loop_begin(void)
{
    for (unsigned i = 0; i < WATCHES; i++)
        loop.watches[i].fd = -1;
    loop.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return loop.wake >= 0;
}

static int32_t post(const struct cloister_host *host, cloister_fn fn, void *ctx)
{
    struct post *made = malloc(sizeof(*made));
    const uint64_t one = 1;
    (void)host;
    if (!made)
        return -ENOMEM;
    *made = (struct post){NULL, fn, ctx};
    pthread_mutex_lock(&loop.lock);
    *loop.last = made;
    loop.last = &made->next;
    pthread_mutex_unlock(&loop.lock);
    (void)!write(loop.wake, &one, sizeof(one));
    return 0;
}

static bool run_posts(void)
{
    pthread_mutex_lock(&loop.lock);
    struct post *first = loop.first;
    loop.first = NULL;
    loop.last = &loop.first;
    pthread_mutex_unlock(&loop.lock);
    bool any = first != NULL;
    for (struct post *next; first; first = next) {
        next = first->next;
        first->fn(first->ctx);
        free(first);
    }
    return any;
}

static void run_timers(void)
{
    for (unsigned i = 0; i < TIMERS; i++) {
        struct cloister_timer *timer = &loop.timers[i];
        uint64_t now = kit_now_ns(CLOCK_MONOTONIC);
        if (!timer->fn || !timer->deadline || timer->deadline > now)
            continue;
        timer->deadline = timer->repeat ? now + timer->repeat : 0;
        timer->fn(timer->ctx);
    }
}

/* Milliseconds to the next timer, at most `most`. */
static int patience(int most)
{
    uint64_t now = kit_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < TIMERS; i++) {
        const struct cloister_timer *timer = &loop.timers[i];
        if (!timer->fn || !timer->deadline)
            continue;
        uint64_t left = timer->deadline > now ? (timer->deadline - now) / 1000000u + 1 : 0;
        most = left < (uint64_t)most ? (int)left : most;
    }
    return most;
}

/* A hang-up without bytes reads as the end for whoever asked to read. */
static uint32_t told(short revents, uint32_t asked)
{
    uint32_t hangup = revents & (POLLHUP | POLLERR) ? CLOISTER_HANGUP | (asked & CLOISTER_READABLE) : 0;
    return hangup | (revents & POLLIN ? CLOISTER_READABLE : 0) | (revents & POLLOUT ? CLOISTER_WRITABLE : 0);
}

static void turn(int most)
{
    static struct pollfd fds[WATCHES + 1];
    static struct cloister_watch *of[WATCHES + 1];
    static uint64_t births[WATCHES + 1];
    nfds_t count = 1;
    uint64_t value;
    fds[0] = (struct pollfd){.fd = loop.wake, .events = POLLIN};
    for (unsigned i = 0; i < WATCHES; i++) {
        struct cloister_watch *watch = &loop.watches[i];
        if (watch->fd < 0 || !watch->events)
            continue;
        of[count] = watch;
        births[count] = watch->birth;
        fds[count++] = (struct pollfd){.fd = watch->fd,
                                       .events = (short)((watch->events & CLOISTER_READABLE ? POLLIN : 0) |
                                                         (watch->events & CLOISTER_WRITABLE ? POLLOUT : 0))};
    }
    (void)poll(fds, count, patience(most));
    (void)!read(loop.wake, &value, sizeof(value));
    for (nfds_t i = 1; i < count; i++) {
        uint32_t events = told(fds[i].revents, of[i]->events);
        if (events && of[i]->fd == fds[i].fd && of[i]->birth == births[i])
            of[i]->fn(of[i]->ctx, fds[i].fd, events);
    }
    run_timers();
    (void)run_posts();
}

bool kit_loop_until(const bool *flag, unsigned seconds)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + (uint64_t)seconds * 1000000000u;
    while (!*flag && kit_now_ns(CLOCK_MONOTONIC) < end)
        turn(50);
    return *flag;
}

void kit_loop_turns(unsigned ms)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + ms * 1000000ull;
    do
        turn(ms < 5 ? (int)ms : 5);
    while (kit_now_ns(CLOCK_MONOTONIC) < end);
}

bool kit_loop_drain(unsigned seconds)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + (uint64_t)seconds * 1000000000u;
    while ((run_posts() || loop.busy) && kit_now_ns(CLOCK_MONOTONIC) < end)
        if (loop.busy)
            turn(50);
    return loop.busy == 0;
}

static int32_t watch_open(const struct cloister_host *host, int32_t fd, uint32_t events, cloister_watch_fn fn,
                          void *ctx, cloister_watch **ret)
{
    (void)host;
    for (unsigned i = 0; i < WATCHES; i++)
        if (loop.watches[i].fd < 0) {
            loop.watches[i] = (struct cloister_watch){fd, events, fn, ctx, ++loop.births};
            *ret = &loop.watches[i];
            return 0;
        }
    return -ENOMEM;
}

static int32_t watch_update(cloister_watch *watch, uint32_t events)
{
    watch->events = events;
    return 0;
}

static void closed_later(cloister_fn closed, void *ctx)
{
    if (closed && post(NULL, closed, ctx) < 0)
        abort(); /* the kit itself is out of memory: no verdict on a plugin */
}

static void watch_close(cloister_watch *watch, cloister_fn closed, void *ctx)
{
    watch->fd = -1;
    closed_later(closed, ctx);
}

static int32_t timer_open(const struct cloister_host *host, cloister_fn fn, void *ctx, cloister_timer **ret)
{
    (void)host;
    for (unsigned i = 0; i < TIMERS; i++)
        if (!loop.timers[i].fn) {
            loop.timers[i] = (struct cloister_timer){.fn = fn, .ctx = ctx};
            *ret = &loop.timers[i];
            return 0;
        }
    return -ENOMEM;
}

static int32_t timer_set(cloister_timer *timer, uint64_t deadline, uint64_t repeat)
{
    timer->deadline = deadline ? deadline : 1;
    timer->repeat = repeat;
    return 0;
}

static int32_t timer_stop(cloister_timer *timer)
{
    timer->deadline = 0;
    return 0;
}

static void timer_close(cloister_timer *timer, cloister_fn closed, void *ctx)
{
    *timer = (struct cloister_timer){.fn = NULL};
    closed_later(closed, ctx);
}

static int32_t queue_open(const struct cloister_host *host, const char *name, uint32_t threads, cloister_queue **ret)
{
    (void)host;
    if (!threads || threads > THREADS || !name || !*name)
        return -EINVAL;
    cloister_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return -ENOMEM;
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->more, NULL);
    queue->last = &queue->first;
    queue->thread_max = threads;
    *ret = queue;
    return 0;
}

static void finish_close(void *ctx)
{
    cloister_queue *queue = ctx;
    cloister_fn closed = queue->closed;
    void *closed_ctx = queue->closed_ctx;
    (void)pthread_cond_destroy(&queue->more);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
    loop.busy--;
    if (closed)
        closed(closed_ctx);
}

static void on_thread_ended(void *ctx)
{
    cloister_queue *queue = ctx;
    if (++queue->ended < queue->thread_count)
        return;
    for (uint32_t i = 0; i < queue->thread_count; i++)
        (void)pthread_join(queue->threads[i], NULL);
    finish_close(queue);
}

static void on_job_done(void *ctx)
{
    struct job *job = ctx;
    loop.busy--;
    if (job->done)
        job->done(job->ctx);
    free(job);
}

static void *serve(void *ctx)
{
    cloister_queue *queue = ctx;
    for (;;) {
        pthread_mutex_lock(&queue->lock);
        while (!queue->first && !queue->stop)
            pthread_cond_wait(&queue->more, &queue->lock);
        struct job *job = queue->first;
        if (job && !(queue->first = job->next))
            queue->last = &queue->first;
        pthread_mutex_unlock(&queue->lock);
        if (!job)
            break;
        job->work(job->ctx);
        closed_later(on_job_done, job);
    }
    closed_later(on_thread_ended, queue);
    return NULL;
}

static int start_threads(cloister_queue *queue)
{
    int r = 0;
    while (r == 0 && queue->thread_count < queue->thread_max) {
        r = -pthread_create(&queue->threads[queue->thread_count], NULL, serve, queue);
        queue->thread_count += r == 0;
    }
    return queue->thread_count ? 0 : r;
}

static int32_t queue_job(cloister_queue *queue, cloister_fn work, cloister_fn done, void *ctx)
{
    struct job *job = malloc(sizeof(*job));
    int r = job ? 0 : -ENOMEM;
    if (r == 0 && !queue->thread_count)
        r = start_threads(queue);
    if (r < 0 || queue->stop) {
        free(job);
        return r < 0 ? r : -ECANCELED;
    }
    *job = (struct job){NULL, queue, work, done, ctx};
    loop.busy++;
    pthread_mutex_lock(&queue->lock);
    *queue->last = job;
    queue->last = &job->next;
    pthread_cond_signal(&queue->more);
    pthread_mutex_unlock(&queue->lock);
    return 0;
}

static void queue_close(cloister_queue *queue, cloister_fn closed, void *ctx)
{
    queue->closed = closed;
    queue->closed_ctx = ctx;
    loop.busy++;
    pthread_mutex_lock(&queue->lock);
    queue->stop = true;
    pthread_cond_broadcast(&queue->more);
    pthread_mutex_unlock(&queue->lock);
    if (!queue->thread_count)
        closed_later(finish_close, queue);
}

const struct cloister_loop_api kit_loop_api = {
    CLOISTER_INIT(struct cloister_loop_api),
    .watch_open = watch_open,
    .watch_update = watch_update,
    .watch_close = watch_close,
    .timer_open = timer_open,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .timer_close = timer_close,
    .post = post,
    .queue_open = queue_open,
    .job = queue_job,
    .queue_close = queue_close,
};
