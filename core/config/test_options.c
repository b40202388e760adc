/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"

static const struct cloister_option table[] = {
    {"root", CLOISTER_OPTION_STRING, 0, 1, 8, "/cl", "help", {0}},
    {"count", CLOISTER_OPTION_U64, 0, 1, 65536, "16", "help", {0}},
    {"fast", CLOISTER_OPTION_BOOL, 0, 0, 0, NULL, "help", {0}},
    {"ids", CLOISTER_OPTION_JSON, 0, 0, 0, "{ \"first\": 1 }", "help", {0}},
    {"token", CLOISTER_OPTION_STRING, CLOISTER_OPTION_REQUIRED | CLOISTER_OPTION_SECRET, 0, 0, NULL, "help", {0}},
    {"big", CLOISTER_OPTION_U64, 0, 0, 0, NULL, "help", {0}},
};

static struct cl_config *config_with(const char *options)
{
    struct cl_config *config = NULL;
    CL_FREE char *text = cl_asprintf("{\n\"isolation\": { \"main\": { \"plugin\": \"x\"%s } } }", options);
    CL_CHECK_INT(options, cl_config_parse("f", cl_sv_cstr(text), &config, NULL), 0);
    return config;
}

static void good_options(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = config_with(", \"root\": \"/r\", \"fast\": true, \"ids\": { \"a\": [ "
                                                             "1 ] }, \"token\": \"\", \"big\": 18446744073709551615");
    CL_FREE struct cloister_option_value *values = NULL;
    assert_int_equal(cl_config_check_options(&config->isolation[0], table, CL_COUNT(table), &values, NULL), 0);
    assert_true(cl_sv_is(values[0].text, "/r"));
    assert_int_equal(values[1].set, 1);
    assert_int_equal(values[1].number, 16);
    assert_int_equal(values[1].type, CLOISTER_OPTION_U64);
    assert_int_equal(values[2].number, 1);
    assert_true(cl_sv_is(values[3].text, "{\"a\":[1]}"));
    assert_int_equal(values[4].set, 1);
    assert_int_equal(values[4].text.size, 0);
    assert_true(values[5].number == UINT64_MAX);
}

static void defaults_and_absent_ones(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = config_with(", \"token\": \"t\"");
    for (int round = 0; round < 2; round++) { /* asking twice gives the same */
        CL_FREE struct cloister_option_value *values = NULL;
        assert_int_equal(cl_config_check_options(&config->isolation[0], table, CL_COUNT(table), &values, NULL), 0);
        assert_true(cl_sv_is(values[0].text, "/cl"));
        assert_int_equal(values[1].number, 16);
        assert_int_equal(values[2].set, 0);
        assert_int_equal(values[2].type, CLOISTER_OPTION_BOOL);
        assert_true(cl_sv_is(values[3].text, "{\"first\":1}"));
        assert_int_equal(values[5].set, 0);
    }
}

static void bad_options_are_refused(void **state)
{
    static const struct {
        const char *options, *sentence;
    } cases[] = {
        {"", "f:2:24: key 'isolation.main': the required key 'token' is missing"},
        {",\n\"toke\": \"t\"", "f:3:1: key 'isolation.main.toke': unknown key; did you mean 'token'?"},
        {",\n\"optinal\": true", "f:3:1: key 'isolation.main.optinal': unknown key; did you mean 'optional'?"},
        {",\n\"token\": 7", "f:3:10: key 'isolation.main.token': expected a string, not a number"},
        {",\n\"root\": \"\"", "f:3:9: key 'isolation.main.root': expected 1 to 8 bytes, not 0"},
        {",\n\"root\": \"123456789\"", "f:3:9: key 'isolation.main.root': expected 1 to 8 bytes, not 9"},
        {",\n\"count\": 0", "f:3:10: key 'isolation.main.count': expected a whole number from 1 to 65536"},
        {",\n\"count\": 65537", "f:3:10: key 'isolation.main.count': expected a whole number from 1 to 65536"},
        {",\n\"count\": -1", "f:3:10: key 'isolation.main.count': expected a whole number from 1 to 65536"},
        {",\n\"count\": 1.0", "f:3:10: key 'isolation.main.count': expected a whole number from 1 to 65536"},
        {",\n\"count\": \"1\"",
         "f:3:10: key 'isolation.main.count': expected a whole number from 1 to 65536, not a string"},
        {",\n\"fast\": 1", "f:3:9: key 'isolation.main.fast': expected true or false, not a number"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_CONFIG_CLEANUP struct cl_config *config = config_with(cases[i].options);
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cloister_option_value *values = NULL;
        char sentence[512];
        CL_CHECK_INT(cases[i].options,
                     cl_config_check_options(&config->isolation[0], table, CL_COUNT(table), &values, &err), -EINVAL);
        CL_CHECK(cases[i].options, values == NULL);
        (void)cl_error_sentence(&err, sentence, sizeof(sentence));
        CL_CHECK_STR(cases[i].options, sentence, cases[i].sentence);
    }
}

static void a_plugins_own_mistakes(void **state)
{
    static const struct {
        const char *name;
        struct cloister_option option;
        const char *sentence;
    } cases[] = {
        {"no JSON",
         {"k", CLOISTER_OPTION_U64, 0, 0, 0, "0x1", "", {0}},
         "f:2:24: key 'isolation.main.k': the plugin's own default for this is not JSON"},
        {"out of its range",
         {"k", CLOISTER_OPTION_U64, 0, 5, 6, "1", "", {0}},
         "default: key 'isolation.main.k': expected a whole number from 5 to 6"},
        {"unknown type",
         {"k", 77, 0, 0, 0, "1", "", {0}},
         "default: key 'isolation.main.k': the plugin declares this option with an unknown type, 77"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_CONFIG_CLEANUP struct cl_config *config = config_with("");
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cloister_option_value *values = NULL;
        char sentence[512];
        CL_CHECK(cases[i].name, cl_config_check_options(&config->isolation[0], &cases[i].option, 1, &values, &err) < 0);
        (void)cl_error_sentence(&err, sentence, sizeof(sentence));
        CL_CHECK_STR(cases[i].name, sentence, cases[i].sentence);
    }
}

static void a_mere_name_gets_defaults(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    CL_FREE struct cloister_option_value *values = NULL;
    static const char text[] = "{ \"persistence\": { \"m\": { \"plugin\": \"x\", \"wrap\": [ \"delay\" ] } } }";
    assert_int_equal(cl_config_parse("f", cl_sv_cstr(text), &config, NULL), 0);
    assert_int_equal(cl_config_check_options(&config->persistence[0].wrap[0], table, 2, &values, NULL), 0);
    assert_int_equal(values[1].number, 16);
}

/* What is found out about a plugin later is told with the place where it is named. */
static void late_errors_have_the_entrys_place(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = config_with(", \"wrap\": [\n  \"delay\" ]");
    static const struct {
        const char *name, *sentence;
        unsigned line, column;
    } cases[] = {{"entry", "f:2:36: key 'isolation.main.plugin': broken", 2, 36},
                 {"mere name", "f:3:3: key 'isolation.main.wrap[0]': broken", 3, 3}};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        char sentence[256];
        (void)cl_error_set(&err, CLOISTER_INVALID, 0, "", "", "broken");
        cl_config_wrap_entry(i == 0 ? &config->isolation[0] : &config->isolation[0].wrap[0], &err);
        (void)cl_error_sentence(&err, sentence, sizeof(sentence));
        CL_CHECK_STR(cases[i].name, sentence, cases[i].sentence);
        CL_CHECK_INT(cases[i].name, err.line, cases[i].line);
        CL_CHECK_INT(cases[i].name, err.column, cases[i].column);
    }
}

static char *dumped(const struct cl_config *config)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_int_equal(cl_config_dump(config, file), 0);
    assert_int_equal(fclose(file), 0);
    return text;
}

static const char dump_want[] = "isolation.main.plugin=\"x\"\t# f:2\n"
                                "isolation.main.token=(secret)\t# f:2\n"
                                "isolation.main.wrap=[\"w\"]\t# f:2\n"
                                "isolation.main.root=\"/cl\"\t# default\n"
                                "isolation.main.count=16\t# default\n"
                                "isolation.main.ids={\"first\":1}\t# default\n"
                                "run_dir=\"/run/cloister/default\"\t# default\n"
                                "state_dir=\"/var/lib/cloister/default\"\t# default\n"
                                "instance=\"default\"\t# default\n";

static void dump_shows_origins_and_no_secrets(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = config_with(", \"token\": \"hush\", \"wrap\": [ \"w\" ]");
    CL_FREE char *before = dumped(config);
    assert_non_null(strstr(before, "isolation.main.token=(not checked)\t# f:2\n"));
    assert_null(strstr(before, "hush"));
    CL_FREE struct cloister_option_value *values = NULL;
    assert_int_equal(cl_config_check_options(&config->isolation[0], table, CL_COUNT(table), &values, NULL), 0);
    CL_FREE char *after = dumped(config);
    after[strlen(dump_want)] = 0; /* behind it are paths of this build */
    assert_string_equal(after, dump_want);
    CL_FREE char *again = dumped(config);
    assert_non_null(strstr(
        again, "\nlog.level=\"info\"\t# default\nlog.timestamps=false\t# default\non_sigterm=\"leave\"\t# default\n"
               "stop_grace_ms=10000\t# default\ndrain_ms=60000\t# default\nrecover_ms=5000\t# default\n"
               "orphans=\"remove\"\t# default\npersistence={}\t# default\n"));
    assert_non_null(strstr(again, "\nservices=[]\t# default\n"));
}

static void dump_walks_lists(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    static const char text[] =
        "{ \"isolation\": { \"m\": { \"plugin\": \"x\" } }, \"persistence\": { \"m\": { \"plugin\": \"x\" } },\n "
        "\"services\": [\n"
        " { \"name\": \"a\", \"personality\": { \"plugin\": \"p\" }, \"isolation\": \"m\", \"persistence\": \"m\",\n"
        "   \"listen\": [ { \"transports\": [ \"t\", { \"plugin\": \"u\" } ], \"address\": \"unix:/a\" } ] } ] }";
    assert_int_equal(cl_config_parse("f", cl_sv_cstr(text), &config, NULL), 0);
    CL_FREE char *out = dumped(config);
    static const char *const want[] = {
        "\nservices[0].name=\"a\"\t# f:3\n",
        "\nservices[0].listen[0].transports[0]=\"t\"\t# f:4\nservices[0].listen[0].transports[1].plugin=\"u\"\t# f:4\n",
        "\nservices[0].listen[0].address=\"unix:/a\"\t# f:4\n",
        "\nservices[0].listen[0].mode=\"0660\"\t# default\n",
        "\nservices[0].grant.see=[]\t# default\n",
    };
    for (size_t i = 0; i < CL_COUNT(want); i++)
        CL_CHECK(want[i], strstr(out, want[i]) != NULL);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_true(cl_config_dump(config, full) < 0);
    (void)fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_options),
        cmocka_unit_test(defaults_and_absent_ones),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_plugins_own_mistakes),
        cmocka_unit_test(a_mere_name_gets_defaults),
        cmocka_unit_test(late_errors_have_the_entrys_place),
        cmocka_unit_test(dump_shows_origins_and_no_secrets),
        cmocka_unit_test(dump_walks_lists),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
