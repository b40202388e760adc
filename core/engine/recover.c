/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - what a former daemon left behind.
 *
 * Each store is listed to its end; from then on every id is known, and three things go on side by side: the record sets
 * are read, some at a time, and become sandboxes again (restore.c) with an operation each that finds out what became of
 * them (adopt.c, recovered.c) or takes them down; what carries our cookie and has no record is swept (sweep.c); the
 * services' own records are read. What cannot be explained is shown as unknown (unknown.c). The daemon starts to serve
 * when all of this has been settled, or after recover_ns; the rest goes on, and holds up nobody else.
 *
 * Nothing of it is remembered: a daemon that dies here leaves the records as they were, or with what is true anyway, so
 * the next one comes to the same end. What finds no memory is tried again.
 */
#include "core/engine/recover.h"

#include <errno.h>
#include <stdlib.h>

#include "core/engine/record_put.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/time.h"

#define SLOTS 64u
#define RETRY (10 * CL_NS_PER_MS)

static void list_store(struct cl_recovery *recovery, struct cloister_sv cursor);
static void read_rows(struct cl_recovery *recovery);

/* ---- rows ---- */

void cl_row_idle(struct cl_row *row)
{
    if (!row->slot || !row->recovery)
        return;
    row->slot = false;
    row->recovery->slots--;
    cl_recovery_check(row->recovery);
}

void cl_row_settled(struct cl_row *row)
{
    struct cl_recovery *recovery = row->recovery;
    if (!recovery)
        return;
    cl_row_idle(row);
    cl_list_remove(&row->node);
    row->recovery = NULL;
    cl_recovery_check(recovery);
}

void cl_row_free(struct cl_row *row)
{
    cl_row_settled(row);
    cl_arena_free(&row->arena);
    free(row->id);
    free(row->summary);
    free(row);
}

static struct cl_row *row_new(struct cl_recovery *recovery, const struct cloister_store_row *from)
{
    struct cl_row *row = cl_new(struct cl_row);
    if (!row)
        return NULL;
    cl_list_init(&row->node);
    row->store = recovery->stores.items[recovery->store];
    row->health = from->health;
    row->id = cl_sv_dup(from->id);
    row->summary = cl_sv_has_nul(from->summary) ? cl_strdup("") : cl_sv_dup(from->summary);
    if (row->id && row->summary)
        return row;
    cl_row_free(row);
    return NULL;
}

static void put_back(struct cl_row *row)
{
    struct cl_recovery *recovery = row->recovery;
    row->slot = false;
    recovery->slots--;
    cl_list_remove(&row->node);
    cl_list_append(&recovery->waiting, &row->node);
    cl_recovery_retry(recovery);
}

static const char *health_words(uint32_t health)
{
    switch (health) {
    case CLOISTER_HEALTH_QUARANTINED:
        return "its record is damaged and was put into quarantine";
    case CLOISTER_HEALTH_NEWER:
        return "its record was written by a newer version";
    case CLOISTER_HEALTH_LOST:
        return "the store knows its id and has lost its record";
    default:
        return NULL;
    }
}

static uint32_t health_code(uint32_t health)
{
    return health == CLOISTER_HEALTH_NEWER  ? CLOISTER_VERSION_NEWER
           : health == CLOISTER_HEALTH_LOST ? CLOISTER_LOST
                                            : CLOISTER_CORRUPT;
}

static void on_got(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct cl_row *row = ctx;
    struct cl_recovery *recovery = row->recovery;
    bool no_memory = err && err->os_errno == ENOMEM;
    int r = -ENOMEM;
    if (recovery->engine->draining) {
        cl_row_free(row);
        return;
    }
    if (!no_memory)
        r = err ? cl_row_unknown(row, err) : cl_row_restore(row, result);
    if (r < 0)
        put_back(row);
    read_rows(recovery);
}

static int read_row(struct cl_row *row)
{
    const char *words = health_words(row->health);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (!words)
        return cl_store_get(row->store, cl_sv_cstr(row->id), on_got, row);
    (void)cl_error_set(&err, health_code(row->health), 0, NULL, "record", "%s", words);
    return cl_row_unknown(row, &err);
}

static void read_rows(struct cl_recovery *recovery)
{
    struct cl_list *node;
    while (!recovery->engine->draining && recovery->slots < SLOTS && (node = cl_list_first(&recovery->waiting))) {
        struct cl_row *row = CL_CONTAINER(node, struct cl_row, node);
        cl_list_remove(node);
        cl_list_append(&recovery->reading, node);
        row->slot = true;
        recovery->slots++;
        if (read_row(row) < 0) {
            put_back(row);
            return;
        }
    }
}

/* ---- the lists ---- */

/* 0 or -ENOMEM; then the page is asked for again, and what is known already is passed over. */
static int keep_rows(struct cl_recovery *recovery, const struct cloister_store_result *result)
{
    struct cl_store *store = recovery->stores.items[recovery->store];
    for (uint64_t i = 0; i < result->row_count; i++) {
        struct cloister_store_row from;
        cl_element_copy(&from, sizeof(from), result->rows, result->row_size, i);
        void *known = cl_map_get(&recovery->sweep.known, from.id);
        if (known && known != store)
            cl_log(CL_LOG_ERROR, CL_ENGINE_AREA, "two stores have a sandbox %.*s: the second is left as it is",
                   CL_SV_ARG(from.id));
        else if (!known && !cl_id_valid(from.id))
            cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "a store has '%.*s', which is no sandbox's id; it is left as it is",
                   CL_SV_ARG(from.id));
        if (known)
            continue;
        struct cl_row *row = cl_id_valid(from.id) ? row_new(recovery, &from) : NULL;
        bool lacks = !row && cl_id_valid(from.id);
        if (lacks || cl_sweep_know(&recovery->sweep, from.id, store) < 0) {
            if (row)
                cl_row_free(row);
            return -ENOMEM;
        }
        if (!row)
            continue;
        row->recovery = recovery;
        cl_list_append(&recovery->waiting, &row->node);
    }
    return 0;
}

static void on_loaded(void *ctx)
{
    struct cl_recovery *recovery = ctx;
    recovery->loading = false;
    recovery->loaded = !cl_record_lacks_memory(recovery->engine);
    if (!recovery->loaded)
        cl_recovery_retry(recovery);
    cl_recovery_check(recovery);
}

/* Everything that is listed: on with it, side by side. */
static void go_on(struct cl_recovery *recovery)
{
    if (!recovery->loaded && !recovery->loading) {
        recovery->loading = true;
        if (cl_record_load(recovery->engine, on_loaded, recovery) < 0) {
            recovery->loading = false;
            cl_recovery_retry(recovery);
        }
    }
    cl_sweep_go(&recovery->sweep);
    read_rows(recovery);
    cl_recovery_check(recovery);
}

static void on_listed(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct cl_recovery *recovery = ctx;
    recovery->listing = false;
    if (recovery->engine->draining) {
        cl_recovery_check(recovery);
    } else if (err && err->os_errno != ENOMEM) {
        recovery->error = *err;
        cl_error_wrap(&recovery->error, "recover");
        cl_recovery_check(recovery);
    } else if (err || keep_rows(recovery, result) < 0) {
        cl_recovery_retry(recovery);
    } else {
        if (!result->cursor.size)
            recovery->store++;
        list_store(recovery, result->cursor);
    }
}

static bool is_listed(const struct cl_recovery *recovery)
{
    return recovery->store == recovery->stores.size;
}

static void list_store(struct cl_recovery *recovery, struct cloister_sv cursor)
{
    if (is_listed(recovery)) {
        go_on(recovery);
        return;
    }
    recovery->listing = true;
    if (cl_store_list(recovery->stores.items[recovery->store], cursor, on_listed, recovery) < 0) {
        recovery->listing = false;
        cl_recovery_retry(recovery);
    }
}

static void on_retry(void *ctx)
{
    struct cl_recovery *recovery = ctx;
    if (recovery->engine->draining || recovery->error.code)
        cl_recovery_check(recovery);
    else if (is_listed(recovery))
        go_on(recovery);
    else if (!recovery->listing)
        list_store(recovery, cl_sv(NULL, 0)); /* from the first page on: where it was is not known any more */
}

void cl_recovery_retry(struct cl_recovery *recovery)
{
    (void)cl_timer_set(recovery->retry, cl_mono_ns() + RETRY, 0);
}

/* ---- the whole ---- */

bool cl_recovery_busy(const struct cl_recovery *recovery)
{
    return recovery->listing || recovery->loading || recovery->sweep.call.token || !cl_list_empty(&recovery->reading);
}

/* Nothing is left to be waited for. */
static bool is_over(const struct cl_recovery *recovery)
{
    if (recovery->error.code || recovery->engine->draining)
        return !cl_recovery_busy(recovery);
    return is_listed(recovery) && recovery->loaded && recovery->sweep.done && cl_list_empty(&recovery->waiting) &&
           cl_list_empty(&recovery->reading) && cl_list_empty(&recovery->engaged);
}

/* Names and ids must be known before anybody may make new ones. */
static bool may_start(const struct cl_recovery *recovery)
{
    return recovery->late && is_listed(recovery) && recovery->loaded;
}

static void free_rows(struct cl_list *rows)
{
    for (struct cl_list *node; (node = cl_list_first(rows));) {
        struct cl_row *row = CL_CONTAINER(node, struct cl_row, node);
        cl_list_remove(node);
        row->recovery = NULL;
        cl_row_free(row);
    }
}

void cl_recovery_free(struct cl_recovery *recovery)
{
    recovery->engine->recovery = NULL;
    recovery->engine->sweeping = false;
    cl_later_cancel(&recovery->later);
    free_rows(&recovery->waiting);
    free_rows(&recovery->reading);
    for (struct cl_list *node; (node = cl_list_first(&recovery->engaged));) {
        cl_list_remove(node);
        CL_CONTAINER(node, struct cl_row, node)->recovery = NULL; /* its operation's from here on */
    }
    if (recovery->limit)
        cl_timer_close(recovery->limit, NULL, NULL);
    if (recovery->retry)
        cl_timer_close(recovery->retry, NULL, NULL);
    cl_sweep_free(&recovery->sweep);
    cl_vec_free(&recovery->stores);
    free(recovery);
}

static void on_turn(void *ctx)
{
    struct cl_recovery *recovery = ctx;
    struct cl_engine *engine = recovery->engine;
    void (*settled)(void *, const struct cloister_error *) = recovery->settled;
    void *settled_ctx = recovery->ctx;
    struct cloister_error error = recovery->error;
    read_rows(recovery);
    bool over = is_over(recovery), tell = !recovery->told && (over || may_start(recovery));
    if (!over && tell)
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "some sandboxes are not settled yet: going on without them");
    recovery->told |= tell;
    if (over)
        cl_recovery_free(recovery);
    if (tell)
        settled(settled_ctx, error.code ? &error : NULL);
    cl_engine_ended(engine);
}

void cl_recovery_check(struct cl_recovery *recovery)
{
    cl_engine_later(recovery->engine, &recovery->later, on_turn, recovery);
}

static void on_limit(void *ctx)
{
    struct cl_recovery *recovery = ctx;
    recovery->late = true;
    cl_recovery_check(recovery);
}

static int gather_stores(struct cl_recovery *recovery)
{
    CL_LIST_FOREACH(node, &recovery->engine->services)
    {
        struct cl_store *store = CL_CONTAINER(node, struct cl_service, node)->store;
        if (cl_vec_find(&recovery->stores, store) != CL_VEC_NONE)
            continue;
        if (cl_vec_append(&recovery->stores, store) < 0)
            return -ENOMEM;
        if (!cl_store_was_clean(store))
            recovery->sweep.may_remove = false;
    }
    return 0;
}

static void on_begin(void *ctx)
{
    list_store(ctx, cl_sv(NULL, 0));
}

void cl_engine_stores_changed(struct cl_engine *engine)
{
    engine->stores_changed = true;
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
    cl_list_init(&recovery->waiting);
    cl_list_init(&recovery->reading);
    cl_list_init(&recovery->engaged);
    cl_sweep_init(&recovery->sweep, engine);
    int r = gather_stores(recovery);
    r = r ? r : cl_timer_open(engine->loop, on_limit, recovery, &recovery->limit);
    r = r ? r : cl_timer_open(engine->loop, on_retry, recovery, &recovery->retry);
    if (r < 0) {
        cl_recovery_free(recovery);
        return -ENOMEM;
    }
    engine->recovery = recovery;
    (void)cl_timer_set(recovery->limit, cl_mono_ns() + engine->recover_ns, 0);
    cl_engine_later(engine, &recovery->later, on_begin, recovery);
    return 0;
}
