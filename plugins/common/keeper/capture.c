/* SPDX-License-Identifier: Apache-2.0 */
/* capture.c - what is captured of one process: a memfd, the page of it that the daemon shares, up to two reels. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/keeper/clock.h"
#include "common/keeper/fd.h"
#include "common/keeper/pages.h"
#include "common/keeper/tapes.h"

#define IDLE_NS 1000000000u
#define MAX_NS 10000000000u
#define TERMINAL_CAPACITY (64 << 10) /* more than the kernel keeps of what was written to a terminal */

#define STORE(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELEASE)

/* Sealed against getting shorter: whoever else holds the memfd must not be able to make our page a SIGBUS. Where pages
 * are made before they are written, they are to lie inside the file. */
static int make_head(struct cl_capture *capture)
{
    CL_CLOSE int fd = memfd_create("cl-tape", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    off_t size = capture->huge ? (off_t)CL_TAPE_COUNT << CL_TAPE_SHIFT : CL_TAPE_HEAD_SIZE;

    if (fd < 0 || ftruncate(fd, size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK) < 0)
        return -errno;
    struct cl_tape_head *head = mmap(NULL, CL_TAPE_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (head == MAP_FAILED)
        return -errno;
    /* A pause init never execs: inherited, the page would keep the whole memfd alive as long as it lives. */
    if (madvise(head, CL_TAPE_HEAD_SIZE, MADV_DONTFORK) < 0) {
        int r = -errno;

        munmap(head, CL_TAPE_HEAD_SIZE);
        return r;
    }
    head->magic = CL_TAPE_MAGIC;
    head->version = CL_TAPE_VERSION;
    head->pseq = capture->pseq;
    head->era = capture->tapes->era;
    capture->head = head;
    capture->memfd = cl_steal_fd(&fd);
    return 0;
}

int cl_capture_new(struct cl_tapes *tapes, uint64_t pseq, const struct cl_wire_memo *memo, struct cl_capture **ret)
{
    struct cl_capture *capture = calloc(1, sizeof(*capture));

    if (capture == NULL)
        return -ENOMEM;
    capture->tapes = tapes;
    capture->pseq = pseq;
    capture->memfd = -1;
    capture->huge = cl_pages_may_be_huge(CL_PAGES_SETTINGS);
    capture->idle_ns = memo->drain_idle_ns ? memo->drain_idle_ns : IDLE_NS;
    capture->max_ns = memo->drain_max_ns ? memo->drain_max_ns : MAX_NS;
    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++) {
        capture->reel[i].capture = capture;
        capture->reel[i].fd = i;
        capture->reel[i].pipe = -1;
    }
    int r = make_head(capture);

    if (r < 0) {
        free(capture);
        return r;
    }
    capture->next = tapes->first;
    tapes->first = capture;
    *ret = capture;
    return 0;
}

int cl_capture_add(struct cl_capture *capture, uint32_t fd, int pipe, const struct cl_wire_pipe *how)
{
    struct cl_reel *reel = &capture->reel[fd];
    int terminal = isatty(pipe);
    int capacity = terminal ? TERMINAL_CAPACITY : fcntl(pipe, F_GETPIPE_SZ);

    reel->pipe = pipe;
    reel->terminal = terminal;
    if (capacity < 0 || fcntl(pipe, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    reel->tape = &capture->head->tape[fd];
    reel->state = CL_TAPE_OPEN;
    reel->capacity = (uint64_t)capacity;
    reel->window = CL_TAPE_WINDOW;
    reel->starved = 1; /* not watched yet */
    cl_reel_set(reel, how->policy, how->window);
    STORE(reel->tape->state, reel->state);
    return reel->watched ? 0 : -ENOSPC; /* of epoll's watches */
}

void cl_capture_free(struct cl_capture *capture)
{
    struct cl_capture **at = &capture->tapes->first;

    while (*at != NULL && *at != capture)
        at = &(*at)->next;
    if (*at == capture)
        *at = capture->next;
    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++) {
        cl_reel_close(&capture->reel[i]);
        capture->tapes->held -= capture->reel[i].held;
    }
    if (capture->head != NULL)
        munmap(capture->head, CL_TAPE_HEAD_SIZE);
    cl_closep(&capture->memfd);
    free(capture);
}

void cl_capture_release(struct cl_capture *capture)
{
    int open = 0;

    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++) {
        struct cl_reel *reel = &capture->reel[i];

        cl_reel_end(reel, CL_TAPE_ENDED_EARLY);
        capture->tapes->held -= reel->held;
        reel->held = 0;
        reel->owed = 0;
        reel->tape = NULL;
        open |= reel->pipe >= 0;
    }
    munmap(capture->head, CL_TAPE_HEAD_SIZE);
    capture->head = NULL;
    cl_drop_fd(&capture->memfd);
    if (!open)
        cl_capture_free(capture);
}

int cl_capture_ended(const struct cl_capture *capture)
{
    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++)
        if (capture->reel[i].state == CL_TAPE_OPEN)
            return 0;
    return 1;
}

void cl_capture_end_of(const struct cl_capture *capture, struct cl_wire_end ret_end[CL_TAPE_COUNT])
{
    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++) {
        const struct cl_reel *reel = &capture->reel[i];

        ret_end[i] = (struct cl_wire_end){.position = reel->end, .lost = reel->lost, .state = reel->state};
    }
}

int cl_capture_is_left(const struct cl_tapes *tapes, const struct cl_tape_slot *slot)
{
    return !tapes->connected || __atomic_load_n(&slot->owner, __ATOMIC_ACQUIRE) != tapes->era;
}

/* A daemon that takes the slot over at this moment exchanges `owner` too: only one of us gets it. */
static void free_slot(struct cl_tape_slot *slot)
{
    uint32_t owner = __atomic_load_n(&slot->owner, __ATOMIC_ACQUIRE);

    if (__atomic_compare_exchange_n(&slot->owner, &owner, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        STORE(slot->state, CL_TAPE_SLOT_FREE);
}

void cl_capture_forget(struct cl_capture *capture, uint32_t fd, uint64_t moment)
{
    for (uint32_t i = 0; i < CL_TAPE_SLOTS && capture->head != NULL; i++) {
        struct cl_tape_slot *slot = &capture->head->slot[i];

        if (capture->left_ns[i] == 0)
            continue;
        if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == CL_TAPE_SLOT_FREE ||
            !cl_capture_is_left(capture->tapes, slot)) {
            capture->left_ns[i] = 0; /* resumed, or given up */
        } else if (capture->left_ns[i] <= moment && (fd == 0 || slot->fd == fd)) {
            free_slot(slot);
            capture->left_ns[i] = 0;
        }
    }
}
