/* SPDX-License-Identifier: Apache-2.0 */
/* do_limits.c - resource limits and niceness. */
#include <errno.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "common/keeper/setup.h"

static int names_core(const struct cl_setup *setup)
{
    const struct cl_wire_rlimit *limit = cl_wire_items(setup->plan, CL_WIRE_RLIMITS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_RLIMITS); i++)
        if (limit[i].resource == RLIMIT_CORE)
            return 1;
    return 0;
}

/* What lies within the hard limits of now needs nobody's rights. False if one does not. */
static bool set_here(const struct cl_setup *setup)
{
    const struct cl_wire_rlimit *limit = cl_wire_items(setup->plan, CL_WIRE_RLIMITS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_RLIMITS); i++) {
        struct rlimit wanted = {.rlim_cur = limit[i].soft, .rlim_max = limit[i].hard};
        if (prlimit(0, (__rlimit_resource_t)limit[i].resource, &wanted, NULL) < 0)
            return false;
    }
    return true;
}

/*
 * What fails here the keeper sets from outside (prepare.c): raising a hard limit is a matter of host root, which this
 * process no longer is. All from outside would not do: a keeper without CAP_SYS_RESOURCE, as in many containers, may
 * not even lower the limits of another user's process (prlimit(2)). Late, so that no limit meant for the program breaks
 * the set-up.
 */
int cl_do_rlimits(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_RLIMITS};
    const struct rlimit no_core = {0, 0};

    if (!names_core(setup) && setrlimit(RLIMIT_CORE, &no_core) < 0)
        return cl_setup_detail(setup, -errno, "RLIMIT_CORE: soft 0, hard 0");
    if (set_here(setup))
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
