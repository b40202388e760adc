/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - the memory of one operation: copies of what its caller lent, all released at once. */
#ifndef CL_CORE_STORE_ARENA_H
#define CL_CORE_STORE_ARENA_H

#include "core/util/sv.h"

struct cl_arena_block;

struct cl_arena {
    struct cl_arena_block *blocks;
    bool failed; /* sticky: some allocation since the start found no memory */
};

#define CL_ARENA_INIT \
    {                 \
        NULL, false   \
    }

/* Zeroed. NULL sets `failed`. */
void *cl_arena_alloc(struct cl_arena *arena, size_t count, size_t size);
/* A copy with a NUL behind it; the empty view stays empty. */
struct cloister_sv cl_arena_sv(struct cl_arena *arena, struct cloister_sv text);
/*
 * A copy of a struct of the boundary, in our size: what the other side did not have is zero, what we do not know is
 * left out. struct_size of the copy is ours. `from` NULL gives NULL.
 */
void *cl_arena_struct(struct cl_arena *arena, const void *from, size_t size);
/* The same into memory that the caller has. */
void cl_struct_copy(void *to, size_t size, const void *from);
/* One element of such an array, into memory that the caller has: what a shorter one lacks is zero. */
void cl_element_copy(void *to, size_t size, const void *from, uint64_t stride, uint64_t index);
/* An array whose elements are `stride` bytes on the other side and `size` here. count 0 gives NULL. */
void *cl_arena_array(struct cl_arena *arena, const void *from, uint64_t count, uint64_t stride, size_t size);
void cl_arena_free(struct cl_arena *arena);

#endif
