/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/room.h"
#include "core/error/error.h"
#include "core/util/mem.h"

int cl_names_copy(const char *const *names, char ***ret)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    char **copy = cl_calloc(count + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = cl_strdup(names[i]);
        if (!copy[i]) {
            cl_names_free(copy);
            return -ENOMEM;
        }
    }
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

void cl_names_free(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

int cl_engine_add_service(struct cl_engine *engine, const struct cl_engine_service_args *args,
                          struct cloister_error *err)
{
    if (cl_service_lookup(engine, cl_sv_cstr(args->name)))
        return cl_error_set(err, CLOISTER_EXISTS, 0, args->name, "service", "service '%s' exists", args->name);
    struct cl_service *service = cl_new(struct cl_service);
    if (!service)
        return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, args->name, "service", "service '%s'", args->name);
    cl_list_init(&service->node);
    service->engine = engine;
    service->record_error = (struct cloister_error)CLOISTER_ERROR_INIT;
    service->store = args->store;
    service->personality = args->personality;
    service->backend = args->isolation ? cl_backend_of(args->isolation) : NULL;
    service->machine_stats = args->machine_stats;
    service->name = cl_strdup(args->name);
    if (!service->name || cl_names_copy(args->see, &service->see) < 0 || cl_names_copy(args->act, &service->act) < 0) {
        cl_service_free(service);
        return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, args->name, "service", "service '%s'", args->name);
    }
    cl_list_append(&engine->services, &service->node);
    args->personality->engine_room = service;
    return 0;
}

void cl_service_free(struct cl_service *service)
{
    cl_list_remove(&service->node);
    cl_map_free(&service->names);
    cl_names_free(service->see);
    cl_names_free(service->act);
    free((void *)(uintptr_t)service->record.data);
    free(service->name);
    free(service);
}

struct cl_service *cl_service_of(const struct cloister_host *host)
{
    return cl_instance_of(host)->engine_room;
}

static struct cl_service *find(const struct cl_list *services, struct cloister_sv name)
{
    CL_LIST_FOREACH(node, services)
    {
        struct cl_service *service = CL_CONTAINER(node, struct cl_service, node);
        if (cl_sv_is(name, service->name))
            return service;
    }
    return NULL;
}

struct cl_service *cl_service_lookup(const struct cl_engine *engine, struct cloister_sv name)
{
    return find(&engine->services, name);
}

static bool granted(char *const *names, const char *owner)
{
    for (; *names; names++)
        if (strcmp(*names, "*") == 0 || strcmp(*names, owner) == 0)
            return true;
    return false;
}

struct cl_service *cl_service_ghost(struct cl_engine *engine, struct cloister_sv name)
{
    struct cl_service *service = find(&engine->ghost_services, name);
    if (service)
        return service;
    service = cl_new(struct cl_service);
    if (!service)
        return NULL;
    cl_list_init(&service->node);
    service->engine = engine;
    service->ghost = true;
    service->name = cl_sv_dup(name.size ? name : CLOISTER_SV(""));
    if (!service->name) {
        cl_service_free(service);
        return NULL;
    }
    cl_list_append(&engine->ghost_services, &service->node);
    return service;
}

bool cl_service_sees(const struct cl_service *service, const struct cl_service *owner)
{
    return service == owner || granted(service->see, owner->name);
}

bool cl_service_acts(const struct cl_service *service, const struct cl_service *owner)
{
    return service == owner || granted(service->act, owner->name);
}
