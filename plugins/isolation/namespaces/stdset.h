/* SPDX-License-Identifier: Apache-2.0 */
/* stdset.h - a stdio set of the SDK as what the keeper takes: descriptors 0, 1 and 2, and further ones, by index. */
#ifndef NS_STDSET_H
#define NS_STDSET_H

#include <cloister/host.h>

#include "compile.h"

struct ns_stdio {
    uint32_t kind[3]; /* enum cl_wire_stdio_kind */
    int fd[3];        /* ours; -1 but for DESCRIPTOR */
    uint32_t same[3]; /* SAME: the lower child descriptor */
    struct cl_wire_pipe pipe[3];
    uint32_t rows; /* TERMINAL; 0 = not said */
    uint32_t columns;
    uint32_t extra_count;
    struct {
        uint32_t number;
        int fd; /* ours */
    } extra[CL_WIRE_EXTRA_MAX];
};
/* What ns_stdio_move may add to a list of descriptors. */
#define NS_STDIO_ROOM (3u + CL_WIRE_EXTRA_MAX)

#define NS_NO_POLICY UINT32_MAX
/* enum cloister_policy as enum cl_tape_policy. */
uint32_t ns_policy(uint32_t policy);

void ns_stdio_init(struct ns_stdio *stdio); /* three times NULL */
void ns_stdio_clear(struct ns_stdio *stdio);
void ns_stdio_reset(struct ns_stdio *stdio); /* three times NULL again; the further ones stay */

/*
 * Takes the set: whatever the outcome, every descriptor in it is ours (in `ret`) or closed. CLOISTER_STDIO_CLOSED
 * becomes a pipe whose far end is closed. 0, or -1 with r's error (UNSUPPORTED: a kind or number that is not done).
 */
int ns_stdio_take(const struct ns_reader *r, const struct cloister_stdio *list, uint64_t count, uint64_t element_size,
                  struct ns_stdio *ret);

/* A process's set and its further descriptors, by the same rules. */
int ns_stdio_take_process(const struct ns_reader *r, const struct cloister_process_args *process, struct ns_stdio *ret);

bool ns_stdio_has_terminal(const struct ns_stdio *stdio);
/* 0, or -1 with INVALID: OCI `process.terminal` (of the plan) must say what the set says. */
int ns_stdio_fits(const struct ns_reader *r, const struct ns_stdio *stdio, const struct cl_wire_plan *plan);
/* Of what it needs, the first thing that a keeper of this wire version does not know; NULL: it knows all of it. */
const char *ns_stdio_too_new(const struct ns_stdio *stdio, uint32_t version);

/* Moves the descriptors to the end of `fds` (room for NS_STDIO_ROOM more) and says by which index each goes; pipes will
 * belong to `uid` inside. */
void ns_stdio_move(struct ns_stdio *stdio, int *fds, uint32_t *io_count, uint32_t uid, struct cl_wire_stdio ret[3],
                   struct cl_wire_memo *ret_memo);

/* A size that the set did not say is OCI's consoleSize. */
void ns_memo_size(struct cl_wire_memo *memo, const struct ns_compile *c);

/* What the keeper is to remember of a process. 0, or -1: too long, or not a name. */
int ns_memo_set(const struct ns_reader *r, struct cl_wire_memo *memo, struct cloister_sv name,
                const struct cloister_process_args *process);

#endif
