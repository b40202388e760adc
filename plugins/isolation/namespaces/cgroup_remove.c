/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_remove.c - emptying and removing groups. Members are killed through pidfds, and only after /proc said, with
 * the pidfd already open, that the process still is in the group: a number read from cgroup.procs may be somebody
 * else's a moment later (H2.1.1). What a container put below its group (it may, where it was given a writable mount)
 * goes first.
 */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define NAMES_MAX 1048576u /* bytes of one group's children that a round takes on */

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* A line of /proc/<pid>/cgroup names our group, or one below it. */
static bool is_member(long pid, const char *root, const char *name)
{
    char path[48], needle[512];
    NS_FREE char *text = NULL;

    snprintf(path, sizeof(path), "/proc/%ld/cgroup", pid);
    snprintf(needle, sizeof(needle), "%s/%s", root, name);
    if (ns_read_file(path, 65536, &text) < 0)
        return false;
    for (const char *hit = text; (hit = strstr(hit, needle)) != NULL; hit++) {
        char next = hit[strlen(needle)];

        if (next == '\n' || next == '/' || next == 0)
            return true;
    }
    return false;
}

static void kill_member(long pid, const char *root, const char *name)
{
    NS_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);

    if (pidfd >= 0 && is_member(pid, root, name))
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u);
}

/* Returns how many were there to kill. v2 has a file for it, which no fork bomb outruns. */
static unsigned kill_members(int dir, const struct ns_cgroups *cgroups, const char *name)
{
    NS_CLOSE int all = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
    unsigned count = 0;
    long pid;

    if (file == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while (fscanf(file, "%ld", &pid) == 1) {
        count++;
        if (all < 0)
            kill_member(pid, cgroups->root, name);
    }
    fclose(file);
    if (all >= 0 && count > 0 && write(all, "1", 1) < 0)
        count++; /* still there: the next round tries again */
    return count;
}

/* A group on the way down, and what lies below it. The way is kept here and only its end is open, so no depth is too
 * much. */
struct level {
    struct level *up;
    const char *name; /* in the list of the one above */
    char *names;      /* each ends in NUL, the last in two; NULL = none */
    const char *next; /* still to be visited */
};

struct walk {
    const struct ns_cgroups *cgroups;
    const char *name;
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
    kill_members(fd, w->cgroups, w->name);
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

    if (up >= 0)
        unlinkat(up, level->name, AT_REMOVEDIR);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = up;
    w->level = level->up;
    free(level->names);
    free(level);
}

static bool remove_empty(int parent, const char *leaf)
{
    return unlinkat(parent, leaf, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/* One round over a group and what is below it, the deepest first: kill, remove. True: `leaf` is gone. */
static bool sweep_tree(int parent, const char *leaf, const struct ns_cgroups *cgroups, uint64_t until)
{
    struct walk w = {.cgroups = cgroups, .name = leaf, .fd = -1};

    /* As a rule the keeper's end has emptied it, and then a look at each would be most of what a destroy costs. */
    if (remove_empty(parent, leaf))
        return true;
    enter(&w, parent, leaf);
    while (w.level) {
        const char *child = w.level->next;

        if (child == NULL || *child == 0 || now() >= until) {
            leave(&w);
            continue;
        }
        w.level->next += strlen(child) + 1;
        enter(&w, w.fd, child);
    }
    return remove_empty(parent, leaf);
}

static bool remove_one(const struct ns_cgroups *cgroups, uint32_t i, const char *name, uint64_t until)
{
    NS_FREE char *path = ns_group_path(cgroups, i, "", NULL);
    NS_CLOSE int root = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (root < 0)
        return path != NULL && errno == ENOENT;
    /* A group stays busy for a moment after its last process is gone (H2.2.5). */
    for (long ms = 1;; ms = ms < 64 ? ms * 2 : ms) {
        if (sweep_tree(root, name, cgroups, until))
            return true;
        if (now() >= until)
            return false;
        pause_ms(ms);
    }
}

bool ns_group_remove(const struct ns_cgroups *cgroups, const char *name, uint64_t patience, char **ret_left)
{
    uint64_t until = now() + patience;
    char *left = NULL;
    bool clean = true;

    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *path = NULL;
        NS_FREE char *before = left;

        if (remove_one(cgroups, i, name, until)) {
            before = NULL;
            continue;
        }
        clean = false;
        path = ns_group_path(cgroups, i, name, NULL);
        left = ns_format("%s%scgroup %s", before ? before : "", before ? ", " : "", path ? path : name);
    }
    if (ret_left)
        *ret_left = ns_steal_text(&left);
    free(left);
    return clean;
}

void ns_group_remove_root(const struct ns_cgroups *cgroups)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *keepers = ns_group_path(cgroups, i, "keepers", NULL);
        NS_FREE char *root = ns_group_path(cgroups, i, "", NULL);

        if (keepers && root && (rmdir(keepers) == 0 || errno == ENOENT))
            rmdir(root);
    }
}
