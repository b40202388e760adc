/* SPDX-License-Identifier: Apache-2.0 */
/* again.c - see again.h. */
#include "again.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/time.h"
#include "ctl.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define PATIENCE_NS (60 * CL_NS_PER_S)
#define PAUSE_NS (50 * CL_NS_PER_MS)

int ctl_client_again(struct ctl_client *client, const char *path, struct cloister_error *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    uint64_t deadline = cl_mono_ns() + PATIENCE_NS;

    ctl_client_close(client);
    for (;;) {
        cl_error_clear(err);
        int failed = ctl_client_connect(client, path, err);
        if (failed == 0 || (failed != -ENOENT && failed != -ECONNREFUSED && failed != -EAGAIN))
            return failed;
        if (cl_mono_ns() > deadline) {
            cl_error_wrap(err, "no daemon has come back for a minute");
            return failed;
        }
        (void)nanosleep(&pause, NULL);
    }
}

bool ctl_is_away(int failed, const struct cloister_error *err)
{
    return failed < 0 && err->code == CLOISTER_IO;
}

bool ctl_message_drains(const cloister_value *message)
{
    const char *code = cl_value_cstr(cl_value_get_cstr(cl_value_get_cstr(message, "error"), "code"));

    return code && strcmp(code, "draining") == 0;
}

int ctl_client_ask(struct ctl_client *client, const char *path, const char *method, const cloister_value *params,
                   cloister_value **ret_result, struct cloister_error *err)
{
    for (;;) {
        CL_VALUE_CLEANUP cloister_value *message = NULL;
        cloister_value *copy = cl_value_copy(params);
        uint64_t id = 0;
        int failed = copy ? ctl_client_send(client, method, copy, NULL, &id, err) : ctl_no_memory(err);
        if (failed == 0)
            failed = ctl_client_await(client, id, &message, err);
        if (failed == 0 && !ctl_message_drains(message))
            return ctl_message_result(message, ret_result, err);
        if (failed < 0 && !ctl_is_away(failed, err))
            return failed;
        failed = ctl_client_again(client, path, err);
        if (failed < 0)
            return failed;
    }
}
