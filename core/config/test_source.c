/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"

static char dir[64];
static char path[128];

static void put(const char *leaf, mode_t mode, const char *text)
{
    char name[192];
    (void)snprintf(name, sizeof(name), "%s/%s", dir, leaf);
    CL_CLOSE int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(cl_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void make_dir(const char *leaf, mode_t mode)
{
    char name[192];
    (void)snprintf(name, sizeof(name), "%s/%s", dir, leaf);
    assert_int_equal(mkdir(name, 0700), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static int set_up(void **state)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/cl-test-source-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/c.conf", dir);
    return 0;
}

/* The tests make files and directories of these names only. */
static int tear_down(void **state)
{
    static const char *const leaves[] = {"c.conf.d/10-a.conf",
                                         "c.conf.d/9-b.conf",
                                         "c.conf.d/ignored",
                                         "c.conf.d/.x.conf",
                                         "c.conf.d/x.conf",
                                         "c.conf.d",
                                         "c.conf"};
    for (size_t i = 0; i < CL_COUNT(leaves); i++) {
        char name[192];
        (void)snprintf(name, sizeof(name), "%s/%s", dir, leaves[i]);
        if (remove(name) < 0 && errno != ENOENT)
            return -1;
    }
    return rmdir(dir);
}

/* The sentence with the directory's name cut out, "" for success. */
static const char *load(struct cl_config **ret)
{
    static char sentence[1024];
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (cl_config_load(path, ret, &err) == 0)
        return "";
    (void)cl_error_sentence(&err, sentence, sizeof(sentence));
    for (char *at; (at = strstr(sentence, dir));)
        memmove(at, at + strlen(dir), strlen(at + strlen(dir)) + 1);
    return sentence;
}

static void check_fails(const char *name, const char *want)
{
    struct cl_config *config = NULL;
    CL_CHECK_STR(name, load(&config), want);
    CL_CHECK(name, config == NULL);
}

static void dropins_are_merged_in_name_order(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    put("c.conf", 0644,
        "{ \"log\": { \"level\": \"warn\", \"timestamps\": true }, \"plugin_path\": [ \"/a\", \"/b\" ],\n"
        "\"isolation\": { \"main\": { \"plugin\": \"x\", \"k\": 1 } } }");
    make_dir("c.conf.d", 0755);
    put("c.conf.d/9-b.conf", 0600,
        "{ \"log\": { \"level\": \"debug\" }, \"isolation\": { \"two\": { \"plugin\": \"y\" } } }");
    put("c.conf.d/10-a.conf", 0600, "{ \"log\": { \"level\": \"error\" }, \"plugin_path\": [ \"/c\" ] }");
    put("c.conf.d/ignored", 0666, "nonsense");
    put("c.conf.d/.x.conf", 0666, "nonsense");
    assert_string_equal(load(&config), "");
    assert_int_equal(config->log_level, CL_LOG_DEBUG); /* "10" sorts before "9": by bytes */
    assert_true(config->log_timestamps);
    assert_string_equal(config->plugin_path[0], "/c");
    assert_null(config->plugin_path[1]);
    assert_int_equal(config->isolation_count, 2);
}

static void errors_name_the_file_they_come_from(void **state)
{
    put("c.conf", 0600, "{ \"log\": { \"level\": \"warn\" }, \"plugin_path\": [] }");
    make_dir("c.conf.d", 0755);
    put("c.conf.d/x.conf", 0600, "{\n \"log\": { \"level\": 7 } }");
    check_fails("wrong type",
                "/c.conf.d/x.conf:2:20: key 'log.level': expected error, warn, info or debug, not a number");
    put("c.conf.d/x.conf", 0600, "{\n \"log\": 7 }");
    check_fails("object replaced", "/c.conf.d/x.conf:2:9: key 'log': expected an object, not a number");
    put("c.conf.d/x.conf", 0600, "{\n \"lgo\": 7 }");
    check_fails("unknown key", "/c.conf.d/x.conf:2:2: key 'lgo': unknown key; did you mean 'log'?");
    put("c.conf.d/x.conf", 0600, "{\n");
    check_fails("syntax", "/c.conf.d/x.conf:2:1: expected a string key");
    put("c.conf.d/x.conf", 0600, "[]");
    check_fails("no object", "/c.conf.d/x.conf:1:1: expected an object, not an array");
    put("c.conf.d/x.conf", 0622, "{}");
    check_fails("mode", "'/c.conf.d/x.conf' has mode 0622; only its owner may have write permission (chmod go-w)");
}

static void only_root_writes_the_config(void **state)
{
    check_fails("absent", "open '/c.conf': No such file or directory");
    make_dir("c.conf", 0700);
    check_fails("directory", "'/c.conf' is not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_fails("fifo", "'/c.conf' is not a regular file");
    assert_int_equal(unlink(path), 0);
    put("c.conf", 0660, "{}");
    check_fails("group", "'/c.conf' has mode 0660; only its owner may have write permission (chmod go-w)");
    put("c.conf", 0602, "{}");
    check_fails("others", "'/c.conf' has mode 0602; only its owner may have write permission (chmod go-w)");
    put("c.conf", 0644, "{}");
    make_dir("c.conf.d", 0777);
    check_fails("drop-ins", "'/c.conf.d' has mode 0777; only its owner may have write permission (chmod go-w)");
    if (geteuid() != 0)
        skip(); /* giving a file away takes root */
    assert_int_equal(chown(path, 1234, 0), 0);
    check_fails("owner",
                "'/c.conf' belongs to uid 1234; it must belong to root, because whoever writes it commands the daemon");
}

static void files_are_bounded(void **state)
{
    CL_FREE char *big = cl_malloc(1024 * 1024 + 2);
    memset(big, ' ', 1024 * 1024 + 1);
    big[1024 * 1024 + 1] = 0;
    put("c.conf", 0600, big);
    check_fails("big", "'/c.conf' is longer than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dropins_are_merged_in_name_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_name_the_file_they_come_from, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_root_writes_the_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
