/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - what every command of cloisterctl is given, and the table they stand in. */
#ifndef CLOISTERCTL_CTL_H
#define CLOISTERCTL_CTL_H

#include "core/error/error.h"
#include <getopt.h>
#include <stdbool.h>

/* Exit codes of `run` and `exec`, beside the command's own; the ones a docker user expects. */
#define CTL_EXIT_OURS 125 /* our own failure: no daemon, refused, lost */
#define CTL_EXIT_NOT_EXECUTABLE 126
#define CTL_EXIT_NOT_FOUND 127
#define CTL_EXIT_SIGNAL 128 /* plus the signal's number */
/* Exit codes of all other commands. */
#define CTL_EXIT_FAILED 1
#define CTL_EXIT_USAGE 2

struct ctl_context {
    const char *socket; /* path of the control socket */
    bool json;          /* for programs: JSON instead of tables and sentences */
};

/* What getopt returns for --json. A command's own long options without a letter begin behind it. */
#define CTL_OPTION_JSON 256

struct ctl_command {
    const char *name;
    const char *summary; /* one line of `cloisterctl help` */
    const char *usage;   /* the text of `cloisterctl help NAME`, without the first line's "usage: " */
    /* argv[0] is the command's name. Returns the exit code; has printed its own errors. */
    int (*run)(struct ctl_context *context, int argc, char **argv);
};

extern const struct ctl_command ctl_command_run, ctl_command_exec, ctl_command_ps, ctl_command_kill, ctl_command_stop,
    ctl_command_rm, ctl_command_logs, ctl_command_attach, ctl_command_wait, ctl_command_label, ctl_command_inspect,
    ctl_command_pause, ctl_command_resume, ctl_command_update, ctl_command_stats, ctl_command_cp, ctl_command_top,
    ctl_command_events, ctl_command_plugins, ctl_command_version;

/*
 * Prints "cloisterctl: COMMAND: sentence" on stderr and returns `code`. For programs the line is {"error": {"command",
 * "message", "code", "subject"?, "errno"?}}; code is a word of <cloister/error.h>.
 */
int ctl_fail(const struct ctl_context *context, const char *command, const struct cloister_error *err, int code);
/* Prints the sentence and where to read more; returns `code`. command NULL: cloisterctl itself was misused. */
int ctl_misused(const struct ctl_context *context, const struct ctl_command *command, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/*
 * For a default case of getopt: prints what its `option` (':' or '?') complains about. In `known`, the long options,
 * val is a letter only if the letter is an option too.
 */
int ctl_bad_option(const struct ctl_context *context, const struct ctl_command *command, int code, int option,
                   const struct option *known, char *const *argv);

/* Fills err for a failed allocation; returns -ENOMEM. */
int ctl_no_memory(struct cloister_error *err);

#endif
