/* SPDX-License-Identifier: Apache-2.0 */
/* oci.c - typed access to OCI JSON, each failure with its JSON path. */
#include "oci.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int ns_refuse(const struct ns_reader *r, uint32_t code, const char *path, const char *format, ...)
{
    char sentence[CLOISTER_CHAIN_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    r->log->error_set(r->err, code, 0, path, "spec", "'%s' %s", path, sentence);
    return -1;
}

int ns_refuse_at(const struct ns_reader *r, uint32_t code, const char *path, const char *format, ...)
{
    char sentence[CLOISTER_CHAIN_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    r->log->error_set(r->err, code, 0, path, "spec", "%s: %s", path, sentence);
    return -1;
}

int ns_no_memory(const struct ns_reader *r)
{
    r->log->error_set(r->err, CLOISTER_LIMIT, ENOMEM, "", "memory", "compile the OCI spec");
    return -1;
}

cloister_value *ns_get(const struct ns_reader *r, const cloister_value *object, const char *key)
{
    return object ? r->value->get(object, ns_view(key)) : NULL;
}

struct cloister_sv ns_get_string(const struct ns_reader *r, const cloister_value *object, const char *key)
{
    struct cloister_sv text = {"", 0};

    r->value->string(ns_get(r, object, key), &text);
    return text;
}

bool ns_get_bool(const struct ns_reader *r, const cloister_value *object, const char *key, bool fallback)
{
    uint32_t yes = fallback;

    r->value->boolean(ns_get(r, object, key), &yes);
    return yes != 0;
}

int ns_get_u64(const struct ns_reader *r, const cloister_value *object, const char *key, const char *base, uint64_t max,
               uint64_t *ret)
{
    cloister_value *value = ns_get(r, object, key);
    char path[NS_PATH_MAX];
    uint64_t number;

    if (value == NULL)
        return 0;
    if (r->value->u64(value, &number) == 0 && number <= max) {
        *ret = number;
        return 1;
    }
    snprintf(path, sizeof(path), "%s.%s", base, key);
    return ns_refuse(r, CLOISTER_INVALID, path, "must be an integer from 0 to %llu", (unsigned long long)max);
}

int ns_get_i64(const struct ns_reader *r, const cloister_value *object, const char *key, const char *base, int64_t min,
               int64_t max, int64_t *ret)
{
    cloister_value *value = ns_get(r, object, key);
    char path[NS_PATH_MAX];
    int64_t number;

    if (value == NULL)
        return 0;
    if (r->value->i64(value, &number) == 0 && number >= min && number <= max) {
        *ret = number;
        return 1;
    }
    snprintf(path, sizeof(path), "%s.%s", base, key);
    return ns_refuse(r, CLOISTER_INVALID, path, "must be an integer from %lld to %lld", (long long)min, (long long)max);
}

int ns_parse(const struct ns_reader *r, struct cloister_sv text, const char *what, cloister_value **ret)
{
    cloister_value *root = NULL;

    if (r->value->parse(text, 0, 0, &root, r->err) == 0) {
        *ret = root;
        return 0;
    }
    r->value->free(root); /* what a duplicate key leaves */
    r->log->error_wrap(r->err, "%s", what);
    return -1;
}

int ns_check_inner_path(const struct ns_reader *r, struct cloister_sv text, const char *path)
{
    if (text.size == 0 || text.data[0] != '/')
        return ns_refuse(r, CLOISTER_INVALID, path, "must be an absolute path");
    if (text.size >= 4096)
        return ns_refuse(r, CLOISTER_INVALID, path, "is longer than 4095 bytes");
    for (uint64_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];

        if (byte < 0x20 || byte == 0x7f)
            return ns_refuse(r, CLOISTER_INVALID, path, "contains a control character");
        if (byte == '/' && i + 2 < text.size && text.data[i + 1] == '.' && text.data[i + 2] == '.' &&
            (i + 3 == text.size || text.data[i + 3] == '/'))
            return ns_refuse(r, CLOISTER_INVALID, path, "contains '..'");
    }
    return 0;
}
