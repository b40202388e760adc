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
    &ctl_command_run, &ctl_command_exec,   &ctl_command_ps,      &ctl_command_inspect, &ctl_command_kill,
    &ctl_command_rm,  &ctl_command_events, &ctl_command_plugins, &ctl_command_version,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct ctl_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS];

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *nearest = cl_nearest(cl_sv_cstr(name), names, COMMANDS);
    (void)fprintf(stderr, "cloisterctl: there is no command '%s'", name);
    if (nearest)
        (void)fprintf(stderr, "; did you mean '%s'?", nearest);
    (void)fprintf(stderr, " (see `cloisterctl help`)\n");
    return CTL_EXIT_USAGE;
}

static void print_help(FILE *out)
{
    (void)fprintf(out, "usage: cloisterctl [--socket PATH | --instance NAME] [--json] COMMAND ...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(out, "  %-9s %s\n\n", "help", "show this, or `help COMMAND`");
    (void)fprintf(out, "  --socket PATH     the daemon's control socket\n"
                       "  --instance NAME   the one of /run/cloister/NAME; default: default\n"
                       "  --json            answers for programs\n");
}

static int command_help(const char *name)
{
    const struct ctl_command *command = name ? find_command(name) : NULL;

    if (name && !command)
        return unknown_command(name);
    if (!command)
        print_help(stdout);
    else
        (void)printf("usage: %s", command->usage);
    return 0;
}

/* 0, or an exit code. */
static int set_instance(const char *instance, char *path, size_t size)
{
    size_t length = strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (length == 0 || instance[length] || length > 32) {
        (void)fprintf(stderr, "cloisterctl: '%s' is not an instance name: 1 to 32 of a-z, 0-9, -\n", instance);
        return CTL_EXIT_USAGE;
    }
    (void)snprintf(path, size, "/run/cloister/%s/control.sock", instance);
    return 0;
}

static int run_command(struct ctl_context *context, int argc, char **argv)
{
    const struct ctl_command *command = find_command(argv[0]);

    if (strcmp(argv[0], "help") == 0)
        return command_help(argv[1]);
    if (!command)
        return unknown_command(argv[0]);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return command_help(argv[0]);
    optind = 0; /* getopt begins anew, with the command's own options */
    return command->run(context, argc, argv);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"socket", required_argument, NULL, 's'},
                                                 {"instance", required_argument, NULL, 'i'},
                                                 {"json", no_argument, NULL, 'j'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    char default_path[108] = "/run/cloister/default/control.sock";
    struct ctl_context context = {.socket = default_path, .json = false};
    int option, code = 0;

    opterr = 0;
    while (code == 0 && (option = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
        if (option == 's')
            context.socket = optarg;
        else if (option == 'i')
            code = set_instance(optarg, default_path, sizeof(default_path));
        else if (option == 'j')
            context.json = true;
        else if (option == 'h')
            return command_help(NULL);
        else
            code = unknown_command(argv[optind - 1]);
    }
    if (code != 0)
        return code;
    if (optind >= argc) {
        print_help(stderr);
        return CTL_EXIT_USAGE;
    }
    code = run_command(&context, argc - optind, argv + optind);
    if (fflush(stdout) != 0 && code == 0) {
        (void)fprintf(stderr, "cloisterctl: write: %s\n", strerror(errno));
        return CTL_EXIT_FAILED;
    }
    return code;
}
