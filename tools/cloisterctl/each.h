/* SPDX-License-Identifier: Apache-2.0 */
/* each.h - commands that ask the same about any number of containers. */
#ifndef CLOISTERCTL_EACH_H
#define CLOISTERCTL_EACH_H

#include "core/value/value.h"
#include "ctl.h"

/* What is asked for about each container. */
struct ctl_each {
    const struct ctl_command *command;
    const char *method;
    const cloister_value *params; /* all but the container */
    const char *if_busy;          /* what to say instead of the daemon's refusal to touch a running one; NULL = that */
};

/* Goes through all names, also after a failure; the exit code tells whether there was one. For programs: an object of
 * id and name a line for each that it was done to. */
int ctl_each(const struct ctl_context *context, const struct ctl_each *each, char *const *names);

#endif
