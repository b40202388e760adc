/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/records/check.h"

/* The records stay: a change may have handed them on. */
static void entry_free(struct entry *entry)
{
    free(entry->name.data);
    free(entry->summary);
    free(entry->records);
    free(entry);
}

static void entry_free_all(struct entry *entry)
{
    for (size_t i = 0; i < entry->record_count; i++)
        free(entry->records[i]);
    entry_free(entry);
}

void table_remove(struct table *table, struct cloister_sv name)
{
    struct entry *entry = records_remove(&table->names, name);
    if (!entry)
        return;
    table->bytes -= entry->bytes;
    entry_free_all(entry);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->names.count; i++)
        entry_free_all((struct entry *)table->names.items[i]);
    free(table->names.items);
    memset(table, 0, sizeof(*table));
}

static bool is_kind(const struct record *record, struct cloister_sv kind)
{
    return record->kind_size == kind.size && memcmp(record->kind, kind.data, kind.size) == 0;
}

const struct record *entry_get(const struct entry *entry, struct cloister_sv kind)
{
    for (size_t i = 0; i < entry->record_count; i++)
        if (is_kind(entry->records[i], kind))
            return entry->records[i];
    return NULL;
}

static char *copy(struct cloister_sv text)
{
    char *memory = malloc(text.size + 1);
    if (!memory)
        return NULL;
    if (text.size)
        memcpy(memory, text.data, text.size);
    memory[text.size] = 0;
    return memory;
}

static struct record *record_new(const struct cloister_record *from)
{
    struct record *record = malloc(sizeof(*record) + from->kind.size + from->data.size);
    if (!record)
        return NULL;
    record->kind = (char *)(record + 1);
    record->kind_size = from->kind.size;
    record->data = record->kind + from->kind.size;
    record->size = from->data.size;
    memcpy(record->kind, from->kind.data, from->kind.size);
    if (from->data.size)
        memcpy(record->data, from->data.data, from->data.size);
    return record;
}

static bool mentions(const struct cloister_store_put_args *put, const struct record *record)
{
    for (uint64_t i = 0; i < put->record_count; i++)
        if (is_kind(record, records_nth(put, i)->kind))
            return true;
    return false;
}

void change_drop(struct change *change)
{
    for (size_t i = 0; change->made && change->fresh && i < change->made->record_count; i++)
        if (change->fresh[i])
            free(change->made->records[i]);
    if (change->made)
        entry_free(change->made);
    free(change->fresh);
    *change = (struct change){0};
}

static void take(struct change *change, struct record *record, bool fresh)
{
    struct entry *made = change->made;
    change->fresh[made->record_count] = fresh;
    made->records[made->record_count++] = record;
    made->bytes += record->kind_size + record->size;
}

static int fill(struct change *change, const struct cloister_store_put_args *put)
{
    for (size_t i = 0; change->old && i < change->old->record_count; i++)
        if (!mentions(put, change->old->records[i]))
            take(change, change->old->records[i], false);
    for (uint64_t i = 0; i < put->record_count; i++) {
        const struct cloister_record *from = records_nth(put, i);
        if (!from->data.data)
            continue;
        struct record *record = record_new(from);
        if (!record)
            return -ENOMEM;
        take(change, record, true);
    }
    return 0;
}

int change_prepare(struct table *table, struct cloister_sv name, const struct cloister_store_put_args *put,
                   struct change *ret)
{
    struct change change = {.old = records_find(&table->names, name)};
    size_t most = put->record_count + (change.old ? change.old->record_count : 0);
    struct entry *made = change.made = calloc(1, sizeof(*made));
    change.fresh = calloc(most + 1, sizeof(*change.fresh));
    int r = -ENOMEM;
    if (made) {
        made->name = (struct records_name){copy(name), name.size};
        made->summary = copy(put->summary);
        made->summary_size = put->summary.size;
        made->records = calloc(most + 1, sizeof(*made->records));
        made->generation = change.old ? change.old->generation + 1 : 1;
        made->bytes = put->summary.size;
    }
    if (made && change.fresh && made->name.data && made->summary && made->records &&
        records_reserve(&table->names, 1) == 0)
        r = fill(&change, put);
    if (r < 0) {
        change_drop(&change);
        return r;
    }
    *ret = change;
    return 0;
}

void change_make(struct table *table, struct change *change)
{
    struct entry *made = change->made, *old = records_insert(&table->names, &made->name);
    table->bytes += made->bytes;
    if (old) {
        table->bytes -= old->bytes;
        for (size_t i = 0; i < old->record_count; i++) {
            bool kept = false;
            for (size_t k = 0; k < made->record_count; k++)
                kept = kept || made->records[k] == old->records[i];
            if (!kept)
                free(old->records[i]);
        }
        entry_free(old);
    }
    free(change->fresh);
    *change = (struct change){0};
}
