/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - the loop's end of a keeper's socket: requests go out in order, each answer finds its request by serial,
 * events go to the sandbox. Nothing here waits. [loop]
 */
#ifndef NS_CONN_H
#define NS_CONN_H

#include <cloister/host.h>
#include <stdbool.h>

#include "common/keeper/client.h"

/* answer is NULL when the connection was lost first; os_errno then says how (positive). */
typedef void (*ns_answer_fn)(void *ctx, struct cl_packet *answer, int os_errno);

struct ns_request;

struct ns_conn {
    const struct cloister_host *host;
    int fd; /* -1: closed */
    cloister_watch *watch;
    uint64_t serial;
    uint32_t version; /* the keeper's: what it does not know is not sent, longer messages are cut to its size */
    bool paused;
    bool broken;              /* the other end has gone, and who holds us waits for more before requests fail */
    struct ns_request *queue; /* not yet sent, in order */
    struct ns_request *waiting;
    /* An EXIT, DOWN, WARNING, DRAINED or POINT. */
    void (*event)(void *ctx, const struct cl_packet *packet);
    /* The other end cannot be used any more; os_errno EPIPE = it is closed. True: ns_conn_close will follow; else the
     * connection closes at once. Requests fail when it closes. */
    bool (*lost)(void *ctx, int os_errno);
    /* The watch is closed and the descriptor too: memory may go. */
    void (*closed)(void *ctx);
    void *ctx;
};

/* Takes the socket (on failure too). 0 or negative errno. */
int ns_conn_open(struct ns_conn *conn, const struct cloister_host *host, int fd);

/* The keeper is old enough to know requests of that type. */
bool ns_conn_knows(const struct ns_conn *conn, uint32_t type);

/* Nothing is read while it is paused: what comes waits in the socket. */
void ns_conn_pause(struct ns_conn *conn, bool paused);

/* The type of the request of that serial that is not yet answered; 0: there is none. */
uint32_t ns_conn_request(const struct ns_conn *conn, uint64_t serial);

/*
 * Sends `message` (copied; its serial is set here) with `fds` and `plan_fd` (or -1), which become the connection's and
 * are closed once sent; fn is called later. Returns the serial, or 0 when memory is short, the connection is closed or
 * the keeper too old (descriptors are then closed, too, and fn is not called).
 */
uint64_t ns_conn_send(struct ns_conn *conn, void *message, const int *fds, uint32_t count, int plan_fd, ns_answer_fn fn,
                      void *ctx);

/* The answer to that request is nobody's any more: its function is not called. 0, or answered already: nothing. */
void ns_conn_forget(struct ns_conn *conn, uint64_t serial);

/* Reads whatever has arrived, without waiting for the loop: before a death is announced. */
void ns_conn_drain(struct ns_conn *conn);

/* Fails what is under way with os_errno and closes; `closed` follows. Fit for a second call. */
void ns_conn_close(struct ns_conn *conn, int os_errno);

#endif
