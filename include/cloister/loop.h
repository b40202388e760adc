/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - descriptor readiness, timers, posts and worker queues. Reached through cloister_host.loop.
 * Handles follow one rule: close is asynchronous; the memory behind ctx may go only in the closed callback.
 * Members since 0.1. Source: sdk.md section 2 (other host services), style.md (threads, loop, fork).
 */
#ifndef CLOISTER_LOOP_H
#define CLOISTER_LOOP_H

#include <cloister/abi.h>
#include <cloister/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_READABLE (1u << 0)
#define CLOISTER_WRITABLE (1u << 1)
/* The far end has closed both ways: asked for alone, by somebody who does not read now. A half-close is none, it reads
 * as the end. Errors are reported as a hang-up beside what was asked for. */
#define CLOISTER_HANGUP (1u << 2)

typedef void (*cloister_watch_fn)(void *ctx, int32_t fd, uint32_t events);
typedef void (*cloister_fn)(void *ctx);

struct cloister_loop_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* Watches fd (borrowed until closed) for events; 0 events = paused. 0 and *ret, or negative errno. Level-triggered.
     */
    int32_t (*watch_open)(const struct cloister_host *host, int32_t fd, uint32_t events, cloister_watch_fn fn,
                          void *ctx, cloister_watch **ret);
    int32_t (*watch_update)(cloister_watch *watch, uint32_t events);
    void (*watch_close)(cloister_watch *watch, cloister_fn closed,
                        void *ctx); /* closed may be NULL; fn is not called again */

    int32_t (*timer_open)(const struct cloister_host *host, cloister_fn fn, void *ctx, cloister_timer **ret);
    /* Fires once at deadline (monotonic ns; the past = at once, but never inside the call), then every `repeat` ns if
     * not 0. */
    int32_t (*timer_set)(cloister_timer *timer, uint64_t deadline, uint64_t repeat);
    int32_t (*timer_stop)(cloister_timer *timer);
    void (*timer_close)(cloister_timer *timer, cloister_fn closed, void *ctx);

    /* [any] Runs fn on the loop thread, later, in order of posting by one thread. 0 or -ENOMEM. */
    int32_t (*post)(const struct cloister_host *host, cloister_fn fn, void *ctx);

    /* A named queue with its own worker thread(s) (1..16), so that a slow plugin delays nobody else. Threads start with
     * the first job. */
    int32_t (*queue_open)(const struct cloister_host *host, const char *name, uint32_t threads, cloister_queue **ret);
    /* Runs work [worker], then done [loop]. One thread = in order. 0 or negative errno (then neither is called). */
    int32_t (*job)(cloister_queue *queue, cloister_fn work, cloister_fn done, void *ctx);
    /* Finishes what was queued, joins the threads, then calls closed. */
    void (*queue_close)(cloister_queue *queue, cloister_fn closed, void *ctx);
};

#ifdef __cplusplus
}
#endif
#endif
