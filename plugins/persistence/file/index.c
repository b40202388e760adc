/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <errno.h>

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

void item_free(struct item *item)
{
    if (!item)
        return;
    for (size_t i = 0; i < item->ref_count; i++)
        free(item->refs[i]);
    free(item->refs);
    free(item->name.data);
    free(item->summary);
    free(item);
}

void item_empty(struct index *index, struct item *item, uint32_t health)
{
    for (size_t i = 0; i < item->ref_count; i++) {
        uint64_t bytes = (uint64_t)item->refs[i]->kind_size + item->refs[i]->size;
        item->bytes -= bytes;
        index->bytes -= bytes;
        free(item->refs[i]);
    }
    item->ref_count = 0;
    item->generation = 0;
    item->health = health;
}

static bool is_kind(const struct ref *ref, struct cloister_sv kind)
{
    return ref->kind_size == kind.size && memcmp(ref->kind, kind.data, kind.size) == 0;
}

struct ref *item_find(const struct item *item, struct cloister_sv kind)
{
    for (size_t i = 0; i < item->ref_count; i++)
        if (is_kind(item->refs[i], kind))
            return item->refs[i];
    return NULL;
}

static bool mentions(const struct delta *delta, const struct ref *ref)
{
    for (size_t i = 0; i < delta->count; i++)
        if (is_kind(ref, delta->records[i].kind))
            return true;
    return false;
}

static int take(struct item *item, const struct ref *from, const char *kind)
{
    struct ref *ref = malloc(sizeof(*ref) + from->kind_size);
    if (!ref)
        return -ENOMEM;
    *ref = *from;
    memcpy(ref->kind, kind, from->kind_size);
    item->refs[item->ref_count++] = ref;
    item->bytes += (uint64_t)ref->kind_size + ref->size;
    return 0;
}

static int fill(struct item *item, const struct item *old, const struct delta *delta)
{
    int r = 0;
    for (size_t i = 0; r == 0 && old && i < old->ref_count; i++)
        if (!mentions(delta, old->refs[i]))
            r = take(item, old->refs[i], old->refs[i]->kind);
    for (size_t i = 0; r == 0 && i < delta->count; i++) {
        const struct delta_record *record = &delta->records[i];
        const struct ref ref = {.offset = record->offset,
                                .size = record->size,
                                .crc = record->crc,
                                .fresh = true,
                                .kind_size = (uint32_t)record->kind.size};
        if (!record->remove)
            r = take(item, &ref, record->kind.data);
    }
    return r;
}

int item_prepare(const struct item *old, struct cloister_sv name, const struct delta *delta, struct item **ret)
{
    struct item *item = calloc(1, sizeof(*item));
    if (!item)
        return -ENOMEM;
    item->name = (struct records_name){copy(name), name.size};
    item->summary = copy(delta->summary);
    item->summary_size = delta->summary.size;
    item->bytes = delta->summary.size;
    item->health = delta->health;
    item->has_directory = old && old->has_directory;
    item->generation = old ? old->generation + 1 : 1;
    item->refs = calloc((old ? old->ref_count : 0) + delta->count + 1, sizeof(struct ref *));
    if (!item->name.data || !item->summary || !item->refs || fill(item, old, delta) < 0) {
        item_free(item);
        return -ENOMEM;
    }
    *ret = item;
    return 0;
}

void item_place(struct item *item, uint64_t payload_offset)
{
    for (size_t i = 0; i < item->ref_count; i++)
        if (item->refs[i]->fresh) {
            item->refs[i]->fresh = false;
            item->refs[i]->offset += payload_offset;
        }
}

static void discard(struct index *index, struct item *item)
{
    if (item)
        index->bytes -= item->bytes;
    item_free(item);
}

void index_put(struct index *index, struct records_names *names, struct item *item)
{
    index->bytes += item->bytes;
    discard(index, records_insert(names, &item->name));
}

void index_remove(struct index *index, struct records_names *names, struct cloister_sv name)
{
    discard(index, records_remove(names, name));
}

static void names_free(struct records_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        item_free((struct item *)names->items[i]);
    free(names->items);
    *names = (struct records_names){0};
}

void index_free(struct index *index)
{
    names_free(&index->sets);
    names_free(&index->globals);
    index->bytes = 0;
}
