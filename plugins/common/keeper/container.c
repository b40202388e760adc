/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/procfs.h"

struct cl_container *cl_container_add(struct cl_containers *all, uint64_t id)
{
    struct cl_container *free_slot = cl_container_find(all, 0);

    if (free_slot != NULL)
        *free_slot = (struct cl_container){.id = id, .pidfd = -1, .procs = -1, .oom = -1};
    return free_slot;
}

struct cl_container *cl_container_find(struct cl_containers *all, uint64_t id)
{
    for (uint32_t i = 0; i < CL_WIRE_CONTAINERS_MAX; i++)
        if (all->item[i].id == id)
            return &all->item[i];
    return NULL;
}

void cl_container_remove(struct cl_container *container)
{
    cl_drop_fd(&container->pidfd);
    cl_drop_fd(&container->procs);
    cl_drop_fd(&container->oom);
    container->id = 0;
}

uint64_t cl_container_enter(const struct cl_wire_plan *plan)
{
    static const uint64_t bit[CL_WIRE_NS_COUNT] = {CLONE_NEWUSER,   CLONE_NEWPID, CLONE_NEWNS,
                                                   CLONE_NEWNET,    CLONE_NEWIPC, CLONE_NEWUTS,
                                                   CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};
    uint64_t enter = plan->ns_new;

    for (uint32_t i = 0; i < CL_WIRE_NS_COUNT; i++)
        if (plan->ns_join[i] != CL_WIRE_NO_FD)
            enter |= bit[i];
    return enter;
}

/* "oom_kill N" in v1 memory.oom_control and in v2 memory.events alike. */
static uint64_t oom_kills(const struct cl_container *container)
{
    char text[512];
    ssize_t n = container->oom < 0 ? -1 : pread(container->oom, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = '\0';
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "oom_kill ", 9) == 0)
            return strtoull(line + 9, NULL, 10);
    }
    return 0;
}

void cl_container_oom_reset(struct cl_container *container)
{
    if (container->oom >= 0)
        container->oom_seen = oom_kills(container);
}

int cl_container_oom_take(struct cl_container *container)
{
    if (container->oom < 0 || oom_kills(container) <= container->oom_seen)
        return 0;
    container->oom_seen++;
    return 1;
}

struct list {
    pid_t *pids;
    int count;
    int capacity;
};

static int add(struct list *list, pid_t pid)
{
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 64;
        pid_t *grown = realloc(list->pids, (size_t)capacity * sizeof(pid_t));

        if (grown == NULL)
            return -ENOMEM;
        list->pids = grown;
        list->capacity = capacity;
    }
    list->pids[list->count++] = pid;
    return 0;
}

static int by_namespace(const struct cl_container *container, int proc, struct list *list)
{
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int r = 0;

    if (dir == NULL) {
        r = -errno;
        cl_closep(&fd);
        return r;
    }
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        pid_t pid = atoi(entry->d_name);

        if (pid > 1 && cl_procfs_ns_inode(proc, pid, "pid") == container->pids)
            r = add(list, pid);
    }
    closedir(dir);
    return r;
}

static int read_pids(int fd, struct list *list)
{
    char text[4096];
    pid_t pid = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            if (pid > 1 && add(list, pid) < 0)
                return -ENOMEM;
            pid = 0;
        }
    }
    return n < 0 ? -errno : 0;
}

/*
 * Pids of processes outside our namespace read as 0. A v1 file gives the list as it was at the first read after open,
 * so it is opened afresh each time, through our own procfs.
 */
static int by_group(const struct cl_container *container, int proc, struct list *list)
{
    char path[32];

    snprintf(path, sizeof(path), "self/fd/%d", container->procs);
    CL_CLOSE int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : read_pids(fd, list);
}

int cl_container_members(const struct cl_container *container, int proc, pid_t **ret_pids)
{
    struct list list = {0};
    int r = -ENOTSUP;

    if (container->own_pids)
        r = by_namespace(container, proc, &list);
    else if (container->procs >= 0)
        r = by_group(container, proc, &list);
    if (r < 0) {
        free(list.pids);
        return r;
    }
    *ret_pids = list.pids;
    return list.count;
}
