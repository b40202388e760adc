/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - what a former daemon left behind.
 *
 * First the records: each store is listed, and every record set of ours is undone, since no sandbox can be adopted yet:
 * isolation takes it down from its plan alone, then the record goes. A set that cannot be read, or whose service or
 * isolation is not in the config, is left alone and named. Then the sweep: whatever carries our cookie and belongs to
 * no record is removed, but only if each store either never promised durability or was opened clean; otherwise it is
 * only reported, for a record may be what is missing. Last, run directories that are left over.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "core/engine/records.h"
#include "core/engine/room.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/vec.h"
#include "core/value/value.h"

/* A record set that waits to be looked at. */
struct row {
    struct cl_store *store;
    char *id;
};

struct cl_recovery {
    struct cl_engine *engine;
    void (*settled)(void *ctx, const struct cloister_error *err);
    void *ctx;
    struct cl_later later;
    struct cl_vec stores;
    size_t store;
    struct cl_vec rows;
    size_t row;
    bool may_remove;
    struct cl_vec known; /* char *: ids that the sweep must leave alone */
    struct cloister_sv *known_views;
    struct cl_list *backend; /* the sweep's next */
    struct cl_backend *at;   /* who is asked */
    struct cl_call call;
    struct cloister_iso_destroy_args destroy;
    struct cloister_iso_sweep_args sweep;
    struct cl_arena arena; /* of the record set under way */
    unsigned orphans;
    struct cloister_error error; /* code 0: none */
};

static void next_row(struct cl_recovery *recovery);
static void next_sweep(struct cl_recovery *recovery);
static void list_store(struct cl_recovery *recovery, struct cloister_sv cursor);

void cl_recovery_free(struct cl_recovery *recovery)
{
    for (size_t i = 0; i < recovery->rows.size; i++) {
        struct row *row = recovery->rows.items[i];
        free(row->id);
        free(row);
    }
    for (size_t i = 0; i < recovery->known.size; i++)
        free(recovery->known.items[i]);
    cl_vec_free(&recovery->stores);
    cl_vec_free(&recovery->rows);
    cl_vec_free(&recovery->known);
    cl_arena_free(&recovery->arena);
    free(recovery->known_views);
    free(recovery);
}

static void settle(void *ctx)
{
    struct cl_recovery *recovery = ctx;
    struct cl_engine *engine = recovery->engine;
    if (recovery->orphans)
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "an earlier daemon left %u things behind; they were %s", recovery->orphans,
               recovery->may_remove ? "removed" : "only reported, for a store was not opened clean");
    void (*settled)(void *, const struct cloister_error *) = recovery->settled;
    void *settled_ctx = recovery->ctx;
    struct cloister_error error = recovery->error;
    engine->recovery = NULL;
    cl_recovery_free(recovery);
    settled(settled_ctx, error.code ? &error : NULL);
    cl_engine_ended(engine);
}

static void finish(struct cl_recovery *recovery, const struct cloister_error *err)
{
    if (err) {
        recovery->error = *err;
        cl_error_wrap(&recovery->error, "recover");
    }
    cl_engine_later(recovery->engine, &recovery->later, settle, recovery);
}

static void finish_no_memory(struct cl_recovery *recovery)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_INTERNAL, ENOMEM, NULL, NULL, "look at the records");
    finish(recovery, &err);
}

/* ---- records ---- */

static void leave_alone(struct cl_recovery *recovery, const char *id, const struct cloister_error *err)
{
    cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, "sandbox %s is left as it is", id);
    char *copy = cl_strdup(id);
    if (!copy || cl_vec_append(&recovery->known, copy) < 0) {
        free(copy);
        recovery->may_remove = false; /* better to remove nothing than this one */
    }
    next_row(recovery);
}

static struct row *current(const struct cl_recovery *recovery)
{
    return recovery->rows.items[recovery->row - 1];
}

static void on_forgotten(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)result;
    struct cl_recovery *recovery = ctx;
    if (err) {
        leave_alone(recovery, current(recovery)->id, err);
        return;
    }
    cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "sandbox %s of an earlier daemon could not be taken over; it was removed",
           current(recovery)->id);
    next_row(recovery);
}

static void on_undone(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_recovery *recovery = ctx;
    struct row *row = current(recovery);
    if (err) {
        leave_alone(recovery, row->id, err);
        return;
    }
    char CL_FREE *path = cl_asprintf("%s/%s", recovery->engine->run_dir, row->id);
    if (path)
        (void)cl_run_dir_remove(path); /* what stays is found by the sweep's last step */
    if (cl_store_destroy(row->store, cl_sv_cstr(row->id), CLOISTER_GENERATION_ANY, on_forgotten, recovery) < 0)
        finish_no_memory(recovery);
}

/* Asks isolation to take the sandbox down; its arguments live in the recovery until it has. */
static int undo(struct cl_recovery *recovery, struct cl_backend *backend, const struct cl_record_head *head)
{
    struct cl_arena *arena = &recovery->arena;
    struct cl_engine *engine = recovery->engine;
    struct row *row = current(recovery);
    char CL_FREE *run_dir = cl_asprintf("%s/%s", engine->run_dir, row->id);
    recovery->at = backend;
    recovery->destroy = (struct cloister_iso_destroy_args){
        CLOISTER_INIT(struct cloister_iso_destroy_args),
        .sandbox = {CLOISTER_INIT(struct cloister_iso_sandbox), .id = cl_arena_sv(arena, cl_sv_cstr(row->id)),
                    .cookie = engine->cookie, .name = cl_arena_sv(arena, head->name),
                    .plan = cl_arena_sv(arena, head->plan), .run_dir = cl_arena_sv(arena, cl_sv_cstr(run_dir))},
    };
    uint64_t token = run_dir && !arena->failed ? cl_calls_begin(&backend->calls, &recovery->call, "sandbox_destroy",
                                                                cl_sv_cstr(row->id), 0, on_undone, recovery)
                                               : 0;
    if (!token)
        return -ENOMEM;
    backend->vtable->sandbox_destroy(backend->instance->self, &recovery->destroy, token);
    cl_calls_entered(&recovery->call);
    return 0;
}

static void on_got(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct cl_recovery *recovery = ctx;
    struct cl_engine *engine = recovery->engine;
    struct row *row = current(recovery);
    struct cl_record_head head = {.document = NULL};
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (err || cl_records_read(result, &head, &own) < 0) {
        leave_alone(recovery, row->id, err ? err : &own);
        return;
    }
    struct cl_backend *backend = cl_backend_lookup(engine, head.isolation);
    int r = 0;
    if (head.cookie != engine->cookie)
        r = cl_error_set(&own, CLOISTER_DENIED, 0, NULL, "cookie", "it belongs to another run directory");
    else if (!cl_service_lookup(engine, head.service))
        r = cl_error_set(&own, CLOISTER_NO_ENTITY, 0, NULL, "service", "no service '%.*s' is in the config",
                         CL_SV_ARG(head.service));
    else if (!backend)
        r = cl_error_set(&own, CLOISTER_NO_ENTITY, 0, NULL, "isolation", "no isolation '%.*s' is in the config",
                         CL_SV_ARG(head.isolation));
    if (r < 0)
        leave_alone(recovery, row->id, &own);
    else if (undo(recovery, backend, &head) < 0)
        finish_no_memory(recovery);
    cl_value_free(head.document);
}

static void next_row(struct cl_recovery *recovery)
{
    cl_arena_free(&recovery->arena);
    if (recovery->engine->draining) {
        finish(recovery, NULL);
        return;
    }
    if (recovery->row == recovery->rows.size) {
        next_sweep(recovery);
        return;
    }
    struct row *row = recovery->rows.items[recovery->row++];
    if (cl_store_get(row->store, cl_sv_cstr(row->id), on_got, recovery) < 0)
        finish_no_memory(recovery);
}

static int keep_rows(struct cl_recovery *recovery, const struct cloister_store_result *result)
{
    for (uint64_t i = 0; i < result->row_count; i++) {
        struct cloister_store_row from;
        cl_element_copy(&from, sizeof(from), result->rows, result->row_size, i);
        struct row *row = cl_new(struct row);
        if (row) {
            row->store = recovery->stores.items[recovery->store];
            row->id = cl_sv_dup(from.id);
        }
        if (!row || !row->id || cl_vec_append(&recovery->rows, row) < 0) {
            if (row)
                free(row->id);
            free(row);
            return -ENOMEM;
        }
    }
    return 0;
}

static void on_listed(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct cl_recovery *recovery = ctx;
    if (err) {
        finish(recovery, err);
        return;
    }
    if (keep_rows(recovery, result) < 0) {
        finish_no_memory(recovery);
        return;
    }
    if (!result->cursor.size)
        recovery->store++;
    list_store(recovery, result->cursor);
}

static void list_store(struct cl_recovery *recovery, struct cloister_sv cursor)
{
    if (recovery->store == recovery->stores.size)
        next_row(recovery);
    else if (cl_store_list(recovery->stores.items[recovery->store], cursor, on_listed, recovery) < 0)
        finish_no_memory(recovery);
}

/* ---- sweep ---- */

static bool is_known(const struct cl_recovery *recovery, const char *id)
{
    for (size_t i = 0; i < recovery->known.size; i++)
        if (strcmp(recovery->known.items[i], id) == 0)
            return true;
    return cl_map_get(&recovery->engine->by_id, cl_sv_cstr(id)) != NULL;
}

/* Directories named like a sandbox that no record and no isolation instance speaks for any more. */
static void remove_run_dirs(const struct cl_recovery *recovery)
{
    DIR *dir = opendir(recovery->engine->run_dir);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!cl_id_valid(cl_sv_cstr(entry->d_name)) || is_known(recovery, entry->d_name))
            continue;
        char CL_FREE *path = cl_asprintf("%s/%s", recovery->engine->run_dir, entry->d_name);
        int r = path ? cl_run_dir_remove(path) : -ENOMEM;
        if (r < 0)
            cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "remove %s/%s: %s", recovery->engine->run_dir, entry->d_name,
                   strerror(-r));
    }
    (void)closedir(dir);
}

static void on_swept(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_recovery *recovery = ctx;
    if (err)
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, "%s: sweep", recovery->at->instance->label);
    next_sweep(recovery);
}

static int make_views(struct cl_recovery *recovery)
{
    free(recovery->known_views);
    recovery->known_views = cl_calloc(recovery->known.size + 1, sizeof(*recovery->known_views));
    for (size_t i = 0; recovery->known_views && i < recovery->known.size; i++)
        recovery->known_views[i] = cl_sv_cstr(recovery->known.items[i]);
    return recovery->known_views ? 0 : -ENOMEM;
}

static void next_sweep(struct cl_recovery *recovery)
{
    struct cl_engine *engine = recovery->engine;
    recovery->backend = recovery->backend ? recovery->backend->next : engine->backends.next;
    while (recovery->backend != &engine->backends &&
           !CL_CONTAINER(recovery->backend, struct cl_backend, node)->vtable->sweep)
        recovery->backend = recovery->backend->next;
    if (recovery->backend == &engine->backends || engine->draining) {
        if (recovery->may_remove && !engine->draining)
            remove_run_dirs(recovery);
        finish(recovery, NULL);
        return;
    }
    struct cl_backend *backend = recovery->at = CL_CONTAINER(recovery->backend, struct cl_backend, node);
    if (make_views(recovery) < 0) {
        finish_no_memory(recovery);
        return;
    }
    recovery->sweep = (struct cloister_iso_sweep_args){
        CLOISTER_INIT(struct cloister_iso_sweep_args),
        .report_only = !recovery->may_remove,
        .cookie = engine->cookie,
        .run_dir = cl_sv_cstr(engine->run_dir),
        .known = recovery->known_views,
        .known_count = recovery->known.size,
    };
    uint64_t token = cl_calls_begin(&backend->calls, &recovery->call, "sweep", cl_sv(NULL, 0), 0, on_swept, recovery);
    if (!token) {
        finish_no_memory(recovery);
        return;
    }
    backend->vtable->sweep(backend->instance->self, &recovery->sweep, token);
    cl_calls_entered(&recovery->call);
}

void cl_recovery_orphan(struct cl_backend *backend, struct cloister_sv sandbox, const char *kind,
                        struct cloister_sv name, bool removed)
{
    if (backend->engine->recovery)
        backend->engine->recovery->orphans++;
    cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "%s: found %s %.*s of sandbox %.*s, which has no record%s",
           backend->instance->label, kind, CL_SV_ARG(name), CL_SV_ARG(sandbox),
           removed ? "; removed" : "; left as it is");
}

/* ---- begin ---- */

static int gather_stores(struct cl_recovery *recovery)
{
    recovery->may_remove = true;
    CL_LIST_FOREACH(node, &recovery->engine->services)
    {
        struct cl_store *store = CL_CONTAINER(node, struct cl_service, node)->store;
        if (cl_vec_find(&recovery->stores, store) != CL_VEC_NONE)
            continue;
        if (cl_vec_append(&recovery->stores, store) < 0)
            return -ENOMEM;
        if (cl_store_capabilities(store) & CLOISTER_STORE_DURABLE && !cl_store_was_clean(store))
            recovery->may_remove = false;
    }
    return 0;
}

static void on_begin(void *ctx)
{
    list_store(ctx, cl_sv(NULL, 0));
}

int cl_engine_recover(struct cl_engine *engine, void (*settled)(void *ctx, const struct cloister_error *err), void *ctx)
{
    struct cl_recovery *recovery = cl_new(struct cl_recovery);
    if (!recovery)
        return -ENOMEM;
    recovery->engine = engine;
    recovery->settled = settled;
    recovery->ctx = ctx;
    recovery->error = (struct cloister_error)CLOISTER_ERROR_INIT;
    if (gather_stores(recovery) < 0) {
        cl_recovery_free(recovery);
        return -ENOMEM;
    }
    engine->recovery = recovery;
    cl_engine_later(engine, &recovery->later, on_begin, recovery);
    return 0;
}
