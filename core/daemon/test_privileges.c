/* SPDX-License-Identifier: Apache-2.0 */
/* What has been given up cannot be had again, so each case looks at a child that has. */
#include "core/daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util/check.h"

static uint64_t status_of(const char *name)
{
    char line[256];
    uint64_t bits = UINT64_MAX;
    FILE *file = fopen("/proc/self/status", "re");

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            bits = strtoull(line + strlen(name) + 1, NULL, 16);
    if (file)
        (void)fclose(file);
    return bits;
}

static int sets_are_the_list(void)
{
    uint64_t before = status_of("CapPrm"), bounding = status_of("CapBnd");

    if (cl_privileges_drop(NULL) < 0)
        return 1;
    if (status_of("CapPrm") != (before & cl_privileges_kept()) || status_of("CapEff") != status_of("CapPrm"))
        return 2;
    return status_of("CapInh") || status_of("CapAmb") || status_of("CapBnd") != bounding ? 3 : 0;
}

static int node_cannot_be_made(void)
{
    if (cl_privileges_drop(NULL) < 0)
        return 1;
    return mknod("/tmp/cl-test-privileges", S_IFCHR | 0600, 0x103) == 0 || errno != EPERM ? 2 : 0;
}

static int once_more_changes_nothing(void)
{
    uint64_t once;

    if (cl_privileges_drop(NULL) < 0)
        return 1;
    once = status_of("CapEff");
    return cl_privileges_drop(NULL) < 0 || status_of("CapEff") != once ? 2 : 0;
}

static void test_drop(void **state)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"the sets are the list", sets_are_the_list},
        {"a device node cannot be made", node_cannot_be_made},
        {"once more changes nothing", once_more_changes_nothing},
    };
    int status;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(cases[i].run());
        assert_true(waitpid(pid, &status, 0) == pid);
        CL_CHECK_INT(cases[i].name, status, 0);
    }
    (void)unlink("/tmp/cl-test-privileges");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_drop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
