/* SPDX-License-Identifier: Apache-2.0 */
/* stdset.h - a stdio set of the SDK as what the keeper takes: exactly descriptors 0, 1 and 2, named by index. */
#ifndef NS_STDSET_H
#define NS_STDSET_H

#include <cloister/host.h>

#include "compile.h"

struct ns_stdio {
    uint32_t kind[3]; /* enum cl_wire_stdio_kind */
    int fd[3];        /* ours; -1 but for DESCRIPTOR */
    uint32_t same[3]; /* SAME: the lower child descriptor */
    struct cl_wire_pipe pipe[3];
};

#define NS_NO_POLICY UINT32_MAX
/* enum cloister_policy as enum cl_tape_policy. */
uint32_t ns_policy(uint32_t policy);

void ns_stdio_init(struct ns_stdio *stdio); /* three times NULL */
void ns_stdio_clear(struct ns_stdio *stdio);

/*
 * Takes the set: whatever the outcome, every descriptor in it is ours (in `ret`) or closed. CLOISTER_STDIO_CLOSED
 * becomes a pipe whose far end is closed. 0, or -1 with r's error (UNSUPPORTED: a kind or number that is not done).
 */
int ns_stdio_take(const struct ns_reader *r, const struct cloister_stdio *list, uint64_t count, uint64_t element_size,
                  struct ns_stdio *ret);

/* Something of it needs a keeper of version 3. */
bool ns_stdio_has_pipe(const struct ns_stdio *stdio);

/* Moves the descriptors to the end of `fds` (room for three more) and says by which index each goes; pipes will belong
 * to `uid` inside. */
void ns_stdio_move(struct ns_stdio *stdio, int *fds, uint32_t *io_count, uint32_t uid, struct cl_wire_stdio ret[3],
                   struct cl_wire_memo *ret_memo);

/* What the keeper is to remember of a process. 0, or -1: too long, or not a name. */
int ns_memo_set(const struct ns_reader *r, struct cl_wire_memo *memo, struct cloister_sv name,
                const struct cloister_process_args *process);

#endif
