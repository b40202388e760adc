/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>

#define NAMES_TOLD 64u /* of a list; its length is always told */

static const char *const health_words[] = {
    [CLOISTER_HEALTH_OK] = "ok",
    [CLOISTER_HEALTH_RECOVERED] = "recovered",
    [CLOISTER_HEALTH_QUARANTINED] = "quarantined",
    [CLOISTER_HEALTH_NEWER] = "newer",
    [CLOISTER_HEALTH_LOST] = "lost",
};

static size_t count_health(const struct records_names *names, uint32_t health)
{
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++)
        count += ((const struct item *)names->items[i])->health == health;
    return count;
}

/* "lost":{"count":2,"ids":["a","b"]}, */
static void print_names(struct bytes *out, const char *key, const struct records_names *names, uint32_t health)
{
    size_t count = count_health(names, health), told = 0;
    if (!count)
        return;
    bytes_printf(out, "\"%s\":{\"count\":%zu,\"ids\":[", key, count);
    for (size_t i = 0; i < names->count && told < NAMES_TOLD; i++) {
        if (((const struct item *)names->items[i])->health != health)
            continue;
        bytes_add(out, ",", told++ ? 1 : 0);
        bytes_json(out, records_sv(names->items[i]));
    }
    bytes_printf(out, "]},");
}

static void print_damages(struct bytes *out, const struct report_opening *told)
{
    bytes_printf(out, "\"damage\":{\"places\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"first\":[", told->damage_count,
                 told->damaged_bytes);
    for (uint64_t i = 0; i < told->damage_count && i < REPLAY_DAMAGES; i++) {
        const struct damage *damage = &told->damages[i];
        bytes_printf(out, "%s{\"offset\":%" PRIu64 ",\"size\":%" PRIu64, i ? "," : "", damage->offset, damage->size);
        if (damage->id[0])
            bytes_printf(out, ",\"id\":\"%s\"", damage->id);
        bytes_add(out, "}", 1);
    }
    bytes_printf(out, "]},");
}

static bool is_clean(const struct store *store, const struct report_opening *told)
{
    const struct records_names *sets = &store->index.sets;
    return !told->identity && !told->cut && !told->foreign && !told->put_aside && !told->damage_count &&
           !store->journal.broken && !count_health(sets, CLOISTER_HEALTH_LOST) &&
           !count_health(sets, CLOISTER_HEALTH_QUARANTINED);
}

void report_opening(struct store *store, const struct report_opening *told)
{
    struct bytes *out = &store->report;
    out->size = 0;
    if (is_clean(store, told))
        return;
    bytes_printf(out, "{");
    if (told->identity)
        bytes_printf(out, "\"identity\":\"%s\",", told->identity);
    if (told->cut)
        bytes_printf(out, "\"cut\":%" PRIu64 ",", told->cut);
    if (told->foreign)
        bytes_printf(out, "\"foreign\":true,");
    if (told->put_aside)
        bytes_printf(out, "\"put_aside\":\"journal.%" PRIu64 "\",", told->journal);
    if (store->journal.broken)
        bytes_printf(out, "\"not_mended\":true,");
    if (told->damage_count)
        print_damages(out, told);
    print_names(out, "recovered", &store->index.sets, CLOISTER_HEALTH_RECOVERED);
    print_names(out, "recovered_globals", &store->index.globals, CLOISTER_HEALTH_RECOVERED);
    print_names(out, "quarantined", &store->index.sets, CLOISTER_HEALTH_QUARANTINED);
    print_names(out, "lost", &store->index.sets, CLOISTER_HEALTH_LOST);
    bytes_printf(out, "\"quarantine_bytes\":%" PRIu64 "}", store->quarantine.bytes);
    if (out->failed) { /* it must not look clean for want of memory */
        *out = (struct bytes){0};
        bytes_add(out, "{}", 2);
    }
}

void report_stat(const struct store *store, struct bytes *out)
{
    const struct journal *journal = &store->journal;
    const struct index *index = &store->index;
    bytes_printf(out, "{\"sandboxes\":%zu,\"globals\":%zu,\"bytes\":%" PRIu64 ",\"max_bytes\":%" PRIu64,
                 index->sets.count, index->globals.count, index->bytes, store->limits.max_bytes);
    for (uint32_t health = CLOISTER_HEALTH_RECOVERED; health <= CLOISTER_HEALTH_LOST; health++)
        bytes_printf(out, ",\"%s\":%zu", health_words[health], count_health(&index->sets, health));
    bytes_printf(out, ",\"journal\":%" PRIu64 ",\"journal_bytes\":%" PRIu64 ",\"journal_broken\":%s", journal->number,
                 journal->size, journal->broken ? "true" : "false");
    bytes_printf(out,
                 ",\"folds\":%" PRIu64 ",\"writes\":%" PRIu64 ",\"syncs\":%" PRIu64 ",\"sync_ns\":%" PRIu64
                 ",\"sync_max_ns\":%" PRIu64 ",\"put_max_ns\":%" PRIu64,
                 store->folds, journal->writes, journal->syncs, journal->sync_ns, journal->sync_max_ns,
                 store->put_max_ns);
    bytes_printf(out,
                 ",\"quarantine_files\":%" PRIu64 ",\"quarantine_bytes\":%" PRIu64 ",\"damaged_reads\":%" PRIu64
                 ",\"durable\":%s}",
                 store->quarantine.count, store->quarantine.bytes, store->damaged_reads,
                 store->place.durable ? "true" : "false");
}

/* 0, -EBADMSG, or negative errno. */
static int verify_item(struct store *store, struct item *item)
{
    for (size_t i = 0; i < item->ref_count; i++) {
        struct bytes data BYTES_CLEANUP = {0};
        char *at = bytes_extend(&data, item->refs[i]->size);
        int r = at ? store_read(store, store->journal.fd, item->refs[i], at) : -ENOMEM;
        if (r == -EBADMSG || r == -ENODATA)
            store_spoil(store, item);
        if (r < 0)
            return r == -ENODATA ? -EBADMSG : r;
    }
    return item->generation ? 0 : -EBADMSG;
}

static int verify_names(struct store *store, struct records_names *names, struct cloister_sv id, uint64_t *ret_checked,
                        uint64_t *ret_bad)
{
    for (size_t i = 0; i < names->count; i++) {
        struct item *item = (struct item *)names->items[i];
        if (id.size && (item->name.size != id.size || memcmp(item->name.data, id.data, id.size) != 0))
            continue;
        int r = verify_item(store, item);
        if (r < 0 && r != -EBADMSG)
            return r;
        ++*ret_checked;
        *ret_bad += r < 0;
    }
    return 0;
}

int report_verify(struct store *store, struct cloister_sv id, bool deep, struct bytes *out)
{
    uint64_t checked = 0, bad = 0, damages = 0;
    int r = verify_names(store, &store->index.sets, id, &checked, &bad);
    if (r == 0 && !id.size)
        r = verify_names(store, &store->index.globals, id, &checked, &bad);
    if (r == 0 && deep) {
        struct replay *replay = calloc(1, sizeof(*replay));
        if (!replay)
            return -ENOMEM;
        *replay = (struct replay){.fd = store->journal.fd, .salt = store->identity.salt, .salt_is_known = true};
        r = replay_run(replay);
        damages = replay->damage_count;
        replay_free(replay);
        free(replay);
    }
    bytes_printf(out, "{\"checked\":%" PRIu64 ",\"bad\":%" PRIu64, checked, bad);
    if (deep)
        bytes_printf(out, ",\"damaged_places\":%" PRIu64, damages);
    bytes_add(out, ",", 1);
    print_names(out, "quarantined", &store->index.sets, CLOISTER_HEALTH_QUARANTINED);
    print_names(out, "lost", &store->index.sets, CLOISTER_HEALTH_LOST);
    bytes_printf(out, "\"journal_bytes\":%" PRIu64 "}", store->journal.size);
    return r < 0 ? r : out->failed ? -ENOMEM : 0;
}
