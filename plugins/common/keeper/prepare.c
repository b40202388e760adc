/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.c - what the keeper does to a process that waits for it: id maps, id-mapped trees, the OOM score, limits.
 *
 * The process itself may not: it lives in the new user namespace, and these take rights in the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/op.h"
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

/* The kernel takes a map in one write of less than a page. */
static int write_map(struct cl_sandbox *sandbox, struct cl_op *op, uint32_t section, const char *name)
{
    const struct cl_wire_map *map = cl_wire_items(op->plan, section);
    char path[48];
    char text[4096];
    size_t used = 0;

    for (uint32_t i = 0; i < op->plan->section[section].count; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%u %u %u\n", map[i].inside, map[i].outside,
                                 map[i].count);
        if (used >= sizeof(text))
            return failed(op, -E2BIG, "user-map", "%s: more than the kernel takes at once", name);
    }
    snprintf(path, sizeof(path), "%d/%s", op->child, name);
    int r = cl_procfs_write(sandbox->proc, path, text, used);

    return r < 0 ? failed(op, r, "user-map", "%s '%.*s'", name, (int)(used ? used - 1 : 0), text) : 0;
}

static int write_maps(struct cl_sandbox *sandbox, struct cl_op *op)
{
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
    r = write_map(sandbox, op, CL_WIRE_GID_MAP, "gid_map");
    return r < 0 ? r : write_map(sandbox, op, CL_WIRE_UID_MAP, "uid_map");
}

static int idmap(const struct cl_op *op, uint32_t index, int user)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user};

    return mount_setattr(op->fds[index], "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* Only whoever holds rights in the namespace of the file system may shift its owners: host root. */
static int idmap_trees(struct cl_sandbox *sandbox, struct cl_op *op)
{
    const struct cl_wire_mount *mount = cl_wire_items(op->plan, CL_WIRE_MOUNTS);
    int root = (op->plan->flags & CL_WIRE_PLAN_ROOT_IDMAP) != 0;
    CL_CLOSE int user = -1;
    int r = 0;

    for (uint32_t i = 0; i < op->plan->section[CL_WIRE_MOUNTS].count || (i == 0 && root); i++) {
        int wanted = op->plan->section[CL_WIRE_MOUNTS].count > i && (mount[i].flags & CL_WIRE_MOUNT_IDMAP);

        if (user < 0 && (wanted || root) && (r = cl_procfs_open_ns(sandbox->proc, op->child, "user", &user)) < 0)
            return failed(op, r, "id-map", "user namespace of the new process");
        if (i == 0 && root && (r = idmap(op, op->plan->root_fd, user)) < 0)
            return failed(op, r, "id-map", "the root's file system cannot be id-mapped");
        if (wanted && (r = idmap(op, mount[i].fd, user)) < 0)
            return failed(op, r, "id-map", "'%s' cannot be id-mapped", cl_wire_string(op->plan, mount[i].target));
    }
    return 0;
}

static int oom_score(struct cl_sandbox *sandbox, struct cl_op *op)
{
    char path[48];
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", op->plan->oom_score_adj);

    if (!(op->plan->flags & CL_WIRE_PLAN_OOM_SCORE))
        return 0;
    snprintf(path, sizeof(path), "%d/oom_score_adj", op->child);
    int r = cl_procfs_write(sandbox->proc, path, text, (size_t)n);

    return r < 0 ? failed(op, r, "oom-score", "%s%s", text, r == -EACCES ? ", below what this host allows" : "") : 0;
}

int cl_prepare(struct cl_sandbox *sandbox, struct cl_op *op)
{
    int r = write_maps(sandbox, op);

    if (r == 0)
        r = idmap_trees(sandbox, op);
    return r == 0 ? oom_score(sandbox, op) : r;
}

static const char *limit_name(uint32_t resource)
{
    static const char *const names[] = {
        "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
        "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
    };

    return resource < sizeof(names) / sizeof(names[0]) ? names[resource] : "?";
}

int cl_prepare_rlimits(struct cl_op *op)
{
    const struct cl_wire_rlimit *limit = cl_wire_items(op->plan, CL_WIRE_RLIMITS);

    for (uint32_t i = 0; i < op->plan->section[CL_WIRE_RLIMITS].count; i++) {
        struct rlimit wanted = {.rlim_cur = limit[i].soft, .rlim_max = limit[i].hard};
        struct rlimit now = {0};
        int resource = (int)limit[i].resource;

        if (prlimit(op->child, (__rlimit_resource_t)resource, &wanted, NULL) == 0)
            continue;
        int r = -errno;

        if (r == -EPERM && prlimit(op->child, (__rlimit_resource_t)resource, NULL, &now) == 0)
            return failed(op, r, "rlimit", "RLIMIT_%s: hard limit %llu is above the %llu of this host",
                          limit_name(limit[i].resource), (unsigned long long)limit[i].hard,
                          (unsigned long long)now.rlim_max);
        return failed(op, r, "rlimit", "RLIMIT_%s: soft %llu, hard %llu", limit_name(limit[i].resource),
                      (unsigned long long)limit[i].soft, (unsigned long long)limit[i].hard);
    }
    return 0;
}
