/* SPDX-License-Identifier: Apache-2.0 */
/* io.h - whole files: bounded reads and complete writes on blocking descriptors. Never on the loop's sockets. */
#ifndef CL_UTIL_IO_H
#define CL_UTIL_IO_H

#include <stddef.h>

/*
 * Reads from the current position to the end. *ret_data is malloc'd, with a NUL behind the last byte that is not
 * counted. -E2BIG when there are more than `max` bytes, otherwise negative errno.
 */
int cl_read_fd(int fd, size_t max, char **ret_data, size_t *ret_size);
/* The same by name, relative to dir_fd (AT_FDCWD). O_CLOEXEC | O_NOCTTY; a fifo or device does not block the open. */
int cl_read_file(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);
/* Writes everything, across short writes and EINTR. 0 or negative errno. */
int cl_write_all(int fd, const void *data, size_t size);

#endif
