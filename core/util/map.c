/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/map.h"

#include "core/util/base32.h"
#include "core/util/mem.h"
#include <errno.h>

struct cl_map_entry {
    struct cl_map_entry *next;
    uint64_t hash;
    void *value;
    uint64_t key_size;
    char key[];
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein 2012): enough against chosen keys, and cheap on short ones. */
static uint64_t hash_bytes(const uint64_t seed[2], struct cloister_sv key)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
                     seed[1] ^ 0x7465646279746573u};
    uint64_t at = 0;
    uint64_t word;
    for (; key.size - at >= 8; at += 8) {
        memcpy(&word, key.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (key.size > at)
        memcpy(&word, key.data + at, key.size - at);
    word |= key.size << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct cl_map_entry **find_link(const struct cl_map *map, struct cloister_sv key, uint64_t hash)
{
    struct cl_map_entry **link = &map->buckets[hash & (map->bucket_count - 1)];
    while (*link && ((*link)->hash != hash || !cl_sv_eq(cl_sv((*link)->key, (*link)->key_size), key)))
        link = &(*link)->next;
    return link;
}

static int grow(struct cl_map *map)
{
    size_t count = map->bucket_count ? map->bucket_count * 2 : 8;
    if (map->bucket_count == 0) {
        int r = cl_random_u64(&map->seed[0]);
        if (r == 0)
            r = cl_random_u64(&map->seed[1]);
        if (r < 0)
            return r;
    }
    struct cl_map_entry **buckets = cl_calloc(count, sizeof(struct cl_map_entry *));
    if (!buckets)
        return -ENOMEM;
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct cl_map_entry *entry = map->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
    return 0;
}

int cl_map_put(struct cl_map *map, struct cloister_sv key, void *value)
{
    if (!value || key.size > SIZE_MAX / 2)
        return -EINVAL;
    if (cl_map_get(map, key))
        return -EEXIST;
    if (map->size >= map->bucket_count) {
        int r = grow(map);
        if (r < 0)
            return r;
    }
    struct cl_map_entry *entry = cl_malloc(sizeof(*entry) + key.size);
    if (!entry)
        return -ENOMEM;
    entry->hash = hash_bytes(map->seed, key);
    entry->value = value;
    entry->key_size = key.size;
    if (key.size > 0)
        memcpy(entry->key, key.data, key.size);
    struct cl_map_entry **bucket = &map->buckets[entry->hash & (map->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    map->size++;
    return 0;
}

void *cl_map_get(const struct cl_map *map, struct cloister_sv key)
{
    if (map->size == 0)
        return NULL;
    const struct cl_map_entry *entry = *find_link(map, key, hash_bytes(map->seed, key));
    return entry ? entry->value : NULL;
}

void *cl_map_remove(struct cl_map *map, struct cloister_sv key)
{
    if (map->size == 0)
        return NULL;
    struct cl_map_entry **link = find_link(map, key, hash_bytes(map->seed, key));
    CL_FREE struct cl_map_entry *entry = *link;
    if (!entry)
        return NULL;
    *link = entry->next;
    map->size--;
    return entry->value;
}

int cl_map_put_u64(struct cl_map *map, uint64_t key, void *value)
{
    return cl_map_put(map, cl_sv(&key, sizeof(key)), value);
}

void *cl_map_get_u64(const struct cl_map *map, uint64_t key)
{
    return cl_map_get(map, cl_sv(&key, sizeof(key)));
}

void *cl_map_remove_u64(struct cl_map *map, uint64_t key)
{
    return cl_map_remove(map, cl_sv(&key, sizeof(key)));
}

void cl_map_free(struct cl_map *map)
{
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct cl_map_entry *entry = map->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    free(map->buckets);
    *map = (struct cl_map)CL_MAP_INIT;
}

/* iter->next is the entry to hand out, fetched one step ahead so that the current one may be removed. */
bool cl_map_next(const struct cl_map *map, struct cl_map_iter *iter, struct cloister_sv *ret_key, void **ret_value)
{
    while (!iter->next) {
        if (iter->bucket >= map->bucket_count)
            return false;
        iter->next = map->buckets[iter->bucket++];
    }
    struct cl_map_entry *entry = iter->next;
    iter->next = entry->next;
    if (ret_key)
        *ret_key = cl_sv(entry->key, entry->key_size);
    *ret_value = entry->value;
    return true;
}
