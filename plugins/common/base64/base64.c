/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct cloister_sv bytes, char *ret_text)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    for (uint64_t left = bytes.size; left > 0; ret_text += 4) {
        uint64_t taken = left < 3 ? left : 3;
        uint32_t group = (uint32_t)at[0] << 16 | (taken > 1 ? (uint32_t)at[1] << 8 : 0) | (taken > 2 ? at[2] : 0u);
        for (unsigned i = 0; i < 4; i++)
            ret_text[i] = i <= taken ? alphabet[group >> (18 - 6 * i) & 63] : '=';
        at += taken;
        left -= taken;
    }
}

static bool value_of(char letter, uint32_t *ret_value)
{
    const char *found = letter ? strchr(alphabet, letter) : NULL;
    *ret_value = found ? (uint32_t)(found - alphabet) : 0;
    return found != NULL;
}

/* Four letters as up to three bytes; 0 = they are none. Only the last four may be padded, and then with bits that are
 * zero: else many texts would stand for the same bytes. */
static unsigned decode_group(const char *letters, bool last, char *ret_bytes)
{
    unsigned padding = letters[3] != '=' ? 0 : letters[2] != '=' ? 1 : 2;
    uint32_t group = 0, value;
    if (padding > 0 && !last)
        return 0;
    for (unsigned i = 0; i < 4 - padding; i++) {
        if (!value_of(letters[i], &value))
            return 0;
        group |= value << (18 - 6 * i);
    }
    if (padding > 0 && group & ((1u << (8 * padding)) - 1))
        return 0;
    for (unsigned i = 0; i < 3 - padding; i++)
        ret_bytes[i] = (char)(group >> (16 - 8 * i));
    return 3 - padding;
}

bool base64_decode(struct cloister_sv text, char *ret_bytes, uint64_t *ret_size)
{
    uint64_t size = 0;
    if (text.size % 4 != 0)
        return false;
    for (uint64_t i = 0; i < text.size; i += 4) {
        unsigned got = decode_group(text.data + i, i + 4 == text.size, ret_bytes + size);
        if (got == 0)
            return false;
        size += got;
    }
    *ret_size = size;
    return true;
}
