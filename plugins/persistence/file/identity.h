/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - the file `store`: which store this is, in which format, and how often it has been opened. */
#ifndef FILE_IDENTITY_H
#define FILE_IDENTITY_H

#include "place.h"

#define IDENTITY_FORMAT 1u
#define IDENTITY_UUID_BYTES 37u

struct identity {
    char uuid[IDENTITY_UUID_BYTES];
    uint64_t salt;
    uint64_t epoch;
};

enum identity_state { IDENTITY_GOOD, IDENTITY_ABSENT, IDENTITY_DAMAGED, IDENTITY_NEWER };

/* enum identity_state (only of a GOOD one *ret is whole), or negative errno. */
int identity_read(const struct place *place, struct identity *ret);
int identity_new(struct identity *ret);
int identity_write(const struct place *place, const struct identity *identity);

#endif
