/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.h - the calls into one plugin instance that have not completed yet, and what a completion from it is worth.
 *
 * A plugin promises to complete each call exactly once, later. Ours is to see when it does not: a number that is not
 * under way is named and ignored (twice, or never begun), one that comes inside its own starting call is named and put
 * off to the next turn of the loop (whoever made the call is not ready for it), one that does not come is named when
 * its patience has run out and stays accounted for. Nobody above sees a misbehaving plugin as anything but a slow or a
 * failing one.
 */
#ifndef CL_CORE_STORE_CALLS_H
#define CL_CORE_STORE_CALLS_H

#include "core/loop/loop.h"
#include "core/store/arena.h"
#include "core/util/list.h"
#include "core/util/map.h"

#include <cloister/error.h>

/* error is NULL on success; result is never NULL and in our own size. Both borrowed for the call. */
typedef void (*cl_call_fn)(void *ctx, const struct cloister_error *error, const void *result);
/* Copies what `result` points to, so that it outlives the plugin's call. */
typedef void (*cl_call_keep_fn)(struct cl_arena *arena, void *result);

/* Lives inside whatever made the call. token 0: not under way. */
struct cl_call {
    struct cl_list node;
    uint64_t token;
    const char *what; /* static: "sandbox_create" */
    char subject[64]; /* of the log lines */
    uint64_t due;     /* when it is named as overdue; 0 once it has been */
    cl_call_fn fn;
    void *ctx;
    bool inside;               /* the plugin has not returned from the starting call */
    struct cl_call_kept *kept; /* its early completion */
};

struct cl_calls {
    struct cl_loop *loop;
    const char *area;  /* for the log */
    const char *label; /* borrowed: "isolation 'main' (namespaces)" */
    size_t result_size;
    cl_call_keep_fn keep;
    struct cl_map by_token;
    struct cl_list under_way;
    uint64_t last_token;
    uint64_t patience; /* ns past the deadline (or the start); 30 s */
    unsigned overdue;  /* named and still under way */
    cloister_timer *watchdog;
    uint64_t watchdog_at;
    cloister_timer *later; /* early completions */
};

#define CL_CALL_RESULT_MAX 512u

int cl_calls_init(struct cl_calls *calls, struct cl_loop *loop, const char *area, const char *label, size_t result_size,
                  cl_call_keep_fn keep);
/* Forgets what is under way: no completion is taken any more. */
void cl_calls_close(struct cl_calls *calls);
/* Before the vtable call; deadline 0 = none. Returns the token, 0 when memory is short. subject may be empty. */
uint64_t cl_calls_begin(struct cl_calls *calls, struct cl_call *call, const char *what, struct cloister_sv subject,
                        uint64_t deadline, cl_call_fn fn, void *ctx);
/* After the vtable call has returned. */
void cl_calls_entered(struct cl_call *call);
/* The plugin's upcall. */
void cl_calls_done(struct cl_calls *calls, uint64_t token, const struct cloister_error *error, const void *result);

#endif
