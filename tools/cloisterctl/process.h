/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - what `run` and `exec` have in common: the options of a program, and its life on this terminal. */
#ifndef CLOISTERCTL_PROCESS_H
#define CLOISTERCTL_PROCESS_H

#include "ctl.h"
#include "session.h"
#include "spec.h"
#include "words.h"

struct ctl_process_flags {
    struct ctl_process_options options;
    struct ctl_words env;   /* as given */
    struct ctl_words files; /* of --env-file */
    struct ctl_words texts; /* what these said; ours */
    struct ctl_words whole; /* what options.env will be */
    bool detach;
    bool interactive;
};

#define CTL_OPTION_ENV_FILE 2048
#define CTL_PROCESS_SHORT "+:u:e:w:dit"
/* clang-format off */
#define CTL_PROCESS_LONG                          \
    {"user", required_argument, NULL, 'u'},       \
    {"env", required_argument, NULL, 'e'},        \
    {"env-file", required_argument, NULL, CTL_OPTION_ENV_FILE}, \
    {"workdir", required_argument, NULL, 'w'},    \
    {"detach", no_argument, NULL, 'd'},           \
    {"interactive", no_argument, NULL, 'i'},      \
    {"tty", no_argument, NULL, 't'},              \
    {"json", no_argument, NULL, CTL_OPTION_JSON}, \
    {NULL, 0, NULL, 0}
/* clang-format on */

#define CTL_USER_HELP                                                                                       \
    "  -u, --user USER[:GROUP]  numbers inside the container (GROUP 0 if it is left out), or names as the " \
    "container's\n"                                                                                         \
    "                         own /etc/passwd and /etc/group know them; with further groups, and HOME\n"
#define CTL_ENV_FILE_HELP "      --env-file FILE    lines of NAME=VALUE or NAME; --env holds over it\n"
#define CTL_TTY_HELP \
    "  -t, --tty              PROGRAM has a terminal, and every key typed here is its own; ^P ^Q leaves it alone\n"

/* One option of the two lists above; any other is complained about. 0, or an exit code. */
int ctl_process_option(struct ctl_context *context, const struct ctl_command *command, struct ctl_process_flags *flags,
                       int option, const struct option *known, char *const *argv);
/* After the last option: the program is what follows. 0, or an exit code. */
int ctl_process_options_end(const struct ctl_context *context, const struct ctl_command *command,
                            struct ctl_process_flags *flags, int argc, char **argv);
void ctl_process_flags_free(struct ctl_process_flags *flags);

/*
 * Asks for a program and stays with it until its end, or, detached, prints the daemon's answer. id names the sandbox of
 * an exec; NULL: `method` makes one, and the program is its init. params is taken. The exit code is *ret_code.
 */
int ctl_process_run(struct ctl_session *session, const struct ctl_process_flags *flags, const char *method,
                    cloister_value *params, const char *id, struct cloister_error *err, int *ret_code);

#endif
