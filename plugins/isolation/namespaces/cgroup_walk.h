/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_walk.h - a group and all below it, however deep a container has made that. [worker] */
#ifndef NS_CGROUP_WALK_H
#define NS_CGROUP_WALK_H

#include <stdbool.h>

struct ns_visitor {
    /* A directory before those below it. May be NULL. */
    void (*enter)(void *ctx, int fd);
    /* It is left, and nothing is below it any more that was seen; not for the first. May be NULL. */
    void (*leave)(void *ctx, int parent, const char *name);
    /* Enough: nothing new is entered. May be NULL. */
    bool (*enough)(void *ctx);
    void *ctx;
};

/* `leaf` is relative to `parent`. What cannot be opened is passed over. */
void ns_cgroup_walk(int parent, const char *leaf, const struct ns_visitor *visitor);

#endif
