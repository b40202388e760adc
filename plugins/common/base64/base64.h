/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - bytes as text and back (RFC 4648, section 4), strictly: padded, canonical, and nothing between. */
#ifndef COMMON_BASE64_BASE64_H
#define COMMON_BASE64_BASE64_H

#include <stdbool.h>

#include <cloister/abi.h>

#define BASE64_TEXT_SIZE(bytes) (((bytes) + 2) / 3 * 4)
#define BASE64_BYTES_MAX(text) ((text) / 4 * 3)

/* Writes BASE64_TEXT_SIZE(bytes.size) characters, without a NUL. */
void base64_encode(struct cloister_sv bytes, char *ret_text);
/* ret_bytes has room for BASE64_BYTES_MAX(text.size). False: that is no base64. */
bool base64_decode(struct cloister_sv text, char *ret_bytes, uint64_t *ret_size);

#endif
