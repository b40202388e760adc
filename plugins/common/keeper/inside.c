/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"

#define INSIDE (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

int cl_inside_open(int root, const char *path, uint64_t resolve, int *ret_fd)
{
    int fd = cl_openat2(root, path, O_PATH | O_CLOEXEC, 0, INSIDE | resolve);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static int open_directory(int root, const char *path, uint64_t resolve)
{
    return cl_openat2(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE | resolve);
}

/*
 * One component deeper: `prefix` is the path so far. A dangling symlink in the way is EEXIST for mkdirat and ENOENT
 * after it: an error, because what it names is nobody's directory.
 */
static int descend(int root, int parent, const char *prefix, const char *name, mode_t mode, uint64_t resolve)
{
    int fd = open_directory(root, prefix, resolve);

    if (fd != -ENOENT)
        return fd;
    if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
        return -errno;
    return open_directory(root, prefix, resolve);
}

int cl_inside_directory(int root, const char *path, mode_t mode, uint64_t resolve, int *ret_fd)
{
    CL_CLOSE int at = open_directory(root, "/", 0);
    char prefix[PATH_MAX];
    size_t length = strlen(path);

    if (at < 0)
        return at;
    if (length >= sizeof(prefix))
        return -ENAMETOOLONG;
    memcpy(prefix, path, length + 1);
    for (char *name = prefix + strspn(prefix, "/"); *name != '\0';) {
        char *end = name + strcspn(name, "/");
        char *next = end + strspn(end, "/");
        char cut = *end;

        *end = '\0';
        int fd = descend(root, at, prefix, name, *next ? 0755 : mode, resolve);

        if (fd < 0)
            return fd;
        close(at);
        at = fd;
        *end = cut;
        name = next;
    }
    *ret_fd = cl_steal_fd(&at);
    return 0;
}

int cl_inside_parent(int root, const char *path, int *ret_fd, const char **ret_name)
{
    const char *name = strrchr(path, '/');
    char parent[PATH_MAX];

    if (name == NULL || name[1] == '\0' || strcmp(name, "/.") == 0 || strcmp(name, "/..") == 0)
        return -EINVAL;
    if ((size_t)(name - path) >= sizeof(parent))
        return -ENAMETOOLONG;
    memcpy(parent, path, (size_t)(name - path));
    parent[name - path] = '\0';
    *ret_name = name + 1;
    return cl_inside_directory(root, parent, 0755, 0, ret_fd);
}

int cl_inside_file(int root, const char *path, int *ret_fd)
{
    CL_CLOSE int parent = -1;
    CL_CLOSE int made = -1;
    const char *name;
    struct stat st;
    int r;

    CL_CLOSE int fd = cl_openat2(root, path, O_PATH | O_CLOEXEC, 0, INSIDE);
    if (fd == -ENOENT) {
        r = cl_inside_parent(root, path, &parent, &name);
        if (r < 0)
            return r;
        made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
        if (made < 0)
            return -errno;
        fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -errno;
    }
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}
