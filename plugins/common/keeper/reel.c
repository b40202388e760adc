/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reel.c - pipe to tape: how far a process may run ahead of its readers, what is kept for whom, and what is given back.
 *
 * Who sets the pace: the fastest BLOCK reader, if there is one; readers whose daemon has died count as such, standing
 * still. Else the tape's own policy. In bytes, with W the window (after the process's exit a pipe's capacity more, so
 * that draining needs no reader):
 *
 *   pace         the process may write up to         kept from
 *   BLOCK reader fastest + W                         the slowest reader, but not below fastest - W
 *                                                    (own BLOCK: so too what nobody has had)
 *   own BLOCK    what readers have had + W           the slowest reader (there may be DROP ones), not below that - W
 *   own DROP     anywhere                            end - W (with a BLOCK reader also that, if it is lower)
 *   own DISCARD  anywhere                            end; while there is a DROP reader, the slowest, not below end - W
 *
 * Had is what some reader was given, from the oldest byte on without a gap: one that begins at the end has had nothing
 * of what lies before.
 *
 * A page is written once, from its first byte to its last: sendfile hands out the page itself. So it must be as small
 * as what is given back (pages.h).
 */
#include "common/keeper/tapes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/keeper/clock.h"
#include "common/keeper/fd.h"
#include "common/keeper/pages.h"

#define TURN (256u << 10)
#define TERMINAL 4096           /* what one gives at once */
#define PIPE_SIZE TURN          /* of a fast writer's pipe; what is in it counts as the process's memory, so not more */
#define RUSH 8u                 /* turns in a row that found the pipe full */
#define PUNCH_LEAST (64u << 10) /* punching page by page would cost more than the memory is worth */
#define PUNCH_RUNNING (TURN / 2) /* while bytes come in, the rest is given back soon anyway */
#define BUSY_AGAIN_NS 10000000u

#define LOAD(member) __atomic_load_n(&(member), __ATOMIC_RELAXED)
#define STORE(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELEASE)

static void fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t less(uint64_t from, uint64_t by)
{
    return from > by ? from - by : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Where the readers are. */
struct readers {
    int block;
    int drop;
    uint64_t fastest; /* of the BLOCK ones */
    uint64_t slowest; /* of all; UINT64_MAX = none */
};

/* From where to where a slot's reader, perhaps gone by now, was given bytes; false: nowhere, or it is changing hands.
 */
static int given(const struct cl_reel *reel, const struct cl_tape_slot *slot, uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t first = __atomic_load_n(&slot->first, __ATOMIC_ACQUIRE);
    uint64_t cursor = __atomic_load_n(&slot->cursor, __ATOMIC_ACQUIRE);

    if (LOAD(slot->fd) != reel->fd || cursor >> CL_TAPE_SHIFT != reel->fd || LOAD(slot->first) != first)
        return 0;
    *ret_from = first;
    *ret_to = least(cursor & CL_TAPE_POSITION_MASK, reel->end);
    return *ret_from < *ret_to;
}

/* The end of what was given from that byte on, without a gap. */
static uint64_t given_to(const struct cl_reel *reel, uint64_t position)
{
    uint64_t from, to, before;

    do {
        before = position;
        for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++)
            if (given(reel, &reel->capture->head->slot[i], &from, &to) && from <= position)
                position = most(position, to);
    } while (position != before);
    return position;
}

/* How many of these bytes nobody was given. */
static uint64_t not_given(const struct cl_reel *reel, uint64_t position, uint64_t end)
{
    uint64_t count = 0;
    uint64_t from, to;

    for (position = given_to(reel, position); position < end; position = given_to(reel, position)) {
        uint64_t next = end;

        for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++)
            if (given(reel, &reel->capture->head->slot[i], &from, &to) && from > position)
                next = least(next, from);
        count += next - position;
        position = next;
    }
    return count;
}

/* The daemon's words are taken as they come, but never as a position that was not written yet. */
static struct readers look(struct cl_reel *reel)
{
    struct readers readers = {.slowest = UINT64_MAX};

    if (reel->capture->head != NULL)
        reel->had = given_to(reel, most(reel->had, reel->start));
    for (uint32_t i = 0; i < CL_TAPE_SLOTS && reel->capture->head != NULL; i++) {
        struct cl_tape_slot *slot = &reel->capture->head->slot[i];
        uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
        uint64_t cursor = LOAD(slot->cursor);

        if (state == CL_TAPE_SLOT_FREE || LOAD(slot->fd) != reel->fd || cursor >> CL_TAPE_SHIFT != reel->fd)
            continue;
        cursor = least(cursor & CL_TAPE_POSITION_MASK, reel->end);
        readers.slowest = least(readers.slowest, cursor);
        if (state == CL_TAPE_SLOT_BLOCK || cl_capture_is_left(reel->capture->tapes, slot)) {
            readers.block = 1;
            readers.fastest = most(readers.fastest, cursor);
        } else {
            readers.drop = 1;
        }
    }
    return readers;
}

static uint64_t window_of(const struct cl_reel *reel)
{
    return reel->window + (reel->capture->order ? reel->capacity : 0);
}

static int discards(const struct cl_reel *reel, const struct readers *readers)
{
    return reel->state != CL_TAPE_OPEN || (reel->policy == CL_TAPE_DISCARD && !readers->block && !readers->drop);
}

static uint64_t limit(const struct cl_reel *reel, const struct readers *readers)
{
    if (readers->block)
        return readers->fastest + window_of(reel);
    if (reel->policy == CL_TAPE_BLOCK)
        return most(reel->had, reel->start) + window_of(reel);
    return UINT64_MAX;
}

static uint64_t keep_from(const struct cl_reel *reel, const struct readers *readers)
{
    uint64_t newest = less(reel->end, window_of(reel));
    uint64_t keep;

    if (readers->block) {
        keep = reel->policy == CL_TAPE_BLOCK ? least(readers->slowest, reel->had) : readers->slowest;
        keep = most(keep, less(readers->fastest, window_of(reel)));
        return reel->policy == CL_TAPE_DROP ? least(keep, newest) : keep;
    }
    if (reel->policy == CL_TAPE_BLOCK)
        return most(least(reel->had, readers->slowest), less(reel->had, window_of(reel)));
    if (reel->policy == CL_TAPE_DROP)
        return newest;
    return readers->drop ? most(readers->slowest, newest) : reel->end;
}

int cl_reel_is_lossy(struct cl_reel *reel)
{
    struct readers readers = look(reel);

    return !readers.block && (reel->policy != CL_TAPE_BLOCK || reel->capture->order != 0);
}

static void account(struct cl_reel *reel)
{
    uint64_t held = cl_page_below(reel->end + CL_PAGE - 1) - reel->punched;

    reel->capture->tapes->held += held - reel->held;
    reel->held = held;
}

/* A reader in the middle of a page that is to go: it looks at `start` before it sends, unless it has looked already. */
static int in_use(const struct cl_reel *reel, uint64_t below)
{
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++) {
        const struct cl_tape_slot *slot = &reel->capture->head->slot[i];

        if (LOAD(slot->state) != CL_TAPE_SLOT_FREE && LOAD(slot->busy) &&
            LOAD(slot->cursor) >> CL_TAPE_SHIFT == reel->fd && (LOAD(slot->cursor) & CL_TAPE_POSITION_MASK) < below)
            return 1;
    }
    return 0;
}

static void punch(struct cl_reel *reel, uint64_t at_least)
{
    uint64_t to = cl_page_below(reel->start);
    uint64_t base = (uint64_t)reel->fd << CL_TAPE_SHIFT;

    if (to < reel->punched + at_least || to == reel->punched)
        return;
    reel->owed = in_use(reel, to);
    if (reel->owed) {
        cl_tapes_by(reel->capture->tapes, cl_now() + BUSY_AGAIN_NS);
        return;
    }
    if (fallocate(reel->capture->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(base + reel->punched),
                  (off_t)(to - reel->punched)) == 0)
        reel->punched = to;
    account(reel);
}

static void move_start(struct cl_reel *reel, uint64_t start)
{
    if (start <= reel->start)
        return;
    reel->lost += not_given(reel, most(reel->start, reel->had), start);
    reel->start = start;
    STORE(reel->tape->lost, reel->lost);
    STORE(reel->tape->start, start);
    fence();
}

static void trim(struct cl_reel *reel, uint64_t at_least)
{
    if (reel->tape == NULL)
        return;
    struct readers readers = look(reel);

    move_start(reel, least(keep_from(reel, &readers), reel->end));
    punch(reel, reel->owed ? 0 : at_least);
}

void cl_reel_trim(struct cl_reel *reel)
{
    trim(reel, PUNCH_LEAST);
}

void cl_reel_drop(struct cl_reel *reel, uint64_t start)
{
    look(reel);
    move_start(reel, least(start, reel->end));
    punch(reel, 0);
}

/* `end` or `state` has moved. Whoever finds nothing to send says so and looks again: one of us sees the other. */
static void publish(struct cl_reel *reel)
{
    int hungry = 0;

    fence();
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++) {
        struct cl_tape_slot *slot = &reel->capture->head->slot[i];

        if (LOAD(slot->cursor) >> CL_TAPE_SHIFT == reel->fd && LOAD(slot->hungry)) {
            STORE(slot->hungry, 0);
            hungry = 1;
        }
    }
    if (hungry)
        cl_tapes_wake(reel->capture->tapes);
}

static void watch(struct cl_reel *reel, int on)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = reel};

    if (reel->watched == on)
        return;
    if (epoll_ctl(reel->capture->tapes->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, reel->pipe, &event) == 0)
        reel->watched = on;
}

/* By hand: helpers being forked may still have copies, and then closing ours ends nothing. */
void cl_reel_close(struct cl_reel *reel)
{
    if (reel->pipe < 0)
        return;
    watch(reel, 0);
    cl_drop_fd(&reel->pipe);
}

void cl_reel_end(struct cl_reel *reel, uint32_t state)
{
    if (reel->state != CL_TAPE_OPEN)
        return;
    reel->state = state;
    reel->starved = 0;
    STORE(reel->tape->starved, 0);
    STORE(reel->tape->state, state);
    reel->capture->tapes->changed = 1;
    publish(reel);
    if (reel->pipe >= 0)
        watch(reel, 1); /* what still comes is thrown away */
}

static uint64_t room(struct cl_reel *reel, uint64_t want)
{
    struct readers readers = look(reel);

    want = least(want, less(limit(reel, &readers), reel->end));
    return want ? cl_tapes_allow(reel->capture->tapes, reel, want) : 0;
}

/* First said, then looked once more: a reader that moves in between has seen it, or we see the reader. */
static uint64_t room_or_starve(struct cl_reel *reel, uint64_t want)
{
    uint64_t size = room(reel, want);

    if (size > 0)
        return size;
    STORE(reel->tape->starved, 1);
    fence();
    size = room(reel, want);
    reel->starved = size == 0;
    if (size > 0)
        STORE(reel->tape->starved, 0);
    watch(reel, size > 0);
    return size;
}

static ssize_t throw_away(struct cl_reel *reel, uint64_t size)
{
    ssize_t n = reel->terminal ? cl_terminal_move(reel, -1, size)
                               : splice(reel->pipe, NULL, reel->capture->tapes->null, NULL, size, SPLICE_F_NONBLOCK);

    if (n > 0 && reel->state == CL_TAPE_OPEN) {
        reel->end += (uint64_t)n;
        STORE(reel->tape->end, reel->end);
        cl_reel_trim(reel);
        account(reel);
    }
    return n < 0 ? -errno : n;
}

/* Pages for what the pipe holds, which is then taken and no more. One byte is asked for at least: it may be the end. */
static int make_pages(const struct cl_reel *reel, uint64_t at, uint64_t *size)
{
    int bytes = 0;

    if (reel->terminal)
        bytes = TERMINAL;
    else if (ioctl(reel->pipe, FIONREAD, &bytes) < 0 || bytes < 1)
        bytes = 1;
    *size = least(*size, (uint64_t)bytes);
    return cl_pages_make(reel->capture->memfd, at, at + *size);
}

static ssize_t record(struct cl_reel *reel, uint64_t size)
{
    off_t at = (off_t)((uint64_t)reel->fd << CL_TAPE_SHIFT | reel->end);
    int r = reel->capture->huge ? make_pages(reel, (uint64_t)at, &size) : 0;

    if (r < 0)
        return r;
    ssize_t n = reel->terminal ? cl_terminal_move(reel, at, size)
                               : splice(reel->pipe, NULL, reel->capture->memfd, &at, size, SPLICE_F_NONBLOCK);

    if (n > 0) {
        reel->end += (uint64_t)n;
        STORE(reel->tape->end, reel->end);
        account(reel);
        trim(reel, PUNCH_RUNNING);
    }
    return n < 0 ? -errno : n;
}

/* 0 = go on; else the turn is over. */
static int after(struct cl_reel *reel, ssize_t n)
{
    if (n > 0)
        return 0;
    if (n == -EINTR)
        return 0;
    if (n == -EAGAIN)
        return 1;
    if (n == 0) {
        cl_reel_end(reel, CL_TAPE_ENDED);
        cl_reel_close(reel);
    } else if (reel->state == CL_TAPE_OPEN) {
        cl_reel_end(reel, CL_TAPE_ENDED_EARLY); /* no memory: the process goes on without being heard */
    } else {
        cl_reel_close(reel);
    }
    return 1;
}

/* A pipe that is full puts its writer to sleep: by default once per 64 KiB, which costs more than the copying. Whoever
 * keeps filling it gets a bigger one; where that is refused it stays as it is. */
static void grow_if_rushed(struct cl_reel *reel, uint64_t taken)
{
    reel->rush = taken >= reel->capacity ? reel->rush + 1 : 0;
    if (reel->rush != RUSH || reel->pipe < 0)
        return;
    int size = fcntl(reel->pipe, F_GETPIPE_SZ); /* its writer may have made it bigger */

    if (size >= 0 && (uint32_t)size < PIPE_SIZE)
        size = fcntl(reel->pipe, F_SETPIPE_SZ, PIPE_SIZE);
    if (size > 0)
        reel->capacity = (uint64_t)size;
}

void cl_reel_turn(struct cl_reel *reel)
{
    uint64_t before = reel->end;
    uint64_t left = TURN;

    while (left > 0 && reel->pipe >= 0) {
        struct readers readers = look(reel);
        int discard = discards(reel, &readers);
        uint64_t size = discard ? left : room_or_starve(reel, left);

        if (size == 0)
            break;
        ssize_t n = discard ? throw_away(reel, size) : record(reel, size);

        if (after(reel, n))
            break;
        left -= n > 0 ? (uint64_t)n : 0;
    }
    grow_if_rushed(reel, TURN - left);
    if (reel->end == before)
        return;
    reel->heard_ns = cl_now();
    publish(reel);
}

void cl_reel_look(struct cl_reel *reel)
{
    cl_reel_trim(reel);
    if (!reel->starved)
        return;
    struct readers readers = look(reel);

    if (!discards(reel, &readers) && room(reel, TURN) == 0)
        return;
    reel->starved = 0;
    STORE(reel->tape->starved, 0);
    watch(reel, 1);
}

void cl_reel_set(struct cl_reel *reel, uint32_t policy, uint64_t window)
{
    reel->policy = policy;
    reel->window = window ? window : reel->window;
    STORE(reel->tape->policy, reel->policy);
    STORE(reel->tape->window, reel->window);
    cl_capture_forget(reel->capture, reel->fd, UINT64_MAX);
    cl_reel_look(reel);
}
