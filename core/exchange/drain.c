/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/drain.h"

#include "core/exchange/connection.h"
#include "core/log/log.h"
#include "core/util/time.h"

/* What is left for peers to take their last answers, after which their sockets are cut. */
#define CLOSING_GRACE (2 * CL_NS_PER_S)
/* A peer that we have let in and that has not said anything yet has most likely just knocked. Closing its connection
 * now, with its request on the way, would be a refusal in all but name. */
#define FRESH_GRACE CL_NS_PER_S

/* todo 0: what drains now does. */
static void for_each_connection(struct cl_exchanges *exchanges, uint32_t todo)
{
    CL_LIST_FOREACH(node, &exchanges->endpoints)
    {
        struct cl_endpoint *endpoint = CL_CONTAINER(node, struct cl_endpoint, node);
        CL_LIST_FOREACH(inner, &endpoint->connections)
        {
            struct cl_connection *connection = CL_CONTAINER(inner, struct cl_connection, node);
            if (todo)
                cl_connection_do(connection, todo);
            else if (cl_is_fresh(connection))
                continue;
            else if (connection->attached)
                cl_connection_drain(connection);
            else
                cl_connection_do(connection, CL_TODO_ABORT);
        }
    }
}

static void on_listener_closed(void *ctx)
{
    struct cl_exchanges *exchanges = ctx;
    exchanges->listeners_closing--;
    cl_drain_check(exchanges);
}

void cl_exchanges_drain(struct cl_exchanges *exchanges, uint64_t deadline, cloister_fn drained, void *ctx)
{
    uint64_t fresh_until = cl_mono_ns() + FRESH_GRACE;
    exchanges->drain = CL_DRAIN_WAITING;
    exchanges->drain_deadline = deadline ? deadline : 1;
    exchanges->drain_fresh = fresh_until < deadline;
    exchanges->drained = drained;
    exchanges->drained_ctx = ctx;
    CL_LIST_FOREACH(node, &exchanges->endpoints)
    {
        struct cl_endpoint *endpoint = CL_CONTAINER(node, struct cl_endpoint, node);
        endpoint->listener_closed = true;
        exchanges->listeners_closing++;
        cl_listener_close(endpoint->listener, on_listener_closed, exchanges);
    }
    for_each_connection(exchanges, 0);
    CL_LIST_FOREACH(node, &exchanges->services)
    {
        struct cl_service *service = CL_CONTAINER(node, struct cl_service, node);
        const struct cloister_personality *personality = &service->personality->vtable->personality;
        service->draining = personality->drain != NULL;
        if (personality->drain)
            personality->drain(service->personality->self, deadline);
    }
    (void)cl_timer_set(exchanges->drain_timer, exchanges->drain_fresh ? fresh_until : exchanges->drain_deadline, 0);
    cl_drain_check(exchanges);
}

void cl_exchanges_hurry(struct cl_exchanges *exchanges)
{
    if (exchanges->drain != CL_DRAIN_WAITING)
        return;
    exchanges->drain_fresh = false;
    (void)cl_timer_set(exchanges->drain_timer, 1, 0);
}

void cl_drain_check(struct cl_exchanges *exchanges)
{
    if (exchanges->drain == CL_DRAIN_NONE || exchanges->drain == CL_DRAIN_DONE)
        return;
    exchanges->drain_check = true;
    (void)cl_timer_set(exchanges->work_timer, 1, 0);
}

static bool any_fresh(const struct cl_exchanges *exchanges)
{
    CL_LIST_FOREACH(node, (struct cl_list *)&exchanges->endpoints)
    {
        CL_LIST_FOREACH(inner, &CL_CONTAINER(node, struct cl_endpoint, node)->connections)
        {
            if (cl_is_fresh(CL_CONTAINER(inner, struct cl_connection, node)))
                return true;
        }
    }
    return false;
}

static bool waiting(const struct cl_exchanges *exchanges)
{
    CL_LIST_FOREACH(node, (struct cl_list *)&exchanges->services)
    {
        if (CL_CONTAINER(node, struct cl_service, node)->draining)
            return true;
    }
    return exchanges->in_flight > 0 || any_fresh(exchanges);
}

static void start_closing(struct cl_exchanges *exchanges)
{
    exchanges->drain = CL_DRAIN_CLOSING;
    (void)cl_timer_set(exchanges->drain_timer, cl_mono_ns() + CLOSING_GRACE, 0);
    for_each_connection(exchanges, CL_TODO_SHUTDOWN);
}

void cl_drain_step(struct cl_exchanges *exchanges)
{
    if (!exchanges->drain_check)
        return;
    exchanges->drain_check = false;
    if (exchanges->drain == CL_DRAIN_WAITING && !waiting(exchanges)) {
        start_closing(exchanges);
        exchanges->drain_check = true;
        (void)cl_timer_set(exchanges->work_timer, 1, 0);
        return;
    }
    if (exchanges->drain == CL_DRAIN_CLOSING && exchanges->connections == 0 && exchanges->listeners_closing == 0) {
        exchanges->drain = CL_DRAIN_DONE;
        (void)cl_timer_stop(exchanges->drain_timer);
        exchanges->drained(exchanges->drained_ctx);
    }
}

void cl_drain_expired(void *ctx)
{
    struct cl_exchanges *exchanges = ctx;
    if (exchanges->drain == CL_DRAIN_WAITING && exchanges->drain_fresh) {
        exchanges->drain_fresh = false;
        for_each_connection(exchanges, 0);
        (void)cl_timer_set(exchanges->drain_timer, exchanges->drain_deadline, 0);
    } else if (exchanges->drain == CL_DRAIN_WAITING) {
        cl_log(CL_LOG_WARN, "exchange", "the drain deadline has passed with %llu requests under way",
               (unsigned long long)exchanges->in_flight);
        start_closing(exchanges);
    } else if (exchanges->drain == CL_DRAIN_CLOSING) {
        for_each_connection(exchanges, CL_TODO_ABORT);
    }
    cl_drain_check(exchanges);
}
