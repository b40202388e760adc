/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/base32.h"
#include "core/util/check.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/list.h"
#include "core/util/mem.h"
#include "core/util/nearest.h"
#include "core/util/time.h"
#include "core/util/vec.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

static void mem_fails_the_nth(void **state)
{
    (void)state;
    cl_mem_fail_nth(2);
    CL_FREE char *first = cl_strdup("a");
    CL_FREE char *second = cl_strdup("b");
    CL_FREE char *third = cl_strdup("c");
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_int_equal(cl_mem_count(), 3);
    cl_mem_fail_nth(0);
}

static void mem_checks_products(void **state)
{
    (void)state;
    assert_null(cl_calloc(SIZE_MAX / 2, 3));
    assert_null(cl_realloc_array(NULL, SIZE_MAX / 2, 3));
    assert_null(cl_memdup("", SIZE_MAX));
    CL_FREE void *nothing = cl_malloc(0);
    assert_non_null(nothing);
}

static void steal_leaves_nothing(void **state)
{
    (void)state;
    char *text = cl_asprintf("%s-%d", "a", 7);
    CL_FREE char *stolen = cl_steal_ptr(&text);
    assert_null(text);
    assert_string_equal(stolen, "a-7");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int raw = fd;
    CL_CLOSE int other = cl_steal_fd(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(other, raw);
}

static void fd_cleanup_closes(void **state)
{
    (void)state;
    int raw;
    {
        CL_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        raw = cl_fd_dup(fd);
        assert_true(raw >= 3);
        assert_int_equal(fcntl(raw, F_GETFD), FD_CLOEXEC);
        assert_int_equal(cl_fd_set_nonblock(raw), 0);
        assert_true(fcntl(raw, F_GETFL) & O_NONBLOCK);
        errno = 77;
        cl_closep(&raw);
        assert_int_equal(errno, 77);
        raw = fd;
    }
    assert_int_equal(fcntl(raw, F_GETFD), -1);
    assert_int_equal(cl_fd_dup(-1), -EBADF);
}

static void vec_keeps_order(void **state)
{
    (void)state;
    struct cl_vec vec = CL_VEC_INIT;
    int items[100];
    for (int i = 0; i < 100; i++)
        assert_int_equal(cl_vec_append(&vec, &items[i]), 0);
    assert_int_equal(vec.size, 100);
    assert_int_equal(cl_vec_find(&vec, &items[40]), 40);
    assert_ptr_equal(cl_vec_remove(&vec, 40), &items[40]);
    assert_true(cl_vec_find(&vec, &items[40]) == CL_VEC_NONE);
    assert_ptr_equal(vec.items[40], &items[41]);
    assert_ptr_equal(vec.items[98], &items[99]);
    assert_ptr_equal(cl_vec_remove(&vec, 98), &items[99]);
    cl_vec_free(&vec);
    assert_int_equal(vec.size, 0);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_vec_append(&vec, items), -ENOMEM);
    cl_mem_fail_nth(0);
    assert_int_equal(vec.size, 0);
}

static void vec_reserve_is_enough(void **state)
{
    (void)state;
    struct cl_vec vec = CL_VEC_INIT;
    assert_int_equal(cl_vec_reserve(&vec, 9), 0);
    cl_mem_fail_nth(1);
    for (int i = 0; i < 9; i++)
        assert_int_equal(cl_vec_append(&vec, state), 0);
    cl_mem_fail_nth(0);
    cl_vec_free(&vec);
}

struct item {
    int number;
    struct cl_list link;
};

static void list_links(void **state)
{
    (void)state;
    struct cl_list list;
    struct item items[4] = {{0, {0}}, {1, {0}}, {2, {0}}, {3, {0}}};
    cl_list_init(&list);
    assert_true(cl_list_empty(&list));
    assert_null(cl_list_first(&list));
    for (int i = 1; i < 4; i++)
        cl_list_append(&list, &items[i].link);
    cl_list_prepend(&list, &items[0].link);
    int want = 0;
    CL_LIST_FOREACH(link, &list)
    {
        struct item *item = CL_CONTAINER(link, struct item, link);
        assert_int_equal(item->number, want++);
        if (item->number % 2)
            cl_list_remove(link);
    }
    assert_int_equal(want, 4);
    cl_list_remove(&items[1].link); /* twice is harmless */
    assert_ptr_equal(cl_list_first(&list), &items[0].link);
    assert_ptr_equal(items[0].link.next, &items[2].link);
    cl_list_remove(&items[0].link);
    cl_list_remove(&items[2].link);
    assert_true(cl_list_empty(&list));
}

static void nearest_table(void **state)
{
    (void)state;
    static const char *const known[] = {"personality", "persistence", "isolation", "listen", "name", "mode", "group"};
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"persistance", "persistence"},
        {"personalty", "personality"},
        {"isolaton", "isolation"},
        {"lisetn", "listen"},
        {"nmae", "name"},
        {"modes", "mode"},
        {"name", "name"},
        {"zebra", NULL},
        {"x", NULL},
        {"", NULL},
        {"Group", "group"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        const char *got = cl_nearest(cl_sv_cstr(cases[i].word), known, CL_COUNT(known));
        if (cases[i].want)
            CL_CHECK_STR(cases[i].word, got, cases[i].want);
        else
            CL_CHECK(cases[i].word, got == NULL);
    }
}

static void ids_are_ids(void **state)
{
    (void)state;
    char one[CL_ID_SIZE], two[CL_ID_SIZE];
    uint64_t number = 0;
    assert_int_equal(cl_id_make(one), 0);
    assert_int_equal(cl_id_make(two), 0);
    assert_true(cl_id_valid(cl_sv_cstr(one)));
    assert_string_not_equal(one, two);
    assert_int_equal(cl_random_u64(&number), 0);
    assert_true(number != 0);
    static const char *const bad[] = {
        "", "abc", "aaaaaaaaaaaaaaa1", "Aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaa/", "aaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < CL_COUNT(bad); i++)
        CL_CHECK(bad[i], !cl_id_valid(cl_sv_cstr(bad[i])));
    assert_false(cl_id_valid(cl_sv("aaaaaaaaaaaaaaa\0", 16)));
}

static void clocks_run(void **state)
{
    (void)state;
    uint64_t mono = cl_mono_ns();
    assert_true(mono > 0);
    assert_true(cl_boot_ns() >= mono);
    assert_true(cl_real_ns() > 1600000000ull * CL_NS_PER_S);
    assert_true(cl_mono_ns() >= mono);
}

static void files_are_bounded(void **state)
{
    (void)state;
    CL_CLOSE int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CL_FREE char *big = cl_calloc(1, 20000);
    assert_int_equal(cl_write_all(fd, big, 20000), 0);
    static const struct {
        const char *name;
        size_t max;
        int want;
    } cases[] = {{"room", 30000, 0}, {"exact", 20000, 0}, {"one short", 19999, -E2BIG}, {"zero", 0, -E2BIG}};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_FREE char *data = NULL;
        size_t size = 0;
        CL_CHECK_INT(cases[i].name, cl_read_file(AT_FDCWD, path, cases[i].max, &data, &size), cases[i].want);
        if (cases[i].want == 0) {
            CL_CHECK_INT(cases[i].name, size, 20000);
            CL_CHECK_INT(cases[i].name, data[size], 0);
        }
    }
    CL_FREE char *none = NULL;
    size_t size;
    assert_int_equal(cl_read_file(AT_FDCWD, "/nonexistent/x", 1, &none, &size), -ENOENT);
    assert_int_equal(cl_read_file(AT_FDCWD, "/", 1, &none, &size), -EISDIR);
    assert_int_equal(cl_read_file(AT_FDCWD, "/dev/null", 0, &none, &size), 0);
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_fails_the_nth),    cmocka_unit_test(mem_checks_products),
        cmocka_unit_test(steal_leaves_nothing), cmocka_unit_test(fd_cleanup_closes),
        cmocka_unit_test(vec_keeps_order),      cmocka_unit_test(vec_reserve_is_enough),
        cmocka_unit_test(list_links),           cmocka_unit_test(nearest_table),
        cmocka_unit_test(ids_are_ids),          cmocka_unit_test(clocks_run),
        cmocka_unit_test(files_are_bounded),
    };
    return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
