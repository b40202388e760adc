/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending.h - taking a sandbox away: its keeper first (its death kills everything inside), then, in a worker, what lies
 * outside: cgroups with whoever still lives in them, and the keeper's socket file. Destroy and the undo of a create
 * share it, so that undo is exact. Bounded: what does not go is named.
 */
#ifndef NS_ENDING_H
#define NS_ENDING_H

#include "sandbox.h"

struct ns_ending {
    struct ns_op *op;
    struct ns_sandbox *sandbox; /* a reference; NULL = a sandbox this plugin has never seen */
    struct ns_intent intent;
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    uint64_t cookie;
    char socket[108];
    cloister_timer *timer;
    bool looked;                  /* for those that a v1 freezer holds back */
    bool gone;                    /* the keeper */
    bool killed;                  /* SIGKILL has been sent */
    bool answered_for;            /* somebody lives behind the socket who is not ours, or does not die */
    char *left;                   /* malloc'd: what is left over; NULL = nothing */
    struct ns_container *stopped; /* whose poststop hooks are next */
    void (*done)(struct ns_ending *ending);
    void *ctx;
};

/* Starts it; `op` provides the worker. force: SIGKILL now; else the keeper has been asked, and gets 5 s. done is called
 * once, later; it frees the ending by ns_ending_free. 0 or negative errno (done is then not called). */
int ns_ending_start(struct ns_ending *ending, bool force);
void ns_ending_free(struct ns_ending *ending);

#endif
