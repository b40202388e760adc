/* SPDX-License-Identifier: Apache-2.0 */
/* The whole daemon: start-up, service, draining, in that order. */
#ifndef CL_CORE_DAEMON_DAEMON_H
#define CL_CORE_DAEMON_DAEMON_H

#include <stdint.h>

#include "core/config/config.h"
#include "core/loader/loader.h"

#define CL_EXIT_FAILURE 1
#define CL_EXIT_CONFIG 2
#define CL_EXIT_ZYGOTE 75 /* the zygote died: start me again, containers run on */

/* Returns the exit code. Everything it refuses before the first side effect is CL_EXIT_CONFIG. wait_ns: how long
 * another daemon's end is waited for; CL_WAIT_NOT or CL_WAIT_FOR_EVER (lock.h) or a time. */
int cl_daemon_run(const struct cl_config *config, struct cl_loader *loader, uint64_t wait_ns);

#endif
