/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - cloisterctl, the operator's program: global options, the table of commands, help.
 *
 * It is an ordinary client of the `control` service. It composes OCI specifications (spec.c), talks newline-delimited
 * JSON (client.c) and never needs a right that the socket does not give. Of the daemon's code it links the strict JSON
 * reader, the error object and the string helpers, and nothing else.
 */
#include "core/util/nearest.h"
#include "ctl.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct ctl_command *const commands[] = {
    &ctl_command_run,    &ctl_command_exec,   &ctl_command_ps,     &ctl_command_inspect, &ctl_command_logs,
    &ctl_command_attach, &ctl_command_wait,   &ctl_command_stop,   &ctl_command_kill,    &ctl_command_rm,
    &ctl_command_pause,  &ctl_command_resume, &ctl_command_update, &ctl_command_stats,   &ctl_command_top,
    &ctl_command_cp,     &ctl_command_label,  &ctl_command_events, &ctl_command_plugins, &ctl_command_version,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct ctl_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const struct ctl_context *context, const char *name)
{
    const char *names[COMMANDS];

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *nearest = cl_nearest(cl_sv_cstr(name), names, COMMANDS);
    return ctl_misused(context, NULL, CTL_EXIT_USAGE, "there is no command '%s'%s%s%s", name,
                       nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static void print_help(FILE *out)
{
    (void)fprintf(out, "usage: cloisterctl [--socket PATH | --instance NAME] [--json] COMMAND ...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(out, "  %-9s %s\n\n", "help", "show this, or `help COMMAND`");
    (void)fprintf(out, "  --socket PATH     the daemon's control socket\n"
                       "  --instance NAME   the one of /run/cloister/NAME; default: default\n"
                       "  --json            answers and errors for programs; may also stand behind COMMAND\n");
}

static int command_help(const struct ctl_context *context, const char *name)
{
    const struct ctl_command *command = name ? find_command(name) : NULL;

    if (name && !command)
        return unknown_command(context, name);
    if (!command)
        print_help(stdout);
    else
        (void)printf("usage: %s", command->usage);
    return 0;
}

/* 0, or an exit code. */
static int set_instance(const struct ctl_context *context, const char *instance, char *path, size_t size)
{
    size_t length = strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (length == 0 || instance[length] || length > 32)
        return ctl_misused(context, NULL, CTL_EXIT_USAGE, "'%s' is not an instance name: 1 to 32 of a-z, 0-9, -",
                           instance);
    (void)snprintf(path, size, "/run/cloister/%s/control.sock", instance);
    return 0;
}

static int run_command(struct ctl_context *context, int argc, char **argv)
{
    const struct ctl_command *command = find_command(argv[0]);

    if (strcmp(argv[0], "help") == 0)
        return command_help(context, argv[1]);
    if (!command)
        return unknown_command(context, argv[0]);
    /* -h with more behind it is an option of the command's own. */
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || (argc == 2 && strcmp(argv[1], "-h") == 0)))
        return command_help(context, argv[0]);
    optind = 0; /* getopt begins anew, with the command's own options */
    return command->run(context, argc, argv);
}

struct global_flags {
    const char *socket;
    const char *instance;
    bool help;
};

/* Up to the command. 0, or an exit code. */
static int global_options(struct ctl_context *context, int argc, char **argv, struct global_flags *flags)
{
    enum { OPT_SOCKET = CTL_OPTION_JSON + 1, OPT_INSTANCE };
    static const struct option long_options[] = {{"socket", required_argument, NULL, OPT_SOCKET},
                                                 {"instance", required_argument, NULL, OPT_INSTANCE},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
        if (option == OPT_SOCKET)
            flags->socket = optarg;
        else if (option == OPT_INSTANCE)
            flags->instance = optarg;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else if (option == 'h')
            flags->help = true;
        else
            return ctl_bad_option(context, NULL, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (flags->socket && flags->instance)
        return ctl_misused(context, NULL, CTL_EXIT_USAGE, "either --socket or --instance");
    return 0;
}

int main(int argc, char **argv)
{
    char instance_path[64];
    struct ctl_context context = {.socket = instance_path, .json = false};
    struct global_flags flags = {NULL, NULL, false};
    int code = global_options(&context, argc, argv, &flags);

    if (code == 0 && flags.socket)
        context.socket = flags.socket;
    else if (code == 0)
        code =
            set_instance(&context, flags.instance ? flags.instance : "default", instance_path, sizeof(instance_path));
    if (code != 0)
        return code;
    if (flags.help)
        return command_help(&context, NULL);
    if (optind >= argc) {
        print_help(stderr);
        return CTL_EXIT_USAGE;
    }
    code = run_command(&context, argc - optind, argv + optind);
    if (fflush(stdout) != 0 && code == 0) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        (void)cl_error_set(&err, CLOISTER_IO, errno, NULL, "write", "write");
        return ctl_fail(&context, NULL, &err, CTL_EXIT_FAILED);
    }
    return code;
}
