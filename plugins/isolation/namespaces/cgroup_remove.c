/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_remove.c - emptying and removing groups. Members are killed through pidfds, and only after /proc said, with
 * the pidfd already open, that the process still is in the group: a number read from cgroup.procs may be somebody
 * else's a moment later (H2.1.1). What a container put below its group (it may, where it was given a writable mount)
 * goes first.
 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "cgroup_walk.h"
#include "clock.h"
#include "freezer.h"

/* A line of /proc/<pid>/cgroup names our group, or one below it, or one beside it. */
static bool is_member(long pid, const char *root, const char *name, bool beside)
{
    char path[48], needle[256 + NS_GROUP_PATH_MAX];
    NS_FREE char *text = NULL;

    snprintf(path, sizeof(path), "/proc/%ld/cgroup", pid);
    snprintf(needle, sizeof(needle), "%s/%s", root, name);
    if (ns_read_file(path, 65536, &text) < 0)
        return false;
    for (const char *hit = text; (hit = strstr(hit, needle)) != NULL; hit++) {
        char next = hit[strlen(needle)];

        if (next == '\n' || next == '/' || next == 0 || (beside && next == '.'))
            return true;
    }
    return false;
}

bool ns_group_has_process(const struct ns_cgroups *cgroups, const char *group, long pid)
{
    return is_member(pid, cgroups->root, group, true);
}

static void kill_member(long pid, const char *root, const char *name)
{
    NS_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);

    if (pidfd >= 0 && is_member(pid, root, name, false))
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u);
}

/* Returns how many were there to kill. v2 has a file for it, which no fork bomb outruns. */
static unsigned kill_members(int dir, const struct ns_cgroups *cgroups, const char *name)
{
    NS_CLOSE int all = cgroups->hierarchies->no_v2_kill ? -1 : openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
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

struct round {
    const struct ns_cgroups *cgroups;
    const char *name;
    uint64_t until;
};

static void kill_in(void *ctx, int fd)
{
    const struct round *round = ctx;

    kill_members(fd, round->cgroups, round->name);
}

void ns_group_kill(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name)
{
    NS_FREE char *path = ns_group_path(cgroups, hierarchy, name, NULL);
    struct round round = {cgroups, name, 0};
    const struct ns_visitor visitor = {.enter = kill_in, .ctx = &round};

    if (path)
        ns_cgroup_walk(AT_FDCWD, path, &visitor);
}

static bool remove_empty(int parent, const char *leaf)
{
    return unlinkat(parent, leaf, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static void remove_below(void *ctx, int parent, const char *name)
{
    unlinkat(parent, name, AT_REMOVEDIR);
}

static bool is_over(void *ctx)
{
    const struct round *round = ctx;

    return ns_now() >= round->until;
}

/* One round over a group and what is below it, the deepest first: kill, remove. True: `leaf` is gone. */
static bool sweep_tree(int parent, const char *leaf, const struct ns_cgroups *cgroups, uint64_t until)
{
    struct round round = {cgroups, leaf, until};
    const struct ns_visitor visitor = {kill_in, remove_below, is_over, &round};

    /* As a rule the keeper's end has emptied it, and then a look at each would be most of what a destroy costs. */
    if (remove_empty(parent, leaf))
        return true;
    ns_cgroup_walk(parent, leaf, &visitor);
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
        if (ns_now() >= until)
            return false;
        ns_sleep((uint64_t)ms * 1000000u);
    }
}

bool ns_group_remove(const struct ns_cgroups *cgroups, const char *name, uint64_t patience, char **ret_left)
{
    uint64_t until = ns_now() + patience;
    char *left = NULL;
    bool clean = true;

    ns_freezer_end_group(cgroups, name); /* or nobody in it ever ends */
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

struct beside {
    char **names;
    uint32_t count;
};

static void note_beside(void *ctx, const char *name)
{
    struct beside *beside = ctx;
    char **grown;

    for (uint32_t i = 0; i < beside->count; i++)
        if (strcmp(beside->names[i], name) == 0)
            return;
    grown = realloc(beside->names, (beside->count + 1u) * sizeof(*grown));
    if (grown == NULL)
        return;
    beside->names = grown;
    grown[beside->count] = strdup(name);
    beside->count += grown[beside->count] != NULL;
}

static void remove_parents(const struct ns_cgroups *cgroups, const char *group)
{
    NS_FREE char *name = strdup(group);
    char *slash;

    while (name && (slash = strrchr(name, '/')) != NULL) {
        *slash = 0;
        for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
            NS_FREE char *path = ns_group_path(cgroups, i, name, NULL);
            char mark[4];

            if (path && getxattr(path, NS_GROUP_MARK, mark, sizeof(mark)) >= 0)
                rmdir(path);
        }
    }
}

static void append(char **left, char *more)
{
    NS_FREE char *before = *left, *text = more;

    *left = ns_format("%s%s%s", before ? before : "", before && text ? ", " : "", text ? text : "");
}

bool ns_group_remove_sandbox(const struct ns_cgroups *cgroups, const char *group, uint64_t patience, char **ret_left)
{
    struct beside beside = {NULL, 0};
    char *left = NULL, *more = NULL;
    bool clean = true;

    /* Whoever is short of memory leaves one beside it, which the next sweep finds. */
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++)
        ns_group_beside(cgroups, i, group, note_beside, &beside);
    for (uint32_t i = 0; i <= beside.count; i++) {
        if (!ns_group_remove(cgroups, i < beside.count ? beside.names[i] : group, patience, &more)) {
            append(&left, ns_steal_text(&more));
            clean = false;
        }
        if (i < beside.count)
            free(beside.names[i]);
    }
    free(beside.names);
    if (clean)
        remove_parents(cgroups, group);
    if (ret_left)
        *ret_left = ns_steal_text(&left);
    free(left);
    return clean;
}

/* Listed first: a directory that changes while it is read may hide entries. */
void ns_group_remove_orphans(const struct ns_cgroups *cgroups, const char *prefix)
{
    struct beside found = {NULL, 0};

    ns_group_list(cgroups, prefix, note_beside, &found);
    for (uint32_t i = 0; i < found.count; i++) {
        const char *number = ns_group_leaf(found.names[i]) + strlen(prefix);
        char *end;
        long pid = strtol(number, &end, 10);

        if (end != number && *end == 0 && pid > 0 && pid <= INT32_MAX && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
            ns_group_remove(cgroups, found.names[i], 0, NULL);
        free(found.names[i]);
    }
    free(found.names);
}

void ns_group_remove_root(const struct ns_cgroups *cgroups)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *keepers = ns_group_path(cgroups, i, NS_KEEPERS, NULL);
        NS_FREE char *root = ns_group_path(cgroups, i, "", NULL);

        if (keepers && root && (rmdir(keepers) == 0 || errno == ENOENT))
            rmdir(root);
    }
}
