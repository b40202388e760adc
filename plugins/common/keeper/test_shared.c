/* SPDX-License-Identifier: Apache-2.0 */
/* What a container shares with the host or with other containers, and may not change or reach through. */
#include "common/keeper/test_bed.h"

#include <fcntl.h>
#include <sched.h>
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

static int open_bed(void **state)
{
    *state = bed_open(program);
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

/* The keeper's nodes are every container's: as a mask, as a device, as standard input. One that owns them by its ids
 * may write to them, and change nothing about them. */
static void test_shared_nodes(void **state)
{
    static const char script[] =
        "for f in /proc/version /dev/null /dev/zero /proc/self/fd/0; do busybox chmod 0 $f 2>&- && echo chmod $f; "
        "busybox chown 5 $f 2>&- && echo chown $f; done; echo x > /proc/version && echo x > /dev/zero && echo written";
    struct bed *bed = *state;
    char path[64];
    char output[1024];
    struct stat before;
    struct stat after;

    snprintf(path, sizeof(path), "/proc/%d/root/dev/null", bed->pid);
    assert_int_equal(stat(path, &before), 0);
    for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
        struct bed_plan plan;

        bed_plan_container(bed, &plan, flags, script);
        plan.plan.head.flags &= ~CL_WIRE_PLAN_ROOT_IDMAP;
        for (uint32_t s = CL_WIRE_UID_MAP; flags && s <= CL_WIRE_GID_MAP; s++)
            ((struct cl_wire_map *)(void *)plan.plan.section[s].data)->outside = 0;
        cl_plan_add_string(&plan.plan, CL_WIRE_MASKED, "/proc/version", 13);
        bed_run_plan(bed, &plan, output, sizeof(output));
        /* Without a user namespace the two devices are the container's own. */
        assert_string_equal(output, flags ? "written\n"
                                          : "chmod /dev/null\nchown /dev/null\nchmod /dev/zero\nchown "
                                            "/dev/zero\nwritten\n");
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(after.st_uid, before.st_uid);
    }
}

/* Mounts of the test's own, that the machine does not see. */
static void own_mounts(void)
{
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static void test_readonly_tree(void **state)
{
    struct bed *bed = *state;
    char output[1024];
    char below[96];
    char made[96];

    own_mounts();
    snprintf(below, sizeof(below), "%s/data", bed->root);
    snprintf(made, sizeof(made), "%s/made", bed->root);
    assert_int_equal(mount("below", below, "tmpfs", 0, NULL), 0);
    for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
        rmdir(made);
        for (int readonly = 1; readonly >= 0; readonly--) { /* the writable one leaves its mount point in the root */
            struct bed_plan plan;

            bed_plan_container(bed, &plan, flags,
                               "touch /data/x 2>&- && echo below; touch /x 2>&- && echo root; touch /made/x && echo "
                               "mount; grep -c below /proc/self/mountinfo");
            close(plan.fds[0]);
            plan.fds[0] = open_tree(AT_FDCWD, bed->root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
            bed_plan_fs(&plan, "tmpfs", "/made", 0);
            if (readonly)
                plan.plan.head.flags |= CL_WIRE_PLAN_ROOT_READONLY;
            bed_run_plan(bed, &plan, output, sizeof(output));
            assert_string_equal(output, readonly ? "mount\n1\n" : "below\nroot\nmount\n1\n");
        }
    }
    assert_int_equal(umount2(below, MNT_DETACH), 0);
}

static void read_own_mounts(char *text, size_t size)
{
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    bed_read_all(fd, text, size);
}

/* A tree whose mounts are all shared on the host: a word for its top alone opens no way back to the host below it. */
static void test_bind_propagation(void **state)
{
    static const struct {
        const char *name;
        uint32_t propagation;
        int leaks;
    } cases[] = {
        {"none", 0, 0},         {"private", MS_PRIVATE, 0},       {"rprivate", MS_PRIVATE | MS_REC, 0},
        {"slave", MS_SLAVE, 0}, {"unbindable", MS_UNBINDABLE, 0}, {"shared", MS_SHARED, 1},
    };
    struct bed *bed = *state;
    char source[] = "/tmp/cl-keeper-shared-XXXXXX";
    char below[64];
    char output[1024];
    char host[65536];

    own_mounts();
    assert_non_null(mkdtemp(source));
    snprintf(below, sizeof(below), "%s/below", source);
    assert_int_equal(mount("top", source, "tmpfs", 0, NULL), 0);
    assert_int_equal(mkdir(below, 0755), 0);
    assert_int_equal(mount("below", below, "tmpfs", 0, NULL), 0);
    assert_int_equal(mount(NULL, source, NULL, MS_REC | MS_SHARED, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed_plan plan;
        struct cl_wire_mount bind = {.kind = CL_WIRE_MOUNT_BIND, .propagation = cases[i].propagation};

        bed_plan_container(
            bed, &plan, BED_HOST_USER,
            "busybox mkdir -p /data/below/d; mount -t tmpfs leak /data/below/d && echo mounted; sleep 100");
        bind.target = cl_plan_cstring(&plan.plan, "/data");
        bind.fd = bed_plan_fd(&plan, open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
        cl_plan_add(&plan.plan, CL_WIRE_MOUNTS, &bind);
        int out[2];

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_int_equal(bed_create(bed, &plan, 10 + i, 0, out[1]).os_errno, 0);
        assert_int_equal(read(out[0], output, 8), 8);
        assert_memory_equal(output, "mounted\n", 8);
        close(out[0]);
        close(out[1]);
        read_own_mounts(host, sizeof(host));
        if ((strstr(host, "leak") != NULL) != cases[i].leaks)
            fail_msg("%s: what is mounted inside is %s outside", cases[i].name, cases[i].leaks ? "not" : "seen");
        assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_ALL, 10 + i, 9).os_errno, 0);
        bed_wait_down(bed, 10 + i);
    }
    assert_int_equal(umount2(source, MNT_DETACH), 0);
    rmdir(source);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shared_nodes, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_readonly_tree, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_bind_propagation, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper shared", tests, NULL, NULL);
}
