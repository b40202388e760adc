/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h - our stdin as that of a container's program, without ever waiting for it. */
#ifndef CLOISTERCTL_FEED_H
#define CLOISTERCTL_FEED_H

#include "client.h"
#include "terminal.h"
#include <poll.h>
#include <stdbool.h>

struct ctl_feed {
    bool over;                /* nothing more to send, or nobody to send it to */
    bool at_end;              /* ours has ended */
    int socket;               /* -1: none */
    uint64_t process;         /* 0 = the container's init */
    struct ctl_detach detach; /* keys that are not for it */
    uint64_t request;
    size_t start;
    size_t size; /* read from us and not sent: start..size */
    char bytes[4096];
};

/* Asks for a way to its stdin, which ends when ours does. */
int ctl_feed_open(struct ctl_feed *feed, struct ctl_client *client, const char *id, struct cloister_error *err);
/* What to wait for: on our stdin, or on the socket while it is full. fd -1: nothing. */
struct pollfd ctl_feed_wants(const struct ctl_feed *feed);
/* It holds. */
void ctl_feed_step(struct ctl_feed *feed);
/* Takes the answer. A program that reads no stdin, or no more, is no failure; *ret_drains: the daemon is about to end.
 */
int ctl_feed_answered(struct ctl_feed *feed, cloister_value *message, bool *ret_drains, struct cloister_error *err);
void ctl_feed_close(struct ctl_feed *feed);

#endif
