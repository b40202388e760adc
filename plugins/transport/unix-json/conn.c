/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>

static void conn_release(struct uj_conn *conn)
{
    if (--conn->holders > 0 || !conn->detached)
        return;
    free(conn->push_ends);
    free(conn);
}

static void on_timer_closed(void *ctx)
{
    conn_release(ctx);
}

static void on_timer(void *ctx)
{
    struct uj_conn *conn = ctx;
    uint64_t now = conn->host->system->now_mono();
    if (conn->detached || conn->over)
        return;
    if (conn->half_deadline && now >= conn->half_deadline) {
        conn->half_deadline = 0;
        uj_conn_over(conn, CLOISTER_EOF, 0, "a request stayed half received");
        return;
    }
    if (conn->stall_deadline && now >= conn->stall_deadline)
        uj_output_stalled(conn, now);
    uj_conn_set_timer(conn);
}

void uj_conn_set_timer(struct uj_conn *conn)
{
    uint64_t deadline = conn->half_deadline;
    if (conn->detached)
        return;
    if (conn->stall_deadline && (!deadline || conn->stall_deadline < deadline))
        deadline = conn->stall_deadline;
    if (deadline && !conn->over)
        (void)conn->host->loop->timer_set(conn->timer, deadline, 0);
    else
        (void)conn->host->loop->timer_stop(conn->timer);
}

/* ---- the stream's reports ---- */

static void on_end(void *ctx, uint32_t verdict, int32_t os_errno)
{
    struct uj_conn *conn = ctx;
    if (conn->detached || conn->over)
        return;
    conn->reading = false;
    if (verdict == CLOISTER_EOF) {
        conn->eof = true;
        uj_input_parse(conn);
    } else if (verdict == CLOISTER_FDS_LOST) {
        uj_conn_over(conn, CLOISTER_EOF, 0, "descriptors were cut off by the kernel");
    } else {
        uj_conn_over(conn, CLOISTER_ABORTED, os_errno, NULL);
    }
}

static void on_gone(void *ctx, int32_t os_errno)
{
    uj_conn_over(ctx, CLOISTER_ABORTED, os_errno, NULL);
}

static void on_drained(void *ctx)
{
    struct uj_conn *conn = ctx;
    if (!conn->detached && !conn->over)
        uj_output_drained(conn);
}

static int32_t start_reading(struct uj_conn *conn)
{
    static const struct cloister_stream_reader reader = {CLOISTER_INIT(struct cloister_stream_reader),
                                                         .data = uj_input_data, .end = on_end, .gone = on_gone,
                                                         .drained = on_drained};
    int32_t result = conn->reading || conn->eof ? 0 : conn->host->stream->read_start(conn->stream, &reader, conn);
    if (result == 0)
        conn->reading = !conn->eof;
    return result;
}

void uj_conn_stop_reading(struct uj_conn *conn)
{
    if (conn->reading)
        (void)conn->host->stream->read_stop(conn->stream);
    conn->reading = false;
}

/* ---- life ---- */

int32_t uj_conn_attach(const struct uj_instance *instance, cloister_conn *conn, cloister_stream *stream,
                       struct uj_conn **ret_conn)
{
    struct uj_conn *self = calloc(1, sizeof(*self));
    if (!self)
        return -ENOMEM;
    self->host = instance->host;
    self->limits = &instance->limits;
    self->conn = conn;
    self->stream = stream;
    int32_t result = self->host->loop->timer_open(self->host, on_timer, self, &self->timer);
    if (result < 0) {
        free(self);
        return result;
    }
    self->holders = 1;
    result = start_reading(self);
    if (result < 0) {
        uj_conn_detach(self);
        return result;
    }
    *ret_conn = self;
    return 0;
}

void uj_conn_detach(struct uj_conn *conn)
{
    uj_conn_stop_reading(conn);
    conn->detached = true;
    uj_input_drop(conn);
    while (conn->wires)
        uj_wire_free(conn, conn->wires);
    conn->host->loop->timer_close(conn->timer, on_timer_closed, conn);
}

void uj_conn_over(struct uj_conn *conn, uint32_t verdict, int32_t os_errno, const char *why)
{
    if (conn->over || conn->detached)
        return;
    conn->over = true;
    uj_conn_stop_reading(conn);
    if (!conn->parsing)
        uj_input_drop(conn);
    uj_conn_set_timer(conn);
    conn->host->transport->lost(conn->conn, verdict, os_errno, why);
}

void uj_conn_check_end(struct uj_conn *conn)
{
    bool last = conn->closing || (conn->draining && !conn->wires);
    if (last && conn->host->stream->queued(conn->stream) == 0)
        uj_conn_over(conn, CLOISTER_EOF, 0, NULL);
}

void uj_conn_drain(struct uj_conn *conn)
{
    conn->draining = true;
    uj_conn_stop_reading(conn);
    conn->half_deadline = 0;
    uj_conn_set_timer(conn);
    if (!conn->parsing)
        uj_input_drop(conn);
    uj_conn_check_end(conn);
}

/* ---- fresh stacks ---- */

struct post {
    struct uj_conn *conn;
    void (*fn)(struct uj_conn *conn);
};

static void on_post(void *ctx)
{
    struct post post = *(struct post *)ctx;
    free(ctx);
    if (!post.conn->detached)
        post.fn(post.conn);
    conn_release(post.conn);
}

bool uj_conn_post(struct uj_conn *conn, void (*fn)(struct uj_conn *conn))
{
    struct post *post = malloc(sizeof(*post));
    if (!post)
        return false;
    *post = (struct post){conn, fn};
    if (conn->host->loop->post(conn->host, on_post, post) < 0) {
        free(post);
        return false;
    }
    conn->holders++;
    return true;
}

static void resume(struct uj_conn *conn)
{
    conn->resume_posted = false;
    if (conn->paused || conn->over || conn->draining || conn->closing)
        return;
    if (start_reading(conn) < 0)
        uj_conn_over(conn, CLOISTER_ABORTED, EIO, "reading did not resume");
    else
        uj_input_parse(conn);
}

void uj_conn_pause(struct uj_conn *conn, bool paused)
{
    conn->paused = paused;
    if (paused) {
        uj_conn_stop_reading(conn);
        conn->half_deadline = 0;
        uj_conn_set_timer(conn);
    } else if (!conn->resume_posted) {
        conn->resume_posted = uj_conn_post(conn, resume);
        if (!conn->resume_posted)
            uj_conn_over(conn, CLOISTER_ABORTED, ENOMEM, "reading did not resume");
    }
}
