/* SPDX-License-Identifier: Apache-2.0 */
#include "common/users/users.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) ((struct users_text){(literal), sizeof(literal) - 1})

static const struct users_text passwd = {
    /* what is wrong in it is no entry */
    "root:x:0:0:root:/root:/bin/sh\n"
    "# a comment:x:1:1::/:\n"
    "\n"
    "short:x:7\n"
    "four:x:44:45\n"
    "ann:x:1000:1001:Ann,,,:/home/ann:/bin/sh\n"
    "ann:x:2000:2001:a second one:/home/other:/bin/sh\n"
    "1000:x:0:0:a number for a name:/root:/bin/sh\n"
    "minus:x:-1:0::/:\n"
    "big:x:4294967296:0::/:\n"
    "none:x:4294967295:0::/:\n"
    "hex:x:0x0:0::/:\n"
    "space:x: 5:0::/:\n"
    "-1:x:0:0::/:\n"
    "4294967296:x:0:0::/:\n"
    ":x:77:77::/nameless:\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    "last:x:3000:3001::/home/last",
    0};

static const struct users_text group = {"root:x:0:\n"
                                        "wheel:x:10:root,ann\n"
                                        "staff:x:50:ann\n"
                                        "again:x:50:ann\n"
                                        "ann:x:1001:ann\n"
                                        "bad:x:ten:ann\n"
                                        "anna:x:60:anna,hann\n"
                                        "short:x:70\n"
                                        "10:x:0:ann\n"
                                        "end:x:80:bob,ann",
                                        0};

static struct users_text sized(struct users_text text)
{
    return (struct users_text){text.data, strlen(text.data)};
}

static const struct {
    const char *text;
    int result;
    uint32_t uid;
    uint32_t gid;
    const char *name;
    const char *home;
} cases[] = {
    {"", 0, 0, 0, "root", "/root"},
    {"root", 0, 0, 0, "root", "/root"},
    {"0", 0, 0, 0, "root", "/root"},
    {"ann", 0, 1000, 1001, "ann", "/home/ann"},  /* the first of two */
    {"1000", 0, 1000, 1001, "ann", "/home/ann"}, /* never the user of that name */
    {"2000", 0, 2000, 2001, "ann", "/home/other"},
    {"1234", 0, 1234, 0, "", ""},
    {"1000000000", 0, 1000000000, 0, "", ""},
    {"2147483647", 0, 2147483647, 0, "", ""},
    {"last", 0, 3000, 3001, "last", "/home/last"}, /* without an end of line */
    {"four", 0, 44, 45, "four", ""},               /* not the home of the line before */
    {"ann:staff", 0, 1000, 50, "ann", "/home/ann"},
    {"ann:7", 0, 1000, 7, "ann", "/home/ann"},
    {"ann:10", 0, 1000, 10, "ann", "/home/ann"}, /* never the group of that name */
    {"5:6", 0, 5, 6, "", ""},
    {"0:0", 0, 0, 0, "root", "/root"},
    {"2147483648", -ENOENT, 0, 0, "", ""},
    {"4294967295", -ENOENT, 0, 0, "", ""},
    {"4294967296", -ENOENT, 0, 0, "", ""},
    {"18446744073709551616", -ENOENT, 0, 0, "", ""},
    {"-1", -ENOENT, 0, 0, "", ""},
    {"+1", -ENOENT, 0, 0, "", ""},
    {"0x0", -ENOENT, 0, 0, "", ""},
    {" 1", -ENOENT, 0, 0, "", ""},
    {"1 ", -ENOENT, 0, 0, "", ""},
    {"nosuch", -ENOENT, 0, 0, "", ""},
    {"short", -ENOENT, 0, 0, "", ""},
    {"minus", -ENOENT, 0, 0, "", ""},
    {"big", -ENOENT, 0, 0, "", ""},
    {"none", -ENOENT, 0, 0, "", ""},
    {"hex", -ENOENT, 0, 0, "", ""},
    {"space", -ENOENT, 0, 0, "", ""},
    {"# a comment", -ENOENT, 0, 0, "", ""},
    {"ann:nosuch", -ESRCH, 0, 0, "", ""},
    {"ann:bad", -ESRCH, 0, 0, "", ""},
    {"ann:2147483648", -ESRCH, 0, 0, "", ""},
    {"ann:-1", -ESRCH, 0, 0, "", ""},
    {"1:", -EINVAL, 0, 0, "", ""},
    {":1", -EINVAL, 0, 0, "", ""},
    {":", -EINVAL, 0, 0, "", ""},
    {"1:2:3", -EINVAL, 0, 0, "", ""},
};

static void check(size_t i, struct users_text passwd_file, const struct users_who *who)
{
    if (who->uid != cases[i].uid || who->gid != cases[i].gid)
        fail_msg("'%s': %u:%u", cases[i].text, who->uid, who->gid);
    if (passwd_file.size && (who->name.size != strlen(cases[i].name) || who->home.size != strlen(cases[i].home) ||
                             memcmp(who->home.data ? who->home.data : "", cases[i].home, who->home.size) != 0))
        fail_msg("'%s': name '%.*s', home '%.*s'", cases[i].text, (int)who->name.size, who->name.data,
                 (int)who->home.size, who->home.data);
    if (who->group_given != (strchr(cases[i].text, ':') != NULL))
        fail_msg("'%s': group given or not", cases[i].text);
}

static void test_find(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct users_who who = {.uid = 4711};
        int r =
            users_find((struct users_text){cases[i].text, strlen(cases[i].text)}, sized(passwd), sized(group), &who);

        if (r != cases[i].result)
            fail_msg("'%s': %d, not %d", cases[i].text, r, cases[i].result);
        if (r == 0)
            check(i, passwd, &who);
        else
            assert_int_equal(who.uid, 4711);
    }
}

/* Numbers, "" and "root" need no file. */
static void test_without_files(void **state)
{
    static const struct {
        const char *text;
        int result;
    } without[] = {{"", 0}, {"root", 0}, {"1000", 0}, {"5:6", 0}, {"ann", -ENOENT}, {"root:wheel", -ESRCH}};
    const struct users_text none = {NULL, 0};

    for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++) {
        struct users_who who;

        if (users_find((struct users_text){without[i].text, strlen(without[i].text)}, none, none, &who) !=
            without[i].result)
            fail_msg("'%s' without files", without[i].text);
    }
}

static void test_nul(void **state)
{
    struct users_who who;

    assert_int_equal(users_find(TEXT("ann\0x"), sized(passwd), sized(group), &who), -EINVAL);
    assert_int_equal(users_find(TEXT("0\0"), sized(passwd), sized(group), &who), -EINVAL);
    /* A line with a NUL is no line. */
    assert_int_equal(users_find(TEXT("bob"), TEXT("bob\0:x:0:0::/:\nbob:x:5:5\0::/:\n"), sized(group), &who), -ENOENT);
}

static void test_groups(void **state)
{
    uint32_t list[8];

    assert_int_equal(users_groups(TEXT("ann"), sized(group), 1001, list, 8), 4);
    assert_int_equal(list[0], 10);
    assert_int_equal(list[1], 50); /* once */
    assert_int_equal(list[2], 0);
    assert_int_equal(list[3], 80);
    assert_int_equal(users_groups(TEXT("root"), sized(group), 0, list, 8), 1);
    assert_int_equal(users_groups(TEXT("nosuch"), sized(group), 0, list, 8), 0);
    assert_int_equal(users_groups(TEXT(""), sized(group), 0, list, 8), 0);
    assert_int_equal(users_groups(TEXT("ann"), sized(group), 1001, list, 3), -E2BIG);
}

/* A line of a megabyte is a line. */
static void test_long_line(void **state)
{
    static char file[1 << 20];
    struct users_who who;
    int n = snprintf(file, sizeof(file), "long:x:5:6:");

    memset(file + n, 'a', sizeof(file) - (size_t)n);
    static const char tail[] = ":/home/long:/bin/sh\nann:x:7:8::/:\n";
    memcpy(file + sizeof(file) - sizeof(tail), tail, sizeof(tail));
    assert_int_equal(users_find(TEXT("long"), (struct users_text){file, sizeof(file) - 1}, sized(group), &who), 0);
    assert_int_equal(who.gid, 6);
    assert_int_equal(who.home.size, strlen("/home/long"));
    assert_int_equal(users_find(TEXT("ann"), (struct users_text){file, sizeof(file) - 1}, sized(group), &who), 0);
    assert_int_equal(who.uid, 7);
}

static void test_path(void **state)
{
    assert_non_null(strstr(users_path(0), "/sbin"));
    assert_null(strstr(users_path(1), "/sbin"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),   cmocka_unit_test(test_without_files), cmocka_unit_test(test_nul),
        cmocka_unit_test(test_groups), cmocka_unit_test(test_long_line),     cmocka_unit_test(test_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
