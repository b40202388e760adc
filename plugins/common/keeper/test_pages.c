/* SPDX-License-Identifier: Apache-2.0 */
/* test_pages.c - what a memfd would be on another host: a file of a tmpfs with huge pages. */
#include "common/keeper/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 65536u
#define BASE (1ull << 56)

static char directory[] = "/tmp/cloister-pages.XXXXXX";

static void put(const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_settings(void **state)
{
    static const struct {
        const char *all, *some;
        int huge;
    } cases[] = {
        {"always within_size advise [never] deny force\n", "always inherit within_size advise [never]\n", 0},
        {"always within_size [advise] never deny force\n", "always [inherit] within_size advise never\n", 0},
        {"[always] within_size advise never deny force\n", "always [inherit] within_size advise never\n", 1},
        {"always [within_size] advise never deny force\n", "always inherit within_size advise [never]\n", 1},
        {"always within_size advise never deny [force]\n", "always inherit within_size advise [never]\n", 1},
        {"always within_size advise [never] deny force\n", "[always] inherit within_size advise never\n", 1},
    };
    char path[64];

    assert_false(cl_pages_may_be_huge("/nowhere"));
    assert_false(cl_pages_may_be_huge(directory)); /* an old kernel, or none of this built in */
    snprintf(path, sizeof(path), "%s/hugepages-64kB", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put("shmem_enabled", cases[i].all);
        put("hugepages-64kB/shmem_enabled", cases[i].some);
        if (cl_pages_may_be_huge(directory) != cases[i].huge)
            fail_msg("%s%s", cases[i].all, cases[i].some);
    }
}

/* Sent, given back, and only then read. */
static size_t zeros_read(int file)
{
    static char bytes[SIZE];
    off_t at = BASE;
    size_t zeros = 0, total = 0;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(sendfile(pair[0], file, &at, SIZE), SIZE);
    assert_int_equal(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BASE, SIZE / 2), 0);
    while (total < SIZE) {
        ssize_t n = read(pair[1], bytes + total, SIZE - total);

        assert_true(n > 0);
        total += (size_t)n;
    }
    for (size_t i = 0; i < SIZE; i++)
        zeros += bytes[i] == 0;
    close(pair[0]);
    close(pair[1]);
    return zeros;
}

static int open_huge(void)
{
    int file;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("huge", directory, "tmpfs", 0, "huge=always") < 0)
        return -1;
    file = open(directory, O_TMPFILE | O_RDWR, 0600);
    if (file < 0 || ftruncate(file, (off_t)(2 * BASE)) < 0)
        return -1;
    return file;
}

static void test_given_back(void **state)
{
    static char bytes[SIZE];
    int file = open_huge();

    if (file < 0)
        skip();
    memset(bytes, 'a', sizeof(bytes));
    assert_int_equal(cl_pages_make(file, BASE, BASE + 100), 0);
    assert_int_equal(pwrite(file, bytes, 100, BASE), 100);
    assert_int_equal(cl_pages_make(file, BASE + 100, BASE + SIZE), 0); /* from the middle of one that is there */
    assert_int_equal(pwrite(file, bytes + 100, SIZE - 100, BASE + 100), SIZE - 100);
    assert_int_equal(zeros_read(file), 0);
    assert_int_equal(cl_pages_make(file, 2 * BASE, 2 * BASE + 1), -EFAULT); /* behind its end */
    close(file);
}

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[96];

    umount2(directory, MNT_DETACH);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings), cmocka_unit_test(test_given_back)};

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
