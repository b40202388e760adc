/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/request.h"

#include <errno.h>
#include <unistd.h>

#include "core/exchange/connection.h"
#include "core/exchange/drain.h"
#include "core/exchange/handle.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/value/value.h"

#define FIELDS_MAX 256u
#define DESCRIPTORS_MAX 64u

/* Elements of a plugin's arrays have the plugin's size, which may be smaller or larger than ours. */
static void element(void *to, size_t size, const void *array, uint64_t stride, uint64_t index)
{
    memset(to, 0, size);
    memcpy(to, (const char *)array + index * stride, stride < size ? stride : size);
}

static void close_descriptors(const struct cloister_descriptor *array, uint64_t count, uint64_t stride)
{
    for (uint64_t i = 0; i < count; i++) {
        struct cloister_descriptor descriptor;
        element(&descriptor, sizeof(descriptor), array, stride, i);
        if (descriptor.fd >= 0)
            (void)close(descriptor.fd);
    }
}

static struct cloister_sv put(char **at, struct cloister_sv text)
{
    struct cloister_sv copy = cl_sv(*at, text.size);
    if (text.size)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    *(*at)++ = 0;
    return copy;
}

/* Every view of the head copied into one piece of memory, first measured, then filled. */
static int copy_views(struct cl_request *request, const struct cloister_head *head)
{
    size_t size = head->op.size + head->target.size + head->id.text.size + 3;
    for (size_t i = 0; i < request->field_count; i++)
        size += request->fields[i].name.size + request->fields[i].value.size + 2;
    for (size_t i = 0; i < request->descriptor_count; i++)
        size += request->descriptors[i].role.size + 1;
    request->text = cl_malloc(size);
    if (!request->text)
        return -ENOMEM;
    char *at = request->text;
    request->op = put(&at, head->op);
    request->target = put(&at, head->target);
    request->id = head->id;
    request->id.text = put(&at, head->id.text);
    for (size_t i = 0; i < request->field_count; i++) {
        request->fields[i].name = put(&at, request->fields[i].name);
        request->fields[i].value = put(&at, request->fields[i].value);
    }
    for (size_t i = 0; i < request->descriptor_count; i++)
        request->descriptors[i].role = put(&at, request->descriptors[i].role);
    return 0;
}

static int copy_head(struct cl_request *request, const struct cloister_head *head)
{
    if (head->field_count > 0) {
        request->fields = cl_calloc(head->field_count, sizeof(*request->fields));
        if (!request->fields)
            return -ENOMEM;
        request->field_count = head->field_count;
    }
    for (size_t i = 0; i < request->field_count; i++)
        element(&request->fields[i], sizeof(*request->fields), head->fields, head->field_size, i);
    if (head->descriptor_count > 0) {
        request->descriptors = cl_calloc(head->descriptor_count, sizeof(*request->descriptors));
        if (!request->descriptors)
            return -ENOMEM;
        request->descriptor_count = head->descriptor_count;
    }
    for (size_t i = 0; i < request->descriptor_count; i++)
        element(&request->descriptors[i], sizeof(*request->descriptors), head->descriptors, head->descriptor_size, i);
    return copy_views(request, head);
}

void cl_request_close_descriptors(struct cl_request *request)
{
    close_descriptors(request->descriptors, request->descriptor_count, sizeof(*request->descriptors));
    request->descriptor_count = 0;
}

static void request_free(struct cl_request *request)
{
    cl_request_close_descriptors(request);
    cl_value_free(request->document);
    free(request->fields);
    free(request->parameters);
    free(request->descriptors);
    free(request->text);
    free(request->body);
    free(request);
}

int cl_request_new(struct cl_connection *connection, void *wire, const struct cloister_head *head,
                   struct cl_request **ret_request)
{
    bool sane = head->field_count <= FIELDS_MAX && head->descriptor_count <= DESCRIPTORS_MAX;
    struct cl_request *request = sane ? cl_new(struct cl_request) : NULL;
    int result = !sane ? -EINVAL : request ? copy_head(request, head) : -ENOMEM;
    if (result == 0) {
        request->handle = cl_handle_open(CL_HANDLE_REQUEST, request);
        result = request->handle ? 0 : -ENOMEM;
    }
    if (result < 0) {
        if (request)
            request->descriptor_count = 0; /* still only in head */
        if (request)
            request_free(request);
        close_descriptors(head->descriptors, head->descriptor_count, head->descriptor_size);
        return result;
    }
    request->connection = connection;
    request->wire = wire;
    cl_list_append(&connection->requests, &request->node);
    connection->request_count++;
    if (!connection->asked && connection->endpoint->owner->drain != CL_DRAIN_NONE)
        cl_connection_do(connection, CL_TODO_DRAIN);
    connection->asked = true;
    *ret_request = request;
    return 0;
}

int cl_request_parameters(struct cl_request *request, const struct cl_route_match *match)
{
    if (match->parameter_count == 0)
        return 0;
    request->parameters = cl_memdup(match->parameters, match->parameter_count * sizeof(*match->parameters));
    if (!request->parameters)
        return -ENOMEM;
    request->parameter_count = match->parameter_count;
    return 0;
}

int cl_request_append(struct cl_request *request, struct cloister_sv bytes, uint64_t max)
{
    if (bytes.size > max || request->body_size > max - bytes.size)
        return -E2BIG;
    size_t need = request->body_size + bytes.size;
    if (need > request->body_capacity) {
        size_t capacity = need > request->body_capacity * 2 ? need : request->body_capacity * 2;
        char *body = cl_realloc_array(request->body, capacity, 1);
        if (!body)
            return -ENOMEM;
        request->body = body;
        request->body_capacity = capacity;
    }
    if (bytes.size)
        memcpy(request->body + request->body_size, bytes.data, bytes.size);
    request->body_size = need;
    return 0;
}

int cl_request_body(struct cl_request *request, struct cloister_sv *ret_body)
{
    if (!request->body && request->document) {
        int result = cl_value_print(request->document, false, &request->body, &request->body_size);
        if (result < 0)
            return result;
        request->body_capacity = request->body_size;
    }
    *ret_body = cl_sv(request->body, request->body_size);
    return 0;
}

void cl_request_count(struct cl_request *request, bool counted)
{
    struct cl_connection *connection = request->connection;
    struct cl_exchanges *owner = connection->endpoint->owner;
    if (request->counted == counted)
        return;
    request->counted = counted;
    connection->in_flight += counted ? 1u : -1u;
    owner->in_flight += counted ? 1u : UINT64_MAX;
    bool full = connection->in_flight >= connection->endpoint->max_in_flight;
    if (full != connection->paused && connection->attached && !connection->closing) {
        connection->paused = full;
        cl_transport_of(connection)->pause(connection->transport->self, connection->state, full);
    }
    if (!counted && owner->drain != CL_DRAIN_NONE)
        cl_drain_check(owner);
}

void cl_request_end(struct cl_request *request)
{
    cl_handle_close(request->handle);
    cl_request_count(request, false);
    cl_list_remove(&request->node);
    request->connection->request_count--;
    request_free(request);
}

void cl_request_gone(struct cl_request *request, uint32_t reason)
{
    struct cl_connection *connection = request->connection;
    request->gone = true;
    if (request->delivered)
        cl_personality_of(connection)
            ->exchange_gone(cl_personality_self(connection), cl_handle_pointer(request->handle), reason);
    if (connection->attached)
        cl_transport_of(connection)->forget(connection->transport->self, connection->state, request->wire);
    cl_request_end(request);
}
