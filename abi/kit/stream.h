/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - streams that a plugin makes or that stand over its descriptors. The plugin's side is `make`, `ready`,
 * `from_fd`, one relay at a time, and closing; the other side is the suite, which reads and writes them in its own
 * time.
 */
#ifndef KIT_STREAM_H
#define KIT_STREAM_H

#include <cloister/stream.h>
#include <stdbool.h>

extern const struct cloister_stream_api kit_stream_api;

/* Reads until there are `size` bytes, the stream ends or the time is over. *ret_verdict: 0, or how it ended. */
size_t kit_stream_read(cloister_stream *stream, char *buffer, size_t size, unsigned seconds, uint32_t *ret_verdict);
/* False: the sink has gone, or the time is over. */
bool kit_stream_write(cloister_stream *stream, struct cloister_sv bytes, unsigned seconds);
void kit_stream_close(cloister_stream *stream);

#endif
