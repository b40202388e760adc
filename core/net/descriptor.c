/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port that is a descriptor. Regular files and some devices cannot be watched (epoll refuses them with EPERM): they
 * are always ready, and their turns come as tasks of the loop, one after the other like everybody's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "core/net/room.h"
#include "core/util/fd.h"
#include "core/util/mem.h"

static ssize_t receive(cloister_stream *stream, void *buffer, size_t size, struct cl_raw_fds *ret_fds)
{
    ssize_t got = cl_raw_receive(stream->fd, stream->kind == CL_PORT_SOCKET, buffer, size, ret_fds);
    return got == -EIO && stream->terminal ? 0 : got; /* a terminal whose last other end has been closed */
}

static ssize_t send_out(cloister_stream *stream, const struct iovec *iov, int count)
{
    return cl_raw_send(stream->fd, stream->kind == CL_PORT_SOCKET, iov, count);
}

static void shut(cloister_stream *stream, uint32_t sides)
{
    if (stream->kind == CL_PORT_SOCKET)
        (void)shutdown(stream->fd, sides == CLOISTER_SHUT_WR ? SHUT_WR : SHUT_RD);
}

static void want(cloister_stream *stream, uint32_t events)
{
    stream->wanted = events;
    if (stream->watch)
        (void)cl_watch_update(stream->watch, events);
    else if (events & stream->ready)
        cl_task_defer(stream->loop, &stream->task);
}

static uint32_t holding(cloister_stream *stream)
{
    return stream->wanted & stream->ready;
}

/* Over TCP a plain close ends in FIN: what was cut would look complete. */
static void reset_if_cut(const cloister_stream *stream)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (stream->aborted && stream->tells_half_close)
        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void close_port(cloister_stream *stream)
{
    if (stream->watch) {
        stream->parts++;
        cl_watch_close(stream->watch, cl_stream_part_closed, stream);
    }
    reset_if_cut(stream);
    cl_closep(&stream->fd);
}

static const struct cl_port descriptor_port = {
    .receive = receive,
    .send = send_out,
    .shut = shut,
    .want = want,
    .holding = holding,
    .close = close_port,
};

static enum cl_port_kind kind_of(mode_t mode)
{
    if (S_ISSOCK(mode))
        return CL_PORT_SOCKET;
    return S_ISFIFO(mode) ? CL_PORT_PIPE : CL_PORT_OTHER;
}

static bool half_close_hides(int fd)
{
    int domain = AF_UNIX;
    socklen_t size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

static void on_ready(void *ctx, int32_t fd, uint32_t events)
{
    (void)fd;
    cl_stream_events(ctx, events);
}

/* O_NONBLOCK is the open file's, and whoever gave it to us may share it and take it away: then a send waits no longer
 * than this. */
static void bound_waiting(int fd)
{
    const struct timeval most = {.tv_usec = 50000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
}

int cl_stream_from_fd(struct cl_loop *loop, int fd, cloister_stream **ret)
{
    CL_CLOSE int owned = fd;
    struct stat status;
    if (fstat(owned, &status) < 0 || fcntl(owned, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    int result = cl_fd_set_nonblock(owned);
    if (result < 0)
        return result;
    CL_FREE cloister_stream *stream = cl_stream_new(loop, &descriptor_port, kind_of(status.st_mode));
    if (!stream)
        return -ENOMEM;
    if (stream->kind == CL_PORT_SOCKET)
        bound_waiting(owned);
    stream->tells_half_close = stream->kind == CL_PORT_SOCKET && half_close_hides(owned);
    stream->terminal = S_ISCHR(status.st_mode) && isatty(owned);
    result = cl_watch_open(loop, owned, 0, on_ready, stream, &stream->watch);
    if (result == -EPERM)
        stream->ready = CLOISTER_READABLE | CLOISTER_WRITABLE;
    else if (result < 0)
        return result;
    stream->fd = cl_steal_fd(&owned);
    *ret = cl_steal_ptr(&stream);
    return 0;
}
