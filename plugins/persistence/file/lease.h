/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - the file `lock`: one process at a time has the store. The lock is the kernel's and ends with its holder;
 * the pid inside is for whoever finds it held. Behind it stands how much of which journal has been written whole: a
 * process that is killed in the middle of a write leaves half an entry that nobody was answered for, and the next one
 * can tell that from a journal that has lost its end.
 */
#ifndef FILE_LEASE_H
#define FILE_LEASE_H

#include "place.h"

/* Takes the lock and writes nothing. -1 with *err; BUSY names the holder. */
int lease_take(const struct place *place, const struct cloister_log_api *log, int *ret_fd, struct cloister_error *err);
/* Says who we are. 0 or negative errno. */
int lease_sign(int fd);

/* That journal is written whole up to there. Not synced: it is for whoever comes after a kill, not after a power cut.
 */
void lease_mark(int fd, uint64_t journal, uint64_t size);
/* What was marked last of that journal. False: nothing, or it cannot be read. */
bool lease_marked(int fd, uint64_t journal, uint64_t *ret_size);

#endif
