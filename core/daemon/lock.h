/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h - one daemon per run directory: an open file description lock on <run>/lock, gone with its holder. */
#ifndef CL_CORE_DAEMON_LOCK_H
#define CL_CORE_DAEMON_LOCK_H

#include <stdint.h>

#include <cloister/error.h>

#define CL_WAIT_NOT 0ull
#define CL_WAIT_FOR_EVER UINT64_MAX

#define CL_WAIT_PAUSE_NS 50000000ull /* between two tries, here and at a store's lease */

/* Whole seconds as nanoseconds; NULL: for ever. 0 or -EINVAL. */
int cl_wait_parse(const char *text, uint64_t *ret_ns);

/*
 * Takes the lock of the directory, or waits for it until the deadline (monotonic, or one of the two above), which it
 * logs when it begins and when it ends. -EBUSY: the holder's pid is the error's subject. -ECANCELED, without an error:
 * SIGTERM or SIGINT came while it waited. Blocks: for start-up, before there are threads.
 */
int cl_lock_take(int dir_fd, const char *path, uint64_t deadline, int *ret_fd, struct cloister_error *err);

#endif
