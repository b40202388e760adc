/* SPDX-License-Identifier: Apache-2.0 */
/* Finds, checks and opens plugin files. A module is one opened file; it is never unmapped. */
#ifndef CL_CORE_LOADER_LOADER_H
#define CL_CORE_LOADER_LOADER_H

#include <stddef.h>

#include <cloister/isolation.h>
#include <cloister/persistence.h>
#include <cloister/personality.h>
#include <cloister/plugin.h>
#include <cloister/transport.h>

struct cl_loader;

/* The host's bounded copies: full-size, zero-filled behind what the plugin declared. */
union cl_vtable {
    struct cloister_transport transport;
    struct cloister_personality personality;
    struct cloister_isolation isolation;
    struct cloister_persistence persistence;
};

struct cl_module {
    char *path;                    /* resolved file */
    struct cloister_plugin plugin; /* strings point into the plugin's constant data */
    union cl_vtable vtable;
    struct cloister_option *options; /* full-size copies, plugin.option_count of them */
    struct cloister_route *routes;   /* personalities: full-size copies, vtable.personality.route_count */
};

/* paths: NULL-terminated list of absolute directories, copied. */
int cl_loader_new(const char *const *paths, struct cl_loader **ret);
struct cl_loader *cl_loader_free(struct cl_loader *loader); /* frees bookkeeping, unmaps nothing */

/* name: without slash, searched as <dir>/<name>.so; or an absolute path. kind 0 = any. Loads each file once. The error
 * is one sentence with the file, both values and what to do. */
int cl_loader_load(struct cl_loader *loader, const char *name, uint32_t kind, const struct cl_module **ret,
                   struct cloister_error *err);
/* Every *.so of the search path in order, loadable or not: fn gets module, or NULL and err. */
int cl_loader_scan(struct cl_loader *loader,
                   void (*fn)(void *ctx, const char *path, const struct cl_module *module,
                              const struct cloister_error *err),
                   void *ctx);
const char *cl_kind_name(uint32_t kind); /* "transport"; "unknown" */

#endif
