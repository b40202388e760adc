/* SPDX-License-Identifier: Apache-2.0 */
/* show.h - what the listing commands share: one question, one answer, printed as JSON or by a function for people. */
#ifndef CLOISTERCTL_SHOW_H
#define CLOISTERCTL_SHOW_H

#include "client.h"
#include "ctl.h"

/* Reads only --json and words. 0, or an exit code. argv[optind] is the first word afterwards. */
int ctl_show_options(struct ctl_context *context, const struct ctl_command *command, int argc, char **argv);
/* Asks `method` (about `target`, if it is not NULL) on a connection of its own. */
int ctl_show_ask(const struct ctl_context *context, const char *method, const char *target, cloister_value **ret_result,
                 struct cloister_error *err);
/* One line, or indented. */
int ctl_show_json(const cloister_value *value, bool pretty, struct cloister_error *err);
/* Prints for people; NULL cells are shown as "-". */
typedef int (*ctl_show_fn)(const cloister_value *result, struct cloister_error *err);
/* The whole of a command that asks one question and prints the answer. */
int ctl_show(const struct ctl_context *context, const struct ctl_command *command, const char *method,
             const char *target, ctl_show_fn people);

/* "exited 7", "signal KILL (out of memory)", "lost" or "" for the status of a process. buffer is returned. */
const char *ctl_show_status(const cloister_value *status, char *buffer, size_t size);
/* "3 min ago" from milliseconds of wall clock. buffer is returned. */
const char *ctl_show_age(uint64_t created_ms, char *buffer, size_t size);
/* A member as text: strings as they are, numbers as written, "" for all else. Borrowed. */
const char *ctl_show_text(const cloister_value *object, const char *key);

#endif
