/* SPDX-License-Identifier: Apache-2.0 */
/* The strict reader: what it takes prints as the same document, what it refuses has a sentence and a place inside the
 * text. */
#include <errno.h>
#include <string.h>

#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/value/value.h"
#include "tests/fuzz/fuzz.h"

static void check_round_trip(const cloister_value *value)
{
    CL_FREE char *first = NULL;
    CL_FREE char *second = NULL;
    size_t first_size, second_size;
    CL_VALUE_CLEANUP cloister_value *again = NULL;
    const struct cl_value_options options = {.depth = CL_VALUE_DEPTH_LIMIT};
    FUZZ_CHECK(cl_value_print(value, false, &first, &first_size) == 0);
    FUZZ_CHECK(cl_sv_utf8(cl_sv(first, first_size)));
    FUZZ_CHECK(!memchr(first, '\n', first_size));
    FUZZ_CHECK(cl_value_parse(cl_sv(first, first_size), &options, &again, NULL, NULL) == 0);
    FUZZ_CHECK(cl_value_print(again, false, &second, &second_size) == 0);
    FUZZ_CHECK(first_size == second_size && memcmp(first, second, first_size) == 0);
}

#ifdef CL_PLANTED_BUG
/* Only of a build that is to show that a bug is found: a limit that is off by one somewhere, as it were. */
static void stumble(const cloister_value *value)
{
    const cloister_value *member;

    for (size_t i = 0; cl_value_type(value) == CLOISTER_VALUE_OBJECT && (member = cl_value_at(value, i)) != NULL; i++)
        FUZZ_CHECK(cl_value_key(member).size <= 32);
}
#else
#define stumble(value) (void)(value)
#endif

static void walk(const cloister_value *value)
{
    struct cloister_sv text;
    uint64_t u;
    int64_t i;
    double d;
    bool b;
    (void)cl_value_string(value, &text);
    (void)cl_value_u64(value, &u);
    (void)cl_value_i64(value, &i);
    (void)cl_value_double(value, &d);
    (void)cl_value_bool(value, &b);
    size_t seen = 0;
    for (const cloister_value *member = cl_value_first(value); member; member = cl_value_next(member)) {
        FUZZ_CHECK(cl_value_at(value, seen) == member);
        if (cl_value_type(value) == CLOISTER_VALUE_OBJECT)
            FUZZ_CHECK(cl_value_get(value, cl_value_key(member)) == member);
        seen++;
        if (seen <= 64) /* get is linear: a wide object costs its square */
            walk(member);
        else if (cl_value_type(value) == CLOISTER_VALUE_OBJECT)
            return;
    }
    FUZZ_CHECK(seen == cl_value_count(value));
}

static void try_text(struct cloister_sv text, uint32_t flags)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    CL_VALUE_CLEANUP cloister_value *partial = NULL;
    const struct cl_value_options options = {.flags = flags};
    int r = cl_value_parse(text, &options, &value, &partial, &err);
    FUZZ_CHECK((r == 0) == (value != NULL));
    FUZZ_CHECK((r == -EEXIST) == (partial != NULL));
    if (r < 0) {
        FUZZ_CHECK(err.line >= 1 && err.column >= 1 && err.offset <= text.size);
        FUZZ_CHECK(err.code != CLOISTER_OK && err.step[0] && err.chain_size > 0);
    }
    if (value || partial) {
        walk(value ? value : partial);
        stumble(value ? value : partial);
        check_round_trip(value ? value : partial);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_text(cl_sv(data, size), 0);
    try_text(cl_sv(data, size), CLOISTER_VALUE_COMMENTS);
    return 0;
}
