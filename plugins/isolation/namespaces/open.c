/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - every source is opened once, here, and used by descriptor ever after (H1.3.9). Magic links are not followed:
 * "/proc/self/fd/7" would be a descriptor of the daemon.
 */
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static int failed(const struct ns_compile *c, const struct ns_need *need, uint32_t code, int os_errno, const char *what)
{
    c->r.log->error_set(c->r.err, code, os_errno, need->where, "open", "%s: %s '%s'", need->where, what, need->path);
    return -1;
}

static int open_path(const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    int fd;

    do
        fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return fd;
}

/* A detached copy of the mount at fd. Not recursive inside a tree of ours: the caller says. */
static int clone_tree(int fd, bool recursive)
{
    return (int)syscall(SYS_open_tree, fd, "",
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u));
}

static int open_tree_of(const struct ns_compile *c, const struct ns_need *need, bool directory, bool recursive,
                        const char *what)
{
    NS_CLOSE int fd = open_path(need->path, O_PATH | (directory ? O_DIRECTORY : 0));
    int tree;

    if (fd < 0)
        return failed(c, need, errno == ENOENT ? CLOISTER_NO_ENTITY : CLOISTER_MOUNT_FAILED, errno, what);
    tree = clone_tree(fd, recursive);
    return tree < 0 ? failed(c, need, CLOISTER_MOUNT_FAILED, errno, "clone the mount of") : tree;
}

static int open_namespace(const struct ns_compile *c, const struct ns_need *need)
{
    NS_CLOSE int found = open(need->path, O_PATH | O_CLOEXEC);
    NS_CLOSE int fd = -1;
    struct statfs fs;
    char path[32];
    int type;

    if (found < 0)
        return failed(c, need, CLOISTER_NO_ENTITY, errno, "open namespace");
    /* /proc/<pid>/ns/<type> is itself a magic link, so it is followed, and what came out of it is checked before it is
     * really opened: to open a device or a fifo is to do something to it. */
    if (fstatfs(found, &fs) < 0 || fs.f_type != NSFS_MAGIC)
        return failed(c, need, CLOISTER_INVALID, 0, "not a namespace:");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(c, need, CLOISTER_NO_ENTITY, errno, "open namespace");
    type = ioctl(fd, NS_GET_NSTYPE);
    if (type < 0 || (uint32_t)type != need->type)
        return failed(c, need, CLOISTER_INVALID, 0, "a namespace of another type:");
    return ns_steal_fd(&fd);
}

static int open_device(const struct ns_compile *c, const struct ns_need *need)
{
    NS_CLOSE int fd = open_path(need->path, O_PATH | O_NOFOLLOW);
    struct stat st;
    int tree;

    if (fd < 0 || fstat(fd, &st) < 0)
        return failed(c, need, CLOISTER_NO_ENTITY, errno, "find the host's device");
    if ((st.st_mode & S_IFMT) != need->type || st.st_rdev != makedev(need->major, need->minor))
        return failed(c, need, CLOISTER_INVALID, 0, "the host has another device at");
    tree = clone_tree(fd, false);
    return tree < 0 ? failed(c, need, CLOISTER_MOUNT_FAILED, errno, "clone the mount of") : tree;
}

static int open_group_tree(const struct ns_compile *c, const struct ns_need *need, const struct ns_cgroups *cgroups,
                           const char *group)
{
    NS_CLOSE int fd = ns_group_open(cgroups, &c->r, need->hierarchy, group, NULL, O_PATH | O_DIRECTORY);
    int tree;

    if (fd < 0)
        return -1;
    tree = clone_tree(fd, false);
    if (tree < 0)
        c->r.log->error_set(c->r.err, CLOISTER_CGROUP_FAILED, errno, group, "cgroup", "clone the mount of cgroup '%s'",
                            group);
    return tree;
}

int ns_open_need(const struct ns_compile *c, uint32_t i, const struct ns_cgroups *cgroups, const char *group)
{
    const struct ns_need *need = &c->needs[i];

    switch (need->kind) {
    case NS_NEED_ROOT:
        return open_tree_of(c, need, true, true, "open root file system");
    case NS_NEED_BIND:
        return open_tree_of(c, need, false, need->recursive != 0, "open");
    case NS_NEED_NAMESPACE:
        return open_namespace(c, need);
    case NS_NEED_DEVICE:
        return open_device(c, need);
    case NS_NEED_GROUP_TREE:
        return open_group_tree(c, need, cgroups, group);
    case NS_NEED_JOIN:
        return ns_group_open_procs(cgroups, &c->r, need->hierarchy, group, O_WRONLY);
    case NS_NEED_MEMBERS:
        return ns_group_open_procs(cgroups, &c->r, need->hierarchy, group, O_RDONLY);
    default: /* NS_NEED_OOM */
        return ns_group_open(cgroups, &c->r, need->hierarchy, group,
                             cgroups->hierarchies->list[need->hierarchy].v2 ? "memory.events" : "memory.oom_control",
                             O_RDONLY);
    }
}
