/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_list.c - `ps`, `inspect`, `plugins`, `version`: questions with one answer. */
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "show.h"
#include "table.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static bool is_frozen(const cloister_value *container)
{
    bool frozen = false;

    (void)cl_value_bool(cl_value_get_cstr(container, "frozen"), &frozen);
    return frozen;
}

/* The flag that says most about why it does not do what is asked of it. */
static const char *remarkable_flag(const cloister_value *sandbox)
{
    static const char *const flags[] = {"recovering", "no_contact", "provisional", "frozen"};

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        for (const cloister_value *flag = cl_value_first(cl_value_get_cstr(sandbox, "flags")); flag;
             flag = cl_value_next(flag))
            if (strcmp(cl_value_cstr(flag) ? cl_value_cstr(flag) : "", flags[i]) == 0)
                return strcmp(flags[i], "frozen") == 0 ? "paused" : flags[i];
    return is_frozen(cl_value_at(cl_value_get_cstr(sandbox, "containers"), 0)) ? "paused" : NULL;
}

static void add_sandbox(struct ctl_table *table, const cloister_value *sandbox)
{
    const cloister_value *container = cl_value_at(cl_value_get_cstr(sandbox, "containers"), 0);
    const cloister_value *status = cl_value_get_cstr(container, "status");
    const char *cause = ctl_show_text(sandbox, "cause"), *pid = ctl_show_text(container, "pid");
    const char *state = ctl_show_text(sandbox, "state");
    bool has_cause = *cause && strcmp(cause, "none") != 0;
    uint64_t created_ms = 0;
    char text[64];

    (void)cl_value_u64(cl_value_get_cstr(sandbox, "created_ms"), &created_ms);
    ctl_table_cell(table, "%s", ctl_show_text(sandbox, "id"));
    ctl_table_cell(table, "%s", ctl_show_text(sandbox, "name"));
    if (has_cause && strcmp(state, "off") == 0)
        ctl_table_cell(table, "%s (%s)", state, cause);
    else if (remarkable_flag(sandbox))
        ctl_table_cell(table, "%s (%s)", state, remarkable_flag(sandbox));
    else
        ctl_table_cell(table, "%s", state);
    ctl_table_cell(table, "%s", ctl_show_status(status, text, sizeof(text)));
    ctl_table_cell(table, "%s", strcmp(pid, "0") == 0 ? "" : pid);
    ctl_table_cell(table, "%s", ctl_show_age(created_ms, text, sizeof(text)));
    ctl_table_cell(table, "%s", ctl_show_text(sandbox, "isolation"));
    ctl_table_cell(table, "%s", ctl_show_text(sandbox, "service"));
}

/* Why one is not known, or its removal is still at it. */
static int print_reason(const cloister_value *sandbox, struct cloister_error *err)
{
    const char *message = ctl_show_text(cl_value_get_cstr(sandbox, "failure"), "message");

    if (!*message)
        return 0;
    CL_FREE char *text = cl_asprintf("%s: %s", ctl_show_text(sandbox, "id"), message);
    if (!text)
        return ctl_no_memory(err);
    ctl_table_harmless(text);
    (void)puts(text);
    return 0;
}

static int print_sandboxes(const cloister_value *result, struct cloister_error *err)
{
    static const char *const heading[] = {"ID", "NAME", "STATE", "ENDED", "PID", "CREATED", "ISOLATION", "SERVICE"};
    CTL_TABLE_CLEANUP struct ctl_table table;

    ctl_table_begin(&table, 8, heading);
    for (const cloister_value *sandbox = cl_value_first(cl_value_get_cstr(result, "sandboxes")); sandbox;
         sandbox = cl_value_next(sandbox))
        add_sandbox(&table, sandbox);
    if (ctl_table_print(&table, stdout) < 0)
        return ctl_no_memory(err);
    for (const cloister_value *sandbox = cl_value_first(cl_value_get_cstr(result, "sandboxes")); sandbox;
         sandbox = cl_value_next(sandbox)) {
        int failed = print_reason(sandbox, err);
        if (failed < 0)
            return failed;
    }
    return 0;
}

/* Takes out what `ps` without --all does not show: sandboxes in which nothing runs any more. */
static void keep_running(cloister_value *list)
{
    for (cloister_value *sandbox = cl_value_first(list), *next; sandbox; sandbox = next) {
        next = cl_value_next(sandbox);
        if (strcmp(ctl_show_text(sandbox, "state"), "off") == 0)
            cl_value_free(cl_value_detach(list, sandbox));
    }
}

static int no_words(const struct ctl_context *context, const struct ctl_command *command, int argc, char **argv)
{
    return optind < argc ? ctl_misused(context, command, CTL_EXIT_USAGE, "'%s' is one word too many", argv[optind]) : 0;
}

static int print_ids(const cloister_value *result)
{
    for (const cloister_value *sandbox = cl_value_first(cl_value_get_cstr(result, "sandboxes")); sandbox;
         sandbox = cl_value_next(sandbox))
        (void)puts(ctl_show_text(sandbox, "id"));
    return 0;
}

static int ps_options(struct ctl_context *context, int argc, char **argv, bool *ret_all, bool *ret_quiet)
{
    static const struct option long_options[] = {{"all", no_argument, NULL, 'a'},
                                                 {"quiet", no_argument, NULL, 'q'},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":aq", long_options, NULL)) != -1) {
        if (option == 'a')
            *ret_all = true;
        else if (option == 'q')
            *ret_quiet = true;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_ps, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (*ret_quiet && context->json)
        return ctl_misused(context, &ctl_command_ps, CTL_EXIT_USAGE, "either --quiet or --json");
    return no_words(context, &ctl_command_ps, argc, argv);
}

static int command_ps(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    bool all = false, quiet = false;
    int code = ps_options(context, argc, argv, &all, &quiet);

    if (code != 0)
        return code;
    int failed = ctl_show_ask(context, "list", NULL, &result, &err);
    if (failed == 0 && !all)
        keep_running(cl_value_get_cstr(result, "sandboxes"));
    if (failed == 0 && quiet)
        failed = print_ids(result);
    else if (failed == 0)
        failed = context->json ? ctl_show_json(result, false, &err) : print_sandboxes(result, &err);
    return failed < 0 ? ctl_fail(context, "ps", &err, CTL_EXIT_FAILED) : 0;
}

static int command_inspect(struct ctl_context *context, int argc, char **argv)
{
    int code = ctl_show_options(context, &ctl_command_inspect, argc, argv);

    if (code == 0 && optind + 1 != argc)
        code = ctl_misused(context, &ctl_command_inspect, CTL_EXIT_USAGE, "give one container, by name or id");
    return code != 0 ? code : ctl_show(context, &ctl_command_inspect, "inspect", argv[optind], NULL);
}

/* The answer is the array, or an object that holds it. */
static int print_plugins(const cloister_value *result, struct cloister_error *err)
{
    static const char *const heading[] = {"NAME", "KIND", "VERSION", "ABI", "LICENCE", "FILE"};
    const cloister_value *list = cl_value_get_cstr(result, "plugins");
    CTL_TABLE_CLEANUP struct ctl_table table;

    ctl_table_begin(&table, 6, heading);
    for (const cloister_value *plugin = cl_value_first(list); plugin; plugin = cl_value_next(plugin)) {
        ctl_table_cell(&table, "%s", ctl_show_text(plugin, "name"));
        ctl_table_cell(&table, "%s", ctl_show_text(plugin, "kind"));
        ctl_table_cell(&table, "%s", ctl_show_text(plugin, "version"));
        ctl_table_cell(&table, "%s", ctl_show_text(plugin, "abi"));
        ctl_table_cell(&table, "%s", ctl_show_text(plugin, "licence"));
        ctl_table_cell(&table, "%s", ctl_show_text(plugin, "file"));
    }
    return ctl_table_print(&table, stdout) < 0 ? ctl_no_memory(err) : 0;
}

static int command_plugins(struct ctl_context *context, int argc, char **argv)
{
    int code = ctl_show_options(context, &ctl_command_plugins, argc, argv);

    if (code == 0)
        code = no_words(context, &ctl_command_plugins, argc, argv);
    return code != 0 ? code : ctl_show(context, &ctl_command_plugins, "plugins", NULL, print_plugins);
}

static int print_version(const cloister_value *result, struct cloister_error *err)
{
    (void)err;
    (void)printf("cloisterctl %s\n%s (abi %s, instance %s, pid %s)\n", CL_VERSION, ctl_show_text(result, "server"),
                 ctl_show_text(result, "abi"), ctl_show_text(result, "instance"), ctl_show_text(result, "pid"));
    return 0;
}

static int command_version(struct ctl_context *context, int argc, char **argv)
{
    int code = ctl_show_options(context, &ctl_command_version, argc, argv);

    if (code == 0)
        code = no_words(context, &ctl_command_version, argc, argv);
    return code != 0 ? code : ctl_show(context, &ctl_command_version, "version", NULL, print_version);
}

const struct ctl_command ctl_command_ps = {
    .name = "ps",
    .summary = "list containers",
    .usage = "cloisterctl ps [-a] [-q | --json]\n"
             "\n"
             "  -a, --all     also those whose program has ended\n"
             "  -q, --quiet   only ids\n"
             "      --json    the list as one JSON object\n",
    .run = command_ps,
};

const struct ctl_command ctl_command_inspect = {
    .name = "inspect",
    .summary = "show everything about one container",
    .usage = "cloisterctl inspect [--json] NAME\n"
             "\n"
             "Prints JSON, indented; with --json on one line.\n",
    .run = command_inspect,
};

const struct ctl_command ctl_command_plugins = {
    .name = "plugins",
    .summary = "list the daemon's plugins",
    .usage = "cloisterctl plugins [--json]\n",
    .run = command_plugins,
};

const struct ctl_command ctl_command_version = {
    .name = "version",
    .summary = "show the versions of this program and of the daemon",
    .usage = "cloisterctl version [--json]\n",
    .run = command_version,
};
