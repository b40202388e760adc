/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - what is asked of a store. Results are copies: by the time they are looked at, the batch may have gone on. */
#include <errno.h>
#include <stdio.h>

#include "common/records/check.h"
#include "report.h"
#include "write.h"

void request_free(struct request *request)
{
    free(request->array);
    bytes_free(&request->text);
    free(request);
}

static void fail_read(const struct store *store, struct request *request, int r)
{
    (void)place_fail(&store->place, store->log, &request->err, r, "read", store->journal.name);
}

/* A copy in `text`, whose memory must be there already: pointers into it are kept. */
static struct cloister_sv keep(struct bytes *text, struct cloister_sv from)
{
    struct cloister_sv kept = {text->data + text->size, from.size};
    bytes_add(text, from.data, from.size);
    return kept;
}

static bool make_room(struct bytes *text, size_t size)
{
    bool done = bytes_extend(text, size + 1) != NULL;
    text->size = 0;
    return done;
}

static struct cloister_sv summary_of(const struct item *item)
{
    return (struct cloister_sv){item->summary, item->summary_size};
}

static void list(struct store *store, struct request *request, const struct records_names *names,
                 struct cloister_sv prefix, struct cloister_sv cursor, uint32_t limit)
{
    if (!records_check_limit(store->log, limit, &request->err))
        return;
    const struct records_page page = records_page(names, prefix, cursor, limit);
    size_t count = page.end - page.first, size = 0;
    struct cloister_store_row *rows = request->array = calloc(count + 1, sizeof(*rows));
    for (size_t i = page.first; i < page.end; i++)
        size += names->items[i]->size + ((const struct item *)names->items[i])->summary_size;
    if (!rows || !make_room(&request->text, size)) {
        fail_read(store, request, -ENOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct item *item = (const struct item *)names->items[page.first + i];
        rows[i] = (struct cloister_store_row){.id = keep(&request->text, records_sv(&item->name)),
                                              .summary = keep(&request->text, summary_of(item)),
                                              .generation = item->generation,
                                              .bytes = item->bytes,
                                              .health = item->health};
    }
    request->result.rows = rows;
    request->result.row_count = count;
    request->result.row_size = sizeof(*rows);
    if (page.more)
        request->result.cursor = rows[count - 1].id;
}

void read_list(struct writer *writer, struct request *request)
{
    const struct cloister_store_list_args *args = request->args;
    if (!writer_is_open(writer, request))
        return;
    writer_settle(writer, (struct cloister_sv){NULL, 0});
    list(writer->store, request, &writer->store->index.sets, args->prefix, args->cursor, args->limit);
}

void read_global_list(struct writer *writer, struct request *request)
{
    const struct cloister_store_global_args *args = request->args;
    if (!writer_is_open(writer, request) || !records_check_global(writer->store->log, args, true, false, &request->err))
        return;
    writer_settle(writer, (struct cloister_sv){NULL, 0});
    list(writer->store, request, &writer->store->index.globals, args->key, args->cursor, args->limit);
}

static bool is_wanted(const struct item *item, const struct ref *ref, const struct cloister_sv *kinds, uint32_t count)
{
    bool wanted = count == 0;
    for (uint32_t i = 0; i < count && !wanted; i++)
        wanted = item_find(item, kinds[i]) == ref;
    return wanted;
}

/* kinds: 0 of them = all. global: the one record is known by the item's name. */
static int get(struct store *store, struct request *request, const struct item *item, const struct cloister_sv *kinds,
               uint32_t kind_count, bool global)
{
    struct cloister_store_result *result = &request->result;
    struct cloister_record *records = request->array = calloc(item->ref_count + 1, sizeof(*records));
    if (!records || !make_room(&request->text, item->bytes + item->name.size))
        return -ENOMEM;
    for (size_t i = 0; i < item->ref_count; i++) {
        const struct ref *ref = item->refs[i];
        if (!is_wanted(item, ref, kinds, kind_count))
            continue;
        struct cloister_record *record = &records[result->record_count++];
        const struct cloister_sv kind = {ref->kind, ref->kind_size};
        record->kind = keep(&request->text, global ? records_sv(&item->name) : kind);
        char *at = bytes_extend(&request->text, ref->size);
        int r = store_read(store, store->journal.fd, ref, at);
        if (r < 0)
            return r;
        record->data = (struct cloister_sv){at, ref->size};
    }
    result->summary = keep(&request->text, summary_of(item));
    result->generation = item->generation;
    result->records = records;
    result->record_size = sizeof(*records);
    return 0;
}

static void get_or_fail(struct store *store, struct request *request, struct item *item,
                        const struct cloister_store_get_args *args, bool global)
{
    if (!item) {
        store->log->error_set(&request->err, CLOISTER_NO_ENTITY, 0, NULL, "get", "nothing of this name");
        return;
    }
    int r = item->generation ? get(store, request, item, args->kinds, args->kind_count, global) : 0;
    if (r == -EBADMSG || r == -ENODATA)
        store_spoil(store, item);
    else if (r < 0)
        fail_read(store, request, r);
    if (request->err.code == 0 && !item->generation)
        store->log->error_set(&request->err, CLOISTER_CORRUPT, 0, NULL, "get", "its records %s; the store is '%s'",
                              item->health == CLOISTER_HEALTH_LOST ? "are lost" : "are damaged", store->place.path);
}

void read_get(struct writer *writer, struct request *request)
{
    const struct cloister_store_get_args *args = request->args;
    if (!writer_is_open(writer, request))
        return;
    writer_settle(writer, args->id);
    get_or_fail(writer->store, request, records_find(&writer->store->index.sets, args->id), args, false);
}

void read_global_get(struct writer *writer, struct request *request)
{
    const struct cloister_store_global_args *args = request->args;
    const struct cloister_store_get_args all = {CLOISTER_INIT(struct cloister_store_get_args)};
    if (!writer_is_open(writer, request) ||
        !records_check_global(writer->store->log, args, false, false, &request->err))
        return;
    writer_settle(writer, args->key);
    get_or_fail(writer->store, request, records_find(&writer->store->index.globals, args->key), &all, true);
}

void read_verify(struct writer *writer, struct request *request)
{
    struct store *store = writer->store;
    const struct cloister_store_verify_args *args = request->args;
    if (!writer_is_open(writer, request))
        return;
    writer_settle(writer, (struct cloister_sv){NULL, 0});
    if (args->id.size && !records_find(&store->index.sets, args->id)) {
        store->log->error_set(&request->err, CLOISTER_NO_ENTITY, 0, NULL, "verify", "nothing of this name");
        return;
    }
    int r = report_verify(store, args->id, args->deep != 0, &request->text);
    if (r < 0)
        fail_read(store, request, r);
    request->result.report = bytes_sv(&request->text);
}

void read_stat(struct writer *writer, struct request *request)
{
    if (!writer_is_open(writer, request))
        return;
    writer_settle(writer, (struct cloister_sv){NULL, 0});
    report_stat(writer->store, &request->text);
    if (request->text.failed)
        fail_read(writer->store, request, -ENOMEM);
    request->result.report = bytes_sv(&request->text);
}
