/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - sealed lines: ASCII words `key=value` that end with a checksum over themselves, ` hcrc=xxxxxxxx\n`.
 *
 * The checksum starts from the store's salt, a number that no client learns: bytes that a client has put into a record
 * never pass for a line of ours, not even where a reader searches damaged bytes for the next one.
 */
#ifndef FILE_LINE_H
#define FILE_LINE_H

#include <cloister/abi.h>
#include <stdbool.h>
#include <stddef.h>

#define LINE_MAX_BYTES 512u

uint32_t line_crc(uint64_t salt, const void *data, size_t size);

/* `text` holds a printed line of `size` bytes without its end; returns the size with it, 0 if that is over the limit.
 */
size_t line_seal(char text[LINE_MAX_BYTES], size_t size, uint64_t salt);

enum line_state {
    LINE_GOOD,
    LINE_SHORT, /* the text ends before the line does */
    LINE_BAD
};

/* Looks at the line that `text` begins with. *ret_size: with its newline, of a good one. */
enum line_state line_check(struct cloister_sv text, uint64_t salt, size_t *ret_size);

/* The words of a good line, taken one by one in the order in which they were printed. */
struct line_reader {
    const char *at;
    const char *end;
    bool failed; /* sticky */
};

/* Skips `word` (with its blank). */
void line_word(struct line_reader *reader, const char *word);
/* `key=` and a value of 1..size-1 bytes, or none if it is "-". */
void line_text(struct line_reader *reader, const char *key, char *ret, size_t size);
void line_number(struct line_reader *reader, const char *key, unsigned base, uint64_t *ret);

#endif
