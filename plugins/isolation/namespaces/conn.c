/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - see conn.h. */
#include "conn.h"

#include <errno.h>

#include "text.h"

#define PACKETS_PER_TURN 64 /* then others get the loop */

struct ns_request {
    struct ns_request *next;
    uint64_t serial;
    ns_answer_fn fn;
    void *ctx;
    int *fds;
    uint32_t count;
    uint32_t sent;
    int plan_fd;
    uint64_t message[]; /* aligned bytes */
};

static void close_all(const int *fds, uint32_t count, int plan_fd)
{
    for (uint32_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (plan_fd >= 0)
        close(plan_fd);
}

static void close_descriptors(struct ns_request *request)
{
    close_all(request->fds, request->count, request->plan_fd);
    free(request->fds);
    request->fds = NULL;
    request->count = 0;
    request->plan_fd = -1;
}

static void free_request(struct ns_request *request)
{
    close_descriptors(request);
    explicit_bzero(request->message, ((struct cl_wire_head *)request->message)->size);
    free(request);
}

static void append(struct ns_request **list, struct ns_request *request)
{
    while (*list)
        list = &(*list)->next;
    request->next = NULL;
    *list = request;
}

/* True: more is waiting for room. */
static int flush(struct ns_conn *conn)
{
    while (conn->queue) {
        struct ns_request *request = conn->queue;
        int rc = cl_wire_send_request(conn->fd, request->message, request->fds, request->count, request->plan_fd,
                                      &request->sent);

        if (rc < 0)
            return rc;
        conn->queue = request->next;
        close_descriptors(request);
        append(&conn->waiting, request);
    }
    return 0;
}

static void update(struct ns_conn *conn)
{
    conn->host->loop->watch_update(conn->watch,
                                   (conn->paused ? 0u : CLOISTER_READABLE) | (conn->queue ? CLOISTER_WRITABLE : 0u));
}

static uint32_t type_of(const struct ns_request *request)
{
    return ((const struct cl_wire_head *)request->message)->type;
}

/* What an earlier daemon asked is answered to whoever is connected now: only what we asked is ours. */
static bool is_answer_to(const struct ns_request *request, const struct cl_packet *packet)
{
    uint32_t type = packet->u.head.type == CL_WIRE_ANSWER ? packet->u.answer.request : packet->u.head.type;

    return request->serial == packet->u.head.serial && type_of(request) == type;
}

static void answered(struct ns_conn *conn, struct cl_packet *packet)
{
    for (struct ns_request **at = &conn->waiting; *at; at = &(*at)->next) {
        struct ns_request *request = *at;

        if (!is_answer_to(request, packet))
            continue;
        *at = request->next;
        request->fn(request->ctx, packet, 0);
        free_request(request);
        return;
    }
}

static bool is_event(uint32_t type)
{
    return type == CL_WIRE_EXIT || type == CL_WIRE_DOWN || type == CL_WIRE_WARNING || type == CL_WIRE_DRAINED ||
           type == CL_WIRE_POINT;
}

/* Returns 0 when there was a packet, else the negative errno of the read. */
static int read_one(struct ns_conn *conn)
{
    struct cl_packet packet;
    int rc = cl_wire_recv(conn->fd, &packet);

    if (rc < 0)
        return rc;
    if (is_event(packet.u.head.type))
        conn->event(conn->ctx, &packet);
    else
        answered(conn, &packet);
    cl_packet_clear(&packet);
    return 0;
}

static void lose(struct ns_conn *conn, int os_errno)
{
    conn->broken = conn->lost(conn->ctx, os_errno);
    if (conn->broken)
        update(conn);
    else
        ns_conn_close(conn, os_errno);
}

static int read_some(struct ns_conn *conn, int most)
{
    int rc = 0;

    for (int i = 0; i < most && rc == 0 && conn->fd >= 0 && !conn->paused; i++)
        rc = read_one(conn);
    return rc;
}

static void on_ready(void *ctx, int32_t fd, uint32_t events)
{
    struct ns_conn *conn = ctx;
    int rc = read_some(conn, PACKETS_PER_TURN);

    if (conn->fd < 0)
        return;
    if (rc == 0 || rc == -EAGAIN)
        rc = flush(conn);
    if (rc < 0 && rc != -EAGAIN)
        lose(conn, -rc);
    else
        update(conn);
}

int ns_conn_open(struct ns_conn *conn, const struct cloister_host *host, int fd)
{
    int rc = host->loop->watch_open(host, fd, CLOISTER_READABLE, on_ready, conn, &conn->watch);

    if (rc < 0) {
        close(fd);
        return rc;
    }
    conn->host = host;
    conn->fd = fd;
    conn->paused = conn->broken = false;
    if (conn->serial == 0)
        conn->serial = host->system->now_mono(); /* not where an earlier daemon's were */
    return 0;
}

bool ns_conn_knows(const struct ns_conn *conn, uint32_t type)
{
    return cl_wire_size_at(type, conn->version) > 0;
}

void ns_conn_pause(struct ns_conn *conn, bool paused)
{
    conn->paused = paused;
    if (conn->fd >= 0)
        update(conn);
}

uint32_t ns_conn_request(const struct ns_conn *conn, uint64_t serial)
{
    for (const struct ns_request *request = conn->waiting; request; request = request->next)
        if (request->serial == serial)
            return type_of(request);
    return 0;
}

static struct ns_request *new_request(const void *message, const int *fds, uint32_t count, int plan_fd)
{
    size_t size = ((const struct cl_wire_head *)message)->size;
    struct ns_request *request = calloc(1, sizeof(*request) + size);

    if (request == NULL)
        return NULL;
    request->fds = malloc((count + 1u) * sizeof(int));
    if (request->fds == NULL) {
        free(request);
        return NULL;
    }
    memcpy(request->message, message, size);
    if (count > 0)
        memcpy(request->fds, fds, count * sizeof(int));
    request->count = count;
    request->plan_fd = plan_fd;
    return request;
}

/* What cannot be written at once waits for WRITABLE; a dead socket is noticed by the watch, so the caller gets one
 * answer only. */
uint64_t ns_conn_send(struct ns_conn *conn, void *message, const int *fds, uint32_t count, int plan_fd, ns_answer_fn fn,
                      void *ctx)
{
    struct ns_request *request = NULL;
    struct cl_wire_head *head = message;

    head->serial = ++conn->serial;
    head->size = (uint32_t)cl_wire_size_at(head->type, conn->version);
    if (conn->fd >= 0 && head->size > 0)
        request = new_request(message, fds, count, plan_fd);
    if (request == NULL) {
        close_all(fds, count, plan_fd);
        return 0;
    }
    request->serial = conn->serial;
    request->fn = fn;
    request->ctx = ctx;
    append(&conn->queue, request);
    flush(conn);
    update(conn);
    return request->serial;
}

static void ignore_answer(void *ctx, struct cl_packet *answer, int os_errno)
{
}

static void forget(struct ns_request *list, uint64_t serial)
{
    for (struct ns_request *request = list; request; request = request->next)
        if (request->serial == serial)
            request->fn = ignore_answer;
}

void ns_conn_forget(struct ns_conn *conn, uint64_t serial)
{
    forget(conn->waiting, serial);
    forget(conn->queue, serial);
}

void ns_conn_drain(struct ns_conn *conn)
{
    while (conn->fd >= 0 && !conn->paused && read_some(conn, PACKETS_PER_TURN) == 0)
        ;
}

static void on_closed(void *ctx)
{
    struct ns_conn *conn = ctx;

    conn->closed(conn->ctx);
}

static void fail_all(struct ns_request *list, int os_errno)
{
    while (list) {
        struct ns_request *request = list;

        list = request->next;
        request->fn(request->ctx, NULL, os_errno);
        free_request(request);
    }
}

void ns_conn_close(struct ns_conn *conn, int os_errno)
{
    struct ns_request *waiting = conn->waiting, *queue = conn->queue;
    int fd = conn->fd;

    if (fd < 0)
        return;
    conn->fd = -1;
    conn->waiting = conn->queue = NULL;
    conn->host->loop->watch_close(conn->watch, on_closed, conn);
    conn->watch = NULL;
    close(fd);
    fail_all(waiting, os_errno);
    fail_all(queue, os_errno);
}
