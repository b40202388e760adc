/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"

#define STALL_LOOKS 16u /* in the time that an answer may wait */

/* A newline inside a body would end the frame early; between JSON's tokens, and a newline can be nowhere else, a blank
 * is the same. */
static void one_line(char *text, uint64_t size)
{
    char *at = text;
    while ((at = memchr(at, '\n', size - (uint64_t)(at - text))))
        *at++ = ' ';
}

static uint64_t position(const struct uj_conn *conn)
{
    return conn->host->stream->sent(conn->stream) + conn->host->stream->queued(conn->stream);
}

/* head, body ("{}" if empty), "}\n", as one write: a frame is never torn by an error in between. */
static int32_t write_frame(struct uj_conn *conn, struct cloister_sv head, struct cloister_sv body)
{
    if (body.size == 0)
        body = CLOISTER_SV("{}");
    uint64_t size = head.size + body.size + 2;
    char *frame = malloc(size);
    if (!frame)
        return -ENOMEM;
    memcpy(frame, head.data, head.size);
    memcpy(frame + head.size, body.data, body.size);
    one_line(frame, head.size + body.size);
    memcpy(frame + size - 2, "}\n", 2);
    int32_t result = conn->host->stream->write(conn->stream, (struct cloister_sv){frame, size});
    free(frame);
    return result;
}

/* The stream does not tell of progress, so it is looked for: often enough that the limit counts from the last one. */
static void look_again(struct uj_conn *conn, uint64_t now)
{
    uint64_t soon = now + conn->limits->stall_ns / STALL_LOOKS, end = conn->stall_since + conn->limits->stall_ns;
    conn->stall_deadline = soon < end ? soon : end;
}

static void watch_stall(struct uj_conn *conn)
{
    conn->answer_end = position(conn);
    if (conn->stall_deadline || conn->host->stream->queued(conn->stream) == 0)
        return;
    conn->stall_sent = conn->host->stream->sent(conn->stream);
    conn->stall_since = conn->host->system->now_mono();
    look_again(conn, conn->stall_since);
    uj_conn_set_timer(conn);
}

void uj_output_stalled(struct uj_conn *conn, uint64_t now)
{
    uint64_t sent = conn->host->stream->sent(conn->stream);
    conn->stall_deadline = 0;
    if (sent >= conn->answer_end)
        return; /* what waits is pushes: their queue has its own way of losing */
    if (sent != conn->stall_sent) {
        conn->stall_sent = sent;
        conn->stall_since = now;
    } else if (now - conn->stall_since >= conn->limits->stall_ns) {
        uj_conn_over(conn, CLOISTER_ABORTED, 0, "an answer was not taken");
        return;
    }
    look_again(conn, now);
}

uint32_t uj_output_answer(struct uj_conn *conn, struct uj_wire *wire, const struct cloister_answer *answer, bool open)
{
    char head[32 + 6 * 64 + 16]; /* an id's text is at most 64 bytes, each at most six when escaped */
    bool good = answer->klass == CLOISTER_CLASS_OK || answer->klass == CLOISTER_CLASS_CREATED;
    struct cloister_sv echo = wire ? wire->echo : CLOISTER_SV("null");
    if (answer->body.size > conn->limits->answer)
        return CLOISTER_PUSH_TOO_BIG;
    if (conn->over || conn->closing) {
        uj_wire_free(conn, wire);
        return CLOISTER_PUSH_GONE;
    }
    int size =
        snprintf(head, sizeof(head), "{\"id\":%.*s,\"%s\":", (int)echo.size, echo.data, good ? "result" : "error");
    bool room = conn->host->stream->queued(conn->stream) + answer->body.size <= conn->limits->output;
    int32_t result = room ? write_frame(conn, (struct cloister_sv){head, (uint64_t)size}, answer->body) : -ENOBUFS;
    if (wire && open && result == 0)
        wire->open = true;
    else
        uj_wire_free(conn, wire);
    if (result < 0) {
        uj_conn_over(conn, CLOISTER_ABORTED, room ? -result : 0, room ? NULL : "too much output was not taken");
        return CLOISTER_PUSH_GONE;
    }
    conn->closing = answer->closes != 0;
    if (conn->closing)
        uj_conn_stop_reading(conn);
    watch_stall(conn);
    uj_conn_check_end(conn);
    return CLOISTER_PUSH_OK;
}

/* ---- pushes and when they have left ---- */

static bool remember_push(struct uj_conn *conn, uint64_t end)
{
    if (conn->push_count == conn->push_capacity) {
        uint64_t capacity = conn->push_capacity ? conn->push_capacity * 2 : 64;
        uint64_t *grown = calloc(capacity, sizeof(*grown));
        if (!grown)
            return false;
        for (uint64_t i = 0; i < conn->push_count; i++)
            grown[i] = conn->push_ends[(conn->push_first + i) % conn->push_capacity];
        free(conn->push_ends);
        conn->push_ends = grown;
        conn->push_first = 0;
        conn->push_capacity = capacity;
    }
    conn->push_ends[(conn->push_first + conn->push_count++) % conn->push_capacity] = end;
    return true;
}

static void count_sent(struct uj_conn *conn)
{
    uint64_t sent = conn->host->stream->sent(conn->stream), before = conn->pushes_sent;
    conn->sent_posted = false;
    while (conn->push_count > 0 && conn->push_ends[conn->push_first] <= sent) {
        conn->push_first = (conn->push_first + 1) % conn->push_capacity;
        conn->push_count--;
        conn->pushes_sent++;
    }
    if (conn->pushes_sent > before && !conn->over)
        conn->host->transport->sent(conn->conn, conn->pushes_sent);
}

uint32_t uj_output_push(struct uj_conn *conn, struct uj_wire *wire, struct cloister_sv body)
{
    char head[32 + 6 * 64 + 48];
    if (body.size > conn->limits->answer)
        return CLOISTER_PUSH_TOO_BIG;
    if (conn->over || conn->closing || !wire->open)
        return CLOISTER_PUSH_GONE;
    if (conn->host->stream->queued(conn->stream) >= conn->limits->push) {
        conn->want_room = true;
        return CLOISTER_PUSH_FULL;
    }
    int size = snprintf(head, sizeof(head), "{\"sub\":%.*s,\"seq\":%" PRIu64 ",\"payload\":", (int)wire->echo.size,
                        wire->echo.data, wire->sequence + 1);
    int32_t result = write_frame(conn, (struct cloister_sv){head, (uint64_t)size}, body);
    if (result < 0 || !remember_push(conn, position(conn))) {
        uj_conn_over(conn, CLOISTER_ABORTED, result < 0 ? -result : ENOMEM, NULL);
        return CLOISTER_PUSH_GONE;
    }
    wire->sequence++;
    /* What the kernel took at once is reported soon, but not from inside; the rest when the queue has drained. */
    if (!conn->sent_posted && conn->host->stream->queued(conn->stream) == 0)
        conn->sent_posted = uj_conn_post(conn, count_sent);
    return CLOISTER_PUSH_OK;
}

void uj_output_drained(struct uj_conn *conn)
{
    count_sent(conn);
    if (conn->stall_deadline) {
        conn->stall_deadline = 0;
        uj_conn_set_timer(conn);
    }
    if (conn->want_room) {
        conn->want_room = false;
        conn->host->transport->room(conn->conn);
    }
    uj_conn_check_end(conn);
}
