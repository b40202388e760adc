/* SPDX-License-Identifier: Apache-2.0 */
/* The life of containers and processes: exits, order, signals, blocked and pause inits, out of memory, and who is
 * reaped. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keeper/slip.h"

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

static void test_exits(void **state)
{
    static const struct {
        const char *name;
        const char *script;
        uint32_t status;
        uint32_t flags;
    } cases[] = {
        {"zero", "exit 0", 0, 0},
        {"code", "exit 7", 7, 0},
        {"255", "exit 255", 255, 0},
        {"killed", "kill -9 $$", 9, CL_WIRE_RECORD_SIGNAL},
        {"terminated", "kill -15 $$", 15, CL_WIRE_RECORD_SIGNAL},
    };
    static const unsigned int kinds[] = {BED_HOST_USER, BED_USER_NAMESPACE, BED_NO_PID_NAMESPACE,
                                         BED_USER_NAMESPACE | BED_NO_PID_NAMESPACE};
    struct bed *bed = *state;
    char output[256];

    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            int own_pids = !(kinds[k] & BED_NO_PID_NAMESPACE);

            if (own_pids && cases[i].flags)
                continue; /* a pid 1 cannot kill itself: see the exec'ed one below */
            struct cl_wire_record r = bed_run(bed, kinds[k], cases[i].script, output, sizeof(output));

            if (r.status != cases[i].status ||
                r.flags != (cases[i].flags | CL_WIRE_RECORD_INIT | CL_WIRE_RECORD_DRAINED))
                fail_msg("init %s, kind %u: status %u flags %u", cases[i].name, kinds[k], r.status, r.flags);
        }
    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bed_start_exec(bed, 1, 10 + i, cases[i].script);
        struct cl_wire_record r = bed_wait_exit(bed, 10 + i);

        if (r.status != cases[i].status || r.flags != (cases[i].flags | CL_WIRE_RECORD_DRAINED) ||
            r.exit_boot_ns == 0 || r.exit_real_ns == 0)
            fail_msg("exec %s: status %u flags %u", cases[i].name, r.status, r.flags);
    }
}

/* 100 at once: each answer comes before its exit; exits are numbered without a gap. */
static void test_order(void **state)
{
    struct bed *bed = *state;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    for (uint64_t i = 0; i < 100; i++) {
        bed_start_exec(bed, 1, 100 + i, "exit 0");
        uint32_t before = bed->exits_at_answer;

        for (uint32_t k = 0; k < before; k++)
            assert_int_not_equal(bed->exits[k].pseq, 100 + i);
    }
    for (uint64_t i = 0; i < 100; i++)
        bed_wait_exit(bed, 100 + i);
    for (uint32_t i = 0; i < bed->exit_count; i++)
        assert_int_equal(bed->exits[i].order, i + 1);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(bed_release(bed, 100 + i).os_errno, 0);
    assert_int_equal(bed_release(bed, 100).os_errno, ENOENT);
    assert_int_equal(bed_release(bed, UINT64_C(1) << 32).os_errno, EBUSY);
}

static void test_records(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_simple status;
    struct cl_packet packet;
    struct cl_wire_record records[3];

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_start_exec(bed, 1, 10, "exit 3");
    bed_start_exec(bed, 1, 11, "sleep 1000");
    bed_wait_exit(bed, 10);
    cl_wire_init(&status, CL_WIRE_STATUS, 77);
    assert_int_equal(cl_wire_send(bed->sock, &status, NULL, 0), 0);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    assert_int_equal(packet.u.answer.count, 3);
    assert_int_equal(packet.fd_count, 1);
    assert_true(fcntl(packet.fds[0], F_GET_SEALS) & F_SEAL_WRITE);
    assert_int_equal(pread(packet.fds[0], records, sizeof(records), 0), sizeof(records));
    cl_packet_clear(&packet);
    assert_int_equal(records[0].state, CL_WIRE_RUNNING);
    assert_int_equal(records[0].flags, CL_WIRE_RECORD_INIT);
    assert_int_equal(records[1].state, CL_WIRE_EXITED);
    assert_int_equal(records[1].status, 3);
    assert_int_equal(records[2].pseq, 11);
    assert_int_equal(records[2].state, CL_WIRE_RUNNING);
}

static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    bed_read_all(open(path, O_RDONLY | O_CLOEXEC), text, size);
}

/* The number that the keeper knows it by: second of ours, the keeper's and perhaps the container's own. */
static uint32_t inner_pid(pid_t pid)
{
    char text[4096];
    int outer = 0, inner = 0;

    read_proc(pid, "status", text, sizeof(text));
    const char *line = strstr(text, "\nNSpid:");

    assert_non_null(line);
    assert_int_equal(sscanf(line, "\nNSpid: %d %d", &outer, &inner), 2);
    assert_int_equal(outer, pid);
    return (uint32_t)inner;
}

/* The answer's slip tells the process's number in our own pid namespace, while it lives and when nothing of it is left.
 */
static void test_slip(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    struct cl_packet packet;
    char text[512];
    char path[64];

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    bed_send_create(bed, &plan, 1, 0, -1);
    do {
        assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    } while (packet.u.head.type != CL_WIRE_ANSWER);
    assert_int_equal(packet.u.answer.os_errno, 0);
    assert_int_equal(packet.fd_count, 1);
    pid_t pid = cl_slip_read(packet.fds[0]);

    assert_true(pid > 1);
    assert_int_equal(inner_pid(pid), packet.u.answer.pid);
    read_proc(pid, "comm", text, sizeof(text));
    assert_string_equal(text, "test-pause\n");
    snprintf(path, sizeof(path), "/proc/%d/fd/3", pid);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, SIGTERM).os_errno, 0);
    bed_wait_exit(bed, UINT64_C(1) << 32);
    bed_wait_down(bed, 1);
    assert_int_equal(bed_release(bed, UINT64_C(1) << 32).os_errno, 0);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(cl_slip_read(packet.fds[0]), pid);
    cl_packet_clear(&packet);
}

/* What ends at once has a number too: the answer may come when it is reaped. */
static void test_slip_of_the_quick(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    pid_t before = 0;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    for (uint64_t i = 0; i < 200; i++) {
        bed_plan_process(&plan, NULL);
        cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "true", 4);
        struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 100 + i, -1);

        if (answer.os_errno != 0 || bed->slip_pid <= 1 || bed->slip_pid == before)
            fail_msg("exec %llu: (%s, %d), pid %d after %d", (unsigned long long)i, answer.step, answer.os_errno,
                     bed->slip_pid, before);
        before = bed->slip_pid;
    }
    for (uint64_t id = 2; id < 12; id++) {
        int blocked = (id & 1) != 0;

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, NULL);
        cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "true", 4);
        assert_int_equal(bed_create(bed, &plan, id, blocked ? CL_WIRE_BLOCKED : 0, -1).os_errno, 0);
        pid_t pid = bed->slip_pid;

        assert_true(pid > 1);
        if (blocked) {
            assert_int_equal(bed_start(bed, id, 0).os_errno, 0);
            assert_int_equal(bed->slip_pid, pid);
        }
        bed_wait_down(bed, id);
    }
}

static void test_pause(void **state)
{
    struct bed *bed = *state;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_start_exec(bed, 1, 10, "(setsid sh -c 'sleep 0.05' &) ; exit 0");
    bed_wait_exit(bed, 10);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, SIGTERM).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, UINT64_C(1) << 32).status, 0);
    bed_wait_down(bed, 1);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, SIGTERM).os_errno, ESRCH);
}

static void test_blocked(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char output[256];
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "echo started; exit 4");
    assert_int_equal(bed_create(bed, &plan, 1, CL_WIRE_BLOCKED, -1).os_errno, 0);
    assert_int_equal(bed_processes(bed), 1);
    assert_int_equal(bed_start(bed, 1, out[1]).os_errno, 0);
    close(out[1]);
    bed_read_all(out[0], output, sizeof(output));
    assert_string_equal(output, "started\n");
    assert_int_equal(bed_wait_exit(bed, UINT64_C(1) << 32).status, 4);
    bed_wait_down(bed, 1);
    assert_int_equal(bed_start(bed, 1, 0).os_errno, EALREADY);
    assert_int_equal(bed_start(bed, 2, 0).os_errno, ESRCH);

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 4");
    assert_int_equal(bed_create(bed, &plan, 3, CL_WIRE_BLOCKED, -1).os_errno, 0);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 3, SIGTERM).os_errno, 0);
    struct cl_wire_record r = bed_wait_exit(bed, UINT64_C(3) << 32);

    assert_int_equal(r.status, SIGTERM);
    assert_int_equal(r.flags, CL_WIRE_RECORD_INIT | CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_DRAINED);
    bed_wait_down(bed, 3);
}

/* The program goes away between create and start: START says so, and the container is as if it had never been. */
static void test_blocked_fails(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char path[128];

    snprintf(path, sizeof(path), "%s/bin/gone", bed->root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

    close(fd);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, NULL);
    cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, "gone", 4);
    assert_int_equal(bed_create(bed, &plan, 1, CL_WIRE_BLOCKED, -1).os_errno, 0);
    assert_int_equal(unlink(path), 0);
    struct cl_wire_answer answer = bed_start(bed, 1, 0);

    assert_int_equal(answer.os_errno, ENOENT);
    assert_string_equal(answer.step, "exec");
    assert_int_equal(bed_processes(bed), 0);
    assert_int_equal(bed_start(bed, 1, 0).os_errno, ESRCH);
    assert_int_equal(bed->exit_count, 0);
    assert_int_equal(bed->down_count, 0);
}

static void test_signals(void **state)
{
    struct bed *bed = *state;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_start_exec(bed, 1, 10, "sleep 1000");
    bed_start_exec(bed, 1, 11, "trap 'exit 5' USR1; sleep 1000 & wait");
    bed_start_exec(bed, 1, 12, "sleep 1000 & sleep 1000 & wait");
    usleep(50000);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 10, 0).os_errno, 0);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 10, SIGKILL).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 10).status, SIGKILL);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 10, SIGKILL).os_errno, ESRCH);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 11, SIGUSR1).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 11).status, 5);
    assert_int_equal(bed_processes(bed), 5); /* pause, the orphan of 11, and the three of 12 */
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_GROUP, 12, SIGTERM).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 12).status, SIGTERM);
    struct cl_wire_answer answer = bed_signal(bed, CL_WIRE_SCOPE_ALL_BUT_INIT, 1, SIGKILL);

    assert_int_equal(answer.os_errno, 0);
    assert_true(answer.count >= 1);
    for (int i = 0; i < 100 && bed_processes(bed) != 1; i++)
        usleep(10000);
    assert_int_equal(bed_processes(bed), 1);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_ALL, 1, SIGKILL).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, UINT64_C(1) << 32).status, SIGKILL);
    bed_wait_down(bed, 1);
    assert_int_equal(bed_processes(bed), 0);
    assert_int_equal(bed_signal(bed, 9, 1, SIGKILL).os_errno, EINVAL);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 1, 65).os_errno, EINVAL);
}

/* --- with cgroups of our own, in the v1 hierarchies this machine has --- */

#define PIDS_GROUP "/sys/fs/cgroup/pids/cl-K-test"
#define MEMORY_GROUP "/sys/fs/cgroup/memory/cl-K-test"

static void remove_group(const char *path)
{
    for (int i = 0; i < 200 && rmdir(path) < 0 && errno == EBUSY; i++)
        usleep(10000);
}

/* Without a pid namespace: init's exit takes a double-forked, ignoring child along, found by the container's group. */
static void test_group_members(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    if (mkdir(PIDS_GROUP, 0755) < 0 && errno != EEXIST)
        skip();
    bed_plan_container(
        bed, &plan, BED_NO_PID_NAMESPACE,
        "grep -q :pids:/$ /proc/self/cgroup; setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000 & sleep 1000' & exit 6");
    uint32_t join = bed_plan_fd(&plan, open(PIDS_GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC));

    cl_plan_add(&plan.plan, CL_WIRE_CGROUPS, &join);
    plan.plan.head.procs_fd = bed_plan_fd(&plan, open(PIDS_GROUP "/cgroup.procs", O_RDONLY | O_CLOEXEC));
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, UINT64_C(1) << 32).status, 6);
    bed_wait_down(bed, 1);
    assert_int_equal(bed_processes(bed), 0);
    remove_group(PIDS_GROUP);
    assert_int_equal(access(PIDS_GROUP, F_OK), -1);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* A pause init in the group. */
static void plan_in_memory_group(struct bed *bed, struct bed_plan *plan)
{
    bed_plan_container(bed, plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    uint32_t join = bed_plan_fd(plan, open(MEMORY_GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC));

    cl_plan_add(&plan->plan, CL_WIRE_CGROUPS, &join);
    plan->plan.head.oom_kind = CL_WIRE_OOM_V1;
    plan->plan.head.oom_fd = bed_plan_fd(plan, open(MEMORY_GROUP "/memory.oom_control", O_RDONLY | O_CLOEXEC));
}

static void test_out_of_memory(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    if (mkdir(MEMORY_GROUP, 0755) < 0 && errno != EEXIST)
        skip();
    write_file(MEMORY_GROUP "/memory.limit_in_bytes", "1");
    plan_in_memory_group(bed, &plan);
    struct cl_wire_answer answer = bed_create(bed, &plan, 1, 0, -1);

    assert_int_equal(answer.os_errno, ENOMEM);
    assert_string_equal(answer.step, "died");
    write_file(MEMORY_GROUP "/memory.limit_in_bytes", "16777216");
    plan_in_memory_group(bed, &plan);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    for (uint64_t pseq = 10; pseq < 12; pseq++) {
        bed_plan_process(&plan, NULL);
        static const char *const argv[] = {"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"};

        for (size_t i = 0; i < 5; i++)
            cl_plan_add_string(&plan.plan, CL_WIRE_ARGV, argv[i], strlen(argv[i]));
        uint32_t join = bed_plan_fd(&plan, open(MEMORY_GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC));
        cl_plan_add(&plan.plan, CL_WIRE_CGROUPS, &join);
        assert_int_equal(bed_exec(bed, &plan, 1, pseq, -1).os_errno, 0);
        struct cl_wire_record r = bed_wait_exit(bed, pseq);

        assert_int_equal(r.status, SIGKILL);
        assert_int_equal(r.flags, CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_OOM | CL_WIRE_RECORD_DRAINED);
    }
    bed_start_exec(bed, 1, 20, "sleep 1000");
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 20, SIGKILL).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 20).flags, CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_DRAINED);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_ALL, 1, SIGKILL).os_errno, 0);
    bed_wait_down(bed, 1);
    remove_group(MEMORY_GROUP);
    assert_int_equal(access(MEMORY_GROUP, F_OK), -1);
}

/* Orphans of a container without pid namespace are the keeper's: none stays a zombie. */
static void test_orphans(void **state)
{
    struct bed *bed = *state;
    char path[64];
    char text[8192];

    bed_start_pause(bed, 1, BED_NO_PID_NAMESPACE);
    bed_start_exec(bed, 1, 10, "i=0; while test $i -lt 300; do (true &); i=$((i+1)); done; exit 0");
    assert_int_equal(bed_wait_exit(bed, 10).status, 0);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", bed->pid, bed->pid);
    for (int i = 0; i < 100; i++) {
        bed_read_all(open(path, O_RDONLY | O_CLOEXEC), text, sizeof(text));
        if (strchr(text, ' ') == strrchr(text, ' '))
            break;
        usleep(10000);
    }
    assert_ptr_equal(strchr(text, ' '), strrchr(text, ' ')); /* one child: the pause */
}

/* Init dies: what was exec'ed beside it dies with the namespace, is reported, then the container is down. */
static void test_down(void **state)
{
    struct bed *bed = *state;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_start_exec(bed, 1, 10, "sleep 1000");
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, SIGKILL).os_errno, 0);
    bed_wait_down(bed, 1);
    assert_true(bed_has_exit(bed, 10));
    assert_true(bed_has_exit(bed, UINT64_C(1) << 32));
    struct bed_plan plan;

    bed_plan_process(&plan, "exit 0");
    struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 11, -1);

    assert_int_equal(answer.os_errno, ESRCH);
    assert_string_equal(answer.step, "container");
    assert_int_equal(bed_release(bed, UINT64_C(1) << 32).os_errno, 0);
    assert_int_equal(bed_release(bed, 10).os_errno, 0);
    bed_start_pause(bed, 1, BED_USER_NAMESPACE); /* the number is free again */
}

static void test_destroy(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_simple destroy;
    struct pollfd gone = {.fd = bed->pidfd, .events = POLLIN};
    struct cl_packet packet;

    for (uint64_t id = 1; id <= 3; id++)
        bed_start_pause(bed, id, id & 1 ? BED_USER_NAMESPACE : BED_NO_PID_NAMESPACE);
    bed_start_exec(bed, 2, 10, "trap '' TERM; (setsid sleep 1000 &); sleep 1000");
    cl_wire_init(&destroy, CL_WIRE_DESTROY, 0);
    assert_int_equal(bed_call(bed, &destroy).os_errno, 0);
    assert_int_equal(bed->exit_count, 4);
    assert_int_equal(bed->down_count, 3);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), -EPIPE);
    assert_int_equal(poll(&gone, 1, 5000), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exits, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_order, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_records, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_slip, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_slip_of_the_quick, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_pause, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_blocked, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_blocked_fails, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_signals, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_group_members, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_out_of_memory, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_orphans, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_down, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_destroy, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
