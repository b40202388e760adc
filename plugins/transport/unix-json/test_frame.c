/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_host.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHECK(name, condition)                             \
    do {                                                   \
        if (!(condition))                                  \
            fail_msg("case '%s': %s", (name), #condition); \
    } while (0)

static const struct {
    const char *name, *line;
    uint32_t fault;
    bool garbage;
    uint32_t id_kind;
    uint64_t id;
    const char *text; /* part of the fault's text */
} cases[] = {
    {"number", "{\"id\":7,\"method\":\"m\"}", 0, false, CLOISTER_ID_U64, 7, ""},
    {"number above 2^53", "{\"id\":9007199254740993,\"method\":\"m\"}", 0, false, CLOISTER_ID_U64, 9007199254740993,
     ""},
    {"largest number", "{\"id\":18446744073709551615,\"method\":\"m\"}", 0, false, CLOISTER_ID_U64, UINT64_MAX, ""},
    {"number above", "{\"id\":18446744073709551616,\"method\":\"m\"}", CLOISTER_FAULT_BAD_ID, false, 0, 0, "2^64-1"},
    {"text", "{\"id\":\"7\",\"method\":\"m\"}", 0, false, CLOISTER_ID_TEXT, 0, ""},
    {"empty text", "{\"id\":\"\",\"method\":\"m\"}", 0, false, CLOISTER_ID_TEXT, 0, ""},
    {"no id", "{\"method\":\"m\"}", CLOISTER_FAULT_BAD_ID, false, 0, 0, "id: missing"},
    {"null id", "{\"id\":null,\"method\":\"m\"}", CLOISTER_FAULT_BAD_ID, false, 0, 0, "id: missing"},
    {"minus zero", "{\"id\":-0,\"method\":\"m\"}", CLOISTER_FAULT_BAD_ID, false, 0, 0, "id: expected"},
    {"exponent", "{\"id\":1e2,\"method\":\"m\"}", CLOISTER_FAULT_BAD_ID, false, 0, 0, "id: expected"},
    {"boolean id", "{\"id\":true,\"method\":\"m\"}", CLOISTER_FAULT_BAD_ID, false, 0, 0, "id: expected"},
    {"not JSON", "{oops", CLOISTER_FAULT_MALFORMED, true, 0, 0, "offset 1: expected a string key"},
    {"empty", "", CLOISTER_FAULT_MALFORMED, true, 0, 0, "offset 0"},
    {"array", "[]", CLOISTER_FAULT_MALFORMED, true, 0, 0, "expected an object"},
    {"too deep", "{\"id\":1,\"params\":{\"a\":[[[]]]}}", CLOISTER_FAULT_MALFORMED, true, 0, 0, "nesting"},
    {"duplicate", "{\"id\":1,\"method\":\"m\",\"method\":\"n\"}", CLOISTER_FAULT_DUPLICATE_KEY, false, CLOISTER_ID_U64,
     1, "'method'"},
    {"duplicate inside", "{\"id\":1,\"method\":\"m\",\"params\":{\"a\":1,\"a\":1}}", CLOISTER_FAULT_DUPLICATE_KEY,
     false, CLOISTER_ID_U64, 1, "'a'"},
    {"unknown key", "{\"id\":1,\"method\":\"m\",\"x\":1}", CLOISTER_FAULT_MALFORMED, false, CLOISTER_ID_U64, 1,
     "unknown key 'x'"},
    {"no method", "{\"id\":1}", CLOISTER_FAULT_MALFORMED, false, CLOISTER_ID_U64, 1, "method: expected"},
    {"empty method", "{\"id\":1,\"method\":\"\"}", CLOISTER_FAULT_MALFORMED, false, CLOISTER_ID_U64, 1,
     "method: expected"},
    {"params null", "{\"id\":1,\"method\":\"m\",\"params\":null}", 0, false, CLOISTER_ID_U64, 1, ""},
    {"params text", "{\"id\":1,\"method\":\"m\",\"params\":\"\"}", CLOISTER_FAULT_MALFORMED, false, CLOISTER_ID_U64, 1,
     "params:"},
    {"roles", "{\"id\":1,\"method\":\"m\",\"fds\":[\"stdin\",\"extra\",\"extra\"]}", 0, false, CLOISTER_ID_U64, 1, ""},
    {"role stream", "{\"id\":1,\"method\":\"m\",\"fds\":[\"stream\"]}", 0, false, CLOISTER_ID_U64, 1, ""},
    {"streams", "{\"id\":1,\"method\":\"m\",\"fds\":[\"stream\",\"stream\"]}", CLOISTER_FAULT_BAD_DESCRIPTORS, false,
     CLOISTER_ID_U64, 1, "twice"},
    {"role twice", "{\"id\":1,\"method\":\"m\",\"fds\":[\"stderr\",\"stderr\"]}", CLOISTER_FAULT_BAD_DESCRIPTORS, false,
     CLOISTER_ID_U64, 1, "twice"},
    {"role of no name", "{\"id\":1,\"method\":\"m\",\"fds\":[1]}", CLOISTER_FAULT_BAD_DESCRIPTORS, false,
     CLOISTER_ID_U64, 1, "a role is"},
};

static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct uj_frame frame;
        struct cloister_sv line = {cases[i].line, strlen(cases[i].line)};
        uj_frame_parse(&cl_value_table, line, 4, &frame);
        CHECK(cases[i].name, frame.fault == cases[i].fault);
        CHECK(cases[i].name, frame.garbage == cases[i].garbage);
        CHECK(cases[i].name, frame.id.kind == cases[i].id_kind && frame.id.number == cases[i].id);
        CHECK(cases[i].name, strstr(frame.text, cases[i].text));
        uj_frame_free(&cl_value_table, &frame);
    }
}

static int32_t parse_without_memory(struct cloister_sv text, uint32_t flags, uint32_t depth, cloister_value **ret,
                                    struct cloister_error *err)
{
    (void)text, (void)flags, (void)depth, (void)ret;
    memcpy(err->step, "memory", sizeof("memory"));
    return -1;
}

/* A line that could not be read is no fault of its sender's. */
static void test_no_memory(void **state)
{
    struct uj_frame frame;
    struct cloister_value_api values = cl_value_table;
    (void)state;
    values.parse = parse_without_memory;
    uj_frame_parse(&values, CLOISTER_SV("{\"id\":1,\"method\":\"m\"}"), 4, &frame);
    assert_true(frame.no_memory);
    assert_int_equal(frame.fault, 0);
    assert_false(frame.garbage);
    uj_frame_free(&values, &frame);
}

static void test_roles_counted(void **state)
{
    static const char *const faulty[] = {"{\"fds\":[\"x\",\"y\",\"z\"]}",
                                         "{\"id\":1,\"fds\":[\"x\",\"y\",\"z\"],\"k\":1}",
                                         "{\"id\":1,\"method\":\"m\",\"params\":1,\"fds\":[1,2,3]}"};
    (void)state;
    for (size_t i = 0; i < COUNT(faulty); i++) { /* so that the descriptors of a faulty line can be closed */
        struct uj_frame frame;
        uj_frame_parse(&cl_value_table, (struct cloister_sv){faulty[i], strlen(faulty[i])}, 4, &frame);
        CHECK(faulty[i], frame.fault != 0 && frame.descriptor_count == 3);
        uj_frame_free(&cl_value_table, &frame);
    }
}

static const struct {
    const char *name, *input;
    uint64_t scan, max;
    enum uj_cut want;
    const char *line;
    uint64_t used;
} cut_cases[] = {
    {"whole line", "abc\nd", 0, 3, UJ_CUT_LINE, "abc", 4},
    {"CRLF", "abc\r\nd", 0, 3, UJ_CUT_LINE, "abc", 5},
    {"empty line", "\nd", 0, 3, UJ_CUT_LINE, "", 1},
    {"only CRLF", "\r\n", 0, 3, UJ_CUT_LINE, "", 2},
    {"CR inside", "a\rb\n", 0, 3, UJ_CUT_LINE, "a\rb", 4},
    {"not yet", "abc", 0, 3, UJ_CUT_MORE, "", 0},
    {"not yet, CR pending", "abc\r", 0, 3, UJ_CUT_MORE, "", 0},
    {"too long without end", "abcd", 0, 3, UJ_CUT_TOO_LONG, "", 0},
    {"too long with end", "abcd\n", 0, 3, UJ_CUT_TOO_LONG, "", 0},
    {"too long with CRLF", "abcd\r\n", 0, 3, UJ_CUT_TOO_LONG, "", 0},
    {"scanned already", "abc\n", 3, 3, UJ_CUT_LINE, "abc", 4},
};

static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cut_cases); i++) {
        struct cloister_sv line = {"", 0}, input = {cut_cases[i].input, strlen(cut_cases[i].input)};
        uint64_t used = 0;
        CHECK(cut_cases[i].name,
              uj_cut_line(input, cut_cases[i].scan, cut_cases[i].max, &line, &used) == cut_cases[i].want);
        CHECK(cut_cases[i].name,
              line.size == strlen(cut_cases[i].line) && !memcmp(line.data, cut_cases[i].line, line.size));
        CHECK(cut_cases[i].name, used == cut_cases[i].used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames), cmocka_unit_test(test_no_memory),
                                       cmocka_unit_test(test_roles_counted), cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
