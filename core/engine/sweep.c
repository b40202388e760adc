/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c - whatever carries our cookie and belongs to no record set.
 *
 * It is removed only if a missing record can mean nothing else than an orphan: every durable store was opened clean and
 * is the one that the run directory remembers, and the config does not say otherwise. Else it is shown as unknown, and
 * left alone. Creates wait meanwhile: what they make has no record when the list of known ids is drawn up.
 *
 * A run directory is only what is left of a sandbox. It goes if every isolation has swept, so that nothing can live
 * behind it, and nobody answers in it: a keeper that cannot be found any more could not be ended either.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "core/engine/recover.h"
#include "core/engine/unknown.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"

static void next(struct cl_sweep *sweep);

void cl_sweep_init(struct cl_sweep *sweep, struct cl_engine *engine)
{
    sweep->engine = engine;
    sweep->may_remove = !engine->orphans_report && !engine->stores_changed;
}

int cl_sweep_know(struct cl_sweep *sweep, struct cloister_sv id, struct cl_store *store)
{
    return cl_map_put(&sweep->known, id, store);
}

void cl_sweep_free(struct cl_sweep *sweep)
{
    cl_map_free(&sweep->known);
    free(sweep->views);
}

static bool is_known(const struct cl_sweep *sweep, struct cloister_sv id)
{
    return cl_map_get(&sweep->known, id) || cl_map_get(&sweep->engine->by_id, id);
}

/* Nobody has a record of it, and nobody may remove it. 0 or -ENOMEM. */
static int keep_orphan(struct cl_engine *engine, struct cl_backend *backend, struct cloister_sv id, const char *what)
{
    const struct cl_unknown unknown = {.id = id, .backend = backend};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_LOST, 0, NULL, "record", "there is a %s of it and no record", what);
    int r = cl_unknown_make(engine, &unknown, &err);
    return r == -EEXIST ? 0 : r;
}

void cl_sweep_orphan(struct cl_backend *backend, struct cloister_sv sandbox, const char *kind, struct cloister_sv name,
                     bool removed)
{
    struct cl_recovery *recovery = backend->engine->recovery;
    cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "%s: found %s %.*s of sandbox %.*s, which has no record%s",
           backend->instance->label, kind, CL_SV_ARG(name), CL_SV_ARG(sandbox),
           removed ? "; removed" : "; left as it is");
    if (!recovery)
        return;
    recovery->sweep.orphans++;
    recovery->sweep.removed += removed;
    if (!removed && cl_id_valid(sandbox) && !is_known(&recovery->sweep, sandbox) &&
        keep_orphan(backend->engine, backend, sandbox, kind) < 0)
        recovery->sweep.again = true;
}

/* False: it has to stay. */
static bool remove_run_dir(const struct cl_sweep *sweep, const char *path)
{
    if (!sweep->may_remove || sweep->failed)
        return false;
    int r = cl_run_dir_in_use(path);
    if (r == 0)
        r = cl_run_dir_remove(path);
    if (r < 0)
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "remove %s: %s", path, strerror(-r));
    return r == 0;
}

/* Directories named like a sandbox that no record and no isolation instance speaks for. 0 or -ENOMEM. */
static int sweep_run_dirs(const struct cl_sweep *sweep)
{
    const char *run_dir = sweep->engine->run_dir;
    DIR *dir = opendir(run_dir);
    int r = 0;
    if (!dir)
        return 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        struct cloister_sv id = cl_sv_cstr(entry->d_name);
        if (!cl_id_valid(id) || is_known(sweep, id))
            continue;
        char CL_FREE *path = cl_asprintf("%s/%s", run_dir, entry->d_name);
        if (!path || !remove_run_dir(sweep, path))
            r = path ? keep_orphan(sweep->engine, NULL, id, "run directory") : -ENOMEM;
    }
    (void)closedir(dir);
    return r;
}

static void finish(struct cl_sweep *sweep)
{
    struct cl_engine *engine = sweep->engine;
    sweep->done = true;
    engine->sweeping = false;
    if (sweep->orphans)
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "an earlier daemon left %u things behind, %u were removed", sweep->orphans,
               sweep->removed);
    for (struct cl_list *node; (node = cl_list_first(&engine->parked));) {
        cl_list_remove(node);
        cl_operation_turn(CL_CONTAINER(node, struct cl_operation, waiting));
    }
    cl_recovery_check(engine->recovery);
}

static void on_swept(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_sweep *sweep = ctx;
    const struct cl_backend *backend = CL_CONTAINER(sweep->backend, struct cl_backend, node);
    if (err)
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, "%s: sweep", backend->instance->label);
    sweep->failed |= err != NULL;
    sweep->backend = sweep->backend->next;
    next(sweep);
}

static void come_again(struct cl_sweep *sweep)
{
    sweep->stuck = true;
    cl_recovery_retry(sweep->engine->recovery);
}

/* All instances have been asked, under both cookies. */
static void finish_round(struct cl_sweep *sweep)
{
    if (sweep->again) {
        sweep->again = sweep->failed = sweep->old_cookie = false;
        sweep->backend = sweep->engine->backends.next;
        come_again(sweep);
    } else if (!sweep->engine->draining && sweep_run_dirs(sweep) < 0) {
        come_again(sweep);
    } else {
        finish(sweep);
    }
}

static void next(struct cl_sweep *sweep)
{
    struct cl_engine *engine = sweep->engine;
    while (sweep->backend != &engine->backends && !CL_CONTAINER(sweep->backend, struct cl_backend, node)->vtable->sweep)
        sweep->backend = sweep->backend->next;
    if (sweep->backend == &engine->backends && engine->old_cookie && !sweep->old_cookie && !engine->draining) {
        sweep->old_cookie = true;
        sweep->backend = engine->backends.next;
        next(sweep);
        return;
    }
    if (sweep->backend == &engine->backends || engine->draining) {
        finish_round(sweep);
        return;
    }
    struct cl_backend *backend = CL_CONTAINER(sweep->backend, struct cl_backend, node);
    sweep->args = (struct cloister_iso_sweep_args){
        CLOISTER_INIT(struct cloister_iso_sweep_args),
        .report_only = !sweep->may_remove,
        .cookie = sweep->old_cookie ? engine->old_cookie : engine->cookie,
        .run_dir = cl_sv_cstr(engine->run_dir),
        .known = sweep->views,
        .known_count = sweep->known.size,
    };
    uint64_t token = cl_calls_begin(&backend->calls, &sweep->call, "sweep", cl_sv(NULL, 0), 0, on_swept, sweep);
    if (!token) {
        come_again(sweep);
        return;
    }
    backend->vtable->sweep(backend->instance->self, &sweep->args, token);
    cl_calls_entered(&sweep->call);
}

static int make_views(struct cl_sweep *sweep)
{
    sweep->views = cl_calloc(sweep->known.size + 1, sizeof(*sweep->views));
    if (!sweep->views)
        return -ENOMEM;
    size_t count = 0;
    struct cloister_sv id;
    void *store;
    for (struct cl_map_iter it = {0}; cl_map_next(&sweep->known, &it, &id, &store);)
        sweep->views[count++] = id;
    return 0;
}

void cl_sweep_go(struct cl_sweep *sweep)
{
    if (sweep->begun && !sweep->stuck)
        return;
    sweep->stuck = false;
    if (!sweep->begun) {
        if (make_views(sweep) < 0) {
            come_again(sweep);
            return;
        }
        sweep->begun = true;
        sweep->engine->sweeping = true;
        sweep->backend = sweep->engine->backends.next;
    }
    next(sweep);
}
