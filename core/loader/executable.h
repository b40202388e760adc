/* SPDX-License-Identifier: Apache-2.0 */
/* executable.h - may root run this file? For host programs that a plugin may ask for. */
#ifndef CL_CORE_LOADER_EXECUTABLE_H
#define CL_CORE_LOADER_EXECUTABLE_H

#include <cloister/error.h>

/*
 * Finds what the absolute path leads to and checks it: a regular file that somebody may execute, of root's (or the
 * daemon's own user's), that no group or others can write, in a directory of which the same is true, below directories
 * in which nobody else can rename it. *ret_fd is O_PATH; *ret_path (free() it; may be NULL) its real path. -ENOENT with
 * NO_EXECUTABLE, else DENIED or by errno.
 */
int cl_executable_open(const char *path, int *ret_fd, char **ret_path, struct cloister_error *err);

#endif
