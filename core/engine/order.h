/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h - who may work on a sandbox at the same time (sdk.md O8).
 *
 * A claim is exclusive on the sandbox, or shared there and exclusive or shared on one of its containers. It runs when
 * nothing that arrived before it and conflicts is still there, so nobody overtakes whom it would disturb, and nobody
 * waits for others.
 */
#ifndef CL_CORE_ENGINE_ORDER_H
#define CL_CORE_ENGINE_ORDER_H

#include <stdbool.h>

#include "core/util/list.h"

struct cl_sandbox;
struct cl_operation;

enum cl_claim_mode {
    CL_CLAIM_NONE = 0,      /* never queues */
    CL_CLAIM_SANDBOX = 1,   /* exclusive on the sandbox */
    CL_CLAIM_CONTAINER = 2, /* exclusive on the operation's container */
    CL_CLAIM_CONTAINER_SHARED = 3,
    CL_CLAIM_PASSING = 4, /* waits for what is exclusive on the sandbox, then holds nothing */
};

struct cl_claim {
    struct cl_list node; /* sandbox->claims */
    enum cl_claim_mode mode;
    bool running;
};

/* Puts the operation in line; true: it may begin now, else cl_operation's begin follows when it may. */
bool cl_order_enter(struct cl_operation *operation, enum cl_claim_mode mode);
/* Leaves; whoever may run now begins on a later turn. Harmless without a claim. */
void cl_order_leave(struct cl_operation *operation);
/* Is an exclusive claim running? */
bool cl_order_exclusive(const struct cl_sandbox *sandbox);
bool cl_order_busy(const struct cl_sandbox *sandbox);
/* What the first claim is: "exec". "" without one. */
const char *cl_order_holder(const struct cl_sandbox *sandbox);
/* The gate has been opened again: whoever may run now begins. */
void cl_order_admit(struct cl_sandbox *sandbox);

#endif
