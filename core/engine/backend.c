/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/room.h"
#include "core/engine/sandbox.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

static void keep_result(struct cl_arena *arena, void *data)
{
    struct cloister_result *result = data;
    result->sandbox = cl_arena_sv(arena, result->sandbox);
    result->json = cl_arena_sv(arena, result->json);
    result->home = cl_arena_sv(arena, result->home);
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

int cl_engine_add_isolation(struct cl_engine *engine, struct cl_instance *isolation, struct cloister_error *err)
{
    struct cloister_iso_probe probe = {CLOISTER_INIT(struct cloister_iso_probe)};
    const struct cloister_isolation *vtable = &isolation->vtable->isolation;
    if (vtable->probe(isolation->self, &probe, err) != 0) {
        cl_error_wrap(err, "%s cannot work on this machine", isolation->label);
        return err && err->os_errno ? -err->os_errno : -EIO;
    }
    log_missing(isolation, &probe);
    struct cl_backend *backend = cl_new(struct cl_backend);
    if (!backend)
        return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, isolation->name, "isolation", "%s", isolation->label);
    cl_list_init(&backend->node);
    backend->engine = engine;
    backend->instance = isolation;
    backend->vtable = vtable;
    backend->capabilities = probe.capabilities;
    backend->max_sandboxes = probe.max_sandboxes;
    int r = cl_calls_init(&backend->calls, engine->loop, CL_ENGINE_AREA, isolation->label,
                          sizeof(struct cloister_result), keep_result);
    if (r < 0) {
        cl_backend_free(backend);
        return cl_error_set(err, CLOISTER_INTERNAL, r, isolation->name, "isolation", "%s", isolation->label);
    }
    cl_list_append(&engine->backends, &backend->node);
    isolation->engine_room = backend;
    return 0;
}

void cl_backend_free(struct cl_backend *backend)
{
    cl_calls_close(&backend->calls);
    cl_list_remove(&backend->node);
    free(backend);
}

struct cl_backend *cl_backend_of(const struct cl_instance *instance)
{
    return instance->engine_room;
}

struct cl_backend *cl_backend_lookup(const struct cl_engine *engine, struct cloister_sv name)
{
    CL_LIST_FOREACH(node, &engine->backends)
    {
        struct cl_backend *backend = CL_CONTAINER(node, struct cl_backend, node);
        if (cl_sv_is(name, backend->instance->name))
            return backend;
    }
    return NULL;
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
        cl_recovery_orphan(backend, sandbox, kind, name, removed != 0);
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
