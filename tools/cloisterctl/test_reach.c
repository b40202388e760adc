/* SPDX-License-Identifier: Apache-2.0 */
/* test_reach.c - which directories count as closed to other users. Needs root, because ownership is part of the answer.
 */
#include "core/util/check.h"
#include "reach.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_modes(void **state)
{
    static const struct {
        const char *name;
        mode_t outer, inner;
        uid_t outer_owner;
        uint32_t want;
    } cases[] = {
        {"both open", 0755, 0755, 0, CLOISTER_DENIED},
        {"only the directory itself closed: its container can open it", 0755, 0700, 0, CLOISTER_DENIED},
        {"outer closed", 0700, 0755, 0, CLOISTER_OK},
        {"group may search", 0750, 0755, 0, CLOISTER_DENIED},
        {"others read only", 0744, 0755, 0, CLOISTER_OK},
        {"closed by another user", 0700, 0755, 1000, CLOISTER_DENIED},
        {"others search only", 0711, 0711, 0, CLOISTER_DENIED},
    };
    char base[] = "/tmp/test_reach.XXXXXX", outer[64], inner[64];

    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(base));
    assert_int_equal(chmod(base, 0755), 0);
    (void)snprintf(outer, sizeof(outer), "%s/outer", base);
    (void)snprintf(inner, sizeof(inner), "%s/outer/inner", base);
    assert_int_equal(mkdir(outer, 0700), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        assert_int_equal(chmod(outer, cases[i].outer), 0);
        assert_int_equal(chmod(inner, cases[i].inner), 0);
        assert_int_equal(chown(outer, cases[i].outer_owner, 0), 0);
        int result = ctl_reach_check(inner, &err);
        CL_CHECK_INT(cases[i].name, err.code, cases[i].want);
        CL_CHECK_INT(cases[i].name, result == 0, cases[i].want == CLOISTER_OK);
    }
    (void)rmdir(inner);
    (void)rmdir(outer);
    (void)rmdir(base);
}

static void test_strange_paths(void **state)
{
    static const char *const paths[] = {"relative", "", "/nonexistent/x", "/etc/passwd", "/etc/passwd/x"};

    for (size_t i = 0; i < CL_COUNT(paths); i++)
        CL_CHECK(paths[i], ctl_reach_check(paths[i], NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modes), cmocka_unit_test(test_strange_paths)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
