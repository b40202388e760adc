/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange service of personalities: what a request holds, and how it is answered. */
#include <errno.h>
#include <strings.h>

#include "core/exchange/connection.h"
#include "core/exchange/drain.h"
#include "core/exchange/handle.h"
#include "core/exchange/request.h"
#include "core/log/log.h"
#include "core/util/sv.h"
#include "core/value/value.h"

static struct cl_connection *connection_of(const cloister_conn *conn)
{
    return cl_handle_find(CL_HANDLE_CONNECTION, conn);
}

static struct cl_request *request_of(const cloister_exchange *exchange)
{
    return cl_handle_find(CL_HANDLE_REQUEST, exchange);
}

/* ---- connections ---- */

static void conn_info(const cloister_conn *conn, struct cloister_conn_info *ret)
{
    const struct cl_connection *connection = connection_of(conn);
    struct cloister_conn_info info = {.struct_size = ret->struct_size};
    if (connection) {
        info.role = CLOISTER_ROLE_LISTENED;
        info.serial = connection->handle >> 1;
        info.endpoint = cl_sv_cstr(connection->endpoint->address);
        info.access = connection->access;
        info.uid = connection->peer.uid;
        info.gid = connection->peer.gid;
        info.pid = connection->peer.pid;
        info.largest_answer = connection->limits.largest_answer;
        info.capabilities = connection->limits.capabilities;
        info.largest_request = connection->limits.largest_request;
        info.groups = connection->peer.groups;
        info.group_count = connection->peer.group_count;
    }
    memcpy(ret, &info, ret->struct_size < sizeof(info) ? ret->struct_size : sizeof(info));
}

static void conn_data_set(cloister_conn *conn, void *data)
{
    struct cl_connection *connection = connection_of(conn);
    if (connection)
        connection->data = data;
}

static void *conn_data(const cloister_conn *conn)
{
    const struct cl_connection *connection = connection_of(conn);
    return connection ? connection->data : NULL;
}

static void conn_close(cloister_conn *conn, uint32_t flush)
{
    struct cl_connection *connection = connection_of(conn);
    if (!connection)
        return;
    connection->gone_reason = CLOISTER_GONE_PROTOCOL;
    cl_connection_do(connection, flush ? CL_TODO_FLUSH : CL_TODO_ABORT);
}

static bool same_id(const struct cloister_wire_id *a, const struct cloister_wire_id *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == CLOISTER_ID_U64 ? a->number == b->number
                                      : a->kind == CLOISTER_ID_TEXT && cl_sv_eq(a->text, b->text);
}

static cloister_exchange *by_wire_id(const cloister_conn *conn, struct cloister_wire_id id)
{
    struct cl_connection *connection = connection_of(conn);
    if (!connection)
        return NULL;
    CL_LIST_FOREACH(node, &connection->requests)
    {
        const struct cl_request *request = CL_CONTAINER(node, struct cl_request, node);
        if (request->open && !request->gone && same_id(&request->id, &id))
            return cl_handle_pointer(request->handle);
    }
    return NULL;
}

/* ---- what a request holds ---- */

static cloister_conn *get_conn(const cloister_exchange *exchange)
{
    const struct cl_request *request = request_of(exchange);
    return request ? cl_handle_pointer(request->connection->handle) : NULL;
}

static struct cloister_sv get_op(const cloister_exchange *exchange)
{
    const struct cl_request *request = request_of(exchange);
    return request ? request->op : cl_sv(NULL, 0);
}

static struct cloister_wire_id get_wire_id(const cloister_exchange *exchange)
{
    const struct cl_request *request = request_of(exchange);
    return request ? request->id : (struct cloister_wire_id){0};
}

static struct cloister_sv get_target(const cloister_exchange *exchange)
{
    const struct cl_request *request = request_of(exchange);
    return request ? request->target : cl_sv(NULL, 0);
}

static struct cloister_sv get_parameter(const cloister_exchange *exchange, struct cloister_sv name)
{
    const struct cl_request *request = request_of(exchange);
    for (size_t i = 0; request && i < request->parameter_count; i++) {
        if (cl_sv_eq(request->parameters[i].name, name))
            return request->parameters[i].value;
    }
    return cl_sv(NULL, 0);
}

static struct cloister_sv get_query(const cloister_exchange *exchange, struct cloister_sv name)
{
    const struct cl_request *request = request_of(exchange);
    return request ? cl_target_query(request->target, name) : cl_sv(NULL, 0);
}

static struct cloister_sv get_header(const cloister_exchange *exchange, struct cloister_sv name)
{
    const struct cl_request *request = request_of(exchange);
    for (size_t i = 0; request && i < request->field_count; i++) {
        struct cloister_sv field = request->fields[i].name;
        if (field.size == name.size && (name.size == 0 || strncasecmp(field.data, name.data, name.size) == 0))
            return request->fields[i].value;
    }
    return cl_sv(NULL, 0);
}

static struct cloister_sv get_body(const cloister_exchange *exchange)
{
    struct cl_request *request = request_of(exchange);
    struct cloister_sv body = {NULL, 0};
    if (request)
        (void)cl_request_body(request, &body);
    return body;
}

static const cloister_value *get_document(cloister_exchange *exchange, struct cloister_error *err)
{
    struct cl_request *request = request_of(exchange);
    if (!request)
        return NULL;
    if (!request->document && request->body_size == 0) {
        request->document = cl_value_new_object();
    } else if (!request->document) {
        struct cl_value_options options = {.depth = CLOISTER_VALUE_DEPTH_DEFAULT};
        (void)cl_value_parse(cl_sv(request->body, request->body_size), &options, &request->document, NULL, err);
    }
    return request->document;
}

static int32_t take_fd(cloister_exchange *exchange, struct cloister_sv role, uint32_t nth)
{
    struct cl_request *request = request_of(exchange);
    for (size_t i = 0; request && i < request->descriptor_count; i++) {
        if (!cl_sv_eq(request->descriptors[i].role, role) || nth-- > 0)
            continue;
        int32_t fd = request->descriptors[i].fd;
        request->descriptors[i].fd = -1;
        return fd;
    }
    return -1;
}

static void data_set(cloister_exchange *exchange, void *data)
{
    struct cl_request *request = request_of(exchange);
    if (request)
        request->data = data;
}

static void *get_data(const cloister_exchange *exchange)
{
    const struct cl_request *request = request_of(exchange);
    return request ? request->data : NULL;
}

/* ---- how it is answered ---- */

static bool answerable(const struct cl_request *request)
{
    return request && !request->gone && request->delivered && request->connection->attached &&
           !request->connection->closing;
}

static uint32_t send_answer(struct cl_request *request, uint32_t klass, struct cloister_sv body, bool open)
{
    struct cl_connection *connection = request->connection;
    const struct cloister_transport *transport = cl_transport_of(connection);
    struct cloister_answer answer = {CLOISTER_INIT(struct cloister_answer), .klass = klass, .body = body,
                                     .field_size = sizeof(struct cloister_field), .closes = request->closes};
    if (body.size > connection->limits.largest_answer)
        return CLOISTER_PUSH_TOO_BIG;
    return (open ? transport->answer_open : transport->answer)(connection->transport->self, connection->state,
                                                               request->wire, &answer);
}

static uint32_t answer(cloister_exchange *exchange, uint32_t klass, struct cloister_sv body)
{
    struct cl_request *request = request_of(exchange);
    if (!answerable(request))
        return CLOISTER_PUSH_GONE;
    if (request->open) {
        cl_log(CL_LOG_ERROR, "exchange", "%s answered an open exchange a second time",
               request->connection->endpoint->personality->label);
        return CLOISTER_PUSH_GONE;
    }
    uint32_t result = send_answer(request, klass, body, false);
    if (result != CLOISTER_PUSH_TOO_BIG)
        cl_request_end(request);
    return result;
}

static uint32_t answer_open(cloister_exchange *exchange, uint32_t klass, struct cloister_sv body)
{
    struct cl_request *request = request_of(exchange);
    if (!answerable(request) || request->open)
        return CLOISTER_PUSH_GONE;
    if (request->closes || !cl_transport_of(request->connection)->answer_open) {
        cl_log(CL_LOG_ERROR, "exchange", "%s opened an exchange that cannot stay open",
               request->connection->endpoint->personality->label);
        return answer(exchange, klass, body);
    }
    uint32_t result = send_answer(request, klass, body, true);
    if (result == CLOISTER_PUSH_OK) {
        request->open = true;
        cl_request_close_descriptors(request);
    } else if (result != CLOISTER_PUSH_TOO_BIG) {
        cl_request_end(request);
    }
    return result;
}

static uint32_t push(cloister_exchange *exchange, struct cloister_sv body)
{
    struct cl_request *request = request_of(exchange);
    if (!answerable(request) || !request->open)
        return CLOISTER_PUSH_GONE;
    struct cl_connection *connection = request->connection;
    if (body.size > connection->limits.largest_answer)
        return CLOISTER_PUSH_TOO_BIG;
    uint32_t result =
        cl_transport_of(connection)->push(connection->transport->self, connection->state, request->wire, body);
    if (result == CLOISTER_PUSH_FULL)
        request->full = true;
    if (result == CLOISTER_PUSH_OK && cl_personality_of(connection)->sent &&
        cl_connection_pushed(connection, request->handle) < 0)
        cl_connection_do(connection, CL_TODO_ABORT);
    return result;
}

static void end(cloister_exchange *exchange)
{
    struct cl_request *request = request_of(exchange);
    if (!answerable(request) || !request->open)
        return;
    struct cl_connection *connection = request->connection;
    cl_transport_of(connection)->end(connection->transport->self, connection->state, request->wire);
    cl_request_end(request);
}

static void park(cloister_exchange *exchange)
{
    struct cl_request *request = request_of(exchange);
    if (request)
        cl_request_count(request, false);
}

static void drained(const struct cloister_host *host)
{
    struct cl_service *service = cl_instance_of(host)->exchange_room;
    if (!service || !service->draining)
        return;
    service->draining = false;
    cl_drain_check(service->owner);
}

const struct cloister_exchange_api cl_exchange_api = {
    CLOISTER_INIT(struct cloister_exchange_api),
    .conn_info = conn_info,
    .conn_data_set = conn_data_set,
    .conn_data = conn_data,
    .conn_close = conn_close,
    .conn = get_conn,
    .op = get_op,
    .wire_id = get_wire_id,
    .target = get_target,
    .parameter = get_parameter,
    .query = get_query,
    .header = get_header,
    .body = get_body,
    .document = get_document,
    .take_fd = take_fd,
    .data_set = data_set,
    .data = get_data,
    .answer = answer,
    .answer_open = answer_open,
    .push = push,
    .end = end,
    .park = park,
    .drained = drained,
    .by_wire_id = by_wire_id,
};
