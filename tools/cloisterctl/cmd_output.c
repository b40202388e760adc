/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_output.c - `logs` and `attach`: what a container's program writes. */
#include "core/error/error.h"
#include "core/util/sv.h"
#include "ctl.h"
#include "follow.h"
#include "status.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_tape(struct ctl_follow *follow, uint32_t fd)
{
    follow->tapes[follow->tape_count++] = (struct ctl_tape){.fd = fd, .out = (int)fd, .socket = -1};
}

struct logs_flags {
    bool follow;
    bool out;
    bool err;
};

static int logs_options(struct ctl_context *context, int argc, char **argv, struct logs_flags *flags)
{
    enum { OPT_STDOUT = CTL_OPTION_JSON + 1, OPT_STDERR };
    static const struct option long_options[] = {{"follow", no_argument, NULL, 'f'},
                                                 {"stdout", no_argument, NULL, OPT_STDOUT},
                                                 {"stderr", no_argument, NULL, OPT_STDERR},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":f", long_options, NULL)) != -1) {
        if (option == 'f')
            flags->follow = true;
        else if (option == OPT_STDOUT)
            flags->out = true;
        else if (option == OPT_STDERR)
            flags->err = true;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_logs, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind + 1 != argc)
        return ctl_misused(context, &ctl_command_logs, CTL_EXIT_USAGE, "give one container, by name or id");
    return 0;
}

static int command_logs(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ctl_follow follow = {
        .context = context, .from = "oldest", .client = CTL_CLIENT_INIT, .feed = {.over = true, .socket = -1}};
    struct logs_flags flags = {false, false, false};
    int code = logs_options(context, argc, argv, &flags);

    if (code != 0)
        return code;
    follow.on = flags.follow;
    if (flags.out || !flags.err)
        add_tape(&follow, STDOUT_FILENO);
    if (flags.err || !flags.out)
        add_tape(&follow, STDERR_FILENO);
    if (ctl_follow(&follow, argv[optind], &err) < 0)
        code = ctl_fail(context, "logs", &err, CTL_EXIT_FAILED);
    ctl_follow_end(&follow);
    return code;
}

struct attach_flags {
    const char *from;
    bool no_stdin;
};

static int attach_options(struct ctl_context *context, int argc, char **argv, struct attach_flags *flags)
{
    enum { OPT_NO_STDIN = CTL_OPTION_JSON + 1, OPT_FROM };
    static const struct option long_options[] = {{"no-stdin", no_argument, NULL, OPT_NO_STDIN},
                                                 {"from", required_argument, NULL, OPT_FROM},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (option == OPT_NO_STDIN)
            flags->no_stdin = true;
        else if (option == OPT_FROM)
            flags->from = optarg;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_attach, CTL_EXIT_OURS, option, long_options, argv);
    }
    if (optind + 1 != argc)
        return ctl_misused(context, &ctl_command_attach, CTL_EXIT_OURS, "give one container, by name or id");
    if (strcmp(flags->from, "live") != 0 && strcmp(flags->from, "oldest") != 0)
        return ctl_misused(context, &ctl_command_attach, CTL_EXIT_OURS, "--from is live or oldest");
    return 0;
}

static int command_attach(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ctl_follow follow = {
        .context = context, .on = true, .waits = true, .client = CTL_CLIENT_INIT, .feed = {.socket = -1}};
    struct ctl_terminal terminal = CTL_TERMINAL_INIT;
    struct attach_flags flags = {"live", false};
    int code = attach_options(context, argc, argv, &flags);

    if (code != 0)
        return code;
    follow.from = flags.from;
    follow.feed.over = flags.no_stdin;
    add_tape(&follow, STDOUT_FILENO);
    add_tape(&follow, STDERR_FILENO);
    if (!flags.no_stdin)
        follow.offered = &terminal;
    int failed = ctl_follow(&follow, argv[optind], &err);
    ctl_terminal_end(&terminal);
    if (failed == 0 && follow.feed.detach.done)
        (void)fputs("\n", stderr); /* the program's line is not ours */
    else if (failed == 0)
        failed = ctl_status_code(context, "attach", follow.status, &code, &err);
    if (failed < 0)
        code = ctl_fail(context, "attach", &err, CTL_EXIT_OURS);
    ctl_follow_end(&follow);
    return code;
}

const struct ctl_command ctl_command_logs = {
    .name = "logs",
    .summary = "show what a container's program has written",
    .usage =
        "cloisterctl logs [-f] [--stdout | --stderr] [--json] NAME\n"
        "\n"
        "Copies what the program of NAME has written, and is still kept, to standard output and standard error. The\n"
        "container must have been started with `run -d`. A restart of the daemon does not interrupt it.\n"
        "\n"
        "  -f, --follow   go on until the program's output ends\n"
        "      --stdout   only standard output\n"
        "      --stderr   only standard error\n"
        "      --json     errors as JSON objects\n",
    .run = command_logs,
};

const struct ctl_command ctl_command_attach = {
    .name = "attach",
    .summary = "be at the other end of a detached container",
    .usage =
        "cloisterctl attach [--no-stdin] [--from live | oldest] [--json] NAME\n"
        "\n"
        "Copies what the program of NAME writes from now on, sends it our input (if it was started with `run -d -i`),\n"
        "and exits as it does. Interrupting this leaves the program alone. A restart of the daemon does not interrupt\n"
        "the output; input that is on its way just then may be lost. If it was started with `run -d -t` every key "
        "typed\n"
        "here is its own; ^P ^Q leaves it alone.\n"
        "\n"
        "      --no-stdin    do not send our input\n"
        "      --from WORD   oldest: begin with what is still kept; default: live\n"
        "      --json        errors as JSON objects\n",
    .run = command_attach,
};
