/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h - allocation: every allocation of the core goes through here, so that a test can make the Nth one fail.
 *
 * Memory comes from malloc, so free() releases it. All functions return NULL with errno ENOMEM when there is none.
 */
#ifndef CL_UTIL_MEM_H
#define CL_UTIL_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline void cl_freep(void *pointer)
{
    free(*(void **)pointer);
}

/* For owned locals of any pointer type whose memory free() releases. */
#define CL_FREE __attribute__((cleanup(cl_freep)))

/* Takes the pointer out of its owner: cl_steal_ptr(&local) evaluates to the pointer and leaves NULL behind. */
#define cl_steal_ptr(address)                                       \
    (__extension__({                                                \
        __typeof__(address) cl_steal_from = (address);              \
        __typeof__(*cl_steal_from) cl_steal_value = *cl_steal_from; \
        *cl_steal_from = NULL;                                      \
        cl_steal_value;                                             \
    }))

void *cl_malloc(size_t size);
/* Zeroed; count * size is checked. */
void *cl_calloc(size_t count, size_t size);
/* cl_new(struct thing): one zeroed thing. */
#define cl_new(type) ((type *)cl_calloc(1, sizeof(type)))
/* count * size is checked; on failure the old memory is untouched. */
void *cl_realloc_array(void *memory, size_t count, size_t size);
char *cl_strdup(const char *text);
/* size bytes and a final NUL. */
void *cl_memdup(const void *data, size_t size);
char *cl_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Test hook: the nth allocation from now on fails (1 = the next), once; 0 = none does. Process-wide. */
void cl_mem_fail_nth(uint64_t nth);
/* Allocations since the hook was last set; tells a sweep when it is through. */
uint64_t cl_mem_count(void);

#endif
