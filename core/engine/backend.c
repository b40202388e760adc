/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/recover.h"
#include "core/engine/room.h"
#include "core/engine/sandbox.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

_Static_assert(sizeof(struct cloister_result) <= CL_CALL_RESULT_MAX, "a result does not fit where early ones wait");

static void keep_result(struct cl_arena *arena, void *data)
{
    struct cloister_result *result = data;
    result->sandbox = cl_arena_sv(arena, result->sandbox);
    result->json = cl_arena_sv(arena, result->json);
    result->data = cl_arena_sv(arena, result->data);
    result->home = cl_arena_sv(arena, result->home);
    result->outputs =
        cl_arena_array(arena, result->outputs, result->output_count, result->output_size, sizeof(*result->outputs));
    result->output_size = sizeof(*result->outputs);
    struct cloister_stat *stats =
        cl_arena_array(arena, result->stats, result->stat_count, result->stat_size, sizeof(*stats));
    for (uint64_t i = 0; stats && i < result->stat_count; i++)
        stats[i].key = cl_arena_sv(arena, stats[i].key);
    struct cloister_proc *procs =
        cl_arena_array(arena, result->procs, result->proc_count, result->proc_size, sizeof(*procs));
    for (uint64_t i = 0; procs && i < result->proc_count; i++)
        procs[i].comm = cl_arena_sv(arena, procs[i].comm);
    result->stats = stats;
    result->stat_size = sizeof(*stats);
    result->procs = procs;
    result->proc_size = sizeof(*procs);
    result->data = cl_arena_sv(arena, result->data);
    if (result->inventory)
        result->inventory = cl_inventory_keep(arena, result->inventory);
}

static void log_missing(const struct cl_instance *instance, const struct cloister_iso_probe *probe)
{
    for (uint64_t i = 0; i < probe->feature_count; i++) {
        struct cloister_feature feature;
        cl_element_copy(&feature, sizeof(feature), probe->features, probe->feature_size, i);
        if (feature.name && !feature.present)
            cl_log(CL_LOG_INFO, CL_ENGINE_AREA, "%s cannot do %s here: %s", instance->label, feature.name,
                   feature.reason ? feature.reason : "no reason given");
    }
}

static struct cl_backend *find(const struct cl_list *backends, struct cloister_sv name)
{
    CL_LIST_FOREACH(node, backends)
    {
        struct cl_backend *backend = CL_CONTAINER(node, struct cl_backend, node);
        if (cl_sv_is(name, backend->instance->name))
            return backend;
    }
    return NULL;
}

static struct cl_backend *backend_new(struct cl_engine *engine, struct cl_instance *isolation)
{
    struct cl_backend *backend = cl_new(struct cl_backend);
    if (!backend)
        return NULL;
    cl_list_init(&backend->node);
    backend->engine = engine;
    backend->instance = isolation;
    backend->vtable = &isolation->vtable->isolation;
    if (cl_calls_init(&backend->calls, engine->loop, CL_ENGINE_AREA, isolation->label, sizeof(struct cloister_result),
                      keep_result) < 0) {
        cl_backend_free(backend);
        return NULL;
    }
    return backend;
}

int cl_engine_add_isolation(struct cl_engine *engine, struct cl_instance *isolation, struct cloister_error *err)
{
    struct cloister_iso_probe probe = {CLOISTER_INIT(struct cloister_iso_probe)};
    if (isolation->vtable->isolation.probe(isolation->self, &probe, err) != 0) {
        cl_error_wrap(err, "%s cannot work on this machine", isolation->label);
        return err && err->os_errno ? -err->os_errno : -EIO;
    }
    log_missing(isolation, &probe);
    struct cl_backend *backend = backend_new(engine, isolation);
    if (!backend)
        return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, isolation->name, "isolation", "%s", isolation->label);
    backend->capabilities = probe.capabilities;
    backend->max_sandboxes = probe.max_sandboxes;
    cl_list_append(&engine->backends, &backend->node);
    isolation->engine_room = backend;
    return 0;
}

static void ghost_free(struct cl_instance *instance)
{
    if (!instance)
        return;
    free(instance->name);
    free(instance->label);
    free(instance);
}

/* An instance that has a name and not one slot. */
static struct cl_instance *ghost_new(struct cloister_sv name)
{
    static const union cl_vtable nothing;
    struct cl_instance *instance = cl_new(struct cl_instance);
    if (!instance)
        return NULL;
    instance->vtable = &nothing;
    instance->name = cl_sv_dup(name.size ? name : CLOISTER_SV(""));
    instance->label = cl_asprintf("isolation '%.*s' (not in the config)", CL_SV_ARG(name));
    if (instance->name && instance->label)
        return instance;
    ghost_free(instance);
    return NULL;
}

struct cl_backend *cl_backend_ghost(struct cl_engine *engine, struct cloister_sv name)
{
    struct cl_backend *backend = find(&engine->ghost_backends, name);
    if (backend)
        return backend;
    struct cl_instance *instance = ghost_new(name);
    backend = instance ? backend_new(engine, instance) : NULL;
    if (!backend) {
        ghost_free(instance);
        return NULL;
    }
    backend->ghost = true;
    cl_list_append(&engine->ghost_backends, &backend->node);
    return backend;
}

void cl_backend_free(struct cl_backend *backend)
{
    cl_calls_close(&backend->calls);
    cl_list_remove(&backend->node);
    if (backend->ghost)
        ghost_free(backend->instance);
    free(backend);
}

struct cl_backend *cl_backend_of(const struct cl_instance *instance)
{
    return instance->engine_room;
}

struct cl_backend *cl_backend_lookup(const struct cl_engine *engine, struct cloister_sv name)
{
    return find(&engine->backends, name);
}

/* ---- upcalls ---- */

static struct cl_backend *caller(const struct cloister_host *host)
{
    return cl_backend_of(cl_instance_of(host));
}

static void upcall_done(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                        const struct cloister_result *result)
{
    struct cl_backend *backend = caller(host);
    if (backend)
        cl_calls_done(&backend->calls, op, error, result);
    else
        cl_log(CL_LOG_ERROR, CL_ENGINE_AREA, "%s completed operation %llu although nothing was asked of it",
               cl_instance_of(host)->label, (unsigned long long)op);
}

static void upcall_event(const struct cloister_host *host, const struct cloister_iso_event *event)
{
    struct cl_backend *backend = caller(host);
    struct cloister_iso_event ours;
    cl_struct_copy(&ours, sizeof(ours), event);
    if (backend)
        cl_notice_take(backend, &ours);
}

static void upcall_orphan(const struct cloister_host *host, struct cloister_sv sandbox, const char *kind,
                          struct cloister_sv name, uint32_t removed)
{
    struct cl_backend *backend = caller(host);
    if (backend)
        cl_sweep_orphan(backend, sandbox, kind, name, removed != 0);
}

static void upcall_warning(const struct cloister_host *host, struct cloister_sv sandbox, struct cloister_sv json_path,
                           const char *text)
{
    /* Info: it tells the spec's author something, the daemon's operator can do nothing about it. */
    cl_log(CL_LOG_INFO, CL_ENGINE_AREA, "%s: sandbox %.*s: %.*s: %s", cl_instance_of(host)->label, CL_SV_ARG(sandbox),
           CL_SV_ARG(json_path), text);
}

static void upcall_progress(const struct cloister_host *host, struct cloister_sv sandbox, const char *step,
                            uint64_t done, uint64_t total)
{
    cl_log(CL_LOG_DEBUG, CL_ENGINE_AREA, "%s: sandbox %.*s: %s %llu/%llu", cl_instance_of(host)->label,
           CL_SV_ARG(sandbox), step, (unsigned long long)done, (unsigned long long)total);
}

const struct cloister_iso_api cl_engine_iso_api = {
    CLOISTER_INIT(struct cloister_iso_api),
    .done = upcall_done,
    .event = upcall_event,
    .orphan = upcall_orphan,
    .warning = upcall_warning,
    .progress = upcall_progress,
};
