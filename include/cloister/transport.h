/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - the vtable of transport plugins, and their upcalls (cloister_host.transport).
 *
 * A transport turns the bytes of a stream into exchanges and answers into bytes. It contains no error text of any
 * protocol: what is not a valid request it reports as a *fault*, and the personality words the answer. It never sees a
 * container.
 *
 *   stream bytes -> head (host matches the route, returns the body policy) -> body ... -> [personality] -> answer ->
 * stream bytes
 *
 * `wire` is the transport's own pointer for one request: given with head or fault, handed back with every call about
 * that exchange, valid until the transport has seen `answer` (or `end` after `answer_open`), or `forget`. It is NULL
 * where the connection as a whole is answered: a peer without access is refused before it has sent anything. All calls
 * [loop]. A call of the host may come from inside an upcall (an exchange answered at once): head, body and fault may
 * re-enter answer, push and end, never detach. Members since 0.1. Source: sdk.md section 2.
 */
#ifndef CLOISTER_TRANSPORT_H
#define CLOISTER_TRANSPORT_H

#include <cloister/plugin.h>
#include <cloister/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Classes of answers, one to one with HTTP. */
enum cloister_class {
    CLOISTER_CLASS_OK = 200,
    CLOISTER_CLASS_CREATED = 201,
    CLOISTER_CLASS_INVALID = 400,
    CLOISTER_CLASS_DENIED = 403,
    CLOISTER_CLASS_NOT_FOUND = 404,
    CLOISTER_CLASS_NO_METHOD = 405,
    CLOISTER_CLASS_CONFLICT = 409,
    CLOISTER_CLASS_TOO_LARGE = 413,
    CLOISTER_CLASS_INTERNAL = 500,
    CLOISTER_CLASS_UNAVAILABLE = 503,
    CLOISTER_CLASS_DEADLINE = 504
};

enum cloister_fault_kind {
    CLOISTER_FAULT_NO_ROUTE = 1,
    CLOISTER_FAULT_WRONG_VERB = 2, /* allow */
    CLOISTER_FAULT_MALFORMED = 3,  /* offset, text */
    CLOISTER_FAULT_TOO_LARGE = 4,
    CLOISTER_FAULT_DUPLICATE_KEY = 5,
    CLOISTER_FAULT_BAD_ID = 6,
    CLOISTER_FAULT_UNKNOWN_OP = 7,
    CLOISTER_FAULT_BAD_DESCRIPTORS = 8,
    CLOISTER_FAULT_DENIED = 9,
    CLOISTER_FAULT_BUSY = 10,
    CLOISTER_FAULT_DRAINING = 11
};

enum cloister_id_kind { CLOISTER_ID_NONE = 0, CLOISTER_ID_U64 = 1, CLOISTER_ID_TEXT = 2 };

struct cloister_wire_id { /* embedded by value; does not grow */
    uint32_t kind;
    uint32_t reserved;
    uint64_t number;
    struct cloister_sv text;
};

struct cloister_field { /* a header or metadata field; stands in arrays */
    struct cloister_sv name;
    struct cloister_sv value;
    uint64_t reserved[2];
};

struct cloister_descriptor { /* stands in arrays */
    struct cloister_sv role; /* "stdin", "stdout", "stderr", "extra", "stream" */
    int32_t fd;
    uint32_t reserved32;
    uint64_t reserved[2];
};

/* A request's head. Borrowed for the call; descriptors are transferred. */
struct cloister_head {
    uint32_t struct_size;
    uint32_t number; /* operation number, with has_number */
    uint32_t has_number;
    uint32_t descriptor_count;
    struct cloister_sv verb;   /* "POST"; empty where the protocol has none */
    struct cloister_sv target; /* path and query as received; empty where the protocol has none */
    struct cloister_sv op;     /* operation word; empty where the protocol has none */
    struct cloister_wire_id id;
    const struct cloister_field *fields;
    uint64_t field_count;
    uint64_t field_size;
    const struct cloister_descriptor *descriptors;
    uint64_t descriptor_size;
    uint64_t body_size; /* announced; ~0 = unknown, 0 = none */
};

enum cloister_body { CLOISTER_BODY_NONE = 0, CLOISTER_BODY_WHOLE = 1, CLOISTER_BODY_STREAM = 2 };

struct cloister_body_policy {
    uint32_t struct_size;
    uint32_t policy;   /* enum cloister_body */
    uint64_t max;      /* WHOLE: bytes; a longer one is a fault TOO_LARGE of this exchange */
    uint32_t answered; /* 1: already answered (no route, denied): discard the body, if any; wire is gone */
    uint32_t reserved;
};

struct cloister_fault {
    uint32_t struct_size;
    uint32_t kind;   /* enum cloister_fault_kind */
    uint32_t closes; /* 1: the connection ends after the answer */
    uint32_t reserved;
    struct cloister_wire_id id;
    uint64_t offset;         /* where in the input, ~0 = does not apply */
    struct cloister_sv text; /* what was expected, for MALFORMED: of the reader, not of a protocol */
    struct cloister_sv allow;
    struct cloister_sv op; /* the operation asked for, if known */
};

struct cloister_answer {
    uint32_t struct_size;
    uint32_t klass;          /* enum cloister_class */
    struct cloister_sv body; /* of the personality */
    const struct cloister_field *fields;
    uint64_t field_count;
    uint64_t field_size;
    uint32_t closes; /* 1: nothing follows on this connection: flush and finish */
    uint32_t reserved;
};

struct cloister_transport_limits {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t capabilities;    /* CLOISTER_TRANSPORT_* */
    uint64_t largest_answer;  /* bytes of an answer's or push's body; a larger one is TOO_BIG */
    uint64_t largest_request; /* bytes of a request as its peer sends it; a larger one is a fault TOO_LARGE */
};

enum cloister_probe { CLOISTER_PROBE_NO = 0, CLOISTER_PROBE_YES = 1, CLOISTER_PROBE_MORE = 2 };
enum cloister_role { CLOISTER_ROLE_LISTENED = 1, CLOISTER_ROLE_DIALLED = 2 };
enum cloister_pushed {
    CLOISTER_PUSH_OK = 0,
    CLOISTER_PUSH_FULL = 1,
    CLOISTER_PUSH_GONE = 2,
    CLOISTER_PUSH_TOO_BIG = 3
};

struct cloister_hijack_args;
struct cloister_answer_stream_args;
struct cloister_adopt_args;

struct cloister_transport {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_lifecycle life;
    /* What this instance can carry. At any time after create. Mandatory. */
    void (*limits)(void *instance, struct cloister_transport_limits *ret);
    /* Are these the first bytes of this protocol? enum cloister_probe. Only asked where transports share an endpoint.
     * Mandatory. */
    uint32_t (*probe)(void *instance, struct cloister_sv first);
    /* Takes a new connection's stream (borrowed until detach has returned; the host closes it) and starts reading.
     * *ret_state is handed back with every call about it. 0 or negative errno. Mandatory. */
    int32_t (*attach)(void *instance, cloister_conn *conn, cloister_stream *stream, uint32_t role, void **ret_state);
    /* Writes the one answer. Returns enum cloister_pushed: TOO_BIG leaves the exchange unanswered; after GONE wire is
     * gone. Mandatory. */
    uint32_t (*answer)(void *instance, void *state, void *wire, const struct cloister_answer *answer);
    /* An answer that keeps the exchange open for pushes, until end. */
    uint32_t (*answer_open)(void *instance, void *state, void *wire, const struct cloister_answer *answer);
    uint32_t (*push)(void *instance, void *state, void *wire, struct cloister_sv body);
    void (*end)(void *instance, void *state, void *wire);
    /* The exchange has ended without an answer (its client has gone, a hijack, a shutdown): wire is forgotten.
     * Mandatory. */
    void (*forget)(void *instance, void *state, void *wire);
    /* 1: parse no further request (quota of requests in flight); 0: go on, from a fresh stack. Mandatory. */
    void (*pause)(void *instance, void *state, uint32_t paused);
    /* No new requests; finish when the last answer has left. `lost` follows. Mandatory. */
    void (*drain)(void *instance, void *state);
    /* Forget everything about this connection; the stream is not touched any more. Last call for state. Mandatory. */
    void (*detach)(void *instance, void *state);
    /* Later issues; NULL until then. */
    int32_t (*answer_stream)(void *instance, void *state, void *wire, const struct cloister_answer_stream_args *args);
    int32_t (*hijack)(void *instance, void *state, void *wire, const struct cloister_hijack_args *args);
    int32_t (*adopt)(void *instance, void *state, const struct cloister_adopt_args *args, void **ret_wire);
    uint32_t (*conn_push)(void *instance, void *state, struct cloister_sv op, struct cloister_sv body, uint32_t must);
};

struct cloister_transport_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* A request begins. Never fails: what is wrong with it is answered through the personality, and ret->answered says
     * so. With policy NONE or WHOLE and a body that is complete, call body once right after. Returns the exchange
     * (valid until wire is forgotten), or NULL when answered. */
    cloister_exchange *(*head)(cloister_conn *conn, void *wire, const struct cloister_head *head,
                               struct cloister_body_policy *ret);
    /* Bytes of the body; last = 1 with the final ones (which may be none). document (transferred, may be NULL): the
     * body as already parsed, for transports whose framing is JSON. */
    void (*body)(cloister_exchange *exchange, struct cloister_sv bytes, cloister_value *document, uint32_t last);
    /* Input that is not a valid request; with exchange if its head has been seen. The personality answers with wire. */
    void (*fault)(cloister_conn *conn, cloister_exchange *exchange, void *wire, const struct cloister_fault *fault);
    /* The peer sends nothing more: requests under way are answered, subscriptions end, then the host closes. */
    void (*peer_eof)(cloister_conn *conn);
    /* The connection is over (verdict, errno, and why, for the log): every exchange on it is gone; detach follows,
     * never inside this call. After EOF the host finishes the stream (flush, FIN), after any other verdict it aborts
     * it. */
    void (*lost)(cloister_conn *conn, uint32_t verdict, int32_t os_errno, const char *why);
    /* Below the low-water mark again, after a push that returned FULL. */
    void (*room)(cloister_conn *conn);
    /* Pushes counted from the connection's start that have left for the kernel. */
    void (*sent)(cloister_conn *conn, uint64_t pushes);
};

#ifdef __cplusplus
}
#endif
#endif
