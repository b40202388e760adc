/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.c - who a user text means, by the container's own two files and nothing else: no NSS, which would load libraries
 * from inside. What the words mean is common/users' business.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "common/tar/tar.h"
#include "common/users/users.h"

static int fail(const char *path, int error)
{
    if (error == -EACCES)
        return tar_fail(CLOISTER_DENIED, error, "user", path, "'%s' in the container is a device, or is closed to root",
                        path);
    return tar_fail(tar_code_of(error), error, "user", path, "read '%s' in the container", path);
}

/* A file that is not there knows nobody. The open can neither wait for a fifo nor reach a device (tar_enter). */
static int open_file(int root, const char *path, int *ret)
{
    struct stat st;
    TAR_CLOSE int fd = tar_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    if (fd == -ENOENT || fd == -ENOTDIR) {
        *ret = -1;
        return 0;
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(path, fd < 0 ? fd : -errno);
    if (!S_ISREG(st.st_mode))
        return tar_fail(CLOISTER_INVALID, 0, "user", path, "'%s' in the container is not a regular file", path);
    *ret = tar_steal_fd(&fd);
    return 0;
}

/* ret->data is malloc'd, or NULL. */
static int slurp(int root, const char *path, struct users_text *ret)
{
    size_t size = 0;
    ssize_t n = 1;
    TAR_CLOSE int fd = -1;

    if (open_file(root, path, &fd) < 0)
        return -1;
    char *text = fd < 0 ? NULL : malloc(USERS_FILE_MAX);

    if (fd >= 0 && text == NULL)
        return fail(path, -ENOMEM);
    while (text != NULL && size < USERS_FILE_MAX && n != 0) {
        n = read(fd, text + size, USERS_FILE_MAX - size);
        if (n < 0 && errno != EINTR) {
            fail(path, -errno);
            free(text);
            return -1;
        }
        size += n > 0 ? (size_t)n : 0;
    }
    *ret = (struct users_text){text, size};
    return 0;
}

static int find(int root, const char *text, struct tar_id *ret)
{
    struct users_text passwd = {NULL, 0}, group = {NULL, 0};
    struct users_who who = {0};
    int r = 0;

    if (text[0] != '\0') /* "" needs no file */
        r = slurp(root, "/etc/passwd", &passwd) < 0 ? -1 : slurp(root, "/etc/group", &group);
    if (r == 0)
        r = users_find((struct users_text){text, strlen(text)}, passwd, group, &who);
    free((char *)(uintptr_t)passwd.data);
    free((char *)(uintptr_t)group.data);
    *ret = (struct tar_id){who.uid, who.gid};
    return r;
}

/* What the user namespace does not map cannot be taken on; this asks without changing anything for longer. */
static bool is_mapped(const struct tar_id *id)
{
    setfsuid(id->uid);
    bool uid = (uid_t)setfsuid((uid_t)-1) == id->uid;

    setfsuid(0);
    setfsgid(id->gid);
    bool gid = (gid_t)setfsgid((gid_t)-1) == id->gid;

    setfsgid(0);
    return uid && gid;
}

int tar_user(int root, const char *text, struct tar_id *ret)
{
    int r = find(root, text, ret);

    if (tar_has_failed())
        return -1;
    if (r == 0 && is_mapped(ret))
        return 0;
    if (r == -ESRCH)
        return tar_fail(CLOISTER_GROUP_UNKNOWN, 0, "user", text, "no group '%s' in the container",
                        strchr(text, ':') ? strchr(text, ':') + 1 : text);
    return tar_fail(CLOISTER_USER_UNKNOWN, 0, "user", text, "no user '%s' in the container", text);
}
