/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 20000000L

static int make_address(const char *path, struct sockaddr_un *ret, struct cloister_error *err)
{
    size_t size = strlen(path);
    memset(ret, 0, sizeof(*ret));
    ret->sun_family = AF_UNIX;
    /* A name that does not start with a slash could be an abstract one, which has no owner and no mode. */
    if (path[0] != '/')
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "address", "'%s' is not an absolute path", path);
    if (size >= sizeof(ret->sun_path))
        return cl_error_set(err, CLOISTER_TOO_BIG, 0, path, "address",
                            "path is %zu bytes long, a socket's may have %zu", size, sizeof(ret->sun_path) - 1);
    memcpy(ret->sun_path, path, size);
    return 0;
}

/*
 * Between bind and listen a new socket looks dead. Two daemons that start at once could each take the other's for
 * stale, so probing, replacing and listening happen under a lock of the directory, which leaves no file behind.
 */
static int lock_directory(const char *path, int *ret_fd, struct cloister_error *err)
{
    const char *slash = strrchr(path, '/');
    CL_FREE char *directory = cl_asprintf("%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (!directory)
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "lock", "name its directory");
    CL_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, directory, "lock", "open directory '%s'", directory);
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return cl_error_set(err, CLOISTER_IO, errno, directory, "lock", "lock directory '%s'", directory);
        if (tries == LOCK_TRIES)
            return cl_error_set(err, CLOISTER_BUSY, 0, directory, "lock",
                                "another process keeps directory '%s' locked (flock)", directory);
        struct timespec pause = {0, LOCK_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
    }
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

static int in_use(const char *path, int probe, struct cloister_error *err)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    if (probe >= 0 && getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0)
        return cl_error_set(err, CLOISTER_BUSY, EADDRINUSE, path, "bind", "'%s' is served by pid %d", path,
                            (int)peer.pid);
    return cl_error_set(err, CLOISTER_BUSY, EADDRINUSE, path, "bind", "'%s' is served by another process", path);
}

/* Removes a socket file that nobody serves; anything else that stands there is somebody's and stays. */
static int remove_stale(const struct sockaddr_un *address, struct cloister_error *err)
{
    const char *path = address->sun_path;
    struct stat status;
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0
                               : cl_error_set(err, cl_error_code_of(errno), errno, path, "bind", "look at '%s'", path);
    if (!S_ISSOCK(status.st_mode))
        return cl_error_set(err, CLOISTER_EXISTS, EEXIST, path, "bind", "'%s' is there and is not a socket", path);
    CL_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "bind", "make a socket to probe '%s'", path);
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return in_use(path, probe, err);
    if (errno == EAGAIN || errno == EPROTOTYPE)
        return in_use(path, -1, err); /* its backlog is full, or it is of another type: alive all the same */
    if (errno != ECONNREFUSED)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "bind", "probe whether '%s' is served", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "bind", "remove the stale socket '%s'", path);
    return 0;
}

/* Others get in only when everything is right: owner first, while the mode still shuts them out. */
static int dress(const char *path, mode_t mode, gid_t group, struct cl_socket_file *file, struct cloister_error *err)
{
    char by_fd[32];
    struct stat status;
    CL_CLOSE int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "bind", "open '%s'", path);
    if (!S_ISSOCK(status.st_mode))
        return cl_error_set(err, CLOISTER_CONFLICT, 0, path, "bind", "'%s' was replaced while it was being made", path);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    if (group != (gid_t)-1 && fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "bind", "give '%s' to group %u", path,
                            (unsigned)group);
    (void)snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
    if (chmod(by_fd, mode & 07777) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "bind", "set mode %04o of '%s'",
                            (unsigned)mode & 07777, path);
    return 0;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0177);
    int result = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    (void)umask(before);
    return result;
}

int cl_socket_file_listen(const char *path, mode_t mode, gid_t group, int backlog, struct cl_socket_file *ret_file,
                          int *ret_fd, struct cloister_error *err)
{
    struct sockaddr_un address;
    struct cl_socket_file file = {0};
    CL_CLOSE int lock = -1;
    CL_CLOSE int fd = -1;
    int result = make_address(path, &address, err);
    if (result == 0)
        result = lock_directory(path, &lock, err);
    if (result == 0)
        result = remove_stale(&address, err);
    if (result < 0)
        return result;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "bind", "make a socket");
    if (!(file.path = cl_strdup(path)))
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, path, "bind", "remember the path");
    result = bind_private(fd, &address);
    if (result < 0) {
        free(file.path);
        return cl_error_set(err, cl_error_code_of(-result), -result, path, "bind", "bind to '%s'", path);
    }
    result = dress(path, mode, group, &file, err);
    if (result == 0 && listen(fd, backlog) < 0)
        result = cl_error_set(err, CLOISTER_IO, errno, path, "listen", "listen on '%s'", path);
    if (result < 0) {
        cl_socket_file_remove(&file);
        return result;
    }
    *ret_file = file;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

void cl_socket_file_remove(struct cl_socket_file *file)
{
    struct stat status;
    if (!file->path)
        return;
    if (lstat(file->path, &status) == 0 && status.st_dev == file->device && status.st_ino == file->inode)
        (void)unlink(file->path);
    free(file->path);
    file->path = NULL;
}
