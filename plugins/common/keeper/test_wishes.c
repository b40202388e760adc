/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of version 4: what this keeper cannot do is said by name, and the connection lives; SIGNAL moves first. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FREEZER "/sys/fs/cgroup/freezer"

static const char *program;
static char frozen[96];
static char thawed[96];

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

static void test_unknown_requests(void **state)
{
    static const uint32_t types[] = {CL_WIRE_FILE_PUT};
    union {
        struct cl_wire_head head;
        uint8_t bytes[CL_WIRE_MESSAGE_MAX];
    } message;
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        cl_wire_init(&message, types[i], 0);
        struct cl_wire_answer answer = bed_call(bed, &message);

        if (answer.os_errno != ENOSYS || strcmp(answer.step, "message") != 0 || answer.request != types[i])
            fail_msg("request %u: %d at '%s'", types[i], answer.os_errno, answer.step);
    }
}

/* It is well formed. */
static void test_undoable_plan(void **state)
{
    struct bed *bed = *state;
    uint32_t zero = 0;
    struct bed_plan plan;

    bed_plan_container(bed, &plan, BED_HOST_USER, "true");
    cl_plan_add(&plan.plan, CL_WIRE_LAYERS, &zero);
    plan.plan.head.root_fd = CL_WIRE_NO_FD;
    struct cl_wire_answer answer = bed_create(bed, &plan, 1, 0, -1);

    assert_int_equal(answer.os_errno, ENOSYS);
    assert_string_equal(answer.step, "plan");
    assert_string_equal(answer.detail, "layers");
}

static int write_file(const char *folder, const char *name, const char *text)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = write(fd, text, strlen(text));

    close(fd);
    return n < 0 ? -1 : 0;
}

static int make_groups(void **state)
{
    snprintf(frozen, sizeof(frozen), FREEZER "/cl-keeper-test-%d", getpid());
    snprintf(thawed, sizeof(thawed), FREEZER "/cl-keeper-test-%d-thawed", getpid());
    if (mkdir(frozen, 0755) == 0)
        mkdir(thawed, 0755);
    return open_bed(state);
}

static int remove_groups(void **state)
{
    if (access(frozen, F_OK) == 0)
        write_file(frozen, "freezer.state", "THAWED");
    close_bed(state);
    rmdir(frozen);
    rmdir(thawed);
    return 0;
}

static struct cl_wire_answer signal_moving(struct bed *bed, uint32_t scope, uint64_t target, uint32_t move)
{
    struct cl_wire_signal message;
    char path[160];

    snprintf(path, sizeof(path), "%s/cgroup.procs", thawed);
    int procs = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(procs >= 0);
    cl_wire_init(&message, CL_WIRE_SIGNAL, ++bed->serial);
    message.target = target;
    message.scope = scope;
    message.signal = SIGKILL;
    message.move = move;
    assert_int_equal(cl_wire_send(bed->sock, &message, &procs, 1), 0);
    close(procs);
    return bed_wait_answer(bed, message.head.serial);
}

/* One of a frozen container's processes is killed; its neighbour stays where it is. */
static void test_move(void **state)
{
    struct bed *bed = *state;
    char pid[16];

    if (access(frozen, F_OK) < 0) {
        print_message("skipped: no v1 freezer\n");
        skip();
    }
    bed_start_pause(bed, 1, BED_HOST_USER);
    for (uint64_t pseq = 11; pseq <= 12; pseq++) {
        bed_start_exec(bed, 1, pseq, "exec sleep 1000");
        snprintf(pid, sizeof(pid), "%d", bed->slip_pid);
        assert_int_equal(write_file(frozen, "cgroup.procs", pid), 0);
    }
    assert_int_equal(write_file(frozen, "freezer.state", "FROZEN"), 0);
    assert_int_equal(signal_moving(bed, CL_WIRE_SCOPE_GROUP, 11, 1).os_errno, EBADMSG);
    assert_int_equal(signal_moving(bed, CL_WIRE_SCOPE_PROCESS, 11, 2).os_errno, EBADMSG);
    assert_int_equal(signal_moving(bed, CL_WIRE_SCOPE_PROCESS, 13, 1).os_errno, ESRCH);
    assert_int_equal(signal_moving(bed, CL_WIRE_SCOPE_PROCESS, 11, 1).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 11).status, SIGKILL);
    assert_false(bed_has_exit(bed, 12));
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_PROCESS, 12, 0).os_errno, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unknown_requests, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_undoable_plan, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_move, make_groups, remove_groups),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper wishes", tests, NULL, NULL);
}
