/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have a store, what is refused and left as it is, limits, folding, and reads of what has gone bad since. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fold.h"
#include "report.h"
#include "test_bed.h"

static struct bed bed;

static int setup(void **state)
{
    (void)state;
    bed_begin(&bed);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_end(&bed);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", bed.directory, name);
    return path;
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mode_t mode;
    } cases[] = {
        {"store", 0700},
        {"store/main", 0700},
        {"store/main/s", 0700},
        {"store/main/s/ant", 0700},
        {"store/main/q", 0700},
        {"store/main/store", 0600},
        {"store/main/lock", 0600},
        {"store/main/reserve", 0600},
        {"store/main/journal.1", 0600},
    };
    static const mode_t masks[] = {0, 077, 0777};
    for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
        bed_end(&bed);
        bed_begin(&bed);
        mode_t before = umask(masks[m]);
        uint32_t opened = bed_open(&bed), put = bed_put(&bed, "ant", "sandbox", 40);
        (void)umask(before);
        assert_int_equal(opened + put, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct stat st;
            assert_int_equal(lstat(path_of(cases[i].name), &st), 0);
            BED_CHECK(cases[i].name, (st.st_mode & 07777) == cases[i].mode);
        }
    }
}

static void make_writable(void)
{
    assert_int_equal(chmod(path_of("store/main"), 0770), 0);
}

static void make_foreign(void)
{
    assert_int_equal(chown(path_of("store/main"), 65534, 65534), 0);
}

static void make_state_writable(void)
{
    assert_int_equal(chmod(bed.directory, 0707), 0);
}

static void make_link(void)
{
    assert_int_equal(rename(path_of("store/main"), "/dev/shm/cloister-elsewhere"), 0);
    assert_int_equal(symlink("/dev/shm/cloister-elsewhere", path_of("store/main")), 0);
}

static void make_journal_link(void)
{
    char from[256];
    (void)snprintf(from, sizeof(from), "%s", path_of("store/main/journal.1"));
    assert_int_equal(rename(from, path_of("elsewhere")), 0);
    assert_int_equal(symlink("../../elsewhere", path_of("store/main/journal.1")), 0);
}

static void make_foreign_journal(void)
{
    assert_int_equal(chown(path_of("store/main/journal.1"), 65534, 65534), 0);
}

static void make_newer_store(void)
{
    char text[LINE_MAX_BYTES];
    int size = snprintf(text, sizeof(text), "CLSTORE format=2 uuid=new shape=round epoch=77");
    bed_save(&bed, "store", (struct cloister_sv){text, line_seal(text, (size_t)size, 0)});
}

static void append_newer(const char *text)
{
    char line[LINE_MAX_BYTES];
    struct bytes journal BYTES_CLEANUP = {0};
    struct place place = {.fd = -1};
    struct identity identity;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    assert_int_equal(place_open(&place, bed.store.log, bed_sv(bed.directory), CLOISTER_SV("store/main"), &err), 0);
    assert_int_equal(identity_read(&place, &identity), IDENTITY_GOOD);
    place_close(&place);
    bed_load(&bed, "journal.1", &journal);
    (void)snprintf(line, sizeof(line), "%s", text);
    size_t size = line_seal(line, strlen(text), identity.salt);
    bytes_add(&journal, line, size);
    bed_save(&bed, "journal.1", bytes_sv(&journal));
}

static void make_newer_entry(void)
{
    append_newer("CLREC2 kind=set id=ant shape=round");
}

static void make_newer_schema(void)
{
    append_newer("CLREC1 kind=set id=ant schema=2 seq=99 shape=round");
}

/* What is refused is refused with what was found, and left as it was, byte for byte. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*make)(void);
        uint32_t code;
        const char *words;
    } cases[] = {
        {"others may write", make_writable, CLOISTER_DENIED, "store/main' has mode 0770: others may write to it"},
        {"somebody else's", make_foreign, CLOISTER_DENIED, "store/main' belongs to uid 65534"},
        {"others may write to the state directory", make_state_writable, CLOISTER_DENIED, "has mode 0707"},
        {"a link", make_link, CLOISTER_DENIED, "open directory"},
        {"a journal that is a link", make_journal_link, CLOISTER_DENIED, "open '"},
        {"a journal of somebody else", make_foreign_journal, CLOISTER_DENIED, "journal.1'"},
        {"a newer store", make_newer_store, CLOISTER_VERSION_NEWER, "store' was written by a later version"},
        {"a newer entry", make_newer_entry, CLOISTER_VERSION_NEWER, "journal.1' was written by a later version"},
        {"a newer schema", make_newer_schema, CLOISTER_VERSION_NEWER, "journal.1' was written by a later version"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char before[64], after[64], command[256];
        bed_end(&bed);
        bed_begin(&bed);
        assert_int_equal(bed_open(&bed) + bed_put(&bed, "ant", "sandbox", 40), 0);
        bed_close(&bed);
        cases[i].make();
        (void)snprintf(command, sizeof(command),
                       "cd '%s' && { find . -printf '%%p %%m %%U\\n'; find . -type f -exec cat {} +; } | cksum",
                       bed.directory);
        for (int again = 0; again < 2; again++) {
            FILE *sum = popen(command, "r");
            assert_non_null(fgets(again ? after : before, sizeof(before), sum));
            (void)pclose(sum);
            if (!again)
                BED_CHECK(cases[i].name, bed_open(&bed) == cases[i].code);
        }
        BED_CHECK(cases[i].name, strcmp(before, after) == 0);
        if (!strstr(bed.err.chain, cases[i].words))
            fail_msg("case '%s': '%s'", cases[i].name, bed.err.chain);
        (void)!system("rm -rf /dev/shm/cloister-elsewhere");
    }
}

static void test_lease(void **state)
{
    (void)state;
    struct bed other = bed;
    char pid[24];
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed.store.identity.epoch, 1);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(bed_open(&other), CLOISTER_BUSY);
    assert_string_equal(other.err.subject, pid);
    assert_non_null(strstr(other.err.chain, "is in use by process "));
    bed_close(&bed);
    assert_int_equal(bed_open(&other), 0);
    assert_int_equal(other.store.identity.epoch, 2);
    bed_close(&other);
}

static void test_directory_option(void **state)
{
    (void)state;
    static const struct {
        const char *directory;
        bool good;
    } cases[] = {
        {"store/main", true}, {"a", true},     {"a..b/.c", true}, {"", false},       {"/a", false},
        {"a/", false},        {"a//b", false}, {"..", false},     {"a/../b", false}, {"./a", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        BED_CHECK(cases[i].directory, place_is_below(bed_sv(cases[i].directory)) == cases[i].good);
}

static void test_limits(void **state)
{
    (void)state;
    bed.store.limits.max_sandboxes = 2;
    bed.store.limits.max_bytes = 300;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed_put(&bed, "ant", "sandbox", 100), 0);
    assert_int_equal(bed_put(&bed, "bee", "sandbox", 100), 0);
    assert_int_equal(bed_put(&bed, "cat", "sandbox", 20), CLOISTER_QUOTA);
    assert_int_equal(bed_put(&bed, "bee", "other", 100), CLOISTER_QUOTA);
    assert_int_equal(bed_put(&bed, "bee", "sandbox", 120), 0);
    assert_int_equal(bed_destroy(&bed, "ant"), 0);
    assert_int_equal(bed_put(&bed, "cat", "sandbox", 20), 0);
}

/* A journal does not grow with what is written, only with what lives. */
static void test_fold(void **state)
{
    (void)state;
    bed.store.limits.fold_bytes = 8192;
    assert_int_equal(bed_open(&bed), 0);
    for (int i = 0; i < 500; i++)
        assert_int_equal(bed_put(&bed, i % 2 ? "ant" : "bee", i % 3 ? "sandbox" : "labels", 200), 0);
    assert_int_equal(bed_global_put(&bed, "svc:x", "text"), 0);
    assert_in_range(bed.store.folds, 10, 100);
    assert_in_range(bed.store.journal.size, 1, 10000);
    assert_int_equal(bed.store.journal.number, bed.store.folds);
    bed_close(&bed);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed.store.report.size, 0);
    for (int i = 0; i < 2; i++) {
        const char *id = i ? "ant" : "bee";
        const struct item *item = records_find(&bed.store.index.sets, bed_sv(id));
        assert_int_equal(item->generation, 250);
        assert_int_equal(item->ref_count, 2);
        for (size_t k = 0; k < 2; k++) {
            char data[256];
            assert_int_equal(store_read(&bed.store, bed.store.journal.fd, item->refs[k], data), 0);
            assert_true(bed_told(id, item->refs[k]->kind_size == 7 ? "sandbox" : "labels", data, 200) > 240);
        }
    }
}

/* Between the rename of a new journal and the end of the old one: both are there, and the new one counts. */
static void test_leftovers(void **state)
{
    (void)state;
    struct bytes old BYTES_CLEANUP = {0};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    assert_int_equal(bed_open(&bed) + bed_put(&bed, "ant", "sandbox", 40), 0);
    bed_load(&bed, "journal.1", &old);
    assert_int_equal(fold(&bed.store, &err), 0);
    assert_int_equal(bed_put(&bed, "ant", "sandbox", 40), 0);
    bed_close(&bed);
    bed_save(&bed, "journal.1", bytes_sv(&old));
    bed_save(&bed, "journal.3.tmp", CLOISTER_SV("half"));
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed.store.report.size, 0);
    assert_int_equal(((const struct item *)records_find(&bed.store.index.sets, CLOISTER_SV("ant")))->generation, 2);
    assert_false(bed_exists(&bed, "journal.1"));
    assert_false(bed_exists(&bed, "journal.3.tmp"));
}

/* A sync that has failed: nothing more goes into that file, and what lives moves to a new one first. */
static void test_broken_journal(void **state)
{
    (void)state;
    assert_int_equal(bed_open(&bed) + bed_put(&bed, "ant", "sandbox", 40), 0);
    bed.store.journal.broken = true;
    uint64_t size = bed.store.journal.size, number = bed.store.journal.number;
    assert_int_equal(bed_put(&bed, "ant", "sandbox", 40), 0);
    assert_int_equal(bed.store.journal.number, number + 1);
    assert_true(bed.store.journal.size > size);
    assert_false(bed.store.journal.broken);
    bed_close(&bed);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(((const struct item *)records_find(&bed.store.index.sets, CLOISTER_SV("ant")))->generation, 2);
}

/* Bytes that go bad under an open store are noticed when they are read, by verify, and by a fold, which keeps them. */
static void test_rot(void **state)
{
    (void)state;
    struct bytes report BYTES_CLEANUP = {0};
    assert_int_equal(bed_open(&bed) + bed_put(&bed, "ant", "sandbox", 40) + bed_put(&bed, "bee", "sandbox", 40), 0);
    struct item *ant = records_find(&bed.store.index.sets, CLOISTER_SV("ant"));
    struct item *bee = records_find(&bed.store.index.sets, CLOISTER_SV("bee"));
    assert_int_equal(pwrite(bed.store.journal.fd, "#", 1, (off_t)ant->refs[0]->offset + 9), 1);
    struct cloister_store_get_args get = {CLOISTER_INIT(struct cloister_store_get_args), .id = CLOISTER_SV("ant")};
    assert_int_equal(bed_run(&bed, read_get, &get), CLOISTER_CORRUPT);
    assert_int_equal(ant->health, CLOISTER_HEALTH_QUARANTINED);
    assert_int_equal(pwrite(bed.store.journal.fd, "#", 1, (off_t)bee->refs[0]->offset + 9), 1);
    assert_int_equal(report_verify(&bed.store, (struct cloister_sv){NULL, 0}, true, &report), 0);
    assert_true(bed_says(&report, "\"checked\":2,\"bad\":2,\"damaged_places\":2"));
    assert_int_equal(bee->health, CLOISTER_HEALTH_QUARANTINED);
    assert_int_equal(bed_put(&bed, "cat", "sandbox", 40), 0);
    struct item *cat = records_find(&bed.store.index.sets, CLOISTER_SV("cat"));
    assert_int_equal(pwrite(bed.store.journal.fd, "#", 1, (off_t)cat->refs[0]->offset + 9), 1);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    assert_int_equal(fold(&bed.store, &err), 0);
    assert_int_equal(cat->health, CLOISTER_HEALTH_QUARANTINED);
    assert_int_equal(bed.store.quarantine.count, 1);
    assert_true(bed_exists(&bed, "q/1.journal.1"));
}

/* Damaged, and no new journal can be made: what is sound is served, changes wait for better times, nothing is lost. */
static void test_not_mended(void **state)
{
    (void)state;
    struct bytes journal BYTES_CLEANUP = {0};
    assert_int_equal(bed_open(&bed) + bed_put(&bed, "ant", "sandbox", 40) + bed_put(&bed, "bee", "sandbox", 40), 0);
    size_t at = bed.store.journal.size - 10;
    bed_close(&bed);
    bed_load(&bed, "journal.1", &journal);
    journal.data[at] ^= 1;
    bed_save(&bed, "journal.1", bytes_sv(&journal));
    assert_int_equal(mkdir(path_of("store/main/journal.2.tmp"), 0700), 0);
    assert_int_equal(bed_open(&bed), 0);
    assert_true(bed_says(&bed.store.report, "\"not_mended\":true"));
    struct cloister_store_get_args get = {CLOISTER_INIT(struct cloister_store_get_args), .id = CLOISTER_SV("ant")};
    assert_int_equal(bed_run(&bed, read_get, &get), 0);
    assert_int_equal(bed_put(&bed, "ant", "sandbox", 40), CLOISTER_IO);
    assert_non_null(strstr(bed.err.chain, "begin a new journal after a failure"));
    assert_int_equal(rmdir(path_of("store/main/journal.2.tmp")), 0);
    assert_int_equal(bed_put(&bed, "ant", "sandbox", 40), 0);
    assert_int_equal(bed_run(&bed, read_get, &get), 0);
    assert_int_equal(bed.got.generation, 2);
    assert_true(bed_exists(&bed, "q/1.journal.1"));
    assert_false(bed_exists(&bed, "journal.1"));
    get.id = CLOISTER_SV("bee");
    assert_int_equal(bed_run(&bed, read_get, &get), CLOISTER_CORRUPT);
}

/* A quarantine that is full takes no copies; then the file is kept whole, and nothing is lost. */
static void test_full_quarantine(void **state)
{
    (void)state;
    struct bytes journal BYTES_CLEANUP = {0};
    bed.store.limits.quarantine_bytes = 4;
    assert_int_equal(bed_open(&bed) + bed_put(&bed, "ant", "sandbox", 40), 0);
    bed_close(&bed);
    bed_load(&bed, "journal.1", &journal);
    journal.size -= 10;
    bed_save(&bed, "journal.1", bytes_sv(&journal));
    assert_int_equal(bed_open(&bed), 0);
    assert_true(bed_says(&bed.store.report, "\"put_aside\":\"journal.1\""));
    assert_true(bed_exists(&bed, "q/1.journal.1"));
    assert_true(bed_exists(&bed, "journal.2"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_modes),  CASE(test_refusals),   CASE(test_lease),           CASE(test_directory_option),
        CASE(test_limits), CASE(test_fold),       CASE(test_leftovers),       CASE(test_broken_journal),
        CASE(test_rot),    CASE(test_not_mended), CASE(test_full_quarantine),
    };
    return cmocka_run_group_tests_name("persistence/file/store", tests, NULL, NULL);
}
