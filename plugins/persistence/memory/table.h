/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - entries ordered by name: sandboxes' record sets, and globals. An entry is replaced as a whole or not at
 * all. */
#ifndef MEMORY_TABLE_H
#define MEMORY_TABLE_H

#include <cloister/persistence.h>
#include <stdbool.h>

#include "common/records/names.h"

struct record {
    char *kind; /* allocated together with the data */
    size_t kind_size;
    char *data;
    size_t size;
};

struct entry {
    struct records_name name;
    uint64_t generation;
    uint64_t bytes; /* of kinds, data and summary */
    char *summary;
    size_t summary_size;
    struct record **records;
    size_t record_count;
};

struct table {
    struct records_names names; /* of struct entry */
    uint64_t bytes;
};

void table_remove(struct table *table, struct cloister_sv name);
void table_free(struct table *table);

const struct record *entry_get(const struct entry *entry, struct cloister_sv kind);

/* A change of one entry, prepared so that making it cannot fail. */
struct change {
    struct entry *old; /* NULL: the entry is new */
    struct entry *made;
    bool *fresh; /* which records of made are not old's */
};
/* records with data NULL are deleted. 0 or -ENOMEM, and then nothing is held. */
int change_prepare(struct table *table, struct cloister_sv name, const struct cloister_store_put_args *put,
                   struct change *ret);
void change_drop(struct change *change);
void change_make(struct table *table, struct change *change);

static inline struct cloister_sv sv(const char *data, size_t size)
{
    return (struct cloister_sv){data, size};
}

#endif
