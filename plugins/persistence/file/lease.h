/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h - the file `lock`: one process at a time has the store. The lock is the kernel's and ends with its holder;
 * the pid inside is for whoever finds it held. */
#ifndef FILE_LEASE_H
#define FILE_LEASE_H

#include "place.h"

/* Takes the lock and writes nothing. -1 with *err; BUSY names the holder. */
int lease_take(const struct place *place, const struct cloister_log_api *log, int *ret_fd, struct cloister_error *err);
/* Says who we are. 0 or negative errno. */
int lease_sign(int fd);

#endif
