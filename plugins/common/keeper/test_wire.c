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

#include "common/keeper/plan.h"
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

/* A plan that uses every section; two descriptors. */
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

/* The plan's bytes, in exact-size heap memory, so that valgrind and ASan see a byte too far. */
static void *plan_bytes(size_t *ret_size)
{
    struct cl_plan plan;
    struct stat st;
    int fd = -1;

    make_plan(&plan);
    assert_int_equal(cl_plan_seal(&plan, 2, &fd, NULL), 0);
    cl_plan_clear(&plan);
    assert_int_equal(fstat(fd, &st), 0);
    void *bytes = malloc((size_t)st.st_size);

    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    *ret_size = (size_t)st.st_size;
    return bytes;
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

static void sweep(int (*damage)(struct cl_wire_plan *plan, int i, const char **ret_where), const char *name)
{
    for (int i = 0;; i++) {
        const char *expected = NULL;
        const char *where = NULL;
        size_t size;
        struct cl_wire_plan *plan = plan_bytes(&size);
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
    sweep(damage_head, "head");
    sweep(damage_item, "item");
}

static void test_good_plan(void **state)
{
    size_t size;
    void *plan = plan_bytes(&size);

    assert_int_equal(cl_wire_plan_check(plan, size, CL_WIRE_PLAN_CONTAINER, 2, NULL), 0);
    free(plan);
}

/* Every length of a good plan, with its size member as it is and adjusted. */
static void test_cut_plans(void **state)
{
    size_t full;
    char *good = plan_bytes(&full);

    for (size_t size = 0; size < full; size++) {
        char *cut = malloc(size ? size : 1);

        assert_non_null(cut);
        memcpy(cut, good, size);
        if (size >= sizeof(struct cl_wire_plan))
            ((struct cl_wire_plan *)(void *)cut)->size = (uint32_t)size;
        /* The tail of the last section's padding may be missing without harm; anything else is refused. */
        int r = cl_wire_plan_check(cut, size, CL_WIRE_PLAN_CONTAINER, 2, NULL);

        if (r == 0 && full - size >= 8)
            fail_msg("a plan cut to %zu of %zu bytes was accepted", size, full);
        free(cut);
    }
    free(good);
}

/* Random bytes over a good plan: whatever the answer, nothing outside may be read (run under ASan). */
static void test_noise(void **state)
{
    size_t size;
    unsigned int seed = 1;

    for (int round = 0; round < 20000; round++) {
        uint8_t *plan = plan_bytes(&size);

        for (int i = 0; i < 3; i++)
            plan[(size_t)rand_r(&seed) % size] = (uint8_t)rand_r(&seed);
        cl_wire_plan_check(plan, size, CL_WIRE_PLAN_CONTAINER, 2, NULL);
        cl_wire_plan_check(plan, size, CL_WIRE_PLAN_PROCESS, 2, NULL);
        free(plan);
    }
}

static void test_seals(void **state)
{
    static const struct {
        const char *name;
        int seals;
        int expected;
    } cases[] = {
        {"all", F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, 0},
        {"none", 0, -EBADMSG},
        {"writable", F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW, -EBADMSG},
        {"can shrink", F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_WRITE, -EBADMSG},
        {"seals can change", F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, -EBADMSG},
    };
    size_t size;
    void *bytes = plan_bytes(&size);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cl_wire_plan *plan = NULL;
        const char *where = "";
        int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_int_equal(write(fd, bytes, size), size);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, cases[i].seals), 0);
        int r = cl_plan_map(fd, CL_WIRE_PLAN_CONTAINER, 2, &plan, &where);

        if (r != cases[i].expected || (r < 0 && strcmp(where, "seals") != 0))
            fail_msg("%s: gave %d '%s'", cases[i].name, r, where);
        cl_plan_unmap(plan);
        close(fd);
    }
    free(bytes);
}

static void test_builder_errors(void **state)
{
    struct cl_plan plan;
    const char *where = "";
    int fd = -1;

    cl_plan_init(&plan, CL_WIRE_PLAN_PROCESS);
    cl_plan_string(&plan, "a\0b", 3);
    assert_int_equal(cl_plan_seal(&plan, 0, &fd, &where), -EINVAL);
    cl_plan_clear(&plan);
    cl_plan_init(&plan, CL_WIRE_PLAN_PROCESS);
    assert_int_equal(cl_plan_seal(&plan, 0, &fd, &where), -EBADMSG);
    assert_string_equal(where, "argv");
    char *big = calloc(1, CL_WIRE_PLAN_MAX);

    assert_non_null(big);
    memset(big, 'x', CL_WIRE_PLAN_MAX - 1);
    cl_plan_add_string(&plan, CL_WIRE_ARGV, big, CL_WIRE_PLAN_MAX - 1);
    assert_int_equal(cl_plan_seal(&plan, 0, &fd, &where), -E2BIG);
    free(big);
    cl_plan_clear(&plan);
    assert_int_equal(fd, -1);
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
        cmocka_unit_test(test_noise),     cmocka_unit_test(test_seals),         cmocka_unit_test(test_builder_errors),
        cmocka_unit_test(test_staging),   cmocka_unit_test(test_slip),
    };

    return cmocka_run_group_tests_name("keeper wire", tests, NULL, NULL);
}
