/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "window.h"

#define NAME "lock"

/* Between taking the lock and signing it the holder is not known yet; 0 then. */
static unsigned long holder(int fd)
{
    char text[24] = {0};
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    return size > 0 ? strtoul(text, NULL, 10) : 0;
}

int lease_take(const struct place *place, const struct cloister_log_api *log, int *ret_fd, struct cloister_error *err)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    FD_CLEANUP int fd = place_file(place->fd, NAME, O_RDWR | O_CREAT);
    if (fd < 0)
        return place_fail(place, log, err, fd, "open", NAME);
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
        char pid[24];
        if (errno != EAGAIN && errno != EACCES)
            return place_fail(place, log, err, -errno, "lock", NAME);
        (void)snprintf(pid, sizeof(pid), "%lu", holder(fd));
        log->error_set(err, CLOISTER_BUSY, 0, pid, "lock", "store '%s' is in use by process %s", place->path, pid);
        return -1;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int lease_sign(int fd)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%-10d\n", (int)getpid());
    return write_all(fd, 0, text, (size_t)size);
}
