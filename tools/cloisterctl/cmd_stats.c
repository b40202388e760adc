/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_stats.c - `stats` and `top`: what containers use, and who lives in one. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "sample.h"
#include "show.h"
#include "table.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUND_S 1

/* One container that is watched. */
struct watched {
    char *id;
    char *name;
    struct ctl_sample before, now;
    cloister_value *result; /* the last answer; NULL: it has gone */
};

struct watch {
    const struct ctl_context *context;
    struct ctl_client client;
    struct watched *items;
    size_t count;
    char *const *names; /* NULL-terminated; none: all that run */
    uint64_t machine;   /* bytes of memory, 0 = unknown */
};

static void watch_free(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        free(watch->items[i].id);
        free(watch->items[i].name);
        cl_value_free(watch->items[i].result);
    }
    free(watch->items);
    ctl_client_close(&watch->client);
}

static int watch_add(struct watch *watch, const cloister_value *sandbox, struct cloister_error *err)
{
    const char *id = ctl_show_text(sandbox, "id");

    for (size_t i = 0; i < watch->count; i++)
        if (strcmp(watch->items[i].id, id) == 0)
            return 0;
    struct watched *bigger = cl_realloc_array(watch->items, watch->count + 1, sizeof(*bigger));
    if (!bigger)
        return ctl_no_memory(err);
    watch->items = bigger;
    struct watched *item = &watch->items[watch->count];
    *item = (struct watched){.id = cl_strdup(id), .name = cl_strdup(ctl_show_text(sandbox, "name"))};
    watch->count++;
    return item->id && item->name ? 0 : ctl_no_memory(err);
}

/* Those that were named, once; else all that run now. */
static int watch_find(struct watch *watch, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    int failed = 0;

    for (char *const *name = watch->names; *name && failed == 0; name++) {
        CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
        failed = ctl_client_call_on(&watch->client, "inspect", *name, NULL, &sandbox, err);
        if (failed == 0)
            failed = watch_add(watch, sandbox, err);
    }
    if (failed < 0 || *watch->names)
        return failed;
    failed = ctl_client_call(&watch->client, "list", NULL, NULL, &result, err);
    for (const cloister_value *sandbox = cl_value_first(cl_value_get_cstr(result, "sandboxes")); sandbox && failed == 0;
         sandbox = cl_value_next(sandbox))
        if (strcmp(ctl_show_text(sandbox, "state"), "up") == 0)
            failed = watch_add(watch, sandbox, err);
    return failed;
}

static int ask_stats(struct watch *watch, const char *key, const char *value, cloister_value **ret_result,
                     struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();

    if (cl_value_set_cstr(params, key, cl_value_new_cstr(value)) < 0)
        return ctl_no_memory(err);
    return ctl_client_call(&watch->client, "stats", cl_steal_ptr(&params), NULL, ret_result, err);
}

/* What has ended meanwhile is no failure: it is shown no more, unless it was asked for by name. */
static int watch_sample(struct watch *watch, struct cloister_error *err)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *item = &watch->items[i];
        cl_value_free(item->result);
        item->result = NULL;
        item->before = item->now;
        item->now = (struct ctl_sample){0};
        int failed = ask_stats(watch, "id", item->id, &item->result, err);
        if (failed < 0 && err->code != CLOISTER_NO_ENTITY && err->code != CLOISTER_INVALID_STATE)
            return failed;
        if (failed < 0)
            cl_error_clear(err);
        else
            item->now = ctl_sample_read(item->result);
    }
    return 0;
}

static int print_json(struct watch *watch, struct cloister_error *err)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *item = &watch->items[i];
        if (!item->result)
            continue;
        if (cl_value_set_cstr(item->result, "id", cl_value_new_cstr(item->id)) < 0 ||
            cl_value_set_cstr(item->result, "name", cl_value_new_cstr(item->name)) < 0)
            return ctl_no_memory(err);
        int failed = ctl_show_json(item->result, false, err);
        if (failed < 0)
            return failed;
    }
    return 0;
}

static int print_table(struct watch *watch, struct cloister_error *err)
{
    static const char *const heading[] = {"NAME", "CPU%", "MEM / LIMIT", "MEM%", "PIDS", "IO READ / WRITTEN"};
    CTL_TABLE_CLEANUP struct ctl_table table;
    char text[CTL_SAMPLE_TEXT];

    ctl_table_begin(&table, 6, heading);
    for (size_t i = 0; i < watch->count; i++) {
        const struct watched *item = &watch->items[i];
        if (!item->result && !*watch->names)
            continue;
        ctl_table_cell(&table, "%s", item->name);
        ctl_table_cell(&table, "%s", ctl_sample_cpu(&item->before, &item->now, text));
        ctl_table_cell(&table, "%s", ctl_sample_memory(&item->now, watch->machine, text));
        ctl_table_cell(&table, "%s", ctl_sample_memory_share(&item->now, watch->machine, text));
        ctl_table_cell(&table, "%s", ctl_sample_pids(&item->now, text));
        ctl_table_cell(&table, "%s", ctl_sample_io(&item->now, text));
    }
    return ctl_table_print(&table, stdout) < 0 ? ctl_no_memory(err) : 0;
}

static void next_round(void)
{
    struct timespec left = {.tv_sec = ROUND_S};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

/* On a terminal each table takes the place of the one before. */
static int show_round(struct watch *watch, struct cloister_error *err)
{
    bool screen = isatty(STDOUT_FILENO) && !watch->context->json;

    if (screen)
        (void)fputs("\033[H\033[J", stdout);
    int failed = watch->context->json ? print_json(watch, err) : print_table(watch, err);
    if (failed == 0 && fflush(stdout) != 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "write", "write");
    return failed;
}

/* What there is for containers without a limit. A service that may not tell leaves their share open. */
static int ask_machine(struct watch *watch, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *machine = NULL;
    int failed = ask_stats(watch, "scope", "machine", &machine, err);

    if (failed < 0 && (err->code == CLOISTER_DENIED || err->code == CLOISTER_UNSUPPORTED)) {
        cl_error_clear(err);
        return 0;
    }
    (void)cl_value_u64(cl_value_get_cstr(cl_value_get_cstr(machine, "stats"), "mem_total"), &watch->machine);
    return failed;
}

static int show_stats(struct watch *watch, bool once, struct cloister_error *err)
{
    bool first = !watch->context->json; /* what people read are differences: nothing to show yet */
    int failed = ctl_client_connect(&watch->client, watch->context->socket, err);

    if (failed == 0)
        failed = ask_machine(watch, err);
    if (failed == 0)
        failed = watch_find(watch, err);
    while (failed == 0) {
        failed = watch_sample(watch, err);
        if (failed == 0 && !first)
            failed = show_round(watch, err);
        if (failed < 0 || (once && !first))
            return failed;
        first = false;
        next_round();
        if (!*watch->names)
            failed = watch_find(watch, err);
    }
    return failed;
}

static int command_stats(struct ctl_context *context, int argc, char **argv)
{
    enum { OPT_NO_STREAM = CTL_OPTION_JSON + 1 };
    static const struct option long_options[] = {{"no-stream", no_argument, NULL, OPT_NO_STREAM},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct watch watch = {.context = context, .client = CTL_CLIENT_INIT};
    bool once = false;
    int option, code = 0;

    while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (option == OPT_NO_STREAM)
            once = true;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_stats, CTL_EXIT_USAGE, option, long_options, argv);
    }
    watch.names = argv + optind;
    if (show_stats(&watch, once, &err) < 0)
        code = ctl_fail(context, "stats", &err, CTL_EXIT_FAILED);
    watch_free(&watch);
    return code;
}

/* ---- top ---- */

static int print_procs(const cloister_value *result, struct cloister_error *err)
{
    static const char *const heading[] = {"PID", "PROCESS", "STARTED", "COMMAND"};
    CTL_TABLE_CLEANUP struct ctl_table table;

    ctl_table_begin(&table, 4, heading);
    for (const cloister_value *proc = cl_value_first(cl_value_get_cstr(result, "procs")); proc;
         proc = cl_value_next(proc)) {
        const char *process = ctl_show_text(proc, "process");
        uint64_t started_ms = 0;
        char text[64];
        (void)cl_value_u64(cl_value_get_cstr(proc, "started_ms"), &started_ms);
        ctl_table_cell(&table, "%s", ctl_show_text(proc, "pid"));
        ctl_table_cell(&table, "%s", strcmp(process, "0") == 0 ? "" : process);
        ctl_table_cell(&table, "%s", ctl_show_age(started_ms, text, sizeof(text)));
        ctl_table_cell(&table, "%s", ctl_show_text(proc, "comm"));
    }
    return ctl_table_print(&table, stdout) < 0 ? ctl_no_memory(err) : 0;
}

static int command_top(struct ctl_context *context, int argc, char **argv)
{
    int code = ctl_show_options(context, &ctl_command_top, argc, argv);

    if (code == 0 && optind + 1 != argc)
        code = ctl_misused(context, &ctl_command_top, CTL_EXIT_USAGE, "give one container, by name or id");
    return code != 0 ? code : ctl_show(context, &ctl_command_top, "procs", argv[optind], print_procs);
}

const struct ctl_command ctl_command_stats = {
    .name = "stats",
    .summary = "show what containers use, every second",
    .usage =
        "cloisterctl stats [--no-stream] [--json] [NAME...]\n"
        "\n"
        "Of the containers named, or of all that run. CPU% is that of one CPU since the table before; a container\n"
        "without a limit of memory is measured by the machine. \"-\" is what this machine does not count.\n"
        "\n"
        "      --no-stream   one table, after a second\n"
        "      --json        each time an object a line for each container: id, name, stats (counters), and when\n"
        "                    they were read; with --no-stream at once\n",
    .run = command_stats,
};

const struct ctl_command ctl_command_top = {
    .name = "top",
    .summary = "list the processes of a container",
    .usage = "cloisterctl top [--json] NAME\n"
             "\n"
             "PID is that of this machine; PROCESS is the daemon's number of those it started itself.\n",
    .run = command_top,
};
