/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_walk.c - see cgroup_walk.h. */
#include "cgroup_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 1048576u /* bytes of one group's children that a walk takes on */

/* A group on the way down, and what lies below it. The way is kept here and only its end is open, so no depth is too
 * much. */
struct level {
    struct level *up;
    const char *name; /* in the list of the one above */
    char *names;      /* each ends in NUL, the last in two; NULL = none */
    const char *next; /* still to be visited */
};

struct walk {
    const struct ns_visitor *visitor;
    int fd; /* of the last level */
    struct level *level;
};

/* The children's names; what is too much is for the next round. */
static char *list_children(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    size_t used = 0, room = 0;
    char *names = NULL, *grown;
    struct dirent *entry;

    while (dir && used < NAMES_MAX && (entry = readdir(dir)) != NULL) {
        size_t size = strlen(entry->d_name) + 1;

        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (used + size >= room) {
            grown = realloc(names, room * 2 + size + 512);
            if (grown == NULL)
                break;
            names = grown;
            room = room * 2 + size + 512;
        }
        memcpy(names + used, entry->d_name, size);
        used += size;
        names[used] = 0;
    }
    if (dir)
        closedir(dir);
    else if (again >= 0)
        close(again);
    return names;
}

static void enter(struct walk *w, int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct level *level = fd < 0 ? NULL : malloc(sizeof(*level));

    if (level == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (w->visitor->enter)
        w->visitor->enter(w->visitor->ctx, fd);
    *level = (struct level){w->level, name, list_children(fd), NULL};
    level->next = level->names;
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
    w->level = level;
}

/* A group's parent stays the same: v1 renames only in place, v2 not at all. */
static void leave(struct walk *w)
{
    struct level *level = w->level;
    int up = level->up ? openat(w->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (up >= 0 && w->visitor->leave)
        w->visitor->leave(w->visitor->ctx, up, level->name);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = up;
    w->level = level->up;
    free(level->names);
    free(level);
}

void ns_cgroup_walk(int parent, const char *leaf, const struct ns_visitor *visitor)
{
    struct walk w = {.visitor = visitor, .fd = -1};

    enter(&w, parent, leaf);
    while (w.level) {
        const char *child = w.level->next;

        if (child == NULL || *child == 0 || (visitor->enough && visitor->enough(visitor->ctx))) {
            leave(&w);
            continue;
        }
        w.level->next += strlen(child) + 1;
        enter(&w, w.fd, child);
    }
}
