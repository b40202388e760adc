/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - see text.h. */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

char *ns_dup(struct cloister_sv view)
{
    char *copy;

    if (view.size > 0 && memchr(view.data, 0, view.size) != NULL)
        return NULL;
    copy = malloc(view.size + 1);
    if (copy == NULL)
        return NULL;
    if (view.size > 0)
        memcpy(copy, view.data, view.size);
    copy[view.size] = 0;
    return copy;
}

char *ns_format(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int size;

    va_start(args, format);
    size = vasprintf(&text, format, args);
    va_end(args);
    return size < 0 ? NULL : text;
}

/* Reads to the end, growing; /proc and cgroup files have no size to ask for. */
static int read_all(int fd, size_t max, char **ret_text)
{
    size_t capacity = 4096, size = 0;
    NS_FREE char *text = malloc(capacity + 1);

    if (text == NULL)
        return -ENOMEM;
    for (;;) {
        ssize_t n = read(fd, text + size, capacity - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > max)
            return -EFBIG;
        if (size == capacity) {
            char *grown = realloc(text, capacity * 2 + 1);

            if (grown == NULL)
                return -ENOMEM;
            text = grown;
            capacity *= 2;
        }
    }
    text[size] = 0;
    *ret_text = ns_steal_text(&text);
    return 0;
}

int ns_read_file(const char *path, size_t max, char **ret_text)
{
    NS_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : read_all(fd, max, ret_text);
}
