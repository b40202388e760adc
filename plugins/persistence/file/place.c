/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "window.h"

#define TMPFS 0x01021994u
#define RAMFS 0x858458f6u
#define RESERVE "reserve"
#define RESERVE_BYTES (64 * 1024)

void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

static uint32_t code_of(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return CLOISTER_NO_SPACE;
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENOTDIR:
        return CLOISTER_DENIED;
    case EBADMSG:
        return CLOISTER_CORRUPT;
    default:
        return CLOISTER_IO;
    }
}

int place_fail(const struct place *place, const struct cloister_log_api *log, struct cloister_error *err, int r,
               const char *step, const char *name)
{
    log->error_set(err, code_of(-r), -r, name, step, "%s '%s%s%s'", step, place->path, *name ? "/" : "", name);
    return -1;
}

bool place_is_below(struct cloister_sv directory)
{
    for (const char *at = directory.data, *end = at + directory.size; at <= end;) {
        const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        size_t size = (size_t)((slash ? slash : end) - at);
        if (size == 0 || size > NAME_MAX || memchr(at, 0, size) || (size <= 2 && memcmp(at, "..", size) == 0))
            return false;
        at += size + 1;
    }
    return true;
}

int place_directory(int directory, const char *name)
{
    bool made = mkdirat(directory, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return -errno;
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (made && fchmod(fd, 0700) < 0) { /* the umask may have taken bits away */
        int r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

int place_file(int directory, const char *name, int flags)
{
    struct stat st;
    int fd = openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022)))
        r = -EPERM;
    if (r == 0 && (flags & O_CREAT) && (st.st_mode & 0777) != 0600 && fchmod(fd, 0600) < 0)
        r = -errno;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    return fd;
}

/* Nobody else may own the directory or write to it. */
static int check_owner(const struct place *place, const struct cloister_log_api *log, struct cloister_error *err)
{
    struct stat st;
    if (fstat(place->fd, &st) < 0)
        return place_fail(place, log, err, -errno, "look at", "");
    if (st.st_uid != geteuid()) {
        log->error_set(err, CLOISTER_DENIED, 0, place->path, "owner",
                       "directory '%s' belongs to uid %u, and the store must belong to uid %u", place->path, st.st_uid,
                       geteuid());
        return -1;
    }
    if (st.st_mode & 022) {
        log->error_set(err, CLOISTER_DENIED, 0, place->path, "mode",
                       "directory '%s' has mode %04o: others may write to it", place->path, st.st_mode & 07777);
        return -1;
    }
    return 0;
}

/* One directory further down. */
static int descend(struct place *place, const struct cloister_log_api *log, struct cloister_sv name,
                   struct cloister_error *err)
{
    char text[NAME_MAX + 1];
    size_t size = strlen(place->path);
    (void)snprintf(text, sizeof(text), "%.*s", (int)name.size, name.data);
    int fd = place_directory(place->fd, text);
    int r = fd < 0 ? fd : place_sync(place, place->fd); /* it may be new */
    if (r < 0) {
        close_fd(&fd);
        return place_fail(place, log, err, r, "open directory", text);
    }
    if ((size_t)snprintf(place->path + size, sizeof(place->path) - size, "/%s", text) >= sizeof(place->path) - size) {
        close_fd(&fd);
        return place_fail(place, log, err, -ENAMETOOLONG, "open directory", text);
    }
    close_fd(&place->fd);
    place->fd = fd;
    return check_owner(place, log, err);
}

static void look_at_file_system(struct place *place)
{
    struct statfs fs;
    place->durable = fstatfs(place->fd, &fs) < 0 || ((uint32_t)fs.f_type != TMPFS && (uint32_t)fs.f_type != RAMFS);
}

int place_open(struct place *place, const struct cloister_log_api *log, struct cloister_sv state_dir,
               struct cloister_sv directory, struct cloister_error *err)
{
    place->fd = -1;
    (void)snprintf(place->path, sizeof(place->path), "%.*s", (int)state_dir.size, state_dir.data);
    if (!state_dir.size || state_dir.size >= sizeof(place->path) || memchr(state_dir.data, 0, state_dir.size))
        return place_fail(place, log, err, -EINVAL, "open directory", "");
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->fd < 0)
        return place_fail(place, log, err, -errno, "open directory", "");
    look_at_file_system(place);
    int r = check_owner(place, log, err);
    for (const char *at = directory.data, *end = at + directory.size; r == 0 && at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const struct cloister_sv name = {at, (uint64_t)((slash ? slash : end) - at)};
        r = descend(place, log, name, err);
        at += name.size + 1;
    }
    if (r < 0)
        place_close(place);
    else
        look_at_file_system(place);
    return r;
}

void place_close(struct place *place)
{
    close_fd(&place->fd);
}

int place_sync(const struct place *place, int directory)
{
    return place->durable && fsync(directory) < 0 ? -errno : 0;
}

int place_replace(const struct place *place, const char *name, const void *data, size_t size)
{
    char temporary[NAME_MAX + 1];
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    FD_CLEANUP int fd = place_file(place->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    int r = write_all(fd, 0, data, size);
    if (r == 0)
        r = place_sync(place, fd);
    if (r == 0 && renameat(place->fd, temporary, place->fd, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(place->fd, temporary, 0);
    return r < 0 ? r : place_sync(place, place->fd);
}

void place_keep_reserve(const struct place *place)
{
    struct stat st;
    FD_CLEANUP int fd = place_file(place->fd, RESERVE, O_WRONLY | O_CREAT);
    if (fd < 0 || (fstat(fd, &st) == 0 && st.st_size >= RESERVE_BYTES))
        return;
    if (fallocate(fd, 0, 0, RESERVE_BYTES) < 0)
        (void)unlinkat(place->fd, RESERVE, 0);
}

void place_release_reserve(const struct place *place)
{
    (void)unlinkat(place->fd, RESERVE, 0);
}

int place_each(int directory, int (*fn)(void *ctx, const char *name), void *ctx)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;
    if (!stream) {
        r = -errno;
        close_fd(&fd);
        return r;
    }
    while (r == 0) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) {
            r = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = fn(ctx, entry->d_name);
    }
    (void)closedir(stream);
    return r;
}
