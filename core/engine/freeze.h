/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze.h - a sandbox or one container of it stands still, and what may be done to it meanwhile.
 *
 * Nothing of it is recorded: what stands still is read back when the sandbox is taken over. A container stands still
 * when it was frozen or its sandbox was; a thaw of the sandbox lets everything in it run, a thaw of a container only
 * that one, which therefore needs a sandbox that runs. What is ended is thawed behind its KILL: to die, a process of a
 * frozen group of cgroup v1 must run.
 */
#ifndef CL_CORE_ENGINE_FREEZE_H
#define CL_CORE_ENGINE_FREEZE_H

#include "core/engine/operation.h"

/* container NULL: the sandbox as a whole. */
bool cl_frozen(const struct cl_sandbox *sandbox, const struct cl_container *container);
/* For what cannot be done while it stands still, once the operation's turn has come (a thaw may be in front of it): 0,
 * or negative with err FROZEN. container may be NULL. */
int cl_frozen_refuse(const struct cl_sandbox *sandbox, const struct cl_container *container,
                     struct cloister_error *err);
/* Everything in the container has been sent a KILL. True: it stands still, so isolation is asked to let it run, and the
 * operation, which has no call under way, is finished with that. */
bool cl_frozen_let_die(struct cl_operation *operation, struct cl_container *container);

#endif
