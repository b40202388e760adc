/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>

char *bytes_extend(struct bytes *bytes, size_t size)
{
    size_t wanted;
    if (bytes->failed)
        return NULL;
    if (__builtin_add_overflow(bytes->size, size, &wanted)) {
        bytes_free(bytes);
        bytes->failed = true;
        return NULL;
    }
    if (wanted > bytes->capacity || !bytes->data) {
        size_t capacity = wanted < bytes->capacity * 2 ? bytes->capacity * 2 : wanted + 64;
        char *data = realloc(bytes->data, capacity);
        if (!data) {
            bytes_free(bytes);
            bytes->failed = true;
            return NULL;
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    char *at = bytes->data + bytes->size;
    bytes->size = wanted;
    return at;
}

void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    char *at = bytes_extend(bytes, size);
    if (at && size)
        memcpy(at, data, size);
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size > 0)
        bytes_add(bytes, text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

void bytes_json(struct bytes *bytes, struct cloister_sv text)
{
    bytes_add(bytes, "\"", 1);
    for (uint64_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            bytes_printf(bytes, "\\u%04x", c);
        else
            bytes_add(bytes, &c, 1);
    }
    bytes_add(bytes, "\"", 1);
}
