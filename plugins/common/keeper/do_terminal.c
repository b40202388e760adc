/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_terminal.c - the process's terminal, made by itself where it will live.
 *
 * It is one of the container's own devpts, so that its name there is a name: the image and what runs in the container
 * may have put anything at that place, so it is taken only if it lies on a devpts and is the node that the kernel made
 * there. A container without one gets a terminal of a devpts that is nobody else's. From then on names play no part
 * (CVE-2025-52565): the other side comes from the descriptor, and so does what is bound at /dev/console.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"
#include "common/keeper/setup.h"

#define STRICT (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* CREATE is not in its root yet; whoever joined a mount namespace, or entered a container, is. */
static int open_root(const struct cl_setup *setup, int *ret_fd)
{
    int own = setup->plan->root_fd != CL_WIRE_NO_FD;
    int fd = cl_openat2(own ? setup->fds[setup->plan->root_fd] : AT_FDCWD, own ? "." : "/",
                        O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static int is_devpts(int dir)
{
    struct statfs fs;

    return fstatfs(dir, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC;
}

/* In a devpts nobody can make or rename anything, but a mount may lie on it. */
static int open_master(int pts, int *ret_fd)
{
    CL_CLOSE int fd = cl_openat2(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0, STRICT | RESOLVE_NO_XDEV);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
        return -ENODEV;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

/* Nobody else ever sees it. To be bound from, it must be somewhere: in our own mount namespace before it becomes the
 * container's there is a place for it, which goes with the old root. */
static int make_devpts(struct cl_setup *setup, int *ret_fd)
{
    CL_CLOSE int fs = fsopen("devpts", FSOPEN_CLOEXEC);

    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "ptmxmode", "600", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    CL_CLOSE int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

    if (fd < 0)
        return -errno;
    if (setup->plan->root_fd != CL_WIRE_NO_FD && move_mount(fd, "", AT_FDCWD, "/dev/pts", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

static int open_pair(int pts, int *ret_master, int *ret_slave)
{
    CL_CLOSE int master = -1;
    int unlocked = 0;
    int r = open_master(pts, &master);

    if (r < 0)
        return r;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -errno;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (slave < 0)
        return -errno;
    *ret_slave = slave;
    *ret_master = cl_steal_fd(&master);
    return 0;
}

static int find_pair(struct cl_setup *setup, int root, int *ret_master, int *ret_slave)
{
    CL_CLOSE int pts = cl_openat2(root, "dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_IN_ROOT | STRICT);
    CL_CLOSE int own = -1;
    int r = -ENODEV;

    if (pts >= 0 && is_devpts(pts))
        r = open_pair(pts, ret_master, ret_slave);
    if (r != -ENODEV && r != -EXDEV)
        return r;
    r = make_devpts(setup, &own);
    return r < 0 ? r : open_pair(own, ret_master, ret_slave);
}

/*
 * In a user namespace that we have entered we still have ids of the host, which its devpts has no name for. Only these
 * two change: the capabilities stay, since the host's root is not this namespace's. A change of ids makes the process
 * dumpable again where fs.suid_dumpable says so.
 */
static int take_ids(const struct cl_setup *setup)
{
    if (setup->plan->kind != CL_WIRE_PLAN_PROCESS || !(setup->enter & CLONE_NEWUSER))
        return 0;
    setfsgid(setup->who.gid);
    setfsuid(setup->who.uid);
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* A user that is not mapped is refused later, by step "user". The group stays what the devpts gives it. */
int cl_give_terminal(struct cl_setup *setup)
{
    if (fchown(setup->terminal, setup->who.uid, (gid_t)-1) < 0 && errno != EINVAL)
        return cl_setup_detail(setup, -errno, "give the terminal to uid %u", setup->who.uid);
    return 0;
}

static int set_size(const struct cl_setup *setup, int slave)
{
    struct winsize size = {.ws_row = setup->rows ? (uint16_t)setup->rows : 24,
                           .ws_col = setup->columns ? (uint16_t)setup->columns : 80};

    return ioctl(slave, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* What the image has there may be a link to anywhere. */
static int open_console(int root, int *ret_fd)
{
    CL_CLOSE int dev = cl_openat2(root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_IN_ROOT | STRICT);
    struct stat st;

    if (dev < 0)
        return dev;
    CL_CLOSE int made = openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);

    if (made < 0 && errno != EEXIST)
        return -errno;
    CL_CLOSE int fd = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -ELOOP;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

static int bind_console(int root, int slave)
{
    CL_CLOSE int target = -1;
    CL_CLOSE int tree = -1;
    int r = open_console(root, &target);

    if (r < 0)
        return r;
    tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

int cl_do_terminal(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_TERMINAL};
    CL_CLOSE int root = -1;
    CL_CLOSE int master = -1;
    int r;

    if (!(setup->plan->flags & CL_WIRE_PLAN_TERMINAL))
        return 0;
    if ((r = open_root(setup, &root)) < 0 || (r = take_ids(setup)) < 0)
        return r;
    if ((r = find_pair(setup, root, &master, &setup->terminal)) < 0)
        return cl_setup_detail(setup, r, "make a terminal");
    if ((r = cl_give_terminal(setup)) < 0)
        return r;
    if ((r = set_size(setup, setup->terminal)) < 0)
        return cl_setup_detail(setup, r, "size of the terminal");
    if (setup->plan->root_fd != CL_WIRE_NO_FD && (r = bind_console(root, setup->terminal)) < 0)
        return cl_setup_detail(setup, r, "'/dev/console'");
    r = cl_report_send(setup->status, &report, &master, 1);
    return r < 0 ? cl_setup_detail(setup, r, "the terminal to the keeper") : 0;
}

int cl_do_control(struct cl_setup *setup)
{
    if (setup->terminal >= 0 && ioctl(setup->terminal, TIOCSCTTY, 0) < 0)
        return cl_setup_detail(setup, -errno, "take the terminal as the controlling one");
    return 0;
}
