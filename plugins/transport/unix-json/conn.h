/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - one connection: what was read and not yet understood, requests in flight, what was written and has not yet
 * left. */
#ifndef UNIX_JSON_CONN_H
#define UNIX_JSON_CONN_H

#include <stdbool.h>

#include <cloister/host.h>

#define UJ_DESCRIPTORS_MAX 253u /* the kernel's limit for one message (SCM_MAX_FD) */

struct uj_limits {
    uint64_t message;     /* bytes of a request line */
    uint32_t depth;       /* nesting of a request */
    uint64_t answer;      /* bytes of an answer's or push's body */
    uint64_t output;      /* unsent bytes of a connection */
    uint64_t push;        /* unsent bytes above which pushes are refused */
    uint64_t stall_ns;    /* without progress while an answer waits */
    uint64_t half_ns;     /* between two reads of one request */
    uint32_t descriptors; /* received and not yet claimed */
};

struct uj_instance {
    const struct cloister_host *host;
    struct uj_limits limits;
};

/* One request in flight; the host calls it `wire`. */
struct uj_wire {
    struct uj_wire *next, **link; /* list of its connection */
    struct cloister_wire_id id;   /* text points behind the struct */
    struct cloister_sv echo;      /* the id as JSON; host memory if it is text */
    uint64_t sequence;            /* of the last push */
    bool open;
    char digits[24];
};

struct uj_descriptor {
    int fd;
    uint64_t end; /* position in the input behind the last byte that arrived in the same read */
};

struct uj_conn {
    const struct cloister_host *host;
    const struct uj_limits *limits;
    cloister_conn *conn;
    cloister_stream *stream;
    cloister_timer *timer;
    unsigned holders; /* timer handle and posts: the memory outlives them */
    bool detached;

    bool paused;   /* by the host: no further request */
    bool draining; /* by the host: no request ever */
    bool closing;  /* an answer was the last word */
    bool over;     /* lost was reported */
    bool eof, eof_told;
    bool reading, parsing, resume_posted;
    bool begun; /* its first byte was ours */

    char *in;
    uint64_t in_size, in_capacity, in_scanned;
    uint64_t in_position; /* of in[0] in the connection's input */
    unsigned garbage;     /* lines in a row that were no envelope */
    struct uj_descriptor queue[UJ_DESCRIPTORS_MAX];
    uint32_t queued;

    struct uj_wire *wires;

    uint64_t half_deadline;  /* 0 = no half request */
    uint64_t stall_deadline; /* of the next look, 0 = nothing waits */
    uint64_t stall_sent;     /* sent at the last look */
    uint64_t stall_since;    /* when sent was last seen to grow */
    uint64_t answer_end;     /* position in the output behind the last answer */
    bool want_room;          /* a push was refused */
    bool sent_posted;
    uint64_t *push_ends; /* ring: position behind each push that has not yet left */
    uint64_t push_first, push_count, push_capacity;
    uint64_t pushes_sent;
};

/* conn.c */
int32_t uj_conn_attach(const struct uj_instance *instance, cloister_conn *conn, cloister_stream *stream,
                       struct uj_conn **ret_conn);
void uj_conn_detach(struct uj_conn *conn);
void uj_conn_pause(struct uj_conn *conn, bool paused);
void uj_conn_drain(struct uj_conn *conn);
/* The connection is over; verdict as in `lost`: EOF = what is queued may leave, ABORTED = cut. Tells the host, once. */
void uj_conn_over(struct uj_conn *conn, uint32_t verdict, int32_t os_errno, const char *why);
/* Over, if the last word has been said and has left. */
void uj_conn_check_end(struct uj_conn *conn);
void uj_conn_set_timer(struct uj_conn *conn);
/* Runs fn(conn) on a fresh stack, unless the connection was detached meanwhile. false: no memory. */
bool uj_conn_post(struct uj_conn *conn, void (*fn)(struct uj_conn *conn));
void uj_conn_stop_reading(struct uj_conn *conn);

/* wire.c */
struct uj_wire *uj_wire_new(struct uj_conn *conn, const struct cloister_wire_id *id);
bool uj_wire_in_use(const struct uj_conn *conn, const struct cloister_wire_id *id);
void uj_wire_free(struct uj_conn *conn, struct uj_wire *wire);

/* input.c */
void uj_input_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count);
/* Takes requests from what was read, until the host has enough of them. */
void uj_input_parse(struct uj_conn *conn);
void uj_input_drop(struct uj_conn *conn);

/* output.c */
uint32_t uj_output_answer(struct uj_conn *conn, struct uj_wire *wire, const struct cloister_answer *answer, bool open);
uint32_t uj_output_push(struct uj_conn *conn, struct uj_wire *wire, struct cloister_sv body);
void uj_output_drained(struct uj_conn *conn);
/* Looks whether the peer takes what waits: goes on, or ends the connection. */
void uj_output_stalled(struct uj_conn *conn, uint64_t now);

#endif
