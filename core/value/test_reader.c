/* SPDX-License-Identifier: Apache-2.0 */
#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "core/value/value.h"
#include <errno.h>
#include <string.h>

/* Texts with a NUL inside need their size; the others are C strings. */
struct bad_case {
    const char *name;
    struct cloister_sv text;
    int want;
    const char *step;
    const char *sentence;
    unsigned line, column;
};

static void check_bad(const struct bad_case *c, const struct cl_value_options *options)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *value = NULL;
    char sentence[256];
    /* A copy of the exact size, so that ASan sees a byte read too far. */
    CL_FREE char *copy = malloc(c->text.size ? c->text.size : 1);
    if (c->text.size > 0)
        memcpy(copy, c->text.data, c->text.size);
    int r = cl_value_parse(cl_sv(copy, c->text.size), options, &value, NULL, &err);
    CL_CHECK_INT(c->name, r, c->want);
    CL_CHECK(c->name, value == NULL);
    (void)cl_error_sentence(&err, sentence, sizeof(sentence));
    CL_CHECK_STR(c->name, sentence, c->sentence);
    CL_CHECK_STR(c->name, err.step, c->step);
    CL_CHECK_INT(c->name, err.line, c->line);
    CL_CHECK_INT(c->name, err.column, c->column);
    CL_CHECK_INT(c->name, cl_value_parse(cl_sv(copy, c->text.size), options, &value, NULL, NULL), c->want);
}

#define SYNTAX(name, text, offset, sentence)                                                                \
    {                                                                                                       \
        name, CLOISTER_SV(text), -EINVAL, "syntax", "offset " #offset ": expected " sentence, 1, offset + 1 \
    }
#define UTF8(name, text, offset, sentence)                                                                 \
    {                                                                                                      \
        name, CLOISTER_SV(text), -EINVAL, "utf-8", "offset " #offset ": expected " sentence, 1, offset + 1 \
    }

static const struct bad_case syntax_cases[] = {
    SYNTAX("empty", "", 0, "a value"),
    SYNTAX("blank", "  ", 2, "a value"),
    SYNTAX("bare key", "{oops", 1, "a string key"),
    SYNTAX("number as key", "{1:2}", 1, "a string key"),
    SYNTAX("no colon", "{\"a\" 1}", 5, "':'"),
    SYNTAX("no comma", "{\"a\":1 \"b\":2}", 7, "',' or '}'"),
    SYNTAX("comma before brace", "{\"a\":1,}", 7, "a string key"),
    SYNTAX("cut object", "{\"a\":1", 6, "',' or '}'"),
    SYNTAX("cut after brace", "{", 1, "a string key"),
    SYNTAX("comma before bracket", "[1,]", 3, "a value"),
    SYNTAX("no comma in array", "[1 2]", 3, "',' or ']'"),
    SYNTAX("cut array", "[1", 2, "',' or ']'"),
    SYNTAX("wrong closer", "[1}", 2, "',' or ']'"),
    SYNTAX("text behind", "{} x", 3, "the end of the text"),
    SYNTAX("two documents", "1 2", 2, "the end of the text"),
    SYNTAX("NUL behind", "{}\0", 2, "the end of the text"),
    SYNTAX("long literal", "truex", 4, "the end of the text"),
    SYNTAX("capital literal", "True", 0, "a value"),
    SYNTAX("cut literal", "nul", 0, "a value"),
    SYNTAX("NaN", "[NaN]", 1, "a value"),
    SYNTAX("single quotes", "'a'", 0, "a value"),
    SYNTAX("BOM", "\xef\xbb\xbf{}", 0, "a value"),
    SYNTAX("comment without the flag", "/* */1", 0, "a value"),
    SYNTAX("form feed", "\f1", 0, "a value"),
    SYNTAX("leading zero", "01", 1, "no digit after a leading 0"),
    SYNTAX("negative leading zero", "-012", 2, "no digit after a leading 0"),
    SYNTAX("plus", "+1", 0, "a value"),
    SYNTAX("minus alone", "-", 1, "a digit"),
    SYNTAX("point first", ".5", 0, "a value"),
    SYNTAX("point last", "1.", 2, "a digit"),
    SYNTAX("empty exponent", "1e", 2, "a digit"),
    SYNTAX("signed empty exponent", "[1e+]", 4, "a digit"),
    SYNTAX("hex", "0x1", 1, "the end of the text"),
    SYNTAX("infinity", "-Infinity", 1, "a digit"),
    SYNTAX("open string", "\"abc", 4, "a closing quote"),
    SYNTAX("open escape", "\"abc\\", 4, "one of \" \\ / b f n r t u after a backslash"),
    SYNTAX("escaped closing quote", "\"abc\\\"", 6, "a closing quote"),
    SYNTAX("raw newline", "\"a\nb\"", 2, "no raw control byte in a string"),
    SYNTAX("raw tab", "\"\t\"", 1, "no raw control byte in a string"),
    SYNTAX("raw NUL", "\"a\0b\"", 2, "no NUL byte"),
    SYNTAX("escaped NUL", "\"x\\u0000y\"", 2, "no \\u0000: strings with a NUL are refused"),
    SYNTAX("escaped NUL in a key", "{\"\\u0000\":1}", 2, "no \\u0000: strings with a NUL are refused"),
    SYNTAX("unknown escape", "\"\\x41\"", 1, "one of \" \\ / b f n r t u after a backslash"),
    SYNTAX("NUL escape", "\"\\\0\"", 1, "one of \" \\ / b f n r t u after a backslash"),
    SYNTAX("three hex digits", "\"\\u12\"", 1, "four hexadecimal digits after \\u"),
    SYNTAX("cut hex digits", "\"\\u12", 1, "four hexadecimal digits after \\u"),
    SYNTAX("signed hex digits", "\"\\u+123\"", 1, "four hexadecimal digits after \\u"),
    UTF8("high surrogate alone", "\"\\ud83d\"", 1, "surrogates in pairs, high before low"),
    UTF8("high surrogate twice", "\"\\ud83d\\ud83d\"", 1, "surrogates in pairs, high before low"),
    UTF8("low surrogate first", "\"\\ude00\\ud83d\"", 1, "surrogates in pairs, high before low"),
    UTF8("cut pair", "\"\\ud83d\\u", 1, "surrogates in pairs, high before low"),
    UTF8("latin-1", "\"a\xe9\"", 2, "well-formed UTF-8"),
    UTF8("overlong", "\"\xc0\x80\"", 1, "well-formed UTF-8"),
    UTF8("raw surrogate", "\"\xed\xa0\x80\"", 1, "well-formed UTF-8"),
    UTF8("cut by the end", "\"\xe2\x82", 1, "well-formed UTF-8"),
    UTF8("in a key", "{\"\xff\":1}", 2, "well-formed UTF-8"),
};

static void refuses_bad_syntax(void **state)
{
    for (size_t i = 0; i < CL_COUNT(syntax_cases); i++)
        check_bad(&syntax_cases[i], NULL);
}

static void refuses_with_line_and_column(void **state)
{
    static const struct bad_case cases[] = {
        {"second line", CLOISTER_SV("{\n  x}"), -EINVAL, "syntax", "offset 4: expected a string key", 2, 3},
        {"CRLF", CLOISTER_SV("[\r\n\r\n 1,\r\n]"), -EINVAL, "syntax", "offset 10: expected a value", 4, 1},
        {"duplicate", CLOISTER_SV("{\"a\":1,\n \"b\":2,\n \"a\":3}"), -EEXIST, "duplicate-key",
         "offset 17: expected each key once, but 'a' comes again", 3, 2},
        {"duplicate by escape", CLOISTER_SV("{\"a\":1,\"\\u0061\":2}"), -EEXIST, "duplicate-key",
         "offset 7: expected each key once, but 'a' comes again", 1, 8},
        {"nested duplicate", CLOISTER_SV("[{\"a\":{\"b\":1,\"b\":2}}]"), -EEXIST, "duplicate-key",
         "offset 13: expected each key once, but 'b' comes again", 1, 14},
        {"empty key twice", CLOISTER_SV("{\"\":1,\"\":2}"), -EEXIST, "duplicate-key",
         "offset 6: expected each key once, but '' comes again", 1, 7},
        {"syntax wins over duplicate", CLOISTER_SV("{\"a\":1,\"a\":2,}"), -EINVAL, "syntax",
         "offset 13: expected a string key", 1, 14},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++)
        check_bad(&cases[i], NULL);
}

static void limits_hold(void **state)
{
    static const struct cl_value_options options = {.depth = 3, .count = 6, .size = 40};
    static const struct bad_case cases[] = {
        {"too deep", CLOISTER_SV("[[[[]]]]"), -ELOOP, "too-deep",
         "offset 3: expected less nesting of arrays and objects", 1, 4},
        {"too deep mixed", CLOISTER_SV("{\"a\":[{\"b\":[]}]}"), -ELOOP, "too-deep",
         "offset 11: expected less nesting of arrays and objects", 1, 12},
        {"too many", CLOISTER_SV("[1,2,3,4,5,6]"), -E2BIG, "too-large",
         "offset 11: expected fewer values in one document", 1, 12},
        {"too long", CLOISTER_SV("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""), -E2BIG, "too-large",
         "offset 0: expected a shorter text", 1, 1},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++)
        check_bad(&cases[i], &options);
    static const char *const good[] = {"[[[]]]", "[1,2,3,4,5]", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""};
    for (size_t i = 0; i < CL_COUNT(good); i++) {
        CL_VALUE_CLEANUP cloister_value *value = NULL;
        CL_CHECK_INT(good[i], cl_value_parse(cl_sv_cstr(good[i]), &options, &value, NULL, NULL), 0);
    }
}

static void default_and_greatest_depth(void **state)
{
    static const struct {
        const char *name;
        uint32_t depth;
        int levels, want;
    } cases[] = {{"default", 0, 32, 0},
                 {"default + 1", 0, 33, -ELOOP},
                 {"greatest", UINT32_MAX, 512, 0},
                 {"above", UINT32_MAX, 513, -ELOOP}};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_STR_CLEANUP struct cl_str text = CL_STR_INIT(10000);
        CL_VALUE_CLEANUP cloister_value *value = NULL;
        for (int level = 0; level < cases[i].levels; level++)
            cl_str_append_char(&text, '[');
        for (int level = 0; level < cases[i].levels; level++)
            cl_str_append_char(&text, ']');
        const struct cl_value_options options = {.depth = cases[i].depth};
        CL_CHECK_INT(cases[i].name, cl_value_parse(cl_str_view(&text), &options, &value, NULL, NULL), cases[i].want);
    }
}

static void comments_only_where_asked(void **state)
{
    static const struct cl_value_options options = {.flags = CLOISTER_VALUE_COMMENTS};
    static const char text[] =
        "// first\n/* a\n * b **/ { // c\n \"a\" /**/ : /* \" */ 1, // d\n \"u\": \"unix:/x//y /* z */\" } // end";
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    uint64_t one = 0;
    assert_int_equal(cl_value_parse(cl_sv_cstr(text), &options, &value, NULL, NULL), 0);
    assert_int_equal(cl_value_u64(cl_value_get_cstr(value, "a"), &one), 0);
    assert_int_equal(one, 1);
    assert_string_equal(cl_value_cstr(cl_value_get_cstr(value, "u")), "unix:/x//y /* z */");
    const struct cl_position *position = cl_value_position(cl_value_get_cstr(value, "u"));
    assert_int_equal(position->line, 5);
    assert_int_equal(position->column, 7);
    static const struct bad_case cases[] = {
        {"open comment", CLOISTER_SV("1\n /* \n\n"), -EINVAL, "syntax", "offset 3: expected a */ to end this comment",
         2, 2},
        {"half a comment", CLOISTER_SV("/*/"), -EINVAL, "syntax", "offset 0: expected a */ to end this comment", 1, 1},
        {"slash", CLOISTER_SV("1 /"), -EINVAL, "syntax", "offset 2: expected a value or a comment", 1, 3},
        {"only a comment", CLOISTER_SV("// x"), -EINVAL, "syntax", "offset 4: expected a value", 1, 5},
        {"inside a number", CLOISTER_SV("1/**/2"), -EINVAL, "syntax", "offset 5: expected the end of the text", 1, 6},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++)
        check_bad(&cases[i], &options);
}

static void positions_are_kept(void **state)
{
    static const struct cl_value_options options = {.source = 7};
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    assert_int_equal(cl_value_parse(CLOISTER_SV(" {\n  \"a\": [10,\n    20] }"), &options, &value, NULL, NULL), 0);
    const struct cl_position *root = cl_value_position(value);
    const struct cl_position *a = cl_value_position(cl_value_get_cstr(value, "a"));
    const struct cl_position *second = cl_value_position(cl_value_at(cl_value_get_cstr(value, "a"), 1));
    assert_int_equal(root->source, 7);
    assert_int_equal(root->line, 1);
    assert_int_equal(root->column, 2);
    assert_int_equal(root->key_line, 0);
    assert_int_equal(a->key_line, 2);
    assert_int_equal(a->key_column, 3);
    assert_int_equal(a->line, 2);
    assert_int_equal(a->column, 8);
    assert_int_equal(second->line, 3);
    assert_int_equal(second->column, 5);
    assert_int_equal(second->source, 7);
    assert_null(cl_value_position(NULL));
}

static void strings_are_decoded(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\uDE00\"", "\xf0\x9f\x98\x80"},
        {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
        {"\"\x7f\xc3\xa9\"", "\x7f\xc3\xa9"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_VALUE_CLEANUP cloister_value *value = NULL;
        CL_CHECK_INT(cases[i].text, cl_value_parse(cl_sv_cstr(cases[i].text), NULL, &value, NULL, NULL), 0);
        CL_CHECK_STR(cases[i].text, cl_value_cstr(value), cases[i].want);
    }
}

static void a_duplicate_leaves_the_rest(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *value = NULL;
    CL_VALUE_CLEANUP cloister_value *partial = NULL;
    static const char text[] =
        "{\"method\":\"x\",\"method\":\"y\",\"q\":{\"r\":1,\"r\":2},\"id\":18446744073709551615}";
    assert_int_equal(cl_value_parse(cl_sv_cstr(text), NULL, &value, &partial, &err), -EEXIST);
    assert_null(value);
    assert_string_equal(err.subject, "method");
    assert_int_equal(err.code, CLOISTER_INVALID);
    assert_string_equal(cl_value_cstr(cl_value_get_cstr(partial, "method")), "x");
    uint64_t id = 0;
    assert_int_equal(cl_value_u64(cl_value_get_cstr(partial, "id"), &id), 0);
    assert_true(id == UINT64_MAX);
    assert_int_equal(cl_value_count(partial), 3);
}

/* The 17th key and later ones are compared by hash. */
static void duplicates_among_many(void **state)
{
    for (int again = -1; again < 60; again++) {
        CL_STR_CLEANUP struct cl_str text = CL_STR_INIT(10000);
        cloister_value *value = NULL;
        cl_str_append_char(&text, '{');
        for (int i = 0; i < 60; i++)
            cl_str_printf(&text, "\"key%d\":%d,", i, i);
        cl_str_printf(&text, "\"key%d\":0}", again < 0 ? 60 : again);
        CL_CHECK_INT(text.data, cl_value_parse(cl_str_view(&text), NULL, &value, NULL, NULL), again < 0 ? 0 : -EEXIST);
        cl_value_free(value);
    }
}

static void no_memory_at_any_point(void **state)
{
    static const char text[] =
        "{\"a\":[1,true,null,{\"b\":\"c\"}],\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,"
        "\"9\":9,\"10\":10,\"11\":11,\"12\":12,\"13\":13,\"14\":14,\"15\":15,\"16\":16,\"17\":17}";
    for (uint64_t nth = 1;; nth++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        cloister_value *value = NULL;
        cl_mem_fail_nth(nth);
        int r = cl_value_parse(cl_sv_cstr(text), NULL, &value, NULL, &err);
        cl_mem_fail_nth(0);
        cl_value_free(value);
        if (r == 0) {
            assert_true(nth > 50);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_string_equal(err.step, "memory");
        assert_int_equal(err.code, CLOISTER_LIMIT);
        assert_null(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_syntax),
        cmocka_unit_test(refuses_with_line_and_column),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(default_and_greatest_depth),
        cmocka_unit_test(comments_only_where_asked),
        cmocka_unit_test(positions_are_kept),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(a_duplicate_leaves_the_rest),
        cmocka_unit_test(duplicates_among_many),
        cmocka_unit_test(no_memory_at_any_point),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
