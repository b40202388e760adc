/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "window.h"

#define NAME "lock"
#define MARK_AT 16   /* behind the pid */
#define MARK_SIZE 42 /* two numbers of 20 digits, a blank, the end of the line */

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

void lease_mark(int fd, uint64_t journal, uint64_t size)
{
    char text[MARK_SIZE + 1];
    (void)snprintf(text, sizeof(text), "%020" PRIu64 " %020" PRIu64 "\n", journal, size);
    (void)write_all(fd, MARK_AT, text, MARK_SIZE); /* without it a torn end is taken for a lost one: nothing worse */
}

bool lease_marked(int fd, uint64_t journal, uint64_t *ret_size)
{
    char text[MARK_SIZE + 1] = {0};
    uint64_t number;
    if (pread(fd, text, MARK_SIZE, MARK_AT) != MARK_SIZE ||
        sscanf(text, "%20" SCNu64 " %20" SCNu64, &number, ret_size) != 2)
        return false;
    return number == journal;
}
