/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define END_BYTES 15u /* " hcrc=xxxxxxxx\n" */

uint32_t line_crc(uint64_t salt, const void *data, size_t size)
{
    unsigned char first[8];
    for (unsigned i = 0; i < sizeof(first); i++)
        first[i] = (unsigned char)(salt >> 8 * i);
    uLong crc = crc32_z(0, first, sizeof(first));
    return (uint32_t)(size ? crc32_z(crc, data, size) : crc);
}

size_t line_seal(char text[LINE_MAX_BYTES], size_t size, uint64_t salt)
{
    if (size + END_BYTES >= LINE_MAX_BYTES)
        return 0;
    (void)snprintf(text + size, END_BYTES + 1, " hcrc=%08x\n", line_crc(salt, text, size));
    return size + END_BYTES;
}

enum line_state line_check(struct cloister_sv text, uint64_t salt, size_t *ret_size)
{
    size_t looked = text.size < LINE_MAX_BYTES ? text.size : LINE_MAX_BYTES;
    const char *newline = looked ? memchr(text.data, '\n', looked) : NULL;
    if (!newline)
        return looked < LINE_MAX_BYTES ? LINE_SHORT : LINE_BAD;
    size_t size = (size_t)(newline - text.data) + 1;
    if (size <= END_BYTES)
        return LINE_BAD;
    char end[END_BYTES + 1];
    (void)snprintf(end, sizeof(end), " hcrc=%08x\n", line_crc(salt, text.data, size - END_BYTES));
    if (memcmp(text.data + size - END_BYTES, end, END_BYTES) != 0)
        return LINE_BAD;
    *ret_size = size;
    return LINE_GOOD;
}

void line_word(struct line_reader *reader, const char *word)
{
    size_t size = strlen(word);
    if (reader->failed || (size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
        reader->failed = true;
    else
        reader->at += size;
}

void line_text(struct line_reader *reader, const char *key, char *ret, size_t size)
{
    line_word(reader, key);
    if (reader->failed)
        return;
    const char *blank = memchr(reader->at, ' ', (size_t)(reader->end - reader->at));
    size_t length = blank ? (size_t)(blank - reader->at) : 0;
    if (length == 0 || length >= size) {
        reader->failed = true;
        return;
    }
    if (length == 1 && *reader->at == '-')
        length = 0;
    memcpy(ret, reader->at, length);
    ret[length] = 0;
    reader->at = blank + 1;
}

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

void line_number(struct line_reader *reader, const char *key, unsigned base, uint64_t *ret)
{
    char text[24];
    uint64_t value = 0;
    line_text(reader, key, text, sizeof(text));
    if (reader->failed)
        return;
    reader->failed = !text[0];
    for (const char *at = text; *at && !reader->failed; at++)
        reader->failed = digit(*at) >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
                         __builtin_add_overflow(value, (uint64_t)digit(*at), &value);
    *ret = value;
}
