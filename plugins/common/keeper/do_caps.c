/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_caps.c - the five capability sets.
 *
 * A capability that this host cannot give (outside our own bounding set) is dropped with a warning, and so is an
 * ambient one that is not inheritable; anything else that does not fit together is the kernel's EPERM and ends the
 * set-up.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/setup.h"

#define BIT(cap) (UINT64_C(1) << (cap))

static uint64_t own_bounding(void)
{
    uint64_t set = 0;

    for (int cap = 0; cap < 64; cap++) {
        int r = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

        if (r < 0)
            break;
        if (r > 0)
            set |= BIT(cap);
    }
    return set;
}

static int warn(struct cl_setup *setup, uint64_t missing, const char *why)
{
    char list[CL_WIRE_DETAIL_MAX - 64] = "";
    size_t used = 0;

    for (int cap = 0; cap < 64 && used < sizeof(list); cap++) {
        if (!(missing & BIT(cap)))
            continue;
        char *name = cap_to_name(cap);

        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? " " : "", name ? name : "?");
        cap_free(name);
    }
    return missing ? cl_setup_warn(setup, EPERM, "capabilities", "%s: %s", why, list) : 0;
}

/* First, while CAP_SETPCAP is there; says once which of all five sets cannot be had. */
int cl_do_bounding(struct cl_setup *setup)
{
    const struct cl_caps *caps = &setup->who.caps;
    uint64_t have = own_bounding();
    uint64_t asked = caps->bounding | caps->permitted | caps->effective | caps->inheritable | caps->ambient;
    int r = warn(setup, asked & ~have, "not available on this host");

    for (int cap = 0; r == 0 && cap < 64; cap++)
        if ((have & ~caps->bounding & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            r = cl_setup_detail(setup, -errno, "drop capability %d from the bounding set", cap);
    return r;
}

static int set_ambient(struct cl_setup *setup, uint64_t ambient)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    for (int cap = 0; cap < 64; cap++)
        if ((ambient & BIT(cap)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return cl_setup_detail(setup, -errno, "raise ambient capability %d", cap);
    return 0;
}

/*
 * Loading a filter without no_new_privs takes CAP_SYS_ADMIN, and must come after everything else. So it is kept until
 * exec, which computes the program's sets from the inheritable, bounding and ambient ones and forgets this one.
 */
static uint64_t until_exec(const struct cl_setup *setup)
{
    const struct cl_wire_plan *plan = setup->plan;
    int loads =
        plan->section[CL_WIRE_SECCOMP].count != 0 && !(plan->flags & (CL_WIRE_PLAN_NO_NEW_PRIVS | CL_WIRE_PLAN_PAUSE));

    return loads ? BIT(CAP_SYS_ADMIN) : 0;
}

int cl_do_caps(struct cl_setup *setup)
{
    const struct cl_caps *caps = &setup->who.caps;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    uint64_t have = data[0].permitted | (uint64_t)data[1].permitted << 32;
    uint64_t permitted = (caps->permitted | until_exec(setup)) & have;
    uint64_t effective = (caps->effective | until_exec(setup)) & have;
    uint64_t inheritable = caps->inheritable & have;
    uint64_t ambient = caps->ambient & have;

    for (int i = 0; i < 2; i++) {
        data[i].permitted = (uint32_t)(permitted >> (32 * i));
        data[i].effective = (uint32_t)(effective >> (32 * i));
        data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
    }
    if (syscall(SYS_capset, &header, data) < 0)
        return cl_setup_detail(setup, -errno, "set permitted %#llx, effective %#llx, inheritable %#llx",
                               (unsigned long long)permitted, (unsigned long long)effective,
                               (unsigned long long)inheritable);
    int r = warn(setup, ambient & ~inheritable, "ambient but not inheritable");

    return r < 0 ? r : set_ambient(setup, ambient & inheritable);
}

int cl_do_no_new_privs(struct cl_setup *setup)
{
    if ((setup->plan->flags & CL_WIRE_PLAN_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}
