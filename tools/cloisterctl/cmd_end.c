/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_end.c - `kill` and `rm`: the ways a container comes to its end. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "parse.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

struct end_flags {
    const char *signal; /* kill */
    bool all;           /* kill */
    bool force;         /* rm */
};

/* Asks about one container. 0 or negative errno. */
typedef int (*end_fn)(struct ctl_client *client, const struct end_flags *flags, const char *name,
                      struct cloister_error *err);

static int kill_one(struct ctl_client *client, const struct end_flags *flags, const char *name,
                    struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    uint32_t number = SIGKILL;
    int failed = flags->signal ? ctl_parse_signal(flags->signal, &number, err) : 0;

    if (failed < 0)
        return failed;
    if (cl_value_set_cstr(params, "signal", cl_value_new_u64(number)) < 0 ||
        cl_value_set_cstr(params, "set", cl_value_new_cstr(flags->all ? "all" : "init")) < 0)
        return ctl_no_memory(err);
    return ctl_client_call_on(client, "signal", name, cl_steal_ptr(&params), NULL, err);
}

static int remove_one(struct ctl_client *client, const struct end_flags *flags, const char *name,
                      struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();

    if (cl_value_set_cstr(params, "force", cl_value_new_bool(flags->force)) < 0)
        return ctl_no_memory(err);
    return ctl_client_call_on(client, "destroy", name, cl_steal_ptr(&params), NULL, err);
}

/* Goes through all names, also after a failure; the exit code tells whether there was one. */
static int for_each(const struct ctl_context *context, const struct ctl_command *command, const struct end_flags *flags,
                    char *const *names, end_fn fn)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int code = 0;

    if (!*names)
        return ctl_misused(command, CTL_EXIT_USAGE, "give a container, by name or id");
    if (ctl_client_connect(&client, context->socket, &err) < 0)
        return ctl_fail(command->name, &err, CTL_EXIT_FAILED);
    for (; *names; names++) {
        cl_error_clear(&err);
        if (fn(&client, flags, *names, &err) < 0)
            code = ctl_fail(command->name, &err, CTL_EXIT_FAILED);
    }
    return code;
}

static int command_kill(struct ctl_context *context, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"signal", required_argument, NULL, 's'}, {"all", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
    struct end_flags flags = {NULL, false, false};
    int option;

    while ((option = getopt_long(argc, argv, ":s:a", long_options, NULL)) != -1) {
        if (option == 's')
            flags.signal = optarg;
        else if (option == 'a')
            flags.all = true;
        else
            return ctl_bad_option(&ctl_command_kill, CTL_EXIT_USAGE, option, argv);
    }
    return for_each(context, &ctl_command_kill, &flags, argv + optind, kill_one);
}

static int command_rm(struct ctl_context *context, int argc, char **argv)
{
    static const struct option long_options[] = {{"force", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    struct end_flags flags = {NULL, false, false};
    int option;

    while ((option = getopt_long(argc, argv, ":f", long_options, NULL)) != -1) {
        if (option != 'f')
            return ctl_bad_option(&ctl_command_rm, CTL_EXIT_USAGE, option, argv);
        flags.force = true;
    }
    return for_each(context, &ctl_command_rm, &flags, argv + optind, remove_one);
}

const struct ctl_command ctl_command_kill = {
    .name = "kill",
    .summary = "send a signal to a container's program",
    .usage = "cloisterctl kill [-s SIGNAL] [-a] NAME...\n"
             "\n"
             "  -s, --signal SIGNAL   a number or a name like TERM; default: KILL\n"
             "  -a, --all             to every process of the container\n",
    .run = command_kill,
};

const struct ctl_command ctl_command_rm = {
    .name = "rm",
    .summary = "remove containers",
    .usage = "cloisterctl rm [-f] NAME...\n"
             "\n"
             "  -f, --force   also one that is running: its processes are killed\n",
    .run = command_rm,
};
