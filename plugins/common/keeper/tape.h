/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tape.h - captured output as keeper and daemon share it: one sparse memfd per process.
 *
 * Page 0 is struct cl_tape_head, mapped by both. The bytes of child descriptor n (1 or 2) lie at n << CL_TAPE_SHIFT, so
 * a file offset *is* the byte's number. The keeper splices pipe -> tape; the daemon sends tape -> socket with sendfile,
 * whose offset argument is the reader's cursor *in this page*: the kernel moves it with the bytes, so it is exact when
 * the daemon is killed at any moment. Never a ring: sendfile passes pages by reference, so pages are only ever written
 * once, and given back by punching holes.
 *
 * Who writes what: the keeper `tape`, `era`, `starved`, and the state of slots whose daemon is gone; the daemon its own
 * slots. No locks; two handshakes, each a store, a full fence, a load on both sides (seq_cst):
 *   room   the keeper stops reading a pipe for want of room: starved = 1, fence, looks at the cursors again. The
 * daemon, after a cursor has moved: fence, and if starved it writes the sandbox's `to keeper` eventfd. data   the
 * daemon finds nothing to send: slot.hungry = 1, fence, looks at `end` and `state` again. The keeper, after it has
 * moved `end` or ended the tape: fence, and if any slot of that tape is hungry it clears that and writes the sandbox's
 * `to daemon` eventfd. loss   the keeper moves `start` past a cursor: start = X, fence, and if that slot is `busy` it
 * punches nothing yet (it looks again when woken, or 10 ms later). The daemon: busy = 1, fence, and if cursor < start
 * it sets the cursor to start and counts the difference in `lost`; sendfile; busy = 0, fence, kicks if starved. A
 * slot's owner is the era (the count of control connections) in which it was made. When a control connection is lost
 * the keeper clears `hungry` of all slots, and `busy` once that daemon cannot be sending any more: it has closed its
 * end, or the next one connects. Slots of an older era are *left behind*: readers standing still.
 * A daemon resumes one by exchanging (compare and swap) `owner`, old era for its own, and writes the rest afterwards;
 * the keeper gives one up by exchanging `owner` for 0, then state = FREE. A slot that is given up keeps fd, first and
 * cursor: the keeper learns from them what somebody has read. While a slot is taken `first` is UINT64_MAX, no byte's
 * number, from before the cursor changes until after.
 */
#ifndef CL_KEEPER_TAPE_H
#define CL_KEEPER_TAPE_H

#include <stdint.h>

#define CL_TAPE_MAGIC 0x54504c31u /* "1LPT" */
#define CL_TAPE_VERSION 1u
#define CL_TAPE_SHIFT 56u
#define CL_TAPE_POSITION_MASK ((1ull << CL_TAPE_SHIFT) - 1)
#define CL_TAPE_SLOTS 16u
#define CL_TAPE_COUNT 3u /* child descriptors 0, 1, 2; 0 is never a tape */
#define CL_TAPE_HEAD_SIZE 4096u
#define CL_TAPE_WINDOW (1ull << 20) /* default */
#define CL_TAPE_WINDOW_MAX (16ull << 20)
#define CL_TAPE_SANDBOX_MAX (32ull << 20) /* default of what all tapes of a sandbox hold together */

enum cl_tape_state {
    CL_TAPE_NONE = 0, /* this descriptor is not captured */
    CL_TAPE_OPEN = 1,
    CL_TAPE_ENDED = 2,      /* its pipe has ended: `end` is final */
    CL_TAPE_ENDED_EARLY = 3 /* the drain deadline passed first; what comes later is discarded, `end` is final */
};

enum cl_tape_policy { CL_TAPE_BLOCK = 0, CL_TAPE_DROP = 1, CL_TAPE_DISCARD = 2 };

/* All members are read and written atomically (relaxed but for the handshakes). */
struct cl_tape {
    uint64_t end;    /* bytes the process has written and we have taken */
    uint64_t start;  /* the oldest byte that is still there: nothing below it may be sent */
    uint64_t lost;   /* bytes that went by the own policy or by tape_max, before any reader had them */
    uint64_t window; /* of the own policy, and of how far a reader may be behind the fastest */
    uint32_t state;  /* enum cl_tape_state */
    uint32_t policy; /* enum cl_tape_policy: holds while no BLOCK reader is connected */
    uint32_t starved;
    uint32_t reserved;
};

enum cl_tape_slot_state { CL_TAPE_SLOT_FREE = 0, CL_TAPE_SLOT_BLOCK = 1, CL_TAPE_SLOT_DROP = 2 };

struct cl_tape_slot {
    uint64_t cursor; /* fd << CL_TAPE_SHIFT | number of the next byte: sendfile's offset argument */
    uint64_t lost;   /* bytes this reader was too slow for */
    uint32_t state;  /* enum cl_tape_slot_state; written last when a slot is taken, first when it is given up */
    uint32_t fd;
    uint32_t owner; /* era */
    uint32_t busy;
    uint32_t hungry;
    uint32_t reserved32;
    uint64_t first; /* number of the first byte given here: a reader has had those from it to the cursor */
    uint32_t reserved[4];
};
_Static_assert(sizeof(struct cl_tape_slot) == 64, "a reader is a cache line");

struct cl_tape_head {
    uint32_t magic;
    uint32_t version;
    uint64_t pseq;
    uint32_t era; /* control connections so far */
    uint32_t reserved[11];
    struct cl_tape tape[CL_TAPE_COUNT];
    uint8_t pad[4096 - 64 - CL_TAPE_COUNT * sizeof(struct cl_tape) - CL_TAPE_SLOTS * sizeof(struct cl_tape_slot)];
    struct cl_tape_slot slot[CL_TAPE_SLOTS];
};
_Static_assert(sizeof(struct cl_tape_head) == CL_TAPE_HEAD_SIZE, "the head is page 0");

#endif
