/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - a plan as it arrives: a sealed memfd, mapped read-only and checked whole. */
#ifndef CL_KEEPER_PLAN_H
#define CL_KEEPER_PLAN_H

#include "common/keeper/wire.h"

#include <string.h>

/*
 * Maps the plan; `fds` = the request's other descriptors. -EBADMSG for anything but a well-formed plan of this kind,
 * with *ret_where naming what was wrong. The mapping is the caller's: cl_plan_unmap.
 */
int cl_plan_map(int memfd, uint32_t kind, uint32_t fds, const struct cl_wire_plan **ret_plan, const char **ret_where);
void cl_plan_unmap(const struct cl_wire_plan *plan);

/* The first thing in a good plan that this keeper cannot do; NULL: it can do it all. */
const char *cl_plan_undoable(const struct cl_wire_plan *plan);

/* Does a test want something to happen at this step? `when` as in cl_wire_plan.stop_when. */
static inline int cl_plan_stops(const struct cl_wire_plan *plan, const char *step, uint32_t when)
{
    return plan->stop_when == when && strcmp(cl_wire_string(plan, plan->stop_step), step) == 0;
}

#endif
