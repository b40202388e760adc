/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon must never fork: it is big, it has threads, and what it holds open would be the container's. So before any
 * of that is true it starts one small program, from a sealed copy in memory, and from then on asks that one. The zygote
 * makes processes of the roles it knows; each request carries the descriptors the new process is to have and is
 * answered by its pidfd. Requests are answered in order, so the answer at hand always belongs to the oldest one, and
 * the serial only proves it. What the zygote says is checked like any other peer's: one that breaks the protocol counts
 * as dead. If it dies, all waiting requests fail and the owner is told once; the processes it made live on, because
 * they are their own.
 */
#include "core/zygote/zygote.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/loop/task.h"
#include "core/net/raw.h"
#include "core/util/fd.h"
#include "core/util/list.h"
#include "core/util/mem.h"
#include "core/util/time.h"
#include "core/zygote/launch.h"
#include "core/zygote/program.h"
#include "core/zygote/room.h"

#define REQUESTS_MAX 4096u
#define EXIT_NS (1 * CL_NS_PER_S) /* what close grants the zygote to exit */
#define DEATH_MS \
    100 /* a process closes its files a moment before its exit shows; nothing can go on without it anyway */
#define HOW_MAX 64

struct request {
    struct cl_list node;
    struct cloister_zygote_fork message;
    int fds[CLOISTER_ZYGOTE_FDS_MAX]; /* while unsent: the role's socket, then duplicates of the caller's */
    size_t fd_count;
    int socket; /* our end */
    cl_zygote_forked_fn fn;
    void *ctx;
};

struct cl_zygote {
    struct cl_loop *loop;
    int pid;
    int pidfd;
    int socket;
    cloister_watch *watch; /* of the socket */
    void (*died)(void *ctx);
    void *died_ctx;
    bool dead;
    uint64_t serial;
    size_t requests;
    struct cl_list unsent;
    struct cl_list sent;
    struct cl_helpers helpers;

    bool closing;
    unsigned handles;
    struct cl_task close_task;
    cloister_watch *exit_watch; /* of the pidfd, while closing */
    cloister_timer *exit_timer;
    cloister_fn closed;
    void *closed_ctx;
};

int cl_zygote_start(const char *path, struct cl_zygote **ret, struct cloister_error *err)
{
    struct cl_launched launched = {.pidfd = -1, .socket = -1};
    CL_CLOSE int program = -1;
    CL_FREE struct cl_zygote *zygote = cl_new(struct cl_zygote);
    int result = zygote ? 0 : cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "zygote", "remember it");
    if (result == 0)
        result = cl_program_seal(path, &program, err);
    if (result == 0)
        result = cl_launch(program, path, &launched, err);
    if (result < 0) {
        cl_error_wrap(err, "start the keeper program");
        return result;
    }
    zygote->pid = launched.pid;
    zygote->pidfd = launched.pidfd;
    zygote->socket = launched.socket;
    cl_list_init(&zygote->unsent);
    cl_list_init(&zygote->sent);
    cl_helpers_init(&zygote->helpers);
    *ret = cl_steal_ptr(&zygote);
    return 0;
}

struct cl_loop *cl_zygote_loop(const struct cl_zygote *zygote)
{
    return zygote->loop;
}

struct cl_helpers *cl_zygote_helpers(struct cl_zygote *zygote)
{
    return &zygote->helpers;
}

/* Takes the request out of its list, answers it and frees it. */
static void complete(struct cl_zygote *zygote, struct request *request, int32_t result, const char *step, int32_t pid,
                     int32_t pidfd)
{
    cl_list_remove(&request->node);
    zygote->requests--;
    for (size_t i = 0; i < request->fd_count; i++)
        (void)close(request->fds[i]);
    if (result < 0)
        cl_closep(&request->socket);
    cl_zygote_forked_fn fn = request->fn;
    void *ctx = request->ctx;
    int socket = request->socket;
    free(request);
    fn(ctx, result, step, pid, pidfd, socket);
}

/* A callback may ask for more, which a dead or closing zygote refuses: so this ends. */
static void fail_all(struct cl_zygote *zygote, int32_t result)
{
    struct cl_list *first;
    while ((first = cl_list_first(&zygote->sent)) || (first = cl_list_first(&zygote->unsent)))
        complete(zygote, CL_CONTAINER(first, struct request, node), result, "zygote", 0, -1);
}

static void die(struct cl_zygote *zygote, const char *why)
{
    char how[HOW_MAX];
    zygote->dead = true;
    (void)shutdown(zygote->socket, SHUT_RDWR); /* one that only misbehaves takes this as its end */
    (void)cl_watch_update(zygote->watch, 0);
    cl_launch_reap(zygote->pidfd, DEATH_MS, how, sizeof(how));
    cl_log(CL_LOG_ERROR, "zygote", "the zygote (pid %d) has gone: %s: %s", zygote->pid, why, how);
    fail_all(zygote, -EPIPE);
    if (!zygote->closing && zygote->died)
        zygote->died(zygote->died_ctx);
}

/* 0 when the kernel has it, -EAGAIN, or another negative errno. */
static int send_request(const struct cl_zygote *zygote, const struct request *request, const int *fds, size_t fd_count)
{
    int result = cl_raw_send_message(zygote->socket, &request->message, sizeof(request->message), fds, fd_count);
    return result == -ENOBUFS || result == -ETOOMANYREFS ? -EAGAIN : result;
}

static void drop_fds(struct request *request)
{
    for (size_t i = 0; i < request->fd_count; i++)
        (void)close(request->fds[i]);
    request->fd_count = 0;
}

static void send_waiting(struct cl_zygote *zygote)
{
    struct cl_list *first;
    while (!zygote->dead && (first = cl_list_first(&zygote->unsent))) {
        struct request *request = CL_CONTAINER(first, struct request, node);
        int result = send_request(zygote, request, request->fds, request->fd_count);
        if (result == -EAGAIN)
            return;
        if (result < 0) {
            complete(zygote, request, result, "send", 0, -1);
            continue;
        }
        drop_fds(request);
        cl_list_remove(&request->node);
        cl_list_append(&zygote->sent, &request->node);
    }
}

static void want(struct cl_zygote *zygote)
{
    uint32_t events = CLOISTER_READABLE;
    if (zygote->dead || zygote->closing)
        return;
    if (!cl_list_empty(&zygote->unsent))
        events |= CLOISTER_WRITABLE;
    (void)cl_watch_update(zygote->watch, events);
}

/* NULL, or what is wrong with the answer. */
static const char *check_answer(const struct cl_zygote *zygote, const struct cloister_zygote_forked *answer,
                                size_t size, const struct cl_raw_fds *fds)
{
    const struct cl_list *first = cl_list_first(&zygote->sent);
    if (size != sizeof(*answer) || answer->struct_size != sizeof(*answer) || answer->magic != CLOISTER_ZYGOTE_MAGIC)
        return "its answer is malformed";
    if (!first || CL_CONTAINER(first, struct request, node)->message.serial != answer->serial)
        return "it answered a request that is not the oldest";
    if (!memchr(answer->step, 0, sizeof(answer->step)) || answer->os_errno < 0)
        return "its answer is malformed";
    if (!fds->lost && fds->count != (answer->os_errno == 0 ? 1u : 0u))
        return "its answer has not the descriptors it must have";
    return NULL;
}

static void on_answer(struct cl_zygote *zygote, const struct cloister_zygote_forked *answer, struct cl_raw_fds *fds)
{
    struct request *request = CL_CONTAINER(cl_list_first(&zygote->sent), struct request, node);
    if (answer->os_errno != 0)
        complete(zygote, request, -answer->os_errno, answer->step, 0, -1);
    else if (fds->lost) /* no number free for the pidfd: closing our end of its socket ends the new process */
        complete(zygote, request, -EMFILE, "pidfd", 0, -1);
    else
        complete(zygote, request, 0, answer->step, answer->pid, fds->fds[0]);
}

static void receive(struct cl_zygote *zygote)
{
    while (!zygote->dead && !zygote->closing) {
        struct cloister_zygote_forked answer = {0};
        struct cl_raw_fds fds;
        ssize_t got = cl_raw_receive(zygote->socket, true, &answer, sizeof(answer), &fds);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            die(zygote, got == 0 ? "it closed its socket" : strerror((int)-got));
            return;
        }
        const char *wrong = check_answer(zygote, &answer, (size_t)got, &fds);
        if (wrong) {
            cl_raw_fds_close(&fds);
            die(zygote, wrong);
            return;
        }
        on_answer(zygote, &answer, &fds);
    }
}

static void on_ready(void *ctx, int32_t fd, uint32_t events)
{
    struct cl_zygote *zygote = ctx;
    (void)fd;
    if (events & CLOISTER_WRITABLE)
        send_waiting(zygote);
    if (events & (CLOISTER_READABLE | CLOISTER_HANGUP))
        receive(zygote);
    want(zygote);
}

int cl_zygote_attach(struct cl_zygote *zygote, struct cl_loop *loop, void (*died)(void *ctx), void *ctx)
{
    assert(!zygote->loop);
    int result = cl_fd_set_nonblock(zygote->socket);
    if (result == 0)
        result = cl_watch_open(loop, zygote->socket, CLOISTER_READABLE, on_ready, zygote, &zygote->watch);
    if (result < 0)
        return result;
    zygote->loop = loop;
    zygote->died = died;
    zygote->died_ctx = ctx;
    return 0;
}

/* The kernel takes it, or it waits with duplicates of the descriptors. all[0] is the role's socket. */
static int send_or_wait(struct cl_zygote *zygote, struct request *request, const int *all, size_t count)
{
    int result = cl_list_empty(&zygote->unsent) ? send_request(zygote, request, all, count) : -EAGAIN;
    if (result == 0) {
        cl_list_append(&zygote->sent, &request->node);
        return 0;
    }
    if (result != -EAGAIN)
        return result;
    for (; request->fd_count < count; request->fd_count++) {
        int copy = cl_fd_dup(all[request->fd_count]);
        if (copy < 0) {
            drop_fds(request);
            return copy;
        }
        request->fds[request->fd_count] = copy;
    }
    cl_list_append(&zygote->unsent, &request->node);
    return 0;
}

static int new_request(struct cl_zygote *zygote, const char *role, struct request **ret)
{
    size_t size = strlen(role);
    if (size == 0 || size >= CLOISTER_ZYGOTE_ROLE_MAX)
        return -EINVAL;
    struct request *request = cl_new(struct request);
    if (!request)
        return -ENOMEM;
    request->message.struct_size = sizeof(request->message);
    request->message.magic = CLOISTER_ZYGOTE_MAGIC;
    request->message.serial = ++zygote->serial;
    memcpy(request->message.role, role, size);
    cl_list_init(&request->node);
    *ret = request;
    return 0;
}

int cl_zygote_fork(struct cl_zygote *zygote, const char *role, const int *fds, size_t fd_count, cl_zygote_forked_fn fn,
                   void *ctx)
{
    int all[CLOISTER_ZYGOTE_FDS_MAX];
    int pair[2];
    CL_FREE struct request *request = NULL;
    assert(zygote->loop);
    if (zygote->closing)
        return -ECANCELED;
    if (zygote->dead)
        return -EPIPE;
    if (fd_count >= CLOISTER_ZYGOTE_FDS_MAX)
        return -E2BIG;
    if (zygote->requests >= REQUESTS_MAX)
        return -EBUSY;
    int result = new_request(zygote, role, &request);
    if (result < 0)
        return result;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    CL_CLOSE int ours = pair[0];
    CL_CLOSE int theirs = pair[1];
    result = cl_fd_set_nonblock(ours);
    if (result < 0)
        return result;
    all[0] = theirs;
    if (fd_count > 0)
        memcpy(all + 1, fds, fd_count * sizeof(*fds));
    result = send_or_wait(zygote, request, all, fd_count + 1);
    if (result < 0)
        return result;
    request->socket = cl_steal_fd(&ours);
    request->fn = fn;
    request->ctx = ctx;
    zygote->requests++;
    request = NULL; /* its list owns it */
    want(zygote);
    return 0;
}

static void on_part_closed(void *ctx)
{
    struct cl_zygote *zygote = ctx;
    if (--zygote->handles > 0)
        return;
    cloister_fn closed = zygote->closed;
    void *closed_ctx = zygote->closed_ctx;
    cl_closep(&zygote->pidfd);
    free(zygote);
    if (closed)
        closed(closed_ctx);
}

/* Reaped or out of patience: what is left to close goes. */
static void end_close(struct cl_zygote *zygote)
{
    char how[HOW_MAX];
    cl_launch_reap(zygote->pidfd, 0, how, sizeof(how));
    cl_log(CL_LOG_DEBUG, "zygote", "the zygote (pid %d) was let go: %s", zygote->pid, how);
    if (zygote->exit_watch)
        cl_watch_close(zygote->exit_watch, on_part_closed, zygote);
    if (zygote->exit_timer)
        cl_timer_close(zygote->exit_timer, on_part_closed, zygote);
    cl_watch_close(zygote->watch, on_part_closed, zygote);
    cl_closep(&zygote->socket);
}

static void on_exit_ready(void *ctx, int32_t fd, uint32_t events)
{
    (void)fd;
    (void)events;
    end_close(ctx);
}

static void on_exit_timer(void *ctx)
{
    end_close(ctx);
}

static void on_close_task(void *ctx)
{
    struct cl_zygote *zygote = ctx;
    fail_all(zygote, -ECANCELED);
    zygote->handles = 2;
    cl_helpers_close(&zygote->helpers, on_part_closed, zygote);
    if (zygote->dead || cl_timer_open(zygote->loop, on_exit_timer, zygote, &zygote->exit_timer) < 0) {
        end_close(zygote);
        return;
    }
    zygote->handles++;
    (void)cl_timer_set(zygote->exit_timer, cl_mono_ns() + EXIT_NS, 0);
    if (cl_watch_open(zygote->loop, zygote->pidfd, CLOISTER_READABLE, on_exit_ready, zygote, &zygote->exit_watch) == 0)
        zygote->handles++;
}

/* Without a loop nothing waits and nobody can be called later. */
static void close_unattached(struct cl_zygote *zygote, cloister_fn closed, void *ctx)
{
    char how[HOW_MAX];
    cl_closep(&zygote->socket);
    cl_launch_reap(zygote->pidfd, (int)(EXIT_NS / CL_NS_PER_MS), how, sizeof(how));
    cl_closep(&zygote->pidfd);
    free(zygote);
    if (closed)
        closed(ctx);
}

void cl_zygote_close(struct cl_zygote *zygote, cloister_fn closed, void *ctx)
{
    assert(!zygote->closing);
    if (!zygote->loop) {
        close_unattached(zygote, closed, ctx);
        return;
    }
    zygote->closing = true;
    zygote->closed = closed;
    zygote->closed_ctx = ctx;
    (void)shutdown(zygote->socket, SHUT_RDWR);
    (void)cl_watch_update(zygote->watch, 0);
    cl_task_init(&zygote->close_task, on_close_task, zygote);
    cl_task_defer(zygote->loop, &zygote->close_task);
}
