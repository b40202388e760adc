/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (256u * 1024u)

int read_all(int fd, uint64_t offset, void *ret, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)ret + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return -ENODATA;
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

int write_all(int fd, uint64_t offset, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno != EINTR)
            return -errno;
        if (put == 0)
            return -EIO;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

int window_open(struct window *window, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *window = (struct window){.fd = fd, .size = (uint64_t)st.st_size};
    return 0;
}

struct cloister_sv window_at(struct window *window, uint64_t offset, uint64_t want)
{
    uint64_t there = offset < window->size ? window->size - offset : 0;
    if (want > there)
        want = there;
    if (window->error || !want)
        return (struct cloister_sv){NULL, 0};
    if (offset < window->start || offset + want > window->start + window->held.size) {
        uint64_t size = want > PIECE ? want : PIECE;
        if (size > there)
            size = there;
        window->held.size = 0;
        char *at = bytes_extend(&window->held, size);
        window->start = offset;
        window->error = at ? read_all(window->fd, offset, at, size) : -ENOMEM;
        if (window->error)
            return (struct cloister_sv){NULL, 0};
    }
    uint64_t skip = offset - window->start;
    return (struct cloister_sv){window->held.data + skip, window->held.size - skip};
}

void window_close(struct window *window)
{
    bytes_free(&window->held);
}
