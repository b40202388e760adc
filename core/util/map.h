/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - a hash map from bytes or from a u64 to a pointer.
 *
 * Keys are copied, values are not owned. The hash is keyed with random bytes, because keys come from clients: nobody
 * can choose names that all fall into one bucket. One map holds keys of one kind (a u64 key is its eight bytes).
 */
#ifndef CL_UTIL_MAP_H
#define CL_UTIL_MAP_H

#include "core/util/sv.h"

struct cl_map_entry;

struct cl_map {
    struct cl_map_entry **buckets;
    size_t bucket_count; /* a power of two, 0 until the first put */
    size_t size;
    uint64_t seed[2];
};

#define CL_MAP_INIT \
    {               \
        NULL, 0, 0, \
        {           \
            0, 0    \
        }           \
    }

/* 0, -EEXIST (nothing changed), -ENOMEM. A NULL value is not allowed (-EINVAL). */
int cl_map_put(struct cl_map *map, struct cloister_sv key, void *value);
/* The value, NULL if absent. */
void *cl_map_get(const struct cl_map *map, struct cloister_sv key);
/* Takes the entry out and returns its value, NULL if absent. */
void *cl_map_remove(struct cl_map *map, struct cloister_sv key);

int cl_map_put_u64(struct cl_map *map, uint64_t key, void *value);
void *cl_map_get_u64(const struct cl_map *map, uint64_t key);
void *cl_map_remove_u64(struct cl_map *map, uint64_t key);

/* Releases the map, not the values. */
void cl_map_free(struct cl_map *map);

struct cl_map_iter {
    size_t bucket;
    struct cl_map_entry *next;
};

/*
 * for (struct cl_map_iter it = {0}; cl_map_next(&map, &it, &key, &value);) ...
 * In no particular order. Removing the current entry inside the loop is allowed, any other change is not. ret_key may
 * be NULL; the key view is borrowed until its entry is removed.
 */
bool cl_map_next(const struct cl_map *map, struct cl_map_iter *iter, struct cloister_sv *ret_key, void **ret_value);

#endif
