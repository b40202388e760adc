/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - a reader's place in the shared head of a process's tapes (common/keeper/tape.h): taken, moved, given up.
 * The head is all that these functions look at, so a test can play the keeper. [loop]
 */
#ifndef NS_SLOTS_H
#define NS_SLOTS_H

#include <stdbool.h>

#include "common/keeper/tape.h"

struct ns_slot_want {
    uint32_t fd;     /* of the process */
    uint32_t from;   /* enum cloister_attach_from */
    uint32_t policy; /* enum cl_tape_slot_state: BLOCK or DROP */
    uint32_t era;    /* ours */
    uint64_t position;
};

struct ns_slot_got {
    uint32_t index;
    uint64_t position; /* of the first byte that will be given */
    uint64_t lost;     /* bytes between what was asked for and that */
    uint64_t end;      /* bytes written so far */
};

/*
 * Takes a slot: for RESUME the slowest one that a dead daemon left behind, for POSITION one left behind at that very
 * byte, else a free one; where all are taken the longest left one gives way.
 * -ENODATA: that descriptor is not captured; -ERANGE: position has not been written; -EBUSY: 16 readers are connected.
 */
int ns_slot_take(struct cl_tape_head *head, const struct ns_slot_want *want, struct ns_slot_got *ret);

/* Bytes that may be sent from the cursor on; until ns_slot_end the keeper takes none of them away. */
uint64_t ns_slot_begin(struct cl_tape_head *head, uint32_t index);
/* The cursor has moved as it will. True: the keeper waits for that and wants a kick. */
bool ns_slot_end(struct cl_tape_head *head, uint32_t index);

enum ns_slot_rest { NS_SLOT_DATA = 1, NS_SLOT_EMPTY = 2, NS_SLOT_EOF = 3 };
/* There was nothing to send. EMPTY: the keeper will say when there is. */
uint32_t ns_slot_rest(struct cl_tape_head *head, uint32_t index);
/* After EMPTY: worth another look? */
bool ns_slot_is_fed(const struct cl_tape_head *head, uint32_t index);

/* So too a kick. */
bool ns_slot_free(struct cl_tape_head *head, uint32_t index);

uint64_t ns_slot_position(const struct cl_tape_head *head, uint32_t index);
uint64_t ns_slot_lost(const struct cl_tape_head *head, uint32_t index);

#endif
