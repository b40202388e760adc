/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - the records' door to whatever keeps them.
 *
 * The engine speaks of record sets; this room knows that they live behind a persistence plugin. It lends the plugin
 * copies that stay until it has answered, lets one sandbox have one operation under way (the others wait in that
 * sandbox's lane, other sandboxes pass), remembers what `open` told (identity, epoch, capabilities, whether anything
 * had to be repaired) and puts the epoch into every write, so that a daemon that has been replaced cannot write any
 * more. Completions that come twice, never or too early are calls.c's business.
 */
#include "core/store/store.h"

#include <errno.h>
#include <stdlib.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/store/calls.h"
#include "core/util/mem.h"

#define AREA "store"
#define LIST_LIMIT 256u

struct cl_store {
    struct cl_loop *loop;
    struct cl_instance *instance;
    struct cl_calls calls;
    struct cl_map lanes; /* sandbox id -> struct lane */
    unsigned pending;
    char *id;
    uint64_t epoch;
    uint64_t capabilities;
    bool clean;
    bool opened;
};

/* Operations of one sandbox; the first one is under way. */
struct lane {
    struct cl_list operations;
};

enum verb {
    VERB_OPEN,
    VERB_LIST,
    VERB_GET,
    VERB_PUT,
    VERB_DESTROY,
    VERB_GLOBAL_GET,
    VERB_GLOBAL_PUT,
    VERB_GLOBAL_DELETE
};

struct operation {
    struct cl_list node; /* in its lane */
    struct cl_store *store;
    struct lane *lane;     /* NULL: belongs to no sandbox */
    struct cloister_sv id; /* or a global's key: that has a ':', which no id has, so lanes do not mix */
    enum verb verb;
    struct cl_call call;
    struct cl_arena arena;
    cl_store_fn fn;
    void *ctx;
    union {
        struct cloister_store_open_args open;
        struct cloister_store_list_args list;
        struct cloister_store_get_args get;
        struct cloister_store_put_args put;
        struct cloister_store_destroy_args destroy;
        struct cloister_store_global_args global;
    } args;
};

static const char *const verb_names[] = {"open",    "list",       "get",        "put",
                                         "destroy", "global_get", "global_put", "global_delete"};

static void keep_result(struct cl_arena *arena, void *data)
{
    struct cloister_store_result *result = data;
    result->store_id = cl_arena_sv(arena, result->store_id);
    result->report = cl_arena_sv(arena, result->report);
    result->cursor = cl_arena_sv(arena, result->cursor);
    result->summary = cl_arena_sv(arena, result->summary);
    struct cloister_store_row *rows =
        cl_arena_array(arena, result->rows, result->row_count, result->row_size, sizeof(*rows));
    for (uint64_t i = 0; rows && i < result->row_count; i++) {
        rows[i].id = cl_arena_sv(arena, rows[i].id);
        rows[i].summary = cl_arena_sv(arena, rows[i].summary);
    }
    result->rows = rows;
    result->row_size = sizeof(*rows);
    struct cloister_record *records =
        cl_arena_array(arena, result->records, result->record_count, result->record_size, sizeof(*records));
    for (uint64_t i = 0; records && i < result->record_count; i++) {
        records[i].kind = cl_arena_sv(arena, records[i].kind);
        records[i].data = cl_arena_sv(arena, records[i].data);
    }
    result->records = records;
    result->record_size = sizeof(*records);
}

static void operation_free(struct operation *operation)
{
    operation->store->pending--;
    cl_list_remove(&operation->node);
    cl_arena_free(&operation->arena);
    free(operation);
}

int cl_store_new(struct cl_loop *loop, struct cl_instance *instance, struct cl_store **ret)
{
    struct cl_store *store = cl_new(struct cl_store);
    if (!store)
        return -ENOMEM;
    store->loop = loop;
    store->instance = instance;
    int r =
        cl_calls_init(&store->calls, loop, AREA, instance->label, sizeof(struct cloister_store_result), keep_result);
    if (r < 0) {
        cl_calls_close(&store->calls);
        free(store);
        return r;
    }
    instance->store_room = store;
    *ret = store;
    return 0;
}

static struct operation *operation_new(struct cl_store *store, enum verb verb, struct cloister_sv id, cl_store_fn fn,
                                       void *ctx)
{
    struct operation *operation = cl_new(struct operation);
    if (!operation)
        return NULL;
    cl_list_init(&operation->node);
    operation->store = store;
    operation->verb = verb;
    operation->fn = fn;
    operation->ctx = ctx;
    operation->id = cl_arena_sv(&operation->arena, id);
    store->pending++;
    return operation;
}

/* Takes the operation out of its lane and returns the one that is next there. */
static struct operation *leave(struct operation *operation)
{
    struct lane *lane = operation->lane;
    if (!lane)
        return NULL;
    cl_list_remove(&operation->node);
    struct cl_list *next = cl_list_first(&lane->operations);
    if (next)
        return CL_CONTAINER(next, struct operation, node);
    (void)cl_map_remove(&operation->store->lanes, operation->id);
    free(lane);
    return NULL;
}

static void remember_open(struct cl_store *store, const struct cloister_store_result *result)
{
    free(store->id);
    store->id = cl_memdup(result->store_id.data ? result->store_id.data : "", result->store_id.size);
    store->epoch = result->epoch;
    store->capabilities = result->capabilities;
    store->clean = result->report.size == 0;
    store->opened = true;
    if (!store->clean)
        cl_log(CL_LOG_WARN, AREA, "%s was not opened clean: %.*s", store->instance->label, CL_SV_ARG(result->report));
}

static int run(struct operation *operation);

/* Ends an operation that could not be handed to the plugin for want of memory; returns the next of its lane. */
static struct operation *fail(struct operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_store_result none = {CLOISTER_INIT(struct cloister_store_result)};
    (void)cl_error_set(&err, CLOISTER_INTERNAL, ENOMEM, NULL, verb_names[operation->verb], "%s: %s",
                       operation->store->instance->label, verb_names[operation->verb]);
    struct operation *next = leave(operation);
    operation->fn(operation->ctx, &err, &none);
    operation_free(operation);
    return next;
}

static void on_done(void *ctx, const struct cloister_error *error, const void *data)
{
    struct operation *operation = ctx;
    struct cl_store *store = operation->store;
    const struct cloister_store_result *result = data;
    if (operation->verb == VERB_OPEN && !error)
        remember_open(store, result);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (error) {
        err = *error;
        cl_error_wrap(&err, "%s: %s%s%.*s", store->instance->label, verb_names[operation->verb],
                      operation->id.size ? " " : "", CL_SV_ARG(operation->id));
    }
    struct operation *next = leave(operation);
    operation->fn(operation->ctx, error ? &err : NULL, result);
    operation_free(operation);
    while (next && run(next) < 0)
        next = fail(next);
}

static int run(struct operation *operation)
{
    struct cl_store *store = operation->store;
    const struct cloister_persistence *vtable = &store->instance->vtable->persistence;
    void *self = store->instance->self;
    uint64_t token = cl_calls_begin(&store->calls, &operation->call, verb_names[operation->verb], operation->id, 0,
                                    on_done, operation);
    if (!token)
        return -ENOMEM;
    switch (operation->verb) {
    case VERB_OPEN:
        vtable->open(self, &operation->args.open, token);
        break;
    case VERB_LIST:
        vtable->list(self, &operation->args.list, token);
        break;
    case VERB_GET:
        vtable->get(self, &operation->args.get, token);
        break;
    case VERB_PUT:
        operation->args.put.epoch = store->epoch;
        vtable->put(self, &operation->args.put, token);
        break;
    case VERB_DESTROY:
        operation->args.destroy.epoch = store->epoch;
        vtable->destroy(self, &operation->args.destroy, token);
        break;
    case VERB_GLOBAL_GET:
        vtable->global_get(self, &operation->args.global, token);
        break;
    case VERB_GLOBAL_PUT:
        operation->args.global.epoch = store->epoch;
        vtable->global_put(self, &operation->args.global, token);
        break;
    case VERB_GLOBAL_DELETE:
        operation->args.global.epoch = store->epoch;
        vtable->global_delete(self, &operation->args.global, token);
        break;
    }
    cl_calls_entered(&operation->call);
    return 0;
}

/* Starts the operation, or puts it behind the others of its sandbox. Frees it on failure. */
static int enter(struct operation *operation)
{
    struct cl_store *store = operation->store;
    struct lane *lane = operation->id.size ? cl_map_get(&store->lanes, operation->id) : NULL;
    if (operation->arena.failed)
        goto failed;
    if (lane) {
        operation->lane = lane;
        cl_list_append(&lane->operations, &operation->node);
        return 0;
    }
    if (operation->id.size) {
        lane = cl_new(struct lane);
        if (!lane || cl_map_put(&store->lanes, operation->id, lane) < 0) {
            free(lane);
            goto failed;
        }
        cl_list_init(&lane->operations);
        operation->lane = lane;
        cl_list_append(&lane->operations, &operation->node);
    }
    if (run(operation) == 0)
        return 0;
    (void)leave(operation);
failed:
    operation_free(operation);
    return -ENOMEM;
}

int cl_store_open(struct cl_store *store, const char *daemon_instance, const char *state_dir, cl_store_fn fn, void *ctx)
{
    struct operation *operation = operation_new(store, VERB_OPEN, cl_sv(NULL, 0), fn, ctx);
    if (!operation)
        return -ENOMEM;
    operation->args.open = (struct cloister_store_open_args){
        CLOISTER_INIT(struct cloister_store_open_args),
        .instance = cl_arena_sv(&operation->arena, cl_sv_cstr(daemon_instance)),
        .state_dir = cl_arena_sv(&operation->arena, cl_sv_cstr(state_dir)),
    };
    return enter(operation);
}

int cl_store_list(struct cl_store *store, struct cloister_sv cursor, cl_store_fn fn, void *ctx)
{
    struct operation *operation = operation_new(store, VERB_LIST, cl_sv(NULL, 0), fn, ctx);
    if (!operation)
        return -ENOMEM;
    operation->args.list = (struct cloister_store_list_args){
        CLOISTER_INIT(struct cloister_store_list_args),
        .limit = LIST_LIMIT,
        .cursor = cl_arena_sv(&operation->arena, cursor),
    };
    return enter(operation);
}

int cl_store_get(struct cl_store *store, struct cloister_sv id, cl_store_fn fn, void *ctx)
{
    struct operation *operation = operation_new(store, VERB_GET, id, fn, ctx);
    if (!operation)
        return -ENOMEM;
    operation->args.get =
        (struct cloister_store_get_args){CLOISTER_INIT(struct cloister_store_get_args), .id = operation->id};
    return enter(operation);
}

static const struct cloister_record *copy_records(struct cl_arena *arena, const struct cloister_record *records,
                                                  size_t count)
{
    struct cloister_record *copy = cl_arena_array(arena, records, count, sizeof(*records), sizeof(*records));
    for (size_t i = 0; copy && i < count; i++) {
        bool deletes = !copy[i].data.data;
        copy[i].kind = cl_arena_sv(arena, copy[i].kind);
        copy[i].data = cl_arena_sv(arena, copy[i].data);
        if (!deletes && !copy[i].data.data)
            copy[i].data = CLOISTER_SV(""); /* NULL would delete the record */
    }
    return copy;
}

int cl_store_put(struct cl_store *store, struct cloister_sv id, uint64_t if_generation, uint32_t durability,
                 const struct cloister_record *records, size_t count, struct cloister_sv summary, cl_store_fn fn,
                 void *ctx)
{
    struct operation *operation = operation_new(store, VERB_PUT, id, fn, ctx);
    if (!operation)
        return -ENOMEM;
    operation->args.put = (struct cloister_store_put_args){
        CLOISTER_INIT(struct cloister_store_put_args),
        .durability = durability,
        .id = operation->id,
        .if_generation = if_generation,
        .records = copy_records(&operation->arena, records, count),
        .record_count = count,
        .record_size = sizeof(*records),
        .summary = cl_arena_sv(&operation->arena, summary),
    };
    return enter(operation);
}

int cl_store_destroy(struct cl_store *store, struct cloister_sv id, uint64_t if_generation, cl_store_fn fn, void *ctx)
{
    struct operation *operation = operation_new(store, VERB_DESTROY, id, fn, ctx);
    if (!operation)
        return -ENOMEM;
    operation->args.destroy = (struct cloister_store_destroy_args){
        CLOISTER_INIT(struct cloister_store_destroy_args),
        .id = operation->id,
        .if_generation = if_generation,
    };
    return enter(operation);
}

static int global(struct cl_store *store, enum verb verb, struct cloister_sv key, uint32_t durability,
                  struct cloister_sv data, cl_store_fn fn, void *ctx)
{
    struct operation *operation = operation_new(store, verb, key, fn, ctx);
    if (!operation)
        return -ENOMEM;
    operation->args.global = (struct cloister_store_global_args){
        CLOISTER_INIT(struct cloister_store_global_args),
        .durability = durability,
        .key = operation->id,
        .data = cl_arena_sv(&operation->arena, data),
    };
    if (data.data && !data.size)
        operation->args.global.data = CLOISTER_SV(""); /* no bytes are not the same as no data */
    return enter(operation);
}

int cl_store_global_get(struct cl_store *store, struct cloister_sv key, cl_store_fn fn, void *ctx)
{
    return store->instance->vtable->persistence.global_get
               ? global(store, VERB_GLOBAL_GET, key, 0, cl_sv(NULL, 0), fn, ctx)
               : -EOPNOTSUPP;
}

int cl_store_global_put(struct cl_store *store, struct cloister_sv key, uint32_t durability, struct cloister_sv data,
                        cl_store_fn fn, void *ctx)
{
    return store->instance->vtable->persistence.global_put
               ? global(store, VERB_GLOBAL_PUT, key, durability, data, fn, ctx)
               : -EOPNOTSUPP;
}

int cl_store_global_delete(struct cl_store *store, struct cloister_sv key, cl_store_fn fn, void *ctx)
{
    return store->instance->vtable->persistence.global_delete
               ? global(store, VERB_GLOBAL_DELETE, key, 0, cl_sv(NULL, 0), fn, ctx)
               : -EOPNOTSUPP;
}

struct cloister_sv cl_store_id(const struct cl_store *store)
{
    return cl_sv_cstr(store->id);
}

uint64_t cl_store_epoch(const struct cl_store *store)
{
    return store->epoch;
}

uint64_t cl_store_capabilities(const struct cl_store *store)
{
    return store->capabilities;
}

int cl_store_was_clean(const struct cl_store *store)
{
    return store->clean;
}

unsigned cl_store_pending(const struct cl_store *store)
{
    return store->pending;
}

void cl_store_patience(struct cl_store *store, uint64_t ns)
{
    store->calls.patience = ns;
}

void cl_store_close(struct cl_store *store)
{
    if (!store)
        return;
    if (store->pending)
        cl_log(CL_LOG_ERROR, AREA, "%s is closed with %u operations under way", store->instance->label, store->pending);
    cl_calls_close(&store->calls);
    if (store->opened)
        store->instance->vtable->persistence.close(store->instance->self);
    store->instance->store_room = NULL;
    cl_map_free(&store->lanes);
    free(store->id);
    free(store);
}

static void upcall_done(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                        const struct cloister_store_result *result)
{
    struct cl_store *store = cl_instance_of(host)->store_room;
    if (store)
        cl_calls_done(&store->calls, op, error, result);
    else
        cl_log(CL_LOG_ERROR, AREA, "%s completed operation %llu of a store that is closed", cl_instance_of(host)->label,
               (unsigned long long)op);
}

const struct cloister_store_api cl_store_api = {
    CLOISTER_INIT(struct cloister_store_api),
    .done = upcall_done,
};
