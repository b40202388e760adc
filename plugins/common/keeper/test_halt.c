/* SPDX-License-Identifier: Apache-2.0 */
/* Every step that the keeper names can be made the last thing that happens, before it and after it; what stands still
 * is killed without a trace. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 128

static const char *program;

struct steps {
    char name[STEPS_MAX][48]; /* "create mount" */
    size_t count;
};

static void load_steps(struct steps *steps)
{
    char command[512];

    snprintf(command, sizeof(command), "'%s' steps", program);
    FILE *out = popen(command, "re");

    assert_non_null(out);
    memset(steps, 0, sizeof(*steps));
    while (steps->count < STEPS_MAX && fgets(steps->name[steps->count], 48, out) != NULL) {
        steps->name[steps->count][strcspn(steps->name[steps->count], "\n")] = '\0';
        steps->count++;
    }
    assert_int_equal(pclose(out), 0);
    assert_true(steps->count > 60 && steps->count < STEPS_MAX);
}

static int is_keepers(const char *step, int after)
{
    static const char *const own[] = {"fork", "slip", "prepare", "own-pipes"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(step, own[i]) == 0)
            return 1;
    return after && strcmp(step, "exec") == 0;
}

static uint64_t send_halting(struct bed *bed, int create, const char *step, int after)
{
    struct bed_plan plan;

    if (create)
        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
    else
        bed_plan_process(&plan, "exit 0");
    plan.plan.head.stop_when = after ? 4 : 3;
    plan.plan.head.stop_step = cl_plan_cstring(&plan.plan, step);
    return create ? bed_send_create(bed, &plan, 2, 0, -1) : bed_send_exec(bed, &plan, 1, 10, -1);
}

static void cancel(struct bed *bed, uint64_t serial, const char *name)
{
    struct cl_wire_cancel message;

    cl_wire_init(&message, CL_WIRE_CANCEL, 0);
    message.target = serial;
    assert_int_equal(bed_call(bed, &message).os_errno, 0);
    struct cl_wire_answer answer = bed_wait_answer(bed, serial);

    if (answer.os_errno != ECANCELED || bed_processes(bed) != 1)
        fail_msg("%s: answer %d, %d processes", name, answer.os_errno, bed_processes(bed));
}

/* The keeper itself stands still: it answers nothing, and its death is the end of all. */
static void kill_keeper(struct bed *bed, const char *name)
{
    struct cl_wire_simple status;
    struct pollfd quiet = {.fd = bed->sock, .events = POLLIN};

    cl_wire_init(&status, CL_WIRE_STATUS, 3);
    assert_int_equal(cl_wire_send(bed->sock, &status, NULL, 0), 0);
    if (poll(&quiet, 1, 20) != 0)
        fail_msg("%s: the keeper goes on", name);
    bed_listen(bed);
    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
}

static void halt_at(struct bed *bed, const char *name, int after)
{
    int create = strncmp(name, "create ", 7) == 0;
    const char *step = strchr(name, ' ') + 1;
    char word[64];

    snprintf(word, sizeof(word), "%s %s", step, after ? "after" : "before");
    bed->warning_count = 0;
    uint64_t serial = send_halting(bed, create, step, after);

    bed_wait_warning(bed, word);
    assert_string_equal(bed->warnings[bed->warning_count - 1], word);
    if (is_keepers(step, after))
        kill_keeper(bed, name);
    else
        cancel(bed, serial, name);
}

static void test_halts(void **state)
{
    struct bed *bed = bed_open(program);
    struct steps steps;

    load_steps(&steps);
    bed_listen(bed);
    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    for (size_t i = 0; i < steps.count; i++)
        for (int after = 0; after < 2; after++)
            halt_at(bed, steps.name[i], after);
    assert_int_equal(bed->exit_count, 0);
    bed_close(bed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_halts)};

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper halts", tests, NULL, NULL);
}
