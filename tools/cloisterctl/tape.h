/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tape.h - one captured output of a container's program, copied to a descriptor of ours over as many daemons as it
 * takes: bytes are counted, and the next daemon is asked for the one behind the last that we have got.
 */
#ifndef CLOISTERCTL_TAPE_H
#define CLOISTERCTL_TAPE_H

#include "client.h"
#include <stdbool.h>

struct ctl_tape {
    uint32_t fd;       /* of the program: 1, 2 */
    uint64_t process;  /* 0 = the container's init */
    int out;           /* ours */
    bool placed;       /* position is known */
    uint64_t position; /* of the next byte */
    uint64_t lost;     /* that were dropped before they could be read */
    int socket;        /* -1: not attached, or its end has been read */
    uint64_t request;  /* 0: answered */
    bool ended;
};

/*
 * Finds the number of the first byte: `from` is what `attach` takes ("live", "oldest"). The answer to an attach comes
 * at its end, and a daemon that is killed gives none; so this asks for an attach that ends at once. 0; 1 = this output
 * is not captured, and counts as ended.
 */
int ctl_tape_place(struct ctl_tape *tape, struct ctl_client *client, const char *id, const char *from,
                   struct cloister_error *err);
/* Asks for what comes from `position` on; follow false: only for what is there. */
int ctl_tape_attach(struct ctl_tape *tape, struct ctl_client *client, const char *id, bool follow,
                    struct cloister_error *err);
/* Copies what is there; waits for at least a byte or the end. */
int ctl_tape_copy(struct ctl_tape *tape, struct cloister_error *err);
/* Takes the answer to its request: 0, or 1 = the daemon is about to end, another one has the rest. */
int ctl_tape_answered(struct ctl_tape *tape, cloister_value *message, struct cloister_error *err);
/* Copies what a dead daemon has left in the socket. */
int ctl_tape_left(struct ctl_tape *tape, struct cloister_error *err);
/* Nothing more will come, or come to be asked. */
static inline bool ctl_tape_done(const struct ctl_tape *tape)
{
    return tape->ended && tape->socket < 0;
}

#endif
