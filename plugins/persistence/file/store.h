/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - an open store, as its one worker thread sees it: no lock is needed, and no call goes back to the host.
 */
#ifndef FILE_STORE_H
#define FILE_STORE_H

#include "envelope.h"
#include "identity.h"
#include "index.h"
#include "journal.h"
#include "place.h"
#include "quarantine.h"

struct store_limits {
    uint64_t max_bytes;
    uint64_t max_sandboxes;
    uint64_t fold_bytes; /* a journal of less is left alone */
    uint64_t quarantine_bytes;
};

struct store {
    const struct cloister_log_api *log; /* its helpers for errors, which are [any] */
    struct store_limits limits;
    bool open;
    struct place place;
    int lock_fd;
    int sets_fd; /* `s`: a directory for each sandbox */
    struct quarantine quarantine;
    struct identity identity;
    char boot[40];
    struct index index;
    struct journal journal;
    uint64_t seq;
    uint64_t fold_at; /* size of the journal that starts a fold */
    bool cramped;     /* a change found no space: a fold may give some back */
    uint64_t folds;
    uint64_t damaged_reads;
    uint64_t put_max_ns; /* since the store was opened */
    struct bytes report; /* of the opening: JSON, or empty */
    struct bytes notice; /* a line for the log, or empty: the worker has no way to write one */
};

#define STORE_INIT                                                                          \
    {                                                                                       \
        .place.fd = -1, .lock_fd = -1, .sets_fd = -1, .quarantine.fd = -1, .journal.fd = -1 \
    }

/* -1 with *err, and then nothing is held and whatever was there is as it was, but for repairs that were complete. */
int store_open(struct store *store, struct cloister_sv state_dir, struct cloister_sv directory, struct cloister_sv boot,
               struct cloister_error *err);
void store_close(struct store *store);

/* Prints entry and payload, with the number that the entry will have. */
void store_entry(const struct store *store, struct bytes *bytes, const struct envelope *envelope,
                 struct cloister_sv payload);
/* The record's bytes, from a journal of this store, into *ret: 0, -EBADMSG when they are not what was written, or
 * negative errno. */
int store_read(const struct store *store, int fd, const struct ref *ref, char *ret);
/* Remembers that the item's records can no longer be read. */
void store_spoil(struct store *store, struct item *item);
/* The directory of a sandbox. 0 or negative errno. */
int store_add_directory(struct store *store, struct cloister_sv id);
int store_remove_directory(struct store *store, struct cloister_sv id);

#endif
