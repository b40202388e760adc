/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"

int cl_procfs_make(int *ret_fd)
{
    CL_CLOSE int fs = fsopen("proc", FSOPEN_CLOEXEC);

    if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int cl_procfs_open(int proc, const char *path, int flags, int *ret_fd)
{
    struct statfs fs;
    CL_CLOSE int fd = cl_openat2(proc, path, (uint64_t)(flags | O_CLOEXEC | O_NOCTTY), 0,
                                 RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);

    if (fd < 0)
        return fd;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC)
        return -EXDEV;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

int cl_procfs_write(int proc, const char *path, const char *text, size_t size)
{
    CL_CLOSE int fd = -1;
    int r = cl_procfs_open(proc, path, O_WRONLY, &fd);

    if (r < 0)
        return r;
    ssize_t n = write(fd, text, size);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

ssize_t cl_procfs_read(int proc, const char *path, char *buffer, size_t size)
{
    CL_CLOSE int fd = -1;
    int r = cl_procfs_open(proc, path, O_RDONLY, &fd);

    if (r < 0)
        return r;
    ssize_t n = read(fd, buffer, size - 1);

    if (n < 0)
        return -errno;
    buffer[n] = '\0';
    return n;
}

int cl_procfs_open_ns(int proc, pid_t pid, const char *ns, int *ret_fd)
{
    char path[48];
    int fd;

    snprintf(path, sizeof(path), "%d/ns/%s", pid, ns);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

uint64_t cl_procfs_ns_inode(int proc, pid_t pid, const char *ns)
{
    char path[48];
    struct stat st;

    snprintf(path, sizeof(path), "%d/ns/%s", pid, ns);
    return fstatat(proc, path, &st, 0) < 0 ? 0 : st.st_ino;
}
