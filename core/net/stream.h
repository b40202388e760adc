/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over a socket or pipe descriptor: the shapes of <cloister/stream.h>. */
#ifndef CL_CORE_NET_STREAM_H
#define CL_CORE_NET_STREAM_H

#include <cloister/stream.h>

#include "core/loop/loop.h"

/* Takes fd (also on failure), makes it non-blocking. */
int cl_stream_from_fd(struct cl_loop *loop, int fd, cloister_stream **ret);
int cl_stream_read_start(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx);
int cl_stream_read_stop(cloister_stream *stream);
int cl_stream_write(cloister_stream *stream, struct cloister_sv bytes);
uint64_t cl_stream_queued(const cloister_stream *stream);
uint64_t cl_stream_sent(const cloister_stream *stream);
int cl_stream_shut(cloister_stream *stream, uint32_t sides);
void cl_stream_finish(cloister_stream *stream, cloister_fn closed, void *ctx);
void cl_stream_abort(cloister_stream *stream, cloister_fn closed, void *ctx);
int cl_stream_unread(cloister_stream *stream, struct cloister_sv bytes);

#endif
