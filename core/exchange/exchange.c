/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.c - where the outside meets the inside.
 *
 * A listener hands over a stream and who is at its other end. The peer gets an access class (access.c); a transport is
 * chosen, by its first bytes where several share the socket, and attached (connection.c). The transport reports the
 * head of a request: it is matched with the personality's route table (route.c), checked against access, descriptors,
 * quota and drain, and becomes a request (request.c) that is answered exactly once through the calls in
 * personality_api.c; whatever is wrong with it is handed to the personality as a fault (fault.c), because only a
 * personality has words. Neither plugin sees the other, and neither holds an address: handles are numbers (handle.c).
 *
 * Two rules keep this simple. A call that a plugin makes never calls that plugin's completions back inside: whatever
 * ends requests of others or a connection is scheduled (cl_connection_do) and done by the work timer on a fresh stack.
 * And a request is in one list, of its connection, so that the end of a connection is the end of its requests, then
 * conn_closed, then detach, then the socket, in this order always.
 */
#include "core/exchange/exchange.h"

#include <errno.h>

#include "core/exchange/connection.h"
#include "core/exchange/drain.h"
#include "core/log/log.h"
#include "core/util/mem.h"

#define IN_FLIGHT_DEFAULT 64u

static void on_work(void *ctx)
{
    struct cl_exchanges *exchanges = ctx;
    struct cl_list *node;
    while ((node = cl_list_first(&exchanges->work))) {
        cl_list_remove(node);
        cl_connection_work(CL_CONTAINER(node, struct cl_connection, work_node));
    }
    cl_drain_step(exchanges);
}

static void on_timer_closed(void *ctx)
{
    struct cl_exchanges *exchanges = ctx;
    if (--exchanges->timers_open == 0 && exchanges->freeing)
        free(exchanges);
}

/* The memory goes when the last timer's handle has closed: the loop must turn once more. */
static void close_timers(struct cl_exchanges *exchanges)
{
    exchanges->freeing = true;
    if (exchanges->timers_open == 0) {
        free(exchanges);
        return;
    }
    cloister_timer *drain_timer = exchanges->drain_timer;
    cl_timer_close(exchanges->work_timer, on_timer_closed, exchanges);
    if (drain_timer)
        cl_timer_close(drain_timer, on_timer_closed, exchanges);
}

int cl_exchanges_new(struct cl_loop *loop, struct cl_exchanges **ret)
{
    struct cl_exchanges *exchanges = cl_new(struct cl_exchanges);
    if (!exchanges)
        return -ENOMEM;
    exchanges->loop = loop;
    cl_list_init(&exchanges->services);
    cl_list_init(&exchanges->endpoints);
    cl_list_init(&exchanges->work);
    int result = cl_timer_open(loop, on_work, exchanges, &exchanges->work_timer);
    exchanges->timers_open += result == 0;
    if (result == 0) {
        result = cl_timer_open(loop, cl_drain_expired, exchanges, &exchanges->drain_timer);
        exchanges->timers_open += result == 0;
    }
    if (result < 0) {
        close_timers(exchanges);
        return result;
    }
    *ret = exchanges;
    return 0;
}

static void endpoint_free(struct cl_endpoint *endpoint)
{
    free(endpoint->service);
    free(endpoint->address);
    free(endpoint->transports);
    free(endpoint->rules);
    free(endpoint);
}

static struct cl_endpoint *endpoint_new(const struct cl_endpoint_args *args)
{
    struct cl_endpoint *endpoint = cl_new(struct cl_endpoint);
    if (!endpoint)
        return NULL;
    cl_list_init(&endpoint->node);
    cl_list_init(&endpoint->connections);
    endpoint->service = cl_strdup(args->service);
    endpoint->address = cl_strdup(args->address);
    endpoint->transports = cl_memdup(args->transports, args->transport_count * sizeof(*args->transports));
    endpoint->rules = args->rule_count ? cl_memdup(args->rules, args->rule_count * sizeof(*args->rules)) : NULL;
    if (!endpoint->service || !endpoint->address || !endpoint->transports || (args->rule_count && !endpoint->rules)) {
        endpoint_free(endpoint);
        return NULL;
    }
    endpoint->transport_count = args->transport_count;
    endpoint->rule_count = args->rule_count;
    endpoint->personality = args->personality;
    endpoint->listener = args->listener;
    endpoint->max_in_flight = args->max_in_flight ? args->max_in_flight : IN_FLIGHT_DEFAULT;
    return endpoint;
}

/* Request bodies as streams need a transport that carries them: none does so far. */
static int check_routes(const struct cl_instance *personality)
{
    const struct cl_module *module = personality->module;
    for (uint32_t i = 0; i < personality->vtable->personality.route_count; i++) {
        if (module->routes[i].body != CLOISTER_BODY_STREAM)
            continue;
        cl_log(CL_LOG_ERROR, "exchange", "%s: route %s takes its body as a stream, which no transport carries",
               personality->label, module->routes[i].op ? module->routes[i].op : module->routes[i].path);
        return -EOPNOTSUPP;
    }
    return 0;
}

static int service_join(struct cl_exchanges *exchanges, struct cl_instance *personality)
{
    if (personality->exchange_room)
        return 0;
    struct cl_service *service = cl_new(struct cl_service);
    if (!service)
        return -ENOMEM;
    service->owner = exchanges;
    service->personality = personality;
    cl_list_append(&exchanges->services, &service->node);
    personality->exchange_room = service;
    return 0;
}

int cl_exchanges_add(struct cl_exchanges *exchanges, const struct cl_endpoint_args *args, struct cl_endpoint **ret)
{
    int result = args->transport_count ? check_routes(args->personality) : -EINVAL;
    if (result == 0)
        result = service_join(exchanges, args->personality);
    struct cl_endpoint *endpoint = result == 0 ? endpoint_new(args) : NULL;
    if (!endpoint) {
        cl_listener_close(args->listener, NULL, NULL);
        return result < 0 ? result : -ENOMEM;
    }
    endpoint->owner = exchanges;
    cl_list_append(&exchanges->endpoints, &endpoint->node);
    *ret = endpoint;
    return 0;
}

int cl_exchanges_accept(struct cl_exchanges *exchanges)
{
    CL_LIST_FOREACH(node, &exchanges->endpoints)
    {
        struct cl_endpoint *endpoint = CL_CONTAINER(node, struct cl_endpoint, node);
        int result = cl_listener_accept(endpoint->listener, cl_connection_accept, endpoint);
        if (result < 0)
            return result;
    }
    return 0;
}

void cl_exchanges_counts(const struct cl_exchanges *exchanges, uint64_t *ret_connections, uint64_t *ret_in_flight,
                         uint64_t *ret_refused)
{
    *ret_connections = exchanges->connections;
    *ret_in_flight = exchanges->in_flight;
    *ret_refused = exchanges->refused;
    CL_LIST_FOREACH(node, &exchanges->endpoints)
    {
        const struct cl_endpoint *endpoint = CL_CONTAINER(node, struct cl_endpoint, node);
        if (!endpoint->listener_closed)
            *ret_refused += cl_listener_refused(endpoint->listener);
    }
}

struct cl_exchanges *cl_exchanges_free(struct cl_exchanges *exchanges)
{
    if (!exchanges)
        return NULL;
    if (exchanges->connections > 0)
        cl_log(CL_LOG_ERROR, "exchange", "freed with %llu connections open",
               (unsigned long long)exchanges->connections);
    CL_LIST_FOREACH(node, &exchanges->endpoints)
    {
        struct cl_endpoint *endpoint = CL_CONTAINER(node, struct cl_endpoint, node);
        if (!endpoint->listener_closed)
            cl_listener_close(endpoint->listener, NULL, NULL);
        cl_list_remove(node);
        endpoint_free(endpoint);
    }
    CL_LIST_FOREACH(node, &exchanges->services)
    {
        struct cl_service *service = CL_CONTAINER(node, struct cl_service, node);
        service->personality->exchange_room = NULL;
        cl_list_remove(node);
        free(service);
    }
    close_timers(exchanges);
    return NULL;
}
