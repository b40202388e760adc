/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/connection.h"

#include <errno.h>
#include <unistd.h>

#include "core/exchange/access.h"
#include "core/exchange/drain.h"
#include "core/exchange/fault.h"
#include "core/exchange/handle.h"
#include "core/exchange/request.h"
#include "core/log/log.h"
#include "core/net/stream.h"
#include "core/util/mem.h"
#include "core/util/sv.h"

#define PROBE_MAX 4096u

static void on_closed(void *ctx)
{
    struct cl_connection *connection = ctx;
    struct cl_exchanges *owner = connection->endpoint->owner;
    cl_listener_release(connection->endpoint->listener, connection->peer.uid);
    cl_list_remove(&connection->node);
    cl_list_remove(&connection->work_node);
    owner->connections--;
    free(connection->pushes);
    free(connection->first);
    free(connection);
    cl_drain_check(owner);
}

static struct cl_request *first_request(struct cl_connection *connection, bool open_only)
{
    CL_LIST_FOREACH(node, &connection->requests)
    {
        struct cl_request *request = CL_CONTAINER(node, struct cl_request, node);
        if (!open_only || request->open)
            return request;
    }
    return NULL;
}

/* Looks from the start each time: being told of one exchange, a personality may answer or end others. */
static void all_gone(struct cl_connection *connection, bool open_only)
{
    struct cl_request *request;
    while ((request = first_request(connection, open_only)))
        cl_request_gone(request, connection->gone_reason);
}

/* The order that personalities rely on: every exchange is gone, then conn_closed; then the transport lets go of the
 * stream. */
static void connection_over(struct cl_connection *connection, bool cut)
{
    connection->closing = true;
    all_gone(connection, false);
    if (connection->opened && cl_personality_of(connection)->conn_closed)
        cl_personality_of(connection)
            ->conn_closed(cl_personality_self(connection), cl_handle_pointer(connection->handle),
                          connection->gone_reason);
    if (connection->attached)
        cl_transport_of(connection)->detach(connection->transport->self, connection->state);
    connection->attached = false;
    if (connection->handle)
        cl_handle_close(connection->handle);
    if (cut)
        cl_stream_abort(connection->stream, on_closed, connection);
    else
        cl_stream_finish(connection->stream, on_closed, connection);
}

static void refuse(struct cl_connection *connection)
{
    struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault), .kind = CLOISTER_FAULT_DENIED, .closes = 1,
                                   .offset = ~0ull};
    connection->endpoint->owner->refused++;
    cl_log(CL_LOG_INFO, "exchange", "%s: refused uid %u gid %u pid %d: no access", connection->endpoint->address,
           (unsigned)connection->peer.uid, (unsigned)connection->peer.gid, (int)connection->peer.pid);
    cl_fault_raise(connection, NULL, NULL, &fault);
}

static void attach(struct cl_connection *connection)
{
    const struct cloister_transport *transport = cl_transport_of(connection);
    const struct cloister_personality *personality = cl_personality_of(connection);
    void *self = connection->transport->self;
    cloister_conn *handle = cl_handle_pointer(connection->handle);
    connection->limits.struct_size = sizeof(connection->limits);
    connection->limits.largest_answer = connection->limits.largest_request = ~0ull;
    transport->limits(self, &connection->limits);
    connection->opened = connection->access != CLOISTER_ACCESS_NONE;
    if (connection->opened && personality->conn_open)
        personality->conn_open(cl_personality_self(connection), handle);
    int result = transport->attach(self, handle, connection->stream, CLOISTER_ROLE_LISTENED, &connection->state);
    if (result < 0) {
        cl_log(CL_LOG_WARN, "exchange", "%s: %s did not take a connection: %s", connection->endpoint->address,
               connection->transport->label, strerror(-result));
        cl_connection_do(connection, CL_TODO_ABORT);
        return;
    }
    connection->attached = true;
    if (!connection->opened)
        refuse(connection);
    else if (connection->endpoint->owner->drain != CL_DRAIN_NONE && !cl_is_fresh(connection))
        cl_connection_drain(connection);
}

/* ---- several transports on one endpoint: the first bytes decide ---- */

static void decide(struct cl_connection *connection)
{
    bool more = false;
    struct cloister_sv first = cl_sv(connection->first, connection->first_size);
    for (size_t i = 0; i < connection->endpoint->transport_count; i++) {
        struct cl_instance *transport = connection->endpoint->transports[i];
        uint32_t verdict = transport->vtable->transport.probe(transport->self, first);
        if (verdict == CLOISTER_PROBE_YES) {
            connection->transport = transport;
            (void)cl_stream_read_stop(connection->stream);
            cl_connection_do(connection, CL_TODO_ATTACH);
            return;
        }
        more = more || verdict == CLOISTER_PROBE_MORE;
    }
    if (!more || connection->first_size >= PROBE_MAX)
        cl_connection_do(connection, CL_TODO_ABORT);
}

static void probe_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count)
{
    struct cl_connection *connection = ctx;
    char *first;
    for (uint32_t i = 0; i < fd_count; i++)
        (void)close(fds[i]);
    /* Descriptors cannot be put back in front of a stream: here the peer must send its first request without any. */
    if (fd_count > 0 || bytes.size == 0 || connection->todo || connection->closing ||
        !(first = cl_realloc_array(connection->first, connection->first_size + bytes.size, 1))) {
        cl_connection_do(connection, CL_TODO_ABORT);
        return;
    }
    memcpy(first + connection->first_size, bytes.data, bytes.size);
    connection->first = first;
    connection->first_size += bytes.size;
    decide(connection);
}

static void probe_end(void *ctx, uint32_t verdict, int32_t os_errno)
{
    (void)verdict;
    (void)os_errno;
    cl_connection_do(ctx, CL_TODO_ABORT);
}

static void begin(struct cl_connection *connection)
{
    static const struct cloister_stream_reader reader = {CLOISTER_INIT(struct cloister_stream_reader),
                                                         .data = probe_data, .end = probe_end};
    if (connection->endpoint->transport_count == 1) {
        connection->transport = connection->endpoint->transports[0];
        attach(connection);
    } else if (cl_stream_read_start(connection->stream, &reader, connection) < 0) {
        cl_connection_do(connection, CL_TODO_ABORT);
    }
}

void cl_connection_accept(void *ctx, cloister_stream *stream, const struct cl_peer *peer)
{
    struct cl_endpoint *endpoint = ctx;
    struct cl_connection *connection = cl_new(struct cl_connection);
    if (!connection) { /* nothing to remember it by: the socket goes, the listener gets its place back */
        cl_log(CL_LOG_WARN, "exchange", "%s: no memory for a connection", endpoint->address);
        cl_stream_abort(stream, NULL, NULL);
        cl_listener_release(endpoint->listener, peer->uid);
        return;
    }
    connection->endpoint = endpoint;
    connection->stream = stream;
    connection->peer = *peer;
    connection->gone_reason = CLOISTER_GONE_PEER;
    connection->access = cl_access_of(peer, geteuid(), endpoint->rules, endpoint->rule_count);
    cl_list_init(&connection->work_node);
    cl_list_init(&connection->requests);
    cl_list_append(&endpoint->connections, &connection->node);
    endpoint->owner->connections++;
    connection->handle = cl_handle_open(CL_HANDLE_CONNECTION, connection);
    if (!connection->handle)
        cl_connection_do(connection, CL_TODO_ABORT);
    else
        begin(connection);
}

void cl_connection_do(struct cl_connection *connection, uint32_t todo)
{
    struct cl_exchanges *owner = connection->endpoint->owner;
    if (connection->closing)
        return;
    connection->todo |= todo;
    cl_list_remove(&connection->work_node);
    cl_list_append(&owner->work, &connection->work_node);
    (void)cl_timer_set(owner->work_timer, 1, 0);
}

void cl_connection_drain(struct cl_connection *connection)
{
    if (connection->draining || !connection->attached)
        return;
    connection->draining = true;
    cl_drain_check(connection->endpoint->owner);
    cl_transport_of(connection)->drain(connection->transport->self, connection->state);
}

void cl_connection_work(struct cl_connection *connection)
{
    uint32_t todo = connection->todo;
    connection->todo = 0;
    if (connection->closing)
        return;
    if (todo & CL_TODO_SHUTDOWN)
        connection->gone_reason = CLOISTER_GONE_SHUTDOWN;
    if (todo & (CL_TODO_ABORT | CL_TODO_LOST)) {
        connection_over(connection, (todo & CL_TODO_ABORT) != 0);
        return;
    }
    if (todo & CL_TODO_ATTACH) {
        if (cl_stream_unread(connection->stream, cl_sv(connection->first, connection->first_size)) < 0)
            cl_connection_do(connection, CL_TODO_ABORT);
        else
            attach(connection);
    }
    if (todo & CL_TODO_DRAIN)
        cl_connection_drain(connection);
    /* A peer that has only shut its sending side still gets the answers it waits for; subscriptions have nobody to end
     * them. */
    if (todo & (CL_TODO_EOF | CL_TODO_FLUSH | CL_TODO_SHUTDOWN)) {
        all_gone(connection, !(todo & (CL_TODO_FLUSH | CL_TODO_SHUTDOWN)));
        cl_connection_drain(connection);
    }
}

int cl_connection_pushed(struct cl_connection *connection, uint64_t request_handle)
{
    if (connection->push_count == connection->push_capacity) {
        size_t capacity = connection->push_capacity ? connection->push_capacity * 2 : 64;
        uint64_t *grown = cl_calloc(capacity, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        for (size_t i = 0; i < connection->push_count; i++)
            grown[i] = connection->pushes[(connection->push_first + i) % connection->push_capacity];
        free(connection->pushes);
        connection->pushes = grown;
        connection->push_first = 0;
        connection->push_capacity = capacity;
    }
    connection->pushes[(connection->push_first + connection->push_count++) % connection->push_capacity] =
        request_handle;
    return 0;
}
