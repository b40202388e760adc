/* SPDX-License-Identifier: Apache-2.0 */
/* Every step stopped before and after, and failures of real kinds: each comes back as (step, errno), and nothing is
 * left. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
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

static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    bed_read_all(fd, text, size);
}

static uint32_t record_count(struct bed *bed)
{
    struct cl_wire_simple status;

    cl_wire_init(&status, CL_WIRE_STATUS, 0);
    return bed_call(bed, &status).count;
}

static int open_descriptors(const struct bed *bed)
{
    char path[64];
    int count = 0;

    for (int i = 0; i < 256; i++) {
        struct stat st;

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", bed->pid, i);
        count += lstat(path, &st) == 0;
    }
    return count;
}

/* The keeper closes what it has sent a moment after we have it, and a helper ends a moment after its process has begun.
 */
static int settled_descriptors(const struct bed *bed)
{
    int count = -1;

    for (int same = 0; same < 5; usleep(5000)) {
        int now = open_descriptors(bed) + 1000 * bed_processes(bed);

        same = now == count ? same + 1 : 0;
        count = now;
    }
    return count % 1000;
}

static void expect_descriptors(const struct bed *bed, int wanted)
{
    assert_int_equal(settled_descriptors(bed), wanted);
}

static const char *const create_steps[] = {"keyring",      "join-namespace",
                                           "borrow",       "time",
                                           "join-user",    "clone",
                                           "user-map",     "inside-root",
                                           "join-cgroup",  "cgroup-namespace",
                                           "hostname",     "loopback",
                                           "sysctl",       "root",
                                           "mount",        "device",
                                           "link",         "mount-readonly",
                                           "readonly",     "mask",
                                           "pivot",        "root-flags",
                                           "nice",         "resolve",
                                           "home",         "session",
                                           "bounding",     "groups",
                                           "user",         "capabilities",
                                           "close",        "cwd",
                                           "find",         "start",
                                           "stdio",        "rlimit",
                                           "no-new-privs", "seccomp",
                                           "exec"};
static const char *const exec_steps[] = {"keyring",      "enter",   "clone",   "oom-score", "join-cgroup", "nice",
                                         "resolve",      "home",    "session", "bounding",  "groups",      "user",
                                         "capabilities", "close",   "cwd",     "find",      "stdio",       "rlimit",
                                         "no-new-privs", "seccomp", "exec"};

static void expect_stop(const struct cl_wire_answer *answer, const char *step, uint32_t when)
{
    if (answer->os_errno != ECANCELED || strcmp(answer->step, step) != 0)
        fail_msg("stop %s '%s': answer %d, step '%s', '%s'", when == 1 ? "before" : "after", step, answer->os_errno,
                 answer->step, answer->detail);
    assert_string_equal(answer->detail, when == 1 ? "stopped before" : "stopped after");
}

/* "clone" ends the helper's table and "exec" does not come back: nothing can stop after them. */
static int can_stop_after(const char *step)
{
    return strcmp(step, "clone") != 0 && strcmp(step, "exec") != 0;
}

static void test_stop_create(void **state)
{
    struct bed *bed = *state;
    char before[16384];
    char after[16384];
    int descriptors = settled_descriptors(bed);

    read_file("/proc/self/mountinfo", before, sizeof(before));
    for (size_t i = 0; i < sizeof(create_steps) / sizeof(create_steps[0]); i++)
        for (uint32_t when = 1; when <= (can_stop_after(create_steps[i]) ? 2 : 1); when++)
            for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
                struct bed_plan plan;

                bed_plan_container(bed, &plan, flags, "exit 0");
                bed_plan_fs(&plan, "tmpfs", "/tmp", MOUNT_ATTR_RDONLY);
                plan.plan.head.stop_when = when;
                plan.plan.head.stop_step = cl_plan_cstring(&plan.plan, create_steps[i]);
                struct cl_wire_answer answer = bed_create(bed, &plan, 1, 0, -1);

                expect_stop(&answer, create_steps[i], when);
                if (bed_processes(bed) != 0 || record_count(bed) != 0)
                    fail_msg("stop at '%s' left %d processes, %u records", create_steps[i], bed_processes(bed),
                             record_count(bed));
            }
    expect_descriptors(bed, descriptors);
    read_file("/proc/self/mountinfo", after, sizeof(after));
    assert_string_equal(before, after);
    assert_int_equal(bed->exit_count, 0);
    assert_int_equal(bed->down_count, 0);
}

static void test_stop_exec(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    int descriptors = settled_descriptors(bed);

    for (size_t i = 0; i < sizeof(exec_steps) / sizeof(exec_steps[0]); i++)
        for (uint32_t when = 1; when <= (can_stop_after(exec_steps[i]) ? 2 : 1); when++) {
            bed_plan_process(&plan, "exit 0");
            plan.plan.head.stop_when = when;
            plan.plan.head.stop_step = cl_plan_cstring(&plan.plan, exec_steps[i]);
            struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 2, -1);

            expect_stop(&answer, exec_steps[i], when);
            assert_int_equal(bed_processes(bed), 1);
            assert_int_equal(record_count(bed), 1);
        }
    expect_descriptors(bed, descriptors);
    assert_int_equal(bed->exit_count, 0);
}

/* --- failures --- */

static void fail_program(struct bed_plan *plan)
{
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "no-such-program", 15);
}
static void fail_program_path(struct bed_plan *plan)
{
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "/bin/nothing", 12);
}
static void fail_directory(struct bed_plan *plan)
{
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "/bin", 4);
}
static void fail_not_executable(struct bed_plan *plan)
{
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "/etc/plain", 10);
}
static void fail_cwd(struct bed_plan *plan)
{
    plan->plan.head.cwd = cl_plan_cstring(&plan->plan, "/nowhere");
    fail_program(plan);
}
static void fail_cwd_file(struct bed_plan *plan)
{
    plan->plan.head.cwd = cl_plan_cstring(&plan->plan, "/bin/busybox");
    fail_program(plan);
}
static void fail_cwd_magic(struct bed_plan *plan)
{
    plan->plan.head.cwd = cl_plan_cstring(&plan->plan, "/proc/self/cwd");
    fail_program(plan);
}
static void fail_rlimit(struct bed_plan *plan)
{
    struct cl_wire_rlimit limit = {.resource = 7, .soft = 1u << 31, .hard = 1u << 31};

    cl_plan_add(&plan->plan, CL_WIRE_RLIMITS, &limit);
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "true", 4);
}
static void fail_rlimit_soft(struct bed_plan *plan)
{
    struct cl_wire_rlimit limit = {.resource = 7, .soft = 20, .hard = 10};

    cl_plan_add(&plan->plan, CL_WIRE_RLIMITS, &limit);
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "true", 4);
}
static void fail_cgroup(struct bed_plan *plan)
{
    uint32_t index = bed_plan_fd(plan, open("/dev/full", O_WRONLY | O_CLOEXEC));

    cl_plan_add(&plan->plan, CL_WIRE_CGROUPS, &index);
    fail_program(plan);
}
static void fail_inheritable(struct bed_plan *plan)
{
    plan->plan.head.cap_bounding = 1;
    plan->plan.head.cap_effective = 3;
    plan->plan.head.cap_permitted = 1;
    fail_program(plan);
}

static const struct {
    const char *name;
    void (*damage)(struct bed_plan *plan);
    const char *step;
    int os_errno;
    const char *detail;
} process_failures[] = {
    {"program not in PATH", fail_program, "find", ENOENT, "'no-such-program'"},
    {"program missing", fail_program_path, "find", ENOENT, "'/bin/nothing'"},
    {"program is a directory", fail_directory, "find", EACCES, "'/bin'"},
    {"program not executable", fail_not_executable, "find", EACCES, "'/etc/plain'"},
    {"working directory missing", fail_cwd, "cwd", ENOENT, "'/nowhere'"},
    {"working directory a file", fail_cwd_file, "cwd", ENOTDIR, "'/bin/busybox'"},
    {"working directory through a magic link", fail_cwd_magic, "cwd", ELOOP, "'/proc/self/cwd'"},
    {"hard limit raised", fail_rlimit, "rlimit", EPERM, "RLIMIT_NOFILE: hard limit 2147483648 is above the"},
    {"soft limit above hard", fail_rlimit_soft, "rlimit", EINVAL, "RLIMIT_NOFILE: soft 20, hard 10"},
    {"cgroup refuses", fail_cgroup, "join-cgroup", ENOSPC, ""},
    {"effective not permitted", fail_inheritable, "capabilities", EPERM, "set permitted 0x1, effective 0x3"},
};

static void expect_failure(const struct cl_wire_answer *answer, const char *name, const char *step, int os_errno,
                           const char *detail)
{
    if (answer->os_errno != os_errno || strcmp(answer->step, step) != 0 || strstr(answer->detail, detail) == NULL)
        fail_msg("%s: (%s, %d, %s), expected (%s, %d, %s)", name, answer->step, answer->os_errno, answer->detail, step,
                 os_errno, detail);
}

static void test_process_failures(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char path[128];

    snprintf(path, sizeof(path), "%s/etc/plain", bed->root);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    for (size_t i = 0; i < sizeof(process_failures) / sizeof(process_failures[0]); i++) {
        struct cl_wire_answer answer;

        bed_plan_process(&plan, NULL);
        process_failures[i].damage(&plan);
        answer = bed_exec(bed, &plan, 1, 2, -1);
        expect_failure(&answer, process_failures[i].name, process_failures[i].step, process_failures[i].os_errno,
                       process_failures[i].detail);
        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, NULL);
        process_failures[i].damage(&plan);
        answer = bed_create(bed, &plan, 2, 0, -1);
        expect_failure(&answer, process_failures[i].name, process_failures[i].step, process_failures[i].os_errno,
                       process_failures[i].detail);
        assert_int_equal(bed_processes(bed), 1);
    }
}

static void bad_type(struct bed *bed, struct bed_plan *plan)
{
    bed_plan_fs(plan, "nosuchfs", "/data", 0);
}
static void bad_option(struct bed *bed, struct bed_plan *plan)
{
    struct cl_wire_option option = {
        .key = cl_plan_cstring(&plan->plan, "size"), .value = cl_plan_cstring(&plan->plan, "many"), .has_value = 1};
    struct cl_wire_mount mount = {.kind = CL_WIRE_MOUNT_FS,
                                  .type = cl_plan_cstring(&plan->plan, "tmpfs"),
                                  .target = cl_plan_cstring(&plan->plan, "/data"),
                                  .option_first = cl_plan_add(&plan->plan, CL_WIRE_OPTIONS, &option),
                                  .option_count = 1,
                                  .fd = CL_WIRE_NO_FD};

    cl_plan_add(&plan->plan, CL_WIRE_MOUNTS, &mount);
}
static void bad_target(struct bed *bed, struct bed_plan *plan)
{
    bed_plan_fs(plan, "tmpfs", "//", 0);
}
static void file_target(struct bed *bed, struct bed_plan *plan)
{
    bed_plan_fs(plan, "tmpfs", "/bin/busybox", 0);
}
static void bad_sysctl(struct bed *bed, struct bed_plan *plan)
{
    struct cl_wire_sysctl sysctl = {cl_plan_cstring(&plan->plan, "net/ipv4/nothing"),
                                    cl_plan_cstring(&plan->plan, "1")};

    cl_plan_add(&plan->plan, CL_WIRE_SYSCTLS, &sysctl);
}
static void climbing_sysctl(struct bed *bed, struct bed_plan *plan)
{
    struct cl_wire_sysctl sysctl = {cl_plan_cstring(&plan->plan, "../../etc/passwd"),
                                    cl_plan_cstring(&plan->plan, "1")};

    cl_plan_add(&plan->plan, CL_WIRE_SYSCTLS, &sysctl);
}
static void unmapped_user(struct bed *bed, struct bed_plan *plan)
{
    plan->plan.head.uid = 70000;
}
static void unmapped_group(struct bed *bed, struct bed_plan *plan)
{
    plan->plan.head.gid = 70000;
}
static void double_map(struct bed *bed, struct bed_plan *plan)
{
    struct cl_wire_map map = {.inside = 0, .outside = 500000, .count = 10};

    cl_plan_add(&plan->plan, CL_WIRE_UID_MAP, &map);
}
static void many_maps(struct bed *bed, struct bed_plan *plan)
{
    for (uint32_t i = 0; i < 300; i++) {
        struct cl_wire_map map = {.inside = 1000000 + 2 * i, .outside = 4000000 + 2 * i, .count = 1};

        cl_plan_add(&plan->plan, CL_WIRE_UID_MAP, &map);
    }
}
static void bad_device(struct bed *bed, struct bed_plan *plan)
{
    struct cl_wire_device device = {.path = cl_plan_cstring(&plan->plan, "/dev/kmsg"),
                                    .type = S_IFCHR,
                                    .major = 1,
                                    .minor = 11,
                                    .fd = CL_WIRE_NO_FD};

    cl_plan_add(&plan->plan, CL_WIRE_DEVICES, &device);
}
static void join_file(struct bed *bed, struct bed_plan *plan)
{
    plan->plan.head.ns_new &= ~(uint64_t)CLONE_NEWUTS;
    plan->plan.head.hostname = 0;
    plan->plan.head.ns_join[CL_WIRE_NS_UTS] = bed_plan_fd(plan, open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
}
static void join_host_pids(struct bed *bed, struct bed_plan *plan)
{
    plan->plan.head.ns_new &= ~(uint64_t)CLONE_NEWPID;
    plan->plan.head.ns_join[CL_WIRE_NS_PID] = bed_plan_fd(plan, open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
}
static void no_idmap(struct bed *bed, struct bed_plan *plan)
{
    int tree = open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    plan->plan.head.root_fd = bed_plan_fd(plan, tree);
}
static void low_score(struct bed *bed, struct bed_plan *plan)
{
    plan->plan.head.flags |= CL_WIRE_PLAN_OOM_SCORE;
    plan->plan.head.oom_score_adj = -900;
}

static const struct {
    const char *name;
    void (*damage)(struct bed *bed, struct bed_plan *plan);
    const char *step;
    int os_errno;
    const char *detail;
} container_failures[] = {
    {"file system unknown", bad_type, "mount", ENODEV, "file system 'nosuchfs'"},
    {"mount option", bad_option, "mount", EINVAL,
     "file system 'tmpfs': option 'size=many' (tmpfs: Bad value for 'size')"},
    {"mount over the root", bad_target, "mount", EINVAL, "mount point '//'"},
    {"mount point is a file", file_target, "mount", ENOTDIR, "mount point '/bin/busybox'"},
    {"sysctl unknown", bad_sysctl, "sysctl", ENOENT, "net/ipv4/nothing"},
    {"sysctl leaves /proc", climbing_sysctl, "sysctl", EXDEV, "../../etc/passwd"},
    {"uid not mapped", unmapped_user, "user", EINVAL, "uid 70000 is not mapped"},
    {"gid not mapped", unmapped_group, "user", EINVAL, "gid 70000 is not mapped"},
    {"uid mapped twice", double_map, "user-map", EINVAL, "uid_map '0 300000 65536"},
    {"more maps than a page", many_maps, "user-map", E2BIG, "uid_map: more than the kernel takes at once"},
    {"device not ours", bad_device, "device", EPERM, "'/dev/kmsg' (1:11)"},
    {"not that kind of namespace", join_file, "join-namespace", EINVAL, "uts namespace"},
    {"the host's pid namespace", join_host_pids, "join-namespace", EINVAL, "pid namespace"},
    {"file system cannot be id-mapped", no_idmap, "id-map", EINVAL, "the root's file system cannot be id-mapped"},
    {"OOM score lowered", low_score, "oom-score", EACCES, "-900, below what this host allows"},
};

static void test_container_failures(void **state)
{
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(container_failures) / sizeof(container_failures[0]); i++) {
        struct bed_plan plan;

        if (container_failures[i].damage == low_score && prctl(PR_CAPBSET_READ, 24, 0, 0, 0) == 1)
            continue; /* with CAP_SYS_RESOURCE the score may go down */
        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
        container_failures[i].damage(bed, &plan);
        struct cl_wire_answer answer = bed_create(bed, &plan, 1, 0, -1);

        expect_failure(&answer, container_failures[i].name, container_failures[i].step, container_failures[i].os_errno,
                       container_failures[i].detail);
        assert_int_equal(bed_processes(bed), 0);
        assert_int_equal(record_count(bed), 0);
    }
}

/* A helper that hangs (its cgroup file is a full pipe) is cancelled: one answer, nothing left. */
static void test_cancel(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    struct cl_wire_cancel cancel;
    char junk[65536] = "";
    int full[2];
    uint32_t index;

    assert_int_equal(pipe2(full, O_CLOEXEC), 0);
    assert_int_equal(write(full[1], junk, sizeof(junk)), sizeof(junk));
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
    index = bed_plan_fd(&plan, dup(full[1]));
    cl_plan_add(&plan.plan, CL_WIRE_CGROUPS, &index);
    uint64_t serial = bed_send_create(bed, &plan, 1, 0, -1);

    usleep(50000);
    assert_int_equal(bed_processes(bed), 1);
    cl_wire_init(&cancel, CL_WIRE_CANCEL, 0);
    cancel.target = serial;
    assert_int_equal(bed_call(bed, &cancel).os_errno, 0);
    struct cl_wire_answer answer = bed_wait_answer(bed, serial);

    expect_failure(&answer, "cancel", "cancel", ECANCELED, "");
    assert_int_equal(bed_processes(bed), 0);
    assert_int_equal(bed_call(bed, &cancel).os_errno, ESRCH);
    close(full[0]);
    close(full[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stop_create, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_stop_exec, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_process_failures, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_container_failures, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_cancel, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper steps", tests, NULL, NULL);
}
