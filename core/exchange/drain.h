/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - the end of the day: nothing new, what is under way completes, then everything closes. */
#ifndef CL_EXCHANGE_DRAIN_H
#define CL_EXCHANGE_DRAIN_H

#include "core/exchange/room.h"

/* Something the drain may have waited for has happened; it is looked at from a fresh stack. */
void cl_drain_check(struct cl_exchanges *exchanges);
/* Takes the next step if it is due. For the work round. */
void cl_drain_step(struct cl_exchanges *exchanges);
/* A cloister_fn of the drain timer. */
void cl_drain_expired(void *ctx);

#endif
