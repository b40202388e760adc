/* SPDX-License-Identifier: Apache-2.0 */
#include "core/value/table.h"

#include <stdlib.h>

#include "core/error/error.h"
#include "core/value/value.h"

/* The SDK knows one failure, -1; the details are in the error object. */
static int32_t outcome(int r)
{
    return r < 0 ? -1 : 0;
}

static int32_t value_parse(struct cloister_sv text, uint32_t flags, uint32_t depth, cloister_value **ret,
                           struct cloister_error *err)
{
    const struct cl_value_options options = {.flags = flags, .depth = depth};
    *ret = NULL;
    if ((flags & ~CLOISTER_VALUE_COMMENTS) || depth > CL_VALUE_DEPTH_LIMIT)
        return outcome(cl_error_set(err, CLOISTER_INVALID, 0, NULL, "flags",
                                    "parse JSON: flags 0x%x or depth %u are not known here", flags, depth));
    return outcome(cl_value_parse(text, &options, ret, ret, err));
}

static uint32_t value_type(const cloister_value *value)
{
    return cl_value_type(value);
}

static uint64_t value_count(const cloister_value *value)
{
    return cl_value_count(value);
}

static cloister_value *value_at(const cloister_value *value, uint64_t index, struct cloister_sv *ret_key)
{
    cloister_value *member = cl_value_at(value, index);
    if (member && ret_key)
        *ret_key = cl_value_key(member);
    return member;
}

static int32_t value_string(const cloister_value *value, struct cloister_sv *ret)
{
    return outcome(cl_value_string(value, ret));
}

static int32_t value_u64(const cloister_value *value, uint64_t *ret)
{
    return outcome(cl_value_u64(value, ret));
}

static int32_t value_i64(const cloister_value *value, int64_t *ret)
{
    return outcome(cl_value_i64(value, ret));
}

static int32_t value_boolean(const cloister_value *value, uint32_t *ret)
{
    bool yes;
    int r = cl_value_bool(value, &yes);
    if (r == 0)
        *ret = yes;
    return outcome(r);
}

static int32_t value_number(const cloister_value *value, struct cloister_sv *ret)
{
    return outcome(cl_value_raw(value, ret));
}

static cloister_value *value_new_boolean(uint32_t yes)
{
    return cl_value_new_bool(yes != 0);
}

static int32_t value_set(cloister_value *object, struct cloister_sv key, cloister_value *child)
{
    return outcome(cl_value_set(object, key, child));
}

static int32_t value_append(cloister_value *array, cloister_value *child)
{
    return outcome(cl_value_append(array, child));
}

static int32_t value_remove(cloister_value *object, struct cloister_sv key)
{
    return cl_value_remove(object, key) == 0;
}

static int32_t value_print(const cloister_value *value, uint32_t pretty, struct cloister_sv *ret)
{
    char *text;
    size_t size;
    int r = cl_value_print(value, pretty != 0, &text, &size);
    if (r == 0)
        *ret = (struct cloister_sv){text, size};
    return outcome(r);
}

static void value_free_text(struct cloister_sv text)
{
    free((void *)(uintptr_t)text.data);
}

const struct cloister_value_api cl_value_table = {
    CLOISTER_INIT(struct cloister_value_api),
    .parse = value_parse,
    .free = cl_value_free,
    .type = value_type,
    .get = cl_value_get,
    .count = value_count,
    .at = value_at,
    .string = value_string,
    .u64 = value_u64,
    .i64 = value_i64,
    .boolean = value_boolean,
    .number = value_number,
    .new_object = cl_value_new_object,
    .new_array = cl_value_new_array,
    .new_string = cl_value_new_string,
    .new_u64 = cl_value_new_u64,
    .new_i64 = cl_value_new_i64,
    .new_boolean = value_new_boolean,
    .new_null = cl_value_new_null,
    .copy = cl_value_copy,
    .set = value_set,
    .append = value_append,
    .remove = value_remove,
    .print = value_print,
    .free_text = value_free_text,
};
