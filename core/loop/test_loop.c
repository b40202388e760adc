/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/loop/task.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/time.h"

/* What a test's callbacks write down, one character each, in order. */
struct trace {
    struct cl_loop *loop;
    char text[256];
    size_t size;
    size_t stop_at; /* stops the loop when so many are there */
    cloister_watch *watch;
    cloister_timer *timer;
    cloister_queue *queue;
    uint32_t events;
};

static void note(struct trace *trace, char mark)
{
    assert_true(trace->size + 1 < sizeof(trace->text));
    assert_true(cl_loop_on_thread(trace->loop));
    trace->text[trace->size++] = mark;
    trace->text[trace->size] = 0;
    if (trace->size == trace->stop_at)
        cl_loop_stop(trace->loop);
}

static void begin(struct trace *trace, size_t stop_at)
{
    memset(trace, 0, sizeof(*trace));
    assert_int_equal(cl_loop_new(&trace->loop), 0);
    trace->stop_at = stop_at;
}

static void end(struct trace *trace)
{
    cl_loop_run_pending(trace->loop, 20);
    assert_null(cl_loop_free(trace->loop));
}

static void note_a(void *ctx)
{
    note(ctx, 'a');
}

static void note_b(void *ctx)
{
    note(ctx, 'b');
}

static void note_closed(void *ctx)
{
    note(ctx, 'c');
}

static void post_b(void *ctx)
{
    struct trace *trace = ctx;
    note(trace, 'p');
    assert_int_equal(cl_loop_post(trace->loop, note_b, trace), 0);
    note(trace, 'q');
}

static void posts_run_later_and_in_order(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 5);
    assert_int_equal(cl_loop_post(trace.loop, post_b, &trace), 0);
    assert_int_equal(cl_loop_post(trace.loop, note_a, &trace), 0);
    assert_int_equal(cl_loop_post(trace.loop, note_a, &trace), 0);
    assert_int_equal(trace.size, 0);
    cl_loop_run(trace.loop);
    assert_string_equal(trace.text, "pqaab");
    end(&trace);
}

static void post_needs_memory(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 0);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_loop_post(trace.loop, note_a, &trace), -ENOMEM);
    cl_mem_fail_nth(0);
    end(&trace);
    assert_int_equal(trace.size, 0);
}

static void tasks_can_be_taken_back(void **state)
{
    (void)state;
    struct trace trace;
    struct cl_task first, second;
    begin(&trace, 0);
    cl_task_init(&first, note_a, &trace);
    cl_task_init(&second, note_b, &trace);
    cl_task_defer(trace.loop, &first);
    cl_task_defer(trace.loop, &second);
    cl_task_defer(trace.loop, &first);
    cl_loop_run_pending(trace.loop, 5);
    assert_string_equal(trace.text, "ab");
    cl_task_defer(trace.loop, &first);
    cl_task_defer(trace.loop, &second);
    cl_task_revoke(trace.loop, &first);
    cl_loop_run_pending(trace.loop, 5);
    assert_string_equal(trace.text, "abb");
    end(&trace);
}

#define POSTERS 4
#define POSTS_EACH 2000

struct counted {
    struct poster *poster;
    int number;
};

struct poster {
    struct cl_loop *loop;
    pthread_t thread;
    int seen;
    int *left;
    struct counted posts[POSTS_EACH];
};

static void count_post(void *ctx)
{
    struct counted *counted = ctx;
    struct poster *poster = counted->poster;
    assert_int_equal(counted->number, poster->seen);
    poster->seen++;
    if (--*poster->left == 0)
        cl_loop_stop(poster->loop);
}

static void *post_many(void *ctx)
{
    struct poster *poster = ctx;
    for (int i = 0; i < POSTS_EACH; i++) {
        poster->posts[i] = (struct counted){poster, i};
        if (cl_loop_on_thread(poster->loop) || cl_loop_post(poster->loop, count_post, &poster->posts[i]) != 0)
            return poster;
    }
    return NULL;
}

static void posts_of_other_threads_keep_their_order(void **state)
{
    (void)state;
    static struct poster posters[POSTERS];
    struct cl_loop *loop;
    int left = POSTERS * POSTS_EACH;
    assert_int_equal(cl_loop_new(&loop), 0);
    for (size_t i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        posters[i].left = &left;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    cl_loop_run(loop);
    for (size_t i = 0; i < POSTERS; i++) {
        void *failed;
        assert_int_equal(pthread_join(posters[i].thread, &failed), 0);
        assert_null(failed);
        assert_int_equal(posters[i].seen, POSTS_EACH);
    }
    cl_loop_free(loop);
}

static void on_events(void *ctx, int32_t fd, uint32_t events)
{
    struct trace *trace = ctx;
    (void)fd;
    trace->events = events;
    note(trace, 'w');
}

struct watch_case {
    const char *name;
    const char *peer_does; /* "write", "nothing", "half" (close), "close" */
    uint32_t asked;
    uint32_t told; /* 0 = not called */
};

static const struct watch_case watch_cases[] = {
    {"readable", "write", CLOISTER_READABLE, CLOISTER_READABLE},
    {"not readable", "nothing", CLOISTER_READABLE, 0},
    {"writable", "nothing", CLOISTER_WRITABLE, CLOISTER_WRITABLE},
    {"both", "write", CLOISTER_READABLE | CLOISTER_WRITABLE, CLOISTER_READABLE | CLOISTER_WRITABLE},
    {"paused", "write", 0, 0},
    {"half-close reads as readable", "half", CLOISTER_READABLE, CLOISTER_READABLE},
    {"half-close is no hang-up", "half", CLOISTER_HANGUP, 0},
    {"data is no hang-up", "write", CLOISTER_HANGUP, 0},
    {"half-close does not disturb a writer", "half", CLOISTER_WRITABLE, CLOISTER_WRITABLE},
    {"close", "close", CLOISTER_HANGUP, CLOISTER_HANGUP},
};

static void watch_tells_what_was_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(watch_cases); i++) {
        const struct watch_case *test = &watch_cases[i];
        struct trace trace;
        int pair[2];
        begin(&trace, 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        CL_CHECK_INT(test->name, cl_watch_open(trace.loop, pair[0], test->asked, on_events, &trace, &trace.watch), 0);
        CL_CHECK_INT(test->name, trace.size, 0);
        if (!strcmp(test->peer_does, "write"))
            CL_CHECK_INT(test->name, write(pair[1], "x", 1), 1);
        if (!strcmp(test->peer_does, "half"))
            CL_CHECK_INT(test->name, shutdown(pair[1], SHUT_WR), 0);
        if (!strcmp(test->peer_does, "close"))
            close(pair[1]);
        cl_loop_run_pending(trace.loop, 1);
        CL_CHECK_INT(test->name, trace.size, test->told ? 1 : 0);
        CL_CHECK_INT(test->name, trace.events, test->told);
        cl_watch_close(trace.watch, note_closed, &trace);
        close(pair[0]);
        if (strcmp(test->peer_does, "close") != 0)
            close(pair[1]);
        end(&trace);
        CL_CHECK_STR(test->name, trace.text, test->told ? "wc" : "c");
    }
}

static void watch_is_level_triggered_and_pauses(void **state)
{
    (void)state;
    struct trace trace;
    int pair[2];
    begin(&trace, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(cl_watch_open(trace.loop, pair[0], CLOISTER_READABLE, on_events, &trace, &trace.watch), 0);
    cl_loop_run_pending(trace.loop, 3);
    assert_string_equal(trace.text, "www");
    assert_int_equal(cl_watch_update(trace.watch, 0), 0);
    cl_loop_run_pending(trace.loop, 3);
    assert_string_equal(trace.text, "www");
    assert_int_equal(cl_watch_update(trace.watch, CLOISTER_READABLE), 0);
    cl_loop_run_pending(trace.loop, 1);
    assert_string_equal(trace.text, "wwww");
    assert_int_equal(cl_watch_update(trace.watch, 1u << 9), -EINVAL);
    cl_watch_close(trace.watch, NULL, NULL);
    assert_int_equal(cl_watch_update(trace.watch, CLOISTER_READABLE), -ECANCELED);
    close(pair[0]);
    close(pair[1]);
    end(&trace);
}

/* libuv stops a handle at POLLERR: ours must go on telling, and tell what was asked. */
static void watch_survives_an_error(void **state)
{
    (void)state;
    struct trace trace;
    int fds[2];
    begin(&trace, 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(cl_watch_open(trace.loop, fds[1], CLOISTER_WRITABLE, on_events, &trace, &trace.watch), 0);
    close(fds[0]);
    cl_loop_run_pending(trace.loop, 2);
    assert_string_equal(trace.text, "ww");
    assert_int_equal(trace.events, CLOISTER_WRITABLE | CLOISTER_HANGUP);
    assert_int_equal(write(fds[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    cl_watch_close(trace.watch, NULL, NULL);
    close(fds[1]);
    end(&trace);
}

static void watch_refuses(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(cl_watch_open(trace.loop, -1, CLOISTER_READABLE, on_events, &trace, &trace.watch), -EINVAL);
    assert_int_equal(cl_watch_open(trace.loop, null, CLOISTER_READABLE, on_events, &trace, &trace.watch), -EPERM);
    assert_int_equal(cl_watch_open(trace.loop, pair[0], 1u << 3, on_events, &trace, &trace.watch), -EINVAL);
    assert_int_equal(cl_watch_open(trace.loop, pair[0], CLOISTER_READABLE, NULL, &trace, &trace.watch), -EINVAL);
    assert_int_equal(cl_watch_open(trace.loop, pair[0], CLOISTER_READABLE, on_events, &trace, &trace.watch), 0);
    cloister_watch *second;
    assert_int_equal(cl_watch_open(trace.loop, pair[0], CLOISTER_READABLE, on_events, &trace, &second), -EEXIST);
    cl_watch_close(trace.watch, NULL, NULL);
    close(null);
    close(pair[0]);
    close(pair[1]);
    end(&trace);
}

static void timer_fires_at_its_deadline(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 1);
    assert_int_equal(cl_timer_open(trace.loop, note_a, &trace, &trace.timer), 0);
    /* The loop's own time is old by now; a deadline must not be counted from it. */
    struct timespec pause = {0, 30000000};
    nanosleep(&pause, NULL);
    uint64_t deadline = cl_mono_ns() + 20 * CL_NS_PER_MS + 700000;
    assert_int_equal(cl_timer_set(trace.timer, deadline, 0), 0);
    cl_loop_run(trace.loop);
    uint64_t now = cl_mono_ns();
    assert_true(now >= deadline);
    assert_true(now < deadline + 500 * CL_NS_PER_MS);
    cl_timer_close(trace.timer, note_closed, &trace);
    assert_string_equal(trace.text, "a");
    end(&trace);
    assert_string_equal(trace.text, "ac");
}

static void timer_of_the_past_repeats_and_stops(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 3);
    assert_int_equal(cl_timer_open(trace.loop, note_a, &trace, &trace.timer), 0);
    assert_int_equal(cl_timer_set(trace.timer, 1, 2 * CL_NS_PER_MS), 0);
    assert_int_equal(trace.size, 0);
    cl_loop_run(trace.loop);
    assert_string_equal(trace.text, "aaa");
    assert_int_equal(cl_timer_stop(trace.timer), 0);
    struct timespec pause = {0, 10000000};
    nanosleep(&pause, NULL);
    cl_loop_run_pending(trace.loop, 5);
    assert_string_equal(trace.text, "aaa");
    assert_int_equal(cl_timer_set(trace.timer, UINT64_MAX, 0), 0);
    cl_loop_run_pending(trace.loop, 5);
    assert_string_equal(trace.text, "aaa");
    cl_timer_close(trace.timer, NULL, NULL);
    assert_int_equal(cl_timer_set(trace.timer, 1, 0), -ECANCELED);
    end(&trace);
}

struct job {
    struct trace *trace;
    char mark;
    bool worked;
    char thread[16];
};

static void work(void *ctx)
{
    struct job *job = ctx;
    sigset_t blocked;
    assert_false(cl_loop_on_thread(job->trace->loop));
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_true(sigismember(&blocked, SIGTERM));
    assert_int_equal(pthread_getname_np(pthread_self(), job->thread, sizeof(job->thread)), 0);
    job->worked = true;
}

static void job_done(void *ctx)
{
    struct job *job = ctx;
    assert_true(job->worked);
    note(job->trace, job->mark);
}

static void queue_of_one_keeps_order(void **state)
{
    (void)state;
    struct trace trace;
    struct job jobs[26];
    begin(&trace, CL_COUNT(jobs) + 1);
    assert_int_equal(cl_queue_open(trace.loop, "a-very-long-queue-name", 1, &trace.queue), 0);
    for (size_t i = 0; i < CL_COUNT(jobs); i++) {
        jobs[i] = (struct job){&trace, (char)('A' + i), false, ""};
        assert_int_equal(cl_queue_job(trace.queue, work, job_done, &jobs[i]), 0);
    }
    /* Close finishes what was queued, and says so last. */
    cl_queue_close(trace.queue, note_closed, &trace);
    assert_int_equal(trace.size, 0);
    assert_int_equal(cl_queue_job(trace.queue, work, job_done, &jobs[0]), -ECANCELED);
    cl_loop_run(trace.loop);
    assert_string_equal(trace.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZc");
    assert_string_equal(jobs[0].thread, "a-very-long-que");
    end(&trace);
}

static void queue_without_jobs_closes_later(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 1);
    assert_int_equal(cl_queue_open(trace.loop, "idle", 0, &trace.queue), -EINVAL);
    assert_int_equal(cl_queue_open(trace.loop, "idle", 17, &trace.queue), -EINVAL);
    assert_int_equal(cl_queue_open(trace.loop, "", 1, &trace.queue), -EINVAL);
    assert_int_equal(cl_queue_open(trace.loop, "idle", 16, &trace.queue), 0);
    cl_queue_close(trace.queue, note_closed, &trace);
    assert_int_equal(trace.size, 0);
    cl_loop_run(trace.loop);
    assert_string_equal(trace.text, "c");
    end(&trace);
}

/* Each waits until all are there: only as many threads as jobs can do that. */
struct meeting {
    struct trace trace;
    pthread_barrier_t barrier;
};

static void meet(void *ctx)
{
    struct meeting *meeting = ctx;
    (void)pthread_barrier_wait(&meeting->barrier);
}

static void met(void *ctx)
{
    struct meeting *meeting = ctx;
    note(&meeting->trace, 'm');
}

static void queue_of_many_works_side_by_side(void **state)
{
    (void)state;
    struct meeting meeting;
    begin(&meeting.trace, 4);
    assert_int_equal(pthread_barrier_init(&meeting.barrier, NULL, 4), 0);
    assert_int_equal(cl_queue_open(meeting.trace.loop, "many", 4, &meeting.trace.queue), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(cl_queue_job(meeting.trace.queue, meet, met, &meeting), 0);
    cl_loop_run(meeting.trace.loop);
    assert_string_equal(meeting.trace.text, "mmmm");
    meeting.trace.stop_at = 5;
    cl_queue_close(meeting.trace.queue, note_closed, &meeting.trace);
    cl_loop_run(meeting.trace.loop);
    assert_string_equal(meeting.trace.text, "mmmmc");
    pthread_barrier_destroy(&meeting.barrier);
    end(&meeting.trace);
}

/* O9: a blocked queue delays neither another queue nor the loop. */
static void wait_for_byte(void *ctx)
{
    const int *fds = ctx;
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 1);
}

static void no_done(void *ctx)
{
    (void)ctx;
}

static void blocked_queue_delays_nobody(void **state)
{
    (void)state;
    struct trace trace;
    int fds[2];
    cloister_queue *blocked;
    begin(&trace, 2);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct job job = {&trace, 'j', false, ""};
    assert_int_equal(cl_queue_open(trace.loop, "blocked", 1, &blocked), 0);
    assert_int_equal(cl_queue_open(trace.loop, "free", 1, &trace.queue), 0);
    assert_int_equal(cl_queue_job(blocked, wait_for_byte, no_done, fds), 0);
    assert_int_equal(cl_queue_job(trace.queue, work, job_done, &job), 0);
    assert_int_equal(cl_loop_post(trace.loop, note_a, &trace), 0);
    cl_loop_run(trace.loop);
    assert_int_equal(trace.size, 2);
    trace.stop_at = 4;
    cl_queue_close(blocked, note_closed, &trace);
    cl_queue_close(trace.queue, note_closed, &trace);
    assert_int_equal(write(fds[1], "x", 1), 1);
    cl_loop_run(trace.loop);
    assert_int_equal(trace.size, 4);
    close(fds[0]);
    close(fds[1]);
    end(&trace);
}

static void sleep_a_while(void *ctx)
{
    (void)ctx;
    struct timespec pause = {0, 50000000};
    nanosleep(&pause, NULL);
}

/* Teardown: whoever closes a queue and lets the loop run out finds it closed, however long its last job takes. */
static void pending_waits_for_a_closing_queue(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 9);
    assert_int_equal(cl_queue_open(trace.loop, "slow", 1, &trace.queue), 0);
    assert_int_equal(cl_queue_job(trace.queue, sleep_a_while, note_a, &trace), 0);
    cl_queue_close(trace.queue, note_closed, &trace);
    cl_loop_stop(trace.loop);
    cl_loop_run_pending(trace.loop, 20);
    assert_string_equal(trace.text, "ac");
    end(&trace);
}

static void queue_needs_memory(void **state)
{
    (void)state;
    struct trace trace;
    struct job job = {&trace, 'j', false, ""};
    begin(&trace, 1);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_queue_open(trace.loop, "q", 1, &trace.queue), -ENOMEM);
    assert_int_equal(cl_queue_open(trace.loop, "q", 1, &trace.queue), 0);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_queue_job(trace.queue, work, job_done, &job), -ENOMEM);
    cl_queue_close(trace.queue, note_closed, &trace);
    cl_loop_run(trace.loop);
    assert_string_equal(trace.text, "c");
    end(&trace);
}

static void on_signal(void *ctx, int signo)
{
    note(ctx, signo == SIGUSR1 ? '1' : '2');
}

static void signals_arrive_even_if_they_were_blocked(void **state)
{
    (void)state;
    struct trace trace;
    sigset_t set;
    begin(&trace, 2);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(cl_loop_signal(trace.loop, SIGUSR1, on_signal, &trace), 0);
    assert_int_equal(cl_loop_signal(trace.loop, SIGUSR2, on_signal, &trace), 0);
    assert_int_equal(cl_loop_signal(trace.loop, SIGKILL, on_signal, &trace), -EINVAL);
    assert_int_equal(kill(getpid(), SIGUSR2), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(trace.size, 0);
    cl_loop_run(trace.loop);
    assert_non_null(strchr(trace.text, '1'));
    assert_non_null(strchr(trace.text, '2'));
    end(&trace);
}

/* A stop that no run has met must not keep free from closing what is open. */
static void free_after_a_stop(void **state)
{
    (void)state;
    struct trace trace;
    begin(&trace, 0);
    assert_int_equal(cl_timer_open(trace.loop, note_a, &trace, &trace.timer), 0);
    cl_timer_close(trace.timer, note_closed, &trace);
    cl_loop_stop(trace.loop);
    cl_loop_run_pending(trace.loop, 5);
    assert_string_equal(trace.text, "c");
    cl_loop_stop(trace.loop);
    assert_null(cl_loop_free(trace.loop));
    assert_null(cl_loop_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_later_and_in_order),
        cmocka_unit_test(post_needs_memory),
        cmocka_unit_test(tasks_can_be_taken_back),
        cmocka_unit_test(posts_of_other_threads_keep_their_order),
        cmocka_unit_test(watch_tells_what_was_asked),
        cmocka_unit_test(watch_is_level_triggered_and_pauses),
        cmocka_unit_test(watch_survives_an_error),
        cmocka_unit_test(watch_refuses),
        cmocka_unit_test(timer_fires_at_its_deadline),
        cmocka_unit_test(timer_of_the_past_repeats_and_stops),
        cmocka_unit_test(queue_of_one_keeps_order),
        cmocka_unit_test(queue_without_jobs_closes_later),
        cmocka_unit_test(queue_of_many_works_side_by_side),
        cmocka_unit_test(blocked_queue_delays_nobody),
        cmocka_unit_test(pending_waits_for_a_closing_queue),
        cmocka_unit_test(queue_needs_memory),
        cmocka_unit_test(signals_arrive_even_if_they_were_blocked),
        cmocka_unit_test(free_after_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
