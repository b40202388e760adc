/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - the living: plugin instances, made from configuration entries.
 *
 * An entry names a plugin, its options and, for isolation and persistence, wrappers. The registry has the loader open
 * each file, has core/config check each link's options against its own table, and then creates the chain from the
 * inside out: the plugin itself first, then each wrapper with the vtable and instance it wraps, the first named ending
 * up outermost. Seen from the rooms above, a chain is one instance: they call the outermost vtable, and whatever a link
 * says through its host table counts as said by the outermost. Only labels keep them apart, so that a log line names
 * the plugin that wrote it. Rooms attach their own pointers to an instance; the registry does not look at them. Whoever
 * created an instance destroys it; at the end none is left.
 */
#include "core/registry/registry.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

#define SKIPPED 1 /* the entry is optional and its plugin is not installed */

struct cl_registry {
    struct cl_loader *loader;
    cl_host_fill_fn fill;
    void *ctx;
    struct cl_instance *first; /* outermost ones; the rest hangs on ->inner */
};

/* Every vtable begins alike, so any of them leads to create and destroy. */
#define LIFE_OFFSET offsetof(struct cloister_transport, life)
_Static_assert(offsetof(struct cloister_isolation, life) == LIFE_OFFSET, "lifecycle comes first");
_Static_assert(offsetof(struct cloister_persistence, life) == LIFE_OFFSET, "lifecycle comes first");
_Static_assert(offsetof(struct cloister_personality, life) == LIFE_OFFSET, "lifecycle comes first");

static const struct cloister_lifecycle *life_of(const struct cl_instance *instance)
{
    return &instance->vtable->transport.life;
}

int cl_registry_new(struct cl_loader *loader, cl_host_fill_fn fill, void *ctx, struct cl_registry **ret)
{
    struct cl_registry *registry = cl_new(struct cl_registry);
    if (!registry)
        return -ENOMEM;
    registry->loader = loader;
    registry->fill = fill;
    registry->ctx = ctx;
    *ret = registry;
    return 0;
}

struct cl_registry *cl_registry_free(struct cl_registry *registry)
{
    if (!registry)
        return NULL;
    assert(!registry->first);
    free(registry);
    return NULL;
}

/* 0, SKIPPED, or negative errno. */
static int load_link(struct cl_registry *registry, uint32_t kind, const struct cl_config_entry *entry, bool wrapper,
                     const struct cl_module **ret, struct cloister_error *err)
{
    struct cloister_error own = CLOISTER_ERROR_INIT;
    const struct cl_module *module = NULL;
    int r = cl_loader_load(registry->loader, entry->plugin, kind, &module, &own);
    if (r < 0) {
        if (entry->optional && own.code == CLOISTER_NO_ENTITY)
            return SKIPPED;
        cl_error_copy(err, &own);
        cl_config_wrap_entry(entry, err);
        return r;
    }
    if (wrapper != !!(module->plugin.flags & CLOISTER_PLUGIN_WRAPPER)) {
        r = cl_error_set(err, CLOISTER_INVALID, 0, entry->path, "wrapper", "plugin file '%s': it is %s", module->path,
                         wrapper ? "not a wrapper; only wrappers may stand in \"wrap\""
                                 : "a wrapper; it may stand in \"wrap\" only");
        cl_config_wrap_entry(entry, err);
        return r;
    }
    *ret = module;
    return 0;
}

static int check_link(struct cl_registry *registry, uint32_t kind, const struct cl_config_entry *entry, bool wrapper,
                      const struct cl_module **ret_module, struct cloister_option_value **ret_options,
                      struct cloister_error *err)
{
    const struct cl_module *module = NULL;
    struct cloister_option_value *options = NULL;
    int r = load_link(registry, kind, entry, wrapper, &module, err);
    if (r != 0)
        return r;
    r = cl_config_check_options(entry, module->options, module->plugin.option_count, &options, err);
    if (r < 0)
        return r;
    *ret_module = module;
    *ret_options = options;
    return 0;
}

int cl_registry_check(struct cl_registry *registry, uint32_t kind, const struct cl_config_entry *entry,
                      const struct cl_module **ret_module, struct cloister_error *err)
{
    const struct cl_module *module = NULL, *wrapper = NULL;
    CL_FREE struct cloister_option_value *options = NULL;
    int r = check_link(registry, kind, entry, false, &module, &options, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < entry->wrap_count; i++) {
        CL_FREE struct cloister_option_value *wrap_options = NULL;
        r = check_link(registry, kind, &entry->wrap[i], true, &wrapper, &wrap_options, err);
        if (r < 0)
            return r;
    }
    if (ret_module)
        *ret_module = module;
    return 0;
}

static struct cl_instance *link_free(struct cl_instance *link)
{
    free(link->name);
    free(link->label);
    free(link->options);
    free(link);
    return NULL;
}

static void chain_free(struct cl_instance *outermost)
{
    for (struct cl_instance *inner; outermost; outermost = inner) {
        inner = outermost->inner;
        link_free(outermost);
    }
}

static int link_new(struct cl_registry *registry, uint32_t kind, const char *name, const struct cl_config_entry *entry,
                    bool wrapper, struct cl_instance **ret, struct cloister_error *err)
{
    struct cl_instance *link = cl_new(struct cl_instance);
    if (!link)
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "create %s '%s'", cl_kind_name(kind), name);
    int r = check_link(registry, kind, entry, wrapper, &link->module, &link->options, err);
    if (r != 0) {
        link_free(link);
        return r;
    }
    link->kind = kind;
    link->vtable = &link->module->vtable;
    link->name = cl_strdup(name);
    link->label = cl_asprintf("%s '%s' (%s)", cl_kind_name(kind), name, link->module->plugin.name);
    if (!link->name || !link->label) {
        link_free(link);
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "create %s '%s'", cl_kind_name(kind), name);
    }
    *ret = link;
    return 0;
}

/* All links, none created yet. The outermost must be known before the first create: each host points at it. */
static int chain_new(struct cl_registry *registry, uint32_t kind, const char *name, const struct cl_config_entry *entry,
                     struct cl_instance **ret, struct cloister_error *err)
{
    struct cl_instance *outermost = NULL, *link = NULL;
    int r = link_new(registry, kind, name, entry, false, &outermost, err);
    if (r == SKIPPED)
        cl_log(CL_LOG_WARN, "registry", "%s '%s' is left out: its plugin '%s' is optional and not installed",
               cl_kind_name(kind), name, entry->plugin);
    if (r != 0)
        return r;
    for (size_t i = entry->wrap_count; i-- > 0;) {
        r = link_new(registry, kind, name, &entry->wrap[i], true, &link, err);
        if (r == SKIPPED) {
            cl_log(CL_LOG_WARN, "registry", "%s '%s' is not wrapped by '%s': that plugin is optional and not installed",
                   cl_kind_name(kind), name, entry->wrap[i].plugin);
            continue;
        }
        if (r != 0) {
            chain_free(outermost);
            return r;
        }
        link->inner = outermost;
        outermost = link;
    }
    *ret = outermost;
    return 0;
}

static int link_create(struct cl_registry *registry, struct cl_instance *link, struct cl_instance *outermost,
                       struct cloister_error *err)
{
    struct cloister_error own = CLOISTER_ERROR_INIT;
    link->host.struct_size = (uint32_t)sizeof(link->host);
    link->host.abi_major = CLOISTER_ABI_MAJOR;
    link->host.abi_minor = CLOISTER_ABI_MINOR;
    link->host.self = outermost;
    registry->fill(registry->ctx, link);
    struct cloister_create_args args = {
        CLOISTER_INIT(struct cloister_create_args),
        .option_count = link->module->plugin.option_count,
        .host = &link->host,
        .name = {link->name, strlen(link->name)},
        .options = link->options,
        .option_size = sizeof(*link->options),
        .next_vtable = link->inner ? link->inner->vtable : NULL,
        .next_instance = link->inner ? link->inner->self : NULL,
    };
    if (life_of(link)->create(&args, &link->self, &own) == 0)
        return 0;
    if (own.code == CLOISTER_OK)
        cl_error_set(&own, CLOISTER_INTERNAL, 0, NULL, "create", "its create failed without saying why");
    cl_error_copy(err, &own);
    cl_error_wrap(err, "plugin '%s'", link->module->plugin.name);
    return cl_error_errno_of(own.code);
}

/* Outermost first, as no wrapper may call into something that is gone; links from `link` inwards have been created. */
static void chain_end(struct cl_instance *link)
{
    for (; link; link = link->inner)
        life_of(link)->destroy(link->self);
}

/* Innermost first. On failure what was created is ended again. */
static int chain_create(struct cl_registry *registry, struct cl_instance *link, struct cl_instance *outermost,
                        struct cloister_error *err)
{
    int r = link->inner ? chain_create(registry, link->inner, outermost, err) : 0;
    if (r < 0)
        return r;
    r = link_create(registry, link, outermost, err);
    if (r < 0)
        chain_end(link->inner);
    return r;
}

int cl_registry_create(struct cl_registry *registry, uint32_t kind, const char *name,
                       const struct cl_config_entry *entry, struct cl_instance **ret, struct cloister_error *err)
{
    struct cl_instance *instance = NULL, **end = &registry->first;
    int r = chain_new(registry, kind, name, entry, &instance, err);
    if (r == SKIPPED) {
        *ret = NULL;
        return 0;
    }
    if (r != 0)
        return r;
    r = chain_create(registry, instance, instance, err);
    if (r < 0) {
        chain_free(instance);
        return r;
    }
    while (*end)
        end = &(*end)->next;
    *end = instance;
    *ret = instance;
    return 0;
}

struct cl_instance *cl_registry_lookup(const struct cl_registry *registry, uint32_t kind, const char *name)
{
    struct cl_instance *instance = registry->first;
    while (instance && (instance->kind != kind || strcmp(instance->name, name) != 0))
        instance = instance->next;
    return instance;
}

struct cl_instance *cl_registry_first(const struct cl_registry *registry)
{
    return registry->first;
}

void cl_registry_destroy(struct cl_registry *registry, struct cl_instance *instance)
{
    struct cl_instance **at = &registry->first;
    while (*at && *at != instance)
        at = &(*at)->next;
    assert(*at);
    *at = instance->next;
    chain_end(instance);
    chain_free(instance);
}
