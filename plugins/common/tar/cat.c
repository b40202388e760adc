/* SPDX-License-Identifier: Apache-2.0 */
/* cat.c - one regular file, whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/tar/tar.h"

static int fail(const char *path, int error)
{
    return tar_fail(tar_code_of(error), error, "read", path, "read '%s'", path);
}

/* Looked at before it is opened for reading: to open a fifo may do something. A device that is put in its place between
 * the two cannot be opened in a container (tar_enter). */
static int open_regular(int root, const char *path)
{
    struct stat before, after;
    TAR_CLOSE int look = tar_open_inside(root, path, true);

    if (look < 0)
        return fail(path, look);
    if (fstat(look, &before) < 0)
        return fail(path, errno);
    if (!S_ISREG(before.st_mode))
        return tar_fail(CLOISTER_INVALID, 0, "read", path, "'%s' is not a regular file", path);
    TAR_CLOSE int fd = tar_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    if (fd < 0 || fstat(fd, &after) < 0)
        return fail(path, fd < 0 ? fd : errno);
    if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
        return tar_fail(CLOISTER_IO, ESTALE, "read", path, "read '%s'", path);
    return tar_steal_fd(&fd);
}

/* One byte more than is wanted tells that there is more. */
static int slurp(int fd, const char *path, char *buffer, uint64_t max, uint64_t *ret_size)
{
    uint64_t size = 0;

    while (size <= max) {
        ssize_t n = read(fd, buffer + size, max + 1 - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(path, errno);
        if (n == 0)
            break;
        size += (uint64_t)n;
    }
    if (size > max)
        return tar_fail(CLOISTER_TOO_BIG, 0, "read", path, "'%s' has more than %llu bytes", path,
                        (unsigned long long)max);
    *ret_size = size;
    return 0;
}

static int put(const char *buffer, uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        ssize_t n = write(CL_TAR_FD_OUT, buffer + at, size - at);

        if (n < 0 && errno != EINTR)
            return tar_fail(CLOISTER_CANCELLED, errno, "write", "", "hand over what was read");
        at += n > 0 ? (uint64_t)n : 0;
    }
    return 0;
}

int tar_cat(int root, const struct tar_call *call)
{
    uint64_t size = 0;
    TAR_CLOSE int fd = open_regular(root, call->path);
    bool fenced = fd >= 0 && tar_fence(-1, TAR_FENCE_ALL);
    char *buffer = fd >= 0 ? malloc(call->max + 1) : NULL;

    if (fd >= 0 && buffer == NULL)
        tar_fail(CLOISTER_LIMIT, ENOMEM, "read", call->path, "read '%s'", call->path);
    if (!tar_has_failed() && slurp(fd, call->path, buffer, call->max, &size) == 0 && tar_say_ready(fenced) == 0)
        put(buffer, size);
    free(buffer);
    return tar_say_end(1, size, 0);
}
