/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const struct records_name *item, struct cloister_sv name)
{
    size_t size = item->size < name.size ? item->size : name.size;
    int order = size ? memcmp(item->data, name.data, size) : 0;
    if (order)
        return order;
    return item->size < name.size ? -1 : item->size > name.size;
}

size_t records_after(const struct records_names *names, struct cloister_sv name, bool or_equal)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(names->items[middle], name);
        if (order < 0 || (order == 0 && !or_equal))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct records_names *names, size_t index, struct cloister_sv name)
{
    return index < names->count && compare(names->items[index], name) == 0;
}

void *records_find(const struct records_names *names, struct cloister_sv name)
{
    size_t index = records_after(names, name, true);
    return is_at(names, index, name) ? names->items[index] : NULL;
}

int records_reserve(struct records_names *names, size_t more)
{
    if (more <= names->capacity - names->count)
        return 0;
    size_t capacity = names->capacity ? names->capacity * 2 : 64;
    if (capacity < names->count + more)
        capacity = names->count + more;
    struct records_name **items = reallocarray(names->items, capacity, sizeof(struct records_name *));
    if (!items)
        return -ENOMEM;
    names->items = items;
    names->capacity = capacity;
    return 0;
}

void *records_insert(struct records_names *names, struct records_name *item)
{
    size_t index = records_after(names, records_sv(item), true);
    if (is_at(names, index, records_sv(item))) {
        struct records_name *old = names->items[index];
        names->items[index] = item;
        return old;
    }
    memmove(&names->items[index + 1], &names->items[index], (names->count - index) * sizeof(struct records_name *));
    names->items[index] = item;
    names->count++;
    return NULL;
}

void *records_remove(struct records_names *names, struct cloister_sv name)
{
    size_t index = records_after(names, name, true);
    if (!is_at(names, index, name))
        return NULL;
    struct records_name *item = names->items[index];
    names->count--;
    memmove(&names->items[index], &names->items[index + 1], (names->count - index) * sizeof(struct records_name *));
    return item;
}

static bool starts(const struct records_name *item, struct cloister_sv prefix)
{
    return item->size >= prefix.size && (!prefix.size || memcmp(item->data, prefix.data, prefix.size) == 0);
}

struct records_page records_page(const struct records_names *names, struct cloister_sv prefix,
                                 struct cloister_sv cursor, uint32_t limit)
{
    size_t at = cursor.size ? records_after(names, cursor, false) : records_after(names, prefix, true);
    size_t end = at;
    while (end < names->count && end - at < limit && starts(names->items[end], prefix))
        end++;
    return (struct records_page){at, end, end > at && end < names->count && starts(names->items[end], prefix)};
}
