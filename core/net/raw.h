/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - one read or write of a non-blocking descriptor, descriptors included.
 *
 * Our own recvmsg and not libuv's pipes: those accept only streams and UDP handles, and a client may send a log file.
 */
#ifndef CL_CORE_NET_RAW_H
#define CL_CORE_NET_RAW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define CL_RAW_FDS_MAX 253u /* the kernel's own limit for one message */

struct cl_raw_fds {
    int32_t fds[CL_RAW_FDS_MAX]; /* owned by whoever receives, close-on-exec */
    uint32_t count;
    bool lost; /* some were cut off in the kernel (no free number): those that arrived have been closed */
};

/* Bytes, 0 at the end, or negative errno (-EAGAIN). ret_fds NULL: descriptors that come along are dropped by the
 * kernel. */
ssize_t cl_raw_receive(int fd, bool is_socket, void *buffer, size_t size, struct cl_raw_fds *ret_fds);
/* Bytes taken or negative errno. A peer that has gone is -EPIPE, never a signal (pipes: SIGPIPE must be ignored). */
ssize_t cl_raw_send(int fd, bool is_socket, const struct iovec *iov, int count);
/* One message with descriptors (borrowed) on a socket. 0, or negative errno (a message cut short is -EMSGSIZE). */
int cl_raw_send_message(int fd, const void *data, size_t size, const int *fds, size_t fd_count);
void cl_raw_fds_close(struct cl_raw_fds *fds);

#endif
