/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - what stands behind an envelope that speaks of records: a summary, and records with the length and the
 * checksum of each, so that one can be read alone. A record without data is one that the change removes.
 *
 *   <health> <summary bytes> <records>\n<summary>\n   then for each record
 *   <kind bytes> <data bytes, or -> <checksum>\n<kind><data>\n
 */
#ifndef FILE_PAYLOAD_H
#define FILE_PAYLOAD_H

#include <cloister/persistence.h>
#include <stdbool.h>

#include "bytes.h"

struct delta_record {
    struct cloister_sv kind;
    bool remove;
    uint64_t offset; /* of the data within the payload */
    uint32_t size;
    uint32_t crc;
};

/* A payload, looked into; kinds and summary are views of it. */
struct delta {
    uint32_t health; /* enum cloister_health */
    struct cloister_sv summary;
    struct delta_record *records;
    size_t count;
};

void payload_begin(struct bytes *bytes, uint32_t health, struct cloister_sv summary, size_t count);
void payload_add(struct bytes *bytes, uint64_t salt, struct cloister_sv kind, struct cloister_sv data);
void payload_print(struct bytes *bytes, uint64_t salt, const struct cloister_store_put_args *args);

/* 0, -EBADMSG, -ENOMEM. */
int payload_parse(struct cloister_sv payload, struct delta *ret);

static inline void delta_free(struct delta *delta)
{
    free(delta->records);
    *delta = (struct delta){0};
}

#define DELTA_CLEANUP __attribute__((cleanup(delta_free)))

#endif
