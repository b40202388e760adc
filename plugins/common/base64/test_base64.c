/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    const char *bytes; /* NULL = no base64 */
    uint64_t size;
} cases[] = {
    {"", "", 0},
    {"Zg==", "f", 1},
    {"Zm8=", "fo", 2},
    {"Zm9v", "foo", 3},
    {"Zm9vYg==", "foob", 4},
    {"Zm9vYmFy", "foobar", 6},
    {"AAECAw==", "\0\1\2\3", 4},
    {"+/+/", "\xfb\xff\xbf", 3},
    {"Zg=", NULL, 0},      /* cut */
    {"Zg", NULL, 0},       /* not padded */
    {"Zh==", NULL, 0},     /* bits that nobody reads */
    {"Zm9=", NULL, 0},     /* so here */
    {"Zg==Zg==", NULL, 0}, /* padding inside */
    {"Z===", NULL, 0},
    {"====", NULL, 0},
    {"Zm9v\n", NULL, 0},
    {" Zm9v", NULL, 0},
    {"Zm-v", NULL, 0},
    {"Zm9v=", NULL, 0},
    {"Zg=g", NULL, 0},
    {"Zm\xc3\xb6", NULL, 0},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cloister_sv text = {cases[i].text, strlen(cases[i].text)};
        char bytes[16], back[16] = {0};
        uint64_t size = 99;
        if (base64_decode(text, bytes, &size) != (cases[i].bytes != NULL))
            fail_msg("'%s'", cases[i].text);
        if (!cases[i].bytes)
            continue;
        assert_int_equal(size, cases[i].size);
        assert_memory_equal(bytes, cases[i].bytes, size);
        base64_encode((struct cloister_sv){bytes, size}, back);
        assert_int_equal(BASE64_TEXT_SIZE(size), text.size);
        assert_string_equal(back, cases[i].text);
    }
}

static void test_every_byte(void **state)
{
    char bytes[256], text[BASE64_TEXT_SIZE(sizeof(bytes))], back[sizeof(text)];
    uint64_t size;
    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    base64_encode((struct cloister_sv){bytes, sizeof(bytes)}, text);
    assert_true(base64_decode((struct cloister_sv){text, sizeof(text)}, back, &size));
    assert_int_equal(size, sizeof(bytes));
    assert_memory_equal(back, bytes, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_every_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
