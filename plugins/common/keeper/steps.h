/* SPDX-License-Identifier: Apache-2.0 */
/* steps.h - the tables of steps that make a process. */
#ifndef CL_KEEPER_STEPS_H
#define CL_KEEPER_STEPS_H

#include "common/keeper/setup.h"

/*
 * Runs in a process just forked by the keeper: the helper's steps, of which one makes the process, then the process's
 * own. Never returns: the helper exits, the process execs; a failure is reported, what the failing side made is undone,
 * and it exits.
 */
_Noreturn void cl_steps_run(struct cl_setup *setup);

/* Every step that a plan's stop_step can name, the keeper's own included: "create mount", one a line. 0 or -EIO. */
int cl_steps_print(void);

#endif
