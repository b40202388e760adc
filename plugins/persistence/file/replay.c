/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - what a journal means.
 *
 * An entry counts if its envelope and its payload have the right checksums, if its number follows that of the entry
 * before, and if a change builds on the very entry that made its sandbox what it is. After damage that hides whose it
 * was, everybody who has no sound entry behind it may be older than what was once promised, and is marked RECOVERED.
 */
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "window.h"

struct run {
    struct replay *replay;
    struct window window;
    uint64_t salt;
    uint64_t offset;
    bool counted;        /* seq is that of the entry before */
    uint64_t folded_seq; /* entries up to this one are those the journal began with */
    bool hidden;         /* there was damage that hides whose it was, */
    uint64_t hidden_seq; /* and the number of the last entry before the last of it */
    bool after_damage;   /* between damage and the next sound entry */
};

void replay_head_print(struct bytes *bytes, uint64_t salt, uint64_t folded)
{
    bytes_printf(bytes, "salt=%016" PRIx64 " folded=%020" PRIu64 " \n", salt, folded);
}

static void note_damage(struct run *run, uint64_t size, const char *id)
{
    struct replay *replay = run->replay;
    if (replay->damage_count < REPLAY_DAMAGES) {
        struct damage *damage = &replay->damages[replay->damage_count];
        *damage = (struct damage){.offset = run->offset, .size = size};
        (void)snprintf(damage->id, sizeof(damage->id), "%s", id);
    }
    replay->damage_count++;
    replay->damaged_bytes += size;
    run->after_damage = true;
}

/* Everybody whose last sound entry is no later than this one may have had a later one. */
static void doubt(struct run *run, uint64_t seq)
{
    if (!run->hidden || seq > run->hidden_seq)
        run->hidden_seq = seq;
    run->hidden = true;
}

static struct records_names *table_of(struct index *index, enum entry_kind kind)
{
    return kind == ENTRY_GLOBAL || kind == ENTRY_GLOBAL_DELETE ? &index->globals : &index->sets;
}

static struct cloister_sv name_of(const struct envelope *envelope)
{
    return (struct cloister_sv){envelope->id, strlen(envelope->id)};
}

static void item_worsen(struct item *item)
{
    if (item->health == CLOISTER_HEALTH_OK)
        item->health = CLOISTER_HEALTH_RECOVERED;
}

/* Its entry is known to exist and cannot be used: what there was before is all there is. */
static int miss(struct run *run, const struct envelope *envelope)
{
    struct records_names *names = table_of(&run->replay->index, envelope->kind);
    const struct delta none = {.health = CLOISTER_HEALTH_QUARANTINED};
    struct item *item = records_find(names, name_of(envelope));
    if (item) {
        item_worsen(item);
        return 0;
    }
    int r = records_reserve(names, 1);
    r = r < 0 ? r : item_prepare(NULL, name_of(envelope), &none, &item);
    if (r < 0)
        return r;
    item->generation = 0;
    index_put(&run->replay->index, names, item);
    return 0;
}

static int remember_gone(struct run *run, struct cloister_sv name)
{
    const struct delta none = {.health = CLOISTER_HEALTH_OK};
    struct item *item;
    int r = records_reserve(&run->replay->gone, 1);
    r = r < 0 ? r : item_prepare(NULL, name, &none, &item);
    if (r == 0)
        item_free(records_insert(&run->replay->gone, &item->name));
    return r;
}

static int apply_removal(struct run *run, const struct envelope *envelope)
{
    index_remove(&run->replay->index, table_of(&run->replay->index, envelope->kind), name_of(envelope));
    return envelope->kind == ENTRY_DESTROY ? remember_gone(run, name_of(envelope)) : 0;
}

static int apply_records(struct run *run, const struct envelope *envelope, const struct delta *delta,
                         uint64_t payload_offset)
{
    struct records_names *names = table_of(&run->replay->index, envelope->kind);
    const struct item *old = envelope->kind == ENTRY_PUT ? records_find(names, name_of(envelope)) : NULL;
    struct item *item;
    if (envelope->kind == ENTRY_PUT && (!old || old->seq != envelope->prev))
        return miss(run, envelope);
    int r = records_reserve(names, 1);
    r = r < 0 ? r : item_prepare(old, name_of(envelope), delta, &item);
    if (r < 0)
        return r;
    item_place(item, payload_offset);
    item->generation = envelope->generation;
    item->seq = envelope->seq;
    index_put(&run->replay->index, names, item);
    item_free(records_remove(&run->replay->gone, name_of(envelope)));
    return 0;
}

/* Its number must follow; what is missing before it was somebody's. */
static void count(struct run *run, const struct envelope *envelope)
{
    struct replay *replay = run->replay;
    uint64_t missing = run->counted ? envelope->seq - replay->seq - 1 : 0;
    if (missing && !run->after_damage)
        note_damage(run, 0, "");
    if (missing && envelope->seq > run->folded_seq + 1)
        doubt(run, replay->seq);
    run->after_damage = false;
    run->counted = true;
    replay->seq = envelope->seq;
    replay->entries++;
    if (envelope->epoch > replay->epoch)
        replay->epoch = envelope->epoch;
}

/* An entry whose envelope is sound and whose payload is all there. */
static int apply(struct run *run, const struct envelope *envelope, struct cloister_sv payload, uint64_t payload_offset)
{
    DELTA_CLEANUP struct delta delta = {0};
    bool stale = (run->counted && envelope->seq <= run->replay->seq) || envelope->kind == ENTRY_JOURNAL;
    bool sound = !stale && line_crc(run->salt, payload.data, payload.size) == envelope->crc;
    bool removal = envelope->kind == ENTRY_DESTROY || envelope->kind == ENTRY_GLOBAL_DELETE;
    int r = 0;
    if (sound && !removal)
        r = payload_parse(payload, &delta);
    if (r == -ENOMEM)
        return r;
    if (stale) {
        note_damage(run, payload_offset - run->offset + payload.size, "");
        return 0;
    }
    count(run, envelope);
    if (!sound || r < 0) {
        /* Whose it was is known, so nobody else is in doubt. */
        note_damage(run, payload_offset - run->offset + payload.size, envelope->id);
        run->after_damage = false;
        return miss(run, envelope);
    }
    if (envelope->seq <= run->folded_seq)
        run->replay->folded = payload_offset + payload.size;
    return removal ? apply_removal(run, envelope) : apply_records(run, envelope, &delta, payload_offset);
}

static bool all_zero(struct run *run, uint64_t offset)
{
    while (offset < run->window.size) {
        struct cloister_sv view = window_at(&run->window, offset, 1);
        for (uint64_t i = 0; i < view.size; i++)
            if (view.data[i])
                return false;
        if (!view.size)
            return false;
        offset += view.size;
    }
    return true;
}

/* The next sound envelope behind `offset`, or the end of the file. */
static uint64_t next_sound(struct run *run, uint64_t offset)
{
    struct envelope envelope;
    size_t size;
    while (offset < run->window.size) {
        struct cloister_sv view = window_at(&run->window, offset, LINE_MAX_BYTES);
        const char *at = view.size ? memchr(view.data, 'C', view.size) : NULL;
        if (!view.size)
            break;
        if (!at) {
            offset += view.size;
            continue;
        }
        offset += (uint64_t)(at - view.data);
        view = window_at(&run->window, offset, LINE_MAX_BYTES);
        if (envelope_begins(view)) {
            enum envelope_state state = envelope_parse(view, run->salt, &envelope, &size);
            if (state == ENVELOPE_GOOD || state == ENVELOPE_NEWER)
                return offset;
        }
        offset++;
    }
    return run->window.size;
}

static void skip_damage(struct run *run)
{
    uint64_t next = next_sound(run, run->offset + 1);
    if (next == run->window.size && all_zero(run, run->offset))
        return; /* blocks that were given to the file before their bytes got there: the tail is torn */
    note_damage(run, next - run->offset, "");
    run->offset = next;
    run->replay->good_size = next;
}

/* Reads the first entry; *ret_known: it could be, and run->salt is good. */
static int read_head(struct run *run, bool *ret_known)
{
    struct replay *replay = run->replay;
    struct cloister_sv view = window_at(&run->window, 0, LINE_MAX_BYTES);
    char text[80];
    size_t size = 0;
    uint64_t salt = 0, folded = 0;
    enum envelope_state state = envelope_parse(view, 0, &replay->head, &size);
    replay->newer = state == ENVELOPE_NEWER;
    replay->headless = true;
    *ret_known = replay->salt_is_known;
    run->salt = replay->salt;
    if (run->window.error || state != ENVELOPE_GOOD || replay->head.kind != ENTRY_JOURNAL ||
        replay->head.size >= sizeof(text))
        return run->window.error;
    struct cloister_sv all = window_at(&run->window, 0, size + replay->head.size);
    if (all.size < size + replay->head.size)
        return run->window.error;
    memcpy(text, all.data + size, replay->head.size);
    text[replay->head.size] = 0;
    struct line_reader reader = {.at = text, .end = text + replay->head.size};
    line_number(&reader, "salt=", 16, &salt);
    line_number(&reader, "folded=", 10, &folded);
    if (reader.failed || line_crc(0, text, replay->head.size) != replay->head.crc)
        return 0;
    replay->headless = false;
    replay->foreign = replay->salt_is_known && salt != replay->salt;
    *ret_known = !replay->foreign;
    run->salt = replay->salt = salt;
    run->folded_seq = replay->head.seq + folded;
    run->counted = true;
    replay->seq = replay->head.seq;
    replay->epoch = replay->head.epoch;
    replay->entries = 1;
    run->offset = replay->good_size = replay->folded = size + replay->head.size;
    return 0;
}

/* One entry, or one stretch of damage. False at the end. */
static bool step(struct run *run, int *ret)
{
    struct replay *replay = run->replay;
    struct envelope envelope;
    size_t size = 0;
    struct cloister_sv view = window_at(&run->window, run->offset, LINE_MAX_BYTES);
    enum envelope_state state = view.size ? envelope_parse(view, run->salt, &envelope, &size) : ENVELOPE_SHORT;
    if (run->window.error || !view.size || state == ENVELOPE_SHORT)
        return false;
    if (state == ENVELOPE_NEWER) {
        replay->newer = true;
        return false;
    }
    uint64_t before = run->offset;
    if (state == ENVELOPE_BAD) {
        skip_damage(run);
        return run->offset > before;
    }
    view = window_at(&run->window, run->offset, size + envelope.size);
    if (view.size < size + envelope.size)
        return false;
    struct cloister_sv payload = {view.data + size, envelope.size};
    *ret = apply(run, &envelope, payload, run->offset + size);
    run->offset += size + envelope.size;
    replay->good_size = run->offset;
    return *ret == 0;
}

static void mark_doubtful(struct records_names *names, uint64_t seq)
{
    for (size_t i = 0; i < names->count; i++) {
        struct item *item = (struct item *)names->items[i];
        if (item->seq <= seq)
            item_worsen(item);
    }
}

int replay_run(struct replay *replay)
{
    struct run run = {.replay = replay};
    bool known;
    int r = window_open(&run.window, replay->fd);
    if (r < 0)
        return r;
    replay->file_size = run.window.size;
    r = read_head(&run, &known);
    if (r == 0 && replay->headless && !replay->newer && run.window.size) {
        uint64_t next = known ? next_sound(&run, 0) : run.window.size;
        note_damage(&run, next, "");
        run.offset = replay->good_size = next;
    }
    if (known && !replay->newer)
        while (r == 0 && step(&run, &r))
            continue;
    if (r == 0)
        r = run.window.error;
    if (!run.after_damage && run.counted && replay->seq < run.folded_seq) {
        note_damage(&run, 0, ""); /* the file ends before what it began with is complete */
        run.after_damage = false;
    }
    if (run.after_damage) /* nothing sound behind it: it may have been anybody's */
        doubt(&run, replay->seq);
    if (run.hidden) {
        mark_doubtful(&replay->index.sets, run.hidden_seq);
        mark_doubtful(&replay->index.globals, run.hidden_seq);
    }
    window_close(&run.window);
    return r;
}

void replay_free(struct replay *replay)
{
    index_free(&replay->index);
    struct index gone = {.sets = replay->gone};
    index_free(&gone);
    replay->gone = (struct records_names){0};
}
