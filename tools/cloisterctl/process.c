/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. */
#include "process.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "show.h"
#include <stdio.h>

int ctl_process_option(struct ctl_context *context, const struct ctl_command *command, struct ctl_process_flags *flags,
                       int option, const struct option *known, char *const *argv)
{
    switch (option) {
    case 'u':
        flags->options.user = optarg;
        return 0;
    case 'w':
        flags->options.workdir = optarg;
        return 0;
    case 'e':
        return ctl_words_add(&flags->env, optarg) < 0 ? ctl_misused(context, command, CTL_EXIT_OURS, "no memory") : 0;
    case 'd':
        flags->detach = true;
        return 0;
    case 'i':
        flags->interactive = true;
        return 0;
    case 't':
        return ctl_misused(context, command, CTL_EXIT_OURS,
                           "this version has no terminals: leave -t out; input and output are passed on as they are");
    case CTL_OPTION_JSON:
        context->json = true;
        return 0;
    default:
        return ctl_bad_option(context, command, CTL_EXIT_OURS, option, known, argv);
    }
}

int ctl_process_options_end(const struct ctl_context *context, const struct ctl_command *command,
                            struct ctl_process_flags *flags, int argc, char **argv)
{
    flags->options.env = flags->env.items;
    flags->options.env_count = flags->env.count;
    if (optind < argc)
        flags->options.command = argv + optind;
    return 0;
}

void ctl_process_flags_free(struct ctl_process_flags *flags)
{
    ctl_words_free(&flags->env);
}

int ctl_process_run(struct ctl_session *session, const struct ctl_process_flags *flags, const char *method,
                    cloister_value *params, const char *id, struct cloister_error *err, int *ret_code)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    struct ctl_fds fds = {.count = 0};
    uint64_t process = 0; /* the init */

    if (!flags->detach)
        ctl_fds_standard(&fds);
    int failed = ctl_session_call(session, method, params, &fds, &result, err);
    if (failed < 0)
        return failed;
    if (id && cl_value_u64(cl_value_get_cstr(result, "process"), &process) < 0)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer names no process");
    failed = ctl_session_started(session, id ? id : cl_value_cstr(cl_value_get_cstr(result, "id")), process, err);
    if (failed < 0)
        return failed;
    if (!flags->detach)
        return ctl_session_wait(session, ret_code, err);
    if (session->context->json)
        return ctl_show_json(result, false, err);
    (void)puts(ctl_show_text(result, id ? "pid" : "id"));
    return 0;
}
