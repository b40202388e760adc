/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nest.c - a container's mount namespace starts as a copy of ours, so ours is nearly empty: copying the host's thousand
 * mounts would make each container four times dearer. proc and sysfs are there, whole, because the kernel lets a user
 * namespace mount its own only where it can already see one.
 */
#include "common/keeper/nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/keeper/fd.h"

static int make_fs(const char *type, const char *mode, unsigned int attr, int *ret_fd)
{
    CL_CLOSE int fs = fsopen(type, FSOPEN_CLOEXEC);

    if (fs < 0 || (mode != NULL && fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0) ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int put(const char *type, const char *mode, unsigned int attr, const char *name)
{
    CL_CLOSE int fd = -1;
    int r = make_fs(type, mode, attr, &fd);

    if (r < 0)
        return r;
    if (mkdir(name, 0755) < 0 || move_mount(fd, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/*
 * Every container shares these nodes: as a mask, as a device in a user namespace, as its standard input. Read-only, so
 * that none can change their mode or owner for the others: clones and descriptors of the mount inherit it, and a device
 * is written to all the same.
 */
static int make_nodes(void)
{
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    static const struct {
        const char *path;
        unsigned int major, minor;
    } nodes[] = {
        {"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
        {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
    };

    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
            return -errno;
    if (mkdir("dev/pts", 0755) < 0) /* a place for do_terminal.c */
        return -errno;
    return mount_setattr(AT_FDCWD, "dev", 0, &readonly, sizeof(readonly)) < 0 ? -errno : 0;
}

/* The tmpfs is stacked on "/", entered by descriptor, and takes the root's place; the host's tree below it is let go.
 */
static int pivot(int root)
{
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

static int take_null(void)
{
    CL_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);

    for (int i = 0; i < 3; i++)
        if (null < 0 || (null != i && dup2(null, i) < 0))
            return -errno;
    if (null < 3)
        cl_steal_fd(&null);
    return 0;
}

int cl_nest_make(const char **ret_step)
{
    CL_CLOSE int root = -1;
    int r;

    *ret_step = "mount namespace";
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    *ret_step = "tmpfs";
    r = make_fs("tmpfs", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &root);
    if (r == 0 && (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(root) < 0 ||
                   mkdir("root", 0755) < 0 || mkdir("host", 0755) < 0))
        r = -errno;
    if (r < 0)
        return r;
    *ret_step = "proc";
    if ((r = put("proc", NULL, 0, "proc")) < 0)
        return r;
    *ret_step = "sys";
    if ((r = put("sysfs", NULL, 0, "sys")) < 0)
        return r;
    *ret_step = "dev";
    if ((r = put("tmpfs", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "dev")) < 0 || (r = make_nodes()) < 0)
        return r;
    *ret_step = "pivot";
    if ((r = pivot(root)) < 0)
        return r;
    *ret_step = "descriptors";
    return take_null();
}
