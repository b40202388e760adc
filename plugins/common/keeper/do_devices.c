/* SPDX-License-Identifier: Apache-2.0 */
/* do_devices.c - device nodes and the symbolic links beside them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/inside.h"
#include "common/keeper/setup.h"

static int root_of(const struct cl_setup *setup)
{
    return setup->fds[setup->plan->root_fd];
}

/* The nodes of our own /dev, which we made ourselves (nest.c). */
static const char *own_node(const struct cl_wire_device *device)
{
    static const struct {
        uint32_t major, minor;
        const char *path;
    } own[] = {
        {1, 3, "/dev/null"},   {1, 5, "/dev/zero"},    {1, 7, "/dev/full"},
        {1, 8, "/dev/random"}, {1, 9, "/dev/urandom"}, {5, 0, "/dev/tty"},
    };

    for (size_t i = 0; device->type == S_IFCHR && i < sizeof(own) / sizeof(own[0]); i++)
        if (own[i].major == device->major && own[i].minor == device->minor)
            return own[i].path;
    return NULL;
}

/* In a user namespace nodes cannot be made, and would not work: the host's is bound onto an empty file. */
static int bind_node(struct cl_setup *setup, const struct cl_wire_device *device)
{
    const char *path = own_node(device);
    CL_CLOSE int own = -1;
    CL_CLOSE int target = -1;
    int tree = device->fd != CL_WIRE_NO_FD ? setup->fds[device->fd] : -1;
    struct stat st;
    int r;

    if (tree < 0) {
        if (path == NULL)
            return -EPERM;
        own = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (own < 0)
            return -errno;
        tree = own;
    }
    if (fstat(tree, &st) < 0)
        return -errno;
    if ((st.st_mode & S_IFMT) != device->type || st.st_rdev != makedev(device->major, device->minor))
        return -ENODEV;
    r = cl_inside_file(root_of(setup), cl_wire_string(setup->plan, device->path), &target);
    if (r < 0)
        return r;
    return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

/* An image may bring the very node we were to make; anything else of that name is not ours to replace. */
static int same_node(int parent, const char *name, const struct cl_wire_device *device)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if ((st.st_mode & S_IFMT) != device->type)
        return -EEXIST;
    return device->type == S_IFIFO || st.st_rdev == makedev(device->major, device->minor) ? 0 : -EEXIST;
}

static int make_node(struct cl_setup *setup, const struct cl_wire_device *device)
{
    CL_CLOSE int parent = -1;
    const char *name;
    int r = cl_inside_parent(root_of(setup), cl_wire_string(setup->plan, device->path), &parent, &name);

    if (r < 0)
        return r;
    if (mknodat(parent, name, device->type | device->mode, makedev(device->major, device->minor)) < 0)
        return errno == EEXIST ? same_node(parent, name, device) : -errno;
    return fchownat(parent, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int cl_do_devices(struct cl_setup *setup)
{
    const struct cl_wire_device *device = cl_wire_items(setup->plan, CL_WIRE_DEVICES);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_DEVICES); i++) {
        int bind = device[i].fd != CL_WIRE_NO_FD || (cl_in_user_namespace(setup) && device[i].type != S_IFIFO);
        int r = bind ? bind_node(setup, &device[i]) : make_node(setup, &device[i]);

        if (r < 0)
            return cl_setup_detail(setup, r, "'%s' (%u:%u)", cl_wire_string(setup->plan, device[i].path),
                                   device[i].major, device[i].minor);
    }
    return 0;
}

static int make_link(struct cl_setup *setup, const char *path, const char *text)
{
    CL_CLOSE int parent = -1;
    char there[PATH_MAX];
    const char *name;
    int r = cl_inside_parent(root_of(setup), path, &parent, &name);

    if (r < 0)
        return r;
    if (symlinkat(text, parent, name) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    ssize_t n = readlinkat(parent, name, there, sizeof(there) - 1);

    if (n >= 0 && (size_t)n == strlen(text) && memcmp(there, text, (size_t)n) == 0)
        return 0;
    return cl_setup_warn(setup, EEXIST, "link", "'%s' is left as the image has it, not a link to '%s'", path, text);
}

int cl_do_links(struct cl_setup *setup)
{
    const struct cl_wire_link *link = cl_wire_items(setup->plan, CL_WIRE_LINKS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_LINKS); i++) {
        const char *path = cl_wire_string(setup->plan, link[i].path);
        int r = make_link(setup, path, cl_wire_string(setup->plan, link[i].text));

        if (r < 0)
            return cl_setup_detail(setup, r, "'%s'", path);
    }
    return 0;
}
