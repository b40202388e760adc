/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that live in the namespaces of another one of their keeper's. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARED ((uint64_t)(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
#define INIT(id) (UINT64_C(id) << 32)

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

/* A container that shares `ns` of container 1, which has a user namespace or not. */
static void plan_guest(struct bed *bed, struct bed_plan *plan, unsigned int flags, uint64_t ns, const char *script)
{
    struct cl_wire_plan *head = &plan->plan.head;

    bed_plan_container(bed, plan, flags & ~(unsigned int)BED_USER_NAMESPACE, script);
    head->ns_new &= ~ns;
    head->join_container = 1;
    head->join_ns = ns;
    head->hostname = 0;
    head->flags &= ~CL_WIRE_PLAN_LOOPBACK;
    if (flags & BED_USER_NAMESPACE)
        head->flags |= CL_WIRE_PLAN_ROOT_IDMAP;
}

static void create_host(struct bed *bed, unsigned int flags, const char *script)
{
    struct bed_plan plan;

    bed_plan_container(bed, &plan, flags, script);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
}

/* Creates container `id`; what it wrote until its end, if it is to be waited for. */
static void create_guest(struct bed *bed, struct bed_plan *plan, uint64_t id, char *text, size_t size)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct cl_wire_answer answer = bed_create(bed, plan, id, 0, ends[1]);

    close(ends[1]);

    if (answer.os_errno != 0)
        fail_msg("step %s: %s (%s)", answer.step, strerror(answer.os_errno), answer.detail);
    if (text)
        bed_read_all(ends[0], text, size);
    close(ends[0]);
}

#define LINKS "for n in user pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done"

static void links_of(struct bed *bed, uint64_t id, uint64_t pseq, char *text, size_t size)
{
    struct bed_plan plan;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    bed_plan_process(&plan, LINKS);
    assert_int_equal(bed_exec(bed, &plan, id, pseq, ends[1]).os_errno, 0);
    close(ends[1]);
    bed_read_all(ends[0], text, size);
    close(ends[0]);
}

/* Which lines of the two are the same, as bits. */
static unsigned int same_lines(const char *one, const char *two)
{
    unsigned int bits = 0;

    for (unsigned int i = 0; *one && *two; i++) {
        size_t a = strcspn(one, "\n"), b = strcspn(two, "\n");

        if (a == b && memcmp(one, two, a) == 0)
            bits |= 1u << i;
        one += a + (one[a] == '\n');
        two += b + (two[b] == '\n');
    }
    return bits;
}

static void test_same_namespaces(void **state)
{
    static const struct {
        const char *name;
        unsigned int flags;
        uint64_t ns;
        unsigned int same; /* user pid net ipc uts mnt cgroup */
    } cases[] = {
        {"net, ipc, uts", BED_HOST_USER, SHARED, 0x1d},
        {"with the user's", BED_USER_NAMESPACE, SHARED, 0x1d},
        {"with pid and cgroup", BED_HOST_USER, SHARED | CLONE_NEWPID | CLONE_NEWCGROUP, 0x5f},
        {"all but mount", BED_USER_NAMESPACE, SHARED | CLONE_NEWPID | CLONE_NEWCGROUP, 0x5f},
        {"one alone", BED_USER_NAMESPACE, CLONE_NEWUSER | CLONE_NEWUTS, 0x11},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed *bed = bed_open(program);
        char host[1024], guest[1024];
        struct bed_plan plan;

        create_host(bed, cases[i].flags, "exec sleep 1000");
        plan_guest(bed, &plan, cases[i].flags, cases[i].ns, "exec sleep 1000");
        create_guest(bed, &plan, 2, NULL, 0);
        links_of(bed, 1, 50, host, sizeof(host));
        links_of(bed, 2, 51, guest, sizeof(guest));
        unsigned int same = same_lines(host, guest);

        if (same != cases[i].same)
            fail_msg("%s: same %#x: %s and %s", cases[i].name, same, host, guest);
        bed_close(bed);
    }
}

/* Each ends alone; what is sent to all of the one does not reach the other, also in one pid namespace. */
static void test_ends_alone(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char text[256];

    create_host(bed, BED_USER_NAMESPACE, "trap '' TERM; while true; do sleep 1; done");
    for (uint64_t id = 2; id <= 3; id++) {
        plan_guest(bed, &plan, BED_USER_NAMESPACE, SHARED | (id == 2 ? CLONE_NEWPID : 0), "exec sleep 1000");
        create_guest(bed, &plan, id, NULL, 0);
    }
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_ALL_BUT_INIT, 1, SIGTERM).os_errno, 0);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 2, 0).os_errno, 0);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_ALL, 2, SIGKILL).os_errno, 0);
    bed_wait_down(bed, 2);
    assert_int_equal(bed_wait_exit(bed, INIT(2)).status, SIGKILL);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, 0).os_errno, 0);
    assert_int_equal(bed_release(bed, INIT(2)).os_errno, 0);
    /* the namespaces are still there to join */
    plan_guest(bed, &plan, BED_USER_NAMESPACE, SHARED, "hostname; exit 4");
    create_guest(bed, &plan, 4, text, sizeof(text));
    assert_string_equal(text, "nest\n");
    assert_int_equal(bed_wait_exit(bed, INIT(4)).status, 4);
    /* without its pid namespace the guest outlives the host */
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, SIGKILL).os_errno, 0);
    bed_wait_down(bed, 1);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 3, 0).os_errno, 0);
}

/* The kernel ends a pid namespace with its first process, guests included. */
static void test_pid_namespace_ends(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    create_host(bed, BED_HOST_USER, "exec sleep 1000");
    plan_guest(bed, &plan, BED_HOST_USER, CLONE_NEWUSER | CLONE_NEWPID, "exec sleep 1000");
    create_guest(bed, &plan, 2, NULL, 0);
    assert_int_equal(bed_signal(bed, CL_WIRE_SCOPE_INIT, 1, SIGKILL).os_errno, 0);
    struct cl_wire_record record = bed_wait_exit(bed, INIT(2));

    assert_int_equal(record.status, SIGKILL);
    assert_true(record.flags & CL_WIRE_RECORD_INIT);
    bed_wait_down(bed, 2);
    bed_wait_down(bed, 1);
}

static void test_nobody_to_join(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    struct cl_wire_answer answer;

    plan_guest(bed, &plan, BED_HOST_USER, SHARED, "true");
    answer = bed_create(bed, &plan, 2, 0, -1);
    assert_int_equal(answer.os_errno, ESRCH);
    assert_string_equal(answer.step, "container");
    create_host(bed, BED_HOST_USER, "exit 0");
    bed_wait_down(bed, 1);
    plan_guest(bed, &plan, BED_HOST_USER, SHARED, "true");
    answer = bed_create(bed, &plan, 2, 0, -1);
    assert_int_equal(answer.os_errno, ESRCH);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_namespaces),
        cmocka_unit_test_setup_teardown(test_ends_alone, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_pid_namespace_ends, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_nobody_to_join, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "cloister-keeper";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
