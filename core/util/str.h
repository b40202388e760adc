/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h - a string builder with a limit and a sticky error.
 *
 * Appends need no checks one by one: the first failure (-ENOMEM, or -E2BIG at the limit) sticks, later appends do
 * nothing, and the one who uses the text looks at `error` once. `data` is NUL-terminated whenever it is not NULL.
 */
#ifndef CL_UTIL_STR_H
#define CL_UTIL_STR_H

#include "core/util/sv.h"
#include <stdarg.h>

struct cl_str {
    char *data;
    size_t size; /* final NUL not counted */
    size_t capacity;
    size_t limit; /* largest size */
    int error;    /* 0 or negative errno */
};

#define CL_STR_INIT(limit_bytes)     \
    {                                \
        NULL, 0, 0, (limit_bytes), 0 \
    }

void cl_str_append(struct cl_str *str, struct cloister_sv text);
void cl_str_append_cstr(struct cl_str *str, const char *text);
void cl_str_append_char(struct cl_str *str, char byte);
void cl_str_append_bytes(struct cl_str *str, const void *data, size_t size);
void cl_str_printf(struct cl_str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cl_str_vprintf(struct cl_str *str, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static inline struct cloister_sv cl_str_view(const struct cl_str *str)
{
    return cl_sv(str->data, str->size);
}

/* Forgets the text and the error, keeps memory and limit. */
void cl_str_clear(struct cl_str *str);
/* Releases the memory; the builder may be used again. */
void cl_str_free(struct cl_str *str);
/* Hands over the text (free() it; "" if nothing was appended) and resets the builder. 0 or the sticky error. */
int cl_str_steal(struct cl_str *str, char **ret_text, size_t *ret_size);

#define CL_STR_CLEANUP __attribute__((cleanup(cl_str_free)))

#endif
