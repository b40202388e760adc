/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.c - by the kernel's own call: core has no libcap. SECURITY.md shows the same list to operators, and
 * tests/accept looks at /proc.
 */
#include "core/daemon/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error/error.h"

#define BIT(capability) (1ull << (capability))

uint64_t cl_privileges_kept(void)
{
    return BIT(CAP_SYS_ADMIN)         /* detached mounts, device programs of cgroups */
           | BIT(CAP_DAC_READ_SEARCH) /* roots and bind sources that are not root's */
           | BIT(CAP_DAC_OVERRIDE)    /* upper directories that a container's ids own */
           | BIT(CAP_CHOWN)           /* sockets and upper directories are given to others */
           | BIT(CAP_FOWNER)          /* and their modes set afterwards */
           | BIT(CAP_KILL)            /* members of a group that is emptied */
           | BIT(CAP_SYS_PTRACE);     /* /proc/<pid>/ns of a process that a spec names */
}

int cl_privileges_drop(struct cloister_error *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    uint64_t kept = cl_privileges_kept();

    if (syscall(SYS_capget, &head, data) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "capabilities", "read the daemon's capabilities");
    for (unsigned i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(kept >> (32 * i));
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &head, data) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "capabilities", "drop the daemon's capabilities");
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return 0;
}
