/* SPDX-License-Identifier: Apache-2.0 */
/* errand.h - calls to isolation that the engine makes on nobody's behalf. A failure is logged: there is nobody to tell.
 */
#ifndef CL_CORE_ENGINE_ERRAND_H
#define CL_CORE_ENGINE_ERRAND_H

#include "core/engine/sandbox.h"

void cl_errand_kill_process(struct cl_process *process);
/* SIGKILL to everything in it. */
void cl_errand_kill_container(struct cl_container *container);
/* Isolation may forget the exit. */
void cl_errand_release(struct cl_sandbox *sandbox, cloister_process number);

#endif
