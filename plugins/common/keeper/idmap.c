/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap.c - only whoever holds rights in the namespace of a file system may shift its owners: host root, which the new
 * process is no longer.
 *
 * A mount is shifted by a user namespace. That is the container's own, or for a mount with maps of its own one that
 * exists only for it: a process is made in it, gets the maps, lends its namespace, and is killed.
 */
#include "common/keeper/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"
#include "common/keeper/procfs.h"

__attribute__((format(printf, 4, 5))) static int failed(struct cl_op *op, int r, const char *step, const char *format,
                                                        ...)
{
    char detail[CL_WIRE_DETAIL_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    cl_op_fail(op, -r, step, detail);
    return r;
}

/* Some maps, and for which process. */
struct maps {
    pid_t pid;
    const char *step;
    const char *name; /* "uid_map" */
    const struct cl_wire_map *map;
    uint32_t count;
};

/* The kernel takes a map in one write of less than a page. */
static int write_maps(struct cl_sandbox *sandbox, struct cl_op *op, const struct maps *maps)
{
    char path[48];
    char text[4096];
    size_t used = 0;

    for (uint32_t i = 0; i < maps->count; i++) {
        const struct cl_wire_map *map = &maps->map[i];

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%u %u %u\n", map->inside, map->outside, map->count);
        if (used >= sizeof(text))
            return failed(op, -E2BIG, maps->step, "%s: more than the kernel takes at once", maps->name);
    }
    snprintf(path, sizeof(path), "%d/%s", maps->pid, maps->name);
    int r = cl_procfs_write(sandbox->proc, path, text, used);

    return r < 0 ? failed(op, r, maps->step, "%s '%.*s'", maps->name, (int)(used ? used - 1 : 0), text) : 0;
}

int cl_idmap_process(struct cl_sandbox *sandbox, struct cl_op *op)
{
    const struct cl_wire_span *section = op->plan->section;
    struct maps gids = {op->child, "user-map", "gid_map", cl_wire_items(op->plan, CL_WIRE_GID_MAP),
                        section[CL_WIRE_GID_MAP].count};
    struct maps uids = {op->child, "user-map", "uid_map", cl_wire_items(op->plan, CL_WIRE_UID_MAP),
                        section[CL_WIRE_UID_MAP].count};
    char path[48];
    int r = 0;

    if (!(op->plan->ns_new & CLONE_NEWUSER))
        return 0;
    if (op->plan->flags & CL_WIRE_PLAN_DENY_SETGROUPS) {
        snprintf(path, sizeof(path), "%d/setgroups", op->child);
        r = cl_procfs_write(sandbox->proc, path, "deny", 4);
        if (r < 0)
            return failed(op, r, "user-map", "setgroups 'deny'");
    }
    r = write_maps(sandbox, op, &gids);
    return r < 0 ? r : write_maps(sandbox, op, &uids);
}

/* It holds nothing but its namespace, and lives for two writes. */
_Noreturn static void hold(void)
{
    close_range(0, ~0U, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (;;)
        pause();
}

/* Without an exit signal, so that nobody but the waitpid here hears of it. */
static pid_t make_holder(void)
{
    struct clone_args args = {.flags = CLONE_NEWUSER};
    pid_t pid = cl_clone3(&args);

    if (pid == 0)
        hold();
    return pid;
}

static int lend_namespace(struct cl_sandbox *sandbox, struct cl_op *op, const struct cl_wire_mount_map *map,
                          int *ret_fd)
{
    const struct cl_wire_map *all = cl_wire_items(op->plan, CL_WIRE_MAPS);
    pid_t pid = make_holder();
    struct maps gids = {pid, "id-map", "gid_map", all + map->gid_first, map->gid_count};
    struct maps uids = {pid, "id-map", "uid_map", all + map->uid_first, map->uid_count};
    int r;

    if (pid < 0)
        return failed(op, pid, "id-map", "a user namespace for a mount");
    r = write_maps(sandbox, op, &gids);
    if (r == 0)
        r = write_maps(sandbox, op, &uids);
    if (r == 0 && (r = cl_procfs_open_ns(sandbox->proc, pid, "user", ret_fd)) < 0)
        failed(op, r, "id-map", "user namespace of a mount");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL);
    return r;
}

static int shift(const struct cl_op *op, uint32_t index, int user, int whole)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user};
    unsigned int flags = AT_EMPTY_PATH | (whole ? AT_RECURSIVE : 0);

    return mount_setattr(op->fds[index], "", flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* The mount's own maps, which are in the order of the mounts; NULL: the container's. */
static const struct cl_wire_mount_map *maps_of(const struct cl_wire_plan *plan, uint32_t mount)
{
    const struct cl_wire_mount_map *map = cl_wire_items(plan, CL_WIRE_MOUNT_MAPS);

    for (uint32_t i = 0; i < plan->section[CL_WIRE_MOUNT_MAPS].count; i++)
        if (map[i].mount == mount)
            return &map[i];
    return NULL;
}

static int shift_mount(struct cl_sandbox *sandbox, struct cl_op *op, uint32_t i, int container)
{
    const struct cl_wire_mount *mount = (const struct cl_wire_mount *)cl_wire_items(op->plan, CL_WIRE_MOUNTS) + i;
    const struct cl_wire_mount_map *map = maps_of(op->plan, i);
    CL_CLOSE int own = -1;
    int r = map ? lend_namespace(sandbox, op, map, &own) : 0;

    if (r < 0)
        return r;
    r = shift(op, mount->fd, map ? own : container, mount->flags & CL_WIRE_MOUNT_IDMAP_WHOLE);
    return r < 0 ? failed(op, r, "id-map", "'%s' cannot be id-mapped", cl_wire_string(op->plan, mount->target)) : 0;
}

int cl_idmap_trees(struct cl_sandbox *sandbox, struct cl_op *op)
{
    const struct cl_wire_mount *mount = cl_wire_items(op->plan, CL_WIRE_MOUNTS);
    uint32_t count = op->plan->section[CL_WIRE_MOUNTS].count;
    int wanted = (op->plan->flags & CL_WIRE_PLAN_ROOT_IDMAP) != 0;
    CL_CLOSE int user = -1;
    int r;

    for (uint32_t i = 0; i < count; i++)
        wanted |= (mount[i].flags & CL_WIRE_MOUNT_IDMAP) && maps_of(op->plan, i) == NULL;
    if (wanted && (r = cl_procfs_open_ns(sandbox->proc, op->child, "user", &user)) < 0)
        return failed(op, r, "id-map", "user namespace of the new process");
    if ((op->plan->flags & CL_WIRE_PLAN_ROOT_IDMAP) && (r = shift(op, op->plan->root_fd, user, 1)) < 0)
        return failed(op, r, "id-map", "the root's file system cannot be id-mapped");
    for (uint32_t i = 0; i < count; i++)
        if ((mount[i].flags & CL_WIRE_MOUNT_IDMAP) && (r = shift_mount(sandbox, op, i, user)) < 0)
            return r;
    return 0;
}
