/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - a persistence plugin's instance, each operation waited for, and what it answered. */
#ifndef KIT_STORE_H
#define KIT_STORE_H

#include "host.h"

#define KIT_RECORDS_MAX 64u
#define KIT_ROWS_MAX 512u

/* A copy of the last completion. */
struct kit_answer {
    bool done;
    uint32_t code;
    uint32_t detail;
    char subject[CLOISTER_SUBJECT_MAX];
    char sentence[1024];
    uint64_t generation;
    uint64_t epoch;
    uint64_t capabilities;
    uint32_t format;
    uint32_t was_absent;
    char store_id[64];
    char *report; /* malloced, never NULL */
    char cursor[CLOISTER_STORE_ID_MAX + 1];
    char summary[CLOISTER_STORE_SUMMARY_MAX + 1];
    size_t summary_size;
    size_t row_count;
    struct kit_row {
        char id[CLOISTER_STORE_ID_MAX + 1];
        char summary[CLOISTER_STORE_SUMMARY_MAX + 1];
        uint64_t generation;
        uint64_t bytes;
        uint32_t health;
    } rows[KIT_ROWS_MAX];
    size_t record_count;
    struct kit_record {
        char kind[256];
        char *data; /* malloced, with a NUL behind it */
        size_t size;
    } records[KIT_RECORDS_MAX];
};

struct kit_store {
    struct cloister_host host;
    const struct cloister_plugin *plugin;
    const struct cloister_persistence *vtable;
    void *instance;
    const char *state_dir;
    uint64_t epoch;
    struct kit_options options;
};

bool kit_store_create(struct kit_store *store, const struct cloister_plugin *plugin, const char *state_dir,
                      const struct kit_options *options);
void kit_store_destroy(struct kit_store *store);

/* Each waits for the completion; the answer is valid until the next call. */
const struct kit_answer *kit_open(struct kit_store *store);
void kit_close(struct kit_store *store);
const struct kit_answer *kit_list(struct kit_store *store, const char *prefix, const char *cursor, uint32_t limit);
const struct kit_answer *kit_get(struct kit_store *store, const char *id);
const struct kit_answer *kit_get_kind(struct kit_store *store, const char *id, const char *kind);
const struct kit_answer *kit_put(struct kit_store *store, const struct cloister_store_put_args *args);
/* One record; data NULL removes it. */
const struct kit_answer *kit_put_one(struct kit_store *store, const char *id, uint64_t if_generation, const char *kind,
                                     struct cloister_sv data);
const struct kit_answer *kit_remove(struct kit_store *store, const char *id, uint64_t if_generation);
const struct kit_answer *kit_global(struct kit_store *store,
                                    void (*slot)(void *, const struct cloister_store_global_args *, cloister_op),
                                    const char *key, struct cloister_sv data);
const struct kit_answer *kit_verify(struct kit_store *store);
const struct kit_answer *kit_stat(struct kit_store *store);

/* Two halves of a call: the first does not wait. An operation begun has a number of its own; *kit_outcome is its. */
cloister_op kit_begin(void);
const struct kit_answer *kit_wait(cloister_op op);

struct cloister_sv kit_sv(const char *text);

#endif
