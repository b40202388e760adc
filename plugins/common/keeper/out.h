/* SPDX-License-Identifier: Apache-2.0 */
/* out.h - messages waiting for the control connection, in order. */
#ifndef CL_KEEPER_OUT_H
#define CL_KEEPER_OUT_H

#include "common/keeper/wire.h"

struct cl_out_item;
struct cl_out {
    struct cl_out_item *first;
    struct cl_out_item **end;
    uint32_t count;
};

void cl_out_init(struct cl_out *out);

#define CL_OUT_FDS_MAX 3u

/* Queues a copy, cut to `size` bytes; the descriptors are taken, also on failure. */
int cl_out_push(struct cl_out *out, const void *message, size_t size, const int *fds, uint32_t n);

/* Sends what the socket takes. 0 (perhaps with items left) or -EPIPE. */
int cl_out_flush(struct cl_out *out, int sock);

/* The connection is lost: nobody will ask for these; what they told is in the records. */
void cl_out_clear(struct cl_out *out);

#endif
