/* SPDX-License-Identifier: Apache-2.0 */
/* fd.h - descriptors as owned values: a cleanup attribute, a steal helper, and nothing that can leak across an exec. */
#ifndef CL_UTIL_FD_H
#define CL_UTIL_FD_H

#include <errno.h>
#include <unistd.h>

/* Closes *fd if it is one and marks it closed; errno survives, so it may run while an error is being returned. */
static inline void cl_closep(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    (void)close(*fd);
    errno = saved;
    *fd = -1;
}

#define CL_CLOSE __attribute__((cleanup(cl_closep)))

/* Takes the descriptor out of its owner: the caller owns it from here on. */
static inline int cl_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

/* A duplicate, close-on-exec, numbered 3 or above. Negative errno. */
int cl_fd_dup(int fd);
/* 0 or negative errno. */
int cl_fd_set_nonblock(int fd);

#endif
