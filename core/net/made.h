/* SPDX-License-Identifier: Apache-2.0 */
/* made.h - a made stream's `move`, for relays and gates. */
#ifndef CL_CORE_NET_MADE_H
#define CL_CORE_NET_MADE_H

#include <cloister/stream.h>

/* enum cloister_moved; the stream must have `move`. */
uint32_t cl_made_move(cloister_stream *stream, int fd, uint64_t size, uint64_t *ret_moved, int32_t *ret_errno);

#endif
