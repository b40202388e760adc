/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inside.h - paths below a container's root, which are the image's data and may be anything.
 *
 * Every path is resolved from a descriptor of the root with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); what is
 * made, is made by name only in a directory held by descriptor; work goes on with descriptors.
 */
#ifndef CL_KEEPER_INSIDE_H
#define CL_KEEPER_INSIDE_H

#include <stdint.h>
#include <sys/types.h>

/* O_PATH descriptor of what is there. `resolve` adds RESOLVE_* flags. */
int cl_inside_open(int root, const char *path, uint64_t resolve, int *ret_fd);

/* A directory, its missing components made with 0755 and the last one with `mode`. */
int cl_inside_directory(int root, const char *path, mode_t mode, uint64_t resolve, int *ret_fd);

/* The directory that holds the last component (made if missing), and that component, which points into path. */
int cl_inside_parent(int root, const char *path, int *ret_fd, const char **ret_name);

/* Something that is no directory; an empty file is made if nothing is there. */
int cl_inside_file(int root, const char *path, int *ret_fd);

#endif
