/* SPDX-License-Identifier: Apache-2.0 */
/* How a plan is built and sealed: for a process, for a keeper of an earlier version, and what is refused. */
#include "common/keeper/client.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keeper/plan.h"
#include "common/keeper/plan_old.h"

/* The file's bytes; closes it. */
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

/* With something in most members and sections that version 1 had; one descriptor. */
static void make_plan(struct cl_plan *plan)
{
    struct cl_wire_map map = {0, 100000, 65536};
    struct cl_wire_mount mount = {.kind = CL_WIRE_MOUNT_FS, .fd = CL_WIRE_NO_FD};
    struct cl_wire_rlimit limit = {.resource = 7, .soft = 10, .hard = 10};
    uint32_t zero = 0;
    uint64_t bpf[3] = {6, 7, 8};

    cl_plan_init(plan, CL_WIRE_PLAN_CONTAINER);
    mount.type = cl_plan_cstring(plan, "tmpfs");
    mount.target = cl_plan_cstring(plan, "/dev");
    plan->head.flags = CL_WIRE_PLAN_NO_NEW_PRIVS | CL_WIRE_PLAN_OOM_SCORE;
    plan->head.uid = 1000;
    plan->head.oom_score_adj = -5;
    plan->head.cap_ambient = 7;
    plan->head.ns_new = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS;
    plan->head.ns_join[CL_WIRE_NS_TIME] = 0;
    plan->head.root_fd = 0;
    plan->head.hostname = cl_plan_cstring(plan, "host");
    plan->head.stop_step = cl_plan_cstring(plan, "exec");
    plan->head.stop_when = 4;
    cl_plan_add(plan, CL_WIRE_UID_MAP, &map);
    cl_plan_add(plan, CL_WIRE_GID_MAP, &map);
    cl_plan_add(plan, CL_WIRE_CGROUPS, &zero);
    cl_plan_add(plan, CL_WIRE_MOUNTS, &mount);
    cl_plan_add_string(plan, CL_WIRE_MASKED, "/proc/kcore", 11);
    cl_plan_add_string(plan, CL_WIRE_ARGV, "sh", 2);
    cl_plan_add_string(plan, CL_WIRE_ENV, "A=1", 3);
    cl_plan_add_string(plan, CL_WIRE_ENV, "B=2", 3);
    cl_plan_add(plan, CL_WIRE_RLIMITS, &limit);
    cl_plan_add_seccomp(plan, bpf, 3, 0);
}

static void *plan_bytes(size_t *ret_size)
{
    struct cl_plan plan;
    int fd = -1;

    make_plan(&plan);
    assert_int_equal(cl_plan_seal(&plan, 1, &fd, NULL), 0);
    cl_plan_clear(&plan);
    return bytes_of(fd, ret_size);
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
        int r = cl_plan_map(fd, CL_WIRE_PLAN_CONTAINER, 1, &plan, &where);

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

/* What a process alone may have, and what it may not. */
static void test_process_plans(void **state)
{
    static const struct {
        const char *name;
        uint32_t flags;
        uint32_t session;
        uint32_t section; /* one item of zeros in it; 0 = none */
        int upper;
        uint64_t join;
        const char *where; /* NULL: it is good */
    } cases[] = {
        {"plain", 0, CL_WIRE_SESSION_INHERIT, 0, 0, 0, NULL},
        {"resolve", CL_WIRE_PLAN_RESOLVE, 0, 0, 0, 0, NULL},
        {"priorities", CL_WIRE_PLAN_IO_PRIORITY | CL_WIRE_PLAN_SCHEDULER | CL_WIRE_PLAN_PERSONALITY, 0, 0, 0, 0, NULL},
        {"capabilities", CL_WIRE_PLAN_RESOLVE | CL_WIRE_PLAN_NONROOT_CAPS, 0, 0, 0, 0, NULL},
        {"terminal", CL_WIRE_PLAN_TERMINAL, 0, 0, 0, 0, NULL},
        {"terminal of another session", CL_WIRE_PLAN_TERMINAL, CL_WIRE_SESSION_INHERIT, 0, 0, 0, "terminal"},
        {"terminal of a group", CL_WIRE_PLAN_TERMINAL, CL_WIRE_SESSION_SETPGID, 0, 0, 0, "terminal"},
        {"words", 0, 0, CL_WIRE_WORDS, 0, 0, NULL},
        {"point", CL_WIRE_PLAN_POINT, 0, 0, 0, 0, "kind"},
        {"layers", 0, 0, CL_WIRE_LAYERS, 0, 0, "kind"},
        {"upper", 0, 0, 0, 1, 0, "kind"},
        {"join", 0, 0, 0, 0, 1, "kind"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const uint32_t zero;
        const char *where = NULL;
        struct cl_plan plan;
        int fd = -1;

        cl_plan_init(&plan, CL_WIRE_PLAN_PROCESS);
        plan.head.flags = cases[i].flags;
        plan.head.session = cases[i].session;
        plan.head.join_container = cases[i].join;
        if (cases[i].upper)
            plan.head.upper_fd = plan.head.work_fd = 0;
        if (cases[i].section != 0)
            cl_plan_add(&plan, cases[i].section, &zero);
        cl_plan_add_string(&plan, CL_WIRE_ARGV, "sh", 2);
        int r = cl_plan_seal(&plan, 1, &fd, &where);

        if (cases[i].where == NULL ? r != 0 : r != -EBADMSG || strcmp(where, cases[i].where) != 0)
            fail_msg("%s: gave %d '%s'", cases[i].name, r, where ? where : "");
        cl_plan_clear(&plan);
        if (fd >= 0)
            close(fd);
    }
}

/* What an old keeper is told: the same, member by member and item by item. */
static void test_old_plan(void **state)
{
    struct cl_plan plan;
    size_t now_size;
    size_t size;
    int fd = -1;
    const struct cl_wire_plan *now = plan_bytes(&now_size);

    make_plan(&plan);
    assert_int_equal(cl_plan_seal_at(&plan, 1, 3, &fd, NULL), 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    cl_plan_clear(&plan);
    const struct cl_plan_old *old = bytes_of(fd, &size);

    assert_int_equal(old->magic, CL_WIRE_PLAN_MAGIC);
    assert_int_equal(old->version, 1);
    assert_int_equal(old->size, size);
    assert_int_equal(old->kind, now->kind);
    assert_int_equal(old->flags, now->flags);
    /* Between the sections and what came later both are alike. */
    assert_memory_equal(&old->uid, &now->uid, sizeof(*old) - 4 - offsetof(struct cl_plan_old, uid));
    for (uint32_t i = 0; i < CL_PLAN_OLD_SECTIONS; i++) {
        size_t bytes = old->section[i].count * cl_wire_section_item(i);

        assert_int_equal(old->section[i].count, now->section[i].count);
        assert_true(bytes == 0 || old->section[i].offset >= sizeof(*old));
        assert_int_equal(old->section[i].offset % 8, 0);
        assert_true(old->section[i].offset + bytes <= size);
        assert_memory_equal((const char *)old + old->section[i].offset, cl_wire_items(now, i), bytes);
    }
    free((void *)(uintptr_t)old);
    free((void *)(uintptr_t)now);
}

#define CASE(number, member, ...) \
    case number:                  \
        *ret_where = member;      \
        __VA_ARGS__;              \
        return 1

/* Each thing that version 1 had no word for, alone. */
static int say_new(struct cl_plan *plan, int i, const char **ret_where)
{
    struct cl_wire_mount change = {.kind = CL_WIRE_MOUNT_CHANGE, .fd = CL_WIRE_NO_FD};
    struct cl_wire_plan *p = &plan->head;

    switch (i) {
        CASE(0, "resolve", p->flags = CL_WIRE_PLAN_RESOLVE);
        CASE(1, "terminal", p->flags = CL_WIRE_PLAN_TERMINAL);
        CASE(2, "point", p->flags = CL_WIRE_PLAN_POINT);
        CASE(3, "io-priority", p->flags = CL_WIRE_PLAN_IO_PRIORITY);
        CASE(4, "scheduler", p->flags = CL_WIRE_PLAN_SCHEDULER);
        CASE(5, "personality", p->flags = CL_WIRE_PLAN_PERSONALITY);
        CASE(6, "nonroot-caps", p->flags = CL_WIRE_PLAN_NONROOT_CAPS);
        CASE(7, "join", p->join_container = 1; p->join_ns = CLONE_NEWIPC);
        CASE(8, "mounts", cl_plan_add(plan, CL_WIRE_MOUNTS, &change));
    default:
        return 0;
    }
}

static void test_unsayable(void **state)
{
    static const char *const sections[] = {"layers", "files", "hooks", "words", "mount-maps", "maps"};
    char zeros[64] = {0};
    struct cl_plan plan;

    for (int i = 0;; i++) {
        const char *expected = NULL;
        const char *where = NULL;

        cl_plan_init(&plan, CL_WIRE_PLAN_CONTAINER);
        int more = say_new(&plan, i, &expected);
        int r = cl_plan_old_write(&plan, -1, &where);

        cl_plan_clear(&plan);
        if (!more)
            break;
        if (r != -ENOTSUP || strcmp(where, expected) != 0)
            fail_msg("'%s': gave %d '%s'", expected, r, where ? where : "");
    }
    for (uint32_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        const char *where = NULL;

        cl_plan_init(&plan, CL_WIRE_PLAN_CONTAINER);
        cl_plan_add(&plan, CL_PLAN_OLD_SECTIONS + i, zeros);
        int r = cl_plan_old_write(&plan, -1, &where);

        cl_plan_clear(&plan);
        if (r != -ENOTSUP || strcmp(where, sections[i]) != 0)
            fail_msg("'%s': gave %d '%s'", sections[i], r, where ? where : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seals),    cmocka_unit_test(test_builder_errors), cmocka_unit_test(test_process_plans),
        cmocka_unit_test(test_old_plan), cmocka_unit_test(test_unsayable),
    };

    return cmocka_run_group_tests_name("keeper plans", tests, NULL, NULL);
}
