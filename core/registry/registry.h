/* SPDX-License-Identifier: Apache-2.0 */
/* Plugin instances by kind and name: who they are, what they are made of, how long they live. */
#ifndef CL_CORE_REGISTRY_REGISTRY_H
#define CL_CORE_REGISTRY_REGISTRY_H

#include <cloister/host.h>

#include "core/config/config.h"
#include "core/loader/loader.h"

struct cl_registry;

/* One configured instance. With wrappers, `vtable` and `self` are the outermost one's; the wrapped links hang on
 * `inner`. */
struct cl_instance {
    uint32_t kind;
    char *name;  /* instance name in the config: "main", or the service's name for personalities */
    char *label; /* for logs: "isolation 'main' (namespaces)" */
    const struct cl_module *module;
    const union cl_vtable *vtable; /* = &module->vtable */
    void *self;
    struct cl_instance *inner; /* the wrapped instance, NULL for a plain one */
    struct cloister_host host; /* host.self = the *outermost* instance of the chain: wrappers and wrapped act as one */
    struct cloister_option_value *options;
    /* Each room's own pointer for this instance, set and read by that room only. */
    void *host_room;
    void *exchange_room;
    void *engine_room;
    void *store_room;
    /* The tables the instance's host got; kept for rooms that call through. */
    struct cl_instance *next;
};

/* Fills host (all but self) for an instance of this kind. Given by main, so that registry need not know the rooms above
 * it. */
typedef void (*cl_host_fill_fn)(void *ctx, struct cl_instance *instance);

int cl_registry_new(struct cl_loader *loader, cl_host_fill_fn fill, void *ctx, struct cl_registry **ret);
/* Loads the plugin(s) of entry (wrap chain included) and checks their options; no create yet: no side effect.
 * *ret_module is NULL when the entry is optional and its plugin is not installed. ret_module may be NULL. */
int cl_registry_check(struct cl_registry *registry, uint32_t kind, const struct cl_config_entry *entry,
                      const struct cl_module **ret_module, struct cloister_error *err);
/* Creates the instance, innermost first. *ret is owned by the registry; NULL, after a warning in the log, when the
 * entry is optional and its plugin is not installed. An optional wrapper that is not installed is left out of the
 * chain. */
int cl_registry_create(struct cl_registry *registry, uint32_t kind, const char *name,
                       const struct cl_config_entry *entry, struct cl_instance **ret, struct cloister_error *err);
struct cl_instance *cl_registry_lookup(const struct cl_registry *registry, uint32_t kind, const char *name);
struct cl_instance *cl_registry_first(const struct cl_registry *registry); /* then ->next, in order of creation */
/* Destroys one instance (outermost first) and forgets it. */
void cl_registry_destroy(struct cl_registry *registry, struct cl_instance *instance);
struct cl_registry *cl_registry_free(struct cl_registry *registry); /* asserts emptiness */

/* The instance behind a host pointer that a plugin handed in: always the outermost of its chain. */
static inline struct cl_instance *cl_instance_of(const struct cloister_host *host)
{
    return (struct cl_instance *)host->self;
}

#endif
