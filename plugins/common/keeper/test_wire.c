/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as hostile bytes: each member out of its range is refused by its name, no cut of a good plan is
 * read past. */
#include "common/keeper/client.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keeper/slip.h"

static void fill_sections(struct cl_plan *plan)
{
    struct cl_wire_map map = {0, 100000, 65536};
    struct cl_wire_option option = {
        .key = cl_plan_cstring(plan, "mode"), .value = cl_plan_cstring(plan, "755"), .has_value = 1};
    struct cl_wire_mount mount = {.kind = CL_WIRE_MOUNT_FS,
                                  .type = cl_plan_cstring(plan, "tmpfs"),
                                  .target = cl_plan_cstring(plan, "/dev"),
                                  .fd = CL_WIRE_NO_FD,
                                  .option_count = 1};
    struct cl_wire_device device = {.path = cl_plan_cstring(plan, "/dev/null"),
                                    .type = S_IFCHR,
                                    .major = 1,
                                    .minor = 3,
                                    .mode = 0666,
                                    .fd = CL_WIRE_NO_FD};
    struct cl_wire_link link = {cl_plan_cstring(plan, "/dev/fd"), cl_plan_cstring(plan, "/proc/self/fd")};
    struct cl_wire_sysctl sysctl = {cl_plan_cstring(plan, "net/ipv4/ip_forward"), cl_plan_cstring(plan, "1")};
    struct cl_wire_time_offset offset = {.clock = 1, .seconds = 5};
    struct cl_wire_rlimit limit = {.resource = 7, .soft = 10, .hard = 10};
    uint32_t one = 1;
    uint64_t bpf[2] = {6, 6};

    cl_plan_add(plan, CL_WIRE_UID_MAP, &map);
    cl_plan_add(plan, CL_WIRE_GID_MAP, &map);
    cl_plan_add(plan, CL_WIRE_CGROUPS, &one);
    cl_plan_add(plan, CL_WIRE_OPTIONS, &option);
    cl_plan_add(plan, CL_WIRE_MOUNTS, &mount);
    cl_plan_add(plan, CL_WIRE_DEVICES, &device);
    cl_plan_add(plan, CL_WIRE_LINKS, &link);
    cl_plan_add_string(plan, CL_WIRE_MASKED, "/proc/kcore", 11);
    cl_plan_add_string(plan, CL_WIRE_READONLY, "/proc/sys", 9);
    cl_plan_add(plan, CL_WIRE_SYSCTLS, &sysctl);
    cl_plan_add(plan, CL_WIRE_TIME, &offset);
    cl_plan_add_string(plan, CL_WIRE_ARGV, "sh", 2);
    cl_plan_add_string(plan, CL_WIRE_ENV, "A=1", 3);
    cl_plan_add(plan, CL_WIRE_GROUPS, &one);
    cl_plan_add(plan, CL_WIRE_RLIMITS, &limit);
    cl_plan_add_seccomp(plan, bpf, 2, 0);
}

/* What version 1 had not. */
static void fill_new_sections(struct cl_plan *plan)
{
    struct cl_wire_map map = {1000, 100000, 1};
    struct cl_wire_mount bind = {
        .kind = CL_WIRE_MOUNT_BIND, .flags = CL_WIRE_MOUNT_IDMAP, .target = cl_plan_cstring(plan, "/data"), .fd = 1};
    struct cl_wire_mount_map shift = {.mount = 0, .uid_count = 1, .gid_first = 1, .gid_count = 1};
    struct cl_wire_mount_map again = {.mount = 1, .uid_count = 2, .gid_first = 1, .gid_count = 1};
    struct cl_wire_file own = {.path = cl_plan_cstring(plan, "/etc/hosts"), .fd = 1, .mode = 0644};
    struct cl_wire_file shared = {.path = cl_plan_cstring(plan, "/etc/hostname"),
                                  .share = 7,
                                  .share_path = cl_plan_cstring(plan, "/etc/hostname"),
                                  .fd = CL_WIRE_NO_FD,
                                  .mode = 0644};
    struct cl_wire_hook create = {.point = CL_WIRE_HOOK_CREATE_CONTAINER,
                                  .fd = 1,
                                  .path = cl_plan_cstring(plan, "/bin/hook"),
                                  .arg_count = 1,
                                  .env_first = 1,
                                  .env_count = 1,
                                  .state_head = cl_plan_cstring(plan, "{"),
                                  .root = cl_plan_cstring(plan, "/srv/root")};
    struct cl_wire_hook start = {.point = CL_WIRE_HOOK_START_CONTAINER,
                                 .fd = CL_WIRE_NO_FD,
                                 .path = cl_plan_cstring(plan, "/hook"),
                                 .arg_count = 2};
    uint32_t zero = 0;

    cl_plan_add(plan, CL_WIRE_LAYERS, &zero);
    cl_plan_add(plan, CL_WIRE_MOUNTS, &bind);
    cl_plan_add(plan, CL_WIRE_MOUNTS, &bind);
    cl_plan_add(plan, CL_WIRE_MOUNT_MAPS, &shift);
    cl_plan_add(plan, CL_WIRE_MOUNT_MAPS, &again);
    cl_plan_add(plan, CL_WIRE_MAPS, &map);
    cl_plan_add(plan, CL_WIRE_MAPS, &map);
    cl_plan_add(plan, CL_WIRE_FILES, &own);
    cl_plan_add(plan, CL_WIRE_FILES, &shared);
    cl_plan_add(plan, CL_WIRE_HOOKS, &create);
    cl_plan_add(plan, CL_WIRE_HOOKS, &start);
    cl_plan_add_string(plan, CL_WIRE_WORDS, "hook", 4);
    cl_plan_add_string(plan, CL_WIRE_WORDS, "A=1", 3);
}

/* A plan that uses every section and every member; two descriptors. */
static void make_new_plan(struct cl_plan *plan)
{
    struct cl_wire_plan *head = &plan->head;

    cl_plan_init(plan, CL_WIRE_PLAN_CONTAINER);
    head->ns_new = CLONE_NEWNS | CLONE_NEWPID;
    head->flags = CL_WIRE_PLAN_RESOLVE | CL_WIRE_PLAN_TERMINAL | CL_WIRE_PLAN_POINT | CL_WIRE_PLAN_IO_PRIORITY |
                  CL_WIRE_PLAN_SCHEDULER | CL_WIRE_PLAN_PERSONALITY | CL_WIRE_PLAN_NONROOT_CAPS;
    head->user = cl_plan_cstring(plan, "alice:staff");
    head->resolve = CL_WIRE_RESOLVE_ENV | CL_WIRE_RESOLVE_CWD;
    head->cwd = 0;
    head->io_priority = 2u << 13 | 7u;
    head->personality = 8;
    head->sched = (struct cl_wire_sched){.policy = 6, .flags = 1, .runtime = 1, .deadline = 2, .period = 3};
    head->nonroot_cap_ambient = 1;
    head->join_container = 3;
    head->join_ns = CLONE_NEWNET | CLONE_NEWIPC;
    head->upper_fd = 0;
    head->work_fd = 1;
    cl_plan_add_string(plan, CL_WIRE_ARGV, "sh", 2);
    fill_new_sections(plan);
}

/* A plan that uses every section of version 1; two descriptors. */
static void make_plan(struct cl_plan *plan)
{
    cl_plan_init(plan, CL_WIRE_PLAN_CONTAINER);
    plan->head.ns_new = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | 0x80u;
    plan->head.root_fd = 0;
    plan->head.hostname = cl_plan_cstring(plan, "host");
    plan->head.oom_kind = CL_WIRE_OOM_V1;
    plan->head.oom_fd = 1;
    fill_sections(plan);
}

/* The file's bytes, in exact-size heap memory, so that valgrind and ASan see a byte too far. Closes it. */
static void *bytes_of(int fd, size_t *ret_size)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    void *bytes = malloc((size_t)st.st_size);

    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    *ret_size = (size_t)st.st_size;
    return bytes;
}

static void *plan_bytes_of(void (*make)(struct cl_plan *plan), size_t *ret_size)
{
    const char *where = "";
    struct cl_plan plan;
    int fd = -1;

    make(&plan);
    if (cl_plan_seal(&plan, 2, &fd, &where) != 0)
        fail_msg("a good plan is refused: '%s'", where);
    cl_plan_clear(&plan);
    return bytes_of(fd, ret_size);
}

static void *plan_bytes(size_t *ret_size)
{
    return plan_bytes_of(make_plan, ret_size);
}

#define ITEM(plan, section, type) ((type *)(uintptr_t)cl_wire_items(plan, section))
#define CASE(number, member, ...) \
    case number:                  \
        *ret_where = member;      \
        __VA_ARGS__;              \
        return 1

/* Breaks one thing; 0 past the last. */
static int damage_head(struct cl_wire_plan *p, int i, const char **ret_where)
{
    switch (i) {
        CASE(0, "head", p->magic ^= 1);
        CASE(1, "head", p->version++);
        CASE(2, "head", p->size++);
        CASE(3, "head", p->kind = CL_WIRE_PLAN_PROCESS);
        CASE(4, "flags", p->flags |= 1u << 31);
        CASE(5, "flags", p->reserved = 1);
        CASE(6, "section", p->section[CL_WIRE_ENV].offset = p->size);
        CASE(7, "section", p->section[CL_WIRE_ENV].offset += 4);
        CASE(8, "section", p->section[CL_WIRE_ENV].offset = 8);
        CASE(9, "section", p->section[CL_WIRE_BPF].count = UINT32_MAX);
        CASE(10, "section", p->section[CL_WIRE_MOUNTS].count = 0x40000000);
        CASE(11, "strings", p->section[CL_WIRE_STRINGS].count--);
        CASE(12, "section", p->section[CL_WIRE_STRINGS].count = 0);
        CASE(13, "user", p->uid = UINT32_MAX);
        CASE(14, "process", p->umask = 01000);
        CASE(15, "process", p->session = CL_WIRE_SESSION_SETPGID);
        CASE(16, "cwd", p->cwd = 0);
        CASE(17, "cwd", p->cwd = UINT32_MAX);
        CASE(18, "process", p->oom_score_adj = 1001);
        CASE(19, "process", p->nice = -21);
        CASE(20, "argv", p->flags |= CL_WIRE_PLAN_PAUSE);
        CASE(21, "namespaces", p->ns_new |= CLONE_VM);
        CASE(22, "namespaces", p->ns_join[CL_WIRE_NS_NET] = 0);
        CASE(23, "namespaces", p->ns_join[CL_WIRE_NS_IPC] = 2);
        CASE(24, "maps", p->ns_new &= ~(uint64_t)CLONE_NEWUSER);
        CASE(25, "namespaces", p->ns_new &= ~(uint64_t)CLONE_NEWUTS);
        CASE(26, "namespaces", p->ns_new &= ~(uint64_t)0x80);
        CASE(27, "root", p->root_fd = 2);
        CASE(28, "root", p->root_fd = CL_WIRE_NO_FD);
        CASE(29, "root", p->ns_new &= ~(uint64_t)CLONE_NEWNS);
        CASE(30, "root", p->root_propagation = MS_PRIVATE | MS_SHARED);
        CASE(31, "root", p->root_propagation = MS_REC);
        CASE(32, "memory", p->oom_kind = 3);
        CASE(33, "memory", p->oom_fd = 2);
        CASE(34, "memory", p->procs_fd = 9);
        CASE(35, "names", p->hostname = UINT32_MAX - 1);
        CASE(36, "stop", p->stop_step = UINT32_MAX - 1);
        CASE(37, "groups", p->flags |= CL_WIRE_PLAN_DENY_SETGROUPS);
        CASE(38, "flags", p->reserved3 = 1);
        CASE(39, "user", p->user = p->hostname);
        CASE(40, "user", p->resolve = CL_WIRE_RESOLVE_ENV);
        CASE(41, "user", p->flags |= CL_WIRE_PLAN_RESOLVE /* and groups */);
        CASE(42, "io-priority", p->io_priority = 1);
        CASE(43, "scheduler", p->sched.period = 1);
        CASE(44, "personality", p->personality = 8);
        CASE(45, "nonroot-caps", p->nonroot_cap_bounding = 1);
        CASE(46, "nonroot-caps", p->flags |= CL_WIRE_PLAN_NONROOT_CAPS /* of nobody that is resolved */);
        CASE(47, "upper", p->upper_fd = 0; p->work_fd = 1 /* without layers */);
        CASE(48, "namespaces", p->join_container = 1);
        CASE(49, "namespaces", p->join_ns = CLONE_NEWIPC);
        CASE(50, "namespaces", p->join_container = 1; p->join_ns = CLONE_NEWNET /* new, too */);
        CASE(51, "root", p->flags |= CL_WIRE_PLAN_ROOT_IDMAP; p->ns_new &= ~(uint64_t)CLONE_NEWNS;
             p->join_container = 1; p->join_ns = CLONE_NEWNS; p->root_fd = CL_WIRE_NO_FD);
    default:
        return 0;
    }
}

static int damage_item(struct cl_wire_plan *p, int i, const char **ret_where)
{
    struct cl_wire_mount *mount = ITEM(p, CL_WIRE_MOUNTS, struct cl_wire_mount);
    struct cl_wire_map *map = ITEM(p, CL_WIRE_UID_MAP, struct cl_wire_map);
    struct cl_wire_seccomp *filter = ITEM(p, CL_WIRE_SECCOMP, struct cl_wire_seccomp);
    struct cl_wire_device *device = ITEM(p, CL_WIRE_DEVICES, struct cl_wire_device);

    switch (i) {
        CASE(0, "mounts", mount->kind = 0);
        CASE(1, "mounts", mount->kind = CL_WIRE_MOUNT_BIND);
        CASE(2, "mounts", mount->flags = 8);
        CASE(3, "mounts", mount->target = mount->type);
        CASE(4, "mounts", mount->target = UINT32_MAX);
        CASE(5, "mounts", mount->fd = 1);
        CASE(6, "mounts", mount->option_count = UINT32_MAX);
        CASE(7, "mounts", mount->option_first = 1);
        CASE(8, "mounts", mount->option_first = UINT32_MAX);
        CASE(9, "mounts", mount->attr_set = 0x100000 /* idmap is a flag, not an attribute */);
        CASE(10, "mounts", mount->propagation = 1);
        CASE(11, "mounts", mount->mode = 010000);
        CASE(12, "options", ITEM(p, CL_WIRE_OPTIONS, struct cl_wire_option)->key = 0);
        CASE(13, "maps", map->count = 0);
        CASE(14, "maps", map->outside = UINT32_MAX - 1);
        CASE(15, "maps", map->inside = UINT32_MAX - 65535);
        CASE(16, "cgroups", *ITEM(p, CL_WIRE_CGROUPS, uint32_t) = 2);
        CASE(17, "devices", device->type = S_IFDIR);
        CASE(18, "devices", device->fd = 2);
        CASE(19, "devices", device->mode = S_IFBLK);
        CASE(20, "links", ITEM(p, CL_WIRE_LINKS, struct cl_wire_link)->text = 0);
        CASE(21, "masked", *ITEM(p, CL_WIRE_MASKED, uint32_t) = 0);
        CASE(22, "readonly", *ITEM(p, CL_WIRE_READONLY, uint32_t) = UINT32_MAX);
        CASE(23, "sysctls", ITEM(p, CL_WIRE_SYSCTLS, struct cl_wire_sysctl)->key = device->path);
        CASE(24, "time", ITEM(p, CL_WIRE_TIME, struct cl_wire_time_offset)->clock = 0);
        CASE(25, "time", ITEM(p, CL_WIRE_TIME, struct cl_wire_time_offset)->nanoseconds = 1000000000);
        CASE(26, "argv", *ITEM(p, CL_WIRE_ARGV, uint32_t) = UINT32_MAX);
        CASE(27, "env", *ITEM(p, CL_WIRE_ENV, uint32_t) = UINT32_MAX);
        CASE(28, "groups", *ITEM(p, CL_WIRE_GROUPS, uint32_t) = UINT32_MAX);
        CASE(29, "rlimits", ITEM(p, CL_WIRE_RLIMITS, struct cl_wire_rlimit)->resource = 65);
        CASE(30, "seccomp", filter->count = 3);
        CASE(31, "seccomp", filter->first = UINT32_MAX);
        CASE(32, "seccomp", filter->count = 0);
        CASE(33, "seccomp", filter->flags = 8 /* a listener nobody asked for */);
    default:
        return 0;
    }
}

static int damage_new_head(struct cl_wire_plan *p, int i, const char **ret_where)
{
    switch (i) {
        CASE(0, "user", p->uid = 1);
        CASE(1, "user", p->gid = 1);
        CASE(2, "user", p->user = UINT32_MAX);
        CASE(3, "user", p->resolve = 8);
        CASE(4, "user", p->flags &= ~CL_WIRE_PLAN_RESOLVE);
        CASE(5, "cwd", p->resolve = CL_WIRE_RESOLVE_ENV);
        CASE(6, "cwd", p->cwd = UINT32_MAX);
        CASE(7, "groups", p->flags |= CL_WIRE_PLAN_DENY_SETGROUPS; p->resolve |= CL_WIRE_RESOLVE_GROUPS);
        CASE(8, "io-priority", p->io_priority |= 8);
        CASE(9, "io-priority", p->flags &= ~CL_WIRE_PLAN_IO_PRIORITY);
        CASE(10, "scheduler", p->sched.policy = 7);
        CASE(11, "scheduler", p->sched.nice = 20);
        CASE(12, "scheduler", p->sched.flags = 128);
        CASE(13, "scheduler", p->sched.reserved = 1);
        CASE(14, "scheduler", p->flags &= ~CL_WIRE_PLAN_SCHEDULER);
        CASE(15, "personality", p->flags &= ~CL_WIRE_PLAN_PERSONALITY);
        CASE(16, "nonroot-caps", p->flags &= ~CL_WIRE_PLAN_NONROOT_CAPS);
        CASE(17, "terminal", p->flags |= CL_WIRE_PLAN_PAUSE; p->section[CL_WIRE_ARGV] = (struct cl_wire_span){0, 0});
        CASE(18, "namespaces", p->join_container = 0);
        CASE(19, "namespaces", p->join_ns = 0);
        CASE(20, "namespaces", p->join_ns |= CLONE_VM);
        CASE(21, "namespaces", p->join_ns |= CLONE_NEWPID);
        CASE(22, "namespaces", p->ns_join[CL_WIRE_NS_NET] = 0);
        CASE(23, "root", p->root_fd = 0);
        CASE(24, "root", p->ns_new &= ~(uint64_t)CLONE_NEWNS);
        CASE(25, "root", p->ns_new &= ~(uint64_t)CLONE_NEWNS; p->join_ns |= CLONE_NEWNS /* nor layers, nor mounts */);
        CASE(26, "upper", p->upper_fd = 2);
        CASE(27, "upper", p->work_fd = 2);
        CASE(28, "upper", p->work_fd = CL_WIRE_NO_FD);
        CASE(29, "upper", p->upper_fd = CL_WIRE_NO_FD);
        CASE(30, "head", p->kind = CL_WIRE_PLAN_PROCESS);
    default:
        return 0;
    }
}

static int damage_new_item(struct cl_wire_plan *p, int i, const char **ret_where)
{
    struct cl_wire_mount *mount = ITEM(p, CL_WIRE_MOUNTS, struct cl_wire_mount);
    struct cl_wire_mount_map *shift = ITEM(p, CL_WIRE_MOUNT_MAPS, struct cl_wire_mount_map);
    struct cl_wire_file *file = ITEM(p, CL_WIRE_FILES, struct cl_wire_file);
    struct cl_wire_hook *hook = ITEM(p, CL_WIRE_HOOKS, struct cl_wire_hook);

    switch (i) {
        CASE(0, "layers", *ITEM(p, CL_WIRE_LAYERS, uint32_t) = 2);
        CASE(1, "words", *ITEM(p, CL_WIRE_WORDS, uint32_t) = UINT32_MAX);
        CASE(2, "maps", ITEM(p, CL_WIRE_MAPS, struct cl_wire_map)->count = 0);
        CASE(3, "mount-maps", shift->mount = 2);
        CASE(4, "mount-maps", shift->mount = 1 /* twice */);
        CASE(5, "mount-maps", mount->flags = 0);
        CASE(6, "mount-maps", shift->uid_count = 3);
        CASE(7, "mount-maps", shift->uid_first = UINT32_MAX);
        CASE(8, "mount-maps", shift->uid_count = 0);
        CASE(9, "mount-maps", shift->gid_count = 0);
        CASE(10, "mount-maps", shift->gid_first = 2);
        CASE(11, "files", file->path = 0);
        CASE(12, "files", file->fd = 2);
        CASE(13, "files", file->fd = CL_WIRE_NO_FD /* nor shared */);
        CASE(14, "files", file->share = 1);
        CASE(15, "files", file->share_path = file->path);
        CASE(16, "files", file->mode = 010000);
        CASE(17, "files", file->uid = UINT32_MAX);
        CASE(18, "files", file->gid = UINT32_MAX);
        CASE(19, "files", file[1].share = 0);
        CASE(20, "files", file[1].share_path = 0);
        CASE(21, "files", file[1].fd = 1);
        CASE(22, "hooks", hook->point = 0);
        CASE(23, "hooks", hook->point = 3);
        CASE(24, "hooks", hook->fd = CL_WIRE_NO_FD);
        CASE(25, "hooks", hook->fd = 2);
        CASE(26, "hooks", hook[1].fd = 0);
        CASE(27, "hooks", hook->path = hook->state_head);
        CASE(28, "hooks", hook->arg_count = 0);
        CASE(29, "hooks", hook->arg_count = 3);
        CASE(30, "hooks", hook->env_first = 2);
        CASE(31, "hooks", hook->env_count = UINT32_MAX);
        CASE(32, "hooks", hook->state_head = UINT32_MAX);
        CASE(33, "hooks", hook->state_tail = UINT32_MAX);
    default:
        return 0;
    }
}

static void sweep(void (*make)(struct cl_plan *plan),
                  int (*damage)(struct cl_wire_plan *plan, int i, const char **ret_where), const char *name)
{
    for (int i = 0;; i++) {
        const char *expected = NULL;
        const char *where = NULL;
        size_t size;
        struct cl_wire_plan *plan = plan_bytes_of(make, &size);
        int more = damage(plan, i, &expected);
        int r = cl_wire_plan_check(plan, size, CL_WIRE_PLAN_CONTAINER, 2, &where);

        free(plan);
        if (!more)
            return;
        if (r != -EBADMSG || where == NULL || strcmp(where, expected) != 0)
            fail_msg("%s case %d: gave %d '%s', expected '%s'", name, i, r, where ? where : "", expected);
    }
}

static void test_damaged_plans(void **state)
{
    sweep(make_plan, damage_head, "head");
    sweep(make_plan, damage_item, "item");
    sweep(make_new_plan, damage_new_head, "new head");
    sweep(make_new_plan, damage_new_item, "new item");
}

static void test_good_plan(void **state)
{
    size_t size;
    void *plan = plan_bytes(&size);

    assert_int_equal(cl_wire_plan_check(plan, size, CL_WIRE_PLAN_CONTAINER, 2, NULL), 0);
    free(plan);
    plan = plan_bytes_of(make_new_plan, &size);
    assert_int_equal(cl_wire_plan_check(plan, size, CL_WIRE_PLAN_CONTAINER, 2, NULL), 0);
    free(plan);
}

/* Every length of a good plan, with its size member as it is and adjusted. */
static void cut(void (*make)(struct cl_plan *plan))
{
    size_t full;
    char *good = plan_bytes_of(make, &full);

    for (size_t size = 0; size < full; size++) {
        char *part = malloc(size ? size : 1);

        assert_non_null(part);
        memcpy(part, good, size);
        if (size >= sizeof(struct cl_wire_plan))
            ((struct cl_wire_plan *)(void *)part)->size = (uint32_t)size;
        /* The tail of the last section's padding may be missing without harm; anything else is refused. */
        int r = cl_wire_plan_check(part, size, CL_WIRE_PLAN_CONTAINER, 2, NULL);

        if (r == 0 && full - size >= 8)
            fail_msg("a plan cut to %zu of %zu bytes was accepted", size, full);
        free(part);
    }
    free(good);
}

static void test_cut_plans(void **state)
{
    cut(make_plan);
    cut(make_new_plan);
}

/* Random bytes over a good plan: whatever the answer, nothing outside may be read (run under ASan). */
static void test_noise(void **state)
{
    size_t size;
    unsigned int seed = 1;

    for (int round = 0; round < 20000; round++) {
        uint8_t *plan = plan_bytes_of(round % 2 ? make_plan : make_new_plan, &size);

        for (int i = 0; i < 3; i++)
            plan[(size_t)rand_r(&seed) % size] = (uint8_t)rand_r(&seed);
        cl_wire_plan_check(plan, size, CL_WIRE_PLAN_CONTAINER, 2, NULL);
        cl_wire_plan_check(plan, size, CL_WIRE_PLAN_PROCESS, 2, NULL);
        free(plan);
    }
}

/* 150 descriptors cross in three packets, the plan last. */
static void test_staging(void **state)
{
    struct cl_wire_create create;
    struct cl_packet packet;
    uint32_t types[3] = {CL_WIRE_FDS, CL_WIRE_FDS, CL_WIRE_CREATE};
    uint32_t counts[3] = {64, 64, 23};
    uint32_t sent = 0;
    int pair[2];
    int fds[150];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    for (int i = 0; i < 150; i++)
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cl_wire_init(&create, CL_WIRE_CREATE, 5);
    assert_int_equal(cl_wire_send_request(pair[0], &create, fds, 150, fds[0], &sent), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cl_wire_recv(pair[1], &packet), 0);
        assert_int_equal(packet.u.head.type, types[i]);
        assert_int_equal(packet.fd_count, counts[i]);
        cl_packet_clear(&packet);
    }
    for (int i = 0; i < 150; i++)
        close(fds[i]);
    close(pair[0]);
    assert_int_equal(cl_wire_recv(pair[1], &packet), -EPIPE);
    close(pair[1]);
}

/* A child's number outlives the child; what is no slip is told apart. */
static void test_slip(void **state)
{
    int slip = -1;
    int pair[2];
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    assert_int_equal(cl_slip_make(child, &slip), 0);
    assert_int_equal(fcntl(slip, F_GETFD), FD_CLOEXEC);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(cl_slip_read(slip), child);
    assert_int_equal(cl_slip_read(slip), child);
    close(slip);
    assert_int_equal(cl_slip_make(child, &slip), -ESRCH);

    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_int_equal(cl_slip_read(null), -ENOTSOCK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(cl_slip_read(pair[0]), -EAGAIN);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(cl_slip_read(pair[0]), -EBADMSG);
    close(pair[0]);
    close(pair[1]);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_plan), cmocka_unit_test(test_damaged_plans), cmocka_unit_test(test_cut_plans),
        cmocka_unit_test(test_noise),     cmocka_unit_test(test_staging),       cmocka_unit_test(test_slip),
    };

    return cmocka_run_group_tests_name("keeper wire", tests, NULL, NULL);
}
