/* SPDX-License-Identifier: Apache-2.0 */
/* complain.c - how every command words its failures: one sentence on stderr, and where to read more if it was misused.
 */
#include "core/error/error.h"
#include "ctl.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

int ctl_fail(const char *command, const struct cloister_error *err, int code)
{
    char sentence[CL_ERROR_SENTENCE_MAX];

    (void)cl_error_sentence(err, sentence, sizeof(sentence));
    (void)fprintf(stderr, "cloisterctl: %s: %s\n", command, sentence);
    return code;
}

int ctl_misused(const struct ctl_command *command, int code, const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "cloisterctl: %s: ", command->name);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, " (see `cloisterctl help %s`)\n", command->name);
    return code;
}

int ctl_bad_option(const struct ctl_command *command, int code, int option, char *const *argv)
{
    const char *word = argv[optind - 1];

    if (option == ':')
        return ctl_misused(command, code, "option '%s' needs a value", word);
    return ctl_misused(command, code, "there is no option '%s', or it takes no value", word);
}

int ctl_no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_IO, ENOMEM, NULL, "memory", "cloisterctl");
}
