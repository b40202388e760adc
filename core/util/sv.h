/* SPDX-License-Identifier: Apache-2.0 */
/* sv.h - string views: bytes with a length, not NUL-terminated, borrowed. */
#ifndef CL_UTIL_SV_H
#define CL_UTIL_SV_H

#include <cloister/abi.h>
#include <stdbool.h>
#include <string.h>

/* For printf: "%.*s". The precision is an int, so views above 2 GiB are shown cut. */
#define CL_SV_ARG(sv) (int)((sv).size > 0x7fffffffu ? 0x7fffffffu : (sv).size), ((sv).data ? (sv).data : "")

static inline struct cloister_sv cl_sv(const void *data, uint64_t size)
{
    return (struct cloister_sv){(const char *)data, size};
}

/* A view of a C string; NULL gives the empty view. */
static inline struct cloister_sv cl_sv_cstr(const char *text)
{
    return (struct cloister_sv){text, text ? strlen(text) : 0};
}

static inline bool cl_sv_eq(struct cloister_sv a, struct cloister_sv b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool cl_sv_is(struct cloister_sv a, const char *text)
{
    return cl_sv_eq(a, cl_sv_cstr(text));
}

static inline bool cl_sv_starts(struct cloister_sv text, struct cloister_sv prefix)
{
    return text.size >= prefix.size && cl_sv_eq(cl_sv(text.data, prefix.size), prefix);
}

static inline bool cl_sv_has_nul(struct cloister_sv text)
{
    return text.size > 0 && memchr(text.data, 0, text.size) != NULL;
}

/* A malloc'd C string. NULL with errno ENOMEM, or EINVAL when the view holds a NUL (the copy would be silently cut). */
char *cl_sv_dup(struct cloister_sv text);
/* Copies into a fixed buffer: 0, or -E2BIG (buffer untouched), or -EINVAL for a NUL inside. */
int cl_sv_copy(struct cloister_sv text, char *buffer, size_t size);
/* Decimal digits only, no sign, no blank: 0, -EINVAL (not a number), -ERANGE. */
int cl_sv_u64(struct cloister_sv text, uint64_t *ret_number);
/* Well-formed UTF-8: shortest forms, no surrogates, nothing above U+10FFFF. */
bool cl_sv_utf8(struct cloister_sv text);
/* Length of the UTF-8 sequence at the start of text, 0 if it is malformed or cut. */
unsigned cl_sv_utf8_next(struct cloister_sv text);

#endif
