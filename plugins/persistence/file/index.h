/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - what is in the journal, by name: of each sandbox (and global) its generation, health and summary, and where
 * each of its records lies. Data stay in the file. A change is made ready first, so that making it cannot fail once it
 * has been written.
 */
#ifndef FILE_INDEX_H
#define FILE_INDEX_H

#include "common/records/names.h"
#include "payload.h"

struct ref {
    uint64_t offset; /* of the data in the journal; while `fresh`, in the payload */
    uint64_t next;   /* in the journal that is being folded into */
    uint32_t size;
    uint32_t crc;
    bool fresh;
    uint32_t kind_size;
    char kind[];
};

struct item {
    struct records_name name;
    uint64_t generation; /* 0: its records are not known */
    uint64_t bytes;      /* of kinds, data and summary */
    uint64_t seq;        /* of the entry that made it what it is */
    uint64_t next_seq;   /* in the journal that is being folded into */
    uint32_t health;
    bool has_directory;
    char *summary;
    size_t summary_size;
    struct ref **refs;
    size_t ref_count;
};

struct index {
    struct records_names sets;
    struct records_names globals;
    uint64_t bytes; /* of all items */
};

/* The item as it will be: `old` (NULL: none, or none that matters) with the delta on top. 0 or -ENOMEM. */
int item_prepare(const struct item *old, struct cloister_sv name, const struct delta *delta, struct item **ret);
/* Tells the fresh references where their payload lies. */
void item_place(struct item *item, uint64_t payload_offset);
struct ref *item_find(const struct item *item, struct cloister_sv kind);
void item_free(struct item *item);
/* Its records are not known any more. */
void item_empty(struct index *index, struct item *item, uint32_t health);

/* Puts the item in, whatever it replaces. Room must have been reserved in `names`. */
void index_put(struct index *index, struct records_names *names, struct item *item);
void index_remove(struct index *index, struct records_names *names, struct cloister_sv name);
void index_free(struct index *index);

#endif
