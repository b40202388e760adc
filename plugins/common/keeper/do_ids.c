/* SPDX-License-Identifier: Apache-2.0 */
/* do_ids.c - who the process is: session keyring, groups, user. */
#include <errno.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/setup.h"

/*
 * A fresh session keyring, charged to host root: joined after the uid change it would be charged to the container's
 * user, and the 201st container of one id range would fail with EDQUOT. A kernel without keyrings has nothing to hide.
 */
int cl_do_keyring(struct cl_setup *setup)
{
    if (!(setup->plan->flags & CL_WIRE_PLAN_KEYRING))
        return 0;
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return cl_setup_detail(setup, -errno, "join a new session keyring");
    return 0;
}

/* A change of ids makes the process dumpable again where fs.suid_dumpable says so. */
static int hide(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* Which inside id stands for "root" while we make things: 0, or the first mapped one when 0 is not mapped. */
static uint32_t maker_id(const struct cl_setup *setup, uint32_t section)
{
    const struct cl_wire_map *map = cl_wire_items(setup->plan, section);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, section); i++)
        if (map[i].inside == 0)
            return 0;
    return CL_SETUP_COUNT(setup, section) ? map[0].inside : 0;
}

/*
 * In a user namespace we still have host root's ids, which are not mapped: files made through an id-mapped root would
 * fail with EOVERFLOW. The capabilities in the namespace are full and survive, since none of these changes leaves
 * root's id of it.
 */
int cl_do_inside_root(struct cl_setup *setup)
{
    gid_t gid = maker_id(setup, CL_WIRE_GID_MAP);
    uid_t uid = maker_id(setup, CL_WIRE_UID_MAP);

    if (!cl_in_user_namespace(setup))
        return 0;
    if (syscall(SYS_setresgid, gid, gid, gid) < 0)
        return cl_setup_detail(setup, -errno, "become gid %u of the user namespace", gid);
    if (syscall(SYS_setresuid, uid, uid, uid) < 0)
        return cl_setup_detail(setup, -errno, "become uid %u of the user namespace", uid);
    return hide();
}

/* Always set, also to none: supplementary groups must never come from us. Where setgroups is denied we have none to
 * give away. */
int cl_do_groups(struct cl_setup *setup)
{
    uint32_t count = setup->who.group_count;

    if (setup->plan->flags & CL_WIRE_PLAN_DENY_SETGROUPS)
        return 0;
    if (syscall(SYS_setgroups, (size_t)count, setup->who.groups) == 0)
        return 0;
    /* A process that enters such a container has none either, and may not even say so. */
    if (errno != EPERM || count != 0 || getgroups(0, NULL) != 0)
        return cl_setup_detail(setup, -errno, "set %u supplementary groups", count);
    return 0;
}

int cl_do_user(struct cl_setup *setup)
{
    uid_t uid = setup->who.uid;
    gid_t gid = setup->who.gid;

    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return -errno;
    if (syscall(SYS_setresgid, gid, gid, gid) < 0)
        return cl_setup_detail(setup, -errno, "gid %u%s", gid, errno == EINVAL ? " is not mapped" : "");
    if (syscall(SYS_setresuid, uid, uid, uid) < 0)
        return cl_setup_detail(setup, -errno, "uid %u%s", uid, errno == EINVAL ? " is not mapped" : "");
    umask(setup->plan->umask);
    /* Cleared by the changes above. Only a second belt: what holds is that the keeper is pid 1 of the outer pid
     * namespace. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    return hide();
}
