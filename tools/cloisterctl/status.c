/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - see status.h. */
#include "status.h"
#include <errno.h>
#include <string.h>

int ctl_status_code(const struct ctl_context *context, const char *command, const cloister_value *status, int *ret_code,
                    struct cloister_error *err)
{
    struct cloister_error told = CLOISTER_ERROR_INIT;
    const char *kind = cl_value_cstr(cl_value_get_cstr(status, "kind"));
    uint64_t number = 0;
    bool oom = false;

    (void)cl_value_bool(cl_value_get_cstr(status, "oom"), &oom);
    if (kind && strcmp(kind, "exited") == 0 && cl_value_u64(cl_value_get_cstr(status, "code"), &number) == 0 &&
        number <= 255) {
        *ret_code = (int)number;
        return 0;
    }
    if (kind && strcmp(kind, "signaled") == 0 && cl_value_u64(cl_value_get_cstr(status, "signal"), &number) == 0 &&
        number >= 1 && number <= 64) {
        *ret_code = CTL_EXIT_SIGNAL + (int)number;
        if (!oom)
            return 0;
        (void)cl_error_set(&told, CLOISTER_LIMIT, 0, "memory", NULL, "killed: the container ran out of memory");
        (void)ctl_fail(context, command, &told, 0);
        return 0;
    }
    if (kind && strcmp(kind, "lost") == 0) {
        (void)cl_error_set(&told, CLOISTER_LOST, 0, NULL, NULL,
                           "the container was lost: its keeper died, nobody saw how the program ended");
        *ret_code = ctl_fail(context, command, &told, CTL_EXIT_OURS);
        return 0;
    }
    (void)cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL,
                       "the daemon sent a status that this program does not know");
    return -EPROTO;
}
