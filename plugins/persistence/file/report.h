/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what a store says of itself, as JSON texts. */
#ifndef FILE_REPORT_H
#define FILE_REPORT_H

#include "replay.h"
#include "store.h"

/* What was wrong when the store was opened. */
struct report_opening {
    const char *identity; /* "damaged", "missing", NULL: neither */
    uint64_t journal;     /* number, 0 = there was none */
    uint64_t cut;         /* bytes of a torn tail */
    bool foreign;
    bool put_aside;
    const struct damage *damages;
    uint64_t damage_count;
    uint64_t damaged_bytes;
};

/* Into store->report, which stays empty if nothing was wrong and nobody is missing. */
void report_opening(struct store *store, const struct report_opening *told);
void report_stat(const struct store *store, struct bytes *ret);
/* Reads every record of `id` (empty: of all, globals too) and compares checksums; deep: the file's entries as well.
 * 0 or negative errno. */
int report_verify(struct store *store, struct cloister_sv id, bool deep, struct bytes *ret);

#endif
