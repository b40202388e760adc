/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "window.h"

void store_entry(const struct store *store, struct bytes *bytes, const struct envelope *envelope,
                 struct cloister_sv payload)
{
    struct envelope whole = *envelope;
    char line[LINE_MAX_BYTES];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    /* The first entry of a file tells the salt, so it is sealed without. */
    uint64_t salt = envelope->kind == ENTRY_JOURNAL ? 0 : store->identity.salt;
    whole.epoch = store->identity.epoch;
    whole.wall = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    whole.size = payload.size;
    whole.crc = line_crc(salt, payload.data, payload.size);
    (void)snprintf(whole.boot, sizeof(whole.boot), "%s", store->boot);
    size_t size = envelope_print(&whole, salt, line);
    bytes_add(bytes, line, size);
    bytes_add(bytes, payload.data, payload.size);
}

int store_read(const struct store *store, int fd, const struct ref *ref, char *ret)
{
    int r = read_all(fd, ref->offset, ret, ref->size);
    if (r < 0)
        return r;
    return line_crc(store->identity.salt, ret, ref->size) == ref->crc ? 0 : -EBADMSG;
}

void store_spoil(struct store *store, struct item *item)
{
    store->damaged_reads++;
    item_empty(&store->index, item, CLOISTER_HEALTH_QUARANTINED);
}

int store_add_directory(struct store *store, struct cloister_sv id)
{
    char name[CLOISTER_STORE_ID_MAX + 1];
    (void)snprintf(name, sizeof(name), "%.*s", (int)id.size, id.data);
    int fd = place_directory(store->sets_fd, name);
    if (fd < 0)
        return fd;
    close_fd(&fd);
    return 0;
}

int store_remove_directory(struct store *store, struct cloister_sv id)
{
    char name[CLOISTER_STORE_ID_MAX + 1];
    (void)snprintf(name, sizeof(name), "%.*s", (int)id.size, id.data);
    return unlinkat(store->sets_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

void store_close(struct store *store)
{
    if (store->open && store->place.durable && !store->journal.broken)
        (void)fdatasync(store->journal.fd);
    journal_close(&store->journal);
    quarantine_close(&store->quarantine);
    close_fd(&store->sets_fd);
    close_fd(&store->lock_fd);
    place_close(&store->place);
    index_free(&store->index);
    bytes_free(&store->report);
    bytes_free(&store->notice);
    const struct store fresh = {.log = store->log, .limits = store->limits};
    *store = fresh;
    store->place.fd = store->lock_fd = store->sets_fd = store->quarantine.fd = store->journal.fd = -1;
}
