/* SPDX-License-Identifier: Apache-2.0 */
/* do_mounts.c - the plan's mounts, in order: each a detached tree, made or given, cut to its attributes, then put on a
 * descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/inside.h"
#include "common/keeper/setup.h"

static int root_of(const struct cl_setup *setup)
{
    return setup->fds[setup->plan->root_fd];
}

static int is_type(const struct cl_setup *setup, const struct cl_wire_mount *mount, const char *type)
{
    return mount->kind == CL_WIRE_MOUNT_FS && strcmp(cl_wire_string(setup->plan, mount->type), type) == 0;
}

/*
 * Where it goes. For proc and sysfs no symlink is followed on the way: a container that finds them elsewhere than the
 * masked and read-only paths say would have them unmasked.
 */
static int open_target(const struct cl_setup *setup, const struct cl_wire_mount *mount, int tree, int *ret_fd)
{
    const char *path = cl_wire_string(setup->plan, mount->target);
    int strict = is_type(setup, mount, "proc") || is_type(setup, mount, "sysfs");
    mode_t mode = mount->flags & CL_WIRE_MOUNT_MODE ? mount->mode : 0755;
    struct stat st;

    if (path[strspn(path, "/")] == '\0')
        return -EINVAL;
    if (fstat(tree, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return cl_inside_directory(root_of(setup), path, mode, strict ? RESOLVE_NO_SYMLINKS : 0, ret_fd);
    return cl_inside_file(root_of(setup), path, ret_fd);
}

static int set_attributes(const struct cl_wire_mount *mount, int tree, uint64_t later)
{
    struct mount_attr attr = {.attr_set = mount->attr_set & ~later, .attr_clr = mount->attr_clr};
    unsigned int flags = AT_EMPTY_PATH | (mount->flags & CL_WIRE_MOUNT_RECURSIVE ? AT_RECURSIVE : 0);

    if ((attr.attr_set || attr.attr_clr) && mount_setattr(tree, "", flags, &attr, sizeof(attr)) < 0)
        return -errno;
    return 0;
}

/* A tree from the host may be its peer: private unless the plan says otherwise. A word for the top alone leaves no peer
 * below it either, or what is mounted there inside would show outside: only a word of sharing may. */
static int set_propagation(const struct cl_wire_mount *mount, int tree)
{
    uint32_t propagation = mount->propagation;

    if (propagation == 0)
        propagation = MS_PRIVATE | MS_REC;
    struct mount_attr slave = {.propagation = MS_SLAVE};
    struct mount_attr attr = {.propagation = propagation & ~(uint32_t)MS_REC};

    if (!(propagation & (MS_SHARED | MS_REC)) &&
        mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &slave, sizeof(slave)) < 0)
        return -errno;
    if (mount_setattr(tree, "", AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0), &attr, sizeof(attr)) < 0)
        return -errno;
    return 0;
}

static int remember(struct cl_setup *setup, int *tree)
{
    int *grown = realloc(setup->late_readonly, (setup->late_count + 1) * sizeof(int));

    if (grown == NULL)
        return -ENOMEM;
    setup->late_readonly = grown;
    setup->late_readonly[setup->late_count++] = cl_steal_fd(tree);
    return 0;
}

static int place(struct cl_setup *setup, const struct cl_wire_mount *mount, int *tree)
{
    const char *path = cl_wire_string(setup->plan, mount->target);
    int late = is_type(setup, mount, "tmpfs") && (mount->attr_set & MOUNT_ATTR_RDONLY);
    CL_CLOSE int target = -1;
    int r = open_target(setup, mount, *tree, &target);

    if (r < 0)
        return cl_setup_detail(setup, r, "mount point '%s'", path);
    r = set_propagation(mount, *tree);
    if (r == 0)
        r = set_attributes(mount, *tree, late ? MOUNT_ATTR_RDONLY : 0);
    if (r < 0)
        return cl_setup_detail(setup, r, "attributes of '%s'", path);
    if (move_mount(*tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return cl_setup_detail(setup, -errno, "mount on '%s'", path);
    return late ? remember(setup, tree) : 0;
}

/* Only what is a mount point here can be changed: the kernel refuses any other path. */
static int change(struct cl_setup *setup, const struct cl_wire_mount *mount)
{
    const char *path = cl_wire_string(setup->plan, mount->target);
    struct mount_attr attr = {.attr_set = mount->attr_set,
                              .attr_clr = mount->attr_clr,
                              .propagation = mount->propagation & ~(uint32_t)MS_REC};
    unsigned int flags = AT_EMPTY_PATH | (mount->flags & CL_WIRE_MOUNT_RECURSIVE ? AT_RECURSIVE : 0);
    CL_CLOSE int target = -1;
    int r = cl_inside_open(root_of(setup), path, 0, &target);

    if (r < 0)
        return cl_setup_detail(setup, r, "mount point '%s'", path);
    if (mount->propagation & MS_REC) {
        struct mount_attr all = {.propagation = attr.propagation};

        attr.propagation = 0;
        if (mount_setattr(target, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof(all)) < 0)
            return cl_setup_detail(setup, -errno, "propagation of '%s'", path);
    }
    if (mount_setattr(target, "", flags, &attr, sizeof(attr)) < 0)
        return cl_setup_detail(setup, -errno, errno == EINVAL ? "'%s' is no mount point" : "attributes of '%s'", path);
    return 0;
}

int cl_do_mounts(struct cl_setup *setup)
{
    const struct cl_wire_mount *mount = cl_wire_items(setup->plan, CL_WIRE_MOUNTS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_MOUNTS); i++) {
        CL_CLOSE int made = -1;
        int given;
        int r;

        if (mount[i].kind == CL_WIRE_MOUNT_CHANGE) {
            r = change(setup, &mount[i]);
        } else if (mount[i].kind == CL_WIRE_MOUNT_BIND) {
            given = setup->fds[mount[i].fd];
            r = place(setup, &mount[i], &given);
        } else {
            r = cl_make_fs(setup, &mount[i], &made);
            if (r == 0)
                r = place(setup, &mount[i], &made);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int cl_do_late_readonly(struct cl_setup *setup)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    while (setup->late_count > 0) {
        CL_CLOSE int tree = setup->late_readonly[--setup->late_count];

        if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
            return -errno;
    }
    return 0;
}
