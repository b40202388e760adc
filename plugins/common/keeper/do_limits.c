/* SPDX-License-Identifier: Apache-2.0 */
/* do_limits.c - resource limits and niceness. */
#include <errno.h>
#include <sys/resource.h>

#include "common/keeper/setup.h"

/*
 * The keeper sets them from outside (prepare.c): raising a hard limit is a matter of host root, which this process no
 * longer is. Late, so that no limit meant for the program breaks the set-up.
 */
int cl_do_rlimits(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_RLIMITS};

    if (CL_SETUP_COUNT(setup, CL_WIRE_RLIMITS) == 0)
        return 0;
    int r = cl_report_send(setup->status, &report, NULL, 0);

    return r < 0 ? r : cl_setup_wait_go(setup);
}

int cl_do_nice(struct cl_setup *setup)
{
    if (setup->plan->nice != 0 && setpriority(PRIO_PROCESS, 0, setup->plan->nice) < 0)
        return cl_setup_detail(setup, -errno, "niceness %d", setup->plan->nice);
    return 0;
}
