/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - `run`: make a container, run its program on this terminal, exit as it does. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "parse.h"
#include "process.h"
#include "session.h"
#include "spec.h"
#include <getopt.h>

struct run_flags {
    struct ctl_process_flags process;
    struct ctl_run_options options;
    struct ctl_words layers;
    cloister_value *mounts;
    bool remove;
};

enum {
    OPT_ROOTFS = CTL_OPTION_JSON + 1,
    OPT_LAYER,
    OPT_CGROUP_PARENT,
    OPT_BUNDLE,
    OPT_PROFILE,
    OPT_WRITABLE,
    OPT_MOUNT,
    OPT_NAME,
    OPT_RM,
    OPT_LOG_POLICY,
    OPT_LOG_WINDOW
};

static const struct option long_options[] = {
    {"rootfs", required_argument, NULL, OPT_ROOTFS},
    {"layer", required_argument, NULL, OPT_LAYER},
    {"cgroup-parent", required_argument, NULL, OPT_CGROUP_PARENT},
    {"bundle", required_argument, NULL, OPT_BUNDLE},
    {"profile", required_argument, NULL, OPT_PROFILE},
    {"writable", no_argument, NULL, OPT_WRITABLE},
    CTL_RESOURCES_LONG,
    {"volume", required_argument, NULL, 'v'},
    {"mount", required_argument, NULL, OPT_MOUNT},
    {"hostname", required_argument, NULL, 'h'},
    {"name", required_argument, NULL, OPT_NAME},
    {"rm", no_argument, NULL, OPT_RM},
    {"log-policy", required_argument, NULL, OPT_LOG_POLICY},
    {"log-window", required_argument, NULL, OPT_LOG_WINDOW},
    CTL_PROCESS_LONG,
};

/* Options whose argument is kept as it is. NULL = another one. */
static const char **text_option(struct ctl_run_options *options, int option)
{
    switch (option) {
    case OPT_ROOTFS:
        return &options->rootfs;
    case OPT_CGROUP_PARENT:
        return &options->cgroup_parent;
    case OPT_BUNDLE:
        return &options->bundle;
    case OPT_PROFILE:
        return &options->profile;
    case 'h':
        return &options->hostname;
    case OPT_NAME:
        return &options->name;
    case OPT_LOG_POLICY:
        return &options->log_policy;
    case OPT_LOG_WINDOW:
        return &options->log_window;
    default:
        return ctl_resources_option(&options->resources, option);
    }
}

/* 0, or an exit code. */
static int add_mount(const struct ctl_context *context, struct run_flags *flags, int option)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *mount;
    int failed = option == 'v' ? ctl_parse_volume(optarg, &mount, &err) : ctl_parse_mount(optarg, &mount, &err);

    if (failed == 0 && !flags->mounts)
        flags->mounts = cl_value_new_array();
    if (failed == 0 && cl_value_append(flags->mounts, mount) < 0)
        failed = ctl_no_memory(&err);
    return failed < 0 ? ctl_fail(context, "run", &err, CTL_EXIT_OURS) : 0;
}

/* 0, or an exit code. */
static int take_option(struct ctl_context *context, struct run_flags *flags, int option, char *const *argv)
{
    const char **text = text_option(&flags->options, option);

    if (text)
        *text = optarg;
    else if (option == 'v' || option == OPT_MOUNT)
        return add_mount(context, flags, option);
    else if (option == OPT_LAYER)
        return ctl_words_add(&flags->layers, optarg) < 0
                   ? ctl_misused(context, &ctl_command_run, CTL_EXIT_OURS, "no memory")
                   : 0;
    else if (option == OPT_WRITABLE)
        flags->options.writable = true;
    else if (option == OPT_RM)
        flags->remove = true;
    else
        return ctl_process_option(context, &ctl_command_run, &flags->process, option, long_options, argv);
    return 0;
}

/* What is refused with a bundle, which is taken literally. */
static bool edits_profile(const struct ctl_run_options *options)
{
    return options->profile || options->writable || ctl_resources_any(&options->resources) || options->hostname ||
           options->process.user || options->process.workdir || options->process.env_count || options->mounts;
}

static int parse_flags(struct ctl_context *context, int argc, char **argv, struct run_flags *flags)
{
    struct ctl_run_options *options = &flags->options;
    int option, code = 0;

    while (code == 0 && (option = getopt_long(argc, argv, CTL_PROCESS_SHORT "m:v:h:", long_options, NULL)) != -1)
        code = take_option(context, flags, option, argv);
    if (code == 0)
        code = ctl_process_options_end(context, &ctl_command_run, &flags->process, argc, argv);
    if (code != 0)
        return code;
    options->process = flags->process.options;
    options->mounts = flags->mounts;
    options->layers = flags->layers.items;
    options->layer_count = flags->layers.count;
    options->captured = flags->process.detach;
    options->fed = flags->process.interactive;
    if (!options->captured && (options->log_policy || options->log_window))
        return ctl_misused(context, &ctl_command_run, CTL_EXIT_OURS,
                           "--log-policy and --log-window go with --detach: else the output is ours");
    if (!!options->rootfs + !!options->bundle + (options->layer_count > 0) != 1)
        return ctl_misused(context, &ctl_command_run, CTL_EXIT_OURS,
                           "give either --rootfs DIR or --layer DIR (once or more) or --bundle DIR");
    if (!options->bundle && !options->process.command)
        return ctl_misused(context, &ctl_command_run, CTL_EXIT_OURS,
                           "which program? give it behind --, as in: -- sh -c 'echo hi'");
    if (options->bundle && edits_profile(options))
        return ctl_misused(
            context, &ctl_command_run, CTL_EXIT_OURS,
            "a bundle is taken literally: only --name, --rm, --detach (and its options), --tty, --cgroup-parent "
            "and a command go with --bundle");
    if (flags->process.detach && flags->remove)
        return ctl_misused(context, &ctl_command_run, CTL_EXIT_OURS,
                           "--rm needs somebody who waits; with --detach use `cloisterctl rm`");
    return 0;
}

/* Removes the container after its end. The program's exit code stands; a failure is told. */
static void remove_container(const struct ctl_session *session)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();

    if (cl_value_set_cstr(params, "id", cl_value_new_cstr(session->id)) < 0 ||
        ctl_client_call(session->client, "destroy", cl_steal_ptr(&params), NULL, NULL, &err) < 0)
        (void)ctl_fail(session->context, "run: --rm", &err, 0);
}

static int run_container(struct ctl_context *context, const struct run_flags *flags, struct cloister_error *err,
                         int *ret_code)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    CTL_SESSION_CLEANUP struct ctl_session session = CTL_SESSION_INIT;
    CL_VALUE_CLEANUP cloister_value *params = NULL;
    int failed = ctl_spec_create_params(&flags->options, &params, err);

    if (failed == 0)
        failed = ctl_client_connect(&client, context->socket, err);
    if (failed == 0)
        failed = ctl_session_begin(&session, context, "run", &client, err);
    if (failed == 0)
        failed = ctl_process_run(&session, &flags->process, "create", cl_steal_ptr(&params), NULL, err, ret_code);
    if (failed == 0 && flags->remove && !session.left)
        remove_container(&session);
    return failed;
}

static int command_run(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct run_flags flags = {.remove = false};
    int code = parse_flags(context, argc, argv, &flags);

    if (code == 0 && run_container(context, &flags, &err, &code) < 0)
        code = ctl_fail(context, "run", &err, ctl_session_error_code(&err));
    ctl_process_flags_free(&flags.process);
    ctl_words_free(&flags.layers);
    cl_value_free(flags.mounts);
    return code;
}

const struct ctl_command ctl_command_run = {
    .name = "run",
    .summary = "make a container and run a program in it",
    .usage =
        "cloisterctl run --rootfs DIR [options] -- PROGRAM [ARGUMENTS]\n"
        "       cloisterctl run --bundle DIR [--name NAME] [--rm] [-d] [-- PROGRAM [ARGUMENTS]]\n"
        "\n"
        "Runs PROGRAM in a new container with this terminal's input and output, passes signals on to it, and exits "
        "with\n"
        "its exit code; 128 + N if signal N ended it, 127 if there is no such program, 126 if it cannot be executed, "
        "125\n"
        "if cloister itself failed. A third SIGINT or SIGTERM kills it.\n"
        "\n"
        "      --rootfs DIR       root file system; read-only unless --writable\n"
        "      --layer DIR        instead, and once or more: an overlay of these, the topmost first\n"
        "      --writable         changes are made in --rootfs itself; refused if other users of this machine can "
        "reach "
        "it;\n"
        "                         with --layer they are gone with the container\n"
        "      --profile NAME     installed profile (default, privileged) or, with a slash, a file; default: default\n"
        "      --bundle DIR       OCI bundle: DIR/config.json taken literally\n" CTL_RESOURCES_HELP
        "      --cgroup-parent PATH   where its groups lie, below the daemon's own\n" CTL_USER_HELP
        "  -e, --env NAME=VALUE   or NAME alone: its value here; may be given again\n" CTL_ENV_FILE_HELP
        "  -w, --workdir PATH     current directory of the program\n"
        "      --mount WORDS      type=bind,src=/host/path,dst=/path[,ro] or "
        "type=tmpfs,dst=/path[,size=64m][,mode=1777]\n"
        "  -v, --volume WORDS     SRC:DST[:ro], short for a --mount of type=bind\n"
        "  -h, --hostname NAME    default: the container's name\n"
        "      --name NAME        free again when the container is removed; default: its id\n"
        "      --rm               remove the container when its program has ended\n"
        "  -i, --interactive      without -d it happens anyway: PROGRAM's input is ours\n" CTL_TTY_HELP
        "  -d, --detach           print the id and return; output is kept for `cloisterctl logs` and `attach`, input "
        "is "
        "/dev/null\n"
        "                         or, with -i, what `attach` sends\n"
        "      --log-policy WORD  with -d, what happens to output that nobody reads: drop (the newest window is kept), "
        "block\n"
        "                         (the program waits), discard; default: drop\n"
        "      --log-window SIZE  default: 1m; at most 16m\n"
        "      --json             errors and, with --detach, the answer as JSON objects\n",
    .run = command_run,
};
