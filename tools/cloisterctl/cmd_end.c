/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_end.c - `kill`, `stop` and `rm`: the ways a container comes to its end. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "ctl.h"
#include "parse.h"
#include "show.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What is asked for about each container. */
struct request {
    const struct ctl_command *command;
    const char *method;
    cloister_value *params; /* all but the container */
    const char *if_busy;    /* what to say instead of the daemon's refusal to touch a running one; NULL = that */
};

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

static int ask(const struct ctl_context *context, struct ctl_client *client, const struct request *request,
               const char *name, struct cloister_error *err)
{
    cloister_value *params = cl_value_copy(request->params);
    int failed;

    if (!params)
        failed = ctl_no_memory(err);
    else if (context->json)
        failed = ask_for_program(client, request->method, name, params, err);
    else
        failed = ctl_client_call_on(client, request->method, name, params, NULL, err);
    if (failed < 0 && err->code == CLOISTER_INVALID_STATE && request->if_busy && !is_unknown(client, name))
        (void)cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "'%s' %s", name, request->if_busy);
    return failed;
}

/* Goes through all names, also after a failure; the exit code tells whether there was one. */
static int ask_for_each(const struct ctl_context *context, const struct request *request, char *const *names)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int code = 0;

    if (ctl_client_connect(&client, context->socket, &err) < 0)
        return ctl_fail(context, request->command->name, &err, CTL_EXIT_FAILED);
    for (; *names; names++) {
        cl_error_clear(&err);
        if (ask(context, &client, request, *names, &err) == 0)
            continue;
        cl_error_subject(&err, cl_sv_cstr(*names));
        code = ctl_fail(context, request->command->name, &err, CTL_EXIT_FAILED);
    }
    return code;
}

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
    const struct request request = {&ctl_command_kill, "signal", params, NULL};
    return ask_for_each(context, &request, argv + optind);
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
    const struct request request = {&ctl_command_stop, "stop", params, NULL};
    return ask_for_each(context, &request, argv + optind);
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
    const struct request request = {&ctl_command_rm, "destroy", params,
                                    force ? NULL : "is running: -f kills what runs in it and removes it"};
    return ask_for_each(context, &request, argv + optind);
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
