/* SPDX-License-Identifier: Apache-2.0 */
/* views.c - what a service may look at, answered in the call from memory. */
#include "core/engine/views.h"

#include <unistd.h>

#include "core/engine/freeze.h"
#include "core/engine/label.h"
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

static uint32_t sandbox_flags(const struct cl_sandbox *sandbox)
{
    return (sandbox->journal.owed ? CLOISTER_SANDBOX_DIRTY : 0) |
           (sandbox->recovering ? CLOISTER_SANDBOX_RECOVERING : 0) |
           (sandbox->no_contact ? CLOISTER_SANDBOX_NO_CONTACT : 0) | (sandbox->frozen ? CLOISTER_SANDBOX_FROZEN : 0) |
           (sandbox->uncommitted ? CLOISTER_SANDBOX_UNCOMMITTED : 0);
}

struct cloister_sandbox_info cl_view_sandbox(const struct cl_sandbox *sandbox)
{
    struct cloister_sandbox_info info = {
        CLOISTER_INIT(struct cloister_sandbox_info),
        .state = sandbox->state,
        .cause = sandbox->cause,
        .flags = sandbox_flags(sandbox),
        .id = cl_sandbox_id(sandbox),
        .name = sandbox->name,
        .service = cl_sv_cstr(sandbox->service->name),
        .isolation = cl_sv_cstr(sandbox->backend->instance->name),
        .created_real_ns = sandbox->created_real_ns,
        .created_boot_ns = sandbox->created_boot_ns,
        .process_count = sandbox->by_number.size,
        .failure = sandbox->failure,
        .limits = sandbox->limits.in_force,
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
    struct cloister_sandbox_info info = cl_view_sandbox(sandbox);
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
    info.sandboxes += cl_sandbox_visible(CL_CONTAINER(node, struct cl_sandbox, node), service);
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
        if (theirs && !cl_sandbox_visible(theirs, service))
            continue;
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
        if (!cl_sandbox_visible(sandbox, service))
            continue;
        struct cloister_sandbox_info info = cl_view_sandbox(sandbox);
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
            .frozen = cl_frozen(sandbox, container),
            .limits = container->limits.in_force,
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
            .tag = process->tag,
            .captured = process->captured,
            .status = process->status,
            .started_real_ns = process->started_real_ns,
        };
        fn(ctx, &info);
    }
    return 0;
}

/* A secret is its owner's alone. */
static bool hidden(const struct cl_service *service, const struct cl_sandbox *sandbox, const struct cl_label *label)
{
    return label->flags & CLOISTER_LABEL_SECRET && sandbox->service != service;
}

int32_t cl_view_labels(const struct cloister_host *host, struct cloister_sv id, cloister_label_fn fn, void *ctx,
                       struct cloister_error *err)
{
    const struct cl_service *service = cl_service_of(host);
    struct cl_sandbox *sandbox = cl_sandbox_find(service, id, false, err);
    if (!sandbox)
        return -1;
    cl_labels_know(sandbox);
    for (size_t i = 0; i < sandbox->label_count; i++)
        fn(ctx, sandbox->labels[i].key,
           hidden(service, sandbox, &sandbox->labels[i]) ? cl_sv(NULL, 0) : sandbox->labels[i].value,
           sandbox->labels[i].flags);
    return 0;
}

int32_t cl_view_label_get(const struct cloister_host *host, struct cloister_sv id, struct cloister_sv key,
                          struct cloister_sv *ret, struct cloister_error *err)
{
    const struct cl_service *service = cl_service_of(host);
    struct cl_sandbox *sandbox = cl_sandbox_find(service, id, false, err);
    if (!sandbox)
        return -1;
    cl_labels_know(sandbox);
    const struct cl_label *label = cl_label_find(sandbox, key);
    if (label && !hidden(service, sandbox, label)) {
        *ret = label->value;
        return 0;
    }
    if (label)
        (void)cl_error_set(err, CLOISTER_DENIED, 0, NULL, "label", "label '%.*s' of sandbox '%.*s' is secret",
                           CL_SV_ARG(key), CL_SV_ARG(sandbox->name));
    else
        (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "label", "sandbox '%.*s' has no label '%.*s'",
                           CL_SV_ARG(sandbox->name), CL_SV_ARG(key));
    cl_error_subject(err, key);
    return -1;
}

int32_t cl_view_spec_default(const struct cloister_host *host, struct cloister_sv profile, struct cloister_sv *ret,
                             struct cloister_error *err)
{
    return cl_profile_get(cl_service_of(host)->engine, profile, ret, err) < 0 ? -1 : 0;
}
