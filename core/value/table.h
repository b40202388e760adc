/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - the SDK's table of values (cloister_host.value) over this library, for every host there is: the daemon and
 * the conformance kit. */
#ifndef CL_VALUE_TABLE_H
#define CL_VALUE_TABLE_H

#include <cloister/value.h>

extern const struct cloister_value_api cl_value_table;

#endif
