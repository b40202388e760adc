/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: the shapes of <cloister/stream.h>, with the loop in place of the host. */
#ifndef CL_CORE_NET_STREAM_H
#define CL_CORE_NET_STREAM_H

#include <cloister/stream.h>

#include "core/loop/loop.h"

/* Takes fd (also on failure), makes it non-blocking. Sockets, pipes, terminals, regular files, devices. */
int cl_stream_from_fd(struct cl_loop *loop, int fd, cloister_stream **ret);
/* On failure ctx stays the caller's and close is not called. */
int cl_stream_make(struct cl_loop *loop, const struct cloister_stream_vtable *vtable, void *ctx, cloister_stream **ret);
void cl_stream_ready(cloister_stream *stream, uint32_t what);
int cl_stream_pair(struct cl_loop *loop, const struct cloister_pair_args *args, cloister_stream **ret_a,
                   cloister_stream **ret_b);
/* source is taken only on success. */
int cl_stream_gate(cloister_stream *source, cloister_stream **ret);
void cl_stream_gate_end(cloister_stream *gate, uint32_t verdict, int32_t os_errno);

int cl_stream_read_start(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx);
int cl_stream_read_stop(cloister_stream *stream);
int cl_stream_write(cloister_stream *stream, struct cloister_sv bytes);
uint64_t cl_stream_queued(const cloister_stream *stream);
uint64_t cl_stream_sent(const cloister_stream *stream);
int cl_stream_shut(cloister_stream *stream, uint32_t sides);
int cl_stream_unread(cloister_stream *stream, struct cloister_sv bytes);
int cl_stream_info(const cloister_stream *stream, struct cloister_stream_info *ret);

void cl_stream_finish(cloister_stream *stream, cloister_fn closed, void *ctx);
void cl_stream_linger(cloister_stream *stream, cloister_fn closed, void *ctx);
void cl_stream_abort(cloister_stream *stream, cloister_fn closed, void *ctx);
int cl_stream_take_fd(cloister_stream *stream, int *ret_fd);

#endif
