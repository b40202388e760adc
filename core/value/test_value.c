/* SPDX-License-Identifier: Apache-2.0 */
#include "core/value/value.h"

#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static cloister_value *parsed(const char *text)
{
    cloister_value *value = NULL;
    CL_CHECK_INT(text, cl_value_parse(cl_sv_cstr(text), NULL, &value, NULL, NULL), 0);
    return value;
}

static void check_print(const char *name, const cloister_value *value, const char *want)
{
    CL_FREE char *text = NULL;
    size_t size = 0;
    CL_CHECK_INT(name, cl_value_print(value, false, &text, &size), 0);
    CL_CHECK_STR(name, text, want);
    CL_CHECK_INT(name, size, strlen(want));
}

static void numbers_are_exact(void **state)
{
    static const struct {
        const char *text;
        int u_want;
        uint64_t u;
        int i_want;
        int64_t i;
    } cases[] = {
        {"0", 0, 0, 0, 0},
        {"-0", 0, 0, 0, 0},
        {"9007199254740993", 0, 9007199254740993u, 0, 9007199254740993},
        {"18446744073709551615", 0, UINT64_MAX, -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0, -ERANGE, 0},
        {"9223372036854775807", 0, INT64_MAX, 0, INT64_MAX},
        {"9223372036854775808", 0, (uint64_t)INT64_MAX + 1, -ERANGE, 0},
        {"-9223372036854775808", -ERANGE, 0, 0, INT64_MIN},
        {"-9223372036854775809", -ERANGE, 0, -ERANGE, 0},
        {"-1", -ERANGE, 0, 0, -1},
        {"1.0", -EINVAL, 0, -EINVAL, 0},
        {"1e2", -EINVAL, 0, -EINVAL, 0},
        {"\"1\"", -EINVAL, 0, -EINVAL, 0},
        {"true", -EINVAL, 0, -EINVAL, 0},
        {"null", -EINVAL, 0, -EINVAL, 0},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_VALUE_CLEANUP cloister_value *value = parsed(cases[i].text);
        uint64_t u = 0;
        int64_t number = 0;
        CL_CHECK_INT(cases[i].text, cl_value_u64(value, &u), cases[i].u_want);
        CL_CHECK(cases[i].text, u == cases[i].u);
        CL_CHECK_INT(cases[i].text, cl_value_i64(value, &number), cases[i].i_want);
        CL_CHECK(cases[i].text, number == cases[i].i);
        check_print(cases[i].text, value, cases[i].text);
    }
}

static void doubles(void **state)
{
    static const struct {
        const char *text;
        int want;
        double number;
    } cases[] = {{"0.1", 0, 0.1}, {"-2.5E+3", 0, -2500}, {"1e400", -ERANGE, 0}, {"7", 0, 7}, {"\"7\"", -EINVAL, 0}};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_VALUE_CLEANUP cloister_value *value = parsed(cases[i].text);
        double number = 0;
        CL_CHECK_INT(cases[i].text, cl_value_double(value, &number), cases[i].want);
        CL_CHECK(cases[i].text, number == cases[i].number);
    }
}

static void types_and_nothing(void **state)
{
    static const struct {
        const char *text;
        enum cloister_value_type want;
        const char *name;
    } cases[] = {
        {"null", CLOISTER_VALUE_NULL, "null"},           {"true", CLOISTER_VALUE_BOOL, "true or false"},
        {"false", CLOISTER_VALUE_BOOL, "true or false"}, {"-1.5e3", CLOISTER_VALUE_NUMBER, "a number"},
        {"\"\"", CLOISTER_VALUE_STRING, "a string"},     {"[]", CLOISTER_VALUE_ARRAY, "an array"},
        {"{}", CLOISTER_VALUE_OBJECT, "an object"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_VALUE_CLEANUP cloister_value *value = parsed(cases[i].text);
        CL_CHECK_INT(cases[i].text, cl_value_type(value), cases[i].want);
        CL_CHECK_STR(cases[i].text, cl_value_type_name(cl_value_type(value)), cases[i].name);
        CL_CHECK_INT(cases[i].text, cl_value_count(value), 0);
        CL_CHECK(cases[i].text, cl_value_first(value) == NULL);
        CL_CHECK(cases[i].text, cl_value_get_cstr(value, "a") == NULL);
        check_print(cases[i].text, value, cases[i].text);
    }
    struct cloister_sv text;
    bool yes;
    assert_int_equal(cl_value_type(NULL), CLOISTER_VALUE_NONE);
    assert_null(cl_value_get_cstr(NULL, "a"));
    assert_null(cl_value_at(NULL, 0));
    assert_null(cl_value_next(NULL));
    assert_null(cl_value_cstr(NULL));
    assert_int_equal(cl_value_string(NULL, &text), -EINVAL);
    assert_int_equal(cl_value_bool(NULL, &yes), -EINVAL);
    assert_int_equal(cl_value_key(NULL).size, 0);
    cl_value_free(NULL);
}

static void members_by_key_and_order(void **state)
{
    CL_VALUE_CLEANUP cloister_value *value = parsed("{\"a\":1,\"ab\":[5,6,7],\"A\":true}");
    struct cloister_sv text;
    bool yes = false;
    assert_int_equal(cl_value_count(value), 3);
    assert_null(cl_value_get(value, cl_sv("a\0", 2)));
    assert_null(cl_value_get_cstr(value, "b"));
    assert_int_equal(cl_value_bool(cl_value_get_cstr(value, "A"), &yes), 0);
    assert_true(yes);
    cloister_value *array = cl_value_get(value, cl_sv("abc", 2));
    static const size_t order[] = {0, 1, 2, 0, 2, 1};
    for (size_t i = 0; i < CL_COUNT(order); i++) {
        char want[8];
        (void)snprintf(want, sizeof(want), "%zu", order[i] + 5);
        assert_int_equal(cl_value_raw(cl_value_at(array, order[i]), &text), 0);
        assert_true(cl_sv_is(text, want));
    }
    assert_null(cl_value_at(array, 3));
    assert_true(cl_sv_is(cl_value_key(cl_value_at(value, 1)), "ab"));
    assert_int_equal(cl_value_key(cl_value_at(array, 0)).size, 0);
    size_t seen = 0;
    for (cloister_value *member = cl_value_first(value); member; member = cl_value_next(member))
        assert_ptr_equal(member, cl_value_at(value, seen++));
    assert_int_equal(seen, 3);
}

static void built_values_print(void **state)
{
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    cloister_value *array = cl_value_new_array();
    assert_int_equal(cl_value_append(array, cl_value_new_u64(UINT64_MAX)), 0);
    assert_int_equal(cl_value_append(array, cl_value_new_i64(INT64_MIN)), 0);
    assert_int_equal(cl_value_append(array, cl_value_new_null()), 0);
    assert_int_equal(cl_value_append(array, cl_value_new_bool(false)), 0);
    assert_int_equal(cl_value_append(array, cl_value_new_number(CLOISTER_SV("-1.50e+3"))), 0);
    assert_int_equal(cl_value_set_cstr(object, "array", array), 0);
    assert_int_equal(cl_value_set_cstr(object, "s", cl_value_new_cstr("a\n\x01\"\\\x7f\xe2\x82\xac")), 0);
    assert_int_equal(cl_value_set(object, cl_sv(NULL, 0), cl_value_new_bool(true)), 0);
    check_print("built", object,
                "{\"array\":[18446744073709551615,-9223372036854775808,null,false,-1.50e+3],"
                "\"s\":\"a\\n\\u0001\\\"\\\\\x7f\xe2\x82\xac\",\"\":true}");
    CL_FREE char *pretty = NULL;
    size_t size;
    assert_int_equal(cl_value_remove(object, CLOISTER_SV("array")), 0);
    assert_int_equal(cl_value_print(object, true, &pretty, &size), 0);
    assert_string_equal(pretty, "{\n\t\"s\":\t\"a\\n\\u0001\\\"\\\\\x7f\xe2\x82\xac\",\n\t\"\":\ttrue\n}");
    assert_int_equal(cl_value_position(object)->line, 0);
    assert_int_equal(cl_value_print(NULL, false, &pretty, &size), -EINVAL);
}

static void set_replaces_in_place(void **state)
{
    CL_VALUE_CLEANUP cloister_value *value = parsed("{\"a\":1,\"b\":2,\"c\":3}");
    assert_non_null(cl_value_at(value, 1)); /* the cursor stands on what is replaced */
    assert_int_equal(cl_value_set_cstr(value, "b", cl_value_new_cstr("x")), 0);
    assert_ptr_equal(cl_value_at(value, 1), cl_value_get_cstr(value, "b"));
    assert_non_null(cl_value_at(value, 2)); /* and now on what is removed */
    check_print("replaced", value, "{\"a\":1,\"b\":\"x\",\"c\":3}");
    assert_int_equal(cl_value_count(value), 3);
    assert_int_equal(cl_value_remove(value, CLOISTER_SV("c")), 0);
    assert_int_equal(cl_value_remove(value, CLOISTER_SV("c")), -ENOENT);
    assert_null(cl_value_at(value, 2));
    assert_ptr_equal(cl_value_at(value, 1), cl_value_get_cstr(value, "b"));
    cloister_value *taken = cl_value_detach(value, cl_value_get_cstr(value, "a"));
    assert_true(cl_sv_is(cl_value_key(taken), "a"));
    assert_null(cl_value_next(taken));
    check_print("detached", value, "{\"b\":\"x\"}");
    assert_int_equal(cl_value_set_cstr(value, "z", taken), 0);
    check_print("moved", value, "{\"b\":\"x\",\"z\":1}");
    assert_true(cl_sv_is(cl_value_key(cl_value_at(value, 1)), "z"));
}

static void refused_arguments_are_freed(void **state)
{
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *array = cl_value_new_array();
    assert_int_equal(cl_value_set_cstr(object, "a", NULL), -ENOMEM);
    assert_int_equal(cl_value_append(array, NULL), -ENOMEM);
    assert_int_equal(cl_value_set_cstr(array, "a", cl_value_new_null()), -EINVAL);
    assert_int_equal(cl_value_append(object, cl_value_new_null()), -EINVAL);
    assert_int_equal(cl_value_append(NULL, cl_value_new_null()), -EINVAL);
    assert_int_equal(cl_value_set(object, cl_sv("a\0b", 3), cl_value_new_null()), -EINVAL);
    assert_int_equal(cl_value_set_cstr(object, "\xff", cl_value_new_null()), -EINVAL);
    assert_null(cl_value_new_string(cl_sv("a\0b", 3)));
    assert_null(cl_value_new_cstr("\xc0\x80"));
    static const char *const bad[] = {"", "01", "+1", "1.", "NaN", "1 ", "1,\"x\":2", "0x1", "-"};
    for (size_t i = 0; i < CL_COUNT(bad); i++)
        CL_CHECK(bad[i], cl_value_new_number(cl_sv_cstr(bad[i])) == NULL);
    assert_int_equal(cl_value_count(object), 0);
}

static void copies_are_deep(void **state)
{
    static const char text[] = "{\"a\":[1,[\"x\",null,true]],\"b\":{\"c\":-1.5}}";
    CL_VALUE_CLEANUP cloister_value *value = parsed(text);
    assert_non_null(cl_value_at(value, 1));
    CL_VALUE_CLEANUP cloister_value *copy = cl_value_copy(value);
    assert_int_equal(cl_value_remove(value, CLOISTER_SV("a")), 0);
    check_print("copy", copy, text);
    assert_int_equal(cl_value_count(copy), 2);
    assert_ptr_equal(cl_value_at(copy, 1), cl_value_get_cstr(copy, "b"));
    assert_int_equal(cl_value_position(cl_value_get_cstr(copy, "b"))->key_column, 26);
    assert_null(cl_value_copy(NULL));
    for (uint64_t nth = 1;; nth++) {
        cl_mem_fail_nth(nth);
        cloister_value *again = cl_value_copy(copy);
        cl_mem_fail_nth(0);
        cl_value_free(again);
        if (again) {
            assert_true(nth > 15);
            break;
        }
    }
}

static void builders_without_memory(void **state)
{
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    for (uint64_t nth = 1; nth <= 3; nth++) {
        cl_mem_fail_nth(nth);
        int r = cl_value_set_cstr(object, "a", cl_value_new_u64(1));
        cl_mem_fail_nth(0);
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(cl_value_count(object), 0);
    }
    cJSON_Hooks hooks = {cl_malloc, free};
    CL_FREE char *text = NULL;
    size_t size;
    cJSON_InitHooks(&hooks);
    cl_mem_fail_nth(1);
    assert_int_equal(cl_value_print(object, false, &text, &size), -ENOMEM);
    cl_mem_fail_nth(0);
    cJSON_InitHooks(NULL);
}

/* 60,000 elements by rising position: linear, or this test takes minutes under a sanitizer. */
static void walking_upwards_is_linear(void **state)
{
    CL_VALUE_CLEANUP cloister_value *array = cl_value_new_array();
    for (int i = 0; i < 60000; i++)
        assert_int_equal(cl_value_append(array, cl_value_new_null()), 0);
    for (size_t i = 0; i < cl_value_count(array); i++)
        assert_non_null(cl_value_at(array, i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact),           cmocka_unit_test(doubles),
        cmocka_unit_test(types_and_nothing),           cmocka_unit_test(members_by_key_and_order),
        cmocka_unit_test(built_values_print),          cmocka_unit_test(set_replaces_in_place),
        cmocka_unit_test(refused_arguments_are_freed), cmocka_unit_test(copies_are_deep),
        cmocka_unit_test(builders_without_memory),     cmocka_unit_test(walking_upwards_is_linear),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
