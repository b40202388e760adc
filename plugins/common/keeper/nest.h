/* SPDX-License-Identifier: Apache-2.0 */
/* nest.h - the minimal mount namespace that every keeper copies. */
#ifndef CL_KEEPER_NEST_H
#define CL_KEEPER_NEST_H

/*
 * Gives the caller a mount namespace of its own whose root is a small tmpfs with /proc, /sys (both fresh and unmasked),
 * /dev (our own device nodes) and /root (where a container's root is attached), and 0, 1 and 2 on its /dev/null.
 * Negative errno, and *ret_step says at what.
 */
int cl_nest_make(const char **ret_step);

#endif
