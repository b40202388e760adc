/* SPDX-License-Identifier: Apache-2.0 */
/*
 * personality.h - the vtable of personality plugins, and the exchange service (cloister_host.exchange).
 *
 * A personality gives requests their meaning and answers their words. It never sees a socket, an address or a pid file.
 * Each exchange is answered exactly once: `answer`; or `answer_open`, any number of `push`, `end`. It may be answered
 * inside exchange() or later. Its getters are valid until it is answered (answer_open: until end), or exchange_gone has
 * returned. Members since 0.1. Source: sdk.md sections 2 and 4.
 */
#ifndef CLOISTER_PERSONALITY_H
#define CLOISTER_PERSONALITY_H

#include <cloister/events.h>
#include <cloister/plugin.h>
#include <cloister/sandbox.h>
#include <cloister/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cloister_access {
    CLOISTER_ACCESS_NONE = 0,
    CLOISTER_ACCESS_OBSERVE = 1,
    CLOISTER_ACCESS_CONTROL = 2,
    CLOISTER_ACCESS_ADMIN = 3
};

#define CLOISTER_ROUTE_FDS (1u << 0)    /* takes descriptors */
#define CLOISTER_ROUTE_PARKED (1u << 1) /* waits for long: parked from the start */

struct cloister_route { /* stands in arrays */
    const char *verb;   /* "GET"; NULL = the route has no URL */
    const char *path;   /* "/containers/:handle"; NULL = the route has no URL */
    const char *op;     /* operation word; NULL = none */
    uint32_t number;    /* operation number on numbered protocols, 0 = none */
    uint32_t id;        /* what exchange() is given; the personality's own */
    uint32_t access;    /* enum cloister_access */
    uint32_t body;      /* enum cloister_body */
    uint64_t body_max;  /* WHOLE: bytes, 0 = 1 MiB */
    uint32_t flags;     /* CLOISTER_ROUTE_* */
    uint32_t reserved32;
    uint64_t reserved[2];
};

enum cloister_gone {
    CLOISTER_GONE_PEER = 1,
    CLOISTER_GONE_TIMEOUT = 2,
    CLOISTER_GONE_SHUTDOWN = 3,
    CLOISTER_GONE_PROTOCOL = 4
};

struct cloister_personality {
    uint32_t struct_size;
    uint32_t route_count;
    struct cloister_lifecycle life;
    const struct cloister_route *routes; /* constant */
    uint64_t route_size;                 /* bytes per element */
    /* The service begins: recovery is done, no connection is accepted yet. 0, or -1 with err: the daemon refuses to
     * start. */
    int32_t (*start)(void *instance, struct cloister_error *err);
    void (*conn_open)(void *instance, cloister_conn *conn);
    void (*conn_closed)(void *instance, cloister_conn *conn,
                        uint32_t reason); /* after exchange_gone of everything on it */
    /* A request whose body is complete (NONE, WHOLE) or begins (STREAM), in read order. Mandatory. */
    void (*exchange)(void *instance, cloister_exchange *exchange, uint32_t route_id);
    /* Input that must be answered with an error of this protocol. Mandatory. */
    void (*exchange_fault)(void *instance, cloister_exchange *exchange, const struct cloister_fault *fault);
    /* The exchange can no longer be answered. Cancel what was done for it alone. Mandatory. */
    void (*exchange_gone)(void *instance, cloister_exchange *exchange, uint32_t reason);
    void (*writable)(void *instance, cloister_exchange *exchange); /* after FULL */
    void (*sent)(void *instance, cloister_exchange *exchange,
                 uint64_t pushes); /* its first n pushes are in the kernel */
    void (*event)(void *instance,
                  const struct cloister_event *event); /* own and granted sandboxes; lossless, in order */
    /* One sandbox came out of recovery; call cloister_engine_api.recovered_done when ready (it may take its time). */
    void (*recovered)(void *instance, const struct cloister_sandbox_info *sandbox, cloister_op op);
    void (*reload)(void *instance);
    /* No more requests come. Complete what is under way until deadline; call drained when done. */
    void (*drain)(void *instance, uint64_t deadline);
    void (*close)(void *instance); /* no exchange is left; destroy follows */
};

struct cloister_conn_info {
    uint32_t struct_size;
    uint32_t role;               /* enum cloister_role */
    uint64_t serial;             /* never reused */
    struct cloister_sv endpoint; /* its address in the config */
    uint32_t access;             /* enum cloister_access of the peer */
    uint32_t uid;
    uint32_t gid;
    int32_t pid; /* 0 = unknown */
    uint64_t largest_answer;
    uint64_t capabilities; /* CLOISTER_TRANSPORT_* of its transport */
    uint64_t largest_request;
    const uint32_t *groups; /* the peer's supplementary groups, at most 64; borrowed until conn_closed has returned */
    uint64_t group_count;
};

struct cloister_exchange_api {
    uint32_t struct_size;
    uint32_t reserved;
    void (*conn_info)(const cloister_conn *conn, struct cloister_conn_info *ret);
    void (*conn_data_set)(cloister_conn *conn, void *data);
    void *(*conn_data)(const cloister_conn *conn);
    void (*conn_close)(cloister_conn *conn, uint32_t flush); /* 1 = after what is queued has left */

    cloister_conn *(*conn)(const cloister_exchange *exchange);
    struct cloister_sv (*op)(const cloister_exchange *exchange);
    struct cloister_wire_id (*wire_id)(const cloister_exchange *exchange);
    struct cloister_sv (*target)(const cloister_exchange *exchange);
    struct cloister_sv (*parameter)(const cloister_exchange *exchange, struct cloister_sv name); /* of the path, raw */
    struct cloister_sv (*query)(const cloister_exchange *exchange, struct cloister_sv name);
    struct cloister_sv (*header)(const cloister_exchange *exchange, struct cloister_sv name); /* case-blind */
    struct cloister_sv (*body)(
        const cloister_exchange *exchange); /* WHOLE; where the framing is JSON, the document printed */
    /* The body as JSON, parsed at most once; borrowed until the exchange is answered. NULL: it is not JSON, err says
     * where. An empty body is an empty object. */
    const cloister_value *(*document)(cloister_exchange *exchange, struct cloister_error *err);
    /* Takes a descriptor by role (nth = 0, 1, ... among equal roles): the caller owns it. -1 = not there. What is not
     * taken is closed when the exchange is answered. */
    int32_t (*take_fd)(cloister_exchange *exchange, struct cloister_sv role, uint32_t nth);
    void (*data_set)(cloister_exchange *exchange, void *data);
    void *(*data)(const cloister_exchange *exchange);

    /* enum cloister_pushed. TOO_BIG: still unanswered. GONE: nothing was written, the exchange is over. Never calls
     * back inside. */
    uint32_t (*answer)(cloister_exchange *exchange, uint32_t klass, struct cloister_sv body);
    uint32_t (*answer_open)(cloister_exchange *exchange, uint32_t klass, struct cloister_sv body);
    /* FULL: it was not taken; writable follows. GONE: exchange_gone follows (after `answer` it does not). */
    uint32_t (*push)(cloister_exchange *exchange, struct cloister_sv body);
    void (*end)(cloister_exchange *exchange);
    void (*park)(cloister_exchange *exchange);         /* leaves the in-flight count, deadlines and drain */
    void (*drained)(const struct cloister_host *host); /* answer to drain */
    /* An open exchange of the same connection by its wire id, NULL if there is none (unsubscribe). */
    cloister_exchange *(*by_wire_id)(const cloister_conn *conn, struct cloister_wire_id id);

    /* Later issues; NULL until then. */
    uint32_t (*conn_push)(cloister_conn *conn, struct cloister_sv op, struct cloister_sv body, uint32_t must);
    uint32_t (*answer_fields)(cloister_exchange *exchange, const struct cloister_answer *answer);
    int32_t (*answer_stream)(cloister_exchange *exchange, const struct cloister_answer *answer,
                             cloister_stream *source);
    cloister_stream *(*body_stream)(cloister_exchange *exchange);
    cloister_stream *(*hijack)(cloister_exchange *exchange, const struct cloister_answer *answer, uint32_t claim);
    cloister_exchange *(*adopt)(cloister_conn *conn, struct cloister_wire_id id, struct cloister_sv op);
    int32_t (*dial_port)(cloister_conn *conn, uint32_t port, uint64_t deadline, cloister_op *ret);
    int32_t (*serve)(const struct cloister_host *host, cloister_stream *stream, struct cloister_sv transport);
    int32_t (*call)(cloister_conn *conn, struct cloister_sv op, struct cloister_sv body, uint64_t deadline,
                    cloister_op *ret);
};

#ifdef __cplusplus
}
#endif
#endif
