/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - owned locals, string views and growing text: what a plugin needs and libc does not have. [any] */
#ifndef NS_TEXT_H
#define NS_TEXT_H

#include <cloister/abi.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void ns_freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void ns_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define NS_FREE __attribute__((cleanup(ns_freep)))
#define NS_CLOSE __attribute__((cleanup(ns_closep)))

static inline int ns_steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static inline char *ns_steal_text(char **text)
{
    char *taken = *text;

    *text = NULL;
    return taken;
}

static inline bool ns_equal(struct cloister_sv view, const char *text)
{
    size_t size = strlen(text);

    return view.size == size && (size == 0 || memcmp(view.data, text, size) == 0);
}

static inline struct cloister_sv ns_view(const char *text)
{
    return (struct cloister_sv){text, text ? strlen(text) : 0};
}

/* Malloc'd and NUL-terminated; NULL when memory is short or the view holds a NUL. */
char *ns_dup(struct cloister_sv view);

/* Malloc'd; NULL when memory is short. */
char *ns_format(const char *format, ...) CLOISTER_PRINTF(1, 2);

/* The whole file, at most `max` bytes, NUL-terminated (NULs inside end it for readers); 0 or negative errno. -EFBIG if
 * longer. */
int ns_read_file(const char *path, size_t max, char **ret_text);

#endif
