/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c - put and destroy.
 *
 * A change is checked against the index, printed and made ready; then it waits for the flush at the end of its batch.
 * The flush is one write and, if one of them promises to survive a power cut, one sync; only then does the index change
 * and anybody hear of it. A change of a name that waits already flushes first, so each is checked against what the one
 * before left. When the disk is full, each goes alone: removals then still pass.
 *
 * A sandbox's directory is made between its first entry and the answer, and removed between its last entry and the
 * answer: whoever was answered is known by directory, and a crash in between is told from a loss by the entry.
 */
#include "write.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/records/check.h"
#include "fold.h"
#include "lease.h"

#define SMALL_CHANGE (16u * 1024u)

struct write {
    struct request *request;
    struct envelope envelope;
    struct bytes payload;
    size_t payload_at; /* in what is written together */
    struct records_names *names;
    struct item *made; /* NULL: a removal */
    bool is_new;       /* the first entry of a sandbox: it needs a directory */
    bool sync;
    enum urgency urgency;
};

static struct cloister_sv name_of(const struct write *write)
{
    return (struct cloister_sv){write->envelope.id, strlen(write->envelope.id)};
}

static void write_free(struct write *write)
{
    item_free(write->made);
    bytes_free(&write->payload);
}

static void fail_memory(const struct store *store, struct request *request)
{
    store->log->error_set(&request->err, CLOISTER_IO, ENOMEM, NULL, "memory", "make the change ready");
}

static void fail_write(const struct store *store, struct write *write, int r)
{
    (void)place_fail(&store->place, store->log, &write->request->err, r,
                     store->journal.step ? store->journal.step : "write", store->journal.name);
}

bool writer_is_open(struct writer *writer, struct request *request)
{
    if (!writer->store->open)
        writer->store->log->error_set(&request->err, CLOISTER_UNAVAILABLE, 0, NULL, "open", "the store is not open");
    return writer->store->open;
}

/* An entry without an answer: it must not come back. */
static void retract(struct store *store, struct write *write)
{
    struct bytes out BYTES_CLEANUP = {0};
    struct envelope envelope = {.kind = ENTRY_DESTROY, .seq = store->seq + 1, .generation = write->envelope.generation};
    memcpy(envelope.id, write->envelope.id, sizeof(envelope.id));
    store_entry(store, &out, &envelope, CLOISTER_SV("\n"));
    if (out.failed || journal_append(&store->journal, bytes_sv(&out), false, URGENCY_REMOVAL) < 0)
        store->journal.broken = true; /* the fold that comes first leaves it out */
    else {
        lease_mark(store->lock_fd, store->journal.number, store->journal.size);
        store->seq++;
    }
    (void)store_remove_directory(store, name_of(write));
}

/* Directories of those that are new; who gets none is retracted. */
static void add_directories(struct store *store, struct write *writes, size_t count)
{
    bool sync = false;
    int synced = 0;
    for (size_t i = 0; i < count; i++) {
        if (!writes[i].is_new)
            continue;
        int r = store_add_directory(store, name_of(&writes[i]));
        if (r < 0)
            (void)place_fail(&store->place, store->log, &writes[i].request->err, r, "make directory of",
                             writes[i].envelope.id);
        sync = sync || writes[i].sync;
        writes[i].made->has_directory = r == 0;
    }
    if (sync)
        synced = place_sync(&store->place, store->sets_fd);
    for (size_t i = 0; i < count; i++) {
        struct write *write = &writes[i];
        if (write->is_new && synced < 0 && write->request->err.code == 0)
            (void)place_fail(&store->place, store->log, &write->request->err, synced, "sync directory", "s");
        if (write->request->err.code)
            retract(store, write);
    }
}

static void take_effect(struct store *store, struct write *write, uint64_t base)
{
    struct request *request = write->request;
    if (request->err.code)
        return;
    if (!write->made) {
        int r = write->envelope.kind == ENTRY_DESTROY ? store_remove_directory(store, name_of(write)) : 0;
        if (r == 0) {
            index_remove(&store->index, write->names, name_of(write));
            return;
        }
        /* Still listed, so that it is destroyed again; of its records nothing is left. */
        struct item *item = records_find(write->names, name_of(write));
        item_empty(&store->index, item, CLOISTER_HEALTH_LOST);
        (void)place_fail(&store->place, store->log, &request->err, r, "remove directory of", write->envelope.id);
        return;
    }
    item_place(write->made, base + write->payload_at);
    write->made->seq = write->envelope.seq;
    write->made->generation = request->result.generation = write->envelope.generation;
    index_put(&store->index, write->names, write->made);
    write->made = NULL;
}

static int print_all(struct store *store, struct write *writes, size_t count, struct bytes *out)
{
    for (size_t i = 0; i < count; i++) {
        writes[i].envelope.seq = store->seq + 1 + i;
        store_entry(store, out, &writes[i].envelope, bytes_sv(&writes[i].payload));
        writes[i].payload_at = out->size - writes[i].payload.size;
    }
    store->journal.step = "make room for";
    if (out->failed || records_reserve(&store->index.sets, count) < 0 ||
        records_reserve(&store->index.globals, count) < 0)
        return -ENOMEM;
    return 0;
}

/* 0, or negative errno and nothing has changed. */
static int write_together(struct store *store, struct write *writes, size_t count)
{
    struct bytes out BYTES_CLEANUP = {0};
    enum urgency urgency = URGENCY_REMOVAL;
    bool sync = false;
    if (store->journal.broken) {
        store->journal.step = "write behind a failed sync in";
        return -EIO;
    }
    int r = print_all(store, writes, count, &out);
    for (size_t i = 0; i < count; i++) {
        sync = sync || writes[i].sync;
        urgency = writes[i].urgency < urgency ? writes[i].urgency : urgency;
    }
    /* A journal that cannot be folded any more would keep a full disk full whatever is destroyed. */
    if (r == 0 && urgency == URGENCY_NONE && !fold_has_room(store, out.size)) {
        store->journal.step = "keep room to rewrite";
        r = -ENOSPC;
    }
    r = r < 0 ? r : journal_append(&store->journal, bytes_sv(&out), sync && store->place.durable, urgency);
    if (r < 0)
        return r;
    lease_mark(store->lock_fd, store->journal.number, store->journal.size);
    store->seq += count;
    uint64_t base = store->journal.size - out.size;
    add_directories(store, writes, count);
    for (size_t i = 0; i < count; i++)
        take_effect(store, &writes[i], base);
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void flush(struct writer *writer)
{
    struct store *store = writer->store;
    uint64_t begin = now_ns();
    size_t count = writer->count;
    int r = count ? write_together(store, writer->writes, count) : 0;
    bool alone = r == -ENOSPC && count > 1;
    store->cramped = store->cramped || r == -ENOSPC;
    for (size_t i = 0; r < 0 && i < count; i++) {
        int mine = alone ? write_together(store, &writer->writes[i], 1) : r;
        if (mine < 0)
            fail_write(store, &writer->writes[i], mine);
    }
    for (size_t i = 0; i < count; i++)
        write_free(&writer->writes[i]);
    writer->count = 0;
    uint64_t taken = now_ns() - begin;
    if (count && taken > store->put_max_ns)
        store->put_max_ns = taken;
}

void writer_settle(struct writer *writer, struct cloister_sv name)
{
    for (size_t i = 0; i < writer->count; i++) {
        const struct cloister_sv other = name_of(&writer->writes[i]);
        if (!name.size || (other.size == name.size && memcmp(other.data, name.data, name.size) == 0)) {
            flush(writer);
            return;
        }
    }
}

void writer_finish(struct writer *writer)
{
    flush(writer);
    free(writer->writes);
    writer->writes = NULL;
    writer->capacity = 0;
    if (writer->store->open && !writer->store->journal.broken)
        fold_if_due(writer->store);
}

bool writer_begin(struct writer *writer, struct request *request, uint64_t epoch, struct cloister_sv name)
{
    struct store *store = writer->store;
    if (!writer_is_open(writer, request) ||
        !records_check_epoch(store->log, epoch, store->identity.epoch, &request->err))
        return false;
    writer_settle(writer, name);
    if (!store->journal.broken)
        return true;
    flush(writer);
    if (fold(store, &request->err) == 0)
        return true;
    store->log->error_wrap(&request->err, "begin a new journal after a failure");
    return false;
}

static bool add(struct writer *writer, const struct write *write)
{
    if (writer->count == writer->capacity) {
        size_t capacity = writer->capacity ? writer->capacity * 2 : 16;
        struct write *writes = reallocarray(writer->writes, capacity, sizeof(*writes));
        if (!writes)
            return false;
        writer->writes = writes;
        writer->capacity = capacity;
    }
    writer->writes[writer->count++] = *write;
    return true;
}

static void set_name(struct write *write, struct cloister_sv name)
{
    (void)snprintf(write->envelope.id, sizeof(write->envelope.id), "%.*s", (int)name.size, name.data);
}

/* What the store will hold besides this item, with all that waits. */
static uint64_t others(const struct writer *writer, const struct item *old)
{
    uint64_t bytes = writer->store->index.bytes - (old ? old->bytes : 0);
    for (size_t i = 0; i < writer->count; i++)
        bytes += writer->writes[i].made ? writer->writes[i].made->bytes : 0;
    return bytes;
}

static bool check_count(const struct writer *writer, struct request *request)
{
    const struct store *store = writer->store;
    uint64_t count = store->index.sets.count;
    for (size_t i = 0; i < writer->count; i++)
        count += writer->writes[i].is_new;
    if (count < store->limits.max_sandboxes)
        return true;
    store->log->error_set(&request->err, CLOISTER_QUOTA, 0, "max_sandboxes", "put",
                          "the store would hold more than %llu sandboxes",
                          (unsigned long long)store->limits.max_sandboxes);
    return false;
}

/* Takes write->payload. `base`: what the delta is on top of, NULL = it is whole; `old`: what it replaces. */
static void add_records(struct writer *writer, struct write *write, const struct item *base, const struct item *old)
{
    const struct store *store = writer->store;
    struct request *request = write->request;
    DELTA_CLEANUP struct delta delta = {0};
    int r = write->payload.failed ? -ENOMEM : payload_parse(bytes_sv(&write->payload), &delta);
    r = r < 0 ? r : item_prepare(base, name_of(write), &delta, &write->made);
    if (r < 0)
        fail_memory(store, request);
    else if (records_check_size(store->log, write->made->bytes, others(writer, old), store->limits.max_bytes,
                                &request->err)) {
        write->made->has_directory = old && old->has_directory;
        if (add(writer, write))
            return;
        fail_memory(store, request);
    }
    write_free(write);
}

void write_put(struct writer *writer, struct request *request)
{
    struct store *store = writer->store;
    const struct cloister_store_put_args *args = request->args;
    if (!writer_begin(writer, request, args->epoch, args->id) || !records_check_put(store->log, args, &request->err))
        return;
    const struct item *old = records_find(&store->index.sets, args->id);
    if (!records_check_generation(store->log, old, old ? old->generation : 0, args->if_generation, &request->err) ||
        (!old && !check_count(writer, request)))
        return;
    const struct item *base = old && old->generation ? old : NULL;
    struct write write = {.request = request,
                          .names = &store->index.sets,
                          .is_new = !old,
                          .sync = args->durability == CLOISTER_DURABLE_POWER};
    write.envelope = (struct envelope){.kind = base ? ENTRY_PUT : ENTRY_SET,
                                       .prev = base ? base->seq : 0,
                                       .generation = base ? base->generation + 1 : 1};
    set_name(&write, args->id);
    payload_print(&write.payload, store->identity.salt, args);
    write.urgency = old && write.payload.size <= SMALL_CHANGE ? URGENCY_CHANGE : URGENCY_NONE;
    add_records(writer, &write, base, old);
}

void write_whole(struct writer *writer, struct request *request, struct cloister_sv id, uint64_t generation,
                 struct bytes *payload)
{
    struct store *store = writer->store;
    const struct item *old = records_find(&store->index.sets, id);
    struct write write = {
        .request = request, .names = &store->index.sets, .is_new = !old, .sync = true, .payload = *payload};
    *payload = (struct bytes){0};
    write.envelope = (struct envelope){.kind = ENTRY_SET, .generation = generation};
    set_name(&write, id);
    add_records(writer, &write, NULL, old);
}

void write_global_put(struct writer *writer, struct request *request)
{
    struct store *store = writer->store;
    const struct cloister_store_global_args *args = request->args;
    if (!writer_begin(writer, request, args->epoch, args->key) ||
        !records_check_global(store->log, args, false, true, &request->err))
        return;
    const struct item *old = records_find(&store->index.globals, args->key);
    struct write write = {
        .request = request, .names = &store->index.globals, .sync = args->durability == CLOISTER_DURABLE_POWER};
    write.envelope = (struct envelope){.kind = ENTRY_GLOBAL, .generation = old ? old->generation + 1 : 1};
    set_name(&write, args->key);
    payload_begin(&write.payload, CLOISTER_HEALTH_OK, CLOISTER_SV(""), 1);
    payload_add(&write.payload, store->identity.salt, CLOISTER_SV("data"),
                args->data.data ? args->data : CLOISTER_SV(""));
    add_records(writer, &write, NULL, old);
}

static void remove_name(struct writer *writer, struct request *request, enum entry_kind kind,
                        struct records_names *names, const struct item *old)
{
    struct write write = {.request = request, .names = names, .sync = true, .urgency = URGENCY_REMOVAL};
    write.envelope = (struct envelope){.kind = kind, .generation = old->generation};
    set_name(&write, records_sv(&old->name));
    bytes_add(&write.payload, "\n", 1);
    if (write.payload.failed || !add(writer, &write)) {
        write_free(&write);
        fail_memory(writer->store, request);
    }
}

void write_destroy(struct writer *writer, struct request *request)
{
    struct store *store = writer->store;
    const struct cloister_store_destroy_args *args = request->args;
    if (!writer_begin(writer, request, args->epoch, args->id) || !records_check_id(store->log, args->id, &request->err))
        return;
    const struct item *old = records_find(&store->index.sets, args->id);
    if (!old) {
        /* An earlier destruction may have got stuck here. */
        int r = store_remove_directory(store, args->id);
        request->result.was_absent = 1;
        if (r < 0)
            (void)place_fail(&store->place, store->log, &request->err, r, "remove the directory of a sandbox in", "s");
    } else if (records_check_generation(store->log, true, old->generation, args->if_generation, &request->err)) {
        remove_name(writer, request, ENTRY_DESTROY, &store->index.sets, old);
    }
}

void write_global_delete(struct writer *writer, struct request *request)
{
    struct store *store = writer->store;
    const struct cloister_store_global_args *args = request->args;
    if (!writer_begin(writer, request, args->epoch, args->key) ||
        !records_check_global(store->log, args, false, false, &request->err))
        return;
    const struct item *old = records_find(&store->index.globals, args->key);
    if (old)
        remove_name(writer, request, ENTRY_GLOBAL_DELETE, &store->index.globals, old);
    else
        request->result.was_absent = 1;
}
