/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.h - what a plugin says of itself is checked, in a fixed order, and copied into storage of ours. */
#ifndef CL_CORE_LOADER_HANDSHAKE_H
#define CL_CORE_LOADER_HANDSHAKE_H

#include <cloister/error.h>

#include "core/loader/loader.h"

/*
 * raw is what the entry function returned; name is the file name without .so; kind is what the caller wants, 0 = any.
 * Fills all of module but path. Each refusal is one sentence with both values and what to do.
 */
int cl_handshake(const struct cloister_plugin *raw, const char *name, uint32_t kind, struct cl_module *ret_module,
                 struct cloister_error *err);
/* Is the module of the wanted kind? Also for one that was loaded before under another wish. */
int cl_handshake_kind(const struct cl_module *module, uint32_t kind, struct cloister_error *err);
/* Releases the copies. */
void cl_handshake_release(struct cl_module *module);

/* What is left of the checks: the tables (table.c). */
int cl_handshake_options(const struct cl_module *module, struct cloister_error *err);
int cl_handshake_routes(const struct cl_module *module, struct cloister_error *err);

#endif
