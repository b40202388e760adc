/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complain.c - how every command words its failures: one sentence on stderr, and where to read more if it was misused.
 * For programs: one JSON object on one line instead.
 */
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/value/value.h"
#include "ctl.h"
#include "table.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int print_json(const char *command, const struct cloister_error *err, const char *sentence, char *subject)
{
    CL_VALUE_CLEANUP cloister_value *error = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *line = cl_value_new_object();
    CL_FREE char *text = NULL;
    size_t size;

    ctl_table_harmless(subject);
    if ((command && cl_value_set_cstr(error, "command", cl_value_new_cstr(command)) < 0) ||
        cl_value_set_cstr(error, "message", cl_value_new_cstr(sentence)) < 0 ||
        cl_value_set_cstr(error, "code", cl_value_new_cstr(cl_error_code_name(err->code))) < 0 ||
        (subject[0] && cl_value_set_cstr(error, "subject", cl_value_new_cstr(subject)) < 0) ||
        (err->os_errno && cl_value_set_cstr(error, "errno", cl_value_new_i64(err->os_errno)) < 0) ||
        cl_value_set_cstr(line, "error", cl_steal_ptr(&error)) < 0 || cl_value_print(line, false, &text, &size) < 0)
        return -ENOMEM;
    (void)fprintf(stderr, "%s\n", text);
    return 0;
}

/* `misused`: tell people where to read more. */
static void tell(const struct ctl_context *context, const char *command, const struct cloister_error *err, bool misused)
{
    char sentence[CL_ERROR_SENTENCE_MAX], subject[CLOISTER_SUBJECT_MAX];

    (void)cl_error_sentence(err, sentence, sizeof(sentence));
    ctl_table_harmless(sentence);
    (void)snprintf(subject, sizeof(subject), "%s", err->subject);
    if (context->json && print_json(command, err, sentence, subject) == 0)
        return;
    (void)fprintf(stderr, "cloisterctl: %s%s%s", command ? command : "", command ? ": " : "", sentence);
    if (misused)
        (void)fprintf(stderr, " (see `cloisterctl help%s%s`)", command ? " " : "", command ? command : "");
    (void)fputc('\n', stderr);
}

int ctl_fail(const struct ctl_context *context, const char *command, const struct cloister_error *err, int code)
{
    tell(context, command, err, false);
    return code;
}

int ctl_misused(const struct ctl_context *context, const struct ctl_command *command, int code, const char *format, ...)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    va_list args;

    va_start(args, format);
    (void)cl_error_setv(&err, CLOISTER_INVALID, 0, NULL, NULL, format, args);
    va_end(args);
    tell(context, command ? command->name : NULL, &err, true);
    return code;
}

int ctl_bad_option(const struct ctl_context *context, const struct ctl_command *command, int code, int option,
                   const struct option *known, char *const *argv)
{
    /* Behind a long option getopt has moved on by one word; inside a cluster of short ones it has not yet. */
    const char *word = argv[optind - 1];

    if (optopt == 0)
        return ctl_misused(context, command, code, "there is no option '%.*s'", (int)strcspn(word, "="), word);
    if (option == ':' && strncmp(word, "--", 2) == 0)
        return ctl_misused(context, command, code, "option '%s' needs a value", word);
    if (option == ':')
        return ctl_misused(context, command, code, "option '-%c' needs a value", optopt);
    while (known->name && known->val != optopt)
        known++;
    if (known->name)
        return ctl_misused(context, command, code, "option '--%s' takes no value", known->name);
    return ctl_misused(context, command, code, "there is no option '-%c'", optopt);
}

int ctl_no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_IO, ENOMEM, NULL, "memory", "cloisterctl");
}
