/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tar/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct cl_tar_message good(uint32_t kind, uint32_t code)
{
    return (struct cl_tar_message){
        .struct_size = sizeof(struct cl_tar_message), .magic = CL_TAR_MAGIC, .kind = kind, .code = code};
}

static void whole_messages_pass(void **state)
{
    struct cl_tar_message message = good(CL_TAR_READY, CLOISTER_OK);

    assert_int_equal(cl_tar_message_check(&message, sizeof(message)), 0);
    message = good(CL_TAR_FAILED, CLOISTER_INTERNAL);
    assert_int_equal(cl_tar_message_check(&message, sizeof(message)), 0);
    assert_true(sizeof(message) <= 4096); /* PIPE_BUF: it arrives whole */
}

#define CASE(name, change)                                                \
    {                                                                     \
        struct cl_tar_message message = good(CL_TAR_FAILED, CLOISTER_IO); \
        uint64_t size = sizeof(message);                                  \
        change;                                                           \
        if (cl_tar_message_check(&message, size) == 0)                    \
            fail_msg("case '%s' passes", name);                           \
    }

static void others_do_not(void **state)
{
    CASE("short", size--)
    CASE("long", size++)
    CASE("says another size", message.struct_size = 8)
    CASE("magic", message.magic = 0)
    CASE("no kind", message.kind = 0)
    CASE("kind of tomorrow", message.kind = CL_TAR_FAILED + 1)
    CASE("failed without a code", message.code = CLOISTER_OK)
    CASE("done with a code", message.kind = CL_TAR_DONE)
    CASE("code of tomorrow", message.code = CLOISTER_CODE_COUNT)
    CASE("negative errno", message.os_errno = -1)
    CASE("step without end", memset(message.step, 'x', sizeof(message.step)))
    CASE("subject without end", memset(message.subject, 'x', sizeof(message.subject)))
    CASE("text without end", memset(message.text, 'x', sizeof(message.text)))
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages_pass),
        cmocka_unit_test(others_do_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
