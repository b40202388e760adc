/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util is what the C library lacks and every layer needs: owned descriptors and memory (fd.h, mem.h), text with a
 * length (sv.h, str.h), the three containers (vec.h, list.h, map.h), clocks, ids, whole files and the speller. It knows
 * no noun of the daemon, keeps no state but the allocation counter below, and everything in it is [any] thread as long
 * as an object has one user.
 *
 * The counter makes failure paths testable: a test runs the same code with the 1st, 2nd, ... allocation failing until
 * the code succeeds, and looks at what is left over each time.
 */
#include "core/util/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static atomic_uint_fast64_t mem_count;
static atomic_uint_fast64_t mem_fail_at; /* 0 = never */

void cl_mem_fail_nth(uint64_t nth)
{
    atomic_store(&mem_count, 0);
    atomic_store(&mem_fail_at, nth);
}

uint64_t cl_mem_count(void)
{
    return atomic_load(&mem_count);
}

static bool must_fail(void)
{
    uint64_t number = atomic_fetch_add_explicit(&mem_count, 1, memory_order_relaxed) + 1;
    if (number != atomic_load_explicit(&mem_fail_at, memory_order_relaxed))
        return false;
    errno = ENOMEM;
    return true;
}

void *cl_malloc(size_t size)
{
    /* malloc(0) may be NULL without being a failure. */
    return must_fail() ? NULL : malloc(size ? size : 1);
}

/* The product, at least 1; false if there is none. The C library checks too, but under ASan that ends the process. */
static bool product(size_t count, size_t size, size_t *ret_bytes)
{
    if (__builtin_mul_overflow(count, size, ret_bytes) || *ret_bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
        return false;
    }
    *ret_bytes += *ret_bytes == 0;
    return true;
}

void *cl_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (must_fail() || !product(count, size, &bytes))
        return NULL;
    return calloc(1, bytes);
}

void *cl_realloc_array(void *memory, size_t count, size_t size)
{
    size_t bytes;
    if (must_fail() || !product(count, size, &bytes))
        return NULL;
    return realloc(memory, bytes);
}

void *cl_memdup(const void *data, size_t size)
{
    if (size == SIZE_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    char *copy = cl_malloc(size + 1);
    if (!copy)
        return NULL;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

char *cl_strdup(const char *text)
{
    return cl_memdup(text, strlen(text));
}

char *cl_asprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        return NULL;
    char *text = cl_malloc((size_t)size + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}
