/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/io.h"

#include "core/util/fd.h"
#include "core/util/mem.h"
#include <fcntl.h>

/* One read across EINTR. */
static ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t got;
    do {
        got = read(fd, buffer, size);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

int cl_read_fd(int fd, size_t max, char **ret_data, size_t *ret_size)
{
    CL_FREE char *data = NULL;
    size_t size = 0;
    size_t capacity = 0;
    if (max > SIZE_MAX / 2)
        return -EINVAL;
    for (;;) {
        if (size == capacity) {
            /* One byte more than allowed is room enough to see that there is too much. */
            capacity = capacity ? capacity * 2 : 4096;
            capacity = capacity > max + 1 ? max + 1 : capacity;
            char *larger = cl_realloc_array(data, capacity + 1, 1);
            if (!larger)
                return -ENOMEM;
            data = larger;
        }
        ssize_t got = read_some(fd, data + size, capacity - size);
        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        size += (size_t)got;
        if (size > max)
            return -E2BIG;
    }
    data[size] = 0;
    *ret_data = cl_steal_ptr(&data);
    *ret_size = size;
    return 0;
}

int cl_read_file(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size)
{
    CL_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    return cl_read_fd(fd, max, ret_data, ret_size);
}

int cl_write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t put = write(fd, at, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += put;
        size -= (size_t)put;
    }
    return 0;
}
