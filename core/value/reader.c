/* SPDX-License-Identifier: Apache-2.0 */
#include "core/error/error.h"
#include "core/util/map.h"
#include "core/util/mem.h"
#include "core/value/node.h"
#include <errno.h>
#include <inttypes.h>

/* Objects with more members than this find duplicates by hash: a hostile megabyte must not cost a day of comparing. */
#define LINEAR_KEYS 16u

struct reader {
    const char *data;
    uint64_t size;
    uint64_t at;
    uint64_t line_start; /* offset of the current line; strings hold no newline, so blanks alone move it */
    uint32_t line;
    uint32_t depth;
    uint32_t depth_max;
    uint32_t count;
    uint32_t count_max;
    uint32_t flags;
    uint32_t source;
    bool duplicate;
    struct cloister_error duplicate_error;
    struct cloister_error *err;
};

static int fail_at(struct reader *r, uint64_t offset, int os_error, const char *step, const char *sentence)
{
    uint32_t code = os_error == -E2BIG ? CLOISTER_TOO_BIG : os_error == -ENOMEM ? CLOISTER_LIMIT : CLOISTER_INVALID;
    (void)cl_error_set(r->err, code, 0, "", step, "%s", sentence);
    cl_error_wrap(r->err, "offset %" PRIu64, offset);
    cl_error_position(r->err, r->line, (uint32_t)(offset - r->line_start + 1), offset);
    return os_error;
}

static int expected(struct reader *r, const char *sentence)
{
    return fail_at(r, r->at, -EINVAL, "syntax", sentence);
}

static int no_memory(struct reader *r)
{
    return fail_at(r, r->at, -ENOMEM, "memory", "out of memory");
}

/* The byte at the cursor, -1 at the end. */
static int peek(const struct reader *r)
{
    return r->at < r->size ? (unsigned char)r->data[r->at] : -1;
}

static void newline(struct reader *r)
{
    r->line++;
    r->line_start = r->at + 1;
}

/* At a slash. 0 when a comment was skipped. */
static int skip_comment(struct reader *r)
{
    uint64_t start = r->at;
    char kind = r->at + 1 < r->size ? r->data[r->at + 1] : 0;
    if (kind == '/') {
        while (r->at < r->size && r->data[r->at] != '\n')
            r->at++;
        return 0;
    }
    if (kind != '*')
        return expected(r, "expected a value or a comment");
    uint32_t line = r->line;
    uint64_t line_start = r->line_start;
    for (r->at += 2; r->at < r->size; r->at++) {
        if (r->data[r->at] == '\n')
            newline(r);
        if (r->data[r->at] == '*' && r->at + 1 < r->size && r->data[r->at + 1] == '/') {
            r->at += 2;
            return 0;
        }
    }
    r->line = line;
    r->line_start = line_start;
    return fail_at(r, start, -EINVAL, "syntax", "expected a */ to end this comment");
}

static int skip_blank(struct reader *r)
{
    for (;;) {
        int byte = peek(r);
        if (byte == '/' && (r->flags & CLOISTER_VALUE_COMMENTS)) {
            int error = skip_comment(r);
            if (error < 0)
                return error;
            continue;
        }
        if (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n')
            return 0;
        if (byte == '\n')
            newline(r);
        r->at++;
    }
}

static bool is_digit(struct cloister_sv text, uint64_t at)
{
    return at < text.size && text.data[at] >= '0' && text.data[at] <= '9';
}

/* Digits from *at on; false if there is not one. */
static bool digits(struct cloister_sv text, uint64_t *at)
{
    uint64_t start = *at;
    while (is_digit(text, *at))
        (*at)++;
    return *at > start;
}

/* On failure *ret_bad is where a digit was missing. */
static uint64_t number_size(struct cloister_sv text, uint64_t *ret_bad)
{
    uint64_t at = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    *ret_bad = at;
    if (at < text.size && text.data[at] == '0')
        at++;
    else if (!digits(text, &at))
        return 0;
    if (at < text.size && text.data[at] == '.') {
        *ret_bad = ++at;
        if (!digits(text, &at))
            return 0;
    }
    if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        if (at < text.size && (text.data[at] == '+' || text.data[at] == '-'))
            at++;
        *ret_bad = at;
        if (!digits(text, &at))
            return 0;
    }
    return at;
}

uint64_t cl_node_number_size(struct cloister_sv text)
{
    uint64_t bad;
    return number_size(text, &bad);
}

static int read_number(struct reader *r, cloister_value *value)
{
    uint64_t bad;
    struct cloister_sv text = cl_sv(r->data + r->at, r->size - r->at);
    uint64_t size = number_size(text, &bad);
    if (size == 0)
        return fail_at(r, r->at + bad, -EINVAL, "syntax", "expected a digit");
    if (is_digit(text, size)) /* only a leading zero stops before a digit */
        return fail_at(r, r->at + size, -EINVAL, "syntax", "expected no digit after a leading 0");
    value->json.type = cJSON_Raw;
    value->json.valuestring = cl_memdup(text.data, size);
    if (!value->json.valuestring)
        return no_memory(r);
    r->at += size;
    return 0;
}

/* Four hex digits at offset `at`, or -1. */
static int32_t hex4(const struct reader *r, uint64_t at)
{
    int32_t unit = 0;
    if (r->size - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = r->data[at + (uint64_t)i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static char *put_utf8(char *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (char)point;
    } else if (point < 0x800) {
        *to++ = (char)(0xc0 | point >> 6);
        *to++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *to++ = (char)(0xe0 | point >> 12);
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    } else {
        *to++ = (char)(0xf0 | point >> 18);
        *to++ = (char)(0x80 | (point >> 12 & 0x3f));
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    }
    return to;
}

/* At the `u` of an escape; moves behind it. An escape is never shorter than the UTF-8 it stands for. */
static int read_unicode(struct reader *r, char **to)
{
    uint64_t start = r->at - 1;
    int32_t unit = hex4(r, r->at + 1);
    if (unit < 0)
        return fail_at(r, start, -EINVAL, "syntax", "expected four hexadecimal digits after \\u");
    if (unit == 0)
        return fail_at(r, start, -EINVAL, "syntax", "expected no \\u0000: strings with a NUL are refused");
    r->at += 5;
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        int32_t low = -1;
        if (unit <= 0xdbff && r->size - r->at >= 6 && r->data[r->at] == '\\' && r->data[r->at + 1] == 'u')
            low = hex4(r, r->at + 2);
        if (low < 0xdc00 || low > 0xdfff)
            return fail_at(r, start, -EINVAL, "utf-8", "expected surrogates in pairs, high before low");
        point = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        r->at += 6;
    }
    *to = put_utf8(*to, point);
    return 0;
}

/* Behind a backslash. */
static int read_escape(struct reader *r, char **to)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    int byte = peek(r);
    if (byte == 'u')
        return read_unicode(r, to);
    const char *found = byte > 0 ? strchr(names, byte) : NULL;
    if (!found)
        return fail_at(r, r->at - 1, -EINVAL, "syntax", "expected one of \" \\ / b f n r t u after a backslash");
    *(*to)++ = bytes[found - names];
    r->at++;
    return 0;
}

/* Copies until the closing quote, which it leaves. */
static int read_string_bytes(struct reader *r, char **to)
{
    for (;;) {
        int byte = peek(r);
        if (byte < 0)
            return expected(r, "expected a closing quote");
        if (byte == '"')
            return 0;
        if (byte < 0x20)
            return expected(r, byte == 0 ? "expected no NUL byte" : "expected no raw control byte in a string");
        if (byte == '\\') {
            r->at++;
            int error = read_escape(r, to);
            if (error < 0)
                return error;
            continue;
        }
        unsigned length = cl_sv_utf8_next(cl_sv(r->data + r->at, r->size - r->at));
        if (length == 0)
            return fail_at(r, r->at, -EINVAL, "utf-8", "expected well-formed UTF-8");
        memcpy(*to, r->data + r->at, length);
        *to += length;
        r->at += length;
    }
}

/* Offset of the closing quote, or the end: an upper bound of the decoded size, so that one allocation does. */
static uint64_t string_bound(const struct reader *r)
{
    uint64_t at = r->at;
    while (at < r->size && r->data[at] != '"')
        at += r->data[at] == '\\' ? 2 : 1;
    return (at < r->size ? at : r->size) - r->at;
}

/* At the opening quote. */
static int read_string(struct reader *r, char **ret_text)
{
    r->at++;
    CL_FREE char *text = cl_malloc(string_bound(r) + 1);
    if (!text)
        return no_memory(r);
    char *to = text;
    int error = read_string_bytes(r, &to);
    if (error < 0)
        return error;
    *to = 0;
    r->at++;
    *ret_text = cl_steal_ptr(&text);
    return 0;
}

static int read_value(struct reader *r, cloister_value **ret_value);

static int read_elements(struct reader *r, cloister_value *array)
{
    r->at++;
    int error = skip_blank(r);
    if (error < 0)
        return error;
    if (peek(r) == ']') {
        r->at++;
        return 0;
    }
    for (;;) {
        cloister_value *element;
        error = read_value(r, &element);
        if (error < 0)
            return error;
        cl_node_append(array, NULL, element);
        error = skip_blank(r);
        if (error < 0)
            return error;
        int byte = peek(r);
        if (byte != ',' && byte != ']')
            return expected(r, "expected ',' or ']'");
        r->at++;
        if (byte == ']')
            return 0;
        error = skip_blank(r);
        if (error < 0)
            return error;
    }
}

/* 1 if the object has that key already, 0 if not, or negative. `keys` takes over from the list when that grows long. */
static int is_duplicate(struct reader *r, const cloister_value *object, struct cl_map *keys, const char *key)
{
    if (object->count < LINEAR_KEYS)
        return cl_value_get_cstr(object, key) != NULL;
    if (keys->size == 0) {
        for (cJSON *member = object->json.child; member; member = member->next) {
            if (cl_map_put(keys, cl_sv_cstr(member->string), member) < 0)
                return no_memory(r);
        }
    }
    int error = cl_map_put(keys, cl_sv_cstr(key), r); /* any pointer will do */
    if (error == -EEXIST)
        return 1;
    return error < 0 ? no_memory(r) : 0;
}

/* The first one is the one reported, once the rest has turned out to be well formed. */
static void note_duplicate(struct reader *r, const char *key, const struct cl_position *position, uint64_t offset)
{
    if (r->duplicate)
        return;
    r->duplicate = true;
    (void)cl_error_set(&r->duplicate_error, CLOISTER_INVALID, 0, key, "duplicate-key",
                       "expected each key once, but '%s' comes again", key);
    cl_error_wrap(&r->duplicate_error, "offset %" PRIu64, offset);
    cl_error_position(&r->duplicate_error, position->key_line, position->key_column, offset);
}

static int read_member(struct reader *r, cloister_value *object, struct cl_map *keys)
{
    if (peek(r) != '"')
        return expected(r, "expected a string key");
    uint64_t offset = r->at;
    const struct cl_position position = {.key_line = r->line, .key_column = (uint32_t)(offset - r->line_start + 1)};
    CL_FREE char *key = NULL;
    int error = read_string(r, &key);
    if (error == 0)
        error = skip_blank(r);
    if (error < 0)
        return error;
    if (peek(r) != ':')
        return expected(r, "expected ':'");
    r->at++;
    int duplicate = is_duplicate(r, object, keys, key);
    if (duplicate < 0)
        return duplicate;
    error = skip_blank(r);
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    if (error == 0)
        error = read_value(r, &value);
    if (error)
        return error;
    if (duplicate) {
        note_duplicate(r, key, &position, offset);
        return 0;
    }
    value->position.key_line = position.key_line;
    value->position.key_column = position.key_column;
    cl_node_append(object, cl_steal_ptr(&key), cl_steal_ptr(&value));
    return 0;
}

static int read_members(struct reader *r, cloister_value *object)
{
    __attribute__((cleanup(cl_map_free))) struct cl_map keys = CL_MAP_INIT;
    r->at++;
    int error = skip_blank(r);
    if (error < 0)
        return error;
    if (peek(r) == '}') {
        r->at++;
        return 0;
    }
    for (;;) {
        error = read_member(r, object, &keys);
        if (error == 0)
            error = skip_blank(r);
        if (error < 0)
            return error;
        int byte = peek(r);
        if (byte != ',' && byte != '}')
            return expected(r, "expected ',' or '}'");
        r->at++;
        if (byte == '}')
            return 0;
        error = skip_blank(r);
        if (error < 0)
            return error;
    }
}

static int read_container(struct reader *r, cloister_value *value, int json_type)
{
    if (r->depth >= r->depth_max)
        return fail_at(r, r->at, -ELOOP, "too-deep", "expected less nesting of arrays and objects");
    value->json.type = json_type;
    r->depth++;
    int error = json_type == cJSON_Array ? read_elements(r, value) : read_members(r, value);
    r->depth--;
    return error;
}

static int read_literal(struct reader *r, cloister_value *value)
{
    static const struct {
        struct cloister_sv word;
        int json_type;
    } literals[] = {{{"true", 4}, cJSON_True}, {{"false", 5}, cJSON_False}, {{"null", 4}, cJSON_NULL}};
    struct cloister_sv rest = cl_sv(r->data + r->at, r->size - r->at);
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        if (cl_sv_starts(rest, literals[i].word)) {
            value->json.type = literals[i].json_type;
            r->at += literals[i].word.size;
            return 0;
        }
    }
    return expected(r, "expected a value");
}

static int read_by_first_byte(struct reader *r, cloister_value *value)
{
    int byte = peek(r);
    switch (byte) {
    case '{':
        return read_container(r, value, cJSON_Object);
    case '[':
        return read_container(r, value, cJSON_Array);
    case '"':
        value->json.type = cJSON_String;
        return read_string(r, &value->json.valuestring);
    default:
        return byte == '-' || (byte >= '0' && byte <= '9') ? read_number(r, value) : read_literal(r, value);
    }
}

/* At its first byte. */
static int read_value(struct reader *r, cloister_value **ret_value)
{
    if (r->count >= r->count_max)
        return fail_at(r, r->at, -E2BIG, "too-large", "expected fewer values in one document");
    r->count++;
    CL_VALUE_CLEANUP cloister_value *value = cl_node_new(cJSON_NULL);
    if (!value)
        return no_memory(r);
    value->position.source = r->source;
    value->position.line = r->line;
    value->position.column = (uint32_t)(r->at - r->line_start + 1);
    int error = read_by_first_byte(r, value);
    if (error < 0)
        return error;
    *ret_value = cl_steal_ptr(&value);
    return 0;
}

static int read_document(struct reader *r, cloister_value **ret_value)
{
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    int error = skip_blank(r);
    if (error == 0)
        error = read_value(r, &value);
    if (error == 0)
        error = skip_blank(r);
    if (error < 0)
        return error;
    if (r->at < r->size)
        return expected(r, "expected the end of the text");
    *ret_value = cl_steal_ptr(&value);
    return 0;
}

int cl_value_parse(struct cloister_sv text, const struct cl_value_options *options, cloister_value **ret_value,
                   cloister_value **ret_partial, struct cloister_error *err)
{
    static const struct cl_value_options defaults = {0};
    const struct cl_value_options *o = options ? options : &defaults;
    struct reader r = {.data = text.data, .size = text.size, .line = 1, .flags = o->flags, .source = o->source};
    r.depth_max = o->depth ? o->depth : CLOISTER_VALUE_DEPTH_DEFAULT;
    r.depth_max = r.depth_max > CL_VALUE_DEPTH_LIMIT ? CL_VALUE_DEPTH_LIMIT : r.depth_max;
    r.count_max = o->count ? o->count : CL_VALUE_COUNT_DEFAULT;
    r.duplicate_error = (struct cloister_error)CLOISTER_ERROR_INIT;
    r.err = err;
    if (o->size && text.size > o->size)
        return fail_at(&r, 0, -E2BIG, "too-large", "expected a shorter text");
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    int error = read_document(&r, &value);
    if (error < 0)
        return error;
    if (r.duplicate) {
        cl_error_copy(err, &r.duplicate_error);
        if (ret_partial)
            *ret_partial = cl_steal_ptr(&value);
        return -EEXIST;
    }
    *ret_value = cl_steal_ptr(&value);
    return 0;
}
