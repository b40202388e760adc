/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/map.h"

#include "core/util/check.h"
#include "core/util/mem.h"
#include <errno.h>
#include <stdio.h>

static void bytes_are_keys(void **state)
{
    (void)state;
    struct cl_map map = CL_MAP_INIT;
    int one, two, three;
    assert_null(cl_map_get(&map, CLOISTER_SV("a")));
    assert_null(cl_map_remove(&map, CLOISTER_SV("a")));
    assert_int_equal(cl_map_put(&map, CLOISTER_SV("a"), &one), 0);
    assert_int_equal(cl_map_put(&map, cl_sv("a\0b", 3), &two), 0);
    assert_int_equal(cl_map_put(&map, cl_sv(NULL, 0), &three), 0);
    assert_int_equal(cl_map_put(&map, CLOISTER_SV("a"), &two), -EEXIST);
    assert_int_equal(cl_map_put(&map, CLOISTER_SV("n"), NULL), -EINVAL);
    assert_ptr_equal(cl_map_get(&map, CLOISTER_SV("a")), &one);
    assert_ptr_equal(cl_map_get(&map, cl_sv("a\0b", 3)), &two);
    assert_ptr_equal(cl_map_get(&map, CLOISTER_SV("")), &three);
    assert_null(cl_map_get(&map, cl_sv("a\0c", 3)));
    assert_ptr_equal(cl_map_remove(&map, CLOISTER_SV("a")), &one);
    assert_null(cl_map_get(&map, CLOISTER_SV("a")));
    assert_int_equal(map.size, 2);
    cl_map_free(&map);
    assert_int_equal(map.size, 0);
}

static void many_keys_are_found_again(void **state)
{
    (void)state;
    struct cl_map map = CL_MAP_INIT;
    static int values[5000];
    for (uint64_t i = 0; i < CL_COUNT(values); i++)
        assert_int_equal(cl_map_put_u64(&map, i * i, &values[i]), 0);
    for (uint64_t i = 0; i < CL_COUNT(values); i += 2)
        assert_ptr_equal(cl_map_remove_u64(&map, i * i), &values[i]);
    for (uint64_t i = 0; i < CL_COUNT(values); i++)
        assert_ptr_equal(cl_map_get_u64(&map, i * i), i % 2 ? &values[i] : NULL);
    cl_map_free(&map);
}

static void keys_of_all_lengths(void **state)
{
    (void)state;
    struct cl_map map = CL_MAP_INIT;
    static int values[40];
    static const char text[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < CL_COUNT(values); i++)
        assert_int_equal(cl_map_put(&map, cl_sv(text, i), &values[i]), 0);
    for (size_t i = 0; i < CL_COUNT(values); i++)
        assert_ptr_equal(cl_map_get(&map, cl_sv(text, i)), &values[i]);
    cl_map_free(&map);
}

static void iteration_sees_each_once(void **state)
{
    (void)state;
    struct cl_map map = CL_MAP_INIT;
    int values[100] = {0};
    for (uint64_t i = 0; i < CL_COUNT(values); i++)
        assert_int_equal(cl_map_put_u64(&map, i, &values[i]), 0);
    struct cl_map_iter iter = {0};
    struct cloister_sv key;
    void *value;
    while (cl_map_next(&map, &iter, &key, &value)) {
        ++*(int *)value;
        assert_int_equal(key.size, 8);
        assert_ptr_equal(cl_map_remove(&map, key), value);
    }
    for (size_t i = 0; i < CL_COUNT(values); i++)
        assert_int_equal(values[i], 1);
    assert_int_equal(map.size, 0);
    cl_map_free(&map);
}

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct cl_map map = CL_MAP_INIT;
        int r = 0;
        cl_mem_fail_nth(nth);
        uint64_t i;
        for (i = 0; i < 9 && r == 0; i++)
            r = cl_map_put_u64(&map, i, state);
        cl_mem_fail_nth(0);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_null(cl_map_get_u64(&map, i - 1));
            assert_int_equal(map.size, i - 1);
        }
        cl_map_free(&map);
        if (r == 0) {
            assert_int_equal(nth, 9 + 2 + 1); /* nine entries, two tables */
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_keys),
        cmocka_unit_test(many_keys_are_found_again),
        cmocka_unit_test(keys_of_all_lengths),
        cmocka_unit_test(iteration_sees_each_once),
        cmocka_unit_test(no_memory_changes_nothing),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
