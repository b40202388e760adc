/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - see show.h. */
#include "show.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "parse.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int ctl_show_options(struct ctl_context *context, const struct ctl_command *command, int argc, char **argv)
{
    static const struct option long_options[] = {{"json", no_argument, NULL, CTL_OPTION_JSON}, {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (option != CTL_OPTION_JSON)
            return ctl_bad_option(context, command, CTL_EXIT_USAGE, option, long_options, argv);
        context->json = true;
    }
    return 0;
}

int ctl_show_ask(const struct ctl_context *context, const char *method, const char *target, cloister_value **ret_result,
                 struct cloister_error *err)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    int failed = ctl_client_connect(&client, context->socket, err);

    if (failed < 0)
        return failed;
    return target ? ctl_client_call_on(&client, method, target, NULL, ret_result, err)
                  : ctl_client_call(&client, method, NULL, NULL, ret_result, err);
}

int ctl_show_json(const cloister_value *value, bool pretty, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size;

    if (cl_value_print(value, pretty, &text, &size) < 0)
        return ctl_no_memory(err);
    (void)puts(text);
    return 0;
}

int ctl_show(const struct ctl_context *context, const struct ctl_command *command, const char *method,
             const char *target, ctl_show_fn people)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    int failed = ctl_show_ask(context, method, target, &result, &err);

    if (failed == 0)
        failed = context->json || !people ? ctl_show_json(result, !context->json, &err) : people(result, &err);
    return failed < 0 ? ctl_fail(context, command->name, &err, CTL_EXIT_FAILED) : 0;
}

const char *ctl_show_text(const cloister_value *object, const char *key)
{
    const cloister_value *value = cl_value_get_cstr(object, key);
    struct cloister_sv raw;

    if (cl_value_type(value) == CLOISTER_VALUE_NUMBER && cl_value_raw(value, &raw) == 0)
        return raw.data;
    const char *text = cl_value_cstr(value);
    return text ? text : "";
}

const char *ctl_show_status(const cloister_value *status, char *buffer, size_t size)
{
    const char *kind = ctl_show_text(status, "kind");
    bool oom = false;
    uint64_t number = 0;

    (void)cl_value_bool(cl_value_get_cstr(status, "oom"), &oom);
    (void)cl_value_u64(cl_value_get_cstr(status, "signal"), &number);
    const char *name = number <= UINT32_MAX ? ctl_signal_name((uint32_t)number) : NULL;
    if (strcmp(kind, "exited") == 0)
        (void)snprintf(buffer, size, "exited %s", ctl_show_text(status, "code"));
    else if (strcmp(kind, "signaled") == 0 && name)
        (void)snprintf(buffer, size, "signal %s%s", name, oom ? " (out of memory)" : "");
    else if (strcmp(kind, "signaled") == 0)
        (void)snprintf(buffer, size, "signal %s%s", ctl_show_text(status, "signal"), oom ? " (out of memory)" : "");
    else
        (void)snprintf(buffer, size, "%s", kind);
    return buffer;
}

const char *ctl_show_age(uint64_t created_ms, char *buffer, size_t size)
{
    static const struct {
        uint64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_s = (uint64_t)now.tv_sec, then_s = created_ms / 1000;
    uint64_t seconds = now_s > then_s ? now_s - then_s : 0;
    (void)snprintf(buffer, size, "now");
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (seconds >= units[i].seconds) {
            (void)snprintf(buffer, size, "%llu %s ago", (unsigned long long)(seconds / units[i].seconds),
                           units[i].unit);
            break;
        }
    }
    return buffer;
}
