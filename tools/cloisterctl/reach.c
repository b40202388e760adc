/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.c - one closed directory above is enough: without search permission there, nothing below it can be named.
 *
 * The directory itself does not count: it is "/" in the container, whose root may open it again (chmod 755 /).
 *
 * "Closed" is: owned by root (another owner could open it again) and no search bit for group or others. A group bit
 * counts as open, because with an ACL it is the mask of named users too. Seen as CVE-2021-41091, CVE-2021-41103,
 * CVE-2024-25621.
 */
#include "reach.h"
#include "core/error/error.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define SEARCH_BY_OTHERS 0011u

static int check_component(const char *path, int *ret_closed, struct cloister_error *err)
{
    struct stat info;

    if (lstat(path, &info) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, NULL, "look at '%s'", path);
    if (!S_ISDIR(info.st_mode))
        return cl_error_set(err, CLOISTER_INVALID, ENOTDIR, path, NULL, "look at '%s'", path);
    *ret_closed = info.st_uid == 0 && (info.st_mode & SEARCH_BY_OTHERS) == 0;
    return 0;
}

int ctl_reach_check(const char *path, struct cloister_error *err)
{
    char prefix[4096];
    size_t size = strlen(path);
    int closed = 0;

    if (path[0] != '/' || size >= sizeof(prefix))
        return cl_error_set(err, CLOISTER_INVALID, 0, path, NULL,
                            "'%s' is not an absolute path of less than 4096 bytes", path);
    for (size_t end = 1; end < size && !closed; end++) {
        if (path[end] != '/' && end > 1) /* end 1 is the root */
            continue;
        memcpy(prefix, path, end);
        prefix[end] = 0;
        int failed = check_component(prefix, &closed, err);
        if (failed < 0)
            return failed;
    }
    if (closed)
        return 0;
    return cl_error_set(
        err, CLOISTER_DENIED, 0, path, NULL,
        "other users can reach '%s': a set-user-id file that a container writes there could be run by them; make a "
        "directory above it root's own with mode 0700, or leave --writable out",
        path);
}
