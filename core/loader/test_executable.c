/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loader/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"

/* What is made below a fresh directory of root's: a shell command. */
static const struct {
    const char *name;
    const char *make;
    const char *leaf;
    const char *sentence; /* NULL: it is fine */
} cases[] = {
    {"plain", "cp /bin/true d/x", "d/x", NULL},
    {"link in the directory", "cp /bin/true d/y; ln -s y d/x", "d/x", NULL},
    {"link to elsewhere", "mkdir -m 0777 e; cp /bin/true e/y; ln -s ../e/y d/x", "d/x",
     "e/y' can be written by others"},
    {"absent", "true", "d/x", "No such file or directory"},
    {"below a file", "cp /bin/true d/x", "d/x/y", "Not a directory"},
    {"directory", "mkdir d/x", "d/x", "is not a regular file"},
    {"fifo", "mkfifo d/x; chmod 0755 d/x", "d/x", "is not a regular file"},
    {"not executable", "cp /bin/true d/x; chmod 0644 d/x", "d/x", "Permission denied"},
    {"somebody's", "cp /bin/true d/x; chown 4711 d/x", "d/x", "does not belong to root"},
    {"group may write", "cp /bin/true d/x; chmod 0775 d/x", "d/x",
     "can be written by others than root; run chmod go-w"},
    {"others may write", "cp /bin/true d/x; chmod 0757 d/x", "d/x",
     "can be written by others than root; run chmod go-w"},
    {"somebody's directory", "cp /bin/true d/x; chown 4711 d", "d/x", "does not belong to root"},
    {"directory of others", "cp /bin/true d/x; chmod 0777 d", "d/x", "can be written by others"},
    {"sticky directory", "cp /bin/true d/x; chmod 1777 d", "d/x", "can be written by others"},
    {"above: others", "mkdir d/e; cp /bin/true d/e/x; chmod 0777 d", "d/e/x", "can be written by others"},
    {"above: sticky", "mkdir d/e; cp /bin/true d/e/x; chmod 1777 d", "d/e/x", NULL},
};

static void a_program_is_looked_at(void **state)
{
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        char dir[] = "/tmp/cl-executable-XXXXXX", command[512], path[256], text[CL_ERROR_SENTENCE_MAX];
        struct cloister_error err = CLOISTER_ERROR_INIT;
        CL_FREE char *real = NULL;
        int fd = -1;
        assert_non_null(mkdtemp(dir));
        (void)snprintf(command, sizeof(command), "cd %s && umask 022 && mkdir d && { %s; }", dir, cases[i].make);
        CL_CHECK_INT(cases[i].name, system(command), 0);
        (void)snprintf(path, sizeof(path), "%s/%s", dir, cases[i].leaf);
        int result = cl_executable_open(path, &fd, &real, &err);
        cl_error_sentence(&err, text, sizeof(text));
        if ((result < 0) != (cases[i].sentence != NULL) || (result < 0 && !strstr(text, cases[i].sentence)))
            fail_msg("case '%s': %d, \"%s\"", cases[i].name, result, text);
        if (result == 0) {
            CL_CHECK(cases[i].name, fcntl(fd, F_GETFD) & FD_CLOEXEC && fcntl(fd, F_GETFL) & O_PATH);
            CL_CHECK(cases[i].name, strncmp(real, dir, strlen(dir)) == 0);
            close(fd);
        }
        (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
        assert_int_equal(system(command), 0);
    }
}

static void codes_tell_apart(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int fd;
    assert_true(cl_executable_open("/nonexistent/x", &fd, NULL, &err) < 0);
    assert_int_equal(err.code, CLOISTER_NO_EXECUTABLE);
    assert_true(cl_executable_open("/etc/passwd", &fd, NULL, &err) < 0);
    assert_int_equal(err.code, CLOISTER_NOT_EXECUTABLE);
    assert_true(cl_executable_open("bin/true", &fd, NULL, &err) < 0);
    assert_int_equal(err.code, CLOISTER_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_looked_at),
        cmocka_unit_test(codes_tell_apart),
    };
    if (geteuid() != 0) {
        print_message("this test needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
