/* SPDX-License-Identifier: Apache-2.0 */
/* callback.h - the callbacks of every vtable as data: what they are called, where they lie, when one must not be
 * missing. */
#ifndef CL_CORE_LOADER_CALLBACK_H
#define CL_CORE_LOADER_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/loader/loader.h"

struct cl_callback {
    const char *name;
    size_t offset;     /* in the kind's vtable */
    bool mandatory;    /* always */
    uint64_t provides; /* mandatory when the plugin provides one of these capabilities */
};

/* In the order of the vtable. NULL and 0 for an unknown kind. */
const struct cl_callback *cl_callbacks(uint32_t kind, size_t *ret_count);
bool cl_callback_present(const union cl_vtable *vtable, const struct cl_callback *callback);
/* Size of the kind's vtable in this SDK, 0 for an unknown kind. */
size_t cl_vtable_size(uint32_t kind);

#endif
