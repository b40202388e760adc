/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h - a buffer that grows. After a failure for want of memory it is empty and stays so, until it is freed. */
#ifndef FILE_BYTES_H
#define FILE_BYTES_H

#include <cloister/log.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

/* `size` bytes more, not initialised; NULL without memory. */
char *bytes_extend(struct bytes *bytes, size_t size);
void bytes_add(struct bytes *bytes, const void *data, size_t size);
void bytes_printf(struct bytes *bytes, const char *format, ...) CLOISTER_PRINTF(2, 3);
/* As a JSON string, quotes included: bytes that are no printable ASCII are escaped one by one. */
void bytes_json(struct bytes *bytes, struct cloister_sv text);

static inline struct cloister_sv bytes_sv(const struct bytes *bytes)
{
    return (struct cloister_sv){bytes->data, bytes->size};
}

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

#define BYTES_CLEANUP __attribute__((cleanup(bytes_free)))

#endif
