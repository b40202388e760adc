/* SPDX-License-Identifier: Apache-2.0 */
/* test_parse.c - the command line's small languages, good and bad, by table. */
#include "core/util/check.h"
#include "core/util/mem.h"
#include "parse.h"
#include <string.h>

struct number_case {
    const char *text;
    uint64_t want; /* 0 = refused */
};

static void check_numbers(int (*parse)(const char *, uint64_t *, struct cloister_error *),
                          const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        uint64_t got = 0;
        int result = parse(cases[i].text, &got, &err);
        CL_CHECK_INT(cases[i].text, result < 0, cases[i].want == 0);
        CL_CHECK_INT(cases[i].text, got, cases[i].want);
        CL_CHECK_INT(cases[i].text, err.code, cases[i].want ? CLOISTER_OK : CLOISTER_INVALID);
    }
}

static void test_sizes(void **state)
{
    static const struct number_case cases[] = {
        {"1", 1},           {"4096b", 4096},
        {"64m", 64u << 20}, {"2K", 2048},
        {"1g", 1u << 30},   {"8589934591g", 8589934591ull << 30},
        {"8589934592g", 0}, {"0", 0},
        {"0m", 0},          {"", 0},
        {"m", 0},           {"64mb", 0},
        {"64 m", 0},        {" 64m", 0},
        {"-1", 0},          {"1.5g", 0},
        {"64x", 0},         {"18446744073709551616", 0},
    };
    check_numbers(ctl_parse_size, cases, CL_COUNT(cases));
}

static void test_cpus(void **state)
{
    static const struct number_case cases[] = {
        {"0.5", 50000}, {"1", 100000},      {"2.25", 225000}, {"0.01", 1000},
        {"0.00999", 0}, {"0.12345", 12345}, {"0.123456", 0},  {"1024", 102400000},
        {"1024.1", 0},  {"1025", 0},        {"", 0},          {".5", 50000},
        {".", 0},       {".x", 0},          {".001", 0},      {"1.", 0},
        {"1.x", 0},     {"-1", 0},          {"1e1", 0},       {"99999999999999999999", 0},
    };
    check_numbers(ctl_parse_cpus, cases, CL_COUNT(cases));
}

static void test_counts(void **state)
{
    static const struct number_case cases[] = {
        {"1", 1}, {"2147483647", 2147483647}, {"2147483648", 0}, {"0", 0}, {"-1", 0}, {"", 0}, {"10 ", 0},
    };
    check_numbers(ctl_parse_count, cases, CL_COUNT(cases));
}

/* The table of H1.1.13. */
static void test_users(void **state)
{
    static const struct {
        const char *text;
        int works; /* 2 = as a name */
        uint32_t uid, gid;
    } cases[] = {
        {"0", 1, 0, 0},
        {"1000", 1, 1000, 0},
        {"1000:50", 1, 1000, 50},
        {"2147483647:2147483647", 1, 2147483647, 2147483647},
        {"-1", 0, 0, 0},
        {"4294967295", 0, 0, 0},
        {"4294967296", 0, 0, 0},
        {"2147483648", 0, 0, 0},
        {"0x0", 0, 0, 0},
        {" 1", 0, 0, 0},
        {"1 ", 0, 0, 0},
        {"1:", 0, 0, 0},
        {":1", 0, 0, 0},
        {"1:2:3", 0, 0, 0},
        {"root", 2, 0, 0},
        {"root:5", 2, 0, 0},
        {"5:staff", 2, 0, 0},
        {"_apt:www-data", 2, 0, 0},
        {"a.b-c_9", 2, 0, 0},
        {"5:", 0, 0, 0},
        {"root:", 0, 0, 0},
        {":root", 0, 0, 0},
        {"-root", 0, 0, 0},
        {"4294967296a", 0, 0, 0},
        {"ro ot", 0, 0, 0},
        {"root:4294967296", 0, 0, 0},
        {"a:b:c", 0, 0, 0},
        {"a/b", 0, 0, 0},
        {"", 0, 0, 0},
        {"+1", 0, 0, 0},
        {"1:-1", 0, 0, 0},
        {"1:4294967296", 0, 0, 0},
        {"1\n", 0, 0, 0},
        {"18446744073709551616", 0, 0, 0},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        uint32_t uid = 77, gid = 77;
        bool named = false;
        int result = ctl_parse_user(cases[i].text, &named, &uid, &gid, NULL);
        CL_CHECK_INT(cases[i].text, result == 0, cases[i].works != 0);
        CL_CHECK_INT(cases[i].text, named, cases[i].works == 2);
        CL_CHECK_INT(cases[i].text, uid, cases[i].works == 1 ? cases[i].uid : 77);
        CL_CHECK_INT(cases[i].text, gid, cases[i].works == 1 ? cases[i].gid : 77);
    }
}

static void test_signals(void **state)
{
    static const struct {
        const char *text;
        uint32_t want; /* 0 = refused */
    } cases[] = {
        {"9", 9}, {"KILL", 9}, {"SIGKILL", 9}, {"sigterm", 15}, {"usr1", 10}, {"64", 64}, {"SYS", 31},
        {"0", 0}, {"65", 0},   {"", 0},        {"SIG", 0},      {"SIG9", 0},  {"-9", 0},  {"KILLER", 0},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        uint32_t got = 0;
        (void)ctl_parse_signal(cases[i].text, &got, NULL);
        CL_CHECK_INT(cases[i].text, got, cases[i].want);
    }
    CL_CHECK_STR("name of 15", ctl_signal_name(15), "TERM");
    CL_CHECK("name of 64", ctl_signal_name(64) == NULL);
}

static void test_mounts(void **state)
{
    static const struct {
        const char *text;
        const char *json; /* NULL = refused */
    } cases[] = {
        {"type=bind,src=/a,dst=/b",
         "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\",\"options\":[\"rbind\"]}"},
        {"type=bind,source=/a,target=/b,ro",
         "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\",\"options\":[\"rbind\",\"rro\"]}"},
        {"type=bind,src=/a,dst=/b,readonly=false",
         "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\",\"options\":[\"rbind\"]}"},
        {"type=tmpfs,dst=/t,size=1m,mode=1777", "{\"destination\":\"/"
                                                "t\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\","
                                                "\"nodev\",\"size=1048576\",\"mode=1777\"]}"},
        {"", NULL},
        {"type=bind,src=/a", NULL},
        {"type=bind,dst=/b", NULL},
        {"type=bind,src=a,dst=/b", NULL},
        {"type=bind,src=/a,dst=b", NULL},
        {"type=bind,src=/a,dst=/b,size=1m", NULL},
        {"type=bind,src=/a,src=/c,dst=/b", NULL},
        {"type=bind,src=,dst=/b", NULL},
        {"type=bind,src=/a,dst=/b,bogus", NULL},
        {"type=bind,src=/a,dst=/b,ro=1", NULL},
        {"type=volume,src=/a,dst=/b", NULL},
        {"type=tmpfs,src=/a,dst=/b", NULL},
        {"type=tmpfs,dst=/b,mode=1888", NULL},
        {"type=tmpfs,dst=/b,mode=01777", NULL},
        {"type=tmpfs,dst=/b,size=big", NULL},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        CL_VALUE_CLEANUP cloister_value *mount = NULL;
        CL_FREE char *text = NULL;
        size_t size;
        int result = ctl_parse_mount(cases[i].text, &mount, &err);
        CL_CHECK_INT(cases[i].text, result == 0, cases[i].json != NULL);
        CL_CHECK_INT(cases[i].text, err.code, cases[i].json ? CLOISTER_OK : CLOISTER_INVALID);
        if (!cases[i].json)
            continue;
        CL_CHECK_INT(cases[i].text, cl_value_print(mount, false, &text, &size), 0);
        CL_CHECK_STR(cases[i].text, text, cases[i].json);
    }
}

static void test_volumes(void **state)
{
    static const struct {
        const char *text;
        const char *json; /* NULL = refused */
    } cases[] = {
        {"/a:/b", "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\",\"options\":[\"rbind\"]}"},
        {"/a:/b:rw", "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\",\"options\":[\"rbind\"]}"},
        {"/a,c:/b:ro",
         "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a,c\",\"options\":[\"rbind\",\"rro\"]}"},
        {"", NULL},
        {"/a", NULL},
        {"/a:", NULL},
        {":/b", NULL},
        {"name:/b", NULL},
        {"/a:b", NULL},
        {"/a:/b:", NULL},
        {"/a:/b:z", NULL},
        {"/a:/b:ro:ro", NULL},
        {"/a:/\xff", NULL},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        CL_VALUE_CLEANUP cloister_value *mount = NULL;
        CL_FREE char *text = NULL;
        size_t size;
        int result = ctl_parse_volume(cases[i].text, &mount, &err);
        CL_CHECK_INT(cases[i].text, result == 0, cases[i].json != NULL);
        CL_CHECK_INT(cases[i].text, err.code, cases[i].json ? CLOISTER_OK : CLOISTER_INVALID);
        if (!cases[i].json)
            continue;
        CL_CHECK_INT(cases[i].text, cl_value_print(mount, false, &text, &size), 0);
        CL_CHECK_STR(cases[i].text, text, cases[i].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_cpus),    cmocka_unit_test(test_counts),
        cmocka_unit_test(test_users),   cmocka_unit_test(test_signals), cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_volumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
