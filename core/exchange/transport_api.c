/* SPDX-License-Identifier: Apache-2.0 */
/* The upcalls of transports: what their peers send becomes requests. */
#include <errno.h>
#include <string.h>

#include "core/exchange/connection.h"
#include "core/exchange/fault.h"
#include "core/exchange/handle.h"
#include "core/exchange/request.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/value/value.h"

static struct cl_connection *connection_of(const cloister_conn *conn)
{
    struct cl_connection *connection = cl_handle_find(CL_HANDLE_CONNECTION, conn);
    return connection && !connection->closing ? connection : NULL;
}

static bool empty_document(const cloister_value *document)
{
    return !document || (cl_value_type(document) == CLOISTER_VALUE_OBJECT && cl_value_count(document) == 0);
}

static uint64_t body_max(const struct cloister_route *route)
{
    return route->body_max ? route->body_max : CL_BODY_MAX_DEFAULT;
}

/* What stands between a head with a route and its exchange: 0, or enum cloister_fault_kind. */
static uint32_t objection(const struct cl_request *request, const struct cloister_head *head)
{
    const struct cl_connection *connection = request->connection;
    const struct cloister_route *route = request->route;
    if (connection->access < route->access)
        return CLOISTER_FAULT_DENIED;
    if (connection->endpoint->owner->drain != CL_DRAIN_NONE && connection->draining)
        return CLOISTER_FAULT_DRAINING;
    if (connection->request_count > CL_REQUESTS_MAX)
        return CLOISTER_FAULT_BUSY;
    if (request->descriptor_count > 0 && !(route->flags & CLOISTER_ROUTE_FDS))
        return CLOISTER_FAULT_BAD_DESCRIPTORS;
    if (route->body == CLOISTER_BODY_WHOLE && head->body_size != ~0ull && head->body_size > body_max(route))
        return CLOISTER_FAULT_TOO_LARGE;
    return 0;
}

static void fault_at_head(struct cl_request *request, uint32_t kind, const char *allow)
{
    struct cloister_fault fault = {
        CLOISTER_INIT(struct cloister_fault), .kind = kind,   .id = request->id, .op = request->op,
        .allow = cl_sv_cstr(allow),           .offset = ~0ull};
    cl_fault_raise(request->connection, request, request->wire, &fault);
}

static void set_policy(struct cloister_body_policy *ret, uint32_t policy, uint64_t max, uint32_t answered)
{
    struct cloister_body_policy full = {ret->struct_size, policy, max, answered, 0};
    memcpy(ret, &full, ret->struct_size < sizeof(full) ? ret->struct_size : sizeof(full));
}

/* A view of the head whose strings live as long as the request: a match made on it stays valid. */
static void match_route(struct cl_request *request, const struct cloister_head *head, struct cl_route_match *match)
{
    const struct cl_instance *personality = request->connection->endpoint->personality;
    struct cloister_head kept = *head;
    kept.target = request->target;
    kept.op = request->op;
    cl_route_find(personality->module->routes, personality->vtable->personality.route_count, &kept, match);
    request->route = match->route;
}

static void head_refused(struct cl_connection *connection, const struct cloister_head *head, int result)
{
    if (result == -EINVAL)
        cl_log(
            CL_LOG_ERROR, "exchange",
            "%s: %s reported a request with %llu fields and %u descriptors, more than can be; the connection is closed",
            connection->endpoint->address, connection->transport->label, (unsigned long long)head->field_count,
            (unsigned)head->descriptor_count);
    else
        cl_log(CL_LOG_WARN, "exchange", "%s: no memory for a request, the connection is closed",
               connection->endpoint->address);
    cl_connection_do(connection, CL_TODO_ABORT);
}

static cloister_exchange *on_head(cloister_conn *conn, void *wire, const struct cloister_head *given,
                                  struct cloister_body_policy *ret)
{
    struct cl_connection *connection = connection_of(conn);
    struct cl_request *request;
    struct cl_route_match match;
    struct cloister_head head = {0};
    memcpy(&head, given, given->struct_size < sizeof(head) ? given->struct_size : sizeof(head));
    set_policy(ret, CLOISTER_BODY_NONE, 0, 1);
    if (!connection)
        return NULL;
    head.struct_size = sizeof(head);
    int result = cl_request_new(connection, wire, &head, &request);
    if (result < 0) {
        head_refused(connection, &head, result);
        return NULL;
    }
    match_route(request, &head, &match);
    uint32_t kind = match.route ? objection(request, &head) : match.fault;
    if (kind == 0 && cl_request_parameters(request, &match) < 0)
        kind = CLOISTER_FAULT_BUSY;
    if (kind != 0) {
        fault_at_head(request, kind, match.allow);
        return NULL;
    }
    cl_request_count(request, !(request->route->flags & CLOISTER_ROUTE_PARKED));
    set_policy(ret, request->route->body, body_max(request->route), 0);
    return cl_handle_pointer(request->handle);
}

static void body_fault(struct cl_request *request, uint32_t kind, const char *text)
{
    struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault),
                                   .kind = kind,
                                   .id = request->id,
                                   .op = request->op,
                                   .text = cl_sv_cstr(text),
                                   .offset = ~0ull};
    cl_fault_raise(request->connection, request, request->wire, &fault);
}

/* A document without its text still counts by its size, where the route has a limit of its own. */
static bool document_too_large(struct cl_request *request)
{
    struct cloister_sv text;
    if (!request->document || request->body || request->route->body_max == 0)
        return false;
    return cl_request_body(request, &text) < 0 || text.size > request->route->body_max;
}

static void deliver(struct cl_request *request)
{
    struct cl_connection *connection = request->connection;
    if (request->route->body == CLOISTER_BODY_NONE && !empty_document(request->document)) {
        body_fault(request, CLOISTER_FAULT_MALFORMED, "this operation takes no parameters");
    } else if (document_too_large(request)) {
        body_fault(request, CLOISTER_FAULT_TOO_LARGE, "");
    } else {
        request->delivered = true;
        cl_personality_of(connection)
            ->exchange(cl_personality_self(connection), cl_handle_pointer(request->handle), request->route->id);
    }
}

static void on_body(cloister_exchange *exchange, struct cloister_sv bytes, cloister_value *document, uint32_t last)
{
    struct cl_request *request = cl_handle_find(CL_HANDLE_REQUEST, exchange);
    /* A fault has made it the personality's already: the rest of the body is of no interest. */
    if (!request || request->delivered || request->connection->closing) {
        cl_value_free(document);
        return;
    }
    if (document) {
        cl_value_free(request->document);
        request->document = document;
    }
    uint64_t max = request->route->body == CLOISTER_BODY_WHOLE ? body_max(request->route) : 0;
    int result = cl_request_append(request, bytes, max);
    if (result == -E2BIG)
        body_fault(request, max ? CLOISTER_FAULT_TOO_LARGE : CLOISTER_FAULT_MALFORMED, "this operation takes no body");
    else if (result < 0)
        body_fault(request, CLOISTER_FAULT_BUSY, "");
    else if (last)
        deliver(request);
}

static void on_fault(cloister_conn *conn, cloister_exchange *exchange, void *wire, const struct cloister_fault *given)
{
    struct cl_connection *connection = connection_of(conn);
    struct cl_request *request = exchange ? cl_handle_find(CL_HANDLE_REQUEST, exchange) : NULL;
    struct cloister_fault fault = {0};
    if (!connection || (exchange && (!request || request->delivered)))
        return;
    memcpy(&fault, given, given->struct_size < sizeof(fault) ? given->struct_size : sizeof(fault));
    fault.struct_size = sizeof(fault);
    cl_fault_raise(connection, request, wire, &fault);
}

static void on_peer_eof(cloister_conn *conn)
{
    struct cl_connection *connection = connection_of(conn);
    if (connection)
        cl_connection_do(connection, CL_TODO_EOF);
}

static void on_lost(cloister_conn *conn, uint32_t verdict, int32_t os_errno, const char *why)
{
    struct cl_connection *connection = connection_of(conn);
    if (!connection)
        return;
    bool clean = verdict == CLOISTER_EOF && !why;
    cl_log(clean ? CL_LOG_DEBUG : CL_LOG_INFO, "exchange", "%s: connection of uid %u ends: %s%s%s",
           connection->endpoint->address, (unsigned)connection->peer.uid, why ? why : "closed by the peer",
           os_errno ? ": " : "", os_errno ? strerror(os_errno) : "");
    if (connection->gone_reason == CLOISTER_GONE_PEER && why)
        connection->gone_reason = CLOISTER_GONE_PROTOCOL;
    cl_connection_do(connection, verdict == CLOISTER_EOF ? CL_TODO_LOST : CL_TODO_ABORT);
}

static void on_room(cloister_conn *conn)
{
    struct cl_connection *connection = connection_of(conn);
    uint64_t waiting[2 * CL_REQUESTS_MAX];
    size_t count = 0;
    if (!connection)
        return;
    CL_LIST_FOREACH(node, &connection->requests)
    {
        struct cl_request *request = CL_CONTAINER(node, struct cl_request, node);
        if (request->full && count < 2 * CL_REQUESTS_MAX)
            waiting[count++] = request->handle;
    }
    const struct cloister_personality *personality = cl_personality_of(connection);
    for (size_t i = 0; i < count; i++) {
        struct cl_request *request = cl_handle_peek(CL_HANDLE_REQUEST, waiting[i]);
        if (!request || !personality->writable)
            continue;
        request->full = false;
        personality->writable(cl_personality_self(connection), cl_handle_pointer(request->handle));
    }
}

static void on_sent(cloister_conn *conn, uint64_t pushes)
{
    struct cl_connection *connection = connection_of(conn);
    if (!connection || !cl_personality_of(connection)->sent)
        return;
    while (connection->pushes_sent < pushes && connection->push_count > 0) {
        struct cl_request *request = cl_handle_peek(CL_HANDLE_REQUEST, connection->pushes[connection->push_first]);
        connection->push_first = (connection->push_first + 1) % connection->push_capacity;
        connection->push_count--;
        connection->pushes_sent++;
        if (request)
            cl_personality_of(connection)
                ->sent(cl_personality_self(connection), cl_handle_pointer(request->handle), ++request->pushes_sent);
    }
}

const struct cloister_transport_api cl_exchange_transport_api = {
    CLOISTER_INIT(struct cloister_transport_api),
    .head = on_head,
    .body = on_body,
    .fault = on_fault,
    .peer_eof = on_peer_eof,
    .lost = on_lost,
    .room = on_room,
    .sent = on_sent,
};
