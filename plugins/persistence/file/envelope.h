/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h - the line in front of every entry of a journal. It says what follows, of whom, in which place of the
 * history, how long it is and what its checksum is; so torn, flipped and swapped bytes are noticed.
 */
#ifndef FILE_ENVELOPE_H
#define FILE_ENVELOPE_H

#include <cloister/persistence.h>

#include "line.h"

#define ENVELOPE_SCHEMA 1u

enum entry_kind {
    ENTRY_JOURNAL, /* the first of a file; id: the store's, gen: the file's number */
    ENTRY_SET,     /* a whole record set, which replaces what was there */
    ENTRY_PUT,     /* changes of a record set of the generation before */
    ENTRY_DESTROY,
    ENTRY_GLOBAL, /* a whole global */
    ENTRY_GLOBAL_DELETE,
    ENTRY_KINDS
};

struct envelope {
    enum entry_kind kind;
    char id[CLOISTER_STORE_ID_MAX + 1];
    uint64_t seq;  /* of the entry in the store's life: the next one has one more */
    uint64_t prev; /* seq of the entry that a put builds on */
    uint64_t generation;
    uint64_t epoch;
    char boot[40];
    uint64_t wall; /* real time, ns */
    uint64_t size; /* of the payload that follows */
    uint64_t crc;  /* of the payload */
};

enum envelope_state {
    ENVELOPE_GOOD,
    ENVELOPE_SHORT, /* the bytes end before the line does */
    ENVELOPE_BAD,
    ENVELOPE_NEWER /* sound, and of a later version */
};

/* Returns its size. */
size_t envelope_print(const struct envelope *envelope, uint64_t salt, char ret[LINE_MAX_BYTES]);
/* *ret and *ret_size: of a good one; *ret_size also of a newer one. */
enum envelope_state envelope_parse(struct cloister_sv text, uint64_t salt, struct envelope *ret, size_t *ret_size);
/* Whether `text` begins like an envelope: what to look for behind damage. */
bool envelope_begins(struct cloister_sv text);

#endif
