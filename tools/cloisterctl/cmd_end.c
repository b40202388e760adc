/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_end.c - `kill`, `stop` and `rm`: the ways a container comes to its end. */
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "each.h"
#include "parse.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct kill_flags {
    const char *signal; /* NULL = KILL */
    bool all;
};

/* `-9`, `-KILL`: takes them out of the words, because to getopt they are clusters of letters. */
static void take_dashed_signals(int *argc, char **argv, const char **ret_signal)
{
    int kept = 1;
    bool options = true;

    for (int i = 1; i < *argc; i++) {
        uint32_t unused;
        options = options && strcmp(argv[i], "--") != 0;
        if (options && argv[i][0] == '-' && ctl_parse_signal(argv[i] + 1, &unused, NULL) == 0)
            *ret_signal = argv[i] + 1;
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
}

static int kill_options(struct ctl_context *context, int *argc, char **argv, struct kill_flags *flags)
{
    static const struct option long_options[] = {{"signal", required_argument, NULL, 's'},
                                                 {"all", no_argument, NULL, 'a'},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    take_dashed_signals(argc, argv, &flags->signal);
    while ((option = getopt_long(*argc, argv, ":s:a", long_options, NULL)) != -1) {
        if (option == 's')
            flags->signal = optarg;
        else if (option == 'a')
            flags->all = true;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_kill, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind >= *argc)
        return ctl_misused(context, &ctl_command_kill, CTL_EXIT_USAGE, "give a container, by name or id");
    return 0;
}

static int command_kill(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    struct kill_flags flags = {NULL, false};
    uint32_t number = SIGKILL;
    int code = kill_options(context, &argc, argv, &flags);

    if (code != 0)
        return code;
    if (flags.signal && ctl_parse_signal(flags.signal, &number, &err) < 0)
        return ctl_fail(context, "kill", &err, CTL_EXIT_USAGE);
    if (cl_value_set_cstr(params, "signal", cl_value_new_u64(number)) < 0 ||
        cl_value_set_cstr(params, "set", cl_value_new_cstr(flags.all ? "all" : "init")) < 0)
        return ctl_misused(context, &ctl_command_kill, CTL_EXIT_FAILED, "no memory");
    const struct ctl_each each = {&ctl_command_kill, "signal", params, NULL};
    return ctl_each(context, &each, argv + optind);
}

struct stop_flags {
    const char *signal; /* NULL = TERM */
    const char *seconds;
};

static int stop_options(struct ctl_context *context, int argc, char **argv, struct stop_flags *flags)
{
    static const struct option long_options[] = {{"signal", required_argument, NULL, 's'},
                                                 {"time", required_argument, NULL, 't'},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":s:t:", long_options, NULL)) != -1) {
        if (option == 's')
            flags->signal = optarg;
        else if (option == 't')
            flags->seconds = optarg;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_stop, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind >= argc)
        return ctl_misused(context, &ctl_command_stop, CTL_EXIT_USAGE, "give a container, by name or id");
    return 0;
}

static int command_stop(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    struct stop_flags flags = {NULL, NULL};
    uint32_t number = SIGTERM;
    unsigned long seconds = 10;
    char *end = NULL;
    int code = stop_options(context, argc, argv, &flags);

    if (code != 0)
        return code;
    if (flags.signal && ctl_parse_signal(flags.signal, &number, &err) < 0)
        return ctl_fail(context, "stop", &err, CTL_EXIT_USAGE);
    if (flags.seconds)
        seconds = strtoul(flags.seconds, &end, 10);
    if (end && (*flags.seconds < '0' || *flags.seconds > '9' || *end || seconds > 86400))
        return ctl_misused(context, &ctl_command_stop, CTL_EXIT_USAGE, "'%s' is not a number of seconds up to 86400",
                           flags.seconds);
    if (cl_value_set_cstr(params, "signal", cl_value_new_u64(number)) < 0 ||
        cl_value_set_cstr(params, "grace_ms", cl_value_new_u64(seconds * 1000)) < 0)
        return ctl_misused(context, &ctl_command_stop, CTL_EXIT_FAILED, "no memory");
    const struct ctl_each each = {&ctl_command_stop, "stop", params, NULL};
    return ctl_each(context, &each, argv + optind);
}

static int rm_options(struct ctl_context *context, int argc, char **argv, bool *ret_force)
{
    static const struct option long_options[] = {
        {"force", no_argument, NULL, 'f'}, {"json", no_argument, NULL, CTL_OPTION_JSON}, {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":f", long_options, NULL)) != -1) {
        if (option == 'f')
            *ret_force = true;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_rm, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind >= argc)
        return ctl_misused(context, &ctl_command_rm, CTL_EXIT_USAGE, "give a container, by name or id");
    return 0;
}

static int command_rm(struct ctl_context *context, int argc, char **argv)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    bool force = false;
    int code = rm_options(context, argc, argv, &force);

    if (code != 0)
        return code;
    if (cl_value_set_cstr(params, "force", cl_value_new_bool(force)) < 0)
        return ctl_misused(context, &ctl_command_rm, CTL_EXIT_FAILED, "no memory");
    const struct ctl_each each = {&ctl_command_rm, "destroy", params,
                                  force ? NULL : "is running: -f kills what runs in it and removes it"};
    return ctl_each(context, &each, argv + optind);
}

const struct ctl_command ctl_command_kill = {
    .name = "kill",
    .summary = "send a signal to a container's program",
    .usage = "cloisterctl kill [-s SIGNAL | -SIGNAL] [-a] [--json] NAME...\n"
             "\n"
             "  -s, --signal SIGNAL   a number or a name like TERM; also -9, -KILL; default: KILL\n"
             "  -a, --all             to every process of the container\n"
             "      --json            an object of id and name a line for each that was signalled\n",
    .run = command_kill,
};

const struct ctl_command ctl_command_stop = {
    .name = "stop",
    .summary = "end a container's program, in time",
    .usage = "cloisterctl stop [-s SIGNAL] [-t SECONDS] [--json] NAME...\n"
             "\n"
             "  -s, --signal SIGNAL   what its program is sent first; default: TERM\n"
             "  -t, --time SECONDS    what it is given before everything in the container is killed; default: 10\n"
             "      --json            an object of id and name a line for each that was stopped\n",
    .run = command_stop,
};

const struct ctl_command ctl_command_rm = {
    .name = "rm",
    .summary = "remove containers",
    .usage = "cloisterctl rm [-f] [--json] NAME...\n"
             "\n"
             "  -f, --force   also one that is running: its processes are killed; or unknown (see `ps`)\n"
             "      --json    an object of id and name a line for each that was removed\n",
    .run = command_rm,
};
