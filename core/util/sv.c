/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/sv.h"

#include "core/util/mem.h"
#include <errno.h>

char *cl_sv_dup(struct cloister_sv text)
{
    if (cl_sv_has_nul(text)) {
        errno = EINVAL;
        return NULL;
    }
    return cl_memdup(text.data, text.size);
}

int cl_sv_copy(struct cloister_sv text, char *buffer, size_t size)
{
    if (text.size >= size)
        return -E2BIG;
    if (cl_sv_has_nul(text))
        return -EINVAL;
    if (text.size > 0)
        memcpy(buffer, text.data, text.size);
    buffer[text.size] = 0;
    return 0;
}

int cl_sv_u64(struct cloister_sv text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0)
        return -EINVAL;
    for (uint64_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
    }
    for (uint64_t i = 0; i < text.size; i++) {
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number))
            return -ERANGE;
    }
    *ret_number = number;
    return 0;
}

/* Unicode 15, table 3-7: the first byte decides the length and narrows the range of the second. */
struct utf8_row {
    unsigned char first_low, first_high;
    unsigned char second_low, second_high;
    unsigned char length;
};

static const struct utf8_row utf8_rows[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static unsigned utf8_match(const struct utf8_row *row, const unsigned char *byte, uint64_t size)
{
    if (byte[0] < row->first_low || byte[0] > row->first_high || size < row->length)
        return 0;
    if (row->length > 1 && (byte[1] < row->second_low || byte[1] > row->second_high))
        return 0;
    for (unsigned i = 2; i < row->length; i++) {
        if (byte[i] < 0x80 || byte[i] > 0xbf)
            return 0;
    }
    return row->length;
}

unsigned cl_sv_utf8_next(struct cloister_sv text)
{
    if (text.size == 0)
        return 0;
    for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(utf8_rows[0]); i++) {
        unsigned length = utf8_match(&utf8_rows[i], (const unsigned char *)text.data, text.size);
        if (length > 0)
            return length;
    }
    return 0;
}

bool cl_sv_utf8(struct cloister_sv text)
{
    while (text.size > 0) {
        unsigned length = cl_sv_utf8_next(text);
        if (length == 0)
            return false;
        text.data += length;
        text.size -= length;
    }
    return true;
}
