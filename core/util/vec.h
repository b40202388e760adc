/* SPDX-License-Identifier: Apache-2.0 */
/* vec.h - a growing array of pointers; order is kept, the pointers are not owned. */
#ifndef CL_UTIL_VEC_H
#define CL_UTIL_VEC_H

#include <stddef.h>

struct cl_vec {
    void **items;
    size_t size;
    size_t capacity;
};

#define CL_VEC_INIT \
    {               \
        NULL, 0, 0  \
    }
#define CL_VEC_NONE ((size_t)-1)

/* 0 or -ENOMEM. */
int cl_vec_append(struct cl_vec *vec, void *item);
/* Makes room, so that the next appends up to `count` items in all cannot fail. */
int cl_vec_reserve(struct cl_vec *vec, size_t count);
/* Takes one out, closing the gap; index must be below size. */
void *cl_vec_remove(struct cl_vec *vec, size_t index);
/* Index of the first equal pointer, CL_VEC_NONE if absent. */
size_t cl_vec_find(const struct cl_vec *vec, const void *item);
/* Releases the array, not the items. */
void cl_vec_free(struct cl_vec *vec);

#endif
