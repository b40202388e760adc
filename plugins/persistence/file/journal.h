/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - the one file that everything is written to, at its end.
 *
 * Behind its end lies room that is already ours: a destruction, or a small change of state, finds place there when the
 * disk has none left. What has failed leaves no trace, and a sync that has failed is final: the file takes nothing any
 * more, and all that lives must move to a new one first (fold.h).
 */
#ifndef FILE_JOURNAL_H
#define FILE_JOURNAL_H

#include "bytes.h"
#include "place.h"

#define JOURNAL_NAME_MAX 48u

enum urgency {
    URGENCY_NONE,   /* refused while the room behind it could not be had */
    URGENCY_CHANGE, /* may take half of the reserve */
    URGENCY_REMOVAL /* may take all of it */
};

struct journal {
    int fd;
    uint64_t number;
    char name[JOURNAL_NAME_MAX];
    uint64_t size;
    uint64_t folded;   /* bytes that it began with */
    uint64_t reserved; /* offset up to which blocks are ours */
    bool broken;       /* takes nothing any more */
    bool keep;         /* it was damaged: the quarantine gets it before it goes */
    const char *step;  /* what failed, for a sentence */
    uint64_t writes;
    uint64_t syncs;
    uint64_t sync_ns; /* the last one took */
    uint64_t sync_max_ns;
};

void journal_name(uint64_t number, char ret[JOURNAL_NAME_MAX]);
/* The number in a name, or 0. */
uint64_t journal_number(const char *name);

/* Gets the room behind the end, as much as there is. */
void journal_reserve(struct journal *journal);
/* 0 and the journal has grown by `bytes`, or negative errno and it is as it was. sync: also behind a power cut. */
int journal_append(struct journal *journal, struct cloister_sv bytes, bool sync, enum urgency urgency);
void journal_close(struct journal *journal);

#endif
