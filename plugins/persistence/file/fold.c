/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold.c - the journal begins anew with one entry for each thing that lives.
 *
 * Written under a temporary name, synced, renamed: until the rename the old journal is the store, from then on the new
 * one, and both say the same. Of two journals the one with the higher number counts. If the directory cannot be synced
 * after the rename, nobody knows which of the two a power cut would leave, so the new one takes nothing until it has
 * been folded away itself.
 */
#include "fold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lease.h"
#include "replay.h"
#include "window.h"

#define PIECE (1024u * 1024u)

struct folding {
    struct store *store;
    struct journal made;
    struct bytes out; /* not yet written */
    uint64_t seq;
    bool damaged; /* some record of the old journal cannot be read */
};

#define TEMPORARY_MAX (JOURNAL_NAME_MAX + 8u)

static void temporary_name(const struct journal *journal, char ret[TEMPORARY_MAX])
{
    (void)snprintf(ret, TEMPORARY_MAX, "%s.tmp", journal->name);
}

static int flush(struct folding *folding, size_t keep_below)
{
    if (folding->out.failed)
        return -ENOMEM;
    if (folding->out.size < keep_below || !folding->out.size)
        return 0;
    int r = write_all(folding->made.fd, folding->made.size, folding->out.data, folding->out.size);
    folding->made.size += folding->out.size;
    folding->out.size = 0;
    return r;
}

/* The item's records, read from the old journal. 0, or -EBADMSG, or negative errno. */
static int print_records(struct folding *folding, const struct item *item, struct bytes *payload)
{
    const struct store *store = folding->store;
    payload->size = 0;
    payload_begin(payload, item->health, (struct cloister_sv){item->summary, item->summary_size}, item->ref_count);
    for (size_t i = 0; i < item->ref_count; i++) {
        struct ref *ref = item->refs[i];
        struct bytes data BYTES_CLEANUP = {0};
        char *at = bytes_extend(&data, ref->size);
        int r = at ? store_read(store, store->journal.fd, ref, at) : -ENOMEM;
        if (r < 0)
            return r;
        payload_add(payload, store->identity.salt, (struct cloister_sv){ref->kind, ref->kind_size}, bytes_sv(&data));
        ref->next = payload->size - 1 - ref->size;
    }
    return payload->failed ? -ENOMEM : 0;
}

static int add_entry(struct folding *folding, enum entry_kind kind, const char *id, uint64_t generation,
                     struct cloister_sv payload)
{
    struct envelope envelope = {.kind = kind, .seq = folding->seq++, .generation = generation};
    (void)snprintf(envelope.id, sizeof(envelope.id), "%s", id);
    store_entry(folding->store, &folding->out, &envelope, payload);
    return folding->out.failed ? -ENOMEM : 0;
}

static int add_item(struct folding *folding, enum entry_kind kind, struct item *item)
{
    struct bytes payload BYTES_CLEANUP = {0};
    int r = print_records(folding, item, &payload);
    if (r == -EBADMSG || r == -ENODATA) {
        folding->damaged = true;
        store_spoil(folding->store, item);
        r = print_records(folding, item, &payload);
    }
    item->next_seq = folding->seq;
    r = r < 0 ? r : add_entry(folding, kind, item->name.data, item->generation, bytes_sv(&payload));
    if (r < 0)
        return r;
    uint64_t payload_offset = folding->made.size + folding->out.size - payload.size;
    for (size_t i = 0; i < item->ref_count; i++)
        item->refs[i]->next += payload_offset;
    return flush(folding, PIECE);
}

static int add_all(struct folding *folding)
{
    struct index *index = &folding->store->index;
    struct bytes head BYTES_CLEANUP = {0};
    replay_head_print(&head, folding->store->identity.salt, index->sets.count + index->globals.count);
    int r = head.failed ? -ENOMEM
                        : add_entry(folding, ENTRY_JOURNAL, folding->store->identity.uuid, folding->made.number,
                                    bytes_sv(&head));
    for (size_t i = 0; r == 0 && i < index->sets.count; i++)
        r = add_item(folding, ENTRY_SET, (struct item *)index->sets.items[i]);
    for (size_t i = 0; r == 0 && i < index->globals.count; i++)
        r = add_item(folding, ENTRY_GLOBAL, (struct item *)index->globals.items[i]);
    return r < 0 ? r : flush(folding, 0);
}

static void move_refs(struct records_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct item *item = (struct item *)names->items[i];
        item->seq = item->next_seq;
        for (size_t k = 0; k < item->ref_count; k++)
            item->refs[k]->offset = item->refs[k]->next;
    }
}

/* The new journal is the one in use. */
static void adopt(struct folding *folding)
{
    struct store *store = folding->store;
    struct journal *journal = &store->journal;
    journal_close(journal);
    folding->made.folded = folding->made.size;
    folding->made.writes = journal->writes;
    folding->made.syncs = journal->syncs + (store->place.durable ? 1 : 0);
    folding->made.sync_ns = journal->sync_ns;
    folding->made.sync_max_ns = journal->sync_max_ns;
    *journal = folding->made;
    folding->made.fd = -1;
    journal_reserve(journal);
    move_refs(&store->index.sets);
    move_refs(&store->index.globals);
    store->seq = folding->seq - 1;
    store->folds++;
    store->cramped = false;
    store->fold_at = journal->size * 2 > store->limits.fold_bytes ? journal->size * 2 : store->limits.fold_bytes;
}

/* Writes the new journal and renames it. The step that failed is in made.step. */
static int make(struct folding *folding)
{
    struct store *store = folding->store;
    struct journal *made = &folding->made;
    char temporary[TEMPORARY_MAX];
    temporary_name(made, temporary);
    made->step = "create";
    made->fd = place_file(store->place.fd, temporary, O_RDWR | O_CREAT | O_TRUNC);
    if (made->fd < 0)
        return made->fd;
    made->step = "write";
    int r = add_all(folding);
    if (r == 0) {
        made->step = "sync";
        r = place_sync(&store->place, made->fd);
    }
    if (r == 0) /* directories that are gone must be so before the entries that say it are */
        r = place_sync(&store->place, store->sets_fd);
    if (r == 0) {
        made->step = "rename";
        r = renameat(store->place.fd, temporary, store->place.fd, made->name) < 0 ? -errno : 0;
    }
    if (r < 0)
        (void)unlinkat(store->place.fd, temporary, 0);
    return r;
}

int fold(struct store *store, struct cloister_error *err)
{
    const struct place *place = &store->place;
    struct folding folding = {
        .store = store, .made = {.fd = -1, .number = store->journal.number + 1}, .seq = store->seq + 1};
    char old[JOURNAL_NAME_MAX];
    memcpy(old, store->journal.name, sizeof(old));
    journal_name(folding.made.number, folding.made.name);
    int r = store->journal.keep ? quarantine_keep(&store->quarantine, place, old) : 0;
    if (r < 0)
        return place_fail(place, store->log, err, r, "quarantine", old);
    store->journal.keep = false; /* once is enough, should the rest fail */
    r = make(&folding);
    bytes_free(&folding.out);
    if (r < 0) {
        journal_close(&folding.made);
        return place_fail(place, store->log, err, r, folding.made.step, folding.made.name);
    }
    adopt(&folding);
    r = place_sync(place, place->fd);
    if (r < 0) {
        store->journal.broken = true;
        return place_fail(place, store->log, err, r, "sync directory", "");
    }
    lease_mark(store->lock_fd, store->journal.number, store->journal.size);
    /* The old one says nothing that the new one does not: if it cannot go now, it goes when the store is opened. */
    if (old[0] && (!folding.damaged || quarantine_keep(&store->quarantine, place, old) == 0))
        (void)unlinkat(place->fd, old, 0);
    return 0;
}

/* What a fold would write, about. */
static uint64_t live_bytes(const struct store *store)
{
    return store->index.bytes + (store->index.sets.count + store->index.globals.count + 8) * (uint64_t)LINE_MAX_BYTES;
}

bool fold_has_room(const struct store *store, uint64_t more)
{
    struct statfs fs;
    if (fstatfs(store->place.fd, &fs) < 0)
        return true; /* then the write itself tells */
    uint64_t wanted = live_bytes(store) + more;
    return (uint64_t)fs.f_bavail >= wanted / (uint64_t)(fs.f_bsize > 0 ? fs.f_bsize : 1);
}

/* On a full disk: less lives than what is written. */
static bool gives_space(const struct store *store)
{
    return store->cramped && live_bytes(store) < store->journal.size && fold_has_room(store, 0);
}

void fold_if_due(struct store *store)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if ((store->journal.size < store->fold_at && !gives_space(store)) || fold(store, &err) == 0)
        return;
    char text[512];
    (void)store->log->error_sentence(&err, text, sizeof(text));
    store->notice.size = 0;
    bytes_printf(&store->notice, "fold the journal, now of %llu bytes: %s; it goes on as it is",
                 (unsigned long long)store->journal.size, text);
    store->fold_at = store->journal.size + store->limits.fold_bytes;
}
