/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - is this a plan? Pure functions over bytes, run by both ends.
 *
 * The keeper is root's and its plans come from a process that parses what strangers send, so a plan is checked here
 * once, whole, before anything is done: every section lies inside, every string ends, every index and descriptor is in
 * range, every flag is known. The code that executes plans relies on it and checks nothing twice.
 */
#include "common/keeper/wire.h"

#include <errno.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#define PLAN_FLAGS 32767u
#define RESOLVE_FLAGS (CL_WIRE_RESOLVE_GROUPS | CL_WIRE_RESOLVE_ENV | CL_WIRE_RESOLVE_CWD)
#define SCHED_FLAGS 127u    /* of sched_setattr(2) */
#define SCHED_POLICY_MAX 6u /* SCHED_DEADLINE */
#define IO_PRIORITY_BITS (3u << 13 | 7u)
#define NS_FLAGS                                                                                          \
    ((uint64_t)(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
                CLONE_NEWCGROUP) |                                                                        \
     0x80u /* CLONE_NEWTIME */)
#define MOUNT_ATTRS                                                                                                \
    ((uint64_t)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME | \
                MOUNT_ATTR_NODIRATIME | 0x200000u /* MOUNT_ATTR_NOSYMFOLLOW */))

static const size_t section_item[CL_WIRE_SECTION_COUNT] = {
    [CL_WIRE_STRINGS] = 1,
    [CL_WIRE_UID_MAP] = sizeof(struct cl_wire_map),
    [CL_WIRE_GID_MAP] = sizeof(struct cl_wire_map),
    [CL_WIRE_CGROUPS] = sizeof(uint32_t),
    [CL_WIRE_MOUNTS] = sizeof(struct cl_wire_mount),
    [CL_WIRE_OPTIONS] = sizeof(struct cl_wire_option),
    [CL_WIRE_DEVICES] = sizeof(struct cl_wire_device),
    [CL_WIRE_LINKS] = sizeof(struct cl_wire_link),
    [CL_WIRE_MASKED] = sizeof(cl_wire_str),
    [CL_WIRE_READONLY] = sizeof(cl_wire_str),
    [CL_WIRE_SYSCTLS] = sizeof(struct cl_wire_sysctl),
    [CL_WIRE_TIME] = sizeof(struct cl_wire_time_offset),
    [CL_WIRE_ARGV] = sizeof(cl_wire_str),
    [CL_WIRE_ENV] = sizeof(cl_wire_str),
    [CL_WIRE_GROUPS] = sizeof(uint32_t),
    [CL_WIRE_RLIMITS] = sizeof(struct cl_wire_rlimit),
    [CL_WIRE_SECCOMP] = sizeof(struct cl_wire_seccomp),
    [CL_WIRE_BPF] = 8,
    [CL_WIRE_LAYERS] = sizeof(uint32_t),
    [CL_WIRE_FILES] = sizeof(struct cl_wire_file),
    [CL_WIRE_HOOKS] = sizeof(struct cl_wire_hook),
    [CL_WIRE_WORDS] = sizeof(cl_wire_str),
    [CL_WIRE_MOUNT_MAPS] = sizeof(struct cl_wire_mount_map),
    [CL_WIRE_MAPS] = sizeof(struct cl_wire_map),
};

size_t cl_wire_section_item(uint32_t section)
{
    return section < CL_WIRE_SECTION_COUNT ? section_item[section] : 0;
}

/* What the checks of one plan share. */
struct view {
    const struct cl_wire_plan *plan;
    uint32_t fds;
    const char *where;
};

static int bad(struct view *view, const char *where)
{
    view->where = where;
    return -EBADMSG;
}

static uint32_t count_of(const struct view *view, uint32_t section)
{
    return view->plan->section[section].count;
}

static int string_ok(const struct view *view, cl_wire_str offset)
{
    return offset < count_of(view, CL_WIRE_STRINGS);
}

static int path_ok(const struct view *view, cl_wire_str offset)
{
    return string_ok(view, offset) && cl_wire_string(view->plan, offset)[0] == '/';
}

/* `count` items from `first` on lie in the section. */
static int items_ok(const struct view *view, uint32_t section, uint32_t first, uint32_t count)
{
    uint32_t all = count_of(view, section);

    return count <= all && first <= all - count;
}

static int fd_ok(const struct view *view, uint32_t fd)
{
    return fd < view->fds;
}

static int fd_or_none_ok(const struct view *view, uint32_t fd)
{
    return fd == CL_WIRE_NO_FD || fd_ok(view, fd);
}

static int propagation_ok(uint32_t propagation)
{
    switch (propagation & ~(uint32_t)MS_REC) {
    case 0:
        return propagation == 0;
    case MS_PRIVATE:
    case MS_SLAVE:
    case MS_SHARED:
    case MS_UNBINDABLE:
        return 1;
    default:
        return 0;
    }
}

static int check_sections(struct view *view, size_t size)
{
    for (uint32_t i = 0; i < CL_WIRE_SECTION_COUNT; i++) {
        const struct cl_wire_span *span = &view->plan->section[i];
        uint64_t end = span->offset + (uint64_t)span->count * section_item[i];

        if (span->count == 0 ? span->offset != 0 : span->offset < sizeof(*view->plan))
            return bad(view, "section");
        if (span->offset % 8 != 0 || end > size)
            return bad(view, "section");
    }
    const struct cl_wire_span *strings = &view->plan->section[CL_WIRE_STRINGS];
    const char *text = cl_wire_items(view->plan, CL_WIRE_STRINGS);

    if (strings->count == 0 || text[0] != '\0' || text[strings->count - 1] != '\0')
        return bad(view, "strings");
    return 0;
}

static int check_string_list(struct view *view, uint32_t section, int is_path, const char *where)
{
    const cl_wire_str *list = cl_wire_items(view->plan, section);

    for (uint32_t i = 0; i < count_of(view, section); i++)
        if (is_path ? !path_ok(view, list[i]) : !string_ok(view, list[i]))
            return bad(view, where);
    return 0;
}

#define ID_MAP_MAX 340u

static int check_maps(struct view *view, uint32_t section)
{
    const struct cl_wire_map *map = cl_wire_items(view->plan, section);

    if (section != CL_WIRE_MAPS && count_of(view, section) > ID_MAP_MAX)
        return bad(view, "maps");
    for (uint32_t i = 0; i < count_of(view, section); i++)
        if (map[i].count == 0 || map[i].inside + (uint64_t)map[i].count > UINT32_MAX ||
            map[i].outside + (uint64_t)map[i].count > UINT32_MAX)
            return bad(view, "maps");
    return 0;
}

static int check_fd_list(struct view *view, uint32_t section, const char *where)
{
    const uint32_t *fd = cl_wire_items(view->plan, section);

    for (uint32_t i = 0; i < count_of(view, section); i++)
        if (!fd_ok(view, fd[i]))
            return bad(view, where);
    return 0;
}

static int check_mount(struct view *view, const struct cl_wire_mount *mount)
{
    uint32_t known = CL_WIRE_MOUNT_RECURSIVE | CL_WIRE_MOUNT_IDMAP | CL_WIRE_MOUNT_IDMAP_WHOLE | CL_WIRE_MOUNT_MODE;

    if ((mount->flags & ~known) || !path_ok(view, mount->target) || !string_ok(view, mount->type) ||
        !string_ok(view, mount->source))
        return bad(view, "mounts");
    if (!items_ok(view, CL_WIRE_OPTIONS, mount->option_first, mount->option_count))
        return bad(view, "mounts");
    if (((mount->attr_set | mount->attr_clr) & ~MOUNT_ATTRS) || !propagation_ok(mount->propagation) ||
        (mount->mode & ~07777u))
        return bad(view, "mounts");
    if ((mount->flags & CL_WIRE_MOUNT_IDMAP_WHOLE) && !(mount->flags & CL_WIRE_MOUNT_IDMAP))
        return bad(view, "mounts");
    switch (mount->kind) {
    case CL_WIRE_MOUNT_FS:
        return mount->type == 0 || mount->fd != CL_WIRE_NO_FD || (mount->flags & CL_WIRE_MOUNT_IDMAP)
                   ? bad(view, "mounts")
                   : 0;
    case CL_WIRE_MOUNT_BIND:
        return !fd_ok(view, mount->fd) || mount->option_count != 0 ? bad(view, "mounts") : 0;
    case CL_WIRE_MOUNT_CHANGE:
        return mount->fd != CL_WIRE_NO_FD || mount->option_count != 0 || mount->type != 0 || mount->source != 0 ||
                       (mount->flags & ~CL_WIRE_MOUNT_RECURSIVE)
                   ? bad(view, "mounts")
                   : 0;
    default:
        return bad(view, "mounts");
    }
}

static int check_mounts(struct view *view)
{
    const struct cl_wire_mount *mount = cl_wire_items(view->plan, CL_WIRE_MOUNTS);
    const struct cl_wire_option *option = cl_wire_items(view->plan, CL_WIRE_OPTIONS);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_OPTIONS); i++)
        if (!string_ok(view, option[i].key) || option[i].key == 0 || !string_ok(view, option[i].value) ||
            option[i].has_value > 1)
            return bad(view, "options");
    for (uint32_t i = 0; i < count_of(view, CL_WIRE_MOUNTS); i++)
        if (check_mount(view, &mount[i]) < 0)
            return -EBADMSG;
    return 0;
}

static int mount_map_ok(const struct view *view, const struct cl_wire_mount_map *map)
{
    const struct cl_wire_mount *mount = cl_wire_items(view->plan, CL_WIRE_MOUNTS);

    if (map->mount >= count_of(view, CL_WIRE_MOUNTS) || mount[map->mount].kind != CL_WIRE_MOUNT_BIND ||
        !(mount[map->mount].flags & CL_WIRE_MOUNT_IDMAP))
        return 0;
    return map->uid_count > 0 && map->uid_count <= ID_MAP_MAX && map->gid_count > 0 && map->gid_count <= ID_MAP_MAX &&
           items_ok(view, CL_WIRE_MAPS, map->uid_first, map->uid_count) &&
           items_ok(view, CL_WIRE_MAPS, map->gid_first, map->gid_count);
}

/* In order, so that each mount is there at most once. */
static int check_mount_maps(struct view *view)
{
    const struct cl_wire_mount_map *map = cl_wire_items(view->plan, CL_WIRE_MOUNT_MAPS);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_MOUNT_MAPS); i++)
        if (!mount_map_ok(view, &map[i]) || (i > 0 && map[i].mount <= map[i - 1].mount))
            return bad(view, "mount-maps");
    return 0;
}

static int file_ok(const struct view *view, const struct cl_wire_file *file)
{
    int shared = file->fd == CL_WIRE_NO_FD;

    if (!path_ok(view, file->path) || (file->mode & ~07777u) || file->uid == UINT32_MAX || file->gid == UINT32_MAX)
        return 0;
    return shared ? file->share != 0 && path_ok(view, file->share_path)
                  : fd_ok(view, file->fd) && file->share == 0 && file->share_path == 0;
}

static int check_files(struct view *view)
{
    const struct cl_wire_file *file = cl_wire_items(view->plan, CL_WIRE_FILES);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_FILES); i++)
        if (!file_ok(view, &file[i]))
            return bad(view, "files");
    return 0;
}

/* A program of the host's comes as a descriptor; one of the container's is looked up there. */
static int hook_ok(const struct view *view, const struct cl_wire_hook *hook)
{
    if (hook->point != CL_WIRE_HOOK_CREATE_CONTAINER && hook->point != CL_WIRE_HOOK_START_CONTAINER)
        return 0;
    if (hook->point == CL_WIRE_HOOK_CREATE_CONTAINER ? !fd_ok(view, hook->fd) : hook->fd != CL_WIRE_NO_FD)
        return 0;
    if (hook->point == CL_WIRE_HOOK_CREATE_CONTAINER ? !path_ok(view, hook->root) : hook->root != 0)
        return 0;
    return path_ok(view, hook->path) && hook->arg_count > 0 &&
           items_ok(view, CL_WIRE_WORDS, hook->arg_first, hook->arg_count) &&
           items_ok(view, CL_WIRE_WORDS, hook->env_first, hook->env_count) && string_ok(view, hook->state_head) &&
           string_ok(view, hook->state_tail);
}

static int check_hooks(struct view *view)
{
    const struct cl_wire_hook *hook = cl_wire_items(view->plan, CL_WIRE_HOOKS);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_HOOKS); i++)
        if (!hook_ok(view, &hook[i]))
            return bad(view, "hooks");
    for (uint32_t i = 0, first = UINT32_MAX; i < count_of(view, CL_WIRE_HOOKS); i++) {
        if (hook[i].point != CL_WIRE_HOOK_CREATE_CONTAINER)
            continue;
        first = first == UINT32_MAX ? i : first;
        if (hook[i].fd != hook[first].fd || hook[i].root != hook[first].root || !(view->plan->ns_new & CLONE_NEWPID))
            return bad(view, "hooks");
    }
    return 0;
}

static int check_devices(struct view *view)
{
    const struct cl_wire_device *device = cl_wire_items(view->plan, CL_WIRE_DEVICES);
    const struct cl_wire_link *link = cl_wire_items(view->plan, CL_WIRE_LINKS);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_DEVICES); i++) {
        uint32_t type = device[i].type;

        if (!path_ok(view, device[i].path) || (device[i].mode & ~07777u) || !fd_or_none_ok(view, device[i].fd))
            return bad(view, "devices");
        if (type != S_IFCHR && type != S_IFBLK && type != S_IFIFO)
            return bad(view, "devices");
    }
    for (uint32_t i = 0; i < count_of(view, CL_WIRE_LINKS); i++)
        if (!path_ok(view, link[i].path) || !string_ok(view, link[i].text) || link[i].text == 0)
            return bad(view, "links");
    return 0;
}

static int check_sysctls(struct view *view)
{
    const struct cl_wire_sysctl *sysctl = cl_wire_items(view->plan, CL_WIRE_SYSCTLS);
    const struct cl_wire_time_offset *offset = cl_wire_items(view->plan, CL_WIRE_TIME);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_SYSCTLS); i++)
        if (!string_ok(view, sysctl[i].key) || sysctl[i].key == 0 ||
            cl_wire_string(view->plan, sysctl[i].key)[0] == '/' || !string_ok(view, sysctl[i].value))
            return bad(view, "sysctls");
    for (uint32_t i = 0; i < count_of(view, CL_WIRE_TIME); i++)
        if ((offset[i].clock != CLOCK_MONOTONIC && offset[i].clock != CLOCK_BOOTTIME) || offset[i].nanoseconds < 0 ||
            offset[i].nanoseconds > 999999999 || offset[i].reserved != 0 || i > 1)
            return bad(view, "time");
    return 0;
}

static int check_limits(struct view *view)
{
    const struct cl_wire_rlimit *limit = cl_wire_items(view->plan, CL_WIRE_RLIMITS);
    const uint32_t *group = cl_wire_items(view->plan, CL_WIRE_GROUPS);

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_RLIMITS); i++)
        if (limit[i].resource > 64 || limit[i].reserved != 0)
            return bad(view, "rlimits");
    if (count_of(view, CL_WIRE_GROUPS) > 65536)
        return bad(view, "groups");
    for (uint32_t i = 0; i < count_of(view, CL_WIRE_GROUPS); i++)
        if (group[i] == UINT32_MAX)
            return bad(view, "groups");
    return 0;
}

static int check_seccomp(struct view *view)
{
    const struct cl_wire_seccomp *filter = cl_wire_items(view->plan, CL_WIRE_SECCOMP);
    uint32_t known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW;

    for (uint32_t i = 0; i < count_of(view, CL_WIRE_SECCOMP); i++)
        if ((filter[i].flags & ~known) || filter[i].reserved != 0 || filter[i].count == 0 || filter[i].count > 4096 ||
            !items_ok(view, CL_WIRE_BPF, filter[i].first, filter[i].count))
            return bad(view, "seccomp");
    return 0;
}

static int is_zero(const void *data, size_t size)
{
    const uint8_t *byte = data;

    for (size_t i = 0; i < size; i++)
        if (byte[i] != 0)
            return 0;
    return 1;
}

/* Who it runs as: said here, or found out inside. */
static int check_user(struct view *view)
{
    const struct cl_wire_plan *plan = view->plan;
    int resolve = (plan->flags & CL_WIRE_PLAN_RESOLVE) != 0;
    int home = resolve && (plan->resolve & CL_WIRE_RESOLVE_CWD) && plan->cwd == 0;

    if (plan->uid == UINT32_MAX || plan->gid == UINT32_MAX)
        return bad(view, "user");
    if (resolve ? plan->uid != 0 || plan->gid != 0 || count_of(view, CL_WIRE_GROUPS) != 0
                : plan->user != 0 || plan->resolve != 0)
        return bad(view, "user");
    if (!string_ok(view, plan->user) || (plan->resolve & ~RESOLVE_FLAGS))
        return bad(view, "user");
    if ((!home && !path_ok(view, plan->cwd)) || !string_ok(view, plan->path))
        return bad(view, "cwd");
    if ((plan->flags & CL_WIRE_PLAN_DENY_SETGROUPS) &&
        (count_of(view, CL_WIRE_GROUPS) != 0 || (plan->resolve & CL_WIRE_RESOLVE_GROUPS)))
        return bad(view, "groups");
    return 0;
}

/* What a flag says is there; without it there is nothing. */
static int check_optional(struct view *view)
{
    const struct cl_wire_plan *plan = view->plan;
    const struct cl_wire_sched *sched = &plan->sched;
    uint64_t nonroot = plan->nonroot_cap_bounding | plan->nonroot_cap_permitted | plan->nonroot_cap_effective |
                       plan->nonroot_cap_inheritable | plan->nonroot_cap_ambient;

    if (plan->flags & CL_WIRE_PLAN_IO_PRIORITY ? (plan->io_priority & ~IO_PRIORITY_BITS) != 0 : plan->io_priority != 0)
        return bad(view, "io-priority");
    if (plan->flags & CL_WIRE_PLAN_SCHEDULER ? sched->policy > SCHED_POLICY_MAX || (sched->flags & ~SCHED_FLAGS) ||
                                                   sched->reserved || sched->nice < -20 || sched->nice > 19
                                             : !is_zero(sched, sizeof(*sched)))
        return bad(view, "scheduler");
    if (!(plan->flags & CL_WIRE_PLAN_PERSONALITY) && plan->personality != 0)
        return bad(view, "personality");
    if (plan->flags & CL_WIRE_PLAN_NONROOT_CAPS ? !(plan->flags & CL_WIRE_PLAN_RESOLVE) : nonroot != 0)
        return bad(view, "nonroot-caps");
    return 0;
}

static int check_process(struct view *view)
{
    const struct cl_wire_plan *plan = view->plan;
    int pause = (plan->flags & CL_WIRE_PLAN_PAUSE) != 0;

    if (check_user(view) < 0 || check_optional(view) < 0)
        return -EBADMSG;
    if ((plan->umask & ~0777u) || plan->session > CL_WIRE_SESSION_INHERIT)
        return bad(view, "process");
    if (pause ? count_of(view, CL_WIRE_ARGV) != 0 : count_of(view, CL_WIRE_ARGV) == 0)
        return bad(view, "argv");
    if (plan->oom_score_adj < -1000 || plan->oom_score_adj > 1000 || plan->nice < -20 || plan->nice > 19)
        return bad(view, "process");
    if ((plan->flags & CL_WIRE_PLAN_TERMINAL) && (pause || plan->session != CL_WIRE_SESSION_SETSID))
        return bad(view, "terminal");
    return 0;
}

/* Members that only make sense when the namespace they belong to is new. */
static int check_namespaces(struct view *view)
{
    static const uint64_t bit[CL_WIRE_NS_COUNT] = {CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS,     CLONE_NEWNET,
                                                   CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP, 0x80};
    const struct cl_wire_plan *plan = view->plan;
    int user = (plan->ns_new & CLONE_NEWUSER) != 0;

    if (((plan->ns_new | plan->join_ns) & ~NS_FLAGS) || (plan->ns_new & plan->join_ns) ||
        (plan->join_container != 0) != (plan->join_ns != 0))
        return bad(view, "namespaces");
    for (uint32_t i = 0; i < CL_WIRE_NS_COUNT; i++)
        if (!fd_or_none_ok(view, plan->ns_join[i]) ||
            (plan->ns_join[i] != CL_WIRE_NO_FD && ((plan->ns_new | plan->join_ns) & bit[i])))
            return bad(view, "namespaces");
    if (user ? count_of(view, CL_WIRE_UID_MAP) == 0 || count_of(view, CL_WIRE_GID_MAP) == 0
             : count_of(view, CL_WIRE_UID_MAP) != 0 || count_of(view, CL_WIRE_GID_MAP) != 0)
        return bad(view, "maps");
    if ((plan->flags & CL_WIRE_PLAN_ROOT_IDMAP) && !user && plan->ns_join[CL_WIRE_NS_USER] == CL_WIRE_NO_FD &&
        !(plan->join_ns & CLONE_NEWUSER))
        return bad(view, "root");
    if (((plan->hostname || plan->domainname) && !(plan->ns_new & CLONE_NEWUTS)) ||
        ((plan->flags & CL_WIRE_PLAN_LOOPBACK) && !(plan->ns_new & CLONE_NEWNET)) ||
        (count_of(view, CL_WIRE_TIME) != 0 && !(plan->ns_new & 0x80)))
        return bad(view, "namespaces");
    return 0;
}

/* One tree, or layers of one, or somebody else's root; and what only a root of its own can have. */
static int check_root(struct view *view)
{
    static const uint8_t own[] = {CL_WIRE_LAYERS, CL_WIRE_MOUNTS,   CL_WIRE_DEVICES, CL_WIRE_LINKS,
                                  CL_WIRE_MASKED, CL_WIRE_READONLY, CL_WIRE_FILES};
    const struct cl_wire_plan *plan = view->plan;
    int joined = plan->ns_join[CL_WIRE_NS_MOUNT] != CL_WIRE_NO_FD || (plan->join_ns & CLONE_NEWNS);
    int layers = count_of(view, CL_WIRE_LAYERS) != 0;

    if (joined || layers ? plan->root_fd != CL_WIRE_NO_FD : !fd_ok(view, plan->root_fd))
        return bad(view, "root");
    if (!joined && !(plan->ns_new & CLONE_NEWNS))
        return bad(view, "root");
    for (size_t i = 0; joined && i < sizeof(own); i++)
        if (count_of(view, own[i]) != 0)
            return bad(view, "root");
    if (joined && (plan->flags & CL_WIRE_PLAN_ROOT_IDMAP))
        return bad(view, "root");
    if (!propagation_ok(plan->root_propagation))
        return bad(view, "root");
    if (!fd_or_none_ok(view, plan->upper_fd) || !fd_or_none_ok(view, plan->work_fd) ||
        (plan->upper_fd == CL_WIRE_NO_FD) != (plan->work_fd == CL_WIRE_NO_FD) ||
        (plan->upper_fd != CL_WIRE_NO_FD && !layers))
        return bad(view, "upper");
    return 0;
}

static int check_container(struct view *view)
{
    const struct cl_wire_plan *plan = view->plan;

    if (plan->session != CL_WIRE_SESSION_SETSID)
        return bad(view, "process");
    if (check_namespaces(view) < 0)
        return -EBADMSG;
    if (!string_ok(view, plan->hostname) || !string_ok(view, plan->domainname) || !string_ok(view, plan->comm) ||
        strlen(cl_wire_string(plan, plan->comm)) > 15)
        return bad(view, "names");
    if (check_root(view) < 0)
        return -EBADMSG;
    if (plan->oom_kind > CL_WIRE_OOM_V2 ||
        (plan->oom_kind ? !fd_ok(view, plan->oom_fd) : plan->oom_fd != CL_WIRE_NO_FD) ||
        !fd_or_none_ok(view, plan->procs_fd))
        return bad(view, "memory");
    return 0;
}

/* A process plan brings no container: what it leaves out must really be left out, else it was meant for CREATE. */
static int check_no_container(struct view *view)
{
    static const uint8_t empty[] = {CL_WIRE_UID_MAP, CL_WIRE_GID_MAP,    CL_WIRE_MOUNTS, CL_WIRE_OPTIONS,
                                    CL_WIRE_DEVICES, CL_WIRE_LINKS,      CL_WIRE_MASKED, CL_WIRE_READONLY,
                                    CL_WIRE_SYSCTLS, CL_WIRE_TIME,       CL_WIRE_LAYERS, CL_WIRE_FILES,
                                    CL_WIRE_HOOKS,   CL_WIRE_MOUNT_MAPS, CL_WIRE_MAPS};
    const struct cl_wire_plan *plan = view->plan;
    uint32_t container_flags = CL_WIRE_PLAN_PAUSE | CL_WIRE_PLAN_ROOT_READONLY | CL_WIRE_PLAN_ROOT_IDMAP |
                               CL_WIRE_PLAN_LOOPBACK | CL_WIRE_PLAN_DENY_SETGROUPS | CL_WIRE_PLAN_POINT;

    for (size_t i = 0; i < sizeof(empty); i++)
        if (count_of(view, empty[i]) != 0)
            return bad(view, "kind");
    for (uint32_t i = 0; i < CL_WIRE_NS_COUNT; i++)
        if (plan->ns_join[i] != CL_WIRE_NO_FD)
            return bad(view, "kind");
    if (plan->ns_new || plan->hostname || plan->domainname || plan->comm || plan->root_propagation || plan->oom_kind ||
        plan->root_fd != CL_WIRE_NO_FD || plan->oom_fd != CL_WIRE_NO_FD || plan->procs_fd != CL_WIRE_NO_FD ||
        plan->upper_fd != CL_WIRE_NO_FD || plan->work_fd != CL_WIRE_NO_FD || plan->join_container || plan->join_ns ||
        (plan->flags & container_flags))
        return bad(view, "kind");
    return 0;
}

static int check_all(struct view *view, size_t size, uint32_t kind)
{
    const struct cl_wire_plan *plan = view->plan;

    if (size < sizeof(*plan) || size > CL_WIRE_PLAN_MAX || plan->magic != CL_WIRE_PLAN_MAGIC ||
        plan->version != CL_WIRE_PLAN_VERSION || plan->size != size || plan->kind != kind)
        return bad(view, "head");
    if ((plan->flags & ~PLAN_FLAGS) || plan->reserved || plan->reserved2 || plan->reserved3 || plan->stop_when > 4)
        return bad(view, "flags");
    if (check_sections(view, size) < 0)
        return -EBADMSG;
    if (!string_ok(view, plan->stop_step))
        return bad(view, "stop");
    if (check_string_list(view, CL_WIRE_MASKED, 1, "masked") < 0 ||
        check_string_list(view, CL_WIRE_READONLY, 1, "readonly") < 0 ||
        check_string_list(view, CL_WIRE_ARGV, 0, "argv") < 0 || check_string_list(view, CL_WIRE_ENV, 0, "env") < 0 ||
        check_string_list(view, CL_WIRE_WORDS, 0, "words") < 0 || check_fd_list(view, CL_WIRE_CGROUPS, "cgroups") < 0 ||
        check_fd_list(view, CL_WIRE_LAYERS, "layers") < 0)
        return -EBADMSG;
    if (check_maps(view, CL_WIRE_UID_MAP) < 0 || check_maps(view, CL_WIRE_GID_MAP) < 0 ||
        check_maps(view, CL_WIRE_MAPS) < 0 || check_mounts(view) < 0 || check_mount_maps(view) < 0 ||
        check_files(view) < 0 || check_hooks(view) < 0 || check_devices(view) < 0 || check_sysctls(view) < 0 ||
        check_limits(view) < 0 || check_seccomp(view) < 0 || check_process(view) < 0)
        return -EBADMSG;
    return kind == CL_WIRE_PLAN_CONTAINER ? check_container(view) : check_no_container(view);
}

int cl_wire_plan_check(const void *data, size_t size, uint32_t kind, uint32_t fds, const char **ret_where)
{
    struct view view = {.plan = data, .fds = fds};
    int r = check_all(&view, size, kind);

    if (r < 0 && ret_where != NULL)
        *ret_where = view.where;
    return r;
}
