/* SPDX-License-Identifier: Apache-2.0 */
/* ward.c - what an operator may do with the quarantine: look, take a copy, discharge, and bring a sandbox back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/records/check.h"
#include "replay.h"
#include "window.h"
#include "write.h"

struct patient {
    struct records_name name;
    uint64_t bytes;
};

struct round {
    const struct store *store;
    struct records_names names;
};

static int see(void *ctx, const char *name)
{
    struct round *round = ctx;
    struct stat st;
    if (fstatat(round->store->quarantine.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    struct patient *patient = malloc(sizeof(*patient));
    char *copy = strdup(name);
    if (!patient || !copy || records_reserve(&round->names, 1) < 0) {
        free(patient);
        free(copy);
        return -ENOMEM;
    }
    *patient = (struct patient){{copy, strlen(copy)}, (uint64_t)st.st_size};
    free(records_insert(&round->names, &patient->name));
    return 0;
}

static void round_free(struct round *round)
{
    for (size_t i = 0; i < round->names.count; i++) {
        free(round->names.items[i]->data);
        free(round->names.items[i]);
    }
    free(round->names.items);
}

static void fail(const struct store *store, struct request *request, int r, const char *step)
{
    const struct cloister_store_quarantine_args *args = request->args;
    char name[QUARANTINE_NAME_MAX];
    (void)snprintf(name, sizeof(name), "q/%.*s", (int)args->name.size, args->name.data ? args->name.data : "");
    if (r == -ENOENT)
        store->log->error_set(&request->err, CLOISTER_NO_ENTITY, 0, name, step, "%s '%s/%s': there is no such file",
                              step, store->place.path, name);
    else
        (void)place_fail(&store->place, store->log, &request->err, r, step, name);
}

static bool print_rows(const struct round *round, const struct records_page *page, struct request *request)
{
    size_t count = page->end - page->first, size = 0;
    struct cloister_store_row *rows = request->array = calloc(count + 1, sizeof(*rows));
    for (size_t i = page->first; i < page->end; i++)
        size += round->names.items[i]->size;
    if (!rows || !bytes_extend(&request->text, size + 1))
        return false;
    request->text.size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct patient *patient = (const struct patient *)round->names.items[page->first + i];
        rows[i] = (struct cloister_store_row){
            .id = {request->text.data + request->text.size, patient->name.size},
            .bytes = patient->bytes,
            .health = CLOISTER_HEALTH_QUARANTINED,
        };
        bytes_add(&request->text, patient->name.data, patient->name.size);
    }
    request->result.rows = rows;
    request->result.row_count = count;
    request->result.row_size = sizeof(*rows);
    request->result.cursor = page->more ? rows[count - 1].id : (struct cloister_sv){NULL, 0};
    return true;
}

void ward_list(struct writer *writer, struct request *request)
{
    const struct cloister_store_quarantine_args *args = request->args;
    struct round round = {.store = writer->store};
    if (!writer_is_open(writer, request) || !records_check_limit(writer->store->log, args->limit, &request->err))
        return;
    int r = place_each(writer->store->quarantine.fd, see, &round);
    const struct records_page page =
        records_page(&round.names, (struct cloister_sv){NULL, 0}, args->cursor, args->limit);
    if (r == 0 && !print_rows(&round, &page, request))
        r = -ENOMEM;
    if (r < 0)
        fail(writer->store, request, r, "list");
    round_free(&round);
}

/* The named file, or -1 and the request has failed. */
static int open_named(struct writer *writer, struct request *request, char ret_name[QUARANTINE_NAME_MAX])
{
    const struct store *store = writer->store;
    const struct cloister_store_quarantine_args *args = request->args;
    if (!writer_is_open(writer, request))
        return -1;
    if (!records_good_id(args->name) || args->name.size >= QUARANTINE_NAME_MAX) {
        store->log->error_set(&request->err, CLOISTER_INVALID, 0, "name", "quarantine",
                              "the name is none that the quarantine gives");
        return -1;
    }
    (void)snprintf(ret_name, QUARANTINE_NAME_MAX, "%.*s", (int)args->name.size, args->name.data);
    int fd = place_file(store->quarantine.fd, ret_name, O_RDONLY);
    if (fd < 0)
        fail(store, request, fd, "open");
    return fd < 0 ? -1 : fd;
}

void ward_get(struct writer *writer, struct request *request)
{
    const struct cloister_store_quarantine_args *args = request->args;
    char name[QUARANTINE_NAME_MAX];
    struct window window;
    FD_CLEANUP int fd = open_named(writer, request, name);
    if (fd < 0)
        return;
    int r = window_open(&window, fd);
    if (r == 0) {
        struct cloister_sv view = window_at(&window, args->offset, CLOISTER_STORE_RECORD_MAX);
        r = window.error;
        if (view.size > CLOISTER_STORE_RECORD_MAX)
            view.size = CLOISTER_STORE_RECORD_MAX;
        bytes_add(&request->text, view.data, view.size);
        window_close(&window);
    }
    struct cloister_record *record = request->array = calloc(1, sizeof(*record));
    if (r < 0 || !record || request->text.failed) {
        fail(writer->store, request, r < 0 ? r : -ENOMEM, "read");
        return;
    }
    *record = (struct cloister_record){.kind = args->name, .data = bytes_sv(&request->text)};
    request->result.records = record;
    request->result.record_count = request->text.size > 0;
    request->result.record_size = sizeof(*record);
}

void ward_purge(struct writer *writer, struct request *request)
{
    const struct cloister_store_quarantine_args *args = request->args;
    struct store *store = writer->store;
    char name[QUARANTINE_NAME_MAX];
    FD_CLEANUP int fd = open_named(writer, request, name);
    if (fd < 0 || !records_check_epoch(store->log, args->epoch, store->identity.epoch, &request->err))
        return;
    int r = quarantine_remove(&store->quarantine, name);
    if (r < 0)
        fail(store, request, r, "remove");
}

/* The set as it lies in the file, printed anew. */
static int print_set(const struct store *store, int fd, const struct item *item, struct bytes *payload)
{
    payload_begin(payload, CLOISTER_HEALTH_RECOVERED, (struct cloister_sv){item->summary, item->summary_size},
                  item->ref_count);
    for (size_t i = 0; i < item->ref_count; i++) {
        const struct ref *ref = item->refs[i];
        struct bytes data BYTES_CLEANUP = {0};
        char *at = bytes_extend(&data, ref->size);
        int r = at ? store_read(store, fd, ref, at) : -ENOMEM;
        if (r < 0)
            return r;
        payload_add(payload, store->identity.salt, (struct cloister_sv){ref->kind, ref->kind_size}, bytes_sv(&data));
    }
    return payload->failed ? -ENOMEM : 0;
}

static int restore_from(struct writer *writer, struct request *request, struct replay *replay)
{
    const struct cloister_store_quarantine_args *args = request->args;
    struct bytes payload BYTES_CLEANUP = {0};
    int r = replay_run(replay);
    const struct item *found = r == 0 ? records_find(&replay->index.sets, args->id) : NULL;
    if (r < 0)
        return r;
    if (!found || !found->generation)
        return -ENODATA;
    r = print_set(writer->store, replay->fd, found, &payload);
    if (r == 0)
        write_whole(writer, request, args->id, found->generation, &payload);
    return r;
}

void ward_restore(struct writer *writer, struct request *request)
{
    const struct cloister_store_quarantine_args *args = request->args;
    struct store *store = writer->store;
    char name[QUARANTINE_NAME_MAX];
    FD_CLEANUP int fd = open_named(writer, request, name);
    if (fd < 0 || !writer_begin(writer, request, args->epoch, args->id) ||
        !records_check_id(store->log, args->id, &request->err))
        return;
    const struct item *item = records_find(&store->index.sets, args->id);
    if (item && item->generation) {
        store->log->error_set(&request->err, CLOISTER_EXISTS, 0, NULL, "restore",
                              "its records are there, at generation %llu", (unsigned long long)item->generation);
        return;
    }
    struct replay *replay = calloc(1, sizeof(*replay));
    int r = -ENOMEM;
    if (replay) {
        *replay = (struct replay){.fd = fd, .salt = store->identity.salt, .salt_is_known = true};
        r = restore_from(writer, request, replay);
        replay_free(replay);
    }
    free(replay);
    if (r == -ENODATA)
        store->log->error_set(&request->err, CLOISTER_NO_ENTITY, 0, NULL, "restore",
                              "'%s/q/%s' holds no whole record set of this sandbox", store->place.path, name);
    else if (r < 0)
        fail(store, request, r, "read");
}
