/* SPDX-License-Identifier: Apache-2.0 */
/* room.h - the structures that the files of core/exchange share; nobody else includes it. */
#ifndef CL_EXCHANGE_ROOM_H
#define CL_EXCHANGE_ROOM_H

#include <stdbool.h>

#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/util/list.h"

#define CL_BODY_MAX_DEFAULT (1024u * 1024u)
#define CL_REQUESTS_MAX 1024u /* of one connection, parked ones included; beyond it BUSY */

/* One personality, however many endpoints it has. Hangs on cl_instance.exchange_room. */
struct cl_service {
    struct cl_list node; /* cl_exchanges.services */
    struct cl_exchanges *owner;
    struct cl_instance *personality;
    bool draining; /* asked to drain, has not said drained yet */
};

struct cl_exchanges {
    struct cl_loop *loop;
    cloister_timer *work_timer;  /* fires at once: runs `work` on a fresh stack, needs no memory to be set */
    cloister_timer *drain_timer; /* drain deadline, then the grace of closing */
    unsigned timers_open;
    struct cl_list services;
    struct cl_list endpoints;
    struct cl_list work; /* connections with something to do */
    uint64_t connections;
    uint64_t in_flight; /* requests that are not parked */
    uint64_t refused;   /* peers without access */
    unsigned listeners_closing;
    enum { CL_DRAIN_NONE, CL_DRAIN_WAITING, CL_DRAIN_CLOSING, CL_DRAIN_DONE } drain;
    uint64_t drain_deadline;
    bool drain_fresh; /* connections that have not asked anything yet are still heard */
    bool drain_check; /* look whether the drain can go on, at the next work round */
    cloister_fn drained;
    void *drained_ctx;
    bool freeing;
};

struct cl_endpoint {
    struct cl_list node;
    struct cl_exchanges *owner;
    char *service;
    char *address;
    struct cl_instance *personality;
    struct cl_instance **transports;
    size_t transport_count;
    struct cl_listener *listener; /* lives until the last of its connections is released, also when closed */
    bool listener_closed;
    struct cl_access_rule *rules;
    size_t rule_count;
    unsigned max_in_flight;
    struct cl_list connections;
};

enum cl_todo {
    CL_TODO_ATTACH = 1 << 0,   /* the probe has decided: cl_connection.transport */
    CL_TODO_EOF = 1 << 1,      /* the peer sends nothing more */
    CL_TODO_FLUSH = 1 << 2,    /* conn_close(flush) */
    CL_TODO_LOST = 1 << 3,     /* over; the stream is finished: what is queued may leave */
    CL_TODO_ABORT = 1 << 4,    /* over; the stream is cut */
    CL_TODO_SHUTDOWN = 1 << 5, /* the drain is through with waiting */
    CL_TODO_DRAIN = 1 << 6,    /* a first request has come during a drain: it is the last one */
};

struct cl_connection {
    struct cl_list node;      /* cl_endpoint.connections */
    struct cl_list work_node; /* cl_exchanges.work */
    struct cl_endpoint *endpoint;
    uint64_t handle;
    cloister_stream *stream;
    struct cl_peer peer;
    uint32_t access;
    struct cl_instance *transport; /* NULL while probing */
    void *state;                   /* the transport's */
    bool attached;
    bool opened;  /* the personality knows it */
    bool closing; /* its stream is on its way out: nothing but the closed callback follows */
    bool paused;
    bool draining; /* the transport was told to take no new request */
    bool asked;    /* has had a request, or what was meant as one */
    uint32_t todo; /* enum cl_todo */
    uint32_t gone_reason;
    struct cloister_transport_limits limits;
    void *data; /* the personality's */
    struct cl_list requests;
    unsigned in_flight;
    unsigned request_count;
    char *first; /* probing: what was read so far */
    size_t first_size;
    uint64_t *pushes; /* ring of request handles: whose push is the nth not yet in the kernel */
    size_t push_first, push_count, push_capacity;
    uint64_t pushes_sent;
};

struct cl_request {
    struct cl_list node; /* cl_connection.requests */
    struct cl_connection *connection;
    uint64_t handle;
    void *wire;
    const struct cloister_route *route; /* NULL for a fault without one */
    struct cloister_wire_id id;
    struct cloister_sv op;
    struct cloister_sv target;
    struct cloister_field *fields;
    size_t field_count;
    struct cl_route_parameter *parameters;
    size_t parameter_count;
    struct cloister_descriptor *descriptors;
    size_t descriptor_count;
    char *text; /* memory behind the views */
    char *body;
    size_t body_size, body_capacity;
    cloister_value *document;
    bool delivered; /* the personality has it */
    bool counted;   /* in in_flight */
    bool open;      /* answer_open */
    bool gone;      /* being told to the personality */
    bool closes;    /* the connection ends after its answer */
    bool full;      /* a push was refused: writable is owed */
    uint64_t pushes_sent;
    void *data; /* the personality's */
};

/* It drains and this connection may still bring its first request: whoever was let in is answered. */
static inline bool cl_is_fresh(const struct cl_connection *connection)
{
    return connection->endpoint->owner->drain_fresh && !connection->asked && !connection->closing;
}

static inline const struct cloister_personality *cl_personality_of(const struct cl_connection *connection)
{
    return &connection->endpoint->personality->vtable->personality;
}

static inline void *cl_personality_self(const struct cl_connection *connection)
{
    return connection->endpoint->personality->self;
}

static inline const struct cloister_transport *cl_transport_of(const struct cl_connection *connection)
{
    return &connection->transport->vtable->transport;
}

#endif
