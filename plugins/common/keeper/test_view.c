/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of itself, for init and for exec, and what a hostile image cannot make us do. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* --- the same table for init and for exec, with and without a user namespace --- */

static void as_user(struct bed_plan *plan)
{
    uint32_t group = 7;

    plan->plan.head.uid = 1000;
    plan->plan.head.gid = 1001;
    plan->plan.head.umask = 027;
    cl_plan_add(&plan->plan, CL_WIRE_GROUPS, &group);
}
static void with_caps(struct bed_plan *plan)
{
    struct cl_wire_plan *head = &plan->plan.head;

    head->flags |= CL_WIRE_PLAN_NO_NEW_PRIVS;
    head->cap_bounding = 0x4ff;
    head->cap_permitted = head->cap_effective = 0x43;
    head->cap_inheritable = 0x41;
    head->cap_ambient = 0x40;
    head->uid = 5;
}
static void with_cwd(struct bed_plan *plan)
{
    plan->plan.head.cwd = cl_plan_cstring(&plan->plan, "/etc");
}
static void with_limits(struct bed_plan *plan)
{
    struct cl_wire_rlimit files = {.resource = 7, .soft = 3, .hard = 5};
    struct cl_wire_rlimit core = {.resource = 4, .soft = 0, .hard = 0};

    cl_plan_add(&plan->plan, CL_WIRE_RLIMITS, &files);
    cl_plan_add(&plan->plan, CL_WIRE_RLIMITS, &core);
}
static void with_core(struct bed_plan *plan)
{
    struct cl_wire_rlimit core = {.resource = 4, .soft = 4096, .hard = 8192};

    cl_plan_add(&plan->plan, CL_WIRE_RLIMITS, &core);
}
static void with_score(struct bed_plan *plan)
{
    plan->plan.head.flags |= CL_WIRE_PLAN_OOM_SCORE;
    plan->plan.head.oom_score_adj = 321;
    plan->plan.head.nice = 3;
}
static void with_filter(struct bed_plan *plan)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

    cl_plan_add_seccomp(&plan->plan, allow, 1, 0);
    cl_plan_add_seccomp(&plan->plan, allow, 1, 0);
    plan->plan.head.uid = 1000;
}
static void with_path(struct bed_plan *plan)
{
    plan->plan.head.path = cl_plan_cstring(&plan->plan, "/nowhere:/etc:/bin");
}

#define STATUS "cat /proc/self/status"
static const struct {
    const char *name;
    void (*change)(struct bed_plan *plan);
    const char *script;
    const char *wanted;
} views[] = {
    {"root by default", NULL, "id", "uid=0 gid=0\n"},
    {"user and groups", as_user, "id; umask", "uid=1000 gid=1001 groups=7\n0027\n"},
    {"no groups of ours", NULL, STATUS, "Groups:\t \n"},
    {"five sets: inheritable", with_caps, STATUS, "CapInh:\t0000000000000041\n"},
    {"five sets: permitted", with_caps, STATUS, "CapPrm:\t0000000000000040\n"},
    {"five sets: effective", with_caps, STATUS, "CapEff:\t0000000000000040\n"},
    {"five sets: bounding", with_caps, STATUS, "CapBnd:\t00000000000004ff\n"},
    {"five sets: ambient", with_caps, STATUS, "CapAmb:\t0000000000000040\n"},
    {"no new privileges", with_caps, STATUS, "NoNewPrivs:\t1\n"},
    {"two filters, no capability", with_filter, STATUS, "Seccomp:\t2\nSeccomp_filters:\t2\n"},
    {"nothing left of the filter's capability", with_filter, STATUS,
     "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"},
    {"signals blocked", NULL, STATUS, "SigBlk:\t0000000000000000\n"},
    {"signals ignored", NULL, STATUS "; true" /* a busybox shell that execs its last command ignores SIGQUIT */,
     "SigIgn:\t0000000000000000\n"},
    {"descriptors", NULL, "for i in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$i && echo -n \"$i \"; done; echo .",
     "0 1 2 .\n"},
    {"working directory", with_cwd, "pwd", "/etc\n"},
    {"limits", with_limits, "ulimit -n; ulimit -Hn; ulimit -c", "3\n5\n0\n"},
    {"no core by default", NULL, "ulimit -c; ulimit -Hc; echo .", "0\n0\n.\n"},
    {"a core if asked for", with_core, "ulimit -c; ulimit -Hc", "8\n16\n"},
    {"OOM score and niceness", with_score, "cat /proc/self/oom_score_adj; cut -d' ' -f19 /proc/self/stat", "321\n"},
    {"search path of the plan", with_path, "echo ok", "ok\n"},
    {"host name", NULL, "hostname", "nest\n"},
    {"links", NULL, "ip -o link | cut -d: -f2", " lo\n"},
    {"lo is up", NULL, "ip link show lo", "UP"},
    {"session", NULL, "cut -d' ' -f1,6 /proc/$$/stat | { read a b; test $a = $b && echo leader; }", "leader\n"},
    {"environment", NULL, "env", "PATH=/bin\n"},
    {"null device", NULL, "echo gone > /dev/null && stat -c %t:%T /dev/null", "1:3\n"},
    {"no mount of the host", NULL,
     "while read a b c; do case $b in /dev/*) ;; *) echo -n \"$b \";; esac; done < /proc/self/mounts; echo .",
     "/ /proc /dev .\n"},
};

static void check_view(size_t i, const char *kind, const char *output, const struct cl_wire_record *record)
{
    if (strstr(output, views[i].wanted) == NULL || record->status != 0)
        fail_msg("%s (%s): status %u, wanted '%s' in:\n%s", views[i].name, kind, record->status, views[i].wanted,
                 output);
}

static void view_init(struct bed *bed, size_t i, unsigned int flags)
{
    struct bed_plan plan;
    char output[8192];
    int out[2];
    uint64_t id = ++bed->serial;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    bed_plan_container(bed, &plan, flags, views[i].script);
    plan.plan.head.flags &= ~CL_WIRE_PLAN_NO_NEW_PRIVS;
    if (views[i].change != NULL)
        views[i].change(&plan);
    struct cl_wire_answer answer = bed_create(bed, &plan, id, 0, out[1]);

    if (answer.os_errno != 0)
        fail_msg("%s: (%s, %d, %s)", views[i].name, answer.step, answer.os_errno, answer.detail);
    close(out[1]);
    bed_read_all(out[0], output, sizeof(output));
    struct cl_wire_record record = bed_wait_exit(bed, id << 32);

    check_view(i, flags ? "init, user namespace" : "init", output, &record);
    struct cl_wire_release release;

    bed_wait_down(bed, id);
    cl_wire_init(&release, CL_WIRE_RELEASE, 0);
    release.pseq = id << 32;
    bed_call(bed, &release);
}

static void view_exec(struct bed *bed, size_t i, uint64_t container, const char *kind)
{
    struct bed_plan plan;
    char output[8192];
    uint64_t pseq = ++bed->serial;
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    bed_plan_process(&plan, views[i].script);
    plan.plan.head.cap_bounding = plan.plan.head.cap_permitted = plan.plan.head.cap_effective = 0xffffff;
    if (views[i].change != NULL)
        views[i].change(&plan);
    struct cl_wire_answer answer = bed_exec(bed, &plan, container, pseq, out[1]);

    if (answer.os_errno != 0)
        fail_msg("%s (%s): (%s, %d, %s)", views[i].name, kind, answer.step, answer.os_errno, answer.detail);
    close(out[1]);
    bed_read_all(out[0], output, sizeof(output));
    struct cl_wire_record record = bed_wait_exit(bed, pseq);

    check_view(i, kind, output, &record);
}

static void test_views(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
        bed_plan_container(bed, &plan, flags | BED_PAUSE, NULL);
        assert_int_equal(bed_create(bed, &plan, 1 + flags, 0, -1).os_errno, 0);
        for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
            view_init(bed, i, flags);
            view_exec(bed, i, 1 + flags, flags ? "exec, user namespace" : "exec");
        }
    }
    assert_false(bed_has_warning(bed, "CAP_CHOWN"));
}

/* --- root, masks, read-only, links, warnings --- */

static void add_path(struct bed_plan *plan, uint32_t section, const char *path)
{
    cl_plan_add_string(&plan->plan, section, path, strlen(path));
}

static void add_link(struct bed_plan *plan, const char *path, const char *text)
{
    struct cl_wire_link link = {cl_plan_cstring(&plan->plan, path), cl_plan_cstring(&plan->plan, text)};

    cl_plan_add(&plan->plan, CL_WIRE_LINKS, &link);
}

static void test_paths(void **state)
{
    struct bed *bed = *state;
    char output[4096];

    for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
        struct bed_plan plan;

        bed_plan_container(bed, &plan, flags,
                           "cat /proc/version | wc -c; ls -a /proc/acpi /data | wc -l; echo 1 2>&- > "
                           "/proc/sys/kernel/panic || echo ro-sys;"
                           "touch /x 2>&- || echo ro-root; touch /ro/x 2>&- || echo ro-tmp; readlink /dev/fd; ls /ro");
        bed_plan_fs(&plan, "tmpfs", "/tmp/made/here", 0);
        bed_plan_fs(&plan, "tmpfs", "/ro", MOUNT_ATTR_RDONLY);
        bed_plan_fs(&plan, "tmpfs", "/ro/below", 0);
        add_path(&plan, CL_WIRE_MASKED, "/proc/version");
        add_path(&plan, CL_WIRE_MASKED, "/data");
        add_path(&plan, CL_WIRE_MASKED, "/proc/not-there");
        add_path(&plan, CL_WIRE_MASKED, "/bin/sh/not-there");
        add_path(&plan, CL_WIRE_READONLY, "/proc/sys");
        add_link(&plan, "/dev/fd", "/proc/self/fd");
        add_link(&plan, "/bin/sh", "elsewhere");
        plan.plan.head.flags |= CL_WIRE_PLAN_ROOT_READONLY;
        struct cl_wire_record record = bed_run_plan(bed, &plan, output, sizeof(output));

        assert_int_equal(record.status, 0);
        assert_non_null(strstr(output, "ro-sys\nro-root\nro-tmp\n/proc/self/fd\nbelow\n"));
        if (strncmp(output, "0\n", 2) != 0)
            fail_msg("masked paths show something: %s", output);
        assert_true(bed_has_warning(bed, "'/proc/not-there'"));
        assert_true(bed_has_warning(bed, "'/bin/sh/not-there'"));
        assert_true(bed_has_warning(bed, "'/bin/sh' is left as the image has it"));
    }
}

static void test_capability_warnings(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char output[256];

    bed_plan_container(bed, &plan, BED_HOST_USER, "exit 0");
    plan.plan.head.cap_bounding |= UINT64_C(1) << 50; /* no kernel has it */
    plan.plan.head.cap_ambient = 2;
    bed_run_plan(bed, &plan, output, sizeof(output));
    assert_true(bed_has_warning(bed, "not available on this host: "));
    assert_true(bed_has_warning(bed, "ambient but not inheritable: cap_dac_override"));
}

/* What a user namespace may not mount itself, and shares: we lend it ours. */
static void test_shared_kernel_mounts(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char output[8192];

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_NO_PID_NAMESPACE,
                       "ls /sys/class/net; cut -d' ' -f1 /proc/1/stat; cat /proc/1/comm; ls /dev/mqueue; echo $$");
    plan.plan.head.ns_new &= ~(uint64_t)(CLONE_NEWNET | CLONE_NEWIPC);
    plan.plan.head.flags &= ~CL_WIRE_PLAN_LOOPBACK;
    bed_plan_fs(&plan, "sysfs", "/sys", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
    bed_plan_fs(&plan, "mqueue", "/dev/mqueue", 0);
    struct cl_wire_record record = bed_run_plan(bed, &plan, output, sizeof(output));

    assert_int_equal(record.status, 0);
    assert_non_null(strstr(output, "lo\n"));
    assert_non_null(strstr(output, "1\ncl-keeper\n")); /* the sandbox's pid namespace, never the host's */
}

static void test_time_namespace(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_time_offset offset = {.clock = 7, .seconds = 100000000};
    char output[256];

    for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
        struct bed_plan plan;

        bed_plan_container(bed, &plan, flags, "cut -d. -f1 /proc/uptime");
        plan.plan.head.ns_new |= 0x80;
        cl_plan_add(&plan.plan, CL_WIRE_TIME, &offset);
        bed_run_plan(bed, &plan, output, sizeof(output));
        assert_true(atol(output) >= 100000000);
        bed_plan_container(bed, &plan, flags | BED_PAUSE, NULL);
        plan.plan.head.ns_new |= 0x80;
        cl_plan_add(&plan.plan, CL_WIRE_TIME, &offset);
        assert_int_equal(bed_create(bed, &plan, 1 + flags, 0, -1).os_errno, 0);
        bed_plan_process(&plan, "test $(cut -d. -f1 /proc/uptime) -ge 100000000");
        assert_int_equal(bed_exec(bed, &plan, 1 + flags, 10 + flags, -1).os_errno, 0);
        assert_int_equal(bed_wait_exit(bed, 10 + flags).status, 0);
    }
}

static uint32_t join(struct bed_plan *plan, pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
    return bed_plan_fd(plan, open(path, O_RDONLY | O_CLOEXEC));
}

/* A second container in namespaces of the first, as a pod has them: same host name, same processes, same user mapping.
 */
static void test_joined_namespaces(void **state)
{
    struct bed *bed = *state;
    char output[4096];

    for (unsigned int flags = 0; flags <= BED_USER_NAMESPACE; flags++) {
        struct cl_wire_plan *head;
        struct bed_plan plan;
        pid_t pids[8];
        uint64_t id = ++bed->serial;

        bed_plan_container(bed, &plan, flags | BED_PAUSE, NULL);
        plan.plan.head.hostname = cl_plan_cstring(&plan.plan, "shared");
        assert_int_equal(bed_create(bed, &plan, id, 0, -1).os_errno, 0);
        assert_int_equal(bed_pids(bed, pids, 8), 1);
        bed_plan_container(bed, &plan, BED_HOST_USER,
                           "hostname; cat /proc/1/comm; id -u; ls /sys/class/net; ls /bin/sh");
        head = &plan.plan.head;
        head->ns_new = CLONE_NEWNS | CLONE_NEWCGROUP;
        head->flags &= ~CL_WIRE_PLAN_LOOPBACK;
        head->hostname = 0;
        head->ns_join[CL_WIRE_NS_UTS] = join(&plan, pids[0], "uts");
        head->ns_join[CL_WIRE_NS_NET] = join(&plan, pids[0], "net");
        head->ns_join[CL_WIRE_NS_IPC] = join(&plan, pids[0], "ipc");
        head->ns_join[CL_WIRE_NS_PID] = join(&plan, pids[0], "pid");
        if (flags) {
            head->ns_join[CL_WIRE_NS_USER] = join(&plan, pids[0], "user");
            head->flags |= CL_WIRE_PLAN_ROOT_IDMAP;
        }
        bed_plan_fs(&plan, "sysfs", "/sys", 0);
        struct cl_wire_record record = bed_run_plan(bed, &plan, output, sizeof(output));

        if (record.status != 0 || strcmp(output, "shared\ntest-pause\n0\nlo\n/bin/sh\n") != 0)
            fail_msg("joined, kind %u: status %u, %s", flags, record.status, output);
        assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_ALL, id, 9).os_errno, 0);
        bed_wait_down(bed, id);
    }
}

/* The mount namespace too: no root of its own, nothing mounted. */
static void test_joined_mounts(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char output[256];
    pid_t pids[8];

    bed_plan_container(bed, &plan, BED_PAUSE, NULL);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    assert_int_equal(bed_pids(bed, pids, 8), 1);
    memset(&plan, 0, sizeof(plan));
    cl_plan_init(&plan.plan, CL_WIRE_PLAN_CONTAINER);
    plan.plan.head.ns_join[CL_WIRE_NS_MOUNT] = join(&plan, pids[0], "mnt");
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "/bin/ls", 7);
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "/dev", 4);
    assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
    assert_string_equal(output, "null\nzero\n");
}

static void test_root_propagation(void **state)
{
    static const struct {
        const char *name;
        uint32_t propagation;
        const char *wanted;
    } cases[] = {
        {"none asked", 0, "/ rw,relatime,idmapped - "},
        {"private", MS_PRIVATE | MS_REC, "/ rw,relatime,idmapped - "},
        {"shared", MS_SHARED, "/ rw,relatime,idmapped shared:"},
        {"unbindable", MS_UNBINDABLE, "/ rw,relatime,idmapped unbindable - "},
    };
    struct bed *bed = *state;
    char output[4096];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed_plan plan;

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "head -n 1 /proc/self/mountinfo");
        plan.plan.head.root_propagation = cases[i].propagation;
        bed_run_plan(bed, &plan, output, sizeof(output));
        if (strstr(output, cases[i].wanted) == NULL)
            fail_msg("root propagation %s: %s", cases[i].name, output);
    }
}

/* --- hostile images --- */

static void link_in_root(const struct bed *bed, const char *name, const char *text)
{
    char path[128];
    char command[300];

    snprintf(path, sizeof(path), "%s/%s", bed->root, name);
    snprintf(command, sizeof(command), "rm -rf %s", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(symlink(text, path), 0);
}

static void list_outside(char *text, size_t size)
{
    FILE *list = popen("ls -lAR /tmp/cl-keeper-outside", "r");

    assert_non_null(list);
    text[fread(text, 1, size - 1, list)] = '\0';
    pclose(list);
}

/* Six shapes of symlink at each usual target; the host's directories stay as they are, whatever the answer. */
static void test_symlinked_targets(void **state)
{
    static const char *const shapes[] = {"/tmp/cl-keeper-outside",
                                         "../../../../tmp/cl-keeper-outside",
                                         "..",
                                         "/tmp/cl-keeper-nothing",
                                         "loop",
                                         "/proc/self/root/tmp/cl-keeper-outside"};
    static const char *const targets[] = {"proc", "sys", "dev", "data"};
    static const char *const types[] = {"proc", "sysfs", "tmpfs", "tmpfs"};
    struct bed *bed = *state;
    char before[4096];
    char after[4096];

    assert_int_equal(
        system("rm -rf /tmp/cl-keeper-outside; mkdir /tmp/cl-keeper-outside; touch /tmp/cl-keeper-outside/kept"), 0);
    list_outside(before, sizeof(before));
    for (size_t t = 0; t < 4; t++)
        for (size_t s = 0; s < 6; s++) {
            struct bed_plan plan;

            link_in_root(bed, targets[t], strcmp(shapes[s], "loop") == 0 ? targets[t] : shapes[s]);
            bed_plan_container(bed, &plan, BED_HOST_USER, "exit 0");
            char path[16];

            snprintf(path, sizeof(path), "/%s", targets[t]);
            if (t != 0 && t != 2)
                bed_plan_fs(&plan, types[t], path, 0);
            struct cl_wire_answer answer = bed_create(bed, &plan, 1000 + t * 10 + s, 0, -1);

            if (t < 2 && (answer.os_errno == 0 || strcmp(answer.step, "mount") != 0))
                fail_msg("/%s -> %s was accepted (%s)", targets[t], shapes[s], answer.step);
            list_outside(after, sizeof(after));
            assert_string_equal(before, after);
            if (answer.os_errno == 0)
                bed_wait_down(bed, 1000 + t * 10 + s);
            char command[200];

            snprintf(command, sizeof(command), "rm -rf %s/%s; mkdir %s/%s", bed->root, targets[t], bed->root,
                     targets[t]);
            assert_int_equal(system(command), 0);
        }
    assert_int_equal(system("rm -rf /tmp/cl-keeper-outside"), 0);
}

/* An entry point that is the process's own executable must not reach the keeper's file for writing. */
static void test_own_executable(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char path[128];
    char output[4096];

    snprintf(path, sizeof(path), "%s/bin/self", bed->root);
    FILE *script = fopen(path, "w");

    assert_non_null(script);
    fputs("#!/proc/self/exe\n", script);
    fclose(script);
    chmod(path, 0755);
    bed_plan_container(bed, &plan, BED_HOST_USER, NULL);
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "/bin/self", 9);
    struct cl_wire_record record = bed_run_plan(bed, &plan, output, sizeof(output));

    assert_int_equal(record.status, 2); /* the keeper program, with a stranger's arguments */
    assert_non_null(strstr(output, "started by cloisterd"));
}

/* --- filters --- */

#define DENY(call, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define HEAD BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define TAIL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void test_filters(void **state)
{
    struct sock_filter kill_exec[] = {HEAD, DENY(SYS_execve, SECCOMP_RET_KILL_PROCESS), TAIL};
    struct sock_filter deny_exec[] = {HEAD, DENY(SYS_execve, SECCOMP_RET_ERRNO | ENOSYS), TAIL};
    struct sock_filter deny_words[] = {HEAD, DENY(SYS_execve, SECCOMP_RET_ERRNO | EACCES),
                                       DENY(SYS_sendmsg, SECCOMP_RET_ERRNO | EPERM), TAIL};
    struct sock_filter deny_all[] = {HEAD, DENY(SYS_execve, SECCOMP_RET_ERRNO | EACCES),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)};
    struct sock_filter kill_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
    struct sock_filter broken[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4096), TAIL};
    const struct {
        const char *name;
        const struct sock_filter *filter;
        uint32_t count;
        const char *step;
        int os_errno;
        const char *detail;
    } cases[] = {
        {"kills at execve", kill_exec, 4, "died", ECHILD, "killed by its seccomp filter before the program began"},
        {"refuses execve", deny_exec, 4, "exec", ENOSYS, "'/bin/sh'"},
        {"refuses execve and our report", deny_words, 6, "exec", EACCES, "ended before it could report why"},
        {"refuses everything", deny_all, 4, "died", ECHILD, "killed by signal 4 before the program began"},
        {"kills at anything", kill_all, 1, "died", ECHILD, "killed by its seccomp filter before the program began"},
        {"is no filter", broken, 2, "seccomp", EINVAL, "filter 0 of 2 instructions"},
    };
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed_plan plan;

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
        cl_plan_add_seccomp(&plan.plan, cases[i].filter, cases[i].count, 0);
        struct cl_wire_answer answer = bed_create(bed, &plan, 1, 0, -1);

        if (answer.os_errno != cases[i].os_errno || strcmp(answer.step, cases[i].step) != 0 ||
            strstr(answer.detail, cases[i].detail) == NULL)
            fail_msg("a filter that %s: (%s, %d, %s)", cases[i].name, answer.step, answer.os_errno, answer.detail);
        assert_int_equal(bed_processes(bed), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_views, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_paths, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_capability_warnings, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_shared_kernel_mounts, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_time_namespace, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_joined_namespaces, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_joined_mounts, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_root_propagation, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_symlinked_targets, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_own_executable, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_filters, open_bed, close_bed),
    };

    /* What a process must not inherit. */
    struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};

    setrlimit(RLIMIT_CORE, &core);
    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper view", tests, NULL, NULL);
}
