/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h - what the daemon may do as root, once the zygote, which needs all of it, has been started. */
#ifndef CL_CORE_DAEMON_PRIVILEGES_H
#define CL_CORE_DAEMON_PRIVILEGES_H

#include <cloister/error.h>
#include <stdint.h>

/* The capabilities that are kept, as bits. */
uint64_t cl_privileges_kept(void);
/*
 * Gives up every capability but those, in all sets but the bounding one (nothing is exec'ed any more, and what can be
 * passed on to containers is read from it). Before any thread exists: threads inherit. 0 or negative errno with err.
 */
int cl_privileges_drop(struct cloister_error *err);

#endif
