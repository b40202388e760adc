/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling, priority for disks and execution domain, of an init and of a further process, as the process sees them.
 */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include <cmocka.h>

#define LEVEL(class, level) ((class) << 13 | (level))

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

/* Class and level for disks; niceness, real-time priority and policy of the shell and of a child; machine. */
static const char script[] = "busybox ionice; read x </proc/self/stat; set -- $x; echo ${19} ${40} ${41};"
                             "set -- $(cat /proc/self/stat); echo ${19} ${40} ${41}; busybox uname -m";

static const struct {
    const char *name;
    struct cl_wire_plan head; /* flags and what they are about */
    int nice;
    const char *output;
} cases[] = {
    {"none", {.flags = 0}, 0, "none: prio 0\n0 0 0\n0 0 0\nx86_64\n"},
    {"best effort",
     {.flags = CL_WIRE_PLAN_IO_PRIORITY, .io_priority = LEVEL(2, 6)},
     0,
     "best-effort: prio 6\n0 0 0\n0 0 0\nx86_64\n"},
    {"real-time disk",
     {.flags = CL_WIRE_PLAN_IO_PRIORITY, .io_priority = LEVEL(1, 3)},
     0,
     "realtime: prio 3\n0 0 0\n0 0 0\nx86_64\n"},
    {"batch",
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_BATCH, .nice = 7}},
     0,
     "none: prio 0\n7 0 3\n7 0 3\nx86_64\n"},
    {"the call's niceness",
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_OTHER}},
     4,
     "none: prio 0\n4 0 0\n4 0 0\nx86_64\n"},
    {"fifo, not for children",
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_FIFO, .priority = 9, .flags = 1 /* reset on fork */}},
     0,
     "none: prio 0\n0 9 1\n0 0 0\nx86_64\n"},
    {"32 bits",
     {.flags = CL_WIRE_PLAN_PERSONALITY, .personality = PER_LINUX32},
     0,
     "none: prio 0\n0 0 0\n0 0 0\ni686\n"},
};

static void wish(struct cl_plan *plan, size_t i)
{
    plan->head.flags |= cases[i].head.flags;
    plan->head.io_priority = cases[i].head.io_priority;
    plan->head.sched = cases[i].head.sched;
    plan->head.personality = cases[i].head.personality;
    plan->head.nice = cases[i].nice;
}

static void check(const char *output, size_t i, const char *where)
{
    if (strcmp(output, cases[i].output) != 0)
        fail_msg("%s, %s: %s", cases[i].name, where, output);
}

static void test_init(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int user = 0; user < 2; user++) {
            struct bed_plan plan;
            char output[256];

            bed_plan_container(bed, &plan, user ? BED_USER_NAMESPACE : BED_HOST_USER, script);
            wish(&plan.plan, i);
            bed_run_plan(bed, &plan, output, sizeof(output));
            check(output, i, user ? "in a user namespace" : "as host user");
        }
    }
}

static void test_exec(void **state)
{
    bed_start_pause(bed, 50, BED_USER_NAMESPACE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t pseq = 1000 + i;
        struct bed_plan plan;
        char output[256];
        int pair[2];

        bed_plan_process(&plan, script);
        wish(&plan.plan, i);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_int_equal(bed_exec(bed, &plan, 50, pseq, pair[1]).os_errno, 0);
        close(pair[1]);
        bed_read_all(pair[0], output, sizeof(output));
        close(pair[0]);
        bed_wait_exit(bed, pseq);
        check(output, i, "exec");
    }
}

/* What the kernel refuses comes back with the step, and why it may be. */
static void test_refused(void **state)
{
    static const struct {
        struct cl_wire_sched sched;
        const char *detail;
    } refused[] = {
        {{.policy = SCHED_FIFO}, "SCHED_FIFO"},
        {{.policy = SCHED_DEADLINE, .runtime = 9, .deadline = 8, .period = 10}, "SCHED_DEADLINE"},
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct bed_plan plan;
        struct cl_wire_answer answer;

        bed_plan_container(bed, &plan, BED_HOST_USER, "true");
        plan.plan.head.flags |= CL_WIRE_PLAN_SCHEDULER;
        plan.plan.head.sched = refused[i].sched;
        answer = bed_create(bed, &plan, 60 + i, 0, -1);
        if (answer.os_errno == 0 || strcmp(answer.step, "scheduler") != 0 ||
            strcmp(answer.detail, refused[i].detail) != 0)
            fail_msg("%s: %d at '%s': '%s'", refused[i].detail, answer.os_errno, answer.step, answer.detail);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_refused),
    };

    program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
