/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/unknown.h"

#include <errno.h>

#include "core/error/error.h"
#include "core/log/log.h"

/* Who is asked if it has to be taken down: of a record that names nobody, whoever there is. */
static struct cl_backend *choose_backend(struct cl_engine *engine, const struct cl_unknown *args)
{
    struct cl_list *first = cl_list_first(&engine->backends);
    if (args->backend)
        return args->backend;
    if (!args->isolation.size && first)
        return CL_CONTAINER(first, struct cl_backend, node);
    struct cl_backend *backend = cl_backend_lookup(engine, args->isolation);
    return backend ? backend : cl_backend_ghost(engine, args->isolation);
}

/* It may live, and use what its plan names. Without a plan nothing is known of that. */
static void hold(const struct cl_backend *backend, struct cloister_sv plan)
{
    if (!backend->ghost && backend->vtable->hold && plan.size)
        backend->vtable->hold(backend->instance->self, plan);
}

void cl_unknown_become(struct cl_sandbox *sandbox, const struct cloister_error *why)
{
    sandbox->unknown = true;
    sandbox->state = CLOISTER_SANDBOX_UNKNOWN;
    sandbox->recovering = sandbox->no_contact = sandbox->uncommitted = false;
    sandbox->held = true; /* nothing is told of it */
    sandbox->made = true; /* perhaps */
    hold(sandbox->backend, sandbox->plan);
    sandbox->failure = (struct cloister_error)CLOISTER_ERROR_INIT;
    cl_error_copy(&sandbox->failure, why);
    cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, why, "sandbox %s is unknown and left as it is", sandbox->id);
}

int cl_unknown_make(struct cl_engine *engine, const struct cl_unknown *args, const struct cloister_error *why)
{
    struct cl_service *service = cl_service_lookup(engine, args->service);
    struct cl_backend *backend = choose_backend(engine, args);
    struct cl_sandbox *sandbox;
    if (cl_map_get(&engine->by_id, args->id))
        return -EEXIST;
    if (!service)
        service = cl_service_ghost(engine, args->service);
    if (!service || !backend)
        return -ENOMEM;
    int r = cl_sandbox_restore(service, backend, args->id, args->name, &sandbox);
    if (r == -EEXIST) /* the name is somebody's: it goes by its id */
        r = cl_sandbox_restore(service, backend, args->id, cl_sv(NULL, 0), &sandbox);
    if (r < 0)
        return r;
    sandbox->store = args->store;
    sandbox->journal.exists = args->store != NULL;
    sandbox->cookie = args->cookie ? args->cookie : engine->cookie;
    sandbox->plan = cl_arena_sv(&sandbox->arena, args->plan);
    if (sandbox->arena.failed) {
        cl_sandbox_forget(sandbox);
        return -ENOMEM;
    }
    if (!sandbox->plan.size)
        hold(backend, args->unexplained);
    cl_unknown_become(sandbox, why);
    return 0;
}
