/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - may root map this file? Directories, ownership, type and ELF shape, before the dynamic linker sees any of
 * it. */
#ifndef CL_CORE_LOADER_FILE_H
#define CL_CORE_LOADER_FILE_H

#include <cloister/error.h>
#include <sys/stat.h>

/*
 * Opens a plugin directory and checks it and everything above it. *ret_path (free() it) is its real path, without
 * symbolic links: the names that were checked are the names that will be used. -ENOENT with err when it does not exist.
 */
int cl_plugin_dir_open(const char *dir, int *ret_fd, char **ret_path, struct cloister_error *err);

/*
 * Opens <dir>/<leaf> and checks it. path is for messages. -ENOENT with err when there is no such entry.
 * *ret_stat tells which file was checked.
 */
int cl_plugin_file_open(int dir_fd, const char *leaf, int *ret_fd, struct stat *ret_stat, struct cloister_error *err);

/* ELF, of this machine's word size, a shared object, and whole. */
int cl_plugin_elf_check(int fd, uint64_t file_size, struct cloister_error *err);

#endif
