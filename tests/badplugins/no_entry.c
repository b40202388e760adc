/* SPDX-License-Identifier: Apache-2.0 */
/* A shared object that is no plugin. */
#include <cloister/abi.h>

CLOISTER_EXPORT int32_t something_else(void);

CLOISTER_EXPORT int32_t something_else(void)
{
    return 1;
}
