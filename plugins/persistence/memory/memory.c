/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - a store that forgets: records live exactly as long as the daemon.
 *
 * For tests, for throw-away instances, and as the plainest reading of what a store owes the engine: one generation per
 * record set, all or nothing, writes of an older epoch fenced, bounded sizes, names that could be file names. It is not
 * DURABLE and says so; the engine then sweeps what an earlier daemon left behind. Its epoch is the boot clock's second
 * at open, so that process numbers made from it do not repeat while the machine is up. Every operation is done on a
 * later turn of the loop, in the order of the calls.
 */
#include <cloister/host.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/records/check.h"
#include "table.h"

#define FORMAT 1u

enum { OPTION_MAX_BYTES, OPTION_COUNT };

struct memory {
    const struct cloister_host *host;
    uint64_t max_bytes;
    uint64_t epoch;
    bool open;
    char store_id[48];
    struct table sets;
    struct table globals;
};

typedef void (*run_fn)(struct memory *memory, const void *args, cloister_op op);

/* An operation on its way to a later turn of the loop. */
struct work {
    struct memory *memory;
    run_fn run;
    const void *args; /* the host keeps them until we complete */
    cloister_op op;
};

#define FAIL(memory, op, ...)                                              \
    do {                                                                   \
        struct cloister_error failure = CLOISTER_ERROR_INIT;               \
        (memory)->host->log->error_set(&failure, __VA_ARGS__);             \
        (memory)->host->store->done((memory)->host, (op), &failure, NULL); \
    } while (0)

static void on_turn(void *ctx)
{
    struct work *work = ctx;
    work->run(work->memory, work->args, work->op);
    free(work);
}

static void later(void *instance, run_fn run, const void *args, cloister_op op)
{
    struct memory *memory = instance;
    struct work *work = malloc(sizeof(*work));
    if (work) {
        *work = (struct work){memory, run, args, op};
        if (memory->host->loop->post(memory->host, on_turn, work) == 0)
            return;
    }
    free(work);
    /* Too early by contract, but the host copes with that; it could not with silence. */
    FAIL(memory, op, CLOISTER_IO, ENOMEM, NULL, "queue", "queue the operation");
}

/* What a check has found wrong, as the answer. */
static bool answer_error(struct memory *memory, cloister_op op, const struct cloister_error *err)
{
    memory->host->store->done(memory->host, op, err, NULL);
    return false;
}

static bool usable(struct memory *memory, cloister_op op)
{
    if (!memory->open)
        FAIL(memory, op, CLOISTER_UNAVAILABLE, 0, NULL, "open", "the store is not open");
    return memory->open;
}

static bool writable(struct memory *memory, uint64_t epoch, cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    return usable(memory, op) &&
           (records_check_epoch(memory->host->log, epoch, memory->epoch, &err) || answer_error(memory, op, &err));
}

static void done(struct memory *memory, cloister_op op, const struct cloister_store_result *result)
{
    memory->host->store->done(memory->host, op, NULL, result);
}

#define RESULT(...) (&(struct cloister_store_result){CLOISTER_INIT(struct cloister_store_result), __VA_ARGS__})

static void run_open(struct memory *memory, const void *data, cloister_op op)
{
    (void)data;
    if (memory->open) {
        FAIL(memory, op, CLOISTER_BUSY, 0, memory->store_id, "open", "the store is open already");
        return;
    }
    struct timespec now;
    uint64_t random = 0;
    if (clock_gettime(CLOCK_BOOTTIME, &now) < 0 || getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        FAIL(memory, op, CLOISTER_IO, errno, NULL, "open", "read clock and random numbers");
        return;
    }
    memory->epoch = (uint64_t)now.tv_sec > memory->epoch ? (uint64_t)now.tv_sec : memory->epoch + 1;
    memory->open = true;
    int size = snprintf(memory->store_id, sizeof(memory->store_id), "memory-%016" PRIx64, random);
    done(memory, op, RESULT(.format = FORMAT, .epoch = memory->epoch, .store_id = sv(memory->store_id, (size_t)size)));
}

static struct cloister_store_row row_of(const struct entry *entry)
{
    return (struct cloister_store_row){.id = records_sv(&entry->name),
                                       .summary = sv(entry->summary, entry->summary_size),
                                       .generation = entry->generation,
                                       .bytes = entry->bytes,
                                       .health = CLOISTER_HEALTH_OK};
}

static void list(struct memory *memory, const struct records_names *names, struct cloister_sv prefix,
                 struct cloister_sv cursor, uint32_t limit, cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (!records_check_limit(memory->host->log, limit, &err)) {
        (void)answer_error(memory, op, &err);
        return;
    }
    const struct records_page page = records_page(names, prefix, cursor, limit);
    size_t count = page.end - page.first;
    struct cloister_store_row *rows = calloc(count + 1, sizeof(*rows));
    if (!rows) {
        FAIL(memory, op, CLOISTER_IO, ENOMEM, NULL, "list", "list");
        return;
    }
    for (size_t i = 0; i < count; i++)
        rows[i] = row_of((const struct entry *)names->items[page.first + i]);
    struct cloister_sv next = page.more ? rows[count - 1].id : sv(NULL, 0);
    done(memory, op, RESULT(.rows = rows, .row_count = count, .row_size = sizeof(*rows), .cursor = next));
    free(rows);
}

static void run_list(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_list_args *args = data;
    if (usable(memory, op))
        list(memory, &memory->sets.names, args->prefix, args->cursor, args->limit, op);
}

static void run_get(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_get_args *args = data;
    if (!usable(memory, op))
        return;
    const struct entry *entry = records_find(&memory->sets.names, args->id);
    if (!entry) {
        FAIL(memory, op, CLOISTER_NO_ENTITY, 0, NULL, "get", "no record set of this id");
        return;
    }
    struct cloister_record *records = calloc(entry->record_count + 1, sizeof(*records));
    if (!records) {
        FAIL(memory, op, CLOISTER_IO, ENOMEM, NULL, "get", "get");
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < entry->record_count; i++) {
        const struct record *record = entry->records[i];
        bool wanted = args->kind_count == 0;
        for (uint32_t k = 0; k < args->kind_count && !wanted; k++)
            wanted = entry_get(entry, args->kinds[k]) == record;
        if (wanted)
            records[count++] = (struct cloister_record){.kind = sv(record->kind, record->kind_size),
                                                        .data = sv(record->data, record->size)};
    }
    done(memory, op,
         RESULT(.generation = entry->generation, .records = records, .record_count = count,
                .record_size = sizeof(*records), .summary = sv(entry->summary, entry->summary_size)));
    free(records);
}

/* Changes one entry of a table, or says why not. */
static void put(struct memory *memory, struct table *table, const struct cloister_store_put_args *args, cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct change change;
    int r = change_prepare(table, args->id, args, &change);
    if (r < 0) {
        FAIL(memory, op, CLOISTER_IO, -r, NULL, "put", "put");
        return;
    }
    uint64_t others = memory->sets.bytes + memory->globals.bytes - (change.old ? change.old->bytes : 0);
    if (!records_check_size(memory->host->log, change.made->bytes, others, memory->max_bytes, &err)) {
        (void)answer_error(memory, op, &err);
        change_drop(&change);
        return;
    }
    uint64_t generation = change.made->generation;
    change_make(table, &change);
    done(memory, op, RESULT(.generation = generation));
}

static void run_put(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_put_args *args = data;
    const struct cloister_log_api *log = memory->host->log;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (!writable(memory, args->epoch, op))
        return;
    const struct entry *old = records_find(&memory->sets.names, args->id);
    if (records_check_put(log, args, &err) &&
        records_check_generation(log, old, old ? old->generation : 0, args->if_generation, &err))
        put(memory, &memory->sets, args, op);
    else
        (void)answer_error(memory, op, &err);
}

static void run_destroy(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_destroy_args *args = data;
    const struct cloister_log_api *log = memory->host->log;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (!writable(memory, args->epoch, op))
        return;
    const struct entry *old = records_find(&memory->sets.names, args->id);
    if (!records_check_id(log, args->id, &err) ||
        (old && !records_check_generation(log, true, old->generation, args->if_generation, &err))) {
        (void)answer_error(memory, op, &err);
        return;
    }
    table_remove(&memory->sets, args->id);
    done(memory, op, RESULT(.was_absent = !old));
}

static bool good_global(struct memory *memory, const struct cloister_store_global_args *args, bool prefix, bool data,
                        cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    return records_check_global(memory->host->log, args, prefix, data, &err) || answer_error(memory, op, &err);
}

static void run_global_get(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_global_args *args = data;
    if (!usable(memory, op) || !good_global(memory, args, false, false, op))
        return;
    const struct entry *entry = records_find(&memory->globals.names, args->key);
    if (!entry) {
        FAIL(memory, op, CLOISTER_NO_ENTITY, 0, NULL, "global", "no global of this key");
        return;
    }
    struct cloister_record record = {.kind = records_sv(&entry->name),
                                     .data = sv(entry->records[0]->data, entry->records[0]->size)};
    done(memory, op,
         RESULT(.generation = entry->generation, .records = &record, .record_count = 1, .record_size = sizeof(record)));
}

static void run_global_put(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_global_args *args = data;
    if (!writable(memory, args->epoch, op) || !good_global(memory, args, false, true, op))
        return;
    struct cloister_record record = {.kind = CLOISTER_SV("data"), .data = args->data};
    if (!record.data.data)
        record.data = sv("", 0);
    struct cloister_store_put_args as_put = {CLOISTER_INIT(struct cloister_store_put_args), .id = args->key,
                                             .records = &record, .record_count = 1, .record_size = sizeof(record)};
    put(memory, &memory->globals, &as_put, op);
}

static void run_global_delete(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_global_args *args = data;
    if (!writable(memory, args->epoch, op) || !good_global(memory, args, false, false, op))
        return;
    bool absent = !records_find(&memory->globals.names, args->key);
    table_remove(&memory->globals, args->key);
    done(memory, op, RESULT(.was_absent = absent));
}

static void run_global_list(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_global_args *args = data;
    if (usable(memory, op) && good_global(memory, args, true, false, op))
        list(memory, &memory->globals.names, args->key, args->cursor, args->limit, op);
}

static void run_verify(struct memory *memory, const void *data, cloister_op op)
{
    const struct cloister_store_verify_args *args = data;
    if (!usable(memory, op))
        return;
    if (args->id.size && !records_find(&memory->sets.names, args->id)) {
        FAIL(memory, op, CLOISTER_NO_ENTITY, 0, NULL, "verify", "no record set of this id");
        return;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < memory->sets.names.count; i++)
        bytes += ((const struct entry *)memory->sets.names.items[i])->bytes;
    char report[128];
    int size = snprintf(report, sizeof(report), "{\"checked\":%zu,\"bad\":%d}",
                        args->id.size ? (size_t)1 : memory->sets.names.count, bytes != memory->sets.bytes);
    done(memory, op, RESULT(.report = sv(report, (size_t)size)));
}

static void run_stat(struct memory *memory, const void *data, cloister_op op)
{
    (void)data;
    if (!usable(memory, op))
        return;
    char report[192];
    int size = snprintf(report, sizeof(report),
                        "{\"sandboxes\":%zu,\"globals\":%zu,\"bytes\":%" PRIu64 ",\"max_bytes\":%" PRIu64 "}",
                        memory->sets.names.count, memory->globals.names.count,
                        memory->sets.bytes + memory->globals.bytes, memory->max_bytes);
    done(memory, op, RESULT(.report = sv(report, (size_t)size)));
}

#define SLOT(name, args_type)                                                             \
    static void slot_##name(void *instance, const struct args_type *args, cloister_op op) \
    {                                                                                     \
        later(instance, run_##name, args, op);                                            \
    }

SLOT(open, cloister_store_open_args)
SLOT(list, cloister_store_list_args)
SLOT(get, cloister_store_get_args)
SLOT(put, cloister_store_put_args)
SLOT(destroy, cloister_store_destroy_args)
SLOT(global_get, cloister_store_global_args)
SLOT(global_put, cloister_store_global_args)
SLOT(global_delete, cloister_store_global_args)
SLOT(global_list, cloister_store_global_args)
SLOT(verify, cloister_store_verify_args)
SLOT(stat, cloister_store_stat_args)

/* Nothing to hurry: every completion is already on its way. */
static void memory_cancel(void *instance, cloister_op op)
{
    (void)instance;
    (void)op;
}

static void memory_close(void *instance)
{
    struct memory *memory = instance;
    memory->open = false;
    table_free(&memory->sets);
    table_free(&memory->globals);
}

static int32_t memory_create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    if (!memory) {
        args->host->log->error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, "create", "create");
        return -1;
    }
    memory->host = args->host;
    memory->max_bytes = args->options[OPTION_MAX_BYTES].number;
    *ret_instance = memory;
    return 0;
}

static void memory_destroy(void *instance)
{
    memory_close(instance);
    free(instance);
}

static const struct cloister_option options[OPTION_COUNT] = {
    [OPTION_MAX_BYTES] = {.key = "max_bytes",
                          .type = CLOISTER_OPTION_U64,
                          .min = 4096,
                          .max = UINT64_C(1) << 40,
                          .fallback = "268435456",
                          .help = "bytes of records that the store holds at most"},
};

static const struct cloister_persistence vtable = {
    CLOISTER_INIT(struct cloister_persistence),
    .life = {.create = memory_create, .destroy = memory_destroy},
    .open = slot_open,
    .list = slot_list,
    .get = slot_get,
    .put = slot_put,
    .destroy = slot_destroy,
    .global_get = slot_global_get,
    .global_put = slot_global_put,
    .global_delete = slot_global_delete,
    .global_list = slot_global_list,
    .verify = slot_verify,
    .stat = slot_stat,
    .cancel = memory_cancel,
    .close = memory_close,
};

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_PERSISTENCE),
    .option_count = OPTION_COUNT,
    .name = "memory",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .build = "",
    .summary = "records in memory, gone with the daemon",
    .options = options,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
