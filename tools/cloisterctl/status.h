/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the exit code for us from how a program ended. */
#ifndef CLOISTERCTL_STATUS_H
#define CLOISTERCTL_STATUS_H

#include "core/value/value.h"
#include "ctl.h"

/* A sentence about an unusual end (lost, out of memory) is printed, as `command`'s. -EPROTO, and err, for a status that
 * this program does not know. */
int ctl_status_code(const struct ctl_context *context, const char *command, const cloister_value *status, int *ret_code,
                    struct cloister_error *err);

#endif
