/* SPDX-License-Identifier: Apache-2.0 */
/* socket_file.h - the name of a listening Unix socket in the file system: made safely, removed only while it is ours.
 */
#ifndef CL_CORE_NET_SOCKET_FILE_H
#define CL_CORE_NET_SOCKET_FILE_H

#include <sys/types.h>

#include <cloister/error.h>

struct cl_socket_file {
    char *path;
    dev_t device;
    ino_t inode;
};

/*
 * Binds a new stream socket to path, which must be absolute, and listens. The file appears without any access for
 * others and gets group ((gid_t)-1 = leave) and mode before the socket listens. A file that a dead daemon left is
 * replaced. *ret_fd is non-blocking; file is to be removed by cl_socket_file_remove.
 */
int cl_socket_file_listen(const char *path, mode_t mode, gid_t group, int backlog, struct cl_socket_file *ret_file,
                          int *ret_fd, struct cloister_error *err);
/* Unlinks the file unless another one has taken its place, and forgets the path. */
void cl_socket_file_remove(struct cl_socket_file *file);

#endif
