/* SPDX-License-Identifier: Apache-2.0 */
/* test_spec.c - what `create` is asked for, from flags and from bundles. */
#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char profile_text[] =
    "{\"ociVersion\":\"1.1.0\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"noNewPrivileges\":true},"
    "\"mounts\":[{\"destination\":\"/"
    "proc\",\"type\":\"proc\"}],\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"user\"}]}}";

static char base[] = "/tmp/test_spec.XXXXXX";
static char profile_path[64], config_path[64], root_path[64];

static int set_up(void **state)
{
    if (!mkdtemp(base))
        return -1;
    (void)snprintf(profile_path, sizeof(profile_path), "%s/profile.json", base);
    (void)snprintf(config_path, sizeof(config_path), "%s/config.json", base);
    (void)snprintf(root_path, sizeof(root_path), "%s/rootfs", base);
    FILE *file = fopen(profile_path, "we");
    if (!file || fputs(profile_text, file) < 0 || fclose(file) != 0)
        return -1;
    return mkdir(root_path, 0755);
}

static int tear_down(void **state)
{
    (void)unlink(profile_path);
    (void)unlink(config_path);
    (void)rmdir(root_path);
    return rmdir(base);
}

/* "a.b.1" looked up and printed; "" if it is not there. */
static const char *at(const cloister_value *value, const char *path, char **ret_text)
{
    char copy[128], *rest = copy;
    size_t size;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *word; (word = strsep(&rest, "/")) != NULL;)
        value = cl_value_type(value) == CLOISTER_VALUE_ARRAY ? cl_value_at(value, (size_t)atoi(word))
                                                             : cl_value_get_cstr(value, word);
    free(*ret_text);
    *ret_text = NULL;
    return value && cl_value_print(value, false, ret_text, &size) == 0 ? *ret_text : "";
}

static char word_sh[] = "sh", word_c[] = "-c", word_exit[] = "exit 7";
static char *const command[] = {word_sh, word_c, word_exit, NULL};

static void test_flags(void **state)
{
    static const char *const env[] = {"A=1", "CTL_TEST_UNSET", "PATH=/x", "CTL_TEST_SET"};
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"name", "\"web\""},
        {"spec/process/args", "[\"sh\",\"-c\",\"exit 7\"]"},
        {"spec/process/user", "{\"uid\":5,\"gid\":6}"},
        {"spec/process/cwd", "\"/tmp\""},
        {"spec/process/env", "[\"HOME=/\",\"A=1\",\"PATH=/x\",\"CTL_TEST_SET=yes\"]"},
        {"spec/process/noNewPrivileges", "true"},
        {"spec/linux/resources/memory/limit", "67108864"},
        {"spec/linux/resources/cpu", "{\"quota\":50000,\"period\":100000}"},
        {"spec/linux/resources/pids/limit", "20"},
        {"spec/mounts/1/destination", "\"/t\""},
        {"spec/mounts/2/destination", "\"/u\""},
        {"spec/hostname", "\"web\""},
        {"spec/root", ""},
        {"rootfs/writable", "false"},
        {"rootfs/idmap", "true"},
        {"labels/cloisterctl.process",
         "\"{\\\"user\\\":{\\\"uid\\\":5,\\\"gid\\\":6},\\\"cwd\\\":\\\"/tmp\\\",\\\"noNewPrivileges\\\":true}\""},
    };
    struct ctl_run_options options = {
        .rootfs = root_path,
        .profile = profile_path,
        .name = "web",
        .resources = {.memory = "64m", .cpus = "0.5", .pids = "20"},
        .process = {.command = command, .user = "5:6", .workdir = "/tmp", .env = env, .env_count = CL_COUNT(env)}};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *params = NULL;
    CL_VALUE_CLEANUP cloister_value *mounts = NULL;
    CL_FREE char *text = NULL;

    assert_int_equal(
        cl_value_parse(CLOISTER_SV("[{\"destination\":\"/t\"},{\"destination\":\"/u\"}]"), NULL, &mounts, NULL, &err),
        0);
    options.mounts = mounts;
    (void)setenv("CTL_TEST_SET", "yes", 1);
    assert_int_equal(ctl_spec_create_params(&options, &params, &err), 0);
    for (size_t i = 0; i < CL_COUNT(cases); i++)
        CL_CHECK_STR(cases[i].path, at(params, cases[i].path, &text), cases[i].want);
}

static void test_refusals(void **state)
{
    static const char *const bad_env[] = {"=x"};
    static const char *const bad_layers[] = {"/nonexistent"};
    const struct {
        const char *name;
        struct ctl_run_options options;
        uint32_t want;
    } cases[] = {
        {"no such root", {.rootfs = "/nonexistent"}, CLOISTER_NO_ENTITY},
        {"no such profile", {.rootfs = root_path, .profile = "/nonexistent"}, CLOISTER_NO_ENTITY},
        {"memory", {.rootfs = root_path, .profile = profile_path, .resources = {.memory = "x"}}, CLOISTER_INVALID},
        {"user", {.rootfs = root_path, .profile = profile_path, .process = {.user = "-1"}}, CLOISTER_INVALID},
        {"relative workdir",
         {.rootfs = root_path, .profile = profile_path, .process = {.workdir = "tmp"}},
         CLOISTER_INVALID},
        {"env",
         {.rootfs = root_path, .profile = profile_path, .process = {.env = bad_env, .env_count = 1}},
         CLOISTER_INVALID},
        {"no such layer", {.layers = bad_layers, .layer_count = 1}, CLOISTER_NO_ENTITY},
        {"writable and reachable",
         {.rootfs = "/usr/share", .profile = profile_path, .writable = true},
         CLOISTER_DENIED},
        {"no bundle", {.bundle = "/nonexistent"}, CLOISTER_NO_ENTITY},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        cloister_value *params = NULL;
        CL_CHECK(cases[i].name, ctl_spec_create_params(&cases[i].options, &params, &err) < 0);
        CL_CHECK_INT(cases[i].name, err.code, cases[i].want);
        CL_CHECK(cases[i].name, params == NULL);
    }
}

/* Names are for the container to know: no numbers go along, and exec is told the same name. */
static void test_names(void **state)
{
    static const struct {
        const char *user, *path, *want;
    } cases[] = {
        {"web", "user", "\"web\""},
        {"web", "resolve", "{\"groups\":true,\"env\":true}"},
        {"web", "spec/process/user", "{}"},
        {"web", "spec/process/env", "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]"},
        {"web", "labels/cloisterctl.user", "\"web\""},
        {"7", "user", ""},
        {"7", "resolve", ""},
        {"7", "spec/process/user", "{\"uid\":7,\"gid\":0}"},
        {"7", "labels/cloisterctl.user", ""},
        {"7:staff", "user", "\"7:staff\""},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        const struct ctl_run_options options = {
            .rootfs = root_path, .profile = profile_path, .process = {.command = command, .user = cases[i].user}};
        CL_VALUE_CLEANUP cloister_value *params = NULL;
        CL_FREE char *text = NULL;
        CL_CHECK_INT(cases[i].path, ctl_spec_create_params(&options, &params, NULL), 0);
        CL_CHECK_STR(cases[i].path, at(params, cases[i].path, &text), cases[i].want);
    }
}

static void test_layers(void **state)
{
    const char *const layers[] = {root_path, base};
    const struct ctl_run_options options = {.layers = layers,
                                            .layer_count = 2,
                                            .writable = true, /* although everybody may reach them */
                                            .profile = profile_path,
                                            .cgroup_parent = "a/b",
                                            .process = {.command = command}};
    CL_VALUE_CLEANUP cloister_value *params = NULL;
    CL_FREE char *text = NULL;
    char want[160];

    assert_int_equal(ctl_spec_create_params(&options, &params, NULL), 0);
    (void)snprintf(want, sizeof(want), "{\"layers\":[\"%s\",\"%s\"],\"writable\":true,\"idmap\":true}", root_path,
                   base);
    CL_CHECK_STR("layers", at(params, "rootfs", &text), want);
    CL_CHECK_STR("layers", at(params, "cgroup_parent", &text), "\"a/b\"");
}

/* A process that is edited anew has a terminal only if it is asked for one now. */
static void test_terminal(void **state)
{
    struct ctl_process_options options = {.command = command, .terminal = true};
    CL_VALUE_CLEANUP cloister_value *process = cl_value_new_object();
    CL_FREE char *text = NULL;

    (void)setenv("TERM", "vt100", 1);
    assert_int_equal(ctl_process_edit(process, &options, NULL), 0);
    CL_CHECK_STR("a terminal", at(process, "terminal", &text), "true");
    CL_CHECK_STR("its kind", at(process, "env/2", &text), "\"TERM=vt100\"");
    options.terminal = false;
    assert_int_equal(ctl_process_edit(process, &options, NULL), 0);
    CL_CHECK_STR("none", at(process, "terminal", &text), "");
}

static void test_bundles(void **state)
{
    static const struct {
        const char *config;
        const char *rootfs; /* of the params, without the directory; NULL = refused */
        const char *args;
    } cases[] = {
        {"{\"process\":{\"args\":[\"a\"],\"env\":[\"S=1\"]},\"root\":{\"path\":\"rootfs\",\"readonly\":true}}", "false",
         "[\"a\"]"},
        {"{\"process\":{\"args\":[\"a\"]},\"root\":{\"path\":\"rootfs\"}}", "true", "[\"a\"]"},
        {"{\"process\":{\"args\":[\"a\"]},\"root\":{\"path\":\"rootfs\",\"odd\":1}}", NULL, NULL},
        {"{\"process\":{\"args\":[\"a\"]},\"root\":{\"path\":\"rootfs\",\"readonly\":\"no\"}}", NULL, NULL},
        {"{\"process\":{\"args\":[\"a\"]}}", NULL, NULL},
        {"{\"root\":{\"path\":\"rootfs\"}}", NULL, NULL},
        {"{\"process\":", NULL, NULL},
        {"[]", NULL, NULL},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct ctl_run_options options = {.bundle = base};
        CL_VALUE_CLEANUP cloister_value *params = NULL;
        CL_FREE char *text = NULL;
        FILE *file = fopen(config_path, "we");
        assert_non_null(file);
        assert_true(fputs(cases[i].config, file) >= 0);
        assert_int_equal(fclose(file), 0);
        int result = ctl_spec_create_params(&options, &params, NULL);
        CL_CHECK_INT(cases[i].config, result == 0, cases[i].rootfs != NULL);
        if (!cases[i].rootfs)
            continue;
        CL_CHECK_STR(cases[i].config, at(params, "rootfs/writable", &text), cases[i].rootfs);
        CL_CHECK_STR(cases[i].config, at(params, "rootfs/idmap", &text), "false");
        CL_CHECK_STR(cases[i].config, at(params, "spec/process/args", &text), cases[i].args);
        CL_CHECK_STR(cases[i].config, at(params, "spec/root", &text), "");
    }
}

static void test_stdio(void **state)
{
    static const struct {
        const char *name;
        struct ctl_run_options options;
        const char *stdio;
    } cases[] = {
        {"ours", {.fed = true}, ""},
        {"a terminal",
         {.process = {.terminal = true}},
         "[{\"kind\":\"pty\"},{\"kind\":\"pty\",\"policy\":\"block\"},{\"kind\":\"pty\"}]"},
        {"a captured terminal",
         {.process = {.terminal = true}, .captured = true, .log_window = "64k"},
         "[{\"kind\":\"pty\"},{\"kind\":\"pty\",\"policy\":\"drop\",\"window\":65536},{\"kind\":\"pty\"}]"},
        {"captured",
         {.captured = true},
         "[{\"kind\":\"null\"},{\"kind\":\"pipe\",\"policy\":\"drop\"},{\"kind\":\"pipe\",\"policy\":\"drop\"}]"},
        {"all of it",
         {.captured = true, .fed = true, .log_policy = "block", .log_window = "64k"},
         "[{\"kind\":\"pipe\"},{\"kind\":\"pipe\",\"policy\":\"block\",\"window\":65536},"
         "{\"kind\":\"pipe\",\"policy\":\"block\",\"window\":65536}]"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct ctl_run_options options = cases[i].options;
        CL_VALUE_CLEANUP cloister_value *params = NULL;
        CL_FREE char *text = NULL;
        options.rootfs = root_path;
        options.profile = profile_path;
        options.process.command = command;
        CL_CHECK_INT(cases[i].name, ctl_spec_create_params(&options, &params, NULL), 0);
        CL_CHECK_STR(cases[i].name, at(params, "stdio", &text), cases[i].stdio);
    }
}

int main(void)
{
    if (!freopen("/dev/null", "r", stdin)) /* no terminal, whoever runs this */
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stdio),   cmocka_unit_test(test_flags),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_layers),  cmocka_unit_test(test_terminal), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bundles),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
