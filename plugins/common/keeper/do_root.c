/* SPDX-License-Identifier: Apache-2.0 */
/* do_root.c - the root's tree is put at /root of our minimal mount namespace, and in the end becomes the root itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/setup.h"

static int has_root(const struct cl_setup *setup)
{
    return setup->plan->root_fd != CL_WIRE_NO_FD;
}

/*
 * A mount below the root's directory on the host comes along, and a read-only root means it too. The root's own mount
 * stays writable until the mount points are made, unless it is read-only on the host.
 */
static int close_tree(int root)
{
    struct mount_attr set = {.attr_set = MOUNT_ATTR_RDONLY};
    struct mount_attr clear = {.attr_clr = MOUNT_ATTR_RDONLY};
    struct statvfs before;

    if (fstatvfs(root, &before) < 0 || mount_setattr(root, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0)
        return -errno;
    if (!(before.f_flag & ST_RDONLY) && mount_setattr(root, "", AT_EMPTY_PATH, &clear, sizeof(clear)) < 0)
        return -errno;
    return 0;
}

/* Private (or slave, if the root is to receive the host's mounts) before anything is mounted on it: else it would show
 * outside. */
int cl_do_root(struct cl_setup *setup)
{
    uint32_t keep = setup->plan->root_propagation & (MS_SLAVE | MS_SHARED);
    struct mount_attr attr = {.propagation = keep ? MS_SLAVE : MS_PRIVATE};
    int root;
    int r;

    if (!has_root(setup))
        return 0;
    root = setup->fds[setup->plan->root_fd];
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return cl_setup_detail(setup, -errno, "make all mounts private");
    if (mount_setattr(root, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return cl_setup_detail(setup, -errno, "propagation of the root");
    if ((setup->plan->flags & CL_WIRE_PLAN_ROOT_READONLY) && (r = close_tree(root)) < 0)
        return cl_setup_detail(setup, r, "make the root's tree read-only");
    if (move_mount(root, "", AT_FDCWD, "/root", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return cl_setup_detail(setup, -errno, "attach the root");
    return 0;
}

int cl_do_pivot(struct cl_setup *setup)
{
    if (!has_root(setup))
        return 0;
    if (fchdir(setup->fds[setup->plan->root_fd]) < 0)
        return -errno;
    /* With both names "." the old root ends up stacked on the new one, from where it is taken off: no directory is
     * needed. */
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return -errno;
    if (umount2(".", MNT_DETACH) < 0)
        return cl_setup_detail(setup, -errno, "take the old root away");
    return chdir("/") < 0 ? -errno : 0;
}

/* Last, since a read-only root takes no mount points and pivot_root wants no shared one. */
int cl_do_root_flags(struct cl_setup *setup)
{
    struct mount_attr attr = {0};
    uint32_t propagation = setup->plan->root_propagation;

    if (!has_root(setup))
        return 0;
    if (setup->plan->flags & CL_WIRE_PLAN_ROOT_READONLY) {
        attr.attr_set = MOUNT_ATTR_RDONLY;
        if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
            return cl_setup_detail(setup, -errno, "make the root read-only");
    }
    attr = (struct mount_attr){.propagation = propagation & ~(uint32_t)MS_REC};
    if (propagation != 0 &&
        mount_setattr(AT_FDCWD, "/", propagation & MS_REC ? AT_RECURSIVE : 0, &attr, sizeof(attr)) < 0)
        return cl_setup_detail(setup, -errno, "propagation of the root");
    return 0;
}
