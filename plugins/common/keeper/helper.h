/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h - the role that runs one program of the host's (<cloister/zygote.h>) and tells how it ended. */
#ifndef CL_KEEPER_HELPER_H
#define CL_KEEPER_HELPER_H

#include <stddef.h>

/* `control` is the role's socket, fds what came behind it. Returns the exit code of this process. */
int cl_helper_run(int control, const int *fds, size_t count);

#endif
