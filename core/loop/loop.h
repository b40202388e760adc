/* SPDX-License-Identifier: Apache-2.0 */
/* libuv behind our own small interface; the shapes of <cloister/loop.h> with the loop in place of the host. */
#ifndef CL_CORE_LOOP_LOOP_H
#define CL_CORE_LOOP_LOOP_H

#include <cloister/loop.h>

struct cl_loop;

/* Of the thread that calls. SIGPIPE is ignored from here on. */
int cl_loop_new(struct cl_loop **ret);
/* Asserts that no handle is left open. NULL tolerated. */
struct cl_loop *cl_loop_free(struct cl_loop *loop);
/* Serves until cl_loop_stop; then closing handles may still need cl_loop_run_pending. */
void cl_loop_run(struct cl_loop *loop);
void cl_loop_stop(struct cl_loop *loop);
/* Runs what is ready (close callbacks, posts) until nothing is, at most `rounds` turns; the threads of a closing queue
 * are waited for. For teardown and tests. */
void cl_loop_run_pending(struct cl_loop *loop, unsigned rounds);
/* True on the thread that created the loop. */
int cl_loop_on_thread(const struct cl_loop *loop);

int cl_watch_open(struct cl_loop *loop, int fd, uint32_t events, cloister_watch_fn fn, void *ctx, cloister_watch **ret);
int cl_watch_update(cloister_watch *watch, uint32_t events);
void cl_watch_close(cloister_watch *watch, cloister_fn closed, void *ctx);

int cl_timer_open(struct cl_loop *loop, cloister_fn fn, void *ctx, cloister_timer **ret);
int cl_timer_set(cloister_timer *timer, uint64_t deadline, uint64_t repeat);
int cl_timer_stop(cloister_timer *timer);
void cl_timer_close(cloister_timer *timer, cloister_fn closed, void *ctx);

int cl_loop_post(struct cl_loop *loop, cloister_fn fn, void *ctx); /* [any] */

int cl_queue_open(struct cl_loop *loop, const char *name, uint32_t threads, cloister_queue **ret);
int cl_queue_job(cloister_queue *queue, cloister_fn work, cloister_fn done, void *ctx);
void cl_queue_close(cloister_queue *queue, cloister_fn closed, void *ctx);

/* Calls fn on the loop for each arrival of signo (signals coalesce). Handlers end with the loop. */
int cl_loop_signal(struct cl_loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx);

#endif
