/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending.h - the one way out of a sandbox, for a destroy as for a create that has to be undone.
 *
 * Once begun it goes on by itself, whoever still waits for it: the goal is written (a destroy only), the gate is
 * closed, whoever waits at it is sent away, what makes or starts something is cancelled and has come to its end;
 * isolation takes everything down and tells every exit; the run directory goes; the record set goes, last. If a step
 * fails the sandbox stays listed as destroying with the reason, and the next destroy goes on from there.
 */
#ifndef CL_CORE_ENGINE_ENDING_H
#define CL_CORE_ENGINE_ENDING_H

#include "core/engine/operation.h"

/* The operation (a destroy, or the recovery of what a former daemon began to destroy) begins the ending or joins it,
 * and is finished with it. */
void cl_ending_join(struct cl_operation *destroy);
/* The create operation could not (or may not) finish: err is its answer once everything is undone. Its claim is left.
 */
void cl_ending_undo(struct cl_operation *create, const struct cloister_error *err);
/* A claim has left: perhaps the last one that the ending waits for. */
void cl_ending_settle(struct cl_sandbox *sandbox);

#endif
