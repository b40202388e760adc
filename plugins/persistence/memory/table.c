/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const struct entry *entry, struct cloister_sv name)
{
    size_t size = entry->name_size < name.size ? entry->name_size : name.size;
    int order = size ? memcmp(entry->name, name.data, size) : 0;
    if (order)
        return order;
    return entry->name_size < name.size ? -1 : entry->name_size > name.size;
}

size_t table_after(const struct table *table, struct cloister_sv name, bool or_equal)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(table->entries[middle], name);
        if (order < 0 || (order == 0 && !or_equal))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct entry *table_find(const struct table *table, struct cloister_sv name)
{
    size_t index = table_after(table, name, true);
    return index < table->count && compare(table->entries[index], name) == 0 ? table->entries[index] : NULL;
}

/* The records stay: a change may have handed them on. */
static void entry_free(struct entry *entry)
{
    free(entry->name);
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
    struct entry *entry = table_find(table, name);
    if (!entry)
        return;
    size_t index = table_after(table, name, true);
    table->bytes -= entry->bytes;
    table->count--;
    memmove(&table->entries[index], &table->entries[index + 1], (table->count - index) * sizeof(table->entries[0]));
    entry_free_all(entry);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        entry_free_all(table->entries[i]);
    free(table->entries);
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

static const struct cloister_record *nth(const struct cloister_store_put_args *put, uint64_t index)
{
    return (const struct cloister_record *)((const char *)put->records + index * put->record_size);
}

static bool mentions(const struct cloister_store_put_args *put, const struct record *record)
{
    for (uint64_t i = 0; i < put->record_count; i++)
        if (is_kind(record, nth(put, i)->kind))
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

static int make_room(struct table *table)
{
    if (table->count < table->capacity)
        return 0;
    size_t capacity = table->capacity ? table->capacity * 2 : 64;
    struct entry **entries = reallocarray(table->entries, capacity, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    table->entries = entries;
    table->capacity = capacity;
    return 0;
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
        const struct cloister_record *from = nth(put, i);
        for (uint64_t k = 0; k < i; k++)
            if (nth(put, k)->kind.size == from->kind.size &&
                memcmp(nth(put, k)->kind.data, from->kind.data, from->kind.size) == 0)
                return -EEXIST;
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
    struct change change = {.old = table_find(table, name)};
    size_t most = put->record_count + (change.old ? change.old->record_count : 0);
    struct entry *made = change.made = calloc(1, sizeof(*made));
    change.fresh = calloc(most + 1, sizeof(*change.fresh));
    int r = -ENOMEM;
    if (made) {
        made->name = copy(name);
        made->name_size = name.size;
        made->summary = copy(put->summary);
        made->summary_size = put->summary.size;
        made->records = calloc(most + 1, sizeof(*made->records));
        made->generation = change.old ? change.old->generation + 1 : 1;
        made->bytes = put->summary.size;
    }
    if (made && change.fresh && made->name && made->summary && made->records && make_room(table) == 0)
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
    struct entry *made = change->made, *old = change->old;
    size_t index = table_after(table, sv(made->name, made->name_size), true);
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
    } else {
        memmove(&table->entries[index + 1], &table->entries[index], (table->count - index) * sizeof(table->entries[0]));
        table->count++;
    }
    table->entries[index] = made;
    free(change->fresh);
    *change = (struct change){0};
}
