/* SPDX-License-Identifier: Apache-2.0 */
/* views.c - what a service may look at, answered in the call from memory. */
#include "core/engine/views.h"

#include <unistd.h>

#include "core/engine/operation.h"
#include "core/error/error.h"

/* Writes no more than the other side has room for; its struct_size stays. */
static void hand_out(void *to, const void *from, size_t size)
{
    uint32_t theirs;
    memcpy(&theirs, to, sizeof(theirs));
    size_t both = theirs < size ? theirs : size;
    if (both > sizeof(theirs))
        memcpy((char *)to + sizeof(theirs), (const char *)from + sizeof(theirs), both - sizeof(theirs));
}

static struct cloister_sandbox_info sandbox_info(const struct cl_sandbox *sandbox)
{
    struct cloister_sandbox_info info = {
        CLOISTER_INIT(struct cloister_sandbox_info),
        .state = sandbox->state,
        .cause = sandbox->cause,
        .flags = sandbox->journal.owed ? CLOISTER_SANDBOX_DIRTY : 0,
        .id = cl_sandbox_id(sandbox),
        .name = sandbox->name,
        .service = cl_sv_cstr(sandbox->service->name),
        .isolation = cl_sv_cstr(sandbox->backend->instance->name),
        .created_real_ns = sandbox->created_real_ns,
        .created_boot_ns = sandbox->created_boot_ns,
        .process_count = sandbox->by_number.size,
        .failure = sandbox->failure,
    };
    CL_LIST_FOREACH(node, &sandbox->containers)
    info.container_count++;
    return info;
}

int32_t cl_view_info(const struct cloister_host *host, struct cloister_sv id, struct cloister_sandbox_info *ret,
                     struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = cl_sandbox_find(cl_service_of(host), id, false, err);
    if (!sandbox)
        return -1;
    struct cloister_sandbox_info info = sandbox_info(sandbox);
    hand_out(ret, &info, sizeof(info));
    return 0;
}

int32_t cl_view_machine_info(const struct cloister_host *host, struct cloister_machine_info *ret)
{
    const struct cl_service *service = cl_service_of(host);
    const struct cl_engine *engine = service->engine;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    struct cloister_machine_info info = {
        CLOISTER_INIT(struct cloister_machine_info),
        .cpus = cpus > 0 ? (uint32_t)cpus : 1,
        .memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0,
        .boot_id = cl_sv_cstr(engine->boot_id),
        .instance = cl_sv_cstr(engine->instance),
    };
    CL_LIST_FOREACH(node, &engine->sandboxes)
    info.sandboxes += cl_service_sees(service, CL_CONTAINER(node, struct cl_sandbox, node)->service);
    hand_out(ret, &info, sizeof(info));
    return 0;
}

int32_t cl_view_find(const struct cloister_host *host, struct cloister_sv name, struct cloister_sv *ret_id,
                     struct cloister_error *err)
{
    const struct cl_service *service = cl_service_of(host);
    const struct cl_sandbox *found = name.size ? cl_map_get(&service->names, name) : NULL;
    CL_LIST_FOREACH(node, &service->engine->services)
    {
        const struct cl_service *other = CL_CONTAINER(node, struct cl_service, node);
        if ((found && found->service == service) || other == service || !cl_service_sees(service, other))
            continue;
        const struct cl_sandbox *theirs = name.size ? cl_map_get(&other->names, name) : NULL;
        if (theirs && found) {
            (void)cl_error_set(err, CLOISTER_BUSY, 0, found->service->name, NULL,
                               "services '%s' and '%s' both have a sandbox '%.*s': use its id", found->service->name,
                               other->name, CL_SV_ARG(name));
            return -1;
        }
        found = theirs ? theirs : found;
    }
    if (!found) {
        (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "sandbox", "there is no sandbox '%.*s'", CL_SV_ARG(name));
        cl_error_subject(err, name);
        return -1;
    }
    *ret_id = cl_sandbox_id(found);
    return 0;
}

int32_t cl_view_iterate(const struct cloister_host *host, cloister_sandbox_fn fn, void *ctx)
{
    const struct cl_service *service = cl_service_of(host);
    CL_LIST_FOREACH(node, &service->engine->sandboxes)
    {
        const struct cl_sandbox *sandbox = CL_CONTAINER(node, struct cl_sandbox, node);
        if (!cl_service_sees(service, sandbox->service))
            continue;
        struct cloister_sandbox_info info = sandbox_info(sandbox);
        fn(ctx, &info);
    }
    return 0;
}

int32_t cl_view_containers(const struct cloister_host *host, struct cloister_sv id, cloister_container_fn fn, void *ctx,
                           struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = cl_sandbox_find(cl_service_of(host), id, false, err);
    if (!sandbox)
        return -1;
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        const struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        const struct cl_process *init = container->init;
        struct cloister_container_info info = {
            CLOISTER_INIT(struct cloister_container_info),
            .state = container->state,
            .cid = cl_sv_cstr(container->cid),
            .incarnation = container->incarnation,
            .pid = init && !cl_process_ended(init) ? init->pid : 0,
            .init = container->init_number,
            .status = container->status,
            .rootfs = cl_sv_cstr(container->rootfs),
            .started_real_ns = container->started_real_ns,
        };
        fn(ctx, &info);
    }
    return 0;
}

int32_t cl_view_processes(const struct cloister_host *host, struct cloister_sv id, cloister_process_fn fn, void *ctx,
                          struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = cl_sandbox_find(cl_service_of(host), id, false, err);
    if (!sandbox)
        return -1;
    CL_LIST_FOREACH(node, &sandbox->processes)
    {
        const struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (process->disowned)
            continue;
        struct cloister_process_info info = {
            CLOISTER_INIT(struct cloister_process_info),
            .state = process->state,
            .process = process->number,
            .pid = cl_process_ended(process) ? 0 : process->pid,
            .is_init = process->is_init,
            .container = cl_sv_cstr(process->container->cid),
            .name = cl_sv_cstr(process->name),
            .status = process->status,
            .started_real_ns = process->started_real_ns,
        };
        fn(ctx, &info);
    }
    return 0;
}

int32_t cl_view_labels(const struct cloister_host *host, struct cloister_sv id, cloister_label_fn fn, void *ctx,
                       struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = cl_sandbox_find(cl_service_of(host), id, false, err);
    if (!sandbox)
        return -1;
    for (size_t i = 0; i < sandbox->label_count; i++)
        fn(ctx, sandbox->labels[i].key, sandbox->labels[i].value);
    return 0;
}

int32_t cl_view_label_get(const struct cloister_host *host, struct cloister_sv id, struct cloister_sv key,
                          struct cloister_sv *ret, struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = cl_sandbox_find(cl_service_of(host), id, false, err);
    for (size_t i = 0; sandbox && i < sandbox->label_count; i++) {
        if (!cl_sv_eq(sandbox->labels[i].key, key))
            continue;
        *ret = sandbox->labels[i].value;
        return 0;
    }
    if (sandbox) {
        (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "label", "sandbox '%.*s' has no label '%.*s'",
                           CL_SV_ARG(sandbox->name), CL_SV_ARG(key));
        cl_error_subject(err, key);
    }
    return -1;
}

int32_t cl_view_spec_default(const struct cloister_host *host, struct cloister_sv profile, struct cloister_sv *ret,
                             struct cloister_error *err)
{
    return cl_profile_get(cl_service_of(host)->engine, profile, ret, err) < 0 ? -1 : 0;
}
