/* SPDX-License-Identifier: Apache-2.0 */
/* fd.h - owned descriptors: closed at the end of the scope unless stolen. */
#ifndef CL_KEEPER_FD_H
#define CL_KEEPER_FD_H

#include <unistd.h>

static inline void cl_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define CL_CLOSE __attribute__((cleanup(cl_closep)))

static inline int cl_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

static inline void cl_drop_fd(int *fd)
{
    cl_closep(fd);
    *fd = -1;
}

#endif
