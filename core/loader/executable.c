/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loader/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"

static bool owned(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static int refuse(const char *path, const char *what, const char *why, struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_DENIED, 0, path, "executable", "%s '%s' %s", what, path, why);
}

static int check_file(const struct stat *st, const char *path, struct cloister_error *err)
{
    if (!S_ISREG(st->st_mode))
        return refuse(path, "program", "is not a regular file", err);
    if (!(st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return cl_error_set(err, CLOISTER_NOT_EXECUTABLE, EACCES, path, "executable", "run '%s'", path);
    if (!owned(st))
        return refuse(path, "program", "does not belong to root; run chown root on it", err);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return refuse(path, "program", "can be written by others than root; run chmod go-w on it", err);
    return 0;
}

/* In a sticky directory nobody but an entry's owner can rename it; the file's own directory must be root's alone. */
static int check_directory(const struct stat *st, const char *path, bool nearest, struct cloister_error *err)
{
    bool others = st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && (nearest || st->st_gid != 0));
    if (!owned(st))
        return refuse(path, "a directory above program", "does not belong to root", err);
    if (others && (nearest || !(st->st_mode & S_ISVTX)))
        return refuse(path, "a directory above program", "can be written by others than root", err);
    return 0;
}

static int fail_to_climb(const char *path, int error, struct cloister_error *err)
{
    return cl_error_set(err, cl_error_code_of(error), error, path, "executable", "look at the directories above '%s'",
                        path);
}

/* Climbs by descriptor, so that what is checked is what the kernel would walk through. */
static int check_directories(int dir, const char *path, struct cloister_error *err)
{
    struct stat st, above;
    CL_CLOSE int at = cl_fd_dup(dir);
    if (at < 0 || fstat(at, &st) < 0)
        return fail_to_climb(path, errno, err);
    int result = check_directory(&st, path, true, err);
    while (result == 0) {
        CL_CLOSE int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0 || fstat(up, &above) < 0)
            return fail_to_climb(path, errno, err);
        if (above.st_dev == st.st_dev && above.st_ino == st.st_ino)
            return 0;
        cl_closep(&at);
        at = cl_steal_fd(&up);
        st = above;
        result = check_directory(&st, path, false, err);
    }
    return result;
}

static int fail_to_find(const char *path, int error, struct cloister_error *err)
{
    uint32_t code = error == ENOENT || error == ENOTDIR ? CLOISTER_NO_EXECUTABLE : cl_error_code_of(error);
    return cl_error_set(err, code, error, path, "executable", "find '%s'", path);
}

int cl_executable_open(const char *path, int *ret_fd, char **ret_path, struct cloister_error *err)
{
    CL_FREE char *real = path[0] == '/' ? realpath(path, NULL) : NULL;
    struct stat st;
    if (path[0] != '/')
        return refuse(path, "program", "is not an absolute path", err);
    if (!real)
        return fail_to_find(path, errno, err);
    char *leaf = strrchr(real, '/');
    *leaf = 0;
    CL_CLOSE int dir = open(leaf == real ? "/" : real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CL_CLOSE int fd = dir < 0 ? -1 : openat(dir, leaf + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    *leaf = '/';
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_to_find(real, errno, err);
    int result = check_file(&st, real, err);
    if (result == 0)
        result = check_directories(dir, real, err);
    if (result < 0)
        return result;
    *ret_fd = cl_steal_fd(&fd);
    if (ret_path)
        *ret_path = cl_steal_ptr(&real);
    return 0;
}
