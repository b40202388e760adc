/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline.h - how long the keeper may take over an EXEC or a START. A process on its way into a container is there
 * for those inside to see: one that has the right to can stop it before its program begins, as often as it likes, and
 * the keeper would wait for ever. [loop]
 */
#ifndef NS_DEADLINE_H
#define NS_DEADLINE_H

#include "sandbox.h"

struct ns_deadline {
    struct ns_sandbox *sandbox; /* its owner holds a reference */
    uint64_t serial;
    cloister_timer *timer; /* NULL: none */
    bool passed;
};

/* The request `serial` has been sent: if its time passes the keeper is told to cancel it, which kills the process and
 * answers the request. */
void ns_deadline_begin(struct ns_deadline *deadline, struct ns_sandbox *sandbox, uint64_t serial);

/* It is answered, and op->err filled. Where it is cancelled for the deadline's sake the error says so. Fit for a
 * deadline that never began. */
void ns_deadline_end(struct ns_deadline *deadline, struct ns_op *op);

#endif
