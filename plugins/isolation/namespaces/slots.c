/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c - see slots.h. Orders are those of tape.h's handshakes: a store, a full fence, a load. */
#include "slots.h"

#include <errno.h>

#include <cloister/sandbox.h>

#define LOAD(member) __atomic_load_n(&(member), __ATOMIC_ACQUIRE)
#define STORE(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELEASE)

static void fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t byte_of(uint64_t cursor)
{
    return cursor & CL_TAPE_POSITION_MASK;
}

static uint64_t cursor_of(uint32_t fd, uint64_t position)
{
    return (uint64_t)fd << CL_TAPE_SHIFT | position;
}

/* An owner of 0 is one that the keeper is freeing just now. */
static bool is_left(const struct cl_tape_slot *slot, uint32_t era)
{
    uint32_t owner = LOAD(slot->owner);

    return LOAD(slot->state) != CL_TAPE_SLOT_FREE && owner != era && owner != 0;
}

/* Of those left behind, the one whose reader may be coming back; NULL: none. At a position that is one at that very
 * byte: the cursor is exact, and one that stands elsewhere is somebody else's, whose bytes it keeps. */
static struct cl_tape_slot *fitting(struct cl_tape_head *head, const struct ns_slot_want *want)
{
    struct cl_tape_slot *best = NULL;

    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++) {
        struct cl_tape_slot *slot = &head->slot[i];
        uint64_t at = byte_of(LOAD(slot->cursor));

        if (!is_left(slot, want->era) || LOAD(slot->fd) != want->fd)
            continue;
        if (want->from == CLOISTER_ATTACH_POSITION && at != want->position)
            continue;
        if (best == NULL || at < byte_of(LOAD(best->cursor)))
            best = slot;
    }
    return best;
}

/* The longest left one, whatever it read. */
static struct cl_tape_slot *oldest(struct cl_tape_head *head, uint32_t era)
{
    struct cl_tape_slot *best = NULL;

    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++) {
        struct cl_tape_slot *slot = &head->slot[i];

        if (is_left(slot, era) && (best == NULL || LOAD(slot->owner) < LOAD(best->owner)))
            best = slot;
    }
    return best;
}

static struct cl_tape_slot *free_one(struct cl_tape_head *head)
{
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++)
        if (LOAD(head->slot[i].state) == CL_TAPE_SLOT_FREE)
            return &head->slot[i];
    return NULL;
}

/* False: the keeper has freed it meanwhile, its time being up. */
static bool take_over(struct cl_tape_slot *slot, uint32_t era)
{
    uint32_t owner = LOAD(slot->owner);

    return owner != 0 && owner != era &&
           __atomic_compare_exchange_n(&slot->owner, &owner, era, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* *ret_resumed: it was left behind by the reader that comes back. */
static struct cl_tape_slot *choose(struct cl_tape_head *head, const struct ns_slot_want *want, bool *ret_resumed)
{
    struct cl_tape_slot *slot;

    *ret_resumed = true;
    if (want->from == CLOISTER_ATTACH_RESUME || want->from == CLOISTER_ATTACH_POSITION)
        while ((slot = fitting(head, want)) != NULL)
            if (take_over(slot, want->era))
                return slot;
    *ret_resumed = false;
    slot = free_one(head);
    if (slot)
        return slot;
    while ((slot = oldest(head, want->era)) != NULL)
        if (take_over(slot, want->era))
            return slot;
    return free_one(head);
}

/* The keeper may have moved `start` on while the slot was not yet there to be seen. */
static void settle(const struct cl_tape *tape, struct cl_tape_slot *slot, const struct ns_slot_want *want, bool counts,
                   struct ns_slot_got *ret)
{
    uint64_t start;

    fence();
    start = LOAD(tape->start);
    if (byte_of(LOAD(slot->cursor)) < start) {
        if (counts)
            ret->lost = start - byte_of(LOAD(slot->cursor));
        STORE(slot->cursor, cursor_of(want->fd, start));
    }
    STORE(slot->lost, ret->lost);
    ret->position = byte_of(LOAD(slot->cursor));
}

static uint64_t first_byte(const struct cl_tape *tape, const struct cl_tape_slot *slot, const struct ns_slot_want *want,
                           bool resumed)
{
    switch (want->from) {
    case CLOISTER_ATTACH_LIVE:
        return LOAD(tape->end);
    case CLOISTER_ATTACH_POSITION:
        return want->position;
    default:
        return resumed ? byte_of(LOAD(slot->cursor)) : LOAD(tape->start);
    }
}

/* Whoever goes on where the last reader was leaves its first byte: what both have had is one. */
static void place(struct cl_tape_slot *slot, uint32_t fd, uint64_t position, bool resumed)
{
    if (resumed && byte_of(LOAD(slot->cursor)) == position)
        return;
    STORE(slot->first, UINT64_MAX);
    fence();
    STORE(slot->cursor, cursor_of(fd, position));
    STORE(slot->fd, fd);
    STORE(slot->first, position);
}

int ns_slot_take(struct cl_tape_head *head, const struct ns_slot_want *want, struct ns_slot_got *ret)
{
    const struct cl_tape *tape = &head->tape[want->fd < CL_TAPE_COUNT ? want->fd : 0];
    struct cl_tape_slot *slot;
    bool resumed, counts;

    if (LOAD(tape->state) == CL_TAPE_NONE)
        return -ENODATA;
    *ret = (struct ns_slot_got){.end = LOAD(tape->end)};
    if (want->from == CLOISTER_ATTACH_POSITION && want->position > ret->end)
        return -ERANGE;
    slot = choose(head, want, &resumed);
    if (slot == NULL)
        return -EBUSY;
    counts = resumed || want->from == CLOISTER_ATTACH_POSITION;
    place(slot, want->fd, first_byte(tape, slot, want, resumed), resumed);
    STORE(slot->busy, 0);
    STORE(slot->hungry, 0);
    STORE(slot->owner, want->era);
    STORE(slot->state, want->policy);
    settle(tape, slot, want, counts, ret);
    ret->index = (uint32_t)(slot - head->slot);
    return 0;
}

static const struct cl_tape *tape_of(const struct cl_tape_head *head, uint32_t index)
{
    uint32_t fd = LOAD(head->slot[index].fd);

    return &head->tape[fd < CL_TAPE_COUNT ? fd : 0];
}

uint64_t ns_slot_begin(struct cl_tape_head *head, uint32_t index)
{
    struct cl_tape_slot *slot = &head->slot[index];
    const struct cl_tape *tape = tape_of(head, index);
    uint64_t at, start, end;

    STORE(slot->busy, 1);
    fence();
    start = LOAD(tape->start);
    at = byte_of(LOAD(slot->cursor));
    if (at < start) {
        STORE(slot->lost, LOAD(slot->lost) + (start - at));
        STORE(slot->cursor, cursor_of(LOAD(slot->fd), start));
        at = start;
    }
    end = LOAD(tape->end);
    return end > at ? end - at : 0;
}

bool ns_slot_end(struct cl_tape_head *head, uint32_t index)
{
    STORE(head->slot[index].busy, 0);
    fence();
    return LOAD(tape_of(head, index)->starved) != 0;
}

/* The state first: once it says that the tape has ended, its end is final. */
static uint32_t look(const struct cl_tape_head *head, uint32_t index)
{
    const struct cl_tape *tape = tape_of(head, index);
    uint32_t state = LOAD(tape->state);

    if (LOAD(tape->end) > ns_slot_position(head, index))
        return NS_SLOT_DATA;
    return state == CL_TAPE_OPEN ? NS_SLOT_EMPTY : NS_SLOT_EOF;
}

uint32_t ns_slot_rest(struct cl_tape_head *head, uint32_t index)
{
    struct cl_tape_slot *slot = &head->slot[index];
    uint32_t rest;

    STORE(slot->hungry, 1);
    fence();
    rest = look(head, index);
    if (rest != NS_SLOT_EMPTY)
        STORE(slot->hungry, 0);
    return rest;
}

bool ns_slot_is_fed(const struct cl_tape_head *head, uint32_t index)
{
    return LOAD(head->slot[index].hungry) == 0 || look(head, index) != NS_SLOT_EMPTY;
}

/* First byte, cursor, descriptor and owner stay: the keeper still counts what somebody has read. */
bool ns_slot_free(struct cl_tape_head *head, uint32_t index)
{
    STORE(head->slot[index].busy, 0);
    STORE(head->slot[index].hungry, 0);
    STORE(head->slot[index].state, CL_TAPE_SLOT_FREE);
    fence();
    return LOAD(tape_of(head, index)->starved) != 0;
}

uint64_t ns_slot_position(const struct cl_tape_head *head, uint32_t index)
{
    return byte_of(LOAD(head->slot[index].cursor));
}

uint64_t ns_slot_lost(const struct cl_tape_head *head, uint32_t index)
{
    return LOAD(head->slot[index].lost);
}
