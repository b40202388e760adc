/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - the durable half of a sandbox: which of its records differ from the store's, and who waits for them.
 *
 * Changes are marked, not written: one put is under way at a time, it is built from the sandbox as it is then, and
 * carries all marks since the last one. So a burst costs two writes, and the store never sees states in the wrong
 * order.
 */
#ifndef CL_CORE_ENGINE_JOURNAL_H
#define CL_CORE_ENGINE_JOURNAL_H

#include <cloister/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/engine/room.h"

struct cl_sandbox;

#define CL_RECORD_SANDBOX (1u << 0)
#define CL_RECORD_LABELS (1u << 1)
#define CL_RECORD_CONTAINERS (1u << 2)
#define CL_RECORD_SPEC (1u << 3) /* of containers that are being made */
#define CL_RECORD_ISO (1u << 4)
#define CL_RECORD_SVC (1u << 5)

/* err NULL: it is in the store. */
typedef void (*cl_journal_fn)(void *ctx, const struct cloister_error *err);

struct cl_journal_wait { /* lives in whoever waits */
    struct cl_list node;
    cl_journal_fn fn;
    void *ctx;
};

struct cl_journal {
    unsigned marked;  /* CL_RECORD_*: to be written */
    unsigned unasked; /* those of them that somebody marked without waiting: if the put fails, they are owed */
    unsigned in_flight_unasked;
    uint32_t durability; /* strongest class asked for the marked ones; 0 = none */
    uint32_t in_flight_durability;
    bool busy;
    bool exists;     /* the store has a record set of it */
    bool owed;       /* a put failed that nobody will undo: its unasked marks are tried again */
    bool closed;     /* no puts any more: the record set is being removed */
    int build_error; /* why the last put did not even begin */
    struct cl_later later;
    uint64_t retry_at;
    struct cl_list waiting; /* for the next put */
    struct cl_list flying;  /* for the put under way */
    struct cl_list removing;
};

void cl_journal_init(struct cl_journal *journal);
/* Writes; wait (may be NULL) is called once, never inside. durability: enum cloister_durability. Without wait a failure
 * is owed, also if the mark shares its put with one that is waited for. Once the record set is being removed nothing
 * is written any more, and a wait ends CANCELLED. */
void cl_journal_write(struct cl_sandbox *sandbox, unsigned records, uint32_t durability, struct cl_journal_wait *wait,
                      cl_journal_fn fn, void *ctx);
/* Called by the clock. */
void cl_journal_retry(struct cl_sandbox *sandbox, uint64_t now);
/* Removes the record set (once the put under way has ended); wait is called once. */
void cl_journal_remove(struct cl_sandbox *sandbox, struct cl_journal_wait *wait, cl_journal_fn fn, void *ctx);

#endif
