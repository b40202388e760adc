/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value is the house's only door for JSON text. The reader (reader.c) is ours and strict; the tree is cJSON's, so that
 * cJSON prints and frees it, with one twist: a number stays the text it was written as, because protocols carry 64-bit
 * integers that a double would round. Plugins see the tree through the SDK's value table, the config sees it with
 * positions, and nobody outside this folder sees a cJSON type.
 */
#include "core/value/value.h"

#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/value/node.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static cloister_value *node_of(cJSON *json)
{
    return (cloister_value *)(void *)json;
}

/* Looking never changes what a value says; the cursor is the one thing it moves. */
static cJSON *json_of(const cloister_value *value)
{
    return (cJSON *)(uintptr_t)value;
}

cloister_value *cl_node_new(int json_type)
{
    cloister_value *value = cl_new(cloister_value);
    if (value)
        value->json.type = json_type;
    return value;
}

void cl_node_append(cloister_value *container, char *key, cloister_value *child)
{
    free(child->json.string);
    child->json.string = key;
    (void)cJSON_AddItemToArray(&container->json, &child->json); /* fails for NULL and for itself only */
    container->count++;
}

void cl_value_free(cloister_value *value)
{
    if (value)
        cJSON_Delete(&value->json);
}

enum cloister_value_type cl_value_type(const cloister_value *value)
{
    if (!value)
        return CLOISTER_VALUE_NONE;
    switch (value->json.type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return CLOISTER_VALUE_BOOL;
    case cJSON_Raw:
        return CLOISTER_VALUE_NUMBER;
    case cJSON_String:
        return CLOISTER_VALUE_STRING;
    case cJSON_Array:
        return CLOISTER_VALUE_ARRAY;
    case cJSON_Object:
        return CLOISTER_VALUE_OBJECT;
    default:
        return CLOISTER_VALUE_NULL;
    }
}

const char *cl_value_type_name(enum cloister_value_type type)
{
    static const char *const names[] = {"nothing",  "null",     "true or false", "a number",
                                        "a string", "an array", "an object"};
    return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

const struct cl_position *cl_value_position(const cloister_value *value)
{
    return value ? &value->position : NULL;
}

size_t cl_value_count(const cloister_value *value)
{
    return value ? value->count : 0;
}

cloister_value *cl_value_get(const cloister_value *object, struct cloister_sv key)
{
    if (cl_value_type(object) != CLOISTER_VALUE_OBJECT)
        return NULL;
    for (cJSON *member = object->json.child; member; member = member->next) {
        if (cl_sv_eq(cl_sv_cstr(member->string), key))
            return node_of(member);
    }
    return NULL;
}

cloister_value *cl_value_get_cstr(const cloister_value *object, const char *key)
{
    return cl_value_get(object, cl_sv_cstr(key));
}

cloister_value *cl_value_at(const cloister_value *container, size_t index)
{
    if (!container || index >= container->count)
        return NULL;
    cloister_value *mutable = node_of(json_of(container));
    if (!mutable->cursor || index < mutable->cursor_index) {
        mutable->cursor = mutable->json.child;
        mutable->cursor_index = 0;
    }
    while (mutable->cursor_index < index) {
        mutable->cursor = mutable->cursor->next;
        mutable->cursor_index++;
    }
    return node_of(mutable->cursor);
}

cloister_value *cl_value_first(const cloister_value *container)
{
    return container ? node_of(container->json.child) : NULL;
}

cloister_value *cl_value_next(const cloister_value *member)
{
    return member ? node_of(member->json.next) : NULL;
}

struct cloister_sv cl_value_key(const cloister_value *member)
{
    return cl_sv_cstr(member ? member->json.string : NULL);
}

int cl_value_bool(const cloister_value *value, bool *ret_bool)
{
    if (cl_value_type(value) != CLOISTER_VALUE_BOOL)
        return -EINVAL;
    *ret_bool = (value->json.type & 0xff) == cJSON_True;
    return 0;
}

int cl_value_raw(const cloister_value *value, struct cloister_sv *ret_text)
{
    if (cl_value_type(value) != CLOISTER_VALUE_NUMBER)
        return -EINVAL;
    *ret_text = cl_sv_cstr(value->json.valuestring);
    return 0;
}

/* Sign and magnitude of a number written as an integer. */
static int integer(const cloister_value *value, bool *ret_negative, uint64_t *ret_magnitude)
{
    struct cloister_sv text;
    int r = cl_value_raw(value, &text);
    if (r < 0)
        return r;
    *ret_negative = text.data[0] == '-';
    if (*ret_negative)
        text = cl_sv(text.data + 1, text.size - 1);
    return cl_sv_u64(text, ret_magnitude);
}

int cl_value_u64(const cloister_value *value, uint64_t *ret_number)
{
    bool negative;
    uint64_t magnitude;
    int r = integer(value, &negative, &magnitude);
    if (r < 0)
        return r;
    if (negative && magnitude != 0)
        return -ERANGE;
    *ret_number = magnitude;
    return 0;
}

int cl_value_i64(const cloister_value *value, int64_t *ret_number)
{
    bool negative;
    uint64_t magnitude;
    int r = integer(value, &negative, &magnitude);
    if (r < 0)
        return r;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret_number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

int cl_value_double(const cloister_value *value, double *ret_number)
{
    struct cloister_sv text;
    int r = cl_value_raw(value, &text);
    if (r < 0)
        return r;
    double number = strtod(text.data, NULL); /* the daemon keeps the C locale */
    if (!isfinite(number))
        return -ERANGE;
    *ret_number = number;
    return 0;
}

int cl_value_string(const cloister_value *value, struct cloister_sv *ret_text)
{
    if (cl_value_type(value) != CLOISTER_VALUE_STRING)
        return -EINVAL;
    *ret_text = cl_sv_cstr(value->json.valuestring);
    return 0;
}

const char *cl_value_cstr(const cloister_value *value)
{
    return cl_value_type(value) == CLOISTER_VALUE_STRING ? value->json.valuestring : NULL;
}

cloister_value *cl_value_new_object(void)
{
    return cl_node_new(cJSON_Object);
}

cloister_value *cl_value_new_array(void)
{
    return cl_node_new(cJSON_Array);
}

cloister_value *cl_value_new_null(void)
{
    return cl_node_new(cJSON_NULL);
}

cloister_value *cl_value_new_bool(bool value)
{
    return cl_node_new(value ? cJSON_True : cJSON_False);
}

/* A string or number node whose text has been checked. */
static cloister_value *new_text(int json_type, struct cloister_sv text)
{
    CL_FREE char *copy = cl_memdup(text.data, text.size);
    if (!copy)
        return NULL;
    cloister_value *value = cl_node_new(json_type);
    if (value)
        value->json.valuestring = cl_steal_ptr(&copy);
    return value;
}

cloister_value *cl_value_new_u64(uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    return new_text(cJSON_Raw, cl_sv_cstr(text));
}

cloister_value *cl_value_new_i64(int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    return new_text(cJSON_Raw, cl_sv_cstr(text));
}

cloister_value *cl_value_new_string(struct cloister_sv text)
{
    if (cl_sv_has_nul(text) || !cl_sv_utf8(text)) {
        errno = EINVAL;
        return NULL;
    }
    return new_text(cJSON_String, text);
}

cloister_value *cl_value_new_cstr(const char *text)
{
    return cl_value_new_string(cl_sv_cstr(text));
}

cloister_value *cl_value_new_number(struct cloister_sv text)
{
    if (text.size == 0 || cl_node_number_size(text) != text.size) {
        errno = EINVAL;
        return NULL;
    }
    return new_text(cJSON_Raw, text);
}

/* Recursive like the reader, whose depth limit holds here too. */
cloister_value *cl_value_copy(const cloister_value *value)
{
    if (!value)
        return NULL;
    CL_VALUE_CLEANUP cloister_value *copy = value->json.valuestring
                                                ? new_text(value->json.type, cl_sv_cstr(value->json.valuestring))
                                                : cl_node_new(value->json.type);
    if (!copy)
        return NULL;
    copy->position = value->position;
    for (const cJSON *member = value->json.child; member; member = member->next) {
        CL_FREE char *key = member->string ? cl_strdup(member->string) : NULL;
        if (member->string && !key)
            return NULL;
        cloister_value *child = cl_value_copy((const cloister_value *)(const void *)member);
        if (!child)
            return NULL;
        cl_node_append(copy, cl_steal_ptr(&key), child);
    }
    return cl_steal_ptr(&copy);
}

int cl_value_set(cloister_value *object, struct cloister_sv key, cloister_value *value)
{
    CL_VALUE_CLEANUP cloister_value *owned = value;
    if (!value)
        return -ENOMEM;
    if (cl_value_type(object) != CLOISTER_VALUE_OBJECT || cl_sv_has_nul(key) || !cl_sv_utf8(key))
        return -EINVAL;
    char *name = cl_memdup(key.data, key.size);
    if (!name)
        return -ENOMEM;
    cloister_value *old = cl_value_get(object, key);
    if (!old) {
        cl_node_append(object, name, cl_steal_ptr(&owned));
        return 0;
    }
    free(owned->json.string);
    owned->json.string = name;
    object->cursor = NULL;
    (void)cJSON_ReplaceItemViaPointer(&object->json, &old->json, &cl_steal_ptr(&owned)->json);
    return 0;
}

int cl_value_set_cstr(cloister_value *object, const char *key, cloister_value *value)
{
    return cl_value_set(object, cl_sv_cstr(key), value);
}

int cl_value_append(cloister_value *array, cloister_value *value)
{
    if (!value)
        return -ENOMEM;
    if (cl_value_type(array) != CLOISTER_VALUE_ARRAY) {
        cl_value_free(value);
        return -EINVAL;
    }
    cl_node_append(array, NULL, value);
    return 0;
}

cloister_value *cl_value_detach(cloister_value *container, cloister_value *member)
{
    if (!container || !member)
        return NULL;
    container->cursor = NULL;
    container->count--;
    return node_of(cJSON_DetachItemViaPointer(&container->json, &member->json));
}

int cl_value_remove(cloister_value *object, struct cloister_sv key)
{
    cloister_value *member = cl_value_get(object, key);
    if (!member)
        return -ENOENT;
    cl_value_free(cl_value_detach(object, member));
    return 0;
}

int cl_value_print(const cloister_value *value, bool pretty, char **ret_text, size_t *ret_size)
{
    if (!value)
        return -EINVAL;
    char *text = pretty ? cJSON_Print(&value->json) : cJSON_PrintUnformatted(&value->json);
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    *ret_size = strlen(text);
    return 0;
}
