/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks in the container's namespaces, and the point at which those of the host's are run. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keeper/slip.h"

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

static void add_hook(struct bed_plan *plan, uint32_t point, const char *script, uint32_t timeout_ms)
{
    const char *const words[] = {"busybox", "sh", "-c", script, "ONE=1"};
    struct cl_wire_hook hook = {.point = point,
                                .fd = CL_WIRE_NO_FD,
                                .path = cl_plan_cstring(&plan->plan, "/bin/busybox"),
                                .arg_count = 4,
                                .env_count = 1,
                                .timeout_ms = timeout_ms,
                                .state_head = cl_plan_cstring(&plan->plan, "{\"pid\":"),
                                .state_tail = cl_plan_cstring(&plan->plan, ",\"x\":1}")};

    hook.arg_first = (uint32_t)(plan->plan.section[CL_WIRE_WORDS].size / sizeof(cl_wire_str));
    hook.env_first = hook.arg_first + 4;
    for (size_t i = 0; i < 5; i++)
        cl_plan_add_string(&plan->plan, CL_WIRE_WORDS, words[i], strlen(words[i]));
    if (point == CL_WIRE_HOOK_CREATE_CONTAINER) {
        static uint32_t host;

        if (plan->plan.section[CL_WIRE_HOOKS].size == 0)
            host = bed_plan_fd(plan, open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
        hook.fd = host;
        hook.root = cl_plan_cstring(&plan->plan, bed->root);
        if (plan->plan.section[CL_WIRE_HOOKS].size != 0)
            hook.root = ((struct cl_wire_hook *)(void *)plan->plan.section[CL_WIRE_HOOKS].data)->root;
    }
    cl_plan_add(&plan->plan, CL_WIRE_HOOKS, &hook);
}

/* Its state, its variables (the shell adds some), its directory, its descriptors, its rights. */
static void test_start_hook(void **state)
{
    static const char hook[] =
        "cat >/data/state; echo $ONE$PATH >/data/env; pwd >/data/cwd; ls /proc/self/fd | wc -l >/data/fds;"
        "grep -E 'NoNewPrivs|CapBnd' /proc/self/status >/data/rights; id -u >/data/uid";
    static const char script[] = "cd /data; cat state; echo; cat env cwd fds uid; grep -E 'NoNewPrivs|CapBnd' "
                                 "/proc/self/status >mine; cmp mine rights && echo same";

    for (int user = 0; user < 2; user++) {
        struct bed_plan plan;
        char output[512];

        bed_plan_container(bed, &plan, user ? BED_USER_NAMESPACE : BED_HOST_USER, script);
        cl_plan_add_string(&plan.plan, CL_WIRE_ENV, "LD_PRELOAD=/evil.so", 19);
        bed_plan_fs(&plan, "tmpfs", "/data", 0);
        plan.plan.head.umask = 0;
        add_hook(&plan, CL_WIRE_HOOK_START_CONTAINER, hook, 5000);
        assert_int_equal(bed_run_plan(bed, &plan, output, sizeof(output)).status, 0);
        assert_string_equal(output, "{\"pid\":1,\"x\":1}\n1/sbin:/usr/sbin:/bin:/usr/bin\n/\n4\n0\nsame\n");
    }
}

static void test_failures(void **state)
{
    static const struct {
        uint32_t point;
        const char *script;
        uint32_t timeout;
        int os_errno;
        const char *step;
        const char *detail;
    } failures[] = {
        {CL_WIRE_HOOK_START_CONTAINER, "exit 3", 0, ECANCELED, "start-hook",
         "hooks.startContainer[1]: '/bin/busybox' exited with 3"},
        {CL_WIRE_HOOK_START_CONTAINER, "kill -9 $$", 0, ECANCELED, "start-hook",
         "hooks.startContainer[1]: '/bin/busybox' was killed by signal 9"},
        {CL_WIRE_HOOK_START_CONTAINER, "sleep 100", 100, ETIMEDOUT, "start-hook",
         "hooks.startContainer[1]: '/bin/busybox' ran longer than 100 ms"},
        {CL_WIRE_HOOK_CREATE_CONTAINER, "exit 4", 0, ECANCELED, "create-hook",
         "hooks.createContainer[1]: '/bin/busybox' exited with 4"},
        {CL_WIRE_HOOK_CREATE_CONTAINER, "sleep 100", 100, ETIMEDOUT, "create-hook",
         "hooks.createContainer[1]: '/bin/busybox' ran longer than 100 ms"},
    };

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct bed_plan plan;
        struct cl_wire_answer answer;

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "true");
        add_hook(&plan, failures[i].point, "true", 0);
        add_hook(&plan, failures[i].point, failures[i].script, failures[i].timeout);
        answer = bed_create(bed, &plan, 20 + i, 0, -1);
        if (answer.os_errno != failures[i].os_errno || strcmp(answer.step, failures[i].step) != 0 ||
            strcmp(answer.detail, failures[i].detail) != 0)
            fail_msg("%s: %d at '%s': %s", failures[i].script, answer.os_errno, answer.step, answer.detail);
        assert_int_equal(bed_processes(bed), 0);
    }
}

static void test_no_program(void **state)
{
    struct bed_plan plan;
    struct cl_wire_answer answer;
    struct cl_wire_hook *hook;

    bed_plan_container(bed, &plan, BED_HOST_USER, "true");
    add_hook(&plan, CL_WIRE_HOOK_START_CONTAINER, "true", 0);
    hook = (void *)plan.plan.section[CL_WIRE_HOOKS].data;
    hook->path = cl_plan_cstring(&plan.plan, "/nowhere");
    answer = bed_create(bed, &plan, 30, 0, -1);
    assert_int_equal(answer.os_errno, ENOENT);
    assert_string_equal(answer.detail, "hooks.startContainer[0]: execute '/nowhere'");
}

static size_t mounts_here(void)
{
    static char text[1 << 20];
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, text + used, sizeof(text) - used)) > 0)
        used += (size_t)n;
    close(fd);
    return used;
}

/* The host's program sees the host and, at its place, the container's root; the container sees what it did there, and
 * nothing of the host. */
static void test_create_hook(void **state)
{
    static const char script[] =
        "cat /data/seen /data/state; echo; cat /data/mounted/x; hostname;"
        "cut -d' ' -f5 /proc/self/mountinfo | grep -v /dev/ | while read m; do echo -n \"$m \"; done; ls /host";

    for (int user = 0; user < 2; user++) {
        size_t before = mounts_here();
        struct bed_plan plan;
        char output[1024], hook[1024], wanted[512];

        bed_plan_container(bed, &plan, user ? BED_USER_NAMESPACE : BED_HOST_USER, script);
        bed_plan_fs(&plan, "tmpfs", "/data", 0);
        snprintf(
            hook, sizeof(hook),
            "cat >%s/data/state; test -e /proc/self/root%s/bin/busybox && test -e /usr/include && pwd >%s/data/seen;"
            "hostname >>%s/data/seen; mkdir %s/data/mounted && mount -t tmpfs x %s/data/mounted && "
            "echo hook >%s/data/mounted/x",
            bed->root, bed->root, bed->root, bed->root, bed->root, bed->root, bed->root);
        add_hook(&plan, CL_WIRE_HOOK_CREATE_CONTAINER, hook, 5000);
        bed_run_plan(bed, &plan, output, sizeof(output));
        snprintf(
            wanted, sizeof(wanted),
            "/\nnest\n{\"pid\":1,\"x\":1}\nhook\nnest\n/ /proc /dev /data /data/mounted ls: /host: No such file or "
            "directory\n");
        assert_string_equal(output, wanted);
        assert_int_equal(mounts_here(), before);
    }
}

/* Whatever it leaves behind has the host's tree: it is gone before anything of the container runs, and when the hook
 * fails. That it has left three is in its file. */
static void test_create_hook_leaves_nobody(void **state)
{
    static const struct {
        const char *end;
        int os_errno;
    } ends[] = {{"", 0}, {"; exit 5", ECANCELED}};
    static const char script[] = "grep -c sits /data/left; for p in /proc/[0-9]*; do echo -n \"${p##*/} \"; done";

    for (size_t i = 0; i < 2 * sizeof(ends) / sizeof(ends[0]); i++) {
        struct bed_plan plan;
        char output[256] = "", hook[512];
        int pair[2];

        bed_plan_container(bed, &plan, i % 2 ? BED_USER_NAMESPACE : BED_HOST_USER, script);
        bed_plan_fs(&plan, "tmpfs", "/data", 0);
        snprintf(hook, sizeof(hook),
                 "cd %s/data; sit() { echo sits >>left; exec sleep 54321; }; (sit & (trap '' TERM HUP; sit) &);"
                 "sit & until [ $(grep -c sits left) = 3 ]; do :; done%s",
                 bed->root, ends[i / 2].end);
        add_hook(&plan, CL_WIRE_HOOK_CREATE_CONTAINER, hook, 10000);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        struct cl_wire_answer answer = bed_create(bed, &plan, 60 + i, 0, pair[1]);

        close(pair[1]);
        bed_read_all(pair[0], output, sizeof(output));
        close(pair[0]);
        assert_int_equal(answer.os_errno, ends[i / 2].os_errno);
        assert_string_equal(output, answer.os_errno ? "" : "3\n1 ");
        if (answer.os_errno == 0)
            bed_wait_down(bed, 60 + i);
        assert_int_equal(bed_processes(bed), 0);
    }
}

/* Somebody else in the pid namespace could reach the host through such a hook. */
static void test_create_hook_needs_pids(void **state)
{
    struct bed_plan plan;
    const char *where = "";
    int fd = -1;

    bed_plan_container(bed, &plan, BED_NO_PID_NAMESPACE, "true");
    add_hook(&plan, CL_WIRE_HOOK_CREATE_CONTAINER, "true", 0);
    assert_int_equal(cl_plan_seal(&plan.plan, plan.fd_count, &fd, &where), -EBADMSG);
    assert_string_equal(where, "hooks");
    bed_plan_clear(&plan);
}

/* Of a blocked init they run when it is started. */
static void test_blocked(void **state)
{
    struct bed_plan plan;
    char output[128];
    int pair[2];

    bed_plan_container(bed, &plan, BED_HOST_USER, "cat /tmp/order");
    bed_plan_fs(&plan, "tmpfs", "/tmp", 0);
    add_hook(&plan, CL_WIRE_HOOK_START_CONTAINER, "echo hook >>/tmp/order", 0);
    assert_int_equal(bed_create(bed, &plan, 40, CL_WIRE_BLOCKED, -1).os_errno, 0);
    bed_plan_process(&plan, "echo exec >>/tmp/order");
    assert_int_equal(bed_exec(bed, &plan, 40, 77, -1).os_errno, 0);
    bed_wait_exit(bed, 77);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(bed_start(bed, 40, pair[1]).os_errno, 0);
    close(pair[1]);
    bed_read_all(pair[0], output, sizeof(output));
    close(pair[0]);
    bed_wait_down(bed, 40);
    assert_string_equal(output, "exec\nhook\n");
}

/* The slip's number: the process in our pid namespace. */
static pid_t wait_point(uint64_t create)
{
    struct pollfd wait = {.fd = bed->sock, .events = POLLIN};
    struct cl_packet packet;
    pid_t pid;

    for (;;) {
        assert_int_equal(poll(&wait, 1, 20000), 1);
        assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
        if (packet.u.head.type == CL_WIRE_POINT)
            break;
        assert_int_not_equal(packet.u.head.type, CL_WIRE_ANSWER);
        cl_packet_clear(&packet);
    }
    assert_int_equal(packet.u.point.create, create);
    assert_int_equal(packet.fd_count, 1);
    pid = cl_slip_read(packet.fds[0]);
    cl_packet_clear(&packet);
    return pid;
}

static int proceed(uint64_t create, int os_errno, const char *detail)
{
    struct cl_wire_proceed message;

    cl_wire_init(&message, CL_WIRE_PROCEED, 0);
    message.create = create;
    message.os_errno = os_errno;
    snprintf(message.detail, sizeof(message.detail), "%s", detail);
    return bed_call(bed, &message).os_errno;
}

static void test_point(void **state)
{
    for (int fails = 0; fails < 2; fails++) {
        struct bed_plan plan;
        struct cl_wire_answer answer;
        char path[64];
        uint64_t create;
        pid_t pid;

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "true");
        plan.plan.head.flags |= CL_WIRE_PLAN_POINT;
        create = bed_send_create(bed, &plan, 50 + (uint64_t)fails, 0, -1);
        pid = wait_point(create);
        snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(proceed(create + 1, 0, ""), ESRCH);
        assert_int_equal(proceed(create, fails ? ENOENT : 0, "because"), 0);
        answer = bed_wait_answer(bed, create);
        assert_int_equal(answer.os_errno, fails ? ENOENT : 0);
        assert_string_equal(answer.step, fails ? "hook" : "");
        assert_string_equal(answer.detail, fails ? "because" : "");
        assert_int_equal(proceed(create, 0, ""), ESRCH);
        if (!fails)
            bed_wait_down(bed, 50);
    }
    assert_int_equal(bed_processes(bed), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_hook),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_no_program),
        cmocka_unit_test(test_create_hook),
        cmocka_unit_test(test_create_hook_leaves_nobody),
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_create_hook_needs_pids),
        cmocka_unit_test(test_point),
    };

    program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
