/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount that exists already can be made into, seen from inside. */
#include "common/keeper/test_bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;
static struct bed *bed;

static int setup(void **state)
{
    bed = bed_open(program);
    return 0;
}

static int teardown(void **state)
{
    bed_close(bed);
    return 0;
}

static void add_change(struct bed_plan *plan, const char *target, uint64_t set, uint64_t clear, uint32_t flags)
{
    struct cl_wire_mount mount = {.kind = CL_WIRE_MOUNT_CHANGE,
                                  .flags = flags,
                                  .target = cl_plan_cstring(&plan->plan, target),
                                  .fd = CL_WIRE_NO_FD,
                                  .attr_set = set,
                                  .attr_clr = clear};

    cl_plan_add(&plan->plan, CL_WIRE_MOUNTS, &mount);
}

/* Two tmpfs, one on the other; then the first entry's tree or only itself changes. */
static void run(uint64_t set, uint64_t clear, uint32_t flags, const char *outer, const char *inner)
{
    struct bed_plan plan;
    char output[256], wanted[128];

    bed_plan_container(bed, &plan, BED_HOST_USER,
                       "for d in /data /data/in; do touch $d/x 2>/dev/null && echo rw || echo ro; done");
    bed_plan_fs(&plan, "tmpfs", "/data", 0);
    bed_plan_fs(&plan, "tmpfs", "/data/in", 0);
    add_change(&plan, "/data", set, clear, flags);
    assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
    snprintf(wanted, sizeof(wanted), "%s\n%s\n", outer, inner);
    assert_string_equal(output, wanted);
}

static void test_change(void **state)
{
    run(0, 0, 0, "rw", "rw");
    run(MOUNT_ATTR_RDONLY, 0, 0, "ro", "rw");
    run(MOUNT_ATTR_RDONLY, 0, CL_WIRE_MOUNT_RECURSIVE, "ro", "ro");
}

static void test_change_back(void **state)
{
    struct bed_plan plan;
    char output[256];

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "grep ' /data ' /proc/self/mountinfo | cut -d' ' -f6");
    bed_plan_fs(&plan, "tmpfs", "/data", MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID);
    add_change(&plan, "/data", MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, 0);
    assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
    assert_string_equal(output, "rw,nosuid,nodev,relatime\n");
}

/* Never a directory that merely lies in a mount: the change would be another one's. */
static void test_no_mount_point(void **state)
{
    struct bed_plan plan;
    struct cl_wire_answer answer;

    bed_plan_container(bed, &plan, BED_HOST_USER, "true");
    add_change(&plan, "/data", MOUNT_ATTR_RDONLY, 0, 0);
    answer = bed_create(bed, &plan, 9, 0, -1);
    assert_string_equal(answer.step, "mount");
    assert_string_equal(answer.detail, "'/data' is no mount point");
}

/* Flags of a file system are options without a value. */
static void test_flags(void **state)
{
    static const char *const flags[] = {"sync", "dirsync", "lazytime"};
    struct bed_plan plan;
    char output[256];

    for (int user = 0; user < 2; user++) {
        bed_plan_container(bed, &plan, user ? BED_USER_NAMESPACE : BED_HOST_USER,
                           "grep ' /data ' /proc/self/mountinfo | cut -d' ' -f10");
        bed_plan_fs(&plan, "tmpfs", "/data", 0);
        struct cl_wire_mount *mount =
            (void *)(plan.plan.section[CL_WIRE_MOUNTS].data + plan.plan.section[CL_WIRE_MOUNTS].size - sizeof(*mount));

        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
            struct cl_wire_option option = {.key = cl_plan_cstring(&plan.plan, flags[i])};

            cl_plan_add(&plan.plan, CL_WIRE_OPTIONS, &option);
        }
        mount->option_count += 3;
        assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
        if (strncmp(output, "rw,sync,dirsync,lazytime,", 25) != 0)
            fail_msg("user namespace %d: %s", user, output);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_change_back),
        cmocka_unit_test(test_no_mount_point),
        cmocka_unit_test(test_flags),
    };

    program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
