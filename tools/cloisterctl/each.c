/* SPDX-License-Identifier: Apache-2.0 */
/* each.c - see each.h. */
#include "each.h"
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "show.h"
#include <string.h>

/* {"id", "name"} of a container, for programs. */
static int identify(struct ctl_client *client, const char *name, cloister_value **ret_identity,
                    struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
    CL_VALUE_CLEANUP cloister_value *identity = cl_value_new_object();
    int failed = ctl_client_call_on(client, "inspect", name, NULL, &sandbox, err);

    if (failed < 0)
        return failed;
    if (cl_value_set_cstr(identity, "id", cl_value_copy(cl_value_get_cstr(sandbox, "id"))) < 0 ||
        cl_value_set_cstr(identity, "name", cl_value_copy(cl_value_get_cstr(sandbox, "name"))) < 0)
        return ctl_no_memory(err);
    *ret_identity = cl_steal_ptr(&identity);
    return 0;
}

/* By its id, so that what is printed is what was meant. */
static int ask_for_program(struct ctl_client *client, const char *method, const char *name, cloister_value *params,
                           struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *owned = params;
    CL_VALUE_CLEANUP cloister_value *identity = NULL;
    int failed = identify(client, name, &identity, err);

    if (failed == 0 && cl_value_set_cstr(owned, "id", cl_value_copy(cl_value_get_cstr(identity, "id"))) < 0)
        failed = ctl_no_memory(err);
    if (failed == 0)
        failed = ctl_client_call(client, method, cl_steal_ptr(&owned), NULL, NULL, err);
    return failed < 0 ? failed : ctl_show_json(identity, false, err);
}

/* Of one that the daemon could not make out nobody can say that it runs. */
static bool is_unknown(struct ctl_client *client, const char *name)
{
    struct cloister_error ignored = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;

    return ctl_client_call_on(client, "inspect", name, NULL, &sandbox, &ignored) == 0 &&
           strcmp(ctl_show_text(sandbox, "state"), "unknown") == 0;
}

static int ask(const struct ctl_context *context, struct ctl_client *client, const struct ctl_each *each,
               const char *name, struct cloister_error *err)
{
    cloister_value *params = cl_value_copy(each->params);
    int failed;

    if (!params)
        failed = ctl_no_memory(err);
    else if (context->json)
        failed = ask_for_program(client, each->method, name, params, err);
    else
        failed = ctl_client_call_on(client, each->method, name, params, NULL, err);
    if (failed < 0 && err->code == CLOISTER_INVALID_STATE && each->if_busy && !is_unknown(client, name))
        (void)cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "'%s' %s", name, each->if_busy);
    return failed;
}

/* Goes through all names, also after a failure; the exit code tells whether there was one. */
int ctl_each(const struct ctl_context *context, const struct ctl_each *each, char *const *names)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int code = 0;

    if (ctl_client_connect(&client, context->socket, &err) < 0)
        return ctl_fail(context, each->command->name, &err, CTL_EXIT_FAILED);
    for (; *names; names++) {
        cl_error_clear(&err);
        if (ask(context, &client, each, *names, &err) == 0)
            continue;
        cl_error_subject(&err, cl_sv_cstr(*names));
        code = ctl_fail(context, each->command->name, &err, CTL_EXIT_FAILED);
    }
    return code;
}
