/* SPDX-License-Identifier: Apache-2.0 */
/* Whole configurations over tests/badplugins. argv[1]: where they were built. */
#include "core/inspect/check.h"

#include <string.h>

#include "core/error/error.h"
#include "core/loader/prefix.h"
#include "core/util/str.h"

static void fill(void *ctx, struct cl_instance *instance)
{
    fail_msg("a check must create nothing");
}

static const struct {
    const char *name;
    const char *personality;
    const char *listen;
    const char *isolation;
    const char *persistence;
    const char *sentence; /* NULL = content; from the last line of the config on, PREFIX is the prefix */
} cases[] = {
    {"plain", "{\"plugin\":\"good-personality\"}", "[\"good-transport\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\"}", NULL},
    {"push wanted and there", "{\"plugin\":\"needs-push\"}", "[\"pushes\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\"}", NULL},
    {"push wanted of each transport", "{\"plugin\":\"needs-push\"}", "[\"pushes\",\n\"good-transport\"]",
     "{\"plugin\":\"good-isolation\"}", "{\"plugin\":\"trace\"}",
     "t.conf:6:1: key 'services[0].listen[0].transports[1]': personality 'needs-push' of service 's' needs transport "
     "capability FDS, "
     "PUSH, which 'good-transport' does not provide; name another plugin here"},
    {"isolation lacks", "{\"plugin\":\"needs-freeze\"}", "[\"good-transport\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\"}",
     "t.conf:2:31: key 'isolation.main.plugin': personality 'needs-freeze' of service 's' needs isolation capability "
     "FREEZE, PTY, which "
     "'good-isolation' does not provide; name another plugin here"},
    {"bad option", "{\"plugin\":\"good-personality\"}", "[\"good-transport\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\",\"n\":10}", "t.conf:1:46: key 'persistence.main.n': expected a whole number from 1 to 9"},
    {"personality is none", "{\"plugin\":\"pushes\"}", "[\"good-transport\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\"}",
     "t.conf:4:25: key 'services[0].personality.plugin': plugin file 'PREFIX/pushes.so': it is a transport plugin, but "
     "a personality "
     "plugin is asked for; name another plugin there"},
    {"transport is not there", "{\"plugin\":\"good-personality\"}", "[\"nowhere\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\"}",
     "t.conf:5:46: key 'services[0].listen[0].transports[0]': plugin 'nowhere' was not found: there is no nowhere.so "
     "in PREFIX; install "
     "it or correct plugin_path"},
    {"optional transport beside another", "{\"plugin\":\"good-personality\"}",
     "[{\"plugin\":\"nowhere\",\"optional\":true},\"good-transport\"]", "{\"plugin\":\"good-isolation\"}",
     "{\"plugin\":\"trace\"}", NULL},
    {"no transport left", "{\"plugin\":\"good-personality\"}", "[{\"plugin\":\"nowhere\",\"optional\":true}]",
     "{\"plugin\":\"good-isolation\"}", "{\"plugin\":\"trace\"}",
     "t.conf:5:56: key 'services[0].listen[0].transports[0].plugin': service 's' needs this, but its optional plugin "
     "'nowhere' is not "
     "installed; install it or remove the service"},
    {"optional isolation under a service", "{\"plugin\":\"good-personality\"}", "[\"good-transport\"]",
     "{\"plugin\":\"nowhere\",\"optional\":true}", "{\"plugin\":\"trace\"}",
     "t.conf:2:31: key 'isolation.main.plugin': service 's' needs this, but its optional plugin 'nowhere' is not "
     "installed; install it "
     "or remove the service"},
    {"optional personality, nothing under it", "{\"plugin\":\"nowhere\",\"optional\":true}", "[\"good-transport\"]",
     "{\"plugin\":\"nowhere\",\"optional\":true}", "{\"plugin\":\"trace\"}", NULL},
};

static void check_case(size_t i)
{
    const char *name = cases[i].name, *want = cases[i].sentence;
    const char *const paths[] = {test_prefix, NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char got[CL_ERROR_SENTENCE_MAX];
    struct cl_config *config;
    struct cl_loader *loader;
    struct cl_registry *registry;
    struct cl_str text CL_STR_CLEANUP = CL_STR_INIT(4096), sentence CL_STR_CLEANUP = CL_STR_INIT(4096);
    cl_str_printf(
        &text,
        "{\"persistence\":{\"main\":%s},\n\"isolation\":{\"main\":%s},\n\"services\":[{\"name\":\"s\","
        "\n\"personality\":%s,\n"
        "\"listen\":[{\"address\":\"unix:/x\",\"transports\":%s}],\n\"isolation\":\"main\",\"persistence\":\"main\"}]}",
        cases[i].persistence, cases[i].isolation, cases[i].personality, cases[i].listen);
    if (cl_config_parse("t.conf", cl_str_view(&text), &config, &err) < 0)
        fail_msg("case '%s': %s", name, cl_error_innermost(&err));
    assert_int_equal(cl_loader_new(paths, &loader), 0);
    assert_int_equal(cl_registry_new(loader, fill, NULL, &registry), 0);
    int r = cl_check_config(config, registry, &err);
    cl_error_sentence(&err, got, sizeof(got));
    const char *at = want ? strstr(want, "PREFIX") : NULL;
    cl_str_printf(&sentence, "%.*s%s%s", at ? (int)(at - want) : (int)strlen(want ? want : ""), want ? want : "",
                  at ? test_prefix : "", at ? at + strlen("PREFIX") : "");
    if (want)
        CL_CHECK_STR(name, got, sentence.data);
    else if (r < 0)
        fail_msg("case '%s': %s", name, got);
    CL_CHECK_INT(name, r < 0, want != NULL);
    cl_registry_free(registry);
    cl_loader_free(loader);
    cl_config_free(config);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(cases); i++)
        check_case(i);
}

/* Listed helper programs are looked at like plugins: before anything is done. */
static void test_helpers(void **state)
{
    static const struct {
        const char *name, *list, *sentence; /* NULL = content */
    } programs[] = {
        {"none", "[]", NULL},
        {"one", "[\"/bin/true\"]", NULL},
        {"the second is not there", "[\"/bin/true\",\n\"/nonexistent\"]",
         "t.conf:2:1: key 'helpers[1]': find '/nonexistent': No such file or directory"},
    };
    const char *const paths[] = {test_prefix, NULL};
    for (size_t i = 0; i < CL_COUNT(programs); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_config *config;
        struct cl_loader *loader;
        struct cl_registry *registry;
        char text[128], got[CL_ERROR_SENTENCE_MAX];
        (void)snprintf(text, sizeof(text), "{\"helpers\":%s}", programs[i].list);
        assert_int_equal(cl_config_parse("t.conf", cl_sv_cstr(text), &config, &err), 0);
        assert_int_equal(cl_loader_new(paths, &loader), 0);
        assert_int_equal(cl_registry_new(loader, fill, NULL, &registry), 0);
        CL_CHECK_INT(programs[i].name, cl_check_config(config, registry, &err) < 0, programs[i].sentence != NULL);
        cl_error_sentence(&err, got, sizeof(got));
        if (programs[i].sentence)
            CL_CHECK_STR(programs[i].name, got, programs[i].sentence);
        cl_registry_free(registry);
        cl_loader_free(loader);
        cl_config_free(config);
    }
}

static int set_up(void **state)
{
    static const char *const plugins[] = {"trace",  "good-isolation", "good-personality", "good-transport",
                                          "pushes", "needs-push",     "needs-freeze"};
    (void)state;
    cl_log_set_level(CL_LOG_ERROR);
    if (test_prefix_make() < 0)
        return -1;
    for (size_t i = 0; i < CL_COUNT(plugins); i++) {
        char leaf[64];
        snprintf(leaf, sizeof(leaf), "%s.so", plugins[i]);
        test_install(plugins[i], test_prefix, leaf, 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return test_prefix_remove();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_helpers)};
    if (argc != 2 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: %s DIRECTORY-OF-BUILT-PLUGINS\n", argv[0]);
        return 2;
    }
    test_built = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
