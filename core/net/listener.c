/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener turns knocks into streams with a known peer. It is bound and listening before recovery, so that nobody is
 * refused while the daemon finds its sandboxes again, and starts to accept when told. Who may come in at all is decided
 * by the file's mode; how many, here: connections are counted as a whole and by uid, and the one too many is accepted
 * and closed at once, so that it does not wait in the backlog for nothing. When descriptors run out, accepting would
 * fail and the socket stay readable for ever: a spare descriptor is given up to shed one connection, and then we rest
 * for a moment.
 */
#include "core/net/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/loop/task.h"
#include "core/net/peer.h"
#include "core/net/socket_file.h"
#include "core/net/stream.h"
#include "core/util/fd.h"
#include "core/util/map.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/util/time.h"

#define BACKLOG 1024
#define TURN_ACCEPTS 64
#define REST_NS (100 * CL_NS_PER_MS)

struct uid_count {
    unsigned connections;
};

struct cl_listener {
    struct cl_loop *loop;
    int fd;
    int spare;
    char *address;              /* for log lines */
    struct cl_socket_file file; /* of unix: addresses */
    unsigned max_connections;
    unsigned max_per_uid;
    unsigned connections;
    unsigned limited;   /* of them, those of other users than root */
    struct cl_map uids; /* uid -> struct uid_count, while it has connections */
    uint64_t refused;
    bool full; /* said so already */
    cloister_watch *watch;
    cloister_timer *rest;
    cl_accept_fn fn;
    void *ctx;
    bool closing;
    unsigned handles; /* of closing: parts not yet closed */
    struct cl_task close_task;
    cloister_fn closed;
    void *closed_ctx;
};

/* The rest of an address behind its scheme, NULL if it has another one. */
static const char *after(const char *address, const char *scheme)
{
    size_t size = strlen(scheme);
    return strncmp(address, scheme, size) == 0 ? address + size : NULL;
}

static int get_socket(const struct cl_listen_args *args, struct cl_socket_file *ret_file, int *ret_fd,
                      struct cloister_error *err)
{
    struct cl_handed none = {0};
    const char *path = after(args->address, "unix:");
    const char *name = after(args->address, "fd:");
    if (path)
        return cl_socket_file_listen(path, args->mode, args->group, BACKLOG, ret_file, ret_fd, err);
    if (name)
        return cl_handed_claim(args->handed ? args->handed : &none, name, ret_fd, err);
    return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, args->address, "address",
                        "only unix:/path and fd:NAME addresses are supported");
}

int cl_listener_open(struct cl_loop *loop, const struct cl_listen_args *args, struct cl_listener **ret,
                     struct cloister_error *err)
{
    CL_FREE struct cl_listener *listener = cl_new(struct cl_listener);
    CL_FREE char *address = cl_strdup(args->address);
    if (!listener || !address)
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "listen", "listen on '%s'", args->address);
    listener->loop = loop;
    listener->max_connections = args->max_connections;
    listener->max_per_uid = args->max_per_uid;
    CL_CLOSE int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (spare < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "listen", "listen on '%s': open /dev/null", args->address);
    int result = get_socket(args, &listener->file, &listener->fd, err);
    if (result < 0) {
        cl_error_wrap(err, "listen on '%s'", args->address);
        return result;
    }
    listener->spare = cl_steal_fd(&spare);
    listener->address = cl_steal_ptr(&address);
    *ret = cl_steal_ptr(&listener);
    return 0;
}

/* False when the peer has reached a limit. Root's connections are not among those that the common limit counts: else
 * others could use it up and lock root out. Its own limit holds for root too. */
static bool count_in(struct cl_listener *listener, uid_t uid, const char **ret_why)
{
    struct uid_count *count = cl_map_get_u64(&listener->uids, uid);
    *ret_why = "there are already as many connections as allowed";
    if (uid != 0 && listener->max_connections && listener->limited >= listener->max_connections)
        return false;
    *ret_why = "that user has already as many connections as allowed";
    if (count && listener->max_per_uid && count->connections >= listener->max_per_uid)
        return false;
    *ret_why = "no memory";
    if (!count) {
        count = cl_new(struct uid_count);
        if (!count || cl_map_put_u64(&listener->uids, uid, count) < 0) {
            free(count);
            return false;
        }
    }
    count->connections++;
    listener->connections++;
    listener->limited += uid != 0;
    return true;
}

static void count_out(struct cl_listener *listener, uid_t uid)
{
    struct uid_count *count = cl_map_get_u64(&listener->uids, uid);
    assert(count && count->connections > 0);
    listener->connections--;
    listener->limited -= uid != 0;
    listener->full = false;
    if (--count->connections == 0)
        free(cl_map_remove_u64(&listener->uids, uid));
}

static void refuse(struct cl_listener *listener, const struct cl_peer *peer, const char *why)
{
    listener->refused++;
    if (!listener->full)
        cl_log(CL_LOG_WARN, "net", "%s: refused a connection of uid %u, pid %d: %s (%llu refused so far)",
               listener->address, (unsigned)peer->uid, (int)peer->pid, why, (unsigned long long)listener->refused);
    listener->full = true; /* until somebody leaves: a flood of knocks is not a flood of lines */
}

static void welcome(struct cl_listener *listener, int fd)
{
    CL_CLOSE int owned = fd;
    struct cl_peer peer;
    cloister_stream *stream;
    const char *why;
    int result = cl_peer_read(owned, &peer);
    if (result < 0) {
        cl_log(CL_LOG_WARN, "net", "%s: read the peer's credentials: %s", listener->address, strerror(-result));
        return;
    }
    if (!count_in(listener, peer.uid, &why)) {
        refuse(listener, &peer, why);
        return;
    }
    result = cl_stream_from_fd(listener->loop, cl_steal_fd(&owned), &stream);
    if (result < 0) {
        cl_log(CL_LOG_WARN, "net", "%s: make a stream: %s", listener->address, strerror(-result));
        count_out(listener, peer.uid);
        return;
    }
    listener->fn(listener->ctx, stream, &peer);
}

/* Sheds the connection at the head of the backlog and stops looking for a while. */
static void run_out(struct cl_listener *listener, int error)
{
    cl_log(CL_LOG_WARN, "net", "%s: accept: %s; resting for 100 ms", listener->address, strerror(error));
    if (listener->spare >= 0 && (error == EMFILE || error == ENFILE)) {
        cl_closep(&listener->spare);
        CL_CLOSE int shed = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (shed >= 0)
            listener->refused++;
        cl_closep(&shed);
        listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    (void)cl_watch_update(listener->watch, 0);
    (void)cl_timer_set(listener->rest, cl_mono_ns() + REST_NS, 0);
}

static void on_rested(void *ctx)
{
    struct cl_listener *listener = ctx;
    if (listener->spare < 0)
        listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)cl_watch_update(listener->watch, CLOISTER_READABLE);
}

static void on_knock(void *ctx, int32_t fd, uint32_t events)
{
    struct cl_listener *listener = ctx;
    (void)events;
    for (int i = 0; i < TURN_ACCEPTS && !listener->closing; i++) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer >= 0) {
            welcome(listener, peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN)
            run_out(listener, errno);
        return;
    }
}

int cl_listener_accept(struct cl_listener *listener, cl_accept_fn fn, void *ctx)
{
    assert(!listener->closing && !listener->watch);
    listener->fn = fn;
    listener->ctx = ctx;
    int result = listener->rest ? 0 : cl_timer_open(listener->loop, on_rested, listener, &listener->rest);
    if (result < 0)
        return result;
    return cl_watch_open(listener->loop, listener->fd, CLOISTER_READABLE, on_knock, listener, &listener->watch);
}

static void free_if_done(struct cl_listener *listener)
{
    if (!listener->closing || listener->handles > 0 || listener->connections > 0)
        return;
    cl_map_free(&listener->uids);
    free(listener->address);
    free(listener);
}

uint64_t cl_listener_refused(const struct cl_listener *listener)
{
    return listener->refused;
}

void cl_listener_release(struct cl_listener *listener, uid_t uid)
{
    count_out(listener, uid);
    free_if_done(listener);
}

static void on_part_closed(void *ctx)
{
    struct cl_listener *listener = ctx;
    if (--listener->handles > 0)
        return;
    cloister_fn closed = listener->closed;
    void *closed_ctx = listener->closed_ctx;
    free_if_done(listener);
    if (closed)
        closed(closed_ctx);
}

void cl_listener_close(struct cl_listener *listener, cloister_fn closed, void *ctx)
{
    assert(!listener->closing);
    listener->closing = true;
    listener->closed = closed;
    listener->closed_ctx = ctx;
    cl_socket_file_remove(&listener->file); /* nothing, if the socket was handed over */
    /* Before accept there is neither watch nor timer: the task alone makes closed come later. */
    listener->handles = 1u + (listener->watch != NULL) + (listener->rest != NULL);
    cl_task_init(&listener->close_task, on_part_closed, listener);
    cl_task_defer(listener->loop, &listener->close_task);
    if (listener->watch)
        cl_watch_close(listener->watch, on_part_closed, listener);
    if (listener->rest)
        cl_timer_close(listener->rest, on_part_closed, listener);
    cl_closep(&listener->fd);
    cl_closep(&listener->spare);
}
