/* SPDX-License-Identifier: Apache-2.0 */
/* Further descriptors of a process: exactly those, at exactly these numbers, and nothing else is open. */
#include "common/keeper/test_bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const struct cl_wire_stdio nothing[3] = {
    {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}};
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

/* The numbers, 0 behind the last; each descriptor is named after its number. */
static const struct {
    const char *name;
    uint32_t numbers[CL_WIRE_EXTRA_MAX + 1];
} sets[] = {
    {"one", {3}},
    {"far apart", {1000, 3, 7}},
    {"where ours may be", {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}},
    {"the same, backwards", {20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3}},
};

static void add(struct bed_plan *plan, const uint32_t *numbers, struct cl_wire_memo *memo)
{
    memset(memo, 0, sizeof(*memo));
    for (uint32_t i = 0; numbers[i] != 0; i++) {
        char name[32];

        snprintf(name, sizeof(name), "extra-%u", numbers[i]);
        memo->extra[memo->extra_count++] =
            (struct cl_wire_extra){.number = numbers[i], .fd = bed_plan_fd(plan, memfd_create(name, MFD_CLOEXEC))};
    }
}

static uint32_t count_descriptors(pid_t pid)
{
    char path[64];
    uint32_t count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void look(const char *name, pid_t pid, const struct cl_wire_memo *memo)
{
    char path[64];
    char link[128];
    char expected[64];

    for (uint32_t i = 0; i < memo->extra_count; i++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, memo->extra[i].number);
        snprintf(expected, sizeof(expected), "/memfd:extra-%u (deleted)", memo->extra[i].number);
        ssize_t n = readlink(path, link, sizeof(link) - 1);

        link[n < 0 ? 0 : n] = '\0';
        if (strcmp(link, expected) != 0)
            fail_msg("%s: %u is '%s'", name, memo->extra[i].number, link);
    }
    if (count_descriptors(pid) != 3 + memo->extra_count)
        fail_msg("%s: %u are open, not %u", name, count_descriptors(pid), 3 + memo->extra_count);
}

static void test_exec(void **state)
{
    struct bed *bed = *state;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        struct cl_wire_memo memo;
        struct bed_plan plan;

        bed_plan_process(&plan, "exec sleep 1000");
        add(&plan, sets[i].numbers, &memo);
        bed->stdio = nothing;
        bed->memo = &memo;
        struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 10 + i, -1);

        if (answer.os_errno != 0)
            fail_msg("%s: %d at '%s', %s", sets[i].name, answer.os_errno, answer.step, answer.detail);
        look(sets[i].name, bed->slip_pid, &memo);
    }
}

static void test_terminal(void **state)
{
    static const struct cl_wire_stdio terminal[3] = {{CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD},
                                                     {CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD},
                                                     {CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD}};
    struct bed *bed = *state;
    struct cl_wire_memo memo;
    struct bed_plan plan;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_plan_process(&plan, "exec sleep 1000");
    plan.plan.head.flags |= CL_WIRE_PLAN_TERMINAL;
    add(&plan, sets[2].numbers, &memo);
    bed->stdio = terminal;
    bed->memo = &memo;
    assert_int_equal(bed_exec(bed, &plan, 1, 11, -1).os_errno, 0);
    look("terminal", bed->slip_pid, &memo);
}

/* They wait with a blocked init; START brings none. */
static void test_create(void **state)
{
    struct bed *bed = *state;

    for (size_t i = 0; i < 2 * sizeof(sets) / sizeof(sets[0]); i++) {
        int block = i % 2 != 0;
        struct cl_wire_memo memo;
        struct bed_plan plan;

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exec sleep 1000");
        add(&plan, sets[i / 2].numbers, &memo);
        bed->stdio = nothing;
        bed->memo = &memo;
        assert_int_equal(bed_create(bed, &plan, 10 + i, block ? CL_WIRE_BLOCKED : 0, -1).os_errno, 0);
        pid_t pid = bed->slip_pid;

        if (block) {
            bed->memo = &memo;
            assert_int_equal(bed_start(bed, 10 + i, -1).os_errno, EBADMSG);
            assert_int_equal(bed_start(bed, 10 + i, -1).os_errno, 0);
        }
        look(sets[i / 2].name, pid, &memo);
    }
}

static void test_refused(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_memo memo;
    struct bed_plan plan;

    bed_plan_container(bed, &plan, BED_PAUSE, NULL);
    add(&plan, sets[0].numbers, &memo);
    bed->memo = &memo;
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, EBADMSG); /* a pause has nothing but 0, 1 and 2 */
    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_plan_process(&plan, "true");
    add(&plan, sets[0].numbers, &memo);
    memo.extra[0].fd = 1;
    bed->memo = &memo;
    assert_int_equal(bed_exec(bed, &plan, 1, 11, -1).os_errno, EBADMSG);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exec, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_terminal, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_create, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_refused, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper extra descriptors", tests, NULL, NULL);
}
