/* SPDX-License-Identifier: Apache-2.0 */
/* From the checked config to instances, services and endpoints. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>

#include "core/daemon/state.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

#define OBSERVERS "cloister" /* members may look, where the config says nothing else */

static int no_memory(struct cloister_error *err, const char *what)
{
    return cl_error_set(err, CLOISTER_IO, ENOMEM, what, "memory", "%s", what);
}

/* *ret is NULL when an optional plugin is missing. */
static int create_instance(struct cl_daemon *daemon, uint32_t kind, const char *name,
                           const struct cl_config_entry *entry, struct cl_instance **ret, struct cloister_error *err)
{
    int r = cl_registry_create(daemon->registry, kind, name, entry, ret, err);

    if (r < 0)
        cl_error_wrap(err, "create %s '%s'", cl_kind_name(kind), name);
    return r;
}

static int create_backends(struct cl_daemon *daemon, struct cloister_error *err)
{
    const struct cl_config *config = daemon->config;
    struct cl_instance *instance;

    for (size_t i = 0; i < config->persistence_count; i++) {
        const struct cl_config_entry *entry = &config->persistence[i];
        instance = NULL;
        int r = create_instance(daemon, CLOISTER_KIND_PERSISTENCE, entry->name, entry, &instance, err);
        if (r < 0)
            return r;
        daemon->stores[i] = (struct cl_daemon_store){.daemon = daemon, .name = entry->name};
        if (instance && cl_store_new(daemon->loop, instance, &daemon->stores[i].store) < 0)
            return no_memory(err, "store");
    }
    for (size_t i = 0; i < config->isolation_count; i++) {
        const struct cl_config_entry *entry = &config->isolation[i];
        instance = NULL;
        int r = create_instance(daemon, CLOISTER_KIND_ISOLATION, entry->name, entry, &instance, err);
        if (r == 0 && instance)
            r = cl_engine_add_isolation(daemon->engine, instance, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void deliver(void *ctx, const struct cloister_event *event)
{
    struct cl_instance *personality = ctx;

    if (personality->vtable->personality.event)
        personality->vtable->personality.event(personality->self, event);
}

static struct cl_store *store_of(const struct cl_daemon *daemon, const struct cl_config_service *service)
{
    return daemon->stores[service->persistence - daemon->config->persistence].store;
}

static int create_service(struct cl_daemon *daemon, const struct cl_config_service *service, struct cloister_error *err)
{
    struct cl_engine_service_args args = {
        .name = service->name,
        .isolation = cl_registry_lookup(daemon->registry, CLOISTER_KIND_ISOLATION, service->isolation->name),
        .store = store_of(daemon, service),
        .see = service->see,
        .act = service->act,
        .machine_stats = service->machine_stats,
    };
    int r;

    if (!args.isolation || !args.store)
        return cl_error_set(err, CLOISTER_UNAVAILABLE, 0, service->name, "service",
                            "service '%s' needs %s '%s', whose optional plugin is missing", service->name,
                            args.isolation ? "persistence" : "isolation",
                            args.isolation ? service->persistence->name : service->isolation->name);
    r = create_instance(daemon, CLOISTER_KIND_PERSONALITY, service->name, &service->personality, &args.personality,
                        err);
    if (r < 0 || !args.personality) /* an optional one is missing: the service is not there */
        return r;
    r = cl_engine_add_service(daemon->engine, &args, err);
    if (r == 0 && cl_events_add(daemon->events, service->name, service->see, deliver, args.personality) < 0)
        r = no_memory(err, "events");
    return r;
}

int cl_daemon_create(struct cl_daemon *daemon, struct cloister_error *err)
{
    int r = create_backends(daemon, err);

    for (size_t i = 0; r == 0 && i < daemon->config->service_count; i++)
        r = create_service(daemon, &daemon->config->services[i], err);
    return r;
}

/* The config's rules; where it has none, members of the group `cloister`, if there is such a group, may observe. */
static size_t access_rules(const struct cl_config_listen *listen, gid_t *io_group, struct cl_access_rule *ret_rules)
{
    const struct group *observers;
    size_t count = 0;

    for (; count < listen->access_count; count++)
        ret_rules[count] = (struct cl_access_rule){
            .access = listen->access[count].access,
            .is_group = listen->access[count].is_group,
            .id = listen->access[count].id,
        };
    if (listen->access_count == 0 && (observers = getgrnam(OBSERVERS))) {
        ret_rules[count++] =
            (struct cl_access_rule){.access = CLOISTER_ACCESS_OBSERVE, .is_group = 1, .id = observers->gr_gid};
        if (*io_group == (gid_t)-1)
            *io_group = observers->gr_gid;
    }
    return count;
}

static int create_transports(struct cl_daemon *daemon, const struct cl_config_service *service, size_t index,
                             struct cl_instance **ret_transports, size_t *ret_count, struct cloister_error *err)
{
    const struct cl_config_listen *listen = &service->listen[index];
    char name[96];
    size_t count = 0;

    for (size_t i = 0; i < listen->transport_count; i++) {
        struct cl_instance *transport = NULL;
        (void)snprintf(name, sizeof(name), "%s.%zu.%zu", service->name, index, i);
        int r = create_instance(daemon, CLOISTER_KIND_TRANSPORT, name, &listen->transports[i], &transport, err);
        if (r < 0)
            return r;
        if (transport)
            ret_transports[count++] = transport;
    }
    *ret_count = count;
    return 0;
}

static int listen_on(struct cl_daemon *daemon, const struct cl_config_service *service, size_t index,
                     struct cl_instance *personality, struct cloister_error *err)
{
    const struct cl_config_listen *listen = &service->listen[index];
    CL_FREE struct cl_instance **transports = cl_calloc(listen->transport_count + 1, sizeof(*transports));
    CL_FREE struct cl_access_rule *rules = cl_calloc(listen->access_count + 1, sizeof(*rules));
    struct cl_listen_args args = {
        .address = listen->address,
        .handed = &daemon->handed,
        .mode = listen->mode,
        .group = listen->group,
        .max_connections = listen->connections,
        .max_per_uid = listen->connections_per_uid,
    };
    struct cl_endpoint_args endpoint = {
        .service = service->name,
        .address = listen->address,
        .personality = personality,
        .transports = transports,
        .rules = rules,
        .max_in_flight = listen->in_flight,
    };
    struct cl_endpoint *ret;

    if (!transports || !rules)
        return no_memory(err, "endpoint");
    endpoint.rule_count = access_rules(listen, &args.group, rules);
    int r = create_transports(daemon, service, index, transports, &endpoint.transport_count, err);
    if (r < 0 || endpoint.transport_count == 0)
        return r;
    r = cl_listener_open(daemon->loop, &args, &endpoint.listener, err);
    if (r < 0)
        return r;
    if (cl_exchanges_add(daemon->exchanges, &endpoint, &ret) < 0)
        return no_memory(err, "endpoint");
    return 0;
}

int cl_daemon_listen(struct cl_daemon *daemon, struct cloister_error *err)
{
    for (size_t i = 0; i < daemon->config->service_count; i++) {
        const struct cl_config_service *service = &daemon->config->services[i];
        struct cl_instance *personality =
            cl_registry_lookup(daemon->registry, CLOISTER_KIND_PERSONALITY, service->name);
        for (size_t j = 0; personality && j < service->listen_count; j++) {
            int r = listen_on(daemon, service, j, personality, err);
            if (r < 0) {
                cl_config_wrap_listen(daemon->config, &service->listen[j], err);
                cl_error_wrap(err, "listen for service '%s'", service->name);
                return r;
            }
        }
    }
    cl_handed_drop(&daemon->handed);
    return 0;
}

int cl_daemon_serve(struct cl_daemon *daemon, struct cloister_error *err)
{
    for (struct cl_instance *it = cl_registry_first(daemon->registry); it; it = it->next) {
        if (it->kind != CLOISTER_KIND_PERSONALITY || !it->vtable->personality.start)
            continue;
        if (it->vtable->personality.start(it->self, err) < 0) {
            cl_error_wrap(err, "start service '%s'", it->name);
            return -EIO;
        }
    }
    if (cl_exchanges_accept(daemon->exchanges) < 0)
        return no_memory(err, "accept connections");
    return 0;
}
