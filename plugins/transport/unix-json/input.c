/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"
#include "frame.h"

#define GARBAGE_MAX 8u
#define BUFFER_KEPT (64u * 1024u) /* what an idle connection may hold on to */

static void close_all(const int32_t *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

void uj_input_drop(struct uj_conn *conn)
{
    for (uint32_t i = 0; i < conn->queued; i++)
        (void)close(conn->queue[i].fd);
    conn->queued = 0;
    free(conn->in);
    conn->in = NULL;
    conn->in_size = conn->in_capacity = conn->in_scanned = 0;
}

static bool deaf(const struct uj_conn *conn)
{
    return conn->detached || conn->over || conn->closing || conn->draining;
}

/* ---- faults ---- */

static void no_memory(struct uj_conn *conn)
{
    uj_conn_over(conn, CLOISTER_ABORTED, ENOMEM, "a request could not be kept");
}

static void raise_fault(struct uj_conn *conn, struct uj_frame *frame, uint32_t closes)
{
    struct uj_wire *wire = uj_wire_new(conn, &frame->id);
    struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault),
                                   .kind = frame->fault,
                                   .closes = closes,
                                   .id = frame->id,
                                   .offset = frame->offset,
                                   .text = {frame->text, strlen(frame->text)},
                                   .op = frame->method};
    if (!wire)
        no_memory(conn);
    else
        conn->host->transport->fault(conn->conn, NULL, wire, &fault);
}

static void raise_too_large(struct uj_conn *conn)
{
    struct uj_frame frame = {.fault = CLOISTER_FAULT_TOO_LARGE, .offset = ~0ull};
    raise_fault(conn, &frame, 1);
}

/* ---- descriptors ---- */

/*
 * A descriptor belongs to the request whose first byte came with it; a read ends behind the bytes that carried
 * descriptors. So a request without descriptors that ends at or behind such a read leaves them with no owner, while one
 * that ends before it is merely the neighbour in front of their owner.
 */
static bool left_over(const struct uj_conn *conn, uint64_t line_end)
{
    return conn->queued > 0 && conn->queue[0].end <= line_end;
}

static void take_descriptors(struct uj_conn *conn, uint32_t count, struct cloister_descriptor *ret_descriptors)
{
    for (uint32_t i = 0; i < count; i++)
        ret_descriptors[i].fd = conn->queue[i].fd;
    conn->queued -= count;
    memmove(conn->queue, conn->queue + count, conn->queued * sizeof(conn->queue[0]));
}

static void close_descriptors(const struct cloister_descriptor *descriptors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)close(descriptors[i].fd);
}

/* ---- requests ---- */

static void dispatch(struct uj_conn *conn, const struct uj_frame *frame, const struct cloister_descriptor *descriptors)
{
    const struct cloister_transport_api *api = conn->host->transport;
    struct uj_wire *wire = uj_wire_new(conn, &frame->id);
    struct cloister_body_policy policy = {CLOISTER_INIT(struct cloister_body_policy)};
    struct cloister_head head = {CLOISTER_INIT(struct cloister_head),
                                 .op = frame->method,
                                 .id = frame->id,
                                 .descriptors = descriptors,
                                 .descriptor_count = (uint32_t)frame->descriptor_count,
                                 .descriptor_size = sizeof(*descriptors),
                                 .field_size = sizeof(struct cloister_field),
                                 .body_size = ~0ull};
    cloister_value *params = frame->params ? conn->host->value->copy(frame->params) : conn->host->value->new_object();
    if (!wire || !params) {
        close_descriptors(descriptors, (uint32_t)frame->descriptor_count);
        conn->host->value->free(params);
        no_memory(conn);
        return;
    }
    cloister_exchange *exchange = api->head(conn->conn, wire, &head, &policy);
    if (!exchange || policy.answered)
        conn->host->value->free(params);
    else
        api->body(exchange, (struct cloister_sv){NULL, 0}, params, 1);
}

static void set_fault(struct uj_frame *frame, uint32_t kind, const char *text)
{
    frame->fault = kind;
    memcpy(frame->text, text, strlen(text) + 1);
}

static void handle_frame(struct uj_conn *conn, struct uj_frame *frame, uint64_t line_end)
{
    struct cloister_descriptor descriptors[UJ_DESCRIPTORS_MAX] = {0};
    uint32_t count = frame->descriptor_count > conn->queued ? conn->queued : (uint32_t)frame->descriptor_count;
    bool missing = frame->descriptor_count > conn->queued;
    if (frame->descriptor_count == 0 && left_over(conn, line_end)) {
        uj_conn_over(conn, CLOISTER_EOF, 0, "descriptors without a request that names them");
        return;
    }
    take_descriptors(conn, count, descriptors);
    conn->garbage = frame->garbage ? conn->garbage + 1 : 0;
    if (missing && frame->fault == 0)
        set_fault(frame, CLOISTER_FAULT_BAD_DESCRIPTORS, "fds: fewer descriptors arrived than are named");
    if (frame->fault == 0 && uj_wire_in_use(conn, &frame->id)) {
        set_fault(frame, CLOISTER_FAULT_BAD_ID, "id: in use by another request");
        frame->id = (struct cloister_wire_id){0};
    }
    if (frame->fault != 0) {
        if (uj_wire_in_use(conn, &frame->id))
            frame->id = (struct cloister_wire_id){0}; /* two answers to one id would be worse than one to none */
        close_descriptors(descriptors, count);
        raise_fault(conn, frame, missing || conn->garbage >= GARBAGE_MAX);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        descriptors[i].role = frame->roles[i];
    dispatch(conn, frame, descriptors);
}

static void handle_line(struct uj_conn *conn, struct cloister_sv line, uint64_t line_end)
{
    struct uj_frame frame;
    if (line.size == 0)
        return;
    uj_frame_parse(conn->host->value, line, conn->limits->depth, &frame);
    if (frame.no_memory)
        no_memory(conn);
    else
        handle_frame(conn, &frame, line_end);
    uj_frame_free(conn->host->value, &frame);
}

/* ---- bytes ---- */

static bool keep(struct uj_conn *conn, struct cloister_sv bytes)
{
    if (conn->in_size + bytes.size > conn->in_capacity) {
        uint64_t capacity = conn->in_capacity * 2 > 4096 ? conn->in_capacity * 2 : 4096;
        if (capacity < conn->in_size + bytes.size)
            capacity = conn->in_size + bytes.size;
        char *in = realloc(conn->in, capacity);
        if (!in)
            return false;
        conn->in = in;
        conn->in_capacity = capacity;
    }
    if (bytes.size > 0)
        memcpy(conn->in + conn->in_size, bytes.data, bytes.size);
    conn->in_size += bytes.size;
    return true;
}

static void forget_used(struct uj_conn *conn, uint64_t used)
{
    conn->in_position += used;
    conn->in_size -= used;
    if (conn->in_size > 0 && used > 0)
        memmove(conn->in, conn->in + used, conn->in_size);
    if (conn->in_size == 0 && conn->in_capacity > BUFFER_KEPT) {
        free(conn->in);
        conn->in = NULL;
        conn->in_capacity = 0;
    }
}

static uint64_t parse_lines(struct uj_conn *conn)
{
    uint64_t used = 0, line_used = 0;
    while (!conn->paused && !deaf(conn)) {
        struct cloister_sv line, rest = {conn->in + used, conn->in_size - used};
        if (rest.size == 0)
            break;
        enum uj_cut cut = uj_cut_line(rest, conn->in_scanned, conn->limits->message, &line, &line_used);
        if (cut == UJ_CUT_MORE) {
            conn->in_scanned = rest.size;
            break;
        }
        conn->in_scanned = 0;
        if (cut == UJ_CUT_TOO_LONG) {
            raise_too_large(conn);
            break;
        }
        used += line_used;
        handle_line(conn, line, conn->in_position + used);
    }
    return used;
}

void uj_input_parse(struct uj_conn *conn)
{
    if (conn->parsing || deaf(conn))
        return;
    conn->parsing = true;
    forget_used(conn, parse_lines(conn));
    conn->parsing = false;
    if (deaf(conn)) {
        uj_conn_stop_reading(conn);
        uj_input_drop(conn);
        conn->half_deadline = 0;
        uj_conn_set_timer(conn);
        return;
    }
    uint64_t deadline = 0;
    if (conn->in_size > 0 && !conn->paused && !conn->eof)
        deadline = conn->host->system->now_mono() + conn->limits->half_ns;
    if (deadline != conn->half_deadline) {
        conn->half_deadline = deadline;
        uj_conn_set_timer(conn);
    }
    /* A message cut by the end of the input is discarded; whole ones that wait for their turn are not. */
    if (conn->eof && !conn->paused && !conn->eof_told) {
        conn->eof_told = true;
        uj_input_drop(conn);
        conn->host->transport->peer_eof(conn->conn);
    }
}

void uj_input_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count)
{
    struct uj_conn *conn = ctx;
    if (deaf(conn)) {
        close_all(fds, fd_count);
        return;
    }
    if (!conn->begun && bytes.size > 0) {
        conn->begun = uj_begins(bytes.data[0]);
        if (!conn->begun) { /* some other protocol: what we could answer would not be understood */
            close_all(fds, fd_count);
            uj_conn_over(conn, CLOISTER_EOF, 0, "its first byte begins no request of this protocol");
            return;
        }
    }
    if (fd_count > conn->limits->descriptors - conn->queued) {
        close_all(fds, fd_count);
        uj_conn_over(conn, CLOISTER_EOF, 0, "too many descriptors without a request");
        return;
    }
    for (uint32_t i = 0; i < fd_count; i++) {
        uint64_t end = conn->in_position + conn->in_size + bytes.size;
        conn->queue[conn->queued++] = (struct uj_descriptor){fds[i], end};
    }
    if (keep(conn, bytes))
        uj_input_parse(conn);
    else
        no_memory(conn);
}
