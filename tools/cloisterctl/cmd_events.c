/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_events.c - `events`: what happens, as it happens, until the daemon ends or we are interrupted. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "show.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void print_time(const cloister_value *event)
{
    uint64_t real_ms = 0;
    struct tm parts;
    char text[32];

    (void)cl_value_u64(cl_value_get_cstr(event, "real_ms"), &real_ms);
    time_t seconds = (time_t)(real_ms / 1000);
    if (!localtime_r(&seconds, &parts) || strftime(text, sizeof(text), "%F %T", &parts) == 0)
        text[0] = 0;
    (void)printf("%s.%03u", text, (unsigned)(real_ms % 1000));
}

/* A word and its value, if there is one. Names come from clients: control characters are printed as "?". */
static void print_word(const char *label, const char *text)
{
    if (!*text || strcmp(text, "none") == 0 || strcmp(text, "0") == 0)
        return;
    (void)printf(" %s=", label);
    for (; *text; text++)
        (void)putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void print_event(const cloister_value *event)
{
    char status[64];

    if (strcmp(ctl_show_text(event, "kind"), "event_loss") == 0) {
        (void)printf("(%s events were lost: this reader was too slow)\n", ctl_show_text(event, "size"));
        return;
    }
    print_time(event);
    (void)printf(" %s", ctl_show_text(event, "kind"));
    print_word("name", ctl_show_text(event, "name"));
    print_word("id", ctl_show_text(event, "sandbox"));
    print_word("container", ctl_show_text(event, "container"));
    print_word("process", ctl_show_text(event, "process"));
    print_word("status", ctl_show_status(cl_value_get_cstr(event, "status"), status, sizeof(status)));
    print_word("state", ctl_show_text(event, "state"));
    print_word("cause", ctl_show_text(event, "cause"));
    print_word("service", ctl_show_text(event, "service"));
    (void)putchar('\n');
}

static int follow(const struct ctl_context *context, struct ctl_client *client, struct cloister_error *err)
{
    for (;;) {
        CL_VALUE_CLEANUP cloister_value *message = NULL;
        int got = ctl_client_next(client, &message, err);
        if (got == 0)
            got = ctl_client_fill(client, err);
        if (got < 0)
            return got;
        const cloister_value *event = cl_value_get_cstr(message, "payload");
        if (!event)
            continue;
        if (context->json)
            (void)ctl_show_json(event, false, err);
        else
            print_event(event);
        if (fflush(stdout) != 0)
            return 0; /* nobody reads any more */
    }
}

static int subscribe(const struct ctl_context *context, const char *target, struct cloister_error *err)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
    int failed = ctl_client_connect(&client, context->socket, err);

    if (failed == 0 && target)
        failed = ctl_client_call_on(&client, "inspect", target, NULL, &sandbox, err);
    if (failed == 0 && target &&
        cl_value_set_cstr(params, "sandbox", cl_value_new_cstr(ctl_show_text(sandbox, "id"))) < 0)
        failed = ctl_no_memory(err);
    if (failed == 0)
        failed = ctl_client_call(&client, "events", cl_steal_ptr(&params), NULL, NULL, err);
    return failed < 0 ? failed : follow(context, &client, err);
}

static int command_events(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int code = ctl_show_options(context, &ctl_command_events, argc, argv);

    if (code == 0 && optind + 1 < argc)
        code = ctl_misused(context, &ctl_command_events, CTL_EXIT_USAGE, "give at most one container");
    if (code != 0)
        return code;
    return subscribe(context, argv[optind], &err) < 0 ? ctl_fail(context, "events", &err, CTL_EXIT_FAILED) : 0;
}

const struct ctl_command ctl_command_events = {
    .name = "events",
    .summary = "follow what happens",
    .usage = "cloisterctl events [--json] [NAME]\n"
             "\n"
             "Prints events of all containers, or of NAME, until interrupted. With --json one JSON object a line.\n",
    .run = command_events,
};
