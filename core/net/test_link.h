/* SPDX-License-Identifier: Apache-2.0 */
/* test_link.h - a stream under test with its far end, for the tests of core/net. */
#ifndef CL_CORE_NET_TEST_LINK_H
#define CL_CORE_NET_TEST_LINK_H

#include "core/net/stream.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util/check.h"
#include "core/util/sv.h"

#define KEPT (4u << 20)

/* A stream under test, its far end, and what its callbacks saw. */
struct link {
    struct cl_loop *loop;
    cloister_stream *stream;
    int peer;
    char *got;
    size_t size;
    unsigned calls;
    int32_t fds[8];
    uint32_t fd_count;
    uint32_t verdict;
    int32_t end_errno;
    unsigned ends;
    unsigned gones;
    int32_t gone_errno;
    unsigned drains;
    unsigned closes;
    char inside; /* what data does: '.' nothing, 's' stop, 'a' abort, 'f' finish, 'u' unread once, 'w' answer */
};

static inline void on_closed(void *ctx)
{
    struct link *link = ctx;
    link->closes++;
}

static inline void on_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count)
{
    struct link *link = ctx;
    assert_true(link->size + bytes.size <= KEPT);
    assert_int_equal(link->ends, 0);
    memcpy(link->got + link->size, bytes.data, bytes.size);
    link->size += bytes.size;
    link->calls++;
    for (uint32_t i = 0; i < fd_count; i++) {
        assert_true(link->fd_count < CL_COUNT(link->fds));
        link->fds[link->fd_count++] = fds[i];
    }
    if (link->inside == 's')
        assert_int_equal(cl_stream_read_stop(link->stream), 0);
    if (link->inside == 'a')
        cl_stream_abort(link->stream, on_closed, link);
    if (link->inside == 'f')
        cl_stream_finish(link->stream, on_closed, link);
    if (link->inside == 'w')
        assert_int_equal(cl_stream_write(link->stream, bytes), 0);
    if (link->inside == 'u') {
        link->inside = '.';
        assert_int_equal(cl_stream_unread(link->stream, CLOISTER_SV("again ")), 0);
    }
    assert_int_equal(link->closes, 0);
}

static inline void on_end(void *ctx, uint32_t verdict, int32_t os_errno)
{
    struct link *link = ctx;
    link->ends++;
    link->verdict = verdict;
    link->end_errno = os_errno;
}

static inline void on_gone(void *ctx, int32_t os_errno)
{
    struct link *link = ctx;
    link->gones++;
    link->gone_errno = os_errno;
}

static inline void on_drained(void *ctx)
{
    struct link *link = ctx;
    link->drains++;
}

static const struct cloister_stream_reader reader = {
    CLOISTER_INIT(struct cloister_stream_reader),
    .data = on_data,
    .end = on_end,
    .gone = on_gone,
    .drained = on_drained,
};

static inline void turn(struct link *link)
{
    cl_loop_run_pending(link->loop, 50);
}

static inline void begin_with(struct link *link, int ours, int peer)
{
    memset(link, 0, sizeof(*link));
    assert_int_equal(cl_loop_new(&link->loop), 0);
    assert_int_equal(cl_stream_from_fd(link->loop, ours, &link->stream), 0);
    link->peer = peer;
    link->inside = '.';
    link->got = malloc(KEPT);
    assert_non_null(link->got);
}

static inline void begin(struct link *link)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    begin_with(link, pair[0], pair[1]);
    assert_int_equal(cl_stream_read_start(link->stream, &reader, link), 0);
}

static inline void end(struct link *link)
{
    if (link->stream && link->closes == 0) {
        cl_stream_abort(link->stream, on_closed, link);
        assert_int_equal(link->closes, 0);
        turn(link);
        assert_int_equal(link->closes, 1);
    }
    if (link->peer >= 0)
        close(link->peer);
    free(link->got);
    cl_loop_free(link->loop);
}

static inline void say(const struct link *link, const char *text)
{
    assert_int_equal(write(link->peer, text, strlen(text)), strlen(text));
}

static inline void heard(const struct link *link, const char *text)
{
    if (link->size != strlen(text) || memcmp(link->got, text, link->size) != 0)
        fail_msg("got \"%.*s\", not \"%s\"", (int)link->size, link->got, text);
}

static inline int count_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static inline void fill_up(struct link *link)
{
    static char bytes[1 << 20];
    assert_int_equal(cl_stream_write(link->stream, cl_sv(bytes, sizeof(bytes))), 0);
    assert_true(cl_stream_queued(link->stream) > 0);
}

/* A TCP connection over loopback: [0] ours, [1] the peer's. */
static inline int tcp_pair(int ret_fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = -1;
    if (listener < 0)
        return -1;
    ret_fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
        connect(ret_fds[1], (struct sockaddr *)&address, size) == 0) {
        ret_fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        result = ret_fds[0] < 0 ? -1 : 0;
    }
    close(listener);
    return result;
}

/* libuv keeps a pipe of its own from the first loop on: it would look like a leak of the first test. */
static inline int warm_up(void **state)
{
    struct cl_loop *loop;
    (void)state;
    if (cl_loop_new(&loop) < 0)
        return -1;
    cl_loop_free(loop);
    return 0;
}

#endif
