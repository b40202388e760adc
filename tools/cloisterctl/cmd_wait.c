/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_wait.c - `wait`: how a container's program ends. */
#include "again.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "show.h"
#include "status.h"
#include <stdio.h>

static int wait_for(const struct ctl_context *context, const char *target, cloister_value **ret_result,
                    struct cloister_error *err)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
    int failed = ctl_client_connect(&client, context->socket, err);

    if (failed == 0)
        failed = ctl_client_call_on(&client, "inspect", target, NULL, &sandbox, err);
    /* By its id: another one may have the name after a restart. */
    if (failed == 0 && cl_value_set_cstr(params, "id", cl_value_copy(cl_value_get_cstr(sandbox, "id"))) < 0)
        failed = ctl_no_memory(err);
    return failed < 0 ? failed : ctl_client_ask(&client, context->socket, "wait", params, ret_result, err);
}

static int command_wait(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    int code = ctl_show_options(context, &ctl_command_wait, argc, argv);

    if (code == 0 && optind + 1 != argc)
        code = ctl_misused(context, &ctl_command_wait, CTL_EXIT_OURS, "give one container, by name or id");
    if (code != 0)
        return code;
    int failed = wait_for(context, argv[optind], &result, &err);
    if (failed == 0)
        failed = ctl_status_code(context, "wait", cl_value_get_cstr(result, "status"), &code, &err);
    if (failed == 0 && context->json)
        failed = ctl_show_json(result, false, &err);
    else if (failed == 0)
        (void)printf("%d\n", code);
    return failed < 0 ? ctl_fail(context, "wait", &err, CTL_EXIT_OURS) : code;
}

const struct ctl_command ctl_command_wait = {
    .name = "wait",
    .summary = "wait for the end of a container's program",
    .usage = "cloisterctl wait [--json] NAME\n"
             "\n"
             "Waits until the program of NAME has ended, prints its exit code, and exits with it: as `run` would. A "
             "restart\n"
             "of the daemon does not interrupt it.\n"
             "\n"
             "      --json   how it ended, as a JSON object\n",
    .run = command_wait,
};
