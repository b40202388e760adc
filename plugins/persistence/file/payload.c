/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include <errno.h>
#include <inttypes.h>

#include "common/records/check.h"
#include "line.h"

void payload_begin(struct bytes *bytes, uint32_t health, struct cloister_sv summary, size_t count)
{
    bytes_printf(bytes, "%u %" PRIu64 " %zu\n", health, summary.size, count);
    bytes_add(bytes, summary.data, summary.size);
    bytes_add(bytes, "\n", 1);
}

void payload_add(struct bytes *bytes, uint64_t salt, struct cloister_sv kind, struct cloister_sv data)
{
    if (data.data)
        bytes_printf(bytes, "%" PRIu64 " %" PRIu64 " %08x\n", kind.size, data.size,
                     line_crc(salt, data.data, data.size));
    else
        bytes_printf(bytes, "%" PRIu64 " - 00000000\n", kind.size);
    bytes_add(bytes, kind.data, kind.size);
    bytes_add(bytes, data.data, data.data ? data.size : 0);
    bytes_add(bytes, "\n", 1);
}

void payload_print(struct bytes *bytes, uint64_t salt, const struct cloister_store_put_args *args)
{
    payload_begin(bytes, CLOISTER_HEALTH_OK, args->summary, args->record_count);
    for (uint64_t i = 0; i < args->record_count; i++)
        payload_add(bytes, salt, records_nth(args, i)->kind, records_nth(args, i)->data);
}

struct cursor {
    const char *begin;
    const char *at;
    const char *end;
    bool failed;
};

/* A number and the one character behind it. */
static uint64_t take_number(struct cursor *cursor, unsigned base, char behind)
{
    uint64_t value = 0;
    const char *first = cursor->at;
    for (; cursor->at < cursor->end && *cursor->at != behind; cursor->at++) {
        char c = *cursor->at;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit >= base || cursor->at - first >= 10) {
            cursor->failed = true;
            return 0;
        }
        value = value * base + digit;
    }
    cursor->failed = cursor->failed || cursor->at == first || cursor->at == cursor->end;
    cursor->at += cursor->at < cursor->end;
    return value;
}

static struct cloister_sv take_bytes(struct cursor *cursor, uint64_t size)
{
    struct cloister_sv bytes = {cursor->at, size};
    if (cursor->failed || size > (uint64_t)(cursor->end - cursor->at)) {
        cursor->failed = true;
        return (struct cloister_sv){NULL, 0};
    }
    cursor->at += size;
    return bytes;
}

static void take_newline(struct cursor *cursor)
{
    const struct cloister_sv byte = take_bytes(cursor, 1);
    cursor->failed = cursor->failed || *byte.data != '\n';
}

static struct delta_record take_record(struct cursor *cursor)
{
    struct delta_record record = {0};
    uint64_t kind_size = take_number(cursor, 10, ' ');
    record.remove = cursor->end - cursor->at >= 2 && cursor->at[0] == '-' && cursor->at[1] == ' ';
    if (record.remove)
        cursor->at += 2;
    else
        record.size = (uint32_t)take_number(cursor, 10, ' ');
    record.crc = (uint32_t)take_number(cursor, 16, '\n');
    record.kind = take_bytes(cursor, kind_size);
    record.offset = (uint64_t)(cursor->at - cursor->begin);
    (void)take_bytes(cursor, record.size);
    take_newline(cursor);
    cursor->failed =
        cursor->failed || !kind_size || kind_size > RECORDS_KIND_MAX || record.size > CLOISTER_STORE_RECORD_MAX;
    return record;
}

int payload_parse(struct cloister_sv payload, struct delta *ret)
{
    struct cursor cursor = {.begin = payload.data, .at = payload.data, .end = payload.data + payload.size};
    struct delta delta = {0};
    delta.health = (uint32_t)take_number(&cursor, 10, ' ');
    uint64_t summary_size = take_number(&cursor, 10, ' ');
    uint64_t count = take_number(&cursor, 10, '\n');
    delta.summary = take_bytes(&cursor, summary_size);
    take_newline(&cursor);
    if (cursor.failed || summary_size > CLOISTER_STORE_SUMMARY_MAX || count > RECORDS_COUNT_MAX ||
        delta.health < CLOISTER_HEALTH_OK || delta.health > CLOISTER_HEALTH_LOST)
        return -EBADMSG;
    delta.records = calloc(count + 1, sizeof(*delta.records));
    if (!delta.records)
        return -ENOMEM;
    for (; delta.count < count && !cursor.failed; delta.count++)
        delta.records[delta.count] = take_record(&cursor);
    if (cursor.failed || cursor.at != cursor.end) {
        delta_free(&delta);
        return -EBADMSG;
    }
    *ret = delta;
    return 0;
}
