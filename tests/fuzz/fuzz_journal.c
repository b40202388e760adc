/* SPDX-License-Identifier: Apache-2.0 */
/* A journal of the `file` store: whatever the bytes are, the reader ends, stays inside them, and what it lists lies in
 * the file or is said to be gone. Envelopes and payloads are also read without their checksums' protection. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugins/persistence/file/replay.h"
#include "plugins/persistence/file/window.h"
#include "tests/fuzz/fuzz.h"

static void check_items(const struct replay *replay, const struct records_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct item *item = (const struct item *)names->items[i];
        FUZZ_CHECK(item->health >= CLOISTER_HEALTH_OK && item->health <= CLOISTER_HEALTH_LOST);
        FUZZ_CHECK(item->generation || item->ref_count == 0 || item->health != CLOISTER_HEALTH_OK);
        FUZZ_CHECK(!i || strcmp(names->items[i - 1]->data, item->name.data) < 0);
        for (size_t k = 0; k < item->ref_count; k++)
            FUZZ_CHECK(item->refs[k]->offset + item->refs[k]->size <= replay->file_size);
    }
}

static void check_envelope(const uint8_t *data, size_t size)
{
    char text[LINE_MAX_BYTES];
    struct envelope envelope;
    size_t used = 0;
    struct cloister_sv view = {(const char *)data, size};
    if (envelope_parse(view, 0, &envelope, &used) != ENVELOPE_GOOD)
        return;
    FUZZ_CHECK(used <= size && used <= LINE_MAX_BYTES);
    FUZZ_CHECK(envelope_print(&envelope, 0, text) > 0);
}

static void check_payload(const uint8_t *data, size_t size)
{
    struct delta delta = {0};
    if (!size || payload_parse((struct cloister_sv){(const char *)data, size}, &delta) < 0)
        return;
    for (size_t i = 0; i < delta.count; i++)
        FUZZ_CHECK(delta.records[i].offset + delta.records[i].size <= size);
    delta_free(&delta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct replay replay;
    int fd = memfd_create("journal", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write_all(fd, 0, data, size) == 0);
    replay = (struct replay){.fd = fd};
    FUZZ_CHECK(replay_run(&replay) == 0);
    FUZZ_CHECK(replay.good_size <= replay.file_size && replay.file_size == size);
    check_items(&replay, &replay.index.sets);
    check_items(&replay, &replay.index.globals);
    replay_free(&replay);
    (void)close(fd);
    check_envelope(data, size);
    check_payload(data, size);
    return 0;
}
