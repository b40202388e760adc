/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine.h - the directory `q`: bytes that were found damaged, kept as they were until an operator says otherwise.
 * Nothing in it is ever removed or overwritten by itself; names begin with a number that grows.
 */
#ifndef FILE_QUARANTINE_H
#define FILE_QUARANTINE_H

#include "place.h"

#define QUARANTINE_NAME_MAX 128u

struct quarantine {
    int fd;
    uint64_t max_bytes;
    uint64_t bytes;
    uint64_t count;
    uint64_t last; /* number */
};

/* Opens it and counts what it holds. 0 or negative errno. */
int quarantine_open(const struct place *place, uint64_t max_bytes, struct quarantine *ret);
/* A copy of size bytes at offset of the file `name`: 0, -EDQUOT when there is no room for it, or negative errno. */
int quarantine_copy(struct quarantine *quarantine, const struct place *place, const char *name, int from,
                    uint64_t offset, uint64_t size);
/* Keeps the whole file, by a second name for it: needs no room, so it is never refused. */
int quarantine_keep(struct quarantine *quarantine, const struct place *place, const char *name);
int quarantine_remove(struct quarantine *quarantine, const char *name);
void quarantine_close(struct quarantine *quarantine);

#endif
