/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - strict JSON: read, look up, build, print. Reached through cloister_host.value. Every call is [any], one
 * tree must not be used by two threads at once.
 *
 * The reader refuses what JSON does not allow and what protocols must refuse: duplicate keys, NUL in strings, invalid
 * UTF-8, raw control bytes, trailing text, nesting deeper than asked. Integers are exact: a number keeps its digits. A
 * *root* is owned by whoever parsed or built it and freed with `free`; members and elements are borrowed until the root
 * is freed or changed. Strings are borrowed likewise. Members since 0.1. Source: design.md section 3.
 */
#ifndef CLOISTER_VALUE_H
#define CLOISTER_VALUE_H

#include <cloister/abi.h>
#include <cloister/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cloister_value_type {
    CLOISTER_VALUE_NONE = 0, /* of a NULL value: not there */
    CLOISTER_VALUE_NULL = 1,
    CLOISTER_VALUE_BOOL = 2,
    CLOISTER_VALUE_NUMBER = 3,
    CLOISTER_VALUE_STRING = 4,
    CLOISTER_VALUE_ARRAY = 5,
    CLOISTER_VALUE_OBJECT = 6
};

/* flags of parse */
#define CLOISTER_VALUE_COMMENTS (1u << 0) /* line and block comments are allowed (configuration files) */

#define CLOISTER_VALUE_DEPTH_DEFAULT 32u

struct cloister_value_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* Parses text whole. 0 and *ret (owned), or -1 with err: INVALID, line, column, offset, step "duplicate-key",
     * "too-deep", "utf-8" or "syntax". After a duplicate key *ret is the document as read with the first of the two
     * (owned; may be NULL): so a framing can still find its id. depth 0 = CLOISTER_VALUE_DEPTH_DEFAULT. */
    int32_t (*parse)(struct cloister_sv text, uint32_t flags, uint32_t depth, cloister_value **ret,
                     struct cloister_error *err);
    void (*free)(cloister_value *root); /* NULL tolerated; never a member of another value */

    uint32_t (*type)(const cloister_value *value); /* enum cloister_value_type; NONE for NULL */
    /* Member by key; NULL if there is none or value is not an object. */
    cloister_value *(*get)(const cloister_value *value, struct cloister_sv key);
    uint64_t (*count)(const cloister_value *value); /* members or elements; 0 for everything else */
    /* Element or member by position; NULL past the end. ret_key may be NULL; empty for arrays. Walking with rising
     * index is linear. */
    cloister_value *(*at)(const cloister_value *value, uint64_t index, struct cloister_sv *ret_key);
    /* Each returns 0 and the value, or -1 when the type is another or the number does not fit exactly. */
    int32_t (*string)(const cloister_value *value, struct cloister_sv *ret);
    int32_t (*u64)(const cloister_value *value, uint64_t *ret);
    int32_t (*i64)(const cloister_value *value, int64_t *ret);
    int32_t (*boolean)(const cloister_value *value, uint32_t *ret);
    int32_t (*number)(const cloister_value *value, struct cloister_sv *ret_digits); /* as written */

    /* Builders return an owned value, or NULL when memory is short (or the text is not valid: string with NUL or bad
     * UTF-8). */
    cloister_value *(*new_object)(void);
    cloister_value *(*new_array)(void);
    cloister_value *(*new_string)(struct cloister_sv text);
    cloister_value *(*new_u64)(uint64_t number);
    cloister_value *(*new_i64)(int64_t number);
    cloister_value *(*new_boolean)(uint32_t yes);
    cloister_value *(*new_null)(void);
    cloister_value *(*copy)(const cloister_value *value); /* deep */
    /* Puts child (transferred, also on failure; NULL = failure, so builders nest) in; set replaces. 0 or -1. */
    int32_t (*set)(cloister_value *object, struct cloister_sv key, cloister_value *child);
    int32_t (*append)(cloister_value *array, cloister_value *child);
    int32_t (*remove)(cloister_value *object, struct cloister_sv key); /* 1 = was there, 0 = was not */
    /* Compact text, or pretty with tabs. *ret is host memory, NUL-terminated; release with free_text. 0 or -1. */
    int32_t (*print)(const cloister_value *value, uint32_t pretty, struct cloister_sv *ret);
    void (*free_text)(struct cloister_sv text);
};

#ifdef __cplusplus
}
#endif
#endif
