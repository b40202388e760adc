/* SPDX-License-Identifier: Apache-2.0 */
/* test_resources.c - limits as typed, as OCI linux.resources. */
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "resources.h"

static void test_edit(void **state)
{
    static const struct {
        const char *name, *before;
        struct ctl_resource_options options;
        const char *after; /* NULL = refused */
    } cases[] = {
        {"nothing", "{\"a\":1}", {.memory = NULL}, "{\"a\":1}"},
        {"memory", "{}", {.memory = "64m"}, "{\"memory\":{\"limit\":67108864}}"},
        {"all of memory",
         "{\"memory\":{\"limit\":1,\"kernel\":2}}",
         {.memory = "1k", .memory_swap = "2k", .memory_reservation = "512"},
         "{\"memory\":{\"limit\":1024,\"kernel\":2,\"swap\":2048,\"reservation\":512}}"},
        {"no limits",
         "{}",
         {.memory = "max", .memory_swap = "max", .pids = "max", .cpus = "max"},
         "{\"memory\":{\"limit\":-1,\"swap\":-1},\"cpu\":{\"quota\":-1},\"pids\":{\"limit\":-1}}"},
        {"cpu",
         "{}",
         {.cpus = "1.5", .cpu_shares = "512", .cpuset_cpus = "0-1,3", .cpuset_mems = "0"},
         "{\"cpu\":{\"quota\":150000,\"period\":100000,\"shares\":512,\"cpus\":\"0-1,3\",\"mems\":\"0\"}}"},
        {"pids", "{\"pids\":{\"limit\":5}}", {.pids = "7"}, "{\"pids\":{\"limit\":7}}"},
        {"memory of 0", "{}", {.memory = "0"}, NULL},
        {"swap in words", "{}", {.memory_swap = "much"}, NULL},
        {"too many cpus", "{}", {.cpus = "1025"}, NULL},
        {"one share", "{}", {.cpu_shares = "1"}, NULL},
        {"all shares", "{}", {.cpu_shares = "max"}, NULL},
        {"too many shares", "{}", {.cpu_shares = "262145"}, NULL},
        {"no cpu", "{}", {.cpuset_cpus = ""}, NULL},
        {"a cpu's name", "{}", {.cpuset_cpus = "a"}, NULL},
        {"no node", "{}", {.cpuset_mems = "0 1"}, NULL},
        {"no pid", "{}", {.pids = "0"}, NULL},
        {"memory is no object", "{\"memory\":5}", {.memory = "64m"}, NULL},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        CL_VALUE_CLEANUP cloister_value *resources = NULL;
        CL_FREE char *text = NULL;
        size_t size;
        assert_int_equal(cl_value_parse(cl_sv_cstr(cases[i].before), NULL, &resources, NULL, NULL), 0);
        int result = ctl_resources_edit(resources, &cases[i].options, &err);
        CL_CHECK_INT(cases[i].name, result < 0, cases[i].after == NULL);
        CL_CHECK_INT(cases[i].name, err.code, cases[i].after ? CLOISTER_OK : CLOISTER_INVALID);
        if (!cases[i].after)
            continue;
        CL_CHECK_INT(cases[i].name, cl_value_print(resources, false, &text, &size), 0);
        CL_CHECK_STR(cases[i].name, text, cases[i].after);
    }
}

/* Every option has its place, and counts as one. */
static void test_options(void **state)
{
    static const int options[] = {CTL_OPTION_MEMORY,      CTL_OPTION_MEMORY_SWAP, CTL_OPTION_MEMORY_RESERVATION,
                                  CTL_OPTION_CPUS,        CTL_OPTION_CPU_SHARES,  CTL_OPTION_CPUSET_CPUS,
                                  CTL_OPTION_CPUSET_MEMS, CTL_OPTION_PIDS};
    for (size_t i = 0; i < CL_COUNT(options); i++) {
        struct ctl_resource_options typed = {.memory = NULL};
        const char **place = ctl_resources_option(&typed, options[i]);
        assert_non_null(place);
        assert_false(ctl_resources_any(&typed));
        *place = "x";
        assert_true(ctl_resources_any(&typed));
    }
    assert_null(ctl_resources_option(&(struct ctl_resource_options){.memory = NULL}, 'x'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edit), cmocka_unit_test(test_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
