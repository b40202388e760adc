/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tapes.h - captured output that somebody reads: the tapes of processes, as far as they are mapped here, and the
 * streams over them. A sandbox whose output nobody reads has none of this: no descriptor, no watch. [loop]
 */
#ifndef NS_TAPES_H
#define NS_TAPES_H

#include <cloister/host.h>

#include "common/keeper/client.h"
#include "slots.h"

struct ns_sandbox;

/* The memfd of one process. Counted: it goes with its last stream. */
struct ns_tape {
    struct ns_tape *next;
    uint32_t refs;
    cloister_process process;
    int memfd;
    bool over; /* nothing will be added, and no end is to be waited for: its keeper is dead, or the process released */
    struct cl_tape_head *head;
};

struct ns_output; /* one stream */

/* Of a sandbox; zero with both descriptors -1 = nobody reads. */
struct ns_tapes {
    struct ns_tape *tapes;
    struct ns_output *outputs;
    int to_daemon;
    int to_keeper;
    cloister_watch *watch; /* of to_daemon */
};

void ns_tapes_init(struct ns_tapes *tapes);

/* The process's tape with one more reference; NULL: not mapped. */
struct ns_tape *ns_tape_find(struct ns_sandbox *sandbox, cloister_process process);
/* From the keeper's answer to TAPE, whose descriptors are taken. 0 and one reference, or negative errno. */
int ns_tape_open(struct ns_sandbox *sandbox, cloister_process process, struct cl_packet *answer, struct ns_tape **ret);
void ns_tape_unref(struct ns_sandbox *sandbox, struct ns_tape *tape);

/* A stream that reads the tape from a slot taken for it. 0, or what ns_slot_take says, or -ENOMEM. */
int ns_output_open(struct ns_sandbox *sandbox, struct ns_tape *tape, const struct ns_slot_want *want,
                   struct ns_slot_got *ret_got, cloister_stream **ret);

/* No more will come: of a process, or (0) of all. Streams give what there is, then end as aborted. */
void ns_tapes_over(struct ns_sandbox *sandbox, cloister_process process);

/* The daemon goes; readers stay behind where they are, for the next one to find. */
void ns_tapes_leave(struct ns_sandbox *sandbox);

#endif
