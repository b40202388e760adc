/* SPDX-License-Identifier: Apache-2.0 */
/* capability.h - the words of capability bits, in one place for all who print them or name a missing one. */
#ifndef CL_CORE_LOADER_CAPABILITY_H
#define CL_CORE_LOADER_CAPABILITY_H

#include <stdint.h>

#include <cloister/plugin.h>

#include "core/util/str.h"

/* "PUSH" for one bit of a kind's capability word; NULL for a bit (or kind) that has no name. */
const char *cl_capability_word(uint32_t kind, unsigned bit);
/* The bits that have a name. */
uint64_t cl_capability_known(uint32_t kind);
/* Appends the words of all bits, lowest first, joined by separator; bits without a name as one hexadecimal number at
 * the end. Nothing for 0. */
void cl_capability_words(uint32_t kind, uint64_t bits, const char *separator, struct cl_str *out);

#endif
