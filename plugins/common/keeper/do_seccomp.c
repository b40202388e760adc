/* SPDX-License-Identifier: Apache-2.0 */
/* do_seccomp.c - the filters, compiled by the plugin, loaded as the very last thing before exec. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/setup.h"

int cl_do_seccomp(struct cl_setup *setup)
{
    const struct cl_wire_seccomp *item = cl_wire_items(setup->plan, CL_WIRE_SECCOMP);
    const struct sock_filter *bpf = cl_wire_items(setup->plan, CL_WIRE_BPF);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_SECCOMP); i++) {
        /* The kernel only reads the filter; its struct wants a pointer that is not const. */
        struct sock_fprog program = {.len = (unsigned short)item[i].count,
                                     .filter = (struct sock_filter *)(uintptr_t)(bpf + item[i].first)};

        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, item[i].flags, &program) < 0)
            return cl_setup_detail(setup, -errno, "filter %u of %u instructions", i, item[i].count);
    }
    return 0;
}
