/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.h - other limits for a sandbox or a container.
 *
 * What is wanted is on record before isolation is asked, and what is in force takes its place: a daemon that dies
 * between the two leaves it to the next one to ask again, which harms nobody.
 */
#ifndef CL_CORE_ENGINE_UPDATE_H
#define CL_CORE_ENGINE_UPDATE_H

#include "core/engine/operation.h"

/* Of the recovery of a sandbox that lives: first what a former daemon did not come to the end of, then
 * cl_recovered_ask. */
void cl_update_again(struct cl_operation *recovery);

#endif
