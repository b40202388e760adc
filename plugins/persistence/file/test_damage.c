/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store cut at every length, and with every byte flipped: what is left is a part of its history, nobody who was ever
 * answered is missing from the list, and no record is other than it was written.
 */
#include "test_bed.h"

#include <fcntl.h>
#include <unistd.h>

#include "fold.h"

#define IDS 4u
#define EVENTS_MAX 32u

static const char *const ids[IDS] = {"ant", "bee", "cat", "dog"};
static const char *const kinds[] = {"sandbox", "spec:main"};

/* What an id was when the journal was this long. */
struct moment {
    uint64_t size;
    uint64_t generation[IDS];
    uint64_t of_kind[IDS][2]; /* the generation that wrote it, 0: not there */
};

struct history {
    struct moment moments[EVENTS_MAX];
    size_t count;
    char journal[JOURNAL_NAME_MAX];
    char directories[64];
    struct bytes bytes;
    struct bytes identity;
};

static struct bed bed;
static struct history history;

static void remember(void)
{
    struct moment moment = history.count ? history.moments[history.count - 1] : (struct moment){0};
    moment.size = bed.store.journal.size;
    for (size_t i = 0; i < IDS; i++) {
        const struct item *item = records_find(&bed.store.index.sets, bed_sv(ids[i]));
        for (size_t k = 0; k < 2; k++)
            if (!item)
                moment.of_kind[i][k] = 0;
            else if (item->generation != moment.generation[i] && item_find(item, bed_sv(kinds[k])) &&
                     (item->generation == 1 || k == item->generation % 2))
                moment.of_kind[i][k] = item->generation;
        moment.generation[i] = item ? item->generation : 0;
    }
    assert_true(history.count < EVENTS_MAX);
    history.moments[history.count++] = moment;
}

static void put(size_t which)
{
    const struct item *old = records_find(&bed.store.index.sets, bed_sv(ids[which]));
    uint64_t generation = (old ? old->generation : 0) + 1;
    assert_int_equal(bed_put(&bed, ids[which], kinds[generation % 2], 40 + 30 * which), 0);
    remember();
}

static void destroy(size_t which)
{
    assert_int_equal(bed_destroy(&bed, ids[which]), 0);
    remember();
}

/* fold: the journal begins with what lives after the first half of it. */
static void make_history(bool with_fold)
{
    struct history fresh = {.count = 0};
    history = fresh;
    bed_begin(&bed);
    assert_int_equal(bed_open(&bed), 0);
    if (!with_fold)
        remember();
    put(0), put(1), put(0), put(2), put(3), put(1), put(0);
    assert_int_equal(bed_global_put(&bed, "svc:x", "a global"), 0);
    remember();
    destroy(3);
    if (with_fold) {
        const struct moment last = history.moments[history.count - 1];
        struct cloister_error err = CLOISTER_ERROR_INIT;
        assert_int_equal(fold(&bed.store, &err), 0);
        history.count = 0;
        history.moments[history.count++] = last;
        history.moments[0].size = bed.store.journal.size;
    }
    put(2), put(3), put(0), put(3), put(1);
    destroy(2), put(2);
    memcpy(history.journal, bed.store.journal.name, sizeof(history.journal));
    bed_close(&bed);
    (void)snprintf(history.directories, sizeof(history.directories), "ant bee cat dog");
    bed_load(&bed, history.journal, &history.bytes);
    bed_load(&bed, "store", &history.identity);
}

static int teardown(void **state)
{
    (void)state;
    bytes_free(&history.bytes);
    bytes_free(&history.identity);
    bed_end(&bed);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    make_history(false);
    return 0;
}

static int setup_folded(void **state)
{
    (void)state;
    make_history(true);
    return 0;
}

static int remove_file(void *ctx, const char *name)
{
    const char *keep = strcmp(name, "lock") == 0 ? name : NULL;
    return keep ? 0 : unlinkat(*(int *)ctx, name, 0);
}

/* The store as it was, with other bytes in its journal. */
static void stage(struct cloister_sv journal, struct cloister_sv identity)
{
    struct place place = {.fd = -1};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    bed_close(&bed);
    assert_int_equal(place_open(&place, bed.store.log, bed_sv(bed.directory), CLOISTER_SV("store/main"), &err), 0);
    int q = place_directory(place.fd, "q");
    assert_int_equal(place_each(q, remove_file, &q), 0);
    close(q);
    assert_int_equal(unlinkat(place.fd, "q", AT_REMOVEDIR), 0);
    bed_directories(&bed, "");
    int s = place_directory(place.fd, "s");
    assert_int_equal(unlinkat(place.fd, "s", AT_REMOVEDIR), 0);
    close(s);
    assert_int_equal(place_each(place.fd, remove_file, &place.fd), 0);
    close(place_directory(place.fd, "s"));
    place_close(&place);
    bed_directories(&bed, history.directories);
    bed_save(&bed, history.journal, journal);
    bed_save(&bed, "store", identity);
}

static size_t which_of(const struct item *item)
{
    for (size_t i = 0; i < IDS; i++)
        if (strcmp(item->name.data, ids[i]) == 0)
            return i;
    fail_msg("'%s' was never there", item->name.data);
    return 0;
}

/* The records are those of one moment of this sandbox. */
static bool is_moment(const char *name, size_t which, const struct item *item, const struct moment *moment)
{
    if (moment->generation[which] != item->generation)
        return false;
    for (size_t k = 0; k < 2; k++) {
        const struct ref *ref = item_find(item, bed_sv(kinds[k]));
        char data[1024];
        if (!ref || !moment->of_kind[which][k]) {
            if (ref || moment->of_kind[which][k])
                return false;
            continue;
        }
        BED_CHECK(name, ref->size < sizeof(data) && store_read(&bed.store, bed.store.journal.fd, ref, data) == 0);
        if (bed_told(ids[which], kinds[k], data, ref->size) != moment->of_kind[which][k])
            return false;
    }
    return true;
}

/* Checks one listed sandbox; the latest moment that it is like. */
static size_t check_item(const char *name, const struct item *item)
{
    size_t which = which_of(item);
    for (size_t i = history.count; i-- > 0;)
        if (is_moment(name, which, item, &history.moments[i]))
            return i;
    fail_msg("case '%s': '%s' is like at no time, generation %llu", name, item->name.data,
             (unsigned long long)item->generation);
    return 0;
}

static const struct item *find(const char *id)
{
    return records_find(&bed.store.index.sets, bed_sv(id));
}

static bool was_there(size_t which, size_t last)
{
    bool was = false;
    for (size_t i = 0; i <= last; i++)
        was = was || history.moments[i].generation[which];
    return was;
}

static void check_cut(size_t length)
{
    char name[80];
    size_t last = 0;
    (void)snprintf(name, sizeof(name), "cut at %zu", length);
    stage((struct cloister_sv){history.bytes.data, length}, bytes_sv(&history.identity));
    BED_CHECK(name, bed_open(&bed) == 0);
    while (last + 1 < history.count && history.moments[last + 1].size <= length)
        last++;
    bool whole_start = length >= history.moments[0].size;
    for (size_t i = 0; i < IDS; i++) {
        const struct item *item = find(ids[i]);
        bool had_directory = strstr(history.directories, ids[i]) != NULL;
        uint64_t generation = whole_start ? history.moments[last].generation[i] : 0;
        /* Cut behind its destruction, it looks like a crash before the directory went. */
        BED_CHECK(name, item || (!generation && (!had_directory || was_there(i, last))));
        if (!item)
            continue;
        if (generation)
            BED_CHECK(name, is_moment(name, i, item, &history.moments[last]));
        else if (item->generation)
            (void)check_item(name, item);
        else
            BED_CHECK(name, item->health == CLOISTER_HEALTH_LOST || item->health == CLOISTER_HEALTH_QUARANTINED);
    }
    /* Also where only a global is missing of what it began with. */
    BED_CHECK(name, whole_start || !length || bed_says(&bed.store.report, "\"damage\"") ||
                        bed_says(&bed.store.report, "\"cut\""));
    BED_CHECK(name, whole_start && length == history.moments[last].size ? 1 : bed.store.report.size > 0);
}

static void check_cut_everywhere(void)
{
    for (size_t length = 0; length <= history.bytes.size; length++) {
        check_cut(length);
        /* What was repaired stays so: nothing is found wrong again but what is still missing. */
        size_t sets = bed.store.index.sets.count;
        bed_close(&bed);
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(bed.store.index.sets.count, sets);
        assert_false(bed_says(&bed.store.report, "damage"));
        assert_int_equal(bed_put(&bed, "ant", "sandbox", 50), 0);
    }
}

static void test_cut(void **state)
{
    (void)state;
    check_cut_everywhere();
}

/* A process that is killed while it writes leaves the beginning of an entry behind the mark: nobody was answered for
 * it. An end that is missing before the mark has been answered for. */
static void test_torn_write(void **state)
{
    static const struct {
        const char *name;
        int change; /* bytes of an entry more, or fewer of what there was */
        bool clean;
    } cases[] = {{"a whole store", 0, true},
                 {"one byte of a write", 1, true},
                 {"most of a write", 60, true},
                 {"the last byte is missing", -1, false},
                 {"the last entry is missing, nearly", -40, false}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bytes journal BYTES_CLEANUP = {0};
        stage(bytes_sv(&history.bytes), bytes_sv(&history.identity));
        BED_CHECK(cases[i].name, bed_open(&bed) == 0);
        BED_CHECK(cases[i].name, bed_put(&bed, "ant", "sandbox", 50) == 0);
        char name[JOURNAL_NAME_MAX];
        memcpy(name, bed.store.journal.name, sizeof(name));
        size_t sets = bed.store.index.sets.count;
        bed_close(&bed);
        bed_load(&bed, name, &journal);
        if (cases[i].change > 0)
            bytes_add(&journal, journal.data + journal.size / 2, (size_t)cases[i].change);
        else
            journal.size -= (size_t)-cases[i].change;
        bed_save(&bed, name, bytes_sv(&journal));
        BED_CHECK(cases[i].name, bed_open(&bed) == 0);
        BED_CHECK(cases[i].name, bed_says(&bed.store.report, "\"cut\"") == !cases[i].clean);
        BED_CHECK(cases[i].name, (bed.store.report.size == 0) == cases[i].clean);
        BED_CHECK(cases[i].name, bed.store.index.sets.count == sets);
    }
}

static bool is_latest(const struct item *item)
{
    return is_moment("latest", which_of(item), item, &history.moments[history.count - 1]);
}

/* Everybody is listed, and whoever is not as last written is marked. */
static void check_marked(const char *name)
{
    for (size_t i = 0; i < IDS; i++) {
        const struct item *item = find(ids[i]);
        BED_CHECK(name, item || !strstr(history.directories, ids[i]));
        if (!item || (item->generation && is_latest(item)))
            continue;
        BED_CHECK(name, item->health != CLOISTER_HEALTH_OK);
        if (item->generation)
            (void)check_item(name, item);
        else
            BED_CHECK(name, item->ref_count == 0);
    }
}

static void check_flip(size_t at, char mask)
{
    char name[80];
    (void)snprintf(name, sizeof(name), "byte %zu of %zu ^ %02x", at, history.bytes.size, (unsigned char)mask);
    history.bytes.data[at] ^= mask;
    stage(bytes_sv(&history.bytes), bytes_sv(&history.identity));
    history.bytes.data[at] ^= mask;
    BED_CHECK(name, bed_open(&bed) == 0);
    BED_CHECK(name, bed.store.report.size > 0);
    check_marked(name);
    BED_CHECK(name, bed_exists(&bed, "q") && bed.store.quarantine.count > 0);
    size_t sets = bed.store.index.sets.count;
    bed_close(&bed);
    BED_CHECK(name, bed_open(&bed) == 0);
    BED_CHECK(name, bed.store.index.sets.count == sets);
    check_marked(name);
}

static void test_flip(void **state)
{
    (void)state;
    for (size_t at = 0; at < history.bytes.size; at++)
        check_flip(at, (char)(1u << at % 8));
}

static void test_identity_flip(void **state)
{
    (void)state;
    for (size_t at = 0; at < history.identity.size; at++) {
        char name[80];
        (void)snprintf(name, sizeof(name), "byte %zu of the identity", at);
        history.identity.data[at] ^= 4;
        stage(bytes_sv(&history.bytes), bytes_sv(&history.identity));
        history.identity.data[at] ^= 4;
        BED_CHECK(name, bed_open(&bed) == 0);
        BED_CHECK(name, bed_says(&bed.store.report, "\"identity\":\"damaged\""));
        for (size_t i = 0; i < bed.store.index.sets.count; i++)
            BED_CHECK(name, is_latest((const struct item *)bed.store.index.sets.items[i]));
        BED_CHECK(name, bed.store.index.sets.count == IDS);
        BED_CHECK(name, bed.store.identity.epoch > 1000); /* not one that may have been used */
    }
}

/* Whole entries taken out, or put in a second time, or in another order. */
static void test_moved_entries(void **state)
{
    (void)state;
    for (size_t i = 1; i + 1 < history.count; i++) {
        uint64_t from = history.moments[i - 1].size, to = history.moments[i].size, next = history.moments[i + 1].size;
        struct bytes edited BYTES_CLEANUP = {0};
        const char *data = history.bytes.data;
        char name[80];
        (void)snprintf(name, sizeof(name), "without entry %zu", i);
        bytes_add(&edited, data, from);
        bytes_add(&edited, data + to, history.bytes.size - to);
        stage(bytes_sv(&edited), bytes_sv(&history.identity));
        BED_CHECK(name, bed_open(&bed) == 0);
        check_marked(name);
        BED_CHECK(name, bed_says(&bed.store.report, "\"damage\""));
        (void)snprintf(name, sizeof(name), "entry %zu twice", i);
        edited.size = 0;
        bytes_add(&edited, data, to);
        bytes_add(&edited, data + from, history.bytes.size - from);
        stage(bytes_sv(&edited), bytes_sv(&history.identity));
        BED_CHECK(name, bed_open(&bed) == 0);
        BED_CHECK(name, bed_says(&bed.store.report, "\"damage\""));
        for (size_t k = 0; k < IDS; k++) /* nobody is the worse for it */
            BED_CHECK(name, is_latest(find(ids[k])) && find(ids[k])->health == CLOISTER_HEALTH_OK);
        (void)snprintf(name, sizeof(name), "entry %zu after the next", i);
        edited.size = 0;
        bytes_add(&edited, data, from);
        bytes_add(&edited, data + to, next - to);
        bytes_add(&edited, data + from, to - from);
        bytes_add(&edited, data + next, history.bytes.size - next);
        stage(bytes_sv(&edited), bytes_sv(&history.identity));
        BED_CHECK(name, bed_open(&bed) == 0);
        check_marked(name);
    }
}

/* Nothing at all is left but the directories. */
static void test_lost_journal(void **state)
{
    (void)state;
    stage(CLOISTER_SV(""), bytes_sv(&history.identity));
    bed_close(&bed);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/store/main/%s", bed.directory, history.journal);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed.store.index.sets.count, IDS);
    assert_int_equal(find("ant")->health, CLOISTER_HEALTH_LOST);
    assert_true(bed_says(&bed.store.report, "\"lost\":{\"count\":4,\"ids\":[\"ant\",\"bee\",\"cat\",\"dog\"]}"));
    assert_int_equal(bed_destroy(&bed, "ant"), 0);
    assert_int_equal(bed_put(&bed, "bee", "sandbox", 50), 0);
    bed_close(&bed);
    assert_int_equal(bed_open(&bed), 0);
    assert_null(find("ant"));
    assert_int_equal(find("bee")->health, CLOISTER_HEALTH_OK);
    assert_int_equal(find("dog")->health, CLOISTER_HEALTH_LOST);
}

/* The identity, too: numbers made from an epoch must not come again while what bears them may live. */
static void test_lost_journal_and_identity(void **state)
{
    (void)state;
    static const char *const lost[] = {"store", history.journal};
    stage(CLOISTER_SV(""), bytes_sv(&history.identity));
    bed_close(&bed);
    for (size_t i = 0; i < 2; i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/store/main/%s", bed.directory, lost[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(bed_open(&bed), 0);
    assert_true(bed.store.identity.epoch > 1000);
    assert_true(bed_says(&bed.store.report, "\"identity\":\"missing\""));
    assert_int_equal(find("ant")->health, CLOISTER_HEALTH_LOST);
}

/* What the quarantine keeps brings a sandbox back. */
static void test_restore(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof(name), "1.%s", history.journal);
    stage(bytes_sv(&history.bytes), bytes_sv(&history.identity));
    bed_save(&bed, "journal.999", bed_sv("no journal\nat all\n"));
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(find("ant")->health, CLOISTER_HEALTH_QUARANTINED);
    struct cloister_store_quarantine_args args = {CLOISTER_INIT(struct cloister_store_quarantine_args), .limit = 10,
                                                  .name = CLOISTER_SV("1.journal.999"), .id = CLOISTER_SV("ant"),
                                                  .epoch = bed.store.identity.epoch};
    assert_int_equal(bed_run(&bed, ward_list, &args), 0);
    assert_int_equal(bed.got.row_count, 1);
    assert_int_equal(bed_run(&bed, ward_restore, &args), CLOISTER_NO_ENTITY);
    char path[64];
    (void)snprintf(path, sizeof(path), "q/2.old");
    bed_save(&bed, path, bytes_sv(&history.bytes));
    args.name = CLOISTER_SV("2.old");
    assert_int_equal(bed_run(&bed, ward_restore, &args), 0);
    assert_true(is_latest(find("ant")));
    assert_int_equal(find("ant")->health, CLOISTER_HEALTH_RECOVERED);
    assert_int_equal(bed_run(&bed, ward_restore, &args), CLOISTER_EXISTS);
    assert_int_equal(bed_run(&bed, ward_get, &args), 0);
    assert_int_equal(bed_run(&bed, ward_purge, &args), 0);
    assert_int_equal(bed_run(&bed, ward_get, &args), CLOISTER_NO_ENTITY);
    args.name = CLOISTER_SV("../store");
    assert_int_equal(bed_run(&bed, ward_purge, &args), CLOISTER_INVALID);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define FOLDED(name)                                          \
    {                                                         \
#name " (folded)", name, setup_folded, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_cut),
        CASE(test_torn_write),
        FOLDED(test_cut),
        CASE(test_flip),
        FOLDED(test_flip),
        CASE(test_identity_flip),
        FOLDED(test_identity_flip),
        CASE(test_moved_entries),
        CASE(test_lost_journal),
        CASE(test_lost_journal_and_identity),
        CASE(test_restore),
    };
    return cmocka_run_group_tests_name("persistence/file/damage", tests, NULL, NULL);
}
