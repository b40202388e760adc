/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/str.h"

#include "core/util/check.h"
#include "core/util/mem.h"
#include <errno.h>

static void utf8_table(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool want;
    } cases[] = {
        {"empty", "", true},
        {"ascii", "abc\x7f", true},
        {"two bytes", "\xc3\xa9", true},
        {"three bytes", "\xe2\x82\xac", true},
        {"four bytes", "\xf0\x9f\x98\x80", true},
        {"last point", "\xf4\x8f\xbf\xbf", true},
        {"above the last point", "\xf4\x90\x80\x80", false},
        {"overlong slash", "\xc0\xaf", false},
        {"overlong three", "\xe0\x80\xaf", false},
        {"overlong four", "\xf0\x80\x80\xaf", false},
        {"surrogate", "\xed\xa0\x80", false},
        {"before surrogates", "\xed\x9f\xbf", true},
        {"lone continuation", "\x80", false},
        {"cut", "a\xe2\x82", false},
        {"bad third", "\xe2\x82x", false},
        {"five bytes", "\xf8\x88\x80\x80\x80", false},
        {"fe", "\xfe", false},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++)
        CL_CHECK(cases[i].name, cl_sv_utf8(cl_sv_cstr(cases[i].text)) == cases[i].want);
}

static void u64_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
        uint64_t number;
    } cases[] = {
        {"0", 0, 0},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999x", -EINVAL, 0},
        {"007", 0, 7},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        uint64_t number = 0;
        CL_CHECK_INT(cases[i].text, cl_sv_u64(cl_sv_cstr(cases[i].text), &number), cases[i].want);
        CL_CHECK(cases[i].text, number == cases[i].number);
    }
}

static void views_compare(void **state)
{
    (void)state;
    assert_true(cl_sv_eq(CLOISTER_SV("ab"), cl_sv("abc", 2)));
    assert_false(cl_sv_eq(CLOISTER_SV("ab"), CLOISTER_SV("ac")));
    assert_true(cl_sv_eq(cl_sv(NULL, 0), CLOISTER_SV("")));
    assert_true(cl_sv_is(CLOISTER_SV("ab"), "ab"));
    assert_false(cl_sv_is(cl_sv("a\0b", 3), "a"));
    assert_true(cl_sv_starts(CLOISTER_SV("unix:/x"), CLOISTER_SV("unix:")));
    assert_false(cl_sv_starts(CLOISTER_SV("uni"), CLOISTER_SV("unix:")));
}

static void views_are_copied_whole_or_not(void **state)
{
    (void)state;
    char buffer[4] = "zzz";
    CL_FREE char *copy = cl_sv_dup(cl_sv("abcd", 3));
    assert_string_equal(copy, "abc");
    assert_null(cl_sv_dup(cl_sv("a\0b", 3)));
    assert_int_equal(cl_sv_copy(CLOISTER_SV("abcd"), buffer, sizeof(buffer)), -E2BIG);
    assert_int_equal(cl_sv_copy(cl_sv("a\0", 2), buffer, sizeof(buffer)), -EINVAL);
    assert_string_equal(buffer, "zzz");
    assert_int_equal(cl_sv_copy(CLOISTER_SV("abc"), buffer, sizeof(buffer)), 0);
    assert_string_equal(buffer, "abc");
    assert_int_equal(cl_sv_copy(cl_sv(NULL, 0), buffer, sizeof(buffer)), 0);
    assert_string_equal(buffer, "");
}

static void str_grows(void **state)
{
    (void)state;
    CL_STR_CLEANUP struct cl_str str = CL_STR_INIT(100000);
    for (int i = 0; i < 1000; i++)
        cl_str_printf(&str, "%d,", i);
    cl_str_append_char(&str, '.');
    cl_str_append_cstr(&str, "end");
    cl_str_append(&str, CLOISTER_SV("!"));
    assert_int_equal(str.error, 0);
    assert_int_equal(str.size, 3890 + 5);
    assert_string_equal(str.data + 3890, ".end!");
    assert_true(cl_sv_starts(cl_str_view(&str), CLOISTER_SV("0,1,2,")));
}

static void str_limit_sticks(void **state)
{
    (void)state;
    CL_STR_CLEANUP struct cl_str str = CL_STR_INIT(4);
    char *text;
    size_t size;
    cl_str_append_cstr(&str, "abcd");
    assert_int_equal(str.error, 0);
    cl_str_append_char(&str, 'e');
    cl_str_clear(&str);
    cl_str_append_cstr(&str, "abc");
    cl_str_printf(&str, "%s", "de");
    cl_str_append_char(&str, 'f');
    assert_int_equal(str.error, -E2BIG);
    assert_string_equal(str.data, "abc");
    assert_int_equal(cl_str_steal(&str, &text, &size), -E2BIG);
    cl_str_clear(&str);
    cl_str_append_bytes(&str, "a", SIZE_MAX);
    assert_int_equal(str.error, -E2BIG);
}

static void str_without_memory(void **state)
{
    (void)state;
    CL_STR_CLEANUP struct cl_str str = CL_STR_INIT(100);
    cl_mem_fail_nth(1);
    cl_str_append_cstr(&str, "a");
    cl_mem_fail_nth(0);
    cl_str_append_cstr(&str, "b");
    assert_int_equal(str.error, -ENOMEM);
}

static void str_steal_hands_over(void **state)
{
    (void)state;
    struct cl_str str = CL_STR_INIT(100);
    CL_FREE char *empty = NULL;
    CL_FREE char *full = NULL;
    size_t size = 9;
    assert_int_equal(cl_str_steal(&str, &empty, &size), 0);
    assert_string_equal(empty, "");
    assert_int_equal(size, 0);
    cl_str_append_cstr(&str, "abc");
    assert_int_equal(cl_str_steal(&str, &full, &size), 0);
    assert_string_equal(full, "abc");
    assert_int_equal(size, 3);
    assert_null(str.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_table),         cmocka_unit_test(u64_table),
        cmocka_unit_test(views_compare),      cmocka_unit_test(views_are_copied_whole_or_not),
        cmocka_unit_test(str_grows),          cmocka_unit_test(str_limit_sticks),
        cmocka_unit_test(str_without_memory), cmocka_unit_test(str_steal_hands_over),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
