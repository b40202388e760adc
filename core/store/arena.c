/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/arena.h"

#include <stdlib.h>

#include "core/util/mem.h"

struct cl_arena_block {
    struct cl_arena_block *next;
    max_align_t data[];
};

void *cl_arena_alloc(struct cl_arena *arena, size_t count, size_t size)
{
    size_t bytes, whole;
    struct cl_arena_block *block = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes) && !__builtin_add_overflow(bytes, sizeof(*block), &whole))
        block = cl_calloc(1, whole);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    return block->data;
}

struct cloister_sv cl_arena_sv(struct cl_arena *arena, struct cloister_sv text)
{
    if (!text.size)
        return cl_sv(NULL, 0);
    char *copy = cl_arena_alloc(arena, 1, text.size + 1);
    if (!copy)
        return cl_sv(NULL, 0);
    memcpy(copy, text.data, text.size);
    return cl_sv(copy, text.size);
}

void cl_struct_copy(void *to, size_t size, const void *from)
{
    uint32_t theirs;
    memcpy(&theirs, from, sizeof(theirs));
    memset(to, 0, size);
    memcpy(to, from, theirs < size ? theirs : size);
    uint32_t ours = (uint32_t)size;
    memcpy(to, &ours, sizeof(ours));
}

void *cl_arena_struct(struct cl_arena *arena, const void *from, size_t size)
{
    void *copy = from ? cl_arena_alloc(arena, 1, size) : NULL;
    if (copy)
        cl_struct_copy(copy, size, from);
    return copy;
}

void cl_element_copy(void *to, size_t size, const void *from, uint64_t stride, uint64_t index)
{
    memset(to, 0, size);
    memcpy(to, (const char *)from + index * stride, stride < size ? stride : size);
}

void *cl_arena_array(struct cl_arena *arena, const void *from, uint64_t count, uint64_t stride, size_t size)
{
    char *copy = count ? cl_arena_alloc(arena, count, size) : NULL;
    if (!copy)
        return NULL;
    for (uint64_t i = 0; i < count; i++)
        cl_element_copy(copy + i * size, size, from, stride, i);
    return copy;
}

void cl_arena_free(struct cl_arena *arena)
{
    for (struct cl_arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    arena->blocks = NULL;
    arena->failed = false;
}
