/* SPDX-License-Identifier: Apache-2.0 */
/* The framing of unix-json: any bytes, cut into lines and read as envelopes, give either a sound envelope or a fault
 * with a text. */
#include <string.h>

#include "fake_host.h"
#include "plugins/transport/unix-json/frame.h"
#include "tests/fuzz/fuzz.h"

#define LINE_MAX_BYTES 4096u
#define DEPTH 32u

static void check_sound(const struct uj_frame *frame)
{
    FUZZ_CHECK(frame->document != NULL);
    FUZZ_CHECK(frame->id.kind == CLOISTER_ID_U64 || frame->id.kind == CLOISTER_ID_TEXT);
    FUZZ_CHECK(frame->id.kind != CLOISTER_ID_TEXT || frame->id.text.size <= UJ_ID_TEXT_MAX);
    FUZZ_CHECK(frame->method.size > 0);
    FUZZ_CHECK(!frame->params || cl_value_table.type(frame->params) == CLOISTER_VALUE_OBJECT);
    FUZZ_CHECK(frame->descriptor_count <= UJ_ROLES_MAX);
    for (uint64_t i = 0; i < frame->descriptor_count; i++)
        FUZZ_CHECK(frame->roles[i].size >= 5 && frame->roles[i].size <= 6);
}

static void check_line(struct cloister_sv line)
{
    struct uj_frame frame;
    uj_frame_parse(&cl_value_table, line, DEPTH, &frame);
    if (frame.fault == 0)
        check_sound(&frame);
    else
        FUZZ_CHECK(frame.text[0] && memchr(frame.text, 0, sizeof(frame.text)));
    FUZZ_CHECK(!frame.garbage || (frame.fault == CLOISTER_FAULT_MALFORMED && frame.id.kind == CLOISTER_ID_NONE));
    FUZZ_CHECK(frame.offset == ~0ull || frame.offset <= line.size);
    uj_frame_free(&cl_value_table, &frame);
}

/* A line must come out the same however its bytes arrived. */
static void check_in_pieces(struct cloister_sv input, struct cloister_sv line, uint64_t used)
{
    uint64_t scan = 0, again_used;
    struct cloister_sv again;
    for (uint64_t size = 1; size < used; size += 1 + size / 7) {
        struct cloister_sv piece = {input.data, size};
        FUZZ_CHECK(uj_cut_line(piece, scan, LINE_MAX_BYTES, &again, &again_used) == UJ_CUT_MORE);
        scan = size;
    }
    FUZZ_CHECK(uj_cut_line(input, scan, LINE_MAX_BYTES, &again, &again_used) == UJ_CUT_LINE);
    FUZZ_CHECK(again_used == used && again.data == line.data && again.size == line.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cloister_sv input = {(const char *)data, size};
    while (input.size > 0) {
        struct cloister_sv line;
        uint64_t used;
        if (uj_cut_line(input, 0, LINE_MAX_BYTES, &line, &used) != UJ_CUT_LINE)
            break;
        FUZZ_CHECK(used > line.size && used <= line.size + 2 && used <= input.size);
        FUZZ_CHECK(line.size <= LINE_MAX_BYTES && !memchr(line.data, '\n', line.size));
        check_in_pieces(input, line, used);
        check_line(line);
        input = (struct cloister_sv){input.data + used, input.size - used};
    }
    check_line(input);
    return 0;
}
