/* SPDX-License-Identifier: Apache-2.0 */
/* follow.h - what a container's program writes, on this terminal, and what is typed here for it: logs and attach. */
#ifndef CLOISTERCTL_FOLLOW_H
#define CLOISTERCTL_FOLLOW_H

#include "ctl.h"
#include "feed.h"
#include "session.h"
#include "tape.h"

struct ctl_follow {
    const struct ctl_context *context;
    const char *from; /* "live", "oldest"; NULL: the tapes are placed */
    bool on;          /* not only what is there already */
    bool waits;       /* for the program's end */
    struct ctl_tape tapes[2];
    uint32_t tape_count;
    struct ctl_feed feed;
    struct ctl_client client;
    char id[64];                   /* "": to be found by name */
    uint64_t process;              /* 0 = the container's init */
    struct ctl_session *session;   /* whose signals are passed on; NULL = none. Its client is ours */
    struct ctl_terminal *offered;  /* becomes `terminal`, raw, if what is found has one and so have we */
    struct ctl_terminal *terminal; /* whose size is the program's; NULL = none */
    uint64_t wait_request;
    cloister_value *status; /* of the program, once it has ended */
};

/* Until all tapes have ended (and the program, if that is waited for), or whoever types here leaves them alone
 * (feed.detach.done). target NULL: id is known, and client connected. */
int ctl_follow(struct ctl_follow *follow, const char *target, struct cloister_error *err);
void ctl_follow_end(struct ctl_follow *follow);

#endif
