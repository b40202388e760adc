/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/parser.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/nearest.h"

#define PATH_BYTES_MAX 4095u
#define KNOWN_MAX 64u

/* A default has no line: "default: key ..." tells that we, or a plugin, have a bad one. */
static int fail_at(struct cl_parser *p, uint32_t code, const char *file, uint32_t line, uint32_t column,
                   const char *sentence)
{
    char place[64] = "";
    if (line > 0)
        (void)snprintf(place, sizeof(place), ":%" PRIu32 ":%" PRIu32, line, column);
    int r = cl_error_set(p->err, code, 0, p->path, "config", "%s%s: %s%s%s%s", file, place, p->path_size ? "key '" : "",
                         p->path, p->path_size ? "': " : "", sentence);
    cl_error_position(p->err, line, column, 0);
    return r;
}

int cl_parser_fail(struct cl_parser *p, uint32_t code, const cloister_value *where, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    const struct cl_position *at = cl_value_position(where);
    uint32_t line = at->source ? at->line : 0; /* a default's line is that of a text in our own code */
    return fail_at(p, code, cl_room_file(p->room, where), line, line ? at->column : 0, sentence);
}

int cl_parser_expected(struct cl_parser *p, const cloister_value *value, enum cloister_value_type type,
                       const char *what)
{
    if (cl_value_type(value) == type)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "expected %s", what);
    return cl_parser_fail(p, CLOISTER_INVALID, value, "expected %s, not %s", what,
                          cl_value_type_name(cl_value_type(value)));
}

int cl_parser_no_memory(struct cl_parser *p)
{
    return cl_error_set(p->err, CLOISTER_LIMIT, ENOMEM, "", "memory", "read the config");
}

int cl_parser_fail_near(struct cl_parser *p, const cloister_value *value, const char *const *known, size_t count,
                        const char *sentence)
{
    const char *nearest = cl_nearest(cl_sv_cstr(cl_value_cstr(value)), known, count);
    return cl_parser_fail(p, CLOISTER_INVALID, value, "%s%s%s%s", sentence, nearest ? "; did you mean '" : "",
                          nearest ? nearest : "", nearest ? "'?" : "");
}

int cl_parser_fail_key(struct cl_parser *p, const cloister_value *member, const char *sentence)
{
    const struct cl_position *at = cl_value_position(member);
    return fail_at(p, CLOISTER_INVALID, cl_room_file(p->room, member), at->key_line, at->key_column, sentence);
}

int cl_parser_unknown(struct cl_parser *p, const cloister_value *member, const char *const *known, size_t count)
{
    struct cloister_sv key = cl_value_key(member);
    const char *nearest = cl_nearest(key, known, count);
    char sentence[256];
    (void)snprintf(sentence, sizeof(sentence), "unknown key%s%s%s", nearest ? "; did you mean '" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
    size_t up = cl_parser_down(p, key.data);
    int r = cl_parser_fail_key(p, member, sentence);
    cl_parser_up(p, up);
    return r;
}

/* A path that does not fit is only cut in sentences: nothing else reads it. */
static size_t extend(struct cl_parser *p, int size)
{
    size_t up = p->path_size;
    p->path_size += (size_t)size;
    if (p->path_size > sizeof(p->path) - 1)
        p->path_size = sizeof(p->path) - 1;
    return up;
}

size_t cl_parser_down(struct cl_parser *p, const char *key)
{
    return extend(
        p, snprintf(p->path + p->path_size, sizeof(p->path) - p->path_size, "%s%s", p->path_size ? "." : "", key));
}

size_t cl_parser_down_index(struct cl_parser *p, size_t index)
{
    return extend(p, snprintf(p->path + p->path_size, sizeof(p->path) - p->path_size, "[%zu]", index));
}

void cl_parser_up(struct cl_parser *p, size_t size)
{
    p->path_size = size;
    p->path[size] = 0;
}

static int check_keys(struct cl_parser *p, const cloister_value *object, const struct cl_field *fields, size_t count)
{
    const char *known[KNOWN_MAX];
    for (size_t i = 0; i < count; i++)
        known[i] = fields[i].key;
    for (const cloister_value *member = cl_value_first(object); member; member = cl_value_next(member)) {
        size_t i = 0;
        while (i < count && !cl_sv_is(cl_value_key(member), known[i]))
            i++;
        if (i == count)
            return cl_parser_unknown(p, member, known, count);
    }
    return 0;
}

/* Puts the default into the tree, so that it is read, checked and dumped like everything that was written. */
static int put_fallback(struct cl_parser *p, cloister_value *object, const struct cl_field *field, cloister_value **ret)
{
    cloister_value *value = NULL;
    int r = cl_value_parse(cl_sv_cstr(field->fallback), NULL, &value, NULL, p->err);
    if (r < 0)
        return r;
    r = cl_value_set_cstr(object, field->key, value);
    if (r < 0)
        return cl_parser_no_memory(p);
    value = cl_value_get_cstr(object, field->key);
    *ret = value;
    return 0;
}

static int read_field(struct cl_parser *p, cloister_value *object, const struct cl_field *field, void *target)
{
    cloister_value *value = cl_value_get_cstr(object, field->key);
    if (!value && field->required)
        return cl_parser_fail(p, CLOISTER_INVALID, object, "the required key '%s' is missing", field->key);
    if (!value && !field->fallback)
        return 0;
    if (!value) {
        int r = put_fallback(p, object, field, &value);
        if (r < 0)
            return r;
    }
    size_t up = cl_parser_down(p, field->key);
    int r = field->read(p, value, (char *)target + field->offset);
    cl_parser_up(p, up);
    return r;
}

int cl_parse_object(struct cl_parser *p, cloister_value *value, const struct cl_field *fields, size_t count,
                    void *target)
{
    if (cl_value_type(value) != CLOISTER_VALUE_OBJECT)
        return cl_parser_expected(p, value, CLOISTER_VALUE_OBJECT, "an object");
    int r = check_keys(p, value, fields, count);
    for (size_t i = 0; i < count && r == 0; i++)
        r = read_field(p, value, &fields[i], target);
    return r;
}

int cl_parse_array(struct cl_parser *p, cloister_value *value, size_t size, cl_field_fn read, void **ret_items,
                   size_t *ret_count)
{
    if (cl_value_type(value) != CLOISTER_VALUE_ARRAY)
        return cl_parser_expected(p, value, CLOISTER_VALUE_ARRAY, "an array");
    char *items = cl_room_own(p->room, cl_calloc(cl_value_count(value) + 1, size));
    if (!items)
        return cl_parser_no_memory(p);
    size_t count = 0;
    for (cloister_value *element = cl_value_first(value); element; element = cl_value_next(element)) {
        size_t up = cl_parser_down_index(p, count);
        int r = read(p, element, items + count * size);
        if (r < 0)
            return r;
        cl_parser_up(p, up);
        count++;
    }
    *ret_items = items;
    *ret_count = count;
    return 0;
}

int cl_parse_bool(struct cl_parser *p, cloister_value *value, void *member)
{
    if (cl_value_bool(value, member) < 0)
        return cl_parser_expected(p, value, CLOISTER_VALUE_BOOL, "true or false");
    return 0;
}

int cl_parse_string(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *text = cl_value_cstr(value);
    if (!text || !text[0])
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "a string that is not empty");
    *(const char **)member = text;
    return 0;
}

int cl_parse_path(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *text = cl_value_cstr(value);
    if (!text || text[0] != '/' || strlen(text) > PATH_BYTES_MAX)
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "an absolute path");
    *(const char **)member = text;
    return 0;
}

int cl_parse_paths(struct cl_parser *p, cloister_value *value, void *member)
{
    void *items = NULL;
    size_t count = 0;
    int r = cl_parse_array(p, value, sizeof(const char *), cl_parse_path, &items, &count);
    if (r == 0)
        *(const char *const **)member = items;
    return r;
}

bool cl_is_name(struct cloister_sv text)
{
    if (text.size < 1 || text.size > 32)
        return false;
    for (uint64_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return true;
}

int cl_parse_name(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *text = cl_value_cstr(value);
    if (!text || !cl_is_name(cl_sv_cstr(text)))
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "a name of 1 to 32 characters a-z, 0-9 and -");
    *(const char **)member = text;
    return 0;
}

static int parse_number(struct cl_parser *p, cloister_value *value, uint32_t max, const char *what, void *member)
{
    uint64_t number = 0;
    int r = cl_value_u64(value, &number);
    if (r < 0 || number < 1 || number > max)
        return cl_parser_expected(p, value, CLOISTER_VALUE_NUMBER, what);
    *(uint32_t *)member = (uint32_t)number;
    return 0;
}

int cl_parse_positive(struct cl_parser *p, cloister_value *value, void *member)
{
    return parse_number(p, value, 1000000, "a whole number from 1 to 1000000", member);
}

int cl_parse_ms(struct cl_parser *p, cloister_value *value, void *member)
{
    return parse_number(p, value, 86400000, "a whole number of milliseconds from 1 to 86400000", member);
}

int cl_parse_word(struct cl_parser *p, const cloister_value *value, const char *const *words, size_t count,
                  size_t *ret_index)
{
    char expected[128], sentence[144];
    size_t size = 0;
    const char *text = cl_value_cstr(value);
    for (size_t i = 0; i < count; i++) {
        if (text && strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return 0;
        }
        const char *separator = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        size += (size_t)snprintf(expected + size, sizeof(expected) - size, "%s%s", separator, words[i]);
        assert(size < sizeof(expected)); /* the words are ours */
    }
    if (!text)
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, expected);
    (void)snprintf(sentence, sizeof(sentence), "expected %s", expected);
    return cl_parser_fail_near(p, value, words, count, sentence);
}
