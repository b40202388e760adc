/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_exec.c - `exec`: a further program in a container that runs. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "ctl.h"
#include "process.h"
#include "session.h"
#include "spec.h"
#include <getopt.h>
#include <string.h>

struct exec_flags {
    struct ctl_process_flags process;
    const char *target;
    const char *profile;
};

enum { OPT_PROFILE = CTL_OPTION_JSON + 1 };

static const struct option long_options[] = {
    {"profile", required_argument, NULL, OPT_PROFILE},
    CTL_PROCESS_LONG,
};

static int parse_flags(struct ctl_context *context, int argc, char **argv, struct exec_flags *flags)
{
    int option, code = 0;

    while (code == 0 && (option = getopt_long(argc, argv, CTL_PROCESS_SHORT, long_options, NULL)) != -1) {
        if (option == OPT_PROFILE)
            flags->profile = optarg;
        else
            code = ctl_process_option(context, &ctl_command_exec, &flags->process, option, long_options, argv);
    }
    if (code != 0)
        return code;
    if (optind < argc)
        flags->target = argv[optind++];
    /* getopt stopped at NAME, so a "--" behind it is still there. */
    if (optind < argc && strcmp(argv[optind], "--") == 0)
        optind++;
    if (optind >= argc)
        return ctl_misused(context, &ctl_command_exec, CTL_EXIT_OURS,
                           "give the container's name, then -- and the program");
    if (flags->process.detach && flags->process.interactive)
        return ctl_misused(context, &ctl_command_exec, CTL_EXIT_OURS,
                           "--interactive needs somebody at this end; with --detach the program's input is /dev/null");
    if (flags->process.detach && flags->process.options.terminal)
        return ctl_misused(context, &ctl_command_exec, CTL_EXIT_OURS,
                           "--tty needs somebody at this end; with --detach there is nobody");
    return ctl_process_options_end(context, &ctl_command_exec, &flags->process, argc, argv);
}

/* How init was started, from the container's label; else from the profile (the daemon knows no default of its own). */
static int base_process(const struct exec_flags *flags, const cloister_value *sandbox, cloister_value **ret_process,
                        struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *profile = NULL;
    const char *label = cl_value_cstr(cl_value_get_cstr(cl_value_get_cstr(sandbox, "labels"), CTL_LABEL_PROCESS));

    if (label && !flags->profile) {
        int failed = cl_value_parse(cl_sv_cstr(label), NULL, ret_process, NULL, err);
        if (failed < 0)
            cl_error_wrap(err, "label '%s'", CTL_LABEL_PROCESS);
        return failed;
    }
    int failed = ctl_profile_read(flags->profile ? flags->profile : "default", &profile, err);
    if (failed < 0)
        return failed;
    cloister_value *process = cl_value_get_cstr(profile, "process");
    if (!process)
        return cl_error_set(err, CLOISTER_INVALID, 0, "process", NULL, "the profile has no process");
    *ret_process = cl_value_detach(profile, process);
    return 0;
}

static int compose(const struct exec_flags *flags, const cloister_value *sandbox, const char *id,
                   cloister_value **ret_params, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *process = NULL;
    struct ctl_process_options options = flags->process.options;
    int failed = base_process(flags, sandbox, &process, err);

    options.inherit = !flags->profile;
    if (!options.user && options.inherit) /* as its init; without a label that is the profile's */
        options.user = cl_value_cstr(cl_value_get_cstr(cl_value_get_cstr(sandbox, "labels"), CTL_LABEL_USER));
    if (failed == 0)
        failed = ctl_process_edit(process, &options, err);
    if (failed == 0)
        failed = ctl_spec_who(params, options.user, err);
    if (failed == 0 && options.terminal)
        failed = ctl_spec_terminal(params, NULL, 0, err);
    if (failed == 0 && (cl_value_set_cstr(params, "env_from_container", cl_value_new_bool(options.inherit)) < 0 ||
                        cl_value_set_cstr(params, "id", cl_value_new_cstr(id)) < 0 ||
                        cl_value_set_cstr(params, "process", cl_steal_ptr(&process)) < 0))
        failed = ctl_no_memory(err);
    if (failed == 0)
        *ret_params = cl_steal_ptr(&params);
    return failed;
}

static int exec_program(struct ctl_context *context, const struct exec_flags *flags, struct cloister_error *err,
                        int *ret_code)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    CTL_SESSION_CLEANUP struct ctl_session session = CTL_SESSION_INIT;
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
    CL_VALUE_CLEANUP cloister_value *params = NULL;
    int failed = ctl_client_connect(&client, context->socket, err);

    if (failed == 0)
        failed = ctl_client_call_on(&client, "inspect", flags->target, NULL, &sandbox, err);
    if (failed < 0)
        return failed;
    const char *id = cl_value_cstr(cl_value_get_cstr(sandbox, "id"));
    if (!id)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer names no sandbox");
    failed = compose(flags, sandbox, id, &params, err);
    if (failed == 0)
        failed = ctl_session_begin(&session, context, "exec", &client, err);
    if (failed == 0)
        failed = ctl_process_run(&session, &flags->process, "exec", cl_steal_ptr(&params), id, err, ret_code);
    return failed;
}

static int command_exec(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct exec_flags flags = {.target = NULL};
    int code = parse_flags(context, argc, argv, &flags);

    if (code == 0 && exec_program(context, &flags, &err, &code) < 0)
        code = ctl_fail(context, "exec", &err, ctl_session_error_code(&err));
    ctl_process_flags_free(&flags.process);
    return code;
}

const struct ctl_command ctl_command_exec = {
    .name = "exec",
    .summary = "run a further program in a container",
    .usage =
        "cloisterctl exec [options] NAME -- PROGRAM [ARGUMENTS]\n"
        "\n"
        "Runs PROGRAM in the running container NAME (a name or an id), with this terminal's input and output, and with "
        "the\n"
        "capabilities and limits that the container's own program was started with. Exit codes are those of `run`.\n"
        "\n" CTL_USER_HELP "  -e, --env NAME=VALUE   beside the container's own; or NAME alone: its value here; may be "
        "given again\n" CTL_ENV_FILE_HELP "  -w, --workdir PATH     current directory of the program\n"
        "      --profile NAME     take capabilities and limits from this profile instead\n"
        "  -i, --interactive      what happens anyway: PROGRAM's input is ours\n" CTL_TTY_HELP
        "  -d, --detach           print the pid and return; input and output are /dev/null\n"
        "      --json             errors and, with --detach, the answer as JSON objects\n",
    .run = command_exec,
};
