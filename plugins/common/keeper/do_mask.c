/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_mask.c - masked and read-only paths. What covers a file is our own null device, checked to be one: the container's
 * /dev/null is the image's data. A path that is not there cannot leak anything: one warning.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/keeper/fd.h"
#include "common/keeper/inside.h"
#include "common/keeper/setup.h"

static int null_tree(int *ret_fd)
{
    CL_CLOSE int fd = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return -ENODEV;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

static int empty_tree(int *ret_fd)
{
    CL_CLOSE int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "size", "4096", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int put(int tree, int target)
{
    if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

static int mask(int target)
{
    CL_CLOSE int tree = -1;
    struct stat st;
    int r;

    if (fstat(target, &st) < 0)
        return -errno;
    r = S_ISDIR(st.st_mode) ? empty_tree(&tree) : null_tree(&tree);
    return r < 0 ? r : put(tree, target);
}

static int make_readonly(int target)
{
    CL_CLOSE int tree = open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (tree < 0)
        return -errno;
    if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return -errno;
    return put(tree, target);
}

static int each(struct cl_setup *setup, uint32_t section, const char *step, int (*act)(int target))
{
    const cl_wire_str *path = cl_wire_items(setup->plan, section);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, section); i++) {
        const char *name = cl_wire_string(setup->plan, path[i]);
        CL_CLOSE int target = -1;
        int r = cl_inside_open(setup->fds[setup->plan->root_fd], name, 0, &target);

        if (r == -ENOENT || r == -ENOTDIR)
            r = cl_setup_warn(setup, ENOENT, step, "'%s'", name);
        else if (r == 0)
            r = act(target);
        if (r < 0)
            return cl_setup_detail(setup, r, "'%s'", name);
    }
    return 0;
}

int cl_do_mask(struct cl_setup *setup)
{
    return each(setup, CL_WIRE_MASKED, "mask", mask);
}

int cl_do_readonly(struct cl_setup *setup)
{
    return each(setup, CL_WIRE_READONLY, "readonly", make_readonly);
}
