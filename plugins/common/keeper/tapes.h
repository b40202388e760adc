/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tapes.h - captured output, seen from the keeper. common/keeper/tape.h has the page that is shared with the daemon.
 *
 * A *reel* is one tape with the pipe that feeds it; a *capture* is one process's reels and the memfd they lie in; the
 * *tapes* are all of a sandbox. What the keeper wrote into the shared page it also has here and never reads back: the
 * page is the daemon's too.
 */
#ifndef CL_KEEPER_TAPES_H
#define CL_KEEPER_TAPES_H

#include "common/keeper/wire.h"

#include <sys/types.h>

struct cl_tapes;
struct cl_capture;

struct cl_reel {
    struct cl_capture *capture;
    struct cl_tape *tape; /* in the shared page; NULL once that is given back */
    uint32_t fd;          /* the child's descriptor */
    int pipe;             /* our end; -1: it has ended, or is not captured */
    int terminal;         /* it is the master of one */
    int watched;
    int starved;    /* there is no room, so the pipe is not read */
    int owed;       /* pages wait for a reader to be done with them */
    uint32_t state; /* enum cl_tape_state */
    uint32_t policy;
    uint64_t end, start, lost;
    uint64_t window;
    uint64_t capacity; /* of the pipe */
    uint32_t rush;     /* turns in a row that found it full */
    uint64_t had;      /* how far readers have had every byte, or it is gone */
    uint64_t punched;  /* whole pages below it are given back */
    uint64_t held;     /* bytes of memory */
    uint64_t heard_ns; /* when the pipe last gave something */
};

struct cl_capture {
    struct cl_capture *next;
    struct cl_tapes *tapes;
    struct cl_tape_head *head; /* NULL: released; only children that it left behind still hold its pipes */
    int memfd;
    int huge; /* it may get huge pages: pages.h */
    int told; /* DRAINED was sent */
    uint64_t pseq;
    uint64_t order;    /* of its exit; 0 while it lives */
    uint64_t drain_ns; /* since when its tapes are to end; 0 = not yet */
    uint64_t idle_ns;
    uint64_t max_ns;
    uint64_t left_ns[CL_TAPE_SLOTS]; /* since when a slot's daemon is gone; 0 = it is not */
    struct cl_reel reel[CL_TAPE_COUNT];
};

struct cl_tapes {
    struct cl_capture *first;
    int epoll; /* of the pipes that may be read */
    int null;
    int to_daemon; /* -1 until somebody asks for a tape */
    int to_keeper;
    int connected; /* there is a control connection */
    int changed;   /* a tape may have ended: cl_drain_tell has something to look at */
    uint32_t era;
    uint64_t resume_ns;
    uint64_t max;
    uint64_t held;    /* by all reels */
    uint64_t due_ns;  /* when cl_tapes_due is next of use; UINT64_MAX = never */
    uint64_t tidy_ns; /* when to see what readers have done since; UINT64_MAX = nothing is held */
    uint64_t tidy_span;
};

/* --- tapes.c --- */

int cl_tapes_init(struct cl_tapes *tapes, int null);
int cl_tapes_eventfds(struct cl_tapes *tapes); /* makes them, once */
void cl_tapes_connect(struct cl_tapes *tapes);
/* The connection is gone: its readers stand still from now on. alive: the daemon still has its end, so one may be in
 * the middle of sending. */
void cl_tapes_lose(struct cl_tapes *tapes, int alive);
void cl_tapes_serve(struct cl_tapes *tapes);  /* the epoll descriptor is readable: a bounded turn for each ready pipe */
void cl_tapes_kicked(struct cl_tapes *tapes); /* the daemon says that cursors have moved */
void cl_tapes_due(struct cl_tapes *tapes);    /* after due_ns */
void cl_tapes_by(struct cl_tapes *tapes, uint64_t moment); /* due_ns is not later than this */
int cl_tapes_wait_ms(const struct cl_tapes *tapes);        /* for poll */
void cl_tapes_wake(struct cl_tapes *tapes);                /* writes the daemon's eventfd */

/* How much of `want` more bytes this reel may hold, after the oldest of exited processes has made room. */
uint64_t cl_tapes_allow(struct cl_tapes *tapes, struct cl_reel *reel, uint64_t want);

/* --- capture.c --- */

/* One that captures nothing yet; drain spans as in the memo. */
int cl_capture_new(struct cl_tapes *tapes, uint64_t pseq, const struct cl_wire_memo *memo, struct cl_capture **ret);
/* The pipe's reading end, or the terminal's master, is taken, also on failure. */
int cl_capture_add(struct cl_capture *capture, uint32_t fd, int pipe, const struct cl_wire_pipe *how);
/* Gives everything back, and goes on emptying pipes that others still hold. */
void cl_capture_release(struct cl_capture *capture);
void cl_capture_free(struct cl_capture *capture);
int cl_capture_ended(const struct cl_capture *capture);
void cl_capture_end_of(const struct cl_capture *capture, struct cl_wire_end ret_end[CL_TAPE_COUNT]);
/* Readers that a daemon left on this tape (0 = on any) at or before `moment` are gone. */
void cl_capture_forget(struct cl_capture *capture, uint32_t fd, uint64_t moment);
int cl_capture_is_left(const struct cl_tapes *tapes, const struct cl_tape_slot *slot);

/* --- reel.c --- */

void cl_reel_turn(struct cl_reel *reel); /* reads the pipe, at most a turn's worth */
void cl_reel_trim(struct cl_reel *reel); /* gives back what nobody needs */
void cl_reel_look(
    struct cl_reel *reel); /* cursors, policy or window have changed: the same, and perhaps there is room */
/* The own policy and window (0 = as it is) from now on; readers that a daemon left behind are gone. */
void cl_reel_set(struct cl_reel *reel, uint32_t policy, uint64_t window);
/* Lets go of the oldest bytes below `start`, whoever wanted them. */
void cl_reel_drop(struct cl_reel *reel, uint64_t start);
void cl_reel_end(struct cl_reel *reel, uint32_t state);
void cl_reel_close(struct cl_reel *reel);   /* the pipe */
int cl_reel_is_lossy(struct cl_reel *reel); /* nobody is promised its bytes */

/* --- terminal.c --- */

/* From a terminal to the tape's file at `at`, or nowhere if that is negative. As splice(2) would say it; the end is 0.
 */
ssize_t cl_terminal_move(const struct cl_reel *reel, off_t at, uint64_t size);

#define CL_PAGE 4096u

static inline uint64_t cl_page_below(uint64_t position)
{
    return position & ~(uint64_t)(CL_PAGE - 1);
}

/* --- drain.c --- */

struct cl_sandbox;
struct cl_container;
/* The process has been reaped; its record is written. */
void cl_drain_exited(struct cl_sandbox *sandbox, struct cl_wire_record *record, int is_init);
/* Nothing of the container lives any more. */
void cl_drain_empty(struct cl_sandbox *sandbox, const struct cl_container *container);
/* Deadlines of one capture; the next one, or UINT64_MAX. */
uint64_t cl_drain_due(struct cl_capture *capture, uint64_t now);
/* DRAINED of those whose tapes have all ended. */
void cl_drain_tell(struct cl_sandbox *sandbox);
/* The sandbox ends: what the pipes still hold is taken, then every tape ends. */
void cl_drain_all(struct cl_sandbox *sandbox);

#endif
