/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - for unit tests only: cmocka with its prerequisites, and assertions that print the name of the table's case.
 */
#ifndef CL_UTIL_CHECK_H
#define CL_UTIL_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CL_CHECK(name, condition)                          \
    do {                                                   \
        if (!(condition))                                  \
            fail_msg("case '%s': %s", (name), #condition); \
    } while (0)

#define CL_CHECK_INT(name, got, want)                                                         \
    do {                                                                                      \
        long long check_got = (long long)(got), check_want = (long long)(want);               \
        if (check_got != check_want)                                                          \
            fail_msg("case '%s': %s is %lld, not %lld", (name), #got, check_got, check_want); \
    } while (0)

#define CL_CHECK_STR(name, got, want)                                                                       \
    do {                                                                                                    \
        const char *check_got = (got), *check_want = (want);                                                \
        if (!check_got || __builtin_strcmp(check_got, check_want) != 0)                                     \
            fail_msg("case '%s': %s is \"%s\", not \"%s\"", (name), #got, check_got ? check_got : "(null)", \
                     check_want);                                                                           \
    } while (0)

#endif
