/* SPDX-License-Identifier: Apache-2.0 */
/* do_cgroups.c - the process joins its groups. The plugin opened the files; the kernel checks the opener's rights, not
 * ours. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/keeper/setup.h"

/* Back to back: a first v1 join costs 7-10 ms (an RCU grace period), the ones right after it next to nothing. */
int cl_do_join_cgroups(struct cl_setup *setup)
{
    const uint32_t *index = cl_wire_items(setup->plan, CL_WIRE_CGROUPS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_CGROUPS); i++) {
        if (write(setup->fds[index[i]], "0", 1) == 1)
            continue;
        int r = -errno;
        char link[64];
        char path[CL_WIRE_DETAIL_MAX] = "cgroup.procs";

        snprintf(link, sizeof(link), "self/fd/%d", setup->fds[index[i]]);
        ssize_t n = setup->proc < 0 ? -1 : readlinkat(setup->proc, link, path, sizeof(path) - 1);

        if (n > 0)
            path[n] = '\0';
        return cl_setup_detail(setup, r, "%s", path);
    }
    return 0;
}
