/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - the part of the validation that needs the plugins themselves.
 *
 * core/config has checked the document: keys, types, references. Whether a named plugin can be loaded, accepts its
 * options and has the capabilities that a personality declares to need is known only to descriptors. They are constant
 * and loading has no side effect, so all of it is settled before the first directory, socket or mount is made. What a
 * *machine* can do is found out later, by isolation's probe.
 */
#include "core/inspect/check.h"

#include "core/error/error.h"
#include "core/loader/capability.h"
#include "core/loader/executable.h"
#include "core/util/fd.h"
#include "core/util/str.h"

#define WORDS_MAX 1024u

/* What is needed and not provided, in words; a sentence that names who needs what of whom. */
static int check_needs(const struct cl_config_service *service, const struct cl_module *personality, uint64_t needs,
                       const struct cl_module *provider, const struct cl_config_entry *where,
                       struct cloister_error *err)
{
    uint32_t kind = provider->plugin.kind;
    uint64_t missing = needs & ~provider->plugin.provides;
    struct cl_str words CL_STR_CLEANUP = CL_STR_INIT(WORDS_MAX);
    if (!missing)
        return 0;
    cl_capability_words(kind, missing, ", ", &words);
    int r = cl_error_set(
        err, CLOISTER_INVALID, 0, where->path, "capability",
        "personality '%s' of service '%s' needs %s capability %s, which '%s' does not provide; name another plugin "
        "here",
        personality->plugin.name, service->name, cl_kind_name(kind), words.data ? words.data : "",
        provider->plugin.name);
    cl_config_wrap_entry(where, err);
    return r;
}

/* A service that is there needs all that it names: an optional plugin may be missing, but not under it. */
static int missing_optional(const struct cl_config_service *service, const struct cl_config_entry *entry,
                            struct cloister_error *err)
{
    int r = cl_error_set(
        err, CLOISTER_NO_ENTITY, 0, entry->path, "not-found",
        "service '%s' needs this, but its optional plugin '%s' is not installed; install it or remove the service",
        service->name, entry->plugin);
    cl_config_wrap_entry(entry, err);
    return r;
}

static int check_backend(struct cl_registry *registry, const struct cl_config_service *service, uint32_t kind,
                         const struct cl_config_entry *entry, const struct cl_module **ret, struct cloister_error *err)
{
    int r = cl_registry_check(registry, kind, entry, ret, err);
    return r == 0 && !*ret ? missing_optional(service, entry, err) : r;
}

static int check_listen(struct cl_registry *registry, const struct cl_config_service *service,
                        const struct cl_config_listen *listen, const struct cl_module *personality,
                        struct cloister_error *err)
{
    size_t there = 0;
    for (size_t i = 0; i < listen->transport_count; i++) {
        const struct cl_config_entry *entry = &listen->transports[i];
        const struct cl_module *transport;
        int r = cl_registry_check(registry, CLOISTER_KIND_TRANSPORT, entry, &transport, err);
        if (r == 0 && transport && personality)
            r = check_needs(service, personality, personality->plugin.needs_transport, transport, entry, err);
        if (r < 0)
            return r;
        there += transport != NULL;
    }
    if (!there && personality)
        return missing_optional(service, &listen->transports[0], err);
    return 0;
}

static int check_service(struct cl_registry *registry, const struct cl_config_service *service,
                         struct cloister_error *err)
{
    const struct cl_module *personality, *isolation, *persistence;
    int r = cl_registry_check(registry, CLOISTER_KIND_PERSONALITY, &service->personality, &personality, err);
    for (size_t i = 0; r == 0 && i < service->listen_count; i++)
        r = check_listen(registry, service, &service->listen[i], personality, err);
    if (r < 0 || !personality) /* an optional one is missing: the service is left out */
        return r;
    r = check_backend(registry, service, CLOISTER_KIND_PERSISTENCE, service->persistence, &persistence, err);
    if (r == 0)
        r = check_backend(registry, service, CLOISTER_KIND_ISOLATION, service->isolation, &isolation, err);
    if (r == 0)
        r = check_needs(service, personality, personality->plugin.needs_isolation, isolation, service->isolation, err);
    return r;
}

static int check_entries(struct cl_registry *registry, uint32_t kind, const struct cl_config_entry *entries,
                         size_t count, struct cloister_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_registry_check(registry, kind, &entries[i], NULL, err);
    return r;
}

/* They are checked again each time before they are run. */
static int check_helpers(const struct cl_config *config, struct cloister_error *err)
{
    for (size_t i = 0; config->helpers[i]; i++) {
        CL_CLOSE int fd = -1;
        int r = cl_executable_open(config->helpers[i], &fd, NULL, err);
        if (r < 0) {
            cl_config_wrap_helper(config, i, err);
            return r;
        }
    }
    return 0;
}

int cl_check_config(const struct cl_config *config, struct cl_registry *registry, struct cloister_error *err)
{
    int r = check_helpers(config, err);
    if (r == 0)
        r = check_entries(registry, CLOISTER_KIND_PERSISTENCE, config->persistence, config->persistence_count, err);
    if (r == 0)
        r = check_entries(registry, CLOISTER_KIND_ISOLATION, config->isolation, config->isolation_count, err);
    for (size_t i = 0; r == 0 && i < config->service_count; i++)
        r = check_service(registry, &config->services[i], err);
    return r;
}
