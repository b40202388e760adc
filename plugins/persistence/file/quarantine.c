/* SPDX-License-Identifier: Apache-2.0 */
#include "quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "window.h"

static int count_one(void *ctx, const char *name)
{
    struct quarantine *quarantine = ctx;
    struct stat st;
    uint64_t number = strtoull(name, NULL, 10);
    if (number != UINT64_MAX && number > quarantine->last)
        quarantine->last = number;
    quarantine->count++;
    if (fstatat(quarantine->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        quarantine->bytes += (uint64_t)st.st_size;
    return 0;
}

int quarantine_open(const struct place *place, uint64_t max_bytes, struct quarantine *ret)
{
    struct quarantine quarantine = {.fd = place_directory(place->fd, "q"), .max_bytes = max_bytes};
    int r = quarantine.fd < 0 ? quarantine.fd : place_each(quarantine.fd, count_one, &quarantine);
    if (r < 0) {
        close_fd(&quarantine.fd);
        return r;
    }
    *ret = quarantine;
    return 0;
}

static int copy(int from, uint64_t offset, uint64_t size, int to)
{
    struct window window;
    uint64_t done = 0;
    int r = window_open(&window, from);
    if (r < 0)
        return r;
    while (r == 0 && done < size) {
        struct cloister_sv view = window_at(&window, offset + done, 1);
        if (view.size > size - done)
            view.size = size - done;
        r = view.size ? write_all(to, done, view.data, view.size) : window.error ? window.error : -ENODATA;
        done += view.size;
    }
    window_close(&window);
    return r;
}

int quarantine_copy(struct quarantine *quarantine, const struct place *place, const char *name, int from,
                    uint64_t offset, uint64_t size)
{
    char target[QUARANTINE_NAME_MAX];
    if (quarantine->bytes > quarantine->max_bytes || size > quarantine->max_bytes - quarantine->bytes)
        return -EDQUOT;
    (void)snprintf(target, sizeof(target), "%" PRIu64 ".%s.%" PRIu64, quarantine->last + 1, name, offset);
    FD_CLEANUP int to = place_file(quarantine->fd, target, O_WRONLY | O_CREAT | O_EXCL);
    if (to < 0)
        return to;
    int r = copy(from, offset, size, to);
    r = r < 0 ? r : place_sync(place, to);
    r = r < 0 ? r : place_sync(place, quarantine->fd);
    if (r < 0) {
        (void)unlinkat(quarantine->fd, target, 0);
        return r;
    }
    quarantine->last++;
    quarantine->count++;
    quarantine->bytes += size;
    return 0;
}

int quarantine_keep(struct quarantine *quarantine, const struct place *place, const char *name)
{
    char target[QUARANTINE_NAME_MAX];
    struct stat st;
    (void)snprintf(target, sizeof(target), "%" PRIu64 ".%s", quarantine->last + 1, name);
    if (fstatat(place->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        linkat(place->fd, name, quarantine->fd, target, 0) < 0)
        return -errno;
    quarantine->last++;
    quarantine->count++;
    quarantine->bytes += (uint64_t)st.st_size;
    return place_sync(place, quarantine->fd);
}

int quarantine_remove(struct quarantine *quarantine, const char *name)
{
    struct stat st;
    if (fstatat(quarantine->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(quarantine->fd, name, 0) < 0)
        return -errno;
    quarantine->count--;
    quarantine->bytes -= (uint64_t)st.st_size < quarantine->bytes ? (uint64_t)st.st_size : quarantine->bytes;
    return 0;
}

void quarantine_close(struct quarantine *quarantine)
{
    close_fd(&quarantine->fd);
}
