/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.h - one run of cloister-tar (common/tar) for an operation: from the question who the container's init is to
 * the helper's end. What the three operations make of it is files.c's business. [loop]
 */
#ifndef NS_TRANSFER_H
#define NS_TRANSFER_H

#include "common/tar/message.h"
#include "sandbox.h"

struct ns_transfer;

/* What an operation adds. */
struct ns_transfer_kind {
    const char *mode;
    /* Makes the helper's stdin and stdout (-1: /dev/null), and keeps our ends. 0 or negative errno. */
    int (*open)(struct ns_transfer *transfer, int *ret_stdin, int *ret_stdout);
    /* READY has come, the operation lives. */
    void (*ready)(struct ns_transfer *transfer);
    /* The helper has ended, or never began, after whatever else; `whole`: it says that all is well, and exited with 0.
     * Else base.err is filled, if the operation is not answered. */
    void (*ended)(struct ns_transfer *transfer, bool whole);
    /* It is to end now, its helper is being killed: ours are let go. Once. */
    void (*stopped)(struct ns_transfer *transfer);
};

struct ns_transfer {
    struct ns_op base; /* first; on the instance's list until answered */
    struct ns_transfer *next;
    const struct ns_transfer_kind *kind;
    const struct cloister_host *host; /* outlives the instance */
    struct ns_instance *instance;     /* NULL: it has gone */
    struct ns_sandbox *sandbox;       /* a reference; NULL: it has gone */
    struct ns_container *container;   /* a reference */
    uint32_t refs;
    bool answered;
    bool stopped;
    uint64_t serial; /* of the question, 0: not asked */

    char *user; /* NUL-terminated copies */
    char *path;
    char *host_root; /* read_file of a stopped container */
    uint32_t flags;
    uint64_t max;
    uint64_t deadline; /* of the operation; 0 = none */
    cloister_timer *timer;

    int pidfd; /* the helper's */
    int control;
    cloister_watch *watch;
    bool ready;
    struct cl_tar_message last; /* DONE or FAILED; kind 0: none yet */

    struct cloister_result result;
    void *own; /* the kind's */
    int fd;    /* so too */
};

/* Begun, in that container, which is there, with one reference that is the operation's; NULL with the operation failed.
 * The caller fills the rest. */
struct ns_transfer *ns_transfer_new(struct ns_sandbox *sandbox, struct cloister_sv cid,
                                    const struct ns_transfer_kind *kind, cloister_op number);
void ns_transfer_ref(struct ns_transfer *transfer);
void ns_transfer_unref(struct ns_transfer *transfer);

/* Asks for the container's init and runs the helper in its namespaces, or right away with a host_root. */
void ns_transfer_start(struct ns_transfer *transfer);
/* Completes the operation with what is in base.err or result; once, later calls do nothing. */
void ns_transfer_answer(struct ns_transfer *transfer);
/* Ends it early: kills the helper; if it is not yet answered, with this error. */
void ns_transfer_stop(struct ns_transfer *transfer, uint32_t code, const char *why);

/* All of a sandbox's (NULL: of the instance), because that goes away. */
void ns_transfers_stop(struct ns_instance *instance, struct ns_sandbox *sandbox, uint32_t code, const char *why);

/* outflow.c: a stream that reads `fd` (taken, on failure too) and ends when the transfer has: EOF only if it was whole.
 * A reference of the transfer is the stream's. 0 or negative errno. */
int ns_outflow_open(struct ns_transfer *transfer, int fd, cloister_stream **ret);
/* The verdict. */
void ns_outflow_end(struct ns_transfer *transfer, bool whole);

#endif
