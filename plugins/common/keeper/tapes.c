/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tapes.c - all captured output of a sandbox: which pipes are read when, how much they hold together, and what becomes
 * of readers when their daemon dies.
 */
#include "common/keeper/tapes.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/keeper/clock.h"
#include "common/keeper/fd.h"

#define RESUME_NS (60 * UINT64_C(1000000000))
#define READY_MAX 16
#define DROP_LEAST (64u << 10)
#define FULL_AGAIN_NS 100000000u
#define TIDY_NS 1000000000u
#define TIDY_MAX_NS (64 * UINT64_C(1000000000))
#define TIDY_LEAST (64u << 10)

#define STORE(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELEASE)

int cl_tapes_init(struct cl_tapes *tapes, int null)
{
    *tapes = (struct cl_tapes){.epoll = epoll_create1(EPOLL_CLOEXEC),
                               .null = null,
                               .to_daemon = -1,
                               .to_keeper = -1,
                               .resume_ns = RESUME_NS,
                               .max = CL_TAPE_SANDBOX_MAX,
                               .due_ns = UINT64_MAX,
                               .tidy_ns = UINT64_MAX};
    return tapes->epoll < 0 ? -errno : 0;
}

int cl_tapes_eventfds(struct cl_tapes *tapes)
{
    if (tapes->to_keeper >= 0)
        return 0;
    CL_CLOSE int to_daemon = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CL_CLOSE int to_keeper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (to_daemon < 0 || to_keeper < 0)
        return -errno;
    tapes->to_daemon = cl_steal_fd(&to_daemon);
    tapes->to_keeper = cl_steal_fd(&to_keeper);
    return 0;
}

void cl_tapes_wake(struct cl_tapes *tapes)
{
    if (tapes->to_daemon >= 0)
        eventfd_write(tapes->to_daemon, 1);
}

void cl_tapes_by(struct cl_tapes *tapes, uint64_t moment)
{
    if (moment < tapes->due_ns)
        tapes->due_ns = moment;
}

int cl_tapes_wait_ms(const struct cl_tapes *tapes)
{
    uint64_t now = cl_now();

    if (tapes->due_ns == UINT64_MAX)
        return -1;
    if (tapes->due_ns <= now)
        return 0;
    uint64_t ms = (tapes->due_ns - now) / 1000000 + 1;

    return ms > 3600000 ? 3600000 : (int)ms;
}

static void look_all(struct cl_tapes *tapes)
{
    for (struct cl_capture *capture = tapes->first; capture != NULL; capture = capture->next)
        for (uint32_t i = 0; i < CL_TAPE_COUNT; i++)
            cl_reel_look(&capture->reel[i]);
}

static void calm(struct cl_capture *capture)
{
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++)
        STORE(capture->head->slot[i].busy, 0);
}

void cl_tapes_connect(struct cl_tapes *tapes)
{
    tapes->connected = 1;
    tapes->era++;
    for (struct cl_capture *capture = tapes->first; capture != NULL; capture = capture->next)
        if (capture->head != NULL) {
            STORE(capture->head->era, tapes->era);
            calm(capture);
        }
}

static void leave(struct cl_capture *capture, uint64_t now)
{
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++) {
        struct cl_tape_slot *slot = &capture->head->slot[i];

        STORE(slot->hungry, 0);
        if (capture->left_ns[i] == 0 && __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != CL_TAPE_SLOT_FREE)
            capture->left_ns[i] = now;
        if (capture->left_ns[i] != 0)
            cl_tapes_by(capture->tapes, cl_after(capture->left_ns[i], capture->tapes->resume_ns));
    }
}

/* The kernel closes a dead process's sockets when its last thread has left its last system call: no sendfile of its is
 * under way any more. One that lives may be sending still; the next daemon connects only when it is dead. */
void cl_tapes_lose(struct cl_tapes *tapes, int alive)
{
    uint64_t now = cl_now();

    for (struct cl_capture *capture = tapes->first; capture != NULL; capture = capture->next) {
        if (capture->head == NULL)
            continue;
        cl_capture_forget(capture, 0, 0); /* what it had resumed counts from now */
        leave(capture, now);
        if (!alive)
            calm(capture);
    }
    tapes->connected = 0;
    look_all(tapes);
}

/* A reader that catches up with a silent process tells nobody: we look after a second, and then ever more rarely. */
static void tidy_in(struct cl_tapes *tapes, uint64_t span)
{
    tapes->tidy_span = span;
    tapes->tidy_ns = tapes->held > TIDY_LEAST ? cl_now() + span : UINT64_MAX;
    cl_tapes_by(tapes, tapes->tidy_ns);
}

void cl_tapes_serve(struct cl_tapes *tapes)
{
    struct epoll_event ready[READY_MAX];
    int n = epoll_wait(tapes->epoll, ready, READY_MAX, 0);

    for (int i = 0; i < n; i++) {
        struct cl_reel *reel = ready[i].data.ptr;
        struct cl_capture *capture = reel->capture;

        cl_reel_turn(reel);
        if (capture->head == NULL && capture->reel[1].pipe < 0 && capture->reel[2].pipe < 0)
            cl_capture_free(capture);
    }
    tidy_in(tapes, TIDY_NS);
}

void cl_tapes_kicked(struct cl_tapes *tapes)
{
    eventfd_t count;

    eventfd_read(tapes->to_keeper, &count);
    look_all(tapes);
}

static uint64_t resume_due(struct cl_capture *capture, uint64_t now)
{
    const struct cl_tapes *tapes = capture->tapes;
    uint64_t next = UINT64_MAX;

    cl_capture_forget(capture, 0, now > tapes->resume_ns ? now - tapes->resume_ns : 0);
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++) {
        uint64_t end = capture->left_ns[i] ? cl_after(capture->left_ns[i], tapes->resume_ns) : UINT64_MAX;

        next = end < next ? end : next;
    }
    return next;
}

void cl_tapes_due(struct cl_tapes *tapes)
{
    uint64_t now = cl_now();

    if (now < tapes->due_ns)
        return;
    tapes->due_ns = UINT64_MAX;
    for (struct cl_capture *capture = tapes->first; capture != NULL; capture = capture->next) {
        if (capture->head == NULL)
            continue;
        cl_tapes_by(tapes, resume_due(capture, now));
        cl_tapes_by(tapes, cl_drain_due(capture, now));
    }
    look_all(tapes);
    if (now >= tapes->tidy_ns)
        tidy_in(tapes, 2 * tapes->tidy_span < TIDY_MAX_NS ? 2 * tapes->tidy_span : TIDY_MAX_NS);
    else
        cl_tapes_by(tapes, tapes->tidy_ns);
}

/* Of the processes that have exited and still hold whole pages, the one that exited first after `order`. */
static struct cl_capture *oldest_after(const struct cl_tapes *tapes, uint64_t order)
{
    struct cl_capture *oldest = NULL;

    for (struct cl_capture *capture = tapes->first; capture != NULL; capture = capture->next)
        if (capture->order > order && (oldest == NULL || capture->order < oldest->order))
            oldest = capture;
    return oldest;
}

static void make_room(struct cl_tapes *tapes, uint64_t wanted, const struct cl_capture *spared)
{
    struct cl_capture *capture = NULL;
    uint64_t order = 0;

    while (tapes->held > wanted && (capture = oldest_after(tapes, order)) != NULL) {
        order = capture->order;
        if (capture == spared)
            continue;
        for (uint32_t i = 0; i < CL_TAPE_COUNT && tapes->held > wanted; i++) {
            uint64_t drop = tapes->held - wanted > DROP_LEAST ? tapes->held - wanted : DROP_LEAST;

            if (capture->reel[i].tape != NULL && capture->reel[i].held > 0)
                cl_reel_drop(&capture->reel[i], capture->reel[i].start + drop);
        }
    }
}

static uint64_t left_over(const struct cl_tapes *tapes)
{
    return tapes->max > tapes->held ? tapes->max - tapes->held : 0;
}

static void trim_all(struct cl_tapes *tapes)
{
    for (struct cl_capture *capture = tapes->first; capture != NULL; capture = capture->next)
        for (uint32_t i = 0; i < CL_TAPE_COUNT; i++)
            cl_reel_trim(&capture->reel[i]);
}

static uint64_t page_above(uint64_t position)
{
    return cl_page_below(position + CL_PAGE - 1);
}

/* Under pressure it matters how much there really is. One byte is asked for at least: it may be the end. */
static uint64_t pending(const struct cl_reel *reel, uint64_t want)
{
    int bytes = 0;

    if (ioctl(reel->pipe, FIONREAD, &bytes) < 0 || bytes < 1)
        bytes = 1;
    return want < (uint64_t)bytes ? want : (uint64_t)bytes;
}

/* The page that `end` lies in is paid for. A tape that holds nearly nothing may always take a page, so that one
 * process's silent readers cannot stop all the others; and nobody with readers is robbed for its own sake. */
uint64_t cl_tapes_allow(struct cl_tapes *tapes, struct cl_reel *reel, uint64_t want)
{
    if (page_above(reel->end + want) - page_above(reel->end) <= left_over(tapes))
        return want;
    want = pending(reel, want);
    uint64_t need = page_above(reel->end + want) - page_above(reel->end);
    int lossy = cl_reel_is_lossy(reel);

    trim_all(tapes);
    make_room(tapes, tapes->max > need ? tapes->max - need : 0, lossy ? NULL : reel->capture);
    if (need > left_over(tapes) && lossy)
        cl_reel_drop(reel, reel->start + need - left_over(tapes));
    if (need <= left_over(tapes))
        return want;
    uint64_t allowed = page_above(reel->end) - reel->end + cl_page_below(left_over(tapes));

    if (allowed == 0 && reel->end - reel->start < CL_PAGE)
        allowed = CL_PAGE;
    if (allowed == 0)
        cl_tapes_by(tapes, cl_now() + FULL_AGAIN_NS);
    return allowed < want ? allowed : want;
}
