/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - from a directory to an open store.
 *
 * First everything is read and nothing is written: a store of a later version must be left as it is. Then the new epoch
 * is made durable, before anything else, so that whoever had the store before us can be told apart. Then what is
 * damaged is put aside and what is torn is cut, and the directories of the sandboxes are compared with the journal: an
 * id that has one and is not in the journal is listed all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/records/check.h"
#include "fold.h"
#include "lease.h"
#include "replay.h"
#include "report.h"

struct opening {
    struct store *store;
    struct replay *replay;
    struct cloister_error *err;
    int identity;    /* enum identity_state */
    uint64_t number; /* of the newest journal, 0 if there is none */
    bool has_sets;   /* there are sandboxes' directories */
    bool cut;
    bool put_aside; /* the journal, whole */
};

static int fail(struct opening *opening, int r, const char *step, const char *name)
{
    return place_fail(&opening->store->place, opening->store->log, opening->err, r, step, name);
}

static int fail_newer(struct opening *opening, const char *name)
{
    struct store *store = opening->store;
    store->log->error_set(opening->err, CLOISTER_VERSION_NEWER, 0, store->place.path, "version",
                          "'%s/%s' was written by a later version than this one; it is left as it is",
                          store->place.path, name);
    return -1;
}

static int find_journal(void *ctx, const char *name)
{
    struct opening *opening = ctx;
    uint64_t number = journal_number(name);
    if (number > opening->number)
        opening->number = number;
    return 0;
}

static int see_set(void *ctx, const char *name)
{
    (void)name;
    struct opening *opening = ctx;
    opening->has_sets = true;
    return 0;
}

/* All that tells a store that has lost everything else from a new one. */
static int look_for_sets(struct opening *opening)
{
    int directory = openat(opening->store->place.fd, "s", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = directory < 0 ? -errno : place_each(directory, see_set, opening);
    if (directory >= 0)
        (void)close(directory);
    return r < 0 && r != -ENOENT ? fail(opening, r, "read directory", "s") : 0;
}

static int read_journal(struct opening *opening)
{
    struct journal *journal = &opening->store->journal;
    int r = place_each(opening->store->place.fd, find_journal, opening);
    if (r < 0)
        return fail(opening, r, "read directory", "");
    if (!opening->number)
        return 0;
    journal->number = opening->number;
    journal_name(journal->number, journal->name);
    journal->fd = place_file(opening->store->place.fd, journal->name, O_RDWR);
    if (journal->fd < 0)
        return fail(opening, journal->fd, "open", journal->name);
    opening->replay->fd = journal->fd;
    r = replay_run(opening->replay);
    if (r < 0)
        return fail(opening, r, "read", journal->name);
    return opening->replay->newer ? fail_newer(opening, journal->name) : 0;
}

static int read_everything(struct opening *opening)
{
    struct store *store = opening->store;
    int r = opening->identity = identity_read(&store->place, &store->identity);
    if (r < 0)
        return fail(opening, r, "read", "store");
    if (r == IDENTITY_NEWER)
        return fail_newer(opening, "store");
    opening->replay->salt = store->identity.salt;
    opening->replay->salt_is_known = r == IDENTITY_GOOD;
    r = look_for_sets(opening);
    return r < 0 ? r : read_journal(opening);
}

static bool is_new(const struct opening *opening)
{
    return opening->identity == IDENTITY_ABSENT && !opening->number && !opening->has_sets;
}

/* Who we are now. What the identity file does not tell, the journal may. */
static int settle_identity(struct opening *opening)
{
    struct store *store = opening->store;
    const struct replay *replay = opening->replay;
    uint64_t epoch = replay->epoch;
    int r = 0;
    if (opening->identity == IDENTITY_GOOD) {
        if (store->identity.epoch > epoch)
            epoch = store->identity.epoch;
    } else {
        r = identity_new(&store->identity);
        if (opening->number && !replay->headless) {
            (void)snprintf(store->identity.uuid, sizeof(store->identity.uuid), "%.36s", replay->head.id);
            store->identity.salt = replay->salt;
        }
        /* How often it was opened is lost: numbers made from an epoch must not come again. */
        uint64_t now = (uint64_t)time(NULL);
        if (!is_new(opening) && now > epoch)
            epoch = now;
    }
    if (r < 0)
        return fail(opening, r, "make an identity for", "");
    store->identity.epoch = epoch + 1;
    return 0;
}

static int take_over(struct opening *opening)
{
    struct store *store = opening->store;
    int r = lease_sign(store->lock_fd);
    if (r < 0)
        return fail(opening, r, "sign", "lock");
    r = quarantine_open(&store->place, store->limits.quarantine_bytes, &store->quarantine);
    if (r < 0)
        return fail(opening, r, "open directory", "q");
    if (opening->identity == IDENTITY_DAMAGED && (r = quarantine_keep(&store->quarantine, &store->place, "store")) < 0)
        return fail(opening, r, "quarantine", "store");
    r = identity_write(&store->place, &store->identity);
    if (r == -ENOSPC) {
        place_release_reserve(&store->place);
        r = identity_write(&store->place, &store->identity);
    }
    if (r < 0)
        return fail(opening, r, "write", "store");
    store->sets_fd = place_directory(store->place.fd, "s");
    r = store->sets_fd < 0 ? store->sets_fd : place_sync(&store->place, store->place.fd);
    return r < 0 ? fail(opening, r, "open directory", "s") : 0;
}

static bool damaged(const struct opening *opening)
{
    const struct replay *replay = opening->replay;
    return opening->number && (replay->damage_count || replay->headless || replay->foreign);
}

/* Without the damage, its records may be there for an operator to find; without a journal they are gone. */
static int add_lost(struct opening *opening, struct cloister_sv id)
{
    struct index *index = &opening->store->index;
    const struct delta none = {.health = damaged(opening) ? CLOISTER_HEALTH_QUARANTINED : CLOISTER_HEALTH_LOST};
    struct item *item;
    int r = records_reserve(&index->sets, 1);
    r = r < 0 ? r : item_prepare(NULL, id, &none, &item);
    if (r < 0)
        return r;
    item->generation = 0;
    item->has_directory = true;
    index_put(index, &index->sets, item);
    return 0;
}

static int see_directory(void *ctx, const char *name)
{
    struct opening *opening = ctx;
    const struct cloister_sv id = {name, strlen(name)};
    struct item *item = records_find(&opening->store->index.sets, id);
    if (item)
        item->has_directory = true;
    else if (records_good_id(id)) {
        /* Only if nothing is missing does its destruction mean that it was not made again. */
        if (!damaged(opening) && records_find(&opening->replay->gone, id))
            (void)store_remove_directory(opening->store, id);
        else
            return add_lost(opening, id);
    }
    return 0;
}

static int compare_directories(struct opening *opening)
{
    struct store *store = opening->store;
    int r = place_each(store->sets_fd, see_directory, opening);
    if (r < 0)
        return fail(opening, r, "read directory", "s");
    for (size_t i = 0; i < store->index.sets.count; i++) {
        struct item *item = (struct item *)store->index.sets.items[i];
        /* Between an entry and its answer the directory is made: a crash came first. A full disk is no reason to
         * refuse: the next opening tries again. */
        if (!item->has_directory)
            item->has_directory = store_add_directory(store, records_sv(&item->name)) == 0;
    }
    (void)place_sync(&store->place, store->sets_fd);
    return 0;
}

static int cut_tail(struct opening *opening)
{
    struct store *store = opening->store;
    const struct replay *replay = opening->replay;
    opening->cut = true;
    int r = quarantine_copy(&store->quarantine, &store->place, store->journal.name, store->journal.fd,
                            replay->good_size, replay->file_size - replay->good_size);
    if (r < 0) /* then the whole file is kept, which takes no room in there */
        return r;
    if (ftruncate(store->journal.fd, (off_t)replay->good_size) < 0)
        return -errno;
    return place_sync(&store->place, store->journal.fd);
}

/* A journal whose end can be written at. */
static int mend(struct opening *opening)
{
    struct store *store = opening->store;
    const struct replay *replay = opening->replay;
    bool whole = damaged(opening);
    if (opening->number && !whole && replay->good_size < replay->file_size) {
        uint64_t marked = 0;
        bool torn = lease_marked(store->lock_fd, opening->number, &marked) && replay->good_size >= marked;
        whole = cut_tail(opening) < 0;
        opening->cut = opening->cut && !torn; /* a write that was killed: nobody has been answered for it */
    }
    if (opening->number && !whole) {
        store->journal.size = replay->good_size;
        store->journal.folded = replay->folded;
        store->fold_at = replay->folded * 2 > store->limits.fold_bytes ? replay->folded * 2 : store->limits.fold_bytes;
        journal_reserve(&store->journal);
        return 0;
    }
    opening->put_aside = store->journal.keep = opening->number > 0;
    if (fold(store, opening->err) == 0)
        return 0;
    /* Damage and a full disk at once: what can be read is served, and each write tries to fold first. */
    store->journal.broken = true;
    if (!opening->number)
        return -1;
    *opening->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    return 0;
}

static int remove_leftover(void *ctx, const char *name)
{
    const struct store *store = ctx;
    size_t size = strlen(name);
    uint64_t number = journal_number(name);
    bool temporary = size > 4 && strcmp(name + size - 4, ".tmp") == 0;
    if (temporary || (number && number < store->journal.number))
        (void)unlinkat(store->place.fd, name, 0);
    return 0;
}

static void tell(struct opening *opening)
{
    const struct replay *replay = opening->replay;
    struct report_opening told = {
        .identity = is_new(opening)                         ? NULL
                    : opening->identity == IDENTITY_DAMAGED ? "damaged"
                    : opening->identity == IDENTITY_ABSENT  ? "missing"
                                                            : NULL,
        .journal = opening->number,
        .cut = opening->cut ? replay->file_size - replay->good_size : 0,
        .foreign = replay->foreign,
        .put_aside = opening->put_aside,
        .damages = replay->damages,
        .damage_count = replay->damage_count,
        .damaged_bytes = replay->damaged_bytes,
    };
    report_opening(opening->store, &told);
}

static int open_all(struct opening *opening, struct cloister_sv state_dir, struct cloister_sv directory)
{
    struct store *store = opening->store;
    int r = place_open(&store->place, store->log, state_dir, directory, opening->err);
    r = r < 0 ? r : lease_take(&store->place, store->log, &store->lock_fd, opening->err);
    r = r < 0 ? r : read_everything(opening);
    r = r < 0 ? r : settle_identity(opening);
    r = r < 0 ? r : take_over(opening);
    if (r < 0)
        return r;
    store->index = opening->replay->index;
    opening->replay->index = (struct index){.bytes = 0};
    store->seq = opening->replay->seq;
    r = compare_directories(opening);
    r = r < 0 ? r : mend(opening);
    if (r < 0)
        return r;
    lease_mark(store->lock_fd, store->journal.number, store->journal.size);
    (void)place_each(store->place.fd, remove_leftover, store);
    place_keep_reserve(&store->place);
    tell(opening);
    store->open = true;
    return 0;
}

int store_open(struct store *store, struct cloister_sv state_dir, struct cloister_sv directory, struct cloister_sv boot,
               struct cloister_error *err)
{
    struct replay *replay = calloc(1, sizeof(*replay));
    struct opening opening = {.store = store, .replay = replay, .err = err};
    if (!replay) {
        store->log->error_set(err, CLOISTER_IO, ENOMEM, NULL, "open", "open the store");
        return -1;
    }
    (void)snprintf(store->boot, sizeof(store->boot), "%.*s", (int)boot.size, boot.data ? boot.data : "");
    int r = open_all(&opening, state_dir, directory);
    replay_free(replay);
    free(replay);
    if (r < 0)
        store_close(store);
    return r;
}
