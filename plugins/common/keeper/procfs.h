/* SPDX-License-Identifier: Apache-2.0 */
/* procfs.h - files of a procfs that we mounted ourselves, reached from its descriptor, never by a path string. */
#ifndef CL_KEEPER_PROCFS_H
#define CL_KEEPER_PROCFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A detached procfs of the caller's pid namespace. */
int cl_procfs_make(int *ret_fd);

/* Opens `path` below `proc`; refuses symlinks on the way and anything that is not procfs. */
int cl_procfs_open(int proc, const char *path, int flags, int *ret_fd);

/* One write of the whole text. */
int cl_procfs_write(int proc, const char *path, const char *text, size_t size);

/* Reads at most size - 1 bytes and ends them with NUL; gives the length or negative errno. */
ssize_t cl_procfs_read(int proc, const char *path, char *buffer, size_t size);

/* The namespace file of a process ("user", "pid"): a magic link, so this one is followed. */
int cl_procfs_open_ns(int proc, pid_t pid, const char *ns, int *ret_fd);

/* Inode of that namespace, 0 = unknown (the process is gone). */
uint64_t cl_procfs_ns_inode(int proc, pid_t pid, const char *ns);

#endif
