/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.h - "did you mean": the known word with the smallest edit distance to a misspelt one. */
#ifndef CL_UTIL_NEAREST_H
#define CL_UTIL_NEAREST_H

#include "core/util/sv.h"

/*
 * The nearest of `count` words (insert, delete, change and swap of neighbours cost 1), the first one among
 * equals; NULL when none is near enough to be meant: more than a third of its letters differ, or the word is over 64
 * bytes.
 */
const char *cl_nearest(struct cloister_sv word, const char *const *known, size_t count);

#endif
