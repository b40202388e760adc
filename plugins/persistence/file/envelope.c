/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/records/check.h"

#define MAGIC "CLREC"
#define MAGIC_BYTES 5u
#define VERSION "1 "

static const char *const kinds[ENTRY_KINDS] = {
    [ENTRY_JOURNAL] = "journal", [ENTRY_SET] = "set",       [ENTRY_PUT] = "put",
    [ENTRY_DESTROY] = "destroy", [ENTRY_GLOBAL] = "global", [ENTRY_GLOBAL_DELETE] = "global-delete",
};

size_t envelope_print(const struct envelope *envelope, uint64_t salt, char ret[LINE_MAX_BYTES])
{
    int size = snprintf(ret, LINE_MAX_BYTES,
                        MAGIC VERSION "kind=%s id=%s schema=%u seq=%" PRIu64 " prev=%" PRIu64 " gen=%" PRIu64
                                      " epoch=%" PRIu64 " boot=%s wall=%" PRIu64 " len=%" PRIu64 " crc=%08" PRIx64,
                        kinds[envelope->kind], envelope->id, ENVELOPE_SCHEMA, envelope->seq, envelope->prev,
                        envelope->generation, envelope->epoch, envelope->boot[0] ? envelope->boot : "-", envelope->wall,
                        envelope->size, envelope->crc);
    return size > 0 && (size_t)size < LINE_MAX_BYTES ? line_seal(ret, (size_t)size, salt) : 0;
}

bool envelope_begins(struct cloister_sv text)
{
    return text.size >= MAGIC_BYTES && memcmp(text.data, MAGIC, MAGIC_BYTES) == 0;
}

static bool good_name(const struct envelope *envelope)
{
    const struct cloister_sv name = {envelope->id, strlen(envelope->id)};
    if (envelope->kind == ENTRY_GLOBAL || envelope->kind == ENTRY_GLOBAL_DELETE)
        return records_good_key(name, false);
    return records_good_id(name);
}

/* What the longest payload can be: a whole record set with all that stands between its records. */
static uint64_t payload_max(void)
{
    return CLOISTER_STORE_SET_MAX + CLOISTER_STORE_SUMMARY_MAX + 64 + RECORDS_COUNT_MAX * 64ull;
}

static bool read_words(struct line_reader *reader, struct envelope *envelope)
{
    char kind[16];
    line_text(reader, "kind=", kind, sizeof(kind));
    line_text(reader, "id=", envelope->id, sizeof(envelope->id));
    line_word(reader, "schema=1 ");
    line_number(reader, "seq=", 10, &envelope->seq);
    line_number(reader, "prev=", 10, &envelope->prev);
    line_number(reader, "gen=", 10, &envelope->generation);
    line_number(reader, "epoch=", 10, &envelope->epoch);
    line_text(reader, "boot=", envelope->boot, sizeof(envelope->boot));
    line_number(reader, "wall=", 10, &envelope->wall);
    line_number(reader, "len=", 10, &envelope->size);
    line_number(reader, "crc=", 16, &envelope->crc);
    if (reader->failed || envelope->size > payload_max())
        return false;
    for (envelope->kind = 0; envelope->kind < ENTRY_KINDS; envelope->kind++)
        if (strcmp(kind, kinds[envelope->kind]) == 0)
            return good_name(envelope);
    return false;
}

/* A sound line of a store format that has learned more: another version of the magic, or another schema. */
static bool newer(struct line_reader reader)
{
    char word[CLOISTER_STORE_ID_MAX + 1];
    uint64_t schema = 0;
    line_word(&reader, MAGIC);
    if (reader.failed)
        return false;
    line_word(&reader, VERSION);
    if (reader.failed)
        return true;
    line_text(&reader, "kind=", word, sizeof(word));
    line_text(&reader, "id=", word, sizeof(word));
    line_number(&reader, "schema=", 10, &schema);
    return !reader.failed && schema > ENVELOPE_SCHEMA;
}

enum envelope_state envelope_parse(struct cloister_sv text, uint64_t salt, struct envelope *ret, size_t *ret_size)
{
    size_t size;
    switch (line_check(text, salt, &size)) {
    case LINE_SHORT:
        return ENVELOPE_SHORT;
    case LINE_BAD:
        return ENVELOPE_BAD;
    case LINE_GOOD:
        break;
    }
    struct line_reader reader = {.at = text.data, .end = text.data + size};
    struct envelope envelope = {.kind = ENTRY_KINDS};
    if (newer(reader)) {
        *ret_size = size;
        return ENVELOPE_NEWER;
    }
    line_word(&reader, MAGIC VERSION);
    if (!read_words(&reader, &envelope))
        return ENVELOPE_BAD;
    *ret = envelope;
    *ret_size = size;
    return ENVELOPE_GOOD;
}
