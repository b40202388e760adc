/* SPDX-License-Identifier: Apache-2.0 */
/* stdset.h - a stdio set of the SDK as what the keeper takes: exactly descriptors 0, 1 and 2, named by index. */
#ifndef NS_STDSET_H
#define NS_STDSET_H

#include <cloister/host.h>

#include "compile.h"

struct ns_stdio {
    uint32_t kind[3]; /* enum cl_wire_stdio_kind */
    int fd[3];        /* ours; -1 for NULL */
};

void ns_stdio_init(struct ns_stdio *stdio); /* three times NULL */
void ns_stdio_clear(struct ns_stdio *stdio);

/*
 * Takes the set: whatever the outcome, every descriptor in it is ours (in `ret`) or closed. CLOISTER_STDIO_CLOSED
 * becomes a pipe whose far end is closed. 0, or -1 with r's error (UNSUPPORTED: a kind or number that is not done).
 */
int ns_stdio_take(const struct ns_reader *r, const struct cloister_stdio *list, uint64_t count, uint64_t element_size,
                  struct ns_stdio *ret);

/* Moves the descriptors to the end of `fds` (room for three more) and says by which index each goes. */
void ns_stdio_move(struct ns_stdio *stdio, int *fds, uint32_t *io_count, struct cl_wire_stdio ret[3]);

#endif
