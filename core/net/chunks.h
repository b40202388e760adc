/* SPDX-License-Identifier: Apache-2.0 */
/* chunks.h - bytes waiting for a descriptor: a queue of copies that is filled at one end and sent from the other. */
#ifndef CL_CORE_NET_CHUNKS_H
#define CL_CORE_NET_CHUNKS_H

#include <sys/uio.h>

#include <cloister/abi.h>

#include "core/util/list.h"

struct cl_chunks {
    struct cl_list list;
    uint64_t size;
};

void cl_chunks_init(struct cl_chunks *chunks);
/* Copies bytes to the end. 0 or -ENOMEM (then nothing was added). */
int cl_chunks_append(struct cl_chunks *chunks, struct cloister_sv bytes);
/* Copies bytes to the front. 0 or -ENOMEM. */
int cl_chunks_prepend(struct cl_chunks *chunks, struct cloister_sv bytes);
/* Points at the first bytes, in at most `max` pieces; returns how many. Borrowed until the queue changes. */
int cl_chunks_peek(const struct cl_chunks *chunks, struct iovec *iov, int max);
/* Drops the first `size` bytes, which must be there. */
void cl_chunks_consume(struct cl_chunks *chunks, uint64_t size);
/* Drops everything. */
void cl_chunks_clear(struct cl_chunks *chunks);

#endif
