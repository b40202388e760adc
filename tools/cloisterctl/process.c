/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. */
#include "process.h"
#include "core/error/error.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "follow.h"
#include "show.h"
#include "status.h"
#include "terminal.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define ENV_FILE_MAX (1024u * 1024)

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
        flags->options.terminal = true;
        return 0;
    case CTL_OPTION_ENV_FILE:
        return ctl_words_add(&flags->files, optarg) < 0 ? ctl_misused(context, command, CTL_EXIT_OURS, "no memory") : 0;
    case CTL_OPTION_JSON:
        context->json = true;
        return 0;
    default:
        return ctl_bad_option(context, command, CTL_EXIT_OURS, option, known, argv);
    }
}

/* Lines of NAME=VALUE or NAME; none, and such that begin with #, say nothing. */
static int read_env_file(struct ctl_process_flags *flags, const char *path, struct cloister_error *err)
{
    char *text = NULL;
    size_t size;
    int failed = cl_read_file(AT_FDCWD, path, ENV_FILE_MAX, &text, &size);

    if (failed < 0)
        return cl_error_set(err, cl_error_code_of(-failed), failed, path, NULL, "read '%s'", path);
    if (ctl_words_add(&flags->texts, text) < 0) {
        free(text);
        return ctl_no_memory(err);
    }
    if (strlen(text) != size)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, NULL, "'%s' is not text", path);
    for (char *line; (line = strsep(&text, "\n")) != NULL;)
        if (*line && *line != '#' && ctl_words_add(&flags->whole, line) < 0)
            return ctl_no_memory(err);
    return 0;
}

/* What is given word by word comes behind what files say, and so holds. */
static int gather_env(struct ctl_process_flags *flags, struct cloister_error *err)
{
    int failed = 0;

    for (uint32_t i = 0; i < flags->files.count && failed == 0; i++)
        failed = read_env_file(flags, flags->files.items[i], err);
    for (uint32_t i = 0; i < flags->env.count && failed == 0; i++)
        failed = ctl_words_add(&flags->whole, flags->env.items[i]) < 0 ? ctl_no_memory(err) : 0;
    return failed;
}

int ctl_process_options_end(const struct ctl_context *context, const struct ctl_command *command,
                            struct ctl_process_flags *flags, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int failed = gather_env(flags, &err);

    if (failed == 0 && flags->options.terminal && !flags->detach)
        failed = ctl_terminal_check(&err);
    if (failed < 0)
        return ctl_fail(context, command->name, &err, CTL_EXIT_OURS);
    flags->options.env = flags->whole.items;
    flags->options.env_count = flags->whole.count;
    if (optind < argc)
        flags->options.command = argv + optind;
    return 0;
}

void ctl_process_flags_free(struct ctl_process_flags *flags)
{
    for (uint32_t i = 0; i < flags->texts.count; i++)
        free((void *)(uintptr_t)flags->texts.items[i]);
    ctl_words_free(&flags->texts);
    ctl_words_free(&flags->files);
    ctl_words_free(&flags->whole);
    ctl_words_free(&flags->env);
}

/* The exit and the output of a program that captures it are kept until somebody says that he has them. */
static void release(struct ctl_session *session)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *params = ctl_client_subject(session->id, session->process);

    if (session->process && params && ctl_client_call(session->client, "release", params, NULL, NULL, &err) < 0)
        (void)ctl_fail(session->context, session->command, &err, 0);
    else if (!session->process)
        cl_value_free(params);
}

static int follow_terminal(struct ctl_follow *follow, int *ret_code, struct cloister_error *err)
{
    struct ctl_session *session = follow->session;
    int failed = ctl_terminal_raw(follow->terminal, err);

    if (failed == 0)
        failed = ctl_follow(follow, NULL, err);
    ctl_terminal_end(follow->terminal);
    session->left = failed == 0 && follow->feed.detach.done;
    if (session->left)
        (void)fputs("\n", stderr); /* the program's line is not ours */
    if (failed < 0 || session->left)
        return failed;
    failed = ctl_status_code(session->context, session->command, follow->status, ret_code, err);
    release(session);
    return failed;
}

/* This terminal is the program's until its end, or until the keys that leave it alone. The connection is the follower's
 * meanwhile: it makes a new one when the daemon comes back. */
static int stay(struct ctl_session *session, struct ctl_terminal *terminal, int *ret_code, struct cloister_error *err)
{
    struct ctl_client *client = session->client;
    struct ctl_follow follow = {
        .context = session->context,
        .on = true,
        .waits = true,
        .tapes = {{.fd = 1, .process = session->process, .out = 1, .placed = true, .socket = -1}},
        .tape_count = 1,
        .feed = {.socket = -1, .process = session->process, .detach = {.wanted = true}},
        .client = *client,
        .process = session->process,
        .session = session,
        .terminal = terminal};

    (void)strcpy(follow.id, session->id);
    *client = (struct ctl_client)CTL_CLIENT_INIT;
    session->client = &follow.client;
    int failed = follow_terminal(&follow, ret_code, err);
    *client = follow.client;
    follow.client = (struct ctl_client)CTL_CLIENT_INIT;
    session->client = client;
    ctl_follow_end(&follow);
    return failed;
}

int ctl_process_run(struct ctl_session *session, const struct ctl_process_flags *flags, const char *method,
                    cloister_value *params, const char *id, struct cloister_error *err, int *ret_code)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    CTL_TERMINAL_CLEANUP struct ctl_terminal terminal = CTL_TERMINAL_INIT;
    struct ctl_fds fds = {.count = 0};
    uint64_t process = 0; /* the init */
    bool ours = flags->options.terminal && !flags->detach;
    int failed = ours ? ctl_terminal_begin(&terminal, err) : 0;

    if (!flags->detach && !ours)
        ctl_fds_standard(&fds);
    if (failed < 0) {
        cl_value_free(params);
        return failed;
    }
    failed = ctl_session_call(session, method, params, &fds, &result, err);
    if (failed < 0)
        return failed;
    if (id && cl_value_u64(cl_value_get_cstr(result, "process"), &process) < 0)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer names no process");
    failed = ctl_session_started(session, id ? id : cl_value_cstr(cl_value_get_cstr(result, "id")), process, err);
    if (failed < 0)
        return failed;
    if (ours)
        return stay(session, &terminal, ret_code, err);
    if (!flags->detach)
        return ctl_session_wait(session, ret_code, err);
    if (session->context->json)
        return ctl_show_json(result, false, err);
    (void)puts(ctl_show_text(result, id ? "pid" : "id"));
    return 0;
}
