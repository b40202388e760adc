/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of version 4: what this keeper cannot do is said by name, and the connection lives. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unknown_requests, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_undoable_plan, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper wishes", tests, NULL, NULL);
}
