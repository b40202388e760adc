/* SPDX-License-Identifier: Apache-2.0 */
/* test_bed.h - a store without a host: opened, written and read by the worker's own functions, in a directory of its
 * own in memory where there is one (a test opens thousands of stores). */
#ifndef FILE_TEST_BED_H
#define FILE_TEST_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "request.h"
#include "write.h"

#define BED_CHECK(name, condition)                         \
    do {                                                   \
        if (!(condition))                                  \
            fail_msg("case '%s': %s", (name), #condition); \
    } while (0)

struct bed {
    char directory[64];
    struct store store;
    struct cloister_error err;        /* of the last call */
    struct cloister_store_result got; /* of it; of its pointers only generation and was_absent may be used */
};

void bed_begin(struct bed *bed);
void bed_end(struct bed *bed);

/* 0, or the error's code. */
uint32_t bed_open(struct bed *bed);
void bed_close(struct bed *bed);
/* One record of the pattern that belongs to id, kind and the generation it will have. */
uint32_t bed_put(struct bed *bed, const char *id, const char *kind, size_t size);
uint32_t bed_destroy(struct bed *bed, const char *id);
uint32_t bed_global_put(struct bed *bed, const char *key, const char *text);
uint32_t bed_run(struct bed *bed, request_fn run, const void *args);

/* The file below the store's directory, whole; and back. */
void bed_load(struct bed *bed, const char *name, struct bytes *ret);
void bed_save(struct bed *bed, const char *name, struct cloister_sv data);
int bed_exists(struct bed *bed, const char *name);
/* The directories of the sandboxes are these, separated by blanks. */
void bed_directories(struct bed *bed, const char *ids);

/* The record tells id, kind and the generation of its put; 0 if it does not, or is not whole. */
uint64_t bed_told(const char *id, const char *kind, const char *data, size_t size);

static inline bool bed_says(const struct bytes *report, const char *words)
{
    return report->data && memmem(report->data, report->size, words, strlen(words));
}

static inline struct cloister_sv bed_sv(const char *text)
{
    return (struct cloister_sv){text, strlen(text)};
}

#endif
