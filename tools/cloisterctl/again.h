/* SPDX-License-Identifier: Apache-2.0 */
/* again.h - daemons come and go; what one did not answer the next one is asked. */
#ifndef CLOISTERCTL_AGAIN_H
#define CLOISTERCTL_AGAIN_H

#include "client.h"

/* Closes what is left of the connection and makes a new one, as soon as a daemon is there, within a minute. */
int ctl_client_again(struct ctl_client *client, const char *path, struct cloister_error *err);
/* Is this failure of send, fill or a call's waiting one of the connection? */
bool ctl_is_away(int failed, const struct cloister_error *err);
/* Does this answer say that its daemon is about to end? */
bool ctl_message_drains(const cloister_value *message);
/* A question that may be asked twice, put until some daemon answers. params stays the caller's. */
int ctl_client_ask(struct ctl_client *client, const char *path, const char *method, const cloister_value *params,
                   cloister_value **ret_result, struct cloister_error *err);

#endif
