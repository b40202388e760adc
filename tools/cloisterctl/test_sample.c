/* SPDX-License-Identifier: Apache-2.0 */
/* test_sample.c - what two answers to `stats` say to people. */
#include "core/util/check.h"
#include "core/util/sv.h"
#include "sample.h"
#include <string.h>

#define MIB (1024u * 1024u)

static struct ctl_sample sample_of(const char *text)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;

    assert_int_equal(cl_value_parse(cl_sv_cstr(text), NULL, &result, NULL, NULL), 0);
    return ctl_sample_read(result);
}

static void test_rows(void **state)
{
    static const struct {
        const char *name, *before, *now;
        uint64_t machine;
        const char *cpu, *memory, *share, *pids, *io;
    } cases[] = {
        {"all of it", "{\"stats\":{\"cpu_ns\":1000},\"sampled_mono_ns\":5000}",
         "{\"stats\":{\"cpu_ns\":2500,\"mem_usage\":1572864,\"mem_limit\":67108864,\"pids\":3,\"io_read_bytes\":512,"
         "\"io_write_bytes\":2048},\"sampled_mono_ns\":6000}",
         1024 * MIB, "150.00%", "1.5MiB / 64MiB", "2.34%", "3", "512B / 2KiB"},
        {"no limit", "{\"stats\":{\"cpu_ns\":1},\"sampled_mono_ns\":1}",
         "{\"stats\":{\"cpu_ns\":1,\"mem_usage\":0},\"sampled_mono_ns\":2}", 1024 * MIB, "0.00%", "0B / 1GiB", "0.00%",
         "-", "-"},
        {"a limit above the machine", "{}", "{\"stats\":{\"mem_usage\":1048576,\"mem_limit\":2147483648}}", 1024 * MIB,
         "-", "1MiB / 1GiB", "0.10%", "-", "-"},
        {"nothing is counted", "{}", "{\"stats\":{},\"sampled_mono_ns\":7}", 0, "-", "- / -", "-", "-", "-"},
        {"a limit alone", "{}", "{\"stats\":{\"mem_limit\":1024}}", 0, "-", "- / 1KiB", "-", "-", "-"},
        {"the first one", "{}", "{\"stats\":{\"cpu_ns\":5},\"sampled_mono_ns\":7}", 0, "-", "- / -", "-", "-", "-"},
        {"a clock that stands", "{\"stats\":{\"cpu_ns\":5},\"sampled_mono_ns\":7}",
         "{\"stats\":{\"cpu_ns\":6},\"sampled_mono_ns\":7}", 0, "-", "- / -", "-", "-", "-"},
        {"a group that was made anew", "{\"stats\":{\"cpu_ns\":5},\"sampled_mono_ns\":7}",
         "{\"stats\":{\"cpu_ns\":4},\"sampled_mono_ns\":9}", 0, "-", "- / -", "-", "-", "-"},
        {"almost a unit more", "{}", "{\"stats\":{\"mem_usage\":1048575}}", 0, "-", "1MiB / -", "-", "-", "-"},
        {"half of the io", "{}", "{\"stats\":{\"io_read_bytes\":5}}", 0, "-", "- / -", "-", "-", "-"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        const struct ctl_sample before = sample_of(cases[i].before), now = sample_of(cases[i].now);
        char text[CTL_SAMPLE_TEXT];
        CL_CHECK_STR(cases[i].name, ctl_sample_cpu(&before, &now, text), cases[i].cpu);
        CL_CHECK_STR(cases[i].name, ctl_sample_memory(&now, cases[i].machine, text), cases[i].memory);
        CL_CHECK_STR(cases[i].name, ctl_sample_memory_share(&now, cases[i].machine, text), cases[i].share);
        CL_CHECK_STR(cases[i].name, ctl_sample_pids(&now, text), cases[i].pids);
        CL_CHECK_STR(cases[i].name, ctl_sample_io(&now, text), cases[i].io);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
