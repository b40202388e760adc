/* SPDX-License-Identifier: Apache-2.0 */
/* pids.c - see pids.h. */
#include "pids.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The number after "PPid:", or the second after "NSpid:" (the first is the reader's own view). */
static bool read_status(long pid, long *ret_parent, long *ret_inside)
{
    NS_FREE char *path = ns_format("/proc/%ld/status", pid);
    NS_FREE char *text = NULL;
    const char *parent, *numbers;

    if (path == NULL || ns_read_file(path, 65536, &text) < 0)
        return false;
    parent = strstr(text, "\nPPid:");
    numbers = strstr(text, "\nNSpid:");
    return parent && numbers && sscanf(parent, "\nPPid: %ld", ret_parent) == 1 &&
           sscanf(numbers, "\nNSpid: %*d %ld", ret_inside) == 1;
}

struct find {
    int32_t keeper;
    struct ns_pid *list;
    uint32_t count;
    uint32_t missing;
};

static bool note(void *ctx, long pid)
{
    struct find *find = ctx;
    long parent, inside;

    if (!read_status(pid, &parent, &inside) || parent != find->keeper)
        return false;
    for (uint32_t i = 0; i < find->count; i++)
        if (find->list[i].outside == 0 && find->list[i].inside == (uint32_t)inside) {
            find->list[i].outside = (int32_t)pid;
            find->missing--;
            break;
        }
    return find->missing == 0;
}

void ns_pids_find(const struct ns_cgroups *cgroups, const char *group, int32_t keeper, struct ns_pid *list,
                  uint32_t count)
{
    struct find find = {keeper, list, count, count};

    /* Any hierarchy has them all, below the group or beside it. */
    for (uint32_t i = 0; i < cgroups->hierarchies->count && find.missing > 0 && keeper > 0; i++)
        ns_group_sandbox_members(cgroups, i, group, note, &find);
}

uint32_t ns_pid_user(int32_t pid)
{
    NS_FREE char *status_path = ns_format("/proc/%d/status", pid), *map_path = ns_format("/proc/%d/uid_map", pid);
    NS_FREE char *status = NULL, *map = NULL;
    const char *line;
    unsigned outside, inside, first, count;

    if (status_path == NULL || map_path == NULL || ns_read_file(status_path, 65536, &status) < 0 ||
        ns_read_file(map_path, 65536, &map) < 0)
        return 0;
    line = strstr(status, "\nUid:");
    if (line == NULL || sscanf(line, "\nUid: %u", &outside) != 1)
        return 0;
    /* sscanf skips the newline that each later line begins with. */
    for (line = map; line && sscanf(line, "%u %u %u", &inside, &first, &count) == 3; line = strchr(line + 1, '\n'))
        if (outside >= first && outside - first < count)
            return inside + (outside - first);
    return 0;
}

static bool is_keeper(long pid)
{
    NS_FREE char *path = ns_format("/proc/%ld/comm", pid);
    NS_FREE char *text = NULL;

    return path && ns_read_file(path, 64, &text) == 0 && strcmp(text, "cl-keeper\n") == 0;
}

/* A child of a pid namespace's init has no other parent as long as it lives: if it has the same one before and after
 * the pidfd was opened, the pidfd is that one's. */
static int open_parent(long pid)
{
    long before, after, inside;
    NS_CLOSE int pidfd = -1;

    if (!read_status(pid, &before, &inside))
        return -1;
    pidfd = (int)syscall(SYS_pidfd_open, (pid_t)before, 0u);
    if (pidfd < 0 || !is_keeper(before) || !read_status(pid, &after, &inside) || after != before)
        return -1;
    return ns_steal_fd(&pidfd);
}

static bool find_parent(void *ctx, long pid)
{
    int *pidfd = ctx;

    *pidfd = open_parent(pid);
    return *pidfd >= 0;
}

int ns_pids_keeper(const struct ns_cgroups *cgroups, const char *group)
{
    int pidfd = -1;

    for (uint32_t i = 0; i < cgroups->hierarchies->count && pidfd < 0; i++)
        ns_group_sandbox_members(cgroups, i, group, find_parent, &pidfd);
    return pidfd;
}

static bool is_one(void *ctx, long pid)
{
    return true;
}

bool ns_pids_any(const struct ns_cgroups *cgroups, const char *group)
{
    bool any = false;

    for (uint32_t i = 0; i < cgroups->hierarchies->count && !any; i++)
        any = ns_group_sandbox_members(cgroups, i, group, is_one, NULL);
    return any;
}

int32_t ns_pid_of(int pidfd)
{
    NS_FREE char *path = ns_format("/proc/self/fdinfo/%d", pidfd);
    NS_FREE char *text = NULL;
    const char *line;
    int pid = 0;

    if (path == NULL || ns_read_file(path, 4096, &text) < 0)
        return 0;
    line = strstr(text, "Pid:");
    return line && sscanf(line, "Pid: %d", &pid) == 1 && pid > 0 ? pid : 0;
}

bool ns_pid_in_user(int32_t pid)
{
    NS_FREE char *path = ns_format("/proc/%d/ns/user", pid);
    struct stat its, ours;

    return path && stat(path, &its) == 0 && stat("/proc/self/ns/user", &ours) == 0 &&
           (its.st_dev != ours.st_dev || its.st_ino != ours.st_ino);
}

/* --- sets --- */

int ns_pid_set_add(struct ns_pid_set *set, int32_t pid)
{
    int32_t *grown = set->list;
    uint32_t room = set->room;

    if (set->count - set->settled >= set->max)
        return -E2BIG;
    if (set->count == room) {
        room = room ? room * 2 : 64;
        grown = realloc(set->list, room * sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
    }
    set->list = grown;
    set->room = room;
    grown[set->count++] = pid;
    return 0;
}

static int compare(const void *one, const void *other)
{
    int32_t a = *(const int32_t *)one, b = *(const int32_t *)other;

    return (a > b) - (a < b);
}

int ns_pid_set_settle(struct ns_pid_set *set)
{
    uint32_t kept = 0;

    if (set->count > 0)
        qsort(set->list, set->count, sizeof(*set->list), compare);
    for (uint32_t i = 0; i < set->count; i++)
        if (kept == 0 || set->list[kept - 1] != set->list[i])
            set->list[kept++] = set->list[i];
    set->count = set->settled = kept;
    return kept > set->max ? -E2BIG : 0;
}
