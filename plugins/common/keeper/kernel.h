/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - system calls that glibc 2.36 does not wrap, or wraps with a cache we must not use. */
#ifndef CL_KEEPER_KERNEL_H
#define CL_KEEPER_KERNEL_H

#include <errno.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* Child's pid, 0 in the child, or negative errno. */
static inline pid_t cl_clone3(struct clone_args *args)
{
    long r = syscall(SYS_clone3, args, sizeof(*args));

    return r < 0 ? -errno : (pid_t)r;
}

/* openat2 says EAGAIN when a rename elsewhere made its answer unsure; a descriptor or negative errno. */
static inline int cl_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    long r = -1;

    for (int i = 0; i < 10000; i++) {
        r = syscall(SYS_openat2, dir, path, &how, sizeof(how));
        if (r >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return r < 0 ? -errno : (int)r;
}

#endif
