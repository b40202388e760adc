/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freezer.h - stopping groups where they stand: by `cgroup.freeze` of v2, a core file that is there even if all
 * controllers are v1's, or by v1's freezer. Who asked for it is marked on the group itself (the container, the sandbox
 * as a whole, or both), so that it is known to a later daemon, and one thaw does not end the other's freeze.
 *
 * The versions differ in who can die: v2 lets SIGKILL through; in a v1-frozen group it stays pending until the thaw.
 * [worker]
 */
#ifndef NS_FREEZER_H
#define NS_FREEZER_H

#include "cgroup.h"

enum ns_freeze_scope { NS_FREEZE_CONTAINER = 1, NS_FREEZE_SANDBOX = 2 };

/* The hierarchy that freezes here; NS_NO_HIERARCHY: none. */
uint32_t ns_freezer_find(const struct ns_hierarchies *hierarchies, bool *ret_v2);

/*
 * One group with all below it; for NS_FREEZE_SANDBOX `name` is the sandbox's, and those beside it are taken too. 0 when
 * the kernel says that all stand still. -ETIMEDOUT at `deadline` (CLOCK_MONOTONIC): thawed again, *ret_stuck is one
 * that did not stand still, 0 = unknown. Else negative errno, thawed again.
 */
int ns_freezer_freeze(const struct ns_cgroups *cgroups, const char *name, uint32_t scope, uint64_t deadline,
                      long *ret_stuck);
/* Takes that mark off; whom no other mark holds runs again. */
int ns_freezer_thaw(const struct ns_cgroups *cgroups, const char *name, uint32_t scope);

/* Is the group marked so, and frozen? One that is frozen without any mark is so for the sandbox's sake. */
bool ns_freezer_is_frozen(const struct ns_cgroups *cgroups, const char *name, uint32_t scope);

/*
 * Somebody in the sandbox was sent SIGKILL: whoever has it pending in a v1-frozen group is moved to a group beside the
 * sandbox's that is not, and dies; its neighbours stay as they are. Until nobody has it pending any more, at most
 * `patience` ns. Does nothing where nothing is v1-frozen. A frozen process cannot end, so its number stays its own.
 */
void ns_freezer_release(const struct ns_cgroups *cgroups, const char *sandbox, uint64_t patience);

/* All of the sandbox is to die: killed, then thawed, if some of it is v1-frozen. */
void ns_freezer_end(const struct ns_cgroups *cgroups, const char *sandbox);
/* The same for one group with all below it. */
void ns_freezer_end_group(const struct ns_cgroups *cgroups, const char *name);

#endif
