/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - the keeper program as a sealed copy in memory: what runs can not be changed through /proc/<pid>/exe. */
#ifndef CL_CORE_ZYGOTE_PROGRAM_H
#define CL_CORE_ZYGOTE_PROGRAM_H

#include <cloister/error.h>

/* *ret_fd is executable, sealed against every change, close-on-exec. 0 or negative errno. */
int cl_program_seal(const char *path, int *ret_fd, struct cloister_error *err);

#endif
