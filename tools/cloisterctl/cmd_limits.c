/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_limits.c - `pause`, `resume` and `update`: a container that runs on, in another way. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "each.h"
#include "resources.h"
#include "show.h"
#include "spec.h"
#include <getopt.h>
#include <string.h>

/* ---- pause, resume ---- */

static int ask_each(struct ctl_context *context, const struct ctl_command *command, const char *method, int argc,
                    char **argv)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    int code = ctl_show_options(context, command, argc, argv);

    if (code == 0 && optind >= argc)
        code = ctl_misused(context, command, CTL_EXIT_USAGE, "give a container, by name or id");
    if (code == 0 && !params)
        code = ctl_misused(context, command, CTL_EXIT_FAILED, "no memory");
    const struct ctl_each each = {command, method, params, NULL};
    return code != 0 ? code : ctl_each(context, &each, argv + optind);
}

static int command_pause(struct ctl_context *context, int argc, char **argv)
{
    return ask_each(context, &ctl_command_pause, "freeze", argc, argv);
}

static int command_resume(struct ctl_context *context, int argc, char **argv)
{
    return ask_each(context, &ctl_command_resume, "thaw", argc, argv);
}

/* ---- update ---- */

struct update_flags {
    struct ctl_resource_options options;
    const char *file; /* NULL = none */
    const char *container;
    bool sandbox;
};

static int update_options(struct ctl_context *context, int argc, char **argv, struct update_flags *flags)
{
    enum { OPT_RESOURCES = CTL_OPTION_JSON + 1, OPT_CONTAINER, OPT_SANDBOX };
    static const struct option long_options[] = {CTL_RESOURCES_LONG,
                                                 {"resources", required_argument, NULL, OPT_RESOURCES},
                                                 {"container", required_argument, NULL, OPT_CONTAINER},
                                                 {"sandbox", no_argument, NULL, OPT_SANDBOX},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":m:", long_options, NULL)) != -1) {
        const char **text = ctl_resources_option(&flags->options, option);
        if (text)
            *text = optarg;
        else if (option == OPT_RESOURCES)
            flags->file = optarg;
        else if (option == OPT_CONTAINER)
            flags->container = optarg;
        else if (option == OPT_SANDBOX)
            flags->sandbox = true;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_update, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind + 1 != argc)
        return ctl_misused(context, &ctl_command_update, CTL_EXIT_USAGE, "give one container, by name or id");
    if (!flags->file && !ctl_resources_any(&flags->options))
        return ctl_misused(context, &ctl_command_update, CTL_EXIT_USAGE, "say which limit, as in --memory 64m");
    if (flags->sandbox && flags->container)
        return ctl_misused(context, &ctl_command_update, CTL_EXIT_USAGE, "either --sandbox or --container");
    return 0;
}

static int update_params(const struct update_flags *flags, cloister_value **ret_params, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *resources = flags->file ? NULL : cl_value_new_object();
    int failed = flags->file ? ctl_spec_read_json(flags->file, &resources, err) : 0;

    if (failed == 0 && !resources)
        failed = ctl_no_memory(err);
    if (failed == 0)
        failed = ctl_resources_edit(resources, &flags->options, err);
    if (failed == 0 &&
        (cl_value_set_cstr(params, "resources", cl_steal_ptr(&resources)) < 0 ||
         (flags->sandbox && cl_value_set_cstr(params, "scope", cl_value_new_cstr("sandbox")) < 0) ||
         (flags->container && cl_value_set_cstr(params, "container", cl_value_new_cstr(flags->container)) < 0)))
        failed = cl_error_set(err, CLOISTER_INVALID, 0, NULL, NULL, "this cannot be written as JSON");
    if (failed == 0)
        *ret_params = cl_steal_ptr(&params);
    return failed;
}

static int command_update(struct ctl_context *context, int argc, char **argv)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *params = NULL;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    struct update_flags flags = {.file = NULL};
    int code = update_options(context, argc, argv, &flags);

    if (code != 0)
        return code;
    int failed = update_params(&flags, &params, &err);
    if (failed == 0)
        failed = ctl_client_connect(&client, context->socket, &err);
    if (failed == 0)
        failed = ctl_client_call_on(&client, "update", argv[optind], cl_steal_ptr(&params), &result, &err);
    if (failed == 0 && context->json)
        failed = ctl_show_json(cl_value_get_cstr(result, "limits"), false, &err);
    return failed < 0 ? ctl_fail(context, "update", &err, CTL_EXIT_FAILED) : 0;
}

const struct ctl_command ctl_command_pause = {
    .name = "pause",
    .summary = "let containers stand still",
    .usage =
        "cloisterctl pause [--json] NAME...\n"
        "\n"
        "Every process of each container stands still, in memory, until `resume`; also if the daemon ends. `kill`,\n"
        "`stop` and `rm -f` work meanwhile, `exec` and `cp` are refused.\n"
        "\n"
        "      --json   an object of id and name a line for each that stands still\n",
    .run = command_pause,
};

const struct ctl_command ctl_command_resume = {
    .name = "resume",
    .summary = "let paused containers run on",
    .usage = "cloisterctl resume [--json] NAME...\n"
             "\n"
             "      --json   an object of id and name a line for each that runs again\n",
    .run = command_resume,
};

const struct ctl_command ctl_command_update = {
    .name = "update",
    .summary = "change a container's limits",
    .usage = "cloisterctl update [options] NAME\n"
             "\n"
             "What is not named stays as it is. A limit below what is in use now is refused, and so is all that was\n"
             "asked for with it.\n"
             "\n" CTL_RESOURCES_HELP
             "      --resources FILE   an OCI linux.resources object; - is our input. The options above change it\n"
             "      --container CID    of this container in it; default: main\n"
             "      --sandbox          of all its containers together\n"
             "      --json             all limits in force, as an OCI linux.resources object\n",
    .run = command_update,
};
