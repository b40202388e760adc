/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - option tables, good and bad; a build picks one by -DOPTIONS=tables[CASE] and -DOPTION_COUNT=2. */
#ifndef TESTS_BADPLUGINS_OPTIONS_H
#define TESTS_BADPLUGINS_OPTIONS_H

#include <cloister/plugin.h>

enum options {
    OPT_GOOD,
    OPT_RESERVED_KEY,
    OPT_BAD_KEY,
    OPT_TYPE,
    OPT_BOTH,
    OPT_DEFAULT,
    OPT_RANGE,
    OPT_TWICE,
    OPT_HELP,
    OPT_RESERVED,
    OPT_TRACE,
    OPT_CASES
};

#define STRING .type = CLOISTER_OPTION_STRING, .help = "a text"
#define U64 .type = CLOISTER_OPTION_U64, .help = "a number"

static const struct cloister_option tables[OPT_CASES][2] __attribute__((unused)) = {
    [OPT_GOOD] = {{.key = "path", STRING, .flags = CLOISTER_OPTION_REQUIRED},
                  {.key = "n", U64, .min = 1, .max = 9, .fallback = "3"}},
    [OPT_RESERVED_KEY] = {{.key = "path", STRING}, {.key = "wrap", STRING}},
    [OPT_BAD_KEY] = {{.key = "path", STRING}, {.key = "A b", STRING}},
    [OPT_TYPE] = {{.key = "path", .type = 9, .help = "?"}, {.key = "n", U64, .max = 9}},
    [OPT_BOTH] = {{.key = "path", STRING, .flags = CLOISTER_OPTION_REQUIRED, .fallback = "/"},
                  {.key = "n", U64, .max = 9}},
    [OPT_DEFAULT] = {{.key = "path", STRING}, {.key = "n", U64, .min = 1, .max = 9, .fallback = "10"}},
    [OPT_RANGE] = {{.key = "path", STRING}, {.key = "n", U64, .min = 10, .max = 9}},
    [OPT_TWICE] = {{.key = "n", STRING}, {.key = "n", U64, .max = 9}},
    [OPT_RESERVED] = {{.key = "path", STRING, .reserved = {1, 0}}, {.key = "n", U64, .max = 9}},
    [OPT_TRACE] = {{.key = "secret", STRING, .flags = CLOISTER_OPTION_SECRET},
                   {.key = "n", U64, .min = 1, .max = 9, .fallback = "3"}},
    [OPT_HELP] = {{.key = "path", STRING}, {.key = "n", .type = CLOISTER_OPTION_U64, .max = 9}},
};

#endif
