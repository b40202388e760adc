/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - reads a journal from its first byte to its last and says what it means: an index, and what was wrong.
 *
 * Nothing is changed. Bytes that make no sense are stepped over to the next envelope that is sound. What is torn off at
 * the end is told apart from damage: a crash explains the one, not the other.
 */
#ifndef FILE_REPLAY_H
#define FILE_REPLAY_H

#include "envelope.h"
#include "index.h"

#define REPLAY_DAMAGES 64u

struct damage {
    uint64_t offset;
    uint64_t size;
    char id[CLOISTER_STORE_ID_MAX + 1]; /* whose entry it was, if its envelope is sound */
};

struct replay {
    /* given */
    int fd;
    uint64_t salt;      /* of the store */
    bool salt_is_known; /* else the journal's own is taken */
    /* found */
    bool newer;           /* an entry of a later version: nothing else counts */
    bool headless;        /* the first entry is damaged */
    struct envelope head; /* else */
    bool foreign;         /* the journal is another store's: nothing in it was looked at */
    uint64_t file_size;
    uint64_t good_size; /* up to the torn tail, if there is one */
    uint64_t entries;
    uint64_t seq; /* of the last entry */
    uint64_t epoch;
    uint64_t folded;       /* bytes of the entries it began with */
    uint64_t damage_count; /* may be more than there is room for */
    uint64_t damaged_bytes;
    struct damage damages[REPLAY_DAMAGES];
    struct index index;
    struct records_names gone; /* ids whose last entry is their destruction; struct item without records */
};

/* 0, or negative errno of a read or for want of memory. */
int replay_run(struct replay *replay);
void replay_free(struct replay *replay);

/* The payload of a journal's first entry. */
void replay_head_print(struct bytes *bytes, uint64_t salt, uint64_t folded);

#endif
