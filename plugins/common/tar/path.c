/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - names below a descriptor. The caller's path is resolved as a process inside would; an archive's follows no
 * link at all. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/tar/tar.h"

#define INSIDE (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define BELOW (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define TRIES 10000

int tar_open(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};

    for (int i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

int tar_open_inside(int root, const char *path, bool follow)
{
    return tar_open(root, path, O_PATH | (follow ? 0 : O_NOFOLLOW), INSIDE);
}

/* One component deeper: `prefix` is the path so far. Made by name only in a directory held by descriptor. */
static int descend(int root, int at, const char *prefix, const char *name, const struct tar_id *id)
{
    int fd = tar_open(root, prefix, O_PATH | O_DIRECTORY, INSIDE);

    if (fd != -ENOENT)
        return fd;
    if (mkdirat(at, name, 0755) < 0)
        return errno == EEXIST ? tar_open(root, prefix, O_PATH | O_DIRECTORY, INSIDE) : -errno;
    fd = tar_open(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, BELOW);
    if (fd >= 0 && fchownat(fd, "", id->uid, id->gid, AT_EMPTY_PATH) < 0) {
        int error = errno;

        close(fd);
        return -error;
    }
    return fd;
}

int tar_make_inside(int root, const char *path, const struct tar_id *id)
{
    char prefix[TAR_PATH_MAX];
    size_t length = strlen(path);
    TAR_CLOSE int at = tar_open(root, "/", O_PATH | O_DIRECTORY, INSIDE);

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
        int fd = descend(root, at, prefix, name, id);

        if (fd < 0)
            return fd;
        close(at);
        at = fd;
        *end = cut;
        name = next;
    }
    return tar_steal_fd(&at);
}

int tar_name(const char *raw, const char *entry, const char *what, char *ret)
{
    size_t size = 0;

    if (raw[0] == '\0')
        return tar_fail(CLOISTER_PROTOCOL, 0, "name", entry, "%s '%s': the name is empty", what, entry);
    if (raw[0] == '/')
        return tar_fail(CLOISTER_PROTOCOL, 0, "name", entry, "%s '%s': the name is absolute", what, entry);
    for (const char *at = raw; *at != '\0';) {
        size_t length = strcspn(at, "/");

        if (length == 2 && at[0] == '.' && at[1] == '.')
            return tar_fail(CLOISTER_PROTOCOL, 0, "name", entry, "%s '%s': the name has a '..' in it", what, entry);
        if (length > 0 && !(length == 1 && at[0] == '.')) {
            if (size + 1 + length + 1 > TAR_PATH_MAX)
                return tar_fail(CLOISTER_PROTOCOL, ENAMETOOLONG, "name", entry, "%s '%s'", what, entry);
            if (size > 0)
                ret[size++] = '/';
            memcpy(ret + size, at, length);
            size += length;
        }
        at += length;
        at += strspn(at, "/");
    }
    ret[size] = '\0';
    return 0;
}

static int make_parents(int top, char *path)
{
    TAR_CLOSE int at = tar_open(top, ".", O_PATH | O_DIRECTORY, BELOW);

    for (char *name = path; at >= 0 && name != NULL;) {
        char *slash = strchr(name, '/');

        if (slash)
            *slash = '\0';
        int fd = tar_open(at, name, O_PATH | O_DIRECTORY, BELOW);

        if (fd == -ENOENT) {
            if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
                return -errno;
            fd = tar_open(at, name, O_PATH | O_DIRECTORY, BELOW);
        }
        if (fd < 0)
            return fd;
        close(at);
        at = fd;
        name = slash ? slash + 1 : NULL;
    }
    return at < 0 ? at : tar_steal_fd(&at);
}

int tar_parent(int top, const char *name, bool make, int *ret_fd, const char **ret_leaf)
{
    char path[TAR_PATH_MAX];
    const char *slash = strrchr(name, '/');
    int fd;

    *ret_leaf = slash ? slash + 1 : name;
    if (slash == NULL) {
        path[0] = '.';
        path[1] = '\0';
    } else {
        memcpy(path, name, (size_t)(slash - name));
        path[slash - name] = '\0';
    }
    fd = tar_open(top, path, O_PATH | O_DIRECTORY, BELOW);
    if (fd == -ENOENT && make && slash != NULL)
        fd = make_parents(top, path);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}
