/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount that exists already can be made into, seen from inside. */
#include "common/keeper/test_bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

static int mount_tmpfs(const char *path, unsigned long flags)
{
    return mount("tmpfs", path, "tmpfs", flags, "mode=755");
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

/* A host directory with owners 0, 5 and 70000; `below` too has a tmpfs with a file of 5's. */
static int make_owned(char *ret_dir)
{
    static const uid_t owners[] = {0, 5, 70000};
    char path[96];

    strcpy(ret_dir, "/tmp/cl-keeper-owned-XXXXXX");
    assert_non_null(mkdtemp(ret_dir));
    assert_int_equal(mount_tmpfs(ret_dir, 0), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%d", ret_dir, i);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        assert_int_equal(chown(path, owners[i], owners[i]), 0);
    }
    snprintf(path, sizeof(path), "%s/in", ret_dir);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mount_tmpfs(path, 0), 0);
    snprintf(path, sizeof(path), "%s/in/1", ret_dir);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    assert_int_equal(chown(path, 5, 5), 0);
    return open_tree(AT_FDCWD, ret_dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static void remove_owned(const char *dir)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/in", dir);
    umount2(path, MNT_DETACH);
    umount2(dir, MNT_DETACH);
    rmdir(dir);
}

/* Maps of a mount's own: on disk 0..9 are seen as `outside`.. of the host. */
static void test_own_maps(void **state)
{
    static const struct {
        const char *name;
        unsigned int bed;
        uint32_t outside;
        uint32_t whole;
        const char *seen; /* owners of /data/0, 1, 2 and of /data/in/1 */
    } cases[] = {
        {"host users", BED_HOST_USER, 1000, CL_WIRE_MOUNT_IDMAP_WHOLE, "1000 1005 65534 1005 "},
        {"the mount alone", BED_HOST_USER, 1000, 0, "1000 1005 65534 5 "},
        {"in a user namespace", BED_USER_NAMESPACE, 300100, CL_WIRE_MOUNT_IDMAP_WHOLE, "100 105 65534 105 "},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_wire_map map = {0, cases[i].outside, 10};
        struct cl_wire_mount mount = {.kind = CL_WIRE_MOUNT_BIND, .flags = CL_WIRE_MOUNT_IDMAP | cases[i].whole};
        struct cl_wire_mount_map maps = {.uid_count = 1, .gid_count = 1};
        struct bed_plan plan;
        char dir[64], output[256];

        bed_plan_container(bed, &plan, cases[i].bed,
                           "for f in /data/0 /data/1 /data/2 /data/in/1; do echo -n \"$(stat -c %u $f) \"; done");
        mount.fd = bed_plan_fd(&plan, make_owned(dir));
        mount.target = cl_plan_cstring(&plan.plan, "/data");
        maps.mount = cl_plan_add(&plan.plan, CL_WIRE_MOUNTS, &mount);
        maps.uid_first = maps.gid_first = cl_plan_add(&plan.plan, CL_WIRE_MAPS, &map);
        cl_plan_add(&plan.plan, CL_WIRE_MOUNT_MAPS, &maps);
        assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
        remove_owned(dir);
        if (strcmp(output, cases[i].seen) != 0)
            fail_msg("%s: owners %s, not %s", cases[i].name, output, cases[i].seen);
    }
    assert_int_equal(bed_processes(bed), 0); /* nobody who lent a namespace is left */
}

/* What a bind has from the host stays, also where a user namespace would not let it go (H2.3.3). */
static void test_locked_flags(void **state)
{
    for (int user = 0; user < 2; user++) {
        struct cl_wire_mount mount = {.kind = CL_WIRE_MOUNT_BIND, .attr_set = MOUNT_ATTR_NOEXEC};
        char dir[] = "/tmp/cl-keeper-locked-XXXXXX", output[256];
        struct bed_plan plan;

        assert_non_null(mkdtemp(dir));
        assert_int_equal(mount_tmpfs(dir, MS_NOSUID | MS_NODEV | MS_RDONLY | MS_NOATIME), 0);
        bed_plan_container(bed, &plan, user ? BED_USER_NAMESPACE : BED_HOST_USER,
                           "grep ' /data ' /proc/self/mountinfo | cut -d' ' -f6");
        mount.fd = bed_plan_fd(&plan, open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
        mount.target = cl_plan_cstring(&plan.plan, "/data");
        cl_plan_add(&plan.plan, CL_WIRE_MOUNTS, &mount);
        assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
        umount2(dir, MNT_DETACH);
        rmdir(dir);
        assert_string_equal(output, "ro,nosuid,nodev,noexec,noatime\n");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change), cmocka_unit_test(test_change_back), cmocka_unit_test(test_no_mount_point),
        cmocka_unit_test(test_flags),  cmocka_unit_test(test_own_maps),    cmocka_unit_test(test_locked_flags),
    };

    program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
