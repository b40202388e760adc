/* SPDX-License-Identifier: Apache-2.0 */
/* cases.h - the isolation suite's cases, a file for each subject; a table ends with a NULL name. */
#ifndef KIT_CASES_H
#define KIT_CASES_H

#include "iso.h"

int iso_setup(void **state);
int iso_teardown(void **state);

#define ISO_CASE(name, function)                          \
    {                                                     \
        (name), (function), iso_setup, iso_teardown, NULL \
    }
#define ISO_CASES_END                \
    {                                \
        NULL, NULL, NULL, NULL, NULL \
    }

extern const struct CMUnitTest iso_life_cases[], iso_exec_cases[], iso_stdio_cases[], iso_tape_cases[],
    iso_halt_cases[], iso_adopt_cases[], iso_many_cases[], iso_files_cases[];

#endif
