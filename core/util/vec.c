/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/vec.h"

#include "core/util/mem.h"
#include <errno.h>
#include <string.h>

int cl_vec_reserve(struct cl_vec *vec, size_t count)
{
    if (count <= vec->capacity)
        return 0;
    size_t capacity = vec->capacity ? vec->capacity : 4;
    while (capacity < count)
        capacity = capacity > count / 2 ? count : capacity * 2;
    void **items = cl_realloc_array(vec->items, capacity, sizeof(*items));
    if (!items)
        return -ENOMEM;
    vec->items = items;
    vec->capacity = capacity;
    return 0;
}

int cl_vec_append(struct cl_vec *vec, void *item)
{
    if (vec->size == vec->capacity) {
        /* Grow by doubling, not to the exact count, so that n appends cost O(n). */
        int r = cl_vec_reserve(vec, vec->size < 4 ? 4 : vec->size * 2);
        if (r < 0)
            return r;
    }
    vec->items[vec->size++] = item;
    return 0;
}

void *cl_vec_remove(struct cl_vec *vec, size_t index)
{
    void *item = vec->items[index];
    vec->size--;
    memmove(vec->items + index, vec->items + index + 1, (vec->size - index) * sizeof(*vec->items));
    return item;
}

size_t cl_vec_find(const struct cl_vec *vec, const void *item)
{
    for (size_t i = 0; i < vec->size; i++) {
        if (vec->items[i] == item)
            return i;
    }
    return CL_VEC_NONE;
}

void cl_vec_free(struct cl_vec *vec)
{
    free(vec->items);
    vec->items = NULL;
    vec->size = 0;
    vec->capacity = 0;
}
