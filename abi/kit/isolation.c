/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation.c - what any isolation plugin owes the engine: isolation.h and sdk.md sections 3 to 5, over the vtable
 * alone. What a plugin does not have is skipped with the reason; what it says that it has is tried.
 */
#include <fnmatch.h>

#include "cases.h"
#include "suites.h"
#include "zygote.h"

#define CASES_MAX 128u

int iso_setup(void **state)
{
    (void)state;
    return iso_open() ? 0 : -1;
}

int iso_teardown(void **state)
{
    (void)state;
    return iso_close() ? 0 : -1;
}

static size_t add(struct CMUnitTest *to, size_t count, const struct CMUnitTest *from, const char *pattern)
{
    for (; from->name && count < CASES_MAX; from++)
        if (fnmatch(pattern, from->name, 0) == 0)
            to[count++] = *from;
    return count;
}

int kit_suite_isolation(const struct iso_setting *setting, const char *keeper, const char *pattern)
{
    static const struct CMUnitTest *const subjects[] = {iso_life_cases, iso_exec_cases, iso_stdio_cases,
                                                        iso_tape_cases, iso_halt_cases, iso_adopt_cases,
                                                        iso_many_cases, iso_files_cases};
    struct CMUnitTest tests[CASES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
        count = add(tests, count, subjects[i], pattern);
    if (count == 0) {
        (void)fprintf(stderr, "no case is named '%s'\n", pattern);
        return 1;
    }
    if (!iso_begin(setting))
        return 1;
    if (keeper && !kit_zygote_start(keeper))
        return 1;
    int failed = _cmocka_run_group_tests(setting->plugin->name, tests, count, NULL, NULL);
    kit_zygote_end();
    return failed;
}
