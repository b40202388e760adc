/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/plan_old.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int changes_mounts(const struct cl_plan *plan)
{
    const struct cl_wire_mount *mount = (const void *)plan->section[CL_WIRE_MOUNTS].data;

    for (size_t i = 0; i < plan->section[CL_WIRE_MOUNTS].size / sizeof(*mount); i++)
        if (mount[i].kind == CL_WIRE_MOUNT_CHANGE)
            return 1;
    return 0;
}

/* The first thing in it that version 1 does not know; NULL: nothing. */
static const char *unsayable(const struct cl_plan *plan)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } flags[] = {
        {CL_WIRE_PLAN_RESOLVE, "resolve"},
        {CL_WIRE_PLAN_TERMINAL, "terminal"},
        {CL_WIRE_PLAN_POINT, "point"},
        {CL_WIRE_PLAN_IO_PRIORITY, "io-priority"},
        {CL_WIRE_PLAN_SCHEDULER, "scheduler"},
        {CL_WIRE_PLAN_PERSONALITY, "personality"},
        {CL_WIRE_PLAN_NONROOT_CAPS, "nonroot-caps"},
    };
    static const char *const sections[] = {"layers", "files", "hooks", "words", "mount-maps", "maps"};

    _Static_assert(sizeof(sections) / sizeof(*sections) == CL_WIRE_SECTION_COUNT - CL_PLAN_OLD_SECTIONS,
                   "every section since then has its word");
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
        if (plan->head.flags & flags[i].flag)
            return flags[i].name;
    for (uint32_t i = CL_PLAN_OLD_SECTIONS; i < CL_WIRE_SECTION_COUNT; i++)
        if (plan->section[i].size > 0)
            return sections[i - CL_PLAN_OLD_SECTIONS];
    if (plan->head.flags & ~CL_PLAN_OLD_FLAGS)
        return "flags";
    if (plan->head.join_container != 0)
        return "join"; /* the rest comes with a flag, or with layers */
    return changes_mounts(plan) ? "mounts" : NULL;
}

static uint32_t up(size_t size)
{
    return (uint32_t)((size + 7) & ~(size_t)7);
}

/* Each member by its name, so that none is lost when ours move. */
static struct cl_plan_old head_of(const struct cl_plan *plan)
{
    const struct cl_wire_plan *head = &plan->head;
    struct cl_plan_old old = {
        .magic = CL_WIRE_PLAN_MAGIC,
        .version = CL_PLAN_OLD_VERSION,
        .kind = head->kind,
        .flags = head->flags,
        .uid = head->uid,
        .gid = head->gid,
        .umask = head->umask,
        .session = head->session,
        .cwd = head->cwd,
        .path = head->path,
        .oom_score_adj = head->oom_score_adj,
        .nice = head->nice,
        .cap_bounding = head->cap_bounding,
        .cap_permitted = head->cap_permitted,
        .cap_effective = head->cap_effective,
        .cap_inheritable = head->cap_inheritable,
        .cap_ambient = head->cap_ambient,
        .ns_new = head->ns_new,
        .hostname = head->hostname,
        .domainname = head->domainname,
        .comm = head->comm,
        .root_fd = head->root_fd,
        .root_propagation = head->root_propagation,
        .oom_kind = head->oom_kind,
        .oom_fd = head->oom_fd,
        .procs_fd = head->procs_fd,
        .stop_step = head->stop_step,
        .stop_when = head->stop_when,
        .size = up(sizeof(old)),
    };

    memcpy(old.ns_join, head->ns_join, sizeof(old.ns_join));
    for (uint32_t i = 0; i < CL_PLAN_OLD_SECTIONS; i++) {
        size_t size = plan->section[i].size;

        old.section[i] =
            (struct cl_wire_span){.offset = size ? old.size : 0, .count = (uint32_t)(size / cl_wire_section_item(i))};
        old.size = up(old.size + size);
    }
    return old;
}

static int put(int fd, const void *data, size_t size, off_t at)
{
    ssize_t n = pwrite(fd, data, size, at);

    return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

int cl_plan_old_write(const struct cl_plan *plan, int fd, const char **ret_where)
{
    const char *where = unsayable(plan);

    if (where != NULL && ret_where != NULL)
        *ret_where = where;
    if (where != NULL)
        return -ENOTSUP;
    struct cl_plan_old old = head_of(plan);
    int r = ftruncate(fd, old.size) < 0 ? -errno : put(fd, &old, sizeof(old), 0);

    for (uint32_t i = 0; i < CL_PLAN_OLD_SECTIONS && r == 0; i++)
        if (plan->section[i].size > 0)
            r = put(fd, plan->section[i].data, plan->section[i].size, old.section[i].offset);
    return r;
}
