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

/* Malloc'd bytes; none if there is no file that could be read: it then knows nobody. */
static char *slurp(int root, const char *path, struct users_text *ret)
{
    struct stat st;
    size_t size = 0;
    TAR_CLOSE int fd = tar_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    char *text = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? malloc(USERS_FILE_MAX) : NULL;

    while (text != NULL && size < USERS_FILE_MAX) {
        ssize_t n = read(fd, text + size, USERS_FILE_MAX - size);

        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        size += n > 0 ? (size_t)n : 0;
    }
    *ret = (struct users_text){text, size};
    return text;
}

static int find(int root, const char *text, struct tar_id *ret)
{
    struct users_text passwd, group;
    struct users_who who = {0};
    char *passwd_bytes = slurp(root, "/etc/passwd", &passwd);
    char *group_bytes = slurp(root, "/etc/group", &group);
    int r = users_find((struct users_text){text, strlen(text)}, passwd, group, &who);

    free(passwd_bytes);
    free(group_bytes);
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

    if (r == 0 && is_mapped(ret))
        return 0;
    if (r == -ESRCH)
        return tar_fail(CLOISTER_GROUP_UNKNOWN, 0, "user", text, "no group '%s' in the container",
                        strchr(text, ':') ? strchr(text, ':') + 1 : text);
    return tar_fail(CLOISTER_USER_UNKNOWN, 0, "user", text, "no user '%s' in the container", text);
}
