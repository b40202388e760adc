/* SPDX-License-Identifier: Apache-2.0 */
/* base32.h - engine ids: 16 characters of a-z and 2-7, 80 random bits. */
#ifndef CL_UTIL_BASE32_H
#define CL_UTIL_BASE32_H

#include "core/util/sv.h"

#define CL_ID_CHARS 16u
#define CL_ID_SIZE 17u /* with the final NUL */

/* 0 or negative errno of getrandom. */
int cl_id_make(char ret_id[CL_ID_SIZE]);
bool cl_id_valid(struct cloister_sv text);
/* A random 64-bit number, never 0. 0 or negative errno. */
int cl_random_u64(uint64_t *ret_number);

#endif
