/* SPDX-License-Identifier: Apache-2.0 */
/* do_priority.c - scheduling, priority for disks, and the execution domain. */
#include <errno.h>
#include <sys/personality.h>

#include "common/keeper/setup.h"

/*
 * The keeper sets both from outside (prepare.c): real-time classes are a matter of host root. Late, because a deadline
 * task may not fork, and after the joins, because a group without real-time time takes no real-time task.
 */
int cl_do_priority(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_PRIORITY};

    if (!(setup->plan->flags & (CL_WIRE_PLAN_IO_PRIORITY | CL_WIRE_PLAN_SCHEDULER)))
        return 0;
    int r = cl_report_send(setup->status, &report, NULL, 0);

    return r < 0 ? r : cl_setup_wait_go(setup);
}

int cl_do_personality(struct cl_setup *setup)
{
    if (!(setup->plan->flags & CL_WIRE_PLAN_PERSONALITY))
        return 0;
    if (personality(setup->plan->personality) < 0)
        return cl_setup_detail(setup, -errno, "personality %#x", setup->plan->personality);
    return 0;
}
