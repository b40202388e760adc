/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_sysctl.c - sysctls of the new namespaces. Written by the process itself, because net, ipc and uts values are those
 * of the writer; through the keeper's own procfs, because a /proc in the image may be anything.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/keeper/procfs.h"
#include "common/keeper/setup.h"

int cl_do_sysctls(struct cl_setup *setup)
{
    const struct cl_wire_sysctl *sysctl = cl_wire_items(setup->plan, CL_WIRE_SYSCTLS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_SYSCTLS); i++) {
        const char *key = cl_wire_string(setup->plan, sysctl[i].key);
        const char *value = cl_wire_string(setup->plan, sysctl[i].value);
        char path[256];

        if ((size_t)snprintf(path, sizeof(path), "sys/%s", key) >= sizeof(path))
            return cl_setup_detail(setup, -ENAMETOOLONG, "%s", key);
        int r = cl_procfs_write(setup->proc, path, value, strlen(value));

        if (r < 0)
            return cl_setup_detail(setup, r, "%s", key);
    }
    return 0;
}
