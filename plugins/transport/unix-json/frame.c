/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <stdio.h>
#include <string.h>

static bool is(struct cloister_sv text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

bool uj_begins(char first)
{
    return first == '{' || first == ' ' || first == '\r' || first == '\n';
}

enum uj_cut uj_cut_line(struct cloister_sv input, uint64_t scan, uint64_t max, struct cloister_sv *ret_line,
                        uint64_t *ret_used)
{
    const char *end = scan < input.size ? memchr(input.data + scan, '\n', input.size - scan) : NULL;
    uint64_t size = end ? (uint64_t)(end - input.data) : input.size;
    if (end && size > 0 && end[-1] == '\r')
        size--;
    /* A "\r" that may yet turn out to be half of the line's end does not count against the limit. */
    if (size > max && !(!end && size == max + 1 && input.data[max] == '\r'))
        return UJ_CUT_TOO_LONG;
    if (!end)
        return UJ_CUT_MORE;
    *ret_line = (struct cloister_sv){input.data, size};
    *ret_used = (uint64_t)(end - input.data) + 1;
    return UJ_CUT_LINE;
}

static void fault(struct uj_frame *frame, uint32_t kind, const char *text)
{
    if (frame->fault != 0)
        return; /* the first one is told */
    frame->fault = kind;
    (void)snprintf(frame->text, sizeof(frame->text), "%s", text);
}

/* Number or string; everything else leaves kind NONE. */
static void read_id(const struct cloister_value_api *values, struct uj_frame *frame)
{
    const cloister_value *id = values->get(frame->document, CLOISTER_SV("id"));
    struct cloister_sv digits, text;
    uint64_t number;
    /* "1.0", "1e3" and "-0" are integers to some: they cannot be echoed digit by digit, so they are none to us. */
    if (values->number(id, &digits) == 0 && digits.size > 0 && digits.data[0] != '-' && values->u64(id, &number) == 0) {
        frame->id.kind = CLOISTER_ID_U64;
        frame->id.number = number;
    } else if (values->string(id, &text) == 0 && text.size <= UJ_ID_TEXT_MAX) {
        frame->id.kind = CLOISTER_ID_TEXT;
        frame->id.text = text;
    }
}

static void check_id(const struct cloister_value_api *values, struct uj_frame *frame)
{
    uint32_t type = values->type(values->get(frame->document, CLOISTER_SV("id")));
    if (frame->id.kind != CLOISTER_ID_NONE)
        return;
    if (type == CLOISTER_VALUE_NONE || type == CLOISTER_VALUE_NULL)
        fault(frame, CLOISTER_FAULT_BAD_ID, "id: missing");
    else
        fault(frame, CLOISTER_FAULT_BAD_ID, "id: expected an integer from 0 to 2^64-1 or a string of at most 64 bytes");
}

static void check_keys(const struct cloister_value_api *values, struct uj_frame *frame)
{
    struct cloister_sv key;
    for (uint64_t i = 0; i < values->count(frame->document); i++) {
        (void)values->at(frame->document, i, &key);
        if (is(key, "id") || is(key, "method") || is(key, "params") || is(key, "fds"))
            continue;
        char text[UJ_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "unknown key '%.*s' (known: id, method, params, fds)",
                       (int)(key.size > 64 ? 64 : key.size), key.data);
        fault(frame, CLOISTER_FAULT_MALFORMED, text);
        return;
    }
}

static void read_call(const struct cloister_value_api *values, struct uj_frame *frame)
{
    const cloister_value *method = values->get(frame->document, CLOISTER_SV("method"));
    const cloister_value *params = values->get(frame->document, CLOISTER_SV("params"));
    if (values->string(method, &frame->method) < 0 || frame->method.size == 0) {
        frame->method = (struct cloister_sv){NULL, 0};
        fault(frame, CLOISTER_FAULT_MALFORMED, "method: expected a string");
    }
    if (values->type(params) == CLOISTER_VALUE_OBJECT)
        frame->params = params;
    else if (values->type(params) != CLOISTER_VALUE_NONE && values->type(params) != CLOISTER_VALUE_NULL)
        fault(frame, CLOISTER_FAULT_MALFORMED, "params: expected an object");
}

static void read_roles(const struct cloister_value_api *values, struct uj_frame *frame)
{
    const cloister_value *fds = values->get(frame->document, CLOISTER_SV("fds"));
    static const char *const once[] = {"stdin", "stdout", "stderr", "stream"};
    unsigned seen = 0;
    if (values->type(fds) == CLOISTER_VALUE_NONE || values->type(fds) == CLOISTER_VALUE_NULL)
        return;
    if (values->type(fds) != CLOISTER_VALUE_ARRAY) {
        fault(frame, CLOISTER_FAULT_BAD_DESCRIPTORS, "fds: expected an array of roles");
        return;
    }
    frame->descriptor_count = values->count(fds);
    if (frame->descriptor_count > UJ_ROLES_MAX) {
        fault(frame, CLOISTER_FAULT_BAD_DESCRIPTORS, "fds: more than 32 roles");
        return;
    }
    for (uint64_t i = 0; i < frame->descriptor_count; i++) {
        struct cloister_sv *role = &frame->roles[i];
        unsigned bit = 0;
        bool text = values->string(values->at(fds, i, NULL), role) == 0;
        for (unsigned k = 0; text && k < 4; k++)
            bit |= is(*role, once[k]) ? 1u << k : 0;
        if (!text || (bit == 0 && !is(*role, "extra")))
            fault(frame, CLOISTER_FAULT_BAD_DESCRIPTORS, "fds: a role is stdin, stdout, stderr, stream or extra");
        else if (seen & bit)
            fault(frame, CLOISTER_FAULT_BAD_DESCRIPTORS, "fds: a role stands twice");
        seen |= bit;
    }
}

/* The reader's contexts, outermost first, as one sentence: "offset 1: expected a string key". */
static void read_fault(struct uj_frame *frame, const struct cloister_error *err, bool twice)
{
    char text[UJ_TEXT_MAX];
    size_t used = 0;
    uint32_t size = err->chain_size < CLOISTER_CHAIN_MAX ? err->chain_size : CLOISTER_CHAIN_MAX;
    for (uint32_t i = 0; i + 1 < size && used + 3 < sizeof(text); i++) {
        text[used++] = err->chain[i] ? err->chain[i] : ':';
        if (!err->chain[i])
            text[used++] = ' ';
    }
    text[used] = 0;
    fault(frame, twice ? CLOISTER_FAULT_DUPLICATE_KEY : CLOISTER_FAULT_MALFORMED, text);
    frame->offset = err->line ? err->offset : ~0ull;
    frame->garbage = !twice;
}

void uj_frame_parse(const struct cloister_value_api *values, struct cloister_sv line, uint32_t depth,
                    struct uj_frame *ret_frame)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    memset(ret_frame, 0, sizeof(*ret_frame));
    ret_frame->offset = ~0ull;
    int32_t result = values->parse(line, 0, depth, &ret_frame->document, &err);
    bool twice = result < 0 && strcmp(err.step, "duplicate-key") == 0;
    ret_frame->no_memory = result < 0 && strcmp(err.step, "memory") == 0;
    if (ret_frame->no_memory)
        return;
    if (result < 0) {
        read_fault(ret_frame, &err, twice);
        if (!twice)
            ret_frame->document = NULL;
    } else if (values->type(ret_frame->document) != CLOISTER_VALUE_OBJECT) {
        fault(ret_frame, CLOISTER_FAULT_MALFORMED, "expected an object");
        ret_frame->offset = 0;
        ret_frame->garbage = true;
    }
    if (ret_frame->garbage || !ret_frame->document)
        return;
    read_id(values, ret_frame);
    check_id(values, ret_frame);
    check_keys(values, ret_frame);
    read_call(values, ret_frame);
    read_roles(values, ret_frame);
}

void uj_frame_free(const struct cloister_value_api *values, struct uj_frame *frame)
{
    values->free(frame->document);
    frame->document = NULL;
}
