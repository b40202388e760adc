/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - an operation that is one message to the keeper and its answer. [loop] */
#ifndef NS_CALL_H
#define NS_CALL_H

#include "deadline.h"
#include "hook_run.h"

struct ns_call {
    struct ns_op base;              /* first */
    struct ns_sandbox *sandbox;     /* a reference */
    struct ns_container *container; /* so too; the one that was asked for, or the first */
    const void *args;               /* of the operation */
    uint64_t serial;
    bool cancellable;              /* START */
    bool kills;                    /* SIGKILL: it completes when those that a v1 freezer held back are let go */
    struct ns_deadline deadline;   /* so too */
    struct cloister_result result; /* what success tells */
    /* May be NULL. The keeper has done it: takes what else its answer holds, or fills base.err. */
    void (*finish)(struct ns_call *call, struct cl_packet *answer);
    /* May be NULL. After finish: true if ns_call_complete follows, because there is more to do first. */
    bool (*hold)(struct ns_call *call);
    struct ns_hook_run *hooks; /* under way while it holds */
    /* May be NULL. It has not, for a reason that has better words here than a step's: true if base.err is filled. */
    bool (*refused)(struct ns_call *call, int os_errno);
};

/* Begun; NULL with the operation failed: no memory, or not a running sandbox of ours (ns_sandbox_up). */
struct ns_call *ns_call_new(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                            struct cloister_sv cid, const void *args, cloister_op number);

/* Sends; all else follows. Descriptors as ns_conn_send. A keeper too old for it: UNSUPPORTED. */
void ns_call_send(struct ns_call *call, void *message, const int *fds, uint32_t count);

/* What held it is done. */
void ns_call_complete(struct ns_call *call);

/* Without asking the keeper: completes later with what is in base.err and result. */
void ns_call_end(struct ns_call *call);

/* UNSUPPORTED: older keepers, which outlive their daemon, do not know `what`. */
void ns_call_too_old(struct ns_call *call, const char *what);
void ns_too_old(struct ns_instance *instance, struct cloister_error *err, const char *what);

#endif
