/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.c - the `file` store: records on disk, in one journal (README.md).
 *
 * Operations queue up on the loop; one job at a time takes all that have come so far to the one worker thread. While it
 * writes and syncs, more come, and go out together in the next: that is the group commit. The worker owns the store;
 * the loop owns the queue, and completes what the worker has done. The next job starts after that, so nothing is
 * shared.
 */
#include <cloister/host.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "write.h"

#define FORMAT IDENTITY_FORMAT
#define DIRECTORY_MAX 512u

enum {
    OPTION_DIRECTORY,
    OPTION_MAX_BYTES,
    OPTION_MAX_SANDBOXES,
    OPTION_FOLD_BYTES,
    OPTION_QUARANTINE_BYTES,
    OPTION_COUNT
};

struct file {
    const struct cloister_host *host;
    cloister_queue *queue;
    char directory[DIRECTORY_MAX];
    char boot[40];
    struct store store;    /* the worker's, while a job is under way */
    struct request *first; /* waiting */
    struct request **last;
    struct request *batch; /* with the worker */
    bool working;
    bool destroyed; /* the host is gone: no call to it */
    bool told_not_durable;
};

static void start(struct file *file);

static void work(void *ctx)
{
    struct file *file = ctx;
    struct writer writer = {.store = &file->store};
    for (struct request *request = file->batch; request; request = request->next)
        if (request->cancelled)
            file->store.log->error_set(&request->err, CLOISTER_CANCELLED, 0, NULL, "cancel",
                                       "cancelled before it began");
        else
            request->run(&writer, request);
    writer_finish(&writer);
}

static void complete(struct file *file, struct request *request)
{
    const struct cloister_host *host = file->host;
    if (!file->destroyed && request->op)
        host->store->done(host, request->op, request->err.code ? &request->err : NULL,
                          request->err.code ? NULL : &request->result);
    request_free(request);
}

static void tell(struct file *file)
{
    struct store *store = &file->store;
    if (file->destroyed)
        return; /* the store is the worker's alone by now: see work_last */
    if (store->notice.size)
        cloister_log(file->host, CLOISTER_WARNING, "%.*s", (int)store->notice.size, store->notice.data);
    store->notice.size = 0;
    if (store->open && !store->place.durable && !file->told_not_durable) {
        file->told_not_durable = true;
        cloister_log(file->host, CLOISTER_WARNING,
                     "'%s' is in memory (tmpfs): its records end with the machine's power, and nothing is synced",
                     store->place.path);
    }
}

static void done(void *ctx)
{
    struct file *file = ctx;
    struct request *next, *batch = file->batch;
    file->batch = NULL;
    tell(file);
    for (struct request *request = batch; request; request = next) {
        next = request->next;
        complete(file, request);
    }
    file->working = false;
    start(file);
}

/* Hands all that waits to the worker. */
static void start(struct file *file)
{
    if (file->working || file->destroyed || !file->first)
        return;
    struct request *batch = file->batch = file->first;
    file->first = NULL;
    file->last = &file->first;
    file->working = true;
    int r = file->host->loop->job(file->queue, work, done, file);
    if (r == 0)
        return;
    for (struct request *request = batch; request; request = request->next)
        file->store.log->error_set(&request->err, CLOISTER_IO, -r, NULL, "queue", "start a worker");
    if (file->host->loop->post(file->host, done, file) < 0)
        done(file);
}

static void enqueue(struct file *file, struct request *request)
{
    *file->last = request;
    file->last = &request->next;
    start(file);
}

static struct request *request_new(request_fn run, const void *args, cloister_op op)
{
    struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->run = run;
    request->args = args;
    request->op = op;
    request->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    request->result.struct_size = sizeof(request->result);
    return request;
}

static void submit(void *instance, request_fn run, const void *args, cloister_op op)
{
    struct file *file = instance;
    struct request *request = request_new(run, args, op);
    if (request) {
        enqueue(file, request);
        return;
    }
    struct cloister_error err = CLOISTER_ERROR_INIT;
    file->store.log->error_set(&err, CLOISTER_IO, ENOMEM, NULL, "queue", "queue the operation");
    /* Too early by contract, but the host copes with that; it could not with silence. */
    file->host->store->done(file->host, op, &err, NULL);
}

static struct file *file_of(struct writer *writer)
{
    return (struct file *)(void *)((char *)writer->store - offsetof(struct file, store));
}

static void run_open(struct writer *writer, struct request *request)
{
    struct store *store = writer->store;
    const struct file *file = file_of(writer);
    const struct cloister_store_open_args *args = request->args;
    const struct cloister_sv directory = {file->directory, strlen(file->directory)};
    const struct cloister_sv boot = {file->boot, strlen(file->boot)};
    if (store->open) {
        char pid[24];
        (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
        store->log->error_set(&request->err, CLOISTER_BUSY, 0, pid, "open", "the store is open already, in process %s",
                              pid);
        return;
    }
    if (store_open(store, args->state_dir, directory, boot, &request->err) < 0)
        return;
    request->result.format = FORMAT;
    request->result.capabilities = store->place.durable ? CLOISTER_STORE_DURABLE : 0;
    request->result.epoch = store->identity.epoch;
    bytes_add(&request->text, store->identity.uuid, strlen(store->identity.uuid));
    bytes_add(&request->text, store->report.data, store->report.size);
    size_t uuid = strlen(store->identity.uuid);
    if (request->text.failed) {
        store->log->error_set(&request->err, CLOISTER_IO, ENOMEM, NULL, "open", "report on the store");
        store_close(store);
        return;
    }
    request->result.store_id = (struct cloister_sv){request->text.data, uuid};
    request->result.report = (struct cloister_sv){request->text.data + uuid, request->text.size - uuid};
}

static void run_close(struct writer *writer, struct request *request)
{
    (void)request;
    writer_settle(writer, (struct cloister_sv){NULL, 0});
    store_close(writer->store);
}

#define SLOT(name, args_type, run)                                                        \
    static void slot_##name(void *instance, const struct args_type *args, cloister_op op) \
    {                                                                                     \
        submit(instance, run, args, op);                                                  \
    }

SLOT(open, cloister_store_open_args, run_open)
SLOT(list, cloister_store_list_args, read_list)
SLOT(get, cloister_store_get_args, read_get)
SLOT(put, cloister_store_put_args, write_put)
SLOT(destroy, cloister_store_destroy_args, write_destroy)
SLOT(global_get, cloister_store_global_args, read_global_get)
SLOT(global_put, cloister_store_global_args, write_global_put)
SLOT(global_delete, cloister_store_global_args, write_global_delete)
SLOT(global_list, cloister_store_global_args, read_global_list)
SLOT(quarantine_list, cloister_store_quarantine_args, ward_list)
SLOT(quarantine_get, cloister_store_quarantine_args, ward_get)
SLOT(quarantine_purge, cloister_store_quarantine_args, ward_purge)
SLOT(quarantine_restore, cloister_store_quarantine_args, ward_restore)
SLOT(verify, cloister_store_verify_args, read_verify)
SLOT(stat, cloister_store_stat_args, read_stat)

/* What the worker has got is not called back. */
static void file_cancel(void *instance, cloister_op op)
{
    const struct file *file = instance;
    for (struct request *request = file->first; request; request = request->next)
        if (request->op == op)
            request->cancelled = true;
}

/* Shuts the store behind what is queued; a later open comes after it. */
static void file_close(void *instance)
{
    struct file *file = instance;
    struct request *request = request_new(run_close, NULL, 0);
    if (request)
        enqueue(file, request);
    /* else it is shut with the instance */
}

/* Behind the last batch. The close may still be waiting for its turn. */
static void work_last(void *ctx)
{
    struct file *file = ctx;
    store_close(&file->store);
}

static void queue_closed(void *ctx)
{
    struct file *file = ctx;
    for (struct request *request = file->first, *next; request; request = next) {
        next = request->next;
        request_free(request);
    }
    store_close(&file->store);
    free(file);
}

static void file_destroy(void *instance)
{
    struct file *file = instance;
    file->destroyed = true;
    (void)file->host->loop->job(file->queue, work_last, NULL, file);
    file->host->loop->queue_close(file->queue, queue_closed, file);
}

static int set_directory(struct file *file, const struct cloister_create_args *args, struct cloister_error *err)
{
    const struct cloister_option_value *value =
        (const struct cloister_option_value *)(const void *)((const char *)args->options +
                                                             OPTION_DIRECTORY * args->option_size);
    if (!value->set)
        (void)snprintf(file->directory, sizeof(file->directory), "store/%.*s", (int)args->name.size, args->name.data);
    else if (value->text.size < sizeof(file->directory) && place_is_below(value->text))
        (void)snprintf(file->directory, sizeof(file->directory), "%.*s", (int)value->text.size, value->text.data);
    else {
        args->host->log->error_set(err, CLOISTER_INVALID, 0, "directory", "create",
                                   "'directory' must be a path below the state directory, without '.' and '..'");
        return -1;
    }
    return 0;
}

static uint64_t number(const struct cloister_create_args *args, unsigned option)
{
    return ((const struct cloister_option_value *)(const void *)((const char *)args->options +
                                                                 option * args->option_size))
        ->number;
}

static int32_t file_create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    const struct cloister_host *host = args->host;
    struct file *file = calloc(1, sizeof(*file));
    int r = file ? 0 : -ENOMEM;
    if (file && set_directory(file, args, err) < 0) {
        free(file);
        return -1;
    }
    r = r < 0 ? r : host->loop->queue_open(host, "store", 1, &file->queue);
    if (r < 0) {
        host->log->error_set(err, CLOISTER_INTERNAL, -r, NULL, "create", "create");
        free(file);
        return -1;
    }
    const struct cloister_sv boot = host->system->boot_id(host);
    file->host = host;
    file->last = &file->first;
    file->store = (struct store)STORE_INIT;
    file->store.log = host->log;
    file->store.limits = (struct store_limits){
        .max_bytes = number(args, OPTION_MAX_BYTES),
        .max_sandboxes = number(args, OPTION_MAX_SANDBOXES),
        .fold_bytes = number(args, OPTION_FOLD_BYTES),
        .quarantine_bytes = number(args, OPTION_QUARANTINE_BYTES),
    };
    (void)snprintf(file->boot, sizeof(file->boot), "%.*s", (int)boot.size, boot.data ? boot.data : "");
    *ret_instance = file;
    return 0;
}

static const struct cloister_option options[OPTION_COUNT] = {
    [OPTION_DIRECTORY] = {.key = "directory",
                          .type = CLOISTER_OPTION_STRING,
                          .min = 1,
                          .max = DIRECTORY_MAX - 1,
                          .help = "where it lies below the state directory; default: store/NAME"},
    [OPTION_MAX_BYTES] = {.key = "max_bytes",
                          .type = CLOISTER_OPTION_U64,
                          .min = 4096,
                          .max = UINT64_C(1) << 40,
                          .fallback = "268435456",
                          .help = "bytes of records that the store holds at most"},
    [OPTION_MAX_SANDBOXES] = {.key = "max_sandboxes",
                              .type = CLOISTER_OPTION_U64,
                              .min = 1,
                              .max = 1000000,
                              .fallback = "16384",
                              .help = "sandboxes that the store holds at most"},
    [OPTION_FOLD_BYTES] = {.key = "fold_bytes",
                           .type = CLOISTER_OPTION_U64,
                           .min = 4096,
                           .max = UINT64_C(1) << 32,
                           .fallback = "4194304",
                           .help = "a journal is rewritten when it is this long and twice what lives in it"},
    [OPTION_QUARANTINE_BYTES] = {.key = "quarantine_bytes",
                                 .type = CLOISTER_OPTION_U64,
                                 .min = 0,
                                 .max = UINT64_C(1) << 40,
                                 .fallback = "67108864",
                                 .help = "bytes of damaged pieces that are copied to the quarantine at most"},
};

static const struct cloister_persistence vtable = {
    CLOISTER_INIT(struct cloister_persistence),
    .life = {.create = file_create, .destroy = file_destroy},
    .open = slot_open,
    .list = slot_list,
    .get = slot_get,
    .put = slot_put,
    .destroy = slot_destroy,
    .global_get = slot_global_get,
    .global_put = slot_global_put,
    .global_delete = slot_global_delete,
    .global_list = slot_global_list,
    .quarantine_list = slot_quarantine_list,
    .quarantine_get = slot_quarantine_get,
    .quarantine_purge = slot_quarantine_purge,
    .quarantine_restore = slot_quarantine_restore,
    .verify = slot_verify,
    .stat = slot_stat,
    .cancel = file_cancel,
    .close = file_close,
};

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_PERSISTENCE),
    .option_count = OPTION_COUNT,
    .name = "file",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .build = "",
    .summary = "records in one journal on disk; they survive the daemon, and power cuts where they promise to",
    .provides = CLOISTER_STORE_DURABLE,
    .options = options,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
