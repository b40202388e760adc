/* SPDX-License-Identifier: Apache-2.0 */
#include "core/daemon/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/check.h"
#include "core/util/io.h"
#include "core/util/mem.h"

#define BOOT_A "aaaaaaaa-0000-4000-8000-aaaaaaaaaaaa"
#define BOOT_B "bbbbbbbb-0000-4000-8000-bbbbbbbbbbbb"
#define ID "abcdefghijklmnop"

static char top[64], run_dir[80], state_dir[80], boot_id_file[80];

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(cl_write_all(fd, text, strlen(text)), 0);
    (void)close(fd);
}

static char *in_run(const char *leaf)
{
    char *path = cl_asprintf("%s/%s", run_dir, leaf);
    assert_non_null(path);
    return path;
}

static void write_in_run(const char *leaf, const char *text)
{
    CL_FREE char *path = in_run(leaf);
    write_file(path, text);
}

static void make_in_run(const char *leaf)
{
    CL_FREE char *path = in_run(leaf);
    assert_int_equal(mkdir(path, 0700), 0);
}

static bool is_in_run(const char *leaf)
{
    CL_FREE char *path = in_run(leaf);
    struct stat st;
    return lstat(path, &st) == 0;
}

static int open_in(const char *boot_id, struct cl_rundir *ret, struct cloister_error *err)
{
    struct cl_rundir_args args = {.run_dir = run_dir, .state_dir = state_dir, .boot_id_file = boot_id_file};
    write_file(boot_id_file, boot_id);
    return cl_rundir_open(&args, ret, err);
}

static void open_well(const char *boot_id, struct cl_rundir *ret)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (open_in(boot_id, ret, &err) < 0)
        fail_msg("%s", err.chain);
}

static void remove_all(const char *path)
{
    CL_FREE char *command = cl_asprintf("rm -rf '%s'", path);
    assert_non_null(command);
    assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof(top), "/tmp/cloister-test-rundir-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    (void)snprintf(run_dir, sizeof(run_dir), "%s/run", top);
    (void)snprintf(state_dir, sizeof(state_dir), "%s/state", top);
    (void)snprintf(boot_id_file, sizeof(boot_id_file), "%s/boot_id", top);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_all(top);
    return 0;
}

static void the_cookie_is_that_of_the_boot(void **state)
{
    (void)state;
    struct cl_rundir rundir;
    struct stat st;
    uint64_t first, second = 0;
    open_well(BOOT_A "\n", &rundir);
    first = rundir.cookie;
    assert_int_equal(rundir.old_cookie, 0);
    assert_string_equal(rundir.boot_id, BOOT_A);
    assert_int_equal(fstat(rundir.dir_fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
    assert_int_equal(cl_value_set_cstr(rundir.stores, "main", cl_value_new_cstr("\"x\"")),
                     0); /* ids are the plugins' */
    assert_int_equal(cl_rundir_remember(&rundir, NULL), 0);
    cl_rundir_close(&rundir);

    open_well(BOOT_A, &rundir);
    assert_true(rundir.cookie == first);
    assert_int_equal(rundir.old_cookie, 0);
    assert_string_equal(cl_value_cstr(cl_value_get_cstr(rundir.stores, "main")), "\"x\"");
    cl_rundir_close(&rundir);

    for (int i = 0; i < 2; i++) { /* known for the whole boot, whatever is remembered meanwhile */
        open_well(BOOT_B "\n", &rundir);
        assert_true(rundir.cookie != first && (i == 0 || rundir.cookie == second));
        second = rundir.cookie;
        assert_true(rundir.old_cookie == first);
        assert_int_equal(cl_value_count(rundir.stores), 0);
        assert_int_equal(cl_rundir_remember(&rundir, NULL), 0);
        cl_rundir_close(&rundir);
    }

    open_well(BOOT_A "\n", &rundir); /* not that one again, but another one that has its id */
    assert_true(rundir.old_cookie == second && rundir.cookie != first && rundir.cookie != second);
    cl_rundir_close(&rundir);
}

static const struct {
    const char *name, *boot_id;
} bad_boot_ids[] = {
    {"empty", ""},
    {"short", "aaaaaaaa-0000-4000-8000-aaaaaaaaaaa\n"},
    {"long", "aaaaaaaa-0000-4000-8000-aaaaaaaaaaaaa\n"},
    {"in capitals", "AAAAAAAA-0000-4000-8000-aaaaaaaaaaaa\n"},
    {"with a quote", "aaaaaaaa\"0000-4000-8000-aaaaaaaaaaaa\n"},
};

static void a_boot_id_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(bad_boot_ids); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_rundir rundir;
        char want[256];
        (void)snprintf(want, sizeof(want), "'%s' does not hold a boot id (36 characters 0-9, a-f and -)", boot_id_file);
        CL_CHECK_INT(bad_boot_ids[i].name, open_in(bad_boot_ids[i].boot_id, &rundir, &err), -EINVAL);
        CL_CHECK_STR(bad_boot_ids[i].name, err.chain, want);
    }
    assert_false(is_in_run("instance"));
}

static const struct {
    const char *name, *text;
    uint64_t cookie, old_cookie; /* 0: not this one */
} instances[] = {
    {"as it was written before", "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"00000000000000ab\",\"stores\":{}}", 0xab, 0},
    {"with that of the boot before",
     "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"00000000000000ab\",\"previous_cookie\":\"00000000000000cd\","
     "\"stores\":{}}",
     0xab, 0xcd},
    {"of another boot, whose own predecessor is forgotten",
     "{\"boot_id\":\"" BOOT_B "\",\"cookie\":\"00000000000000ab\",\"previous_cookie\":\"00000000000000cd\","
     "\"stores\":{}}",
     0, 0xab},
    {"a short cookie", "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"ab\",\"stores\":{}}", 0, 0},
    {"a cookie with a sign", "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"-0000000000000ab\",\"stores\":{}}", 0, 0},
    {"a bad predecessor",
     "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"00000000000000ab\",\"previous_cookie\":7,\"stores\":{}}", 0, 0},
    {"no boot", "{\"cookie\":\"00000000000000ab\",\"stores\":{}}", 0, 0},
    {"stores without names", "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"00000000000000ab\",\"stores\":\"\"}", 0, 0},
    {"a store without an id", "{\"boot_id\":\"" BOOT_A "\",\"cookie\":\"00000000000000ab\",\"stores\":{\"main\":7}}", 0,
     0},
    {"cut", "{\"boot_id\":\"" BOOT_A "\",\"coo", 0, 0},
    {"empty", "", 0, 0},
};

static void the_instance_file_is_read_strictly(void **state)
{
    (void)state;
    cl_log_set_level(CL_LOG_ERROR);
    for (size_t i = 0; i < CL_COUNT(instances); i++) {
        struct cl_rundir rundir;
        open_well(BOOT_A "\n", &rundir);
        cl_rundir_close(&rundir);
        write_in_run("instance", instances[i].text);
        open_well(BOOT_A "\n", &rundir);
        if (instances[i].cookie)
            CL_CHECK_INT(instances[i].name, rundir.cookie, instances[i].cookie);
        else
            CL_CHECK(instances[i].name, rundir.cookie != 0 && rundir.cookie != 0xab);
        CL_CHECK_INT(instances[i].name, rundir.old_cookie, instances[i].old_cookie);
        cl_rundir_close(&rundir);
    }
    cl_log_set_level(CL_LOG_INFO);
}

/* Only what is a sandbox's, only its run record, and only when the boot is known to be another one. */
static void run_records_go_with_their_boot(void **state)
{
    (void)state;
    struct cl_rundir rundir;
    CL_FREE char *link = in_run("bbbbbbbbbbbbbbbb");
    open_well(BOOT_A "\n", &rundir);
    cl_rundir_close(&rundir);
    make_in_run(ID);
    make_in_run("other");
    write_in_run(ID "/run", "secret");
    write_in_run(ID "/k", "");
    write_in_run("other/run", "not ours");
    assert_int_equal(symlink("other", link), 0);

    open_well(BOOT_A "\n", &rundir);
    cl_rundir_close(&rundir);
    assert_true(is_in_run(ID "/run"));

    open_well(BOOT_B "\n", &rundir);
    cl_rundir_close(&rundir);
    assert_false(is_in_run(ID "/run"));
    assert_true(is_in_run(ID "/k"));
    assert_true(is_in_run("other/run"));

    write_in_run(ID "/run", "secret");
    write_in_run("instance", "{");
    open_well(BOOT_A "\n", &rundir);
    cl_rundir_close(&rundir);
    assert_true(is_in_run(ID "/run"));
}

static void no_memory_at_any_point(void **state)
{
    (void)state;
    struct cl_rundir rundir;
    open_well(BOOT_A "\n", &rundir);
    cl_rundir_close(&rundir);
    for (uint64_t nth = 1; nth < 200; nth++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        cl_mem_fail_nth(nth);
        int r = open_in(nth % 2 ? BOOT_A : BOOT_B, &rundir, &err);
        cl_mem_fail_nth(0);
        if (r == 0) {
            cl_rundir_close(&rundir);
            assert_true(nth > 5);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_true(is_in_run("instance"));
    }
    fail_msg("never got through");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_cookie_is_that_of_the_boot), CASE(a_boot_id_is_one),       CASE(the_instance_file_is_read_strictly),
        CASE(run_records_go_with_their_boot), CASE(no_memory_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
