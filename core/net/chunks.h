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

/* A buffer on its own: filled and emptied by its owner, and what is left in it can become the front of a queue, which
 * takes no memory. free() releases one. NULL: no memory. */
struct cl_chunk;
struct cl_chunk *cl_chunk_new(size_t capacity);
struct iovec cl_chunk_space(struct cl_chunk *chunk);
void cl_chunk_filled(struct cl_chunk *chunk, size_t size);
struct iovec cl_chunk_bytes(struct cl_chunk *chunk);
void cl_chunk_taken(struct cl_chunk *chunk, size_t size);
void cl_chunks_give(struct cl_chunks *chunks, struct cl_chunk *chunk); /* chunk is the queue's */

#endif
