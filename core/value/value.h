/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - JSON values: one strict reader, a tree, a printer.
 *
 * cJSON is the document model and the printer; its parser is not used, because it silently accepts what our protocols
 * must refuse (duplicate keys, `01`, text behind the document, raw control bytes, malformed UTF-8, `\u0000`) and rounds
 * integers above 2^53. Our reader takes RFC 8259 and nothing else, keeps every number as its own text, and says where
 * and why it stopped.
 *
 * A cloister_value is a node of a tree. Looking into a tree allocates nothing; views and nodes are borrowed until the
 * root is freed or the node is removed or replaced. A tree has one owner: the root's. Not thread-safe per tree;
 * different trees are [any].
 */
#ifndef CL_VALUE_VALUE_H
#define CL_VALUE_VALUE_H

#include <cloister/value.h>
#include <stdbool.h>
#include <stddef.h>

#define CL_VALUE_DEPTH_LIMIT 512u /* no option goes above: the printer and free recurse */
#define CL_VALUE_COUNT_DEFAULT \
    (64u * 1024) /* values in one document: a 1 MiB text of `[0,0,...` must not become 60 MiB */

struct cl_value_options {
    uint32_t flags;  /* CLOISTER_VALUE_COMMENTS */
    uint32_t depth;  /* nesting of arrays and objects; 0 = CLOISTER_VALUE_DEPTH_DEFAULT */
    uint32_t count;  /* 0 = CL_VALUE_COUNT_DEFAULT */
    uint32_t source; /* any number; every value read tells it back with its position */
    uint64_t size;   /* largest text, 0 = no limit */
};

/* Where a value was written. A value that was built has line 0. */
struct cl_position {
    uint32_t source;   /* of cl_value_options */
    uint32_t line;     /* 1-based */
    uint32_t column;   /* 1-based, in bytes */
    uint32_t key_line; /* of the key's opening quote; 0 for elements and the root */
    uint32_t key_column;
};

/*
 * Reads one document. options may be NULL. Errors (err->code INVALID unless said otherwise; line, column, offset set;
 * the chain reads "offset 1: expected a string key") are told apart by err->step and by the return value: "syntax"
 * -EINVAL   not RFC 8259, or a NUL in a string; or step "utf-8": malformed text "too-deep"      -ELOOP    nested deeper
 * than allowed "too-large"     -E2BIG    code TOO_BIG: more bytes or values than allowed "duplicate-key" -EEXIST
 * err->subject = the key. The first wrong thing but not the last word: the rest was read and is well formed, and if
 * ret_partial is not NULL it gets the document, in which the first of equal keys won "memory"        -ENOMEM *ret_value
 * is written on success only, *ret_partial only with -EEXIST; the caller frees what it gets.
 */
int cl_value_parse(struct cloister_sv text, const struct cl_value_options *options, cloister_value **ret_value,
                   cloister_value **ret_partial, struct cloister_error *err);

/* Frees a tree; value must be a root. NULL is fine. */
void cl_value_free(cloister_value *value);

static inline void cl_value_freep(cloister_value **value)
{
    cl_value_free(*value);
}
#define CL_VALUE_CLEANUP __attribute__((cleanup(cl_value_freep)))

/* ---- looking: NULL as value is allowed everywhere and behaves like a value of the wrong type ---- */

enum cloister_value_type cl_value_type(const cloister_value *value);
const char *cl_value_type_name(enum cloister_value_type type); /* "an object" */
/* Borrowed like the value; NULL for NULL. */
const struct cl_position *cl_value_position(const cloister_value *value);

/* Members of an object, elements of an array; 0 for all else. */
size_t cl_value_count(const cloister_value *value);
/* A member by key, NULL if absent or not an object. Linear. */
cloister_value *cl_value_get(const cloister_value *object, struct cloister_sv key);
cloister_value *cl_value_get_cstr(const cloister_value *object, const char *key);
/* An element or member by position, NULL if out of range. A container remembers the last one, so walking upwards is
 * cheap. */
cloister_value *cl_value_at(const cloister_value *container, size_t index);
/* for (v = cl_value_first(c); v; v = cl_value_next(v)): elements or members in the order written. */
cloister_value *cl_value_first(const cloister_value *container);
cloister_value *cl_value_next(const cloister_value *member);
/* The key under which a value is a member; empty view for a root or an element. */
struct cloister_sv cl_value_key(const cloister_value *member);

/*
 * Conversions: 0, or -EINVAL for another type (also: not an integer), or -ERANGE. Integers are exact: a number is an
 * integer if it is written with neither point nor exponent. -0 is 0.
 */
int cl_value_bool(const cloister_value *value, bool *ret_bool);
int cl_value_u64(const cloister_value *value, uint64_t *ret_number);
int cl_value_i64(const cloister_value *value, int64_t *ret_number);
int cl_value_double(const cloister_value *value, double *ret_number);
/* UTF-8, never with a NUL inside, and NUL-terminated behind the last byte (data is usable as a C string). */
int cl_value_string(const cloister_value *value, struct cloister_sv *ret_text);
/* The number exactly as written. */
int cl_value_raw(const cloister_value *value, struct cloister_sv *ret_text);
/* The string, or NULL: for optional members. */
const char *cl_value_cstr(const cloister_value *value);

/* ---- building: NULL means no memory, or (where said) a refused argument ---- */

cloister_value *cl_value_new_object(void);
cloister_value *cl_value_new_array(void);
cloister_value *cl_value_new_null(void);
cloister_value *cl_value_new_bool(bool value);
cloister_value *cl_value_new_u64(uint64_t number);
cloister_value *cl_value_new_i64(int64_t number);
/* NULL also for a NUL or malformed UTF-8 inside (errno EINVAL). */
cloister_value *cl_value_new_string(struct cloister_sv text);
cloister_value *cl_value_new_cstr(const char *text);
/* Text of a JSON number, checked; NULL with errno EINVAL if it is none. */
cloister_value *cl_value_new_number(struct cloister_sv text);
cloister_value *cl_value_copy(const cloister_value *value);

/*
 * Both always take `value` (a root), also when they fail (then it is freed), and a NULL value gives -ENOMEM, so that
 * calls nest: cl_value_set(object, CLOISTER_SV("pid"), cl_value_new_u64(pid)). -EINVAL: not an object / array, or a bad
 * key. set replaces an older member of the same key, in its place.
 */
int cl_value_set(cloister_value *object, struct cloister_sv key, cloister_value *value);
int cl_value_set_cstr(cloister_value *object, const char *key, cloister_value *value);
int cl_value_append(cloister_value *array, cloister_value *value);
/* 0 or -ENOENT. */
int cl_value_remove(cloister_value *object, struct cloister_sv key);
/* Takes a member or element out of its container: the caller owns it as a root. Its key is kept readable. */
cloister_value *cl_value_detach(cloister_value *container, cloister_value *member);

/* ---- printing ---- */

/* Malloc'd text (free() it), NUL-terminated; compact has no newline, pretty has tabs. 0 or -ENOMEM. */
int cl_value_print(const cloister_value *value, bool pretty, char **ret_text, size_t *ret_size);

#endif
