/* SPDX-License-Identifier: Apache-2.0 */
/* test_layout.c - what groups are called, and making and removing them on trees of plain files: v1, hybrid, pure v2. */
#include "test_tree.h"

#include <errno.h>

#include "freezer.h"
#include "pids.h"

#define COOKIE 0x0123456789abcdefull
#define ID CLOISTER_SV("abcdefghijklmnop")
#define G "cl-01234567-abcdefghijklmnop"

static void test_names(void **state)
{
    static const struct {
        const char *share;
        bool split;
        uint64_t number;
        const char *name;
    } rows[] = {
        {NULL, false, 1, G},
        {NULL, true, 1, G "/c1"},
        {NULL, false, 2, G ".c2"},
        {NULL, true, 64, G "/c64"},
        {G, false, 2, G "/c2"},
        {G "/c1", true, 3, G "/c1/c3"},
        {G ".c2", false, 3, G ".c2/c3"},
    };
    char name[NS_GROUP_PATH_MAX], longer[NS_GROUP_PATH_MAX];

    assert_true(ns_layout_sandbox(CLOISTER_SV(""), COOKIE, ID, name));
    assert_string_equal(name, G);
    assert_true(ns_layout_sandbox(CLOISTER_SV("garden/good"), COOKIE, ID, name));
    assert_string_equal(name, "garden/good/" G);
    assert_string_equal(ns_group_leaf(name), G);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_true(ns_layout_container(G, rows[i].split, rows[i].number, rows[i].share, name));
        assert_string_equal(name, rows[i].name);
    }
    assert_true(ns_layout_exec(G "/c2", 4294967297ull, name));
    assert_string_equal(name, G "/c2/e4294967297");
    assert_true(ns_layout_thawed(G, name));
    assert_string_equal(name, G ".t");
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_false(ns_layout_exec(name, 1, longer));
}

static void test_ids(void **state)
{
    static const struct {
        const char *group;
        bool whole;
        bool rest;
    } rows[] = {{G, true, true},
                {"a/b/" G, true, true},
                {G ".c2", false, true},
                {G "x", false, false},
                {"cl-01234567-abc", false, false},
                {"keepers", false, false},
                {"", false, false},
                {"xx-01234567-abcdefghijklmnop", false, false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if ((ns_group_id(rows[i].group, false) != NULL) != rows[i].whole ||
            (ns_group_id(rows[i].group, true) != NULL) != rows[i].rest)
            fail_msg("group '%s'", rows[i].group);
    assert_string_equal(ns_group_id("garden/" G, false), "abcdefghijklmnop");
}

static void test_parents(void **state)
{
    static const struct {
        const char *parent;
        bool ok;
    } rows[] = {{"", true},      {"garden", true},  {"garden/good", true}, {"a.b/c-1_d", true}, {"/a", false},
                {"a/", false},   {"a//b", false},   {"..", false},         {"a/..", false},     {"a/./b", false},
                {".a", false},   {"a b", false},    {"a\nb", false},       {"keepers", false},  {"a/keepers", false},
                {"cl-x", false}, {"a/cl-1", false}, {"a:b", false},        {"a*", false}};
    char big[NS_GROUP_PARENT_MAX + 2];

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (ns_cgroup_parent_ok(ns_view(rows[i].parent)) != rows[i].ok)
            fail_msg("parent '%s'", rows[i].parent);
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    assert_false(ns_cgroup_parent_ok(ns_view(big)));
    assert_true(ns_cgroup_parent_ok(ns_view(big + 1)));
}

static void test_v1(void **state)
{
    static const char *const list[] = {"memory", "pids", NULL};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    tree_open(list, &h);
    assert_int_equal(ns_group_make(&cgroups, &r, "garden/good/" G, NS_GROUP_NEW | NS_GROUP_LEAF), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, "garden/good/" G ".c2", NS_GROUP_NEW | NS_GROUP_LEAF), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, "garden/good/" G "/e7", NS_GROUP_NEW), 0);
    assert_true(tree_has("/pids/r/garden/good/" G "/e7"));
    assert_false(tree_has("/pids/r/garden/good/" G "/init"));
    assert_int_equal(ns_group_make(&cgroups, &r, "garden/" G "/c1", NS_GROUP_NEW), -1); /* its G is not there */
    assert_int_equal(err.os_errno, ENOENT);
    assert_false(tree_has("/pids/r/garden/" G));
    assert_true(ns_group_remove_sandbox(&cgroups, "garden/good/" G, 1000000000, NULL));
    assert_false(tree_has("/pids/r/garden"));
    assert_true(tree_has("/pids/r"));
    tree_close(&h);
}

/* A parent that was there before is somebody's, and stays; one that another sandbox is in too. */
static void test_parents_stay(void **state)
{
    static const char *const list[] = {"pids", NULL};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    tree_open(list, &h);
    tree_dir("/pids/r");
    tree_dir("/pids/r/theirs");
    assert_int_equal(ns_group_make(&cgroups, &r, "theirs/ours/" G, NS_GROUP_NEW), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, "theirs/ours/cl-01234567-2", NS_GROUP_NEW), 0);
    assert_true(ns_group_remove_sandbox(&cgroups, "theirs/ours/" G, 1000000000, NULL));
    assert_true(tree_has("/pids/r/theirs/ours/cl-01234567-2"));
    assert_true(ns_group_remove_sandbox(&cgroups, "theirs/ours/cl-01234567-2", 1000000000, NULL));
    assert_false(tree_has("/pids/r/theirs/ours"));
    assert_true(tree_has("/pids/r/theirs"));
    tree_close(&h);
}

static void join(void *ctx, const char *name)
{
    char *text = ctx;

    strcat(strcat(text, name), " ");
}

static void test_list(void **state)
{
    static const char *const list[] = {"pids", NULL};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    char text[512] = "";

    tree_open(list, &h);
    assert_int_equal(ns_group_make(&cgroups, &r, "a/b/" G, NS_GROUP_NEW), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, "a/b/" G "/c1", NS_GROUP_NEW), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, NS_KEEPERS, 0), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, "cl-76543210-abcdefghijklmnop", 0), 0);
    ns_group_list(&cgroups, "cl-01234567-", join, text);
    assert_string_equal(text, "a/b/" G " ");
    *text = 0;
    assert_int_equal(ns_group_make(&cgroups, &r, "a/b/" G ".c3", NS_GROUP_NEW), 0);
    ns_group_beside(&cgroups, 0, "a/b/" G, join, text);
    assert_string_equal(text, "a/b/" G ".c3 ");
    tree_close(&h);
}

static void test_pure_v2(void **state)
{
    static const char *const list[] = {"=cpuset cpu io memory hugetlb pids rdma", NULL};
    struct ns_write write = {.file = (char[]){"hugetlb.2MB.max"}, .value = (char[]){"0"}, .where = "x"};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    tree_open(list, &h);
    assert_int_equal(ns_hierarchy_of(&h, "memory"), 0);
    assert_int_equal(ns_hierarchy_find(&h, "memory"), NS_NO_HIERARCHY); /* not v1's */
    assert_int_equal(ns_hierarchy_of(&h, "mem"), NS_NO_HIERARCHY);
    tree_dir("/v2/r");
    tree_put("/v2/r/cgroup.subtree_control", "");
    tree_dir("/v2/r/" G);
    tree_put("/v2/r/" G "/cgroup.subtree_control", "");
    assert_int_equal(ns_group_make(&cgroups, &r, G, NS_GROUP_LEAF), 0);
    assert_true(tree_has("/v2/r/" G "/init"));
    assert_string_equal(tree_get("/v2/cgroup.subtree_control"), "+cpuset +cpu +io +memory +pids");
    assert_string_equal(tree_get("/v2/r/cgroup.subtree_control"), "+cpuset +cpu +io +memory +pids");
    assert_string_equal(tree_get("/v2/r/" G "/cgroup.subtree_control"), ""); /* nothing below it wants any */
    assert_int_equal(ns_group_make(&cgroups, &r, G "/e5", NS_GROUP_NEW), 0);
    assert_string_equal(tree_get("/v2/r/" G "/cgroup.subtree_control"), "+cpuset +cpu +io +memory +pids");
    assert_false(tree_has("/v2/r/" G "/e5/init"));
    /* One that is not handed down as a rule is when a setting wants it. */
    tree_put("/v2/cgroup.subtree_control", "");
    assert_int_equal(ns_group_write(&cgroups, &r, G, &write), -1);
    assert_int_equal(err.os_errno, ENOENT); /* no kernel here to make the file */
    assert_string_equal(tree_get("/v2/cgroup.subtree_control"), "+hugetlb");
    /* Where the parent has handed them down already nothing is written. */
    tree_put("/v2/cgroup.subtree_control", "");
    tree_put("/v2/r/" G "/cgroup.controllers", "cpuset cpu io memory pids\n");
    assert_int_equal(ns_group_make(&cgroups, &r, G, NS_GROUP_LEAF), 0);
    assert_string_equal(tree_get("/v2/cgroup.subtree_control"), "");
    tree_close(&h);
}

static void test_hybrid_procs(void **state)
{
    static const char *const list[] = {"memory", "=hugetlb", NULL};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    char text[64];
    int fd;

    tree_open(list, &h);
    assert_int_equal(ns_group_make(&cgroups, &r, G, NS_GROUP_NEW | NS_GROUP_LEAF), 0);
    assert_string_equal(tree_get("/v2/cgroup.subtree_control"), ""); /* hugetlb is handed down to nobody unasked */
    assert_true(tree_has("/v2/r/" G "/init"));
    assert_false(tree_has("/memory/r/" G "/init"));
    tree_put("/v2/r/" G "/init/cgroup.procs", "leaf");
    tree_put("/v2/r/" G "/cgroup.procs", "group");
    fd = ns_group_open_procs(&cgroups, &r, 1, G, 0);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    close(fd);
    assert_int_equal(ns_group_make(&cgroups, &r, G "/e1", NS_GROUP_NEW), 0);
    tree_put("/v2/r/" G "/e1/cgroup.procs", "own");
    fd = ns_group_open_procs(&cgroups, &r, 1, G "/e1", 0);
    assert_int_equal(read(fd, text, sizeof(text)), 3);
    close(fd);
    tree_close(&h);
}

static bool add_up(void *ctx, long pid)
{
    *(long *)ctx += pid;
    return pid == 1000;
}

static void test_members(void **state)
{
    static const char *const list[] = {"memory", NULL};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    long sum = 0;

    tree_open(list, &h);
    assert_int_equal(ns_group_make(&cgroups, &r, G, 0), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, G "/c1", 0), 0);
    assert_int_equal(ns_group_make(&cgroups, &r, G ".c2", 0), 0);
    tree_put("/memory/r/" G "/cgroup.procs", "1\n2\n");
    tree_put("/memory/r/" G "/c1/cgroup.procs", "4\n");
    tree_put("/memory/r/" G ".c2/cgroup.procs", "8\n");
    assert_false(ns_group_members(&cgroups, 0, G, add_up, &sum));
    assert_int_equal(sum, 7);
    sum = 0;
    assert_false(ns_group_sandbox_members(&cgroups, 0, G, add_up, &sum));
    assert_int_equal(sum, 15);
    tree_put("/memory/r/" G "/cgroup.procs", "1000\n2\n");
    sum = 0;
    assert_true(ns_group_sandbox_members(&cgroups, 0, G, add_up, &sum));
    assert_int_equal(sum, 1000);
    tree_close(&h);
}

/* Of a process that is no more, and only that. */
static void test_orphans(void **state)
{
    static const char *const list[] = {"pids", "memory", NULL};
    static const struct {
        const char *name; /* NULL: ours */
        bool stays;
    } rows[] = {{NULL, true},
                {"probe-2000000000", false},
                {"probe-", true},
                {"probe-9000000000", true},
                {"probe-2000000001x", true}};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    tree_open(list, &h);
    for (unsigned pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            NS_FREE char *name = rows[i].name ? strdup(rows[i].name) : ns_format("probe-%d", (int)getpid());
            NS_FREE char *path = ns_format("/memory/r/%s", name);

            if (pass == 0)
                assert_int_equal(ns_group_make(&cgroups, &r, name, 0), 0);
            else if (tree_has(path) != rows[i].stays)
                fail_msg("%s: %s", name, rows[i].stays ? "gone" : "still there");
            if (pass == 0 && i + 1 == sizeof(rows) / sizeof(*rows))
                ns_group_remove_orphans(&cgroups, "probe-");
        }
    tree_close(&h);
}

static void test_pid_set(void **state)
{
    static const int32_t first[] = {7, 3, 9}, second[] = {9, 1, 3};
    struct ns_pid_set set = {.max = 4};

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ns_pid_set_add(&set, first[i]), 0);
    assert_int_equal(ns_pid_set_settle(&set), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ns_pid_set_add(&set, second[i]), 0);
    assert_int_equal(ns_pid_set_settle(&set), 0);
    assert_int_equal(set.count, 4);
    assert_memory_equal(set.list, ((int32_t[]){1, 3, 7, 9}), 4 * sizeof(int32_t));
    assert_int_equal(ns_pid_set_add(&set, 11), 0);
    assert_int_equal(ns_pid_set_settle(&set), -E2BIG);
    for (int32_t pid = 1; pid <= 4; pid++)
        assert_int_equal(ns_pid_set_add(&set, pid), 0);
    assert_int_equal(ns_pid_set_add(&set, 5), -E2BIG);
    free(set.list);
}

/* What is beside the sandbox's group comes and goes: only what is there is to stand still, and where the killed are
 * moved to is left alone. */
static void test_freeze_beside(void **state)
{
    static const char *const list[] = {"freezer", NULL};
    static const struct {
        const char *what;
        const char *gone; /* has lost its file */
        int rc;
    } cases[] = {{"all there", NULL, 0}, {"one beside it goes", G ".c2", 0}, {"itself goes", G, -ENOENT}};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    if (geteuid() != 0)
        skip(); /* a mark takes rights */
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        static const char *const names[] = {G, G ".c2", G ".c3", G ".t"};
        long stuck = -1;
        int rc;

        tree_open(list, &h);
        for (size_t j = 0; j < 4; j++) {
            NS_FREE char *path = ns_format("/freezer/r/%s/freezer.state", names[j]);

            assert_int_equal(ns_group_make(&cgroups, &r, names[j], 0), 0);
            if (cases[i].gone == NULL || strcmp(names[j], cases[i].gone) != 0)
                tree_put(path, "THAWED");
        }
        rc = ns_freezer_freeze(&cgroups, G, NS_FREEZE_SANDBOX, 0, &stuck);
        if (rc != cases[i].rc)
            fail_msg("%s: %d", cases[i].what, rc);
        assert_string_equal(tree_get("/freezer/r/" G ".c3/freezer.state"), rc == 0 ? "FROZEN" : "THAWED");
        assert_string_equal(tree_get("/freezer/r/" G ".t/freezer.state"), "THAWED");
        tree_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_ids),     cmocka_unit_test(test_parents),
        cmocka_unit_test(test_v1),      cmocka_unit_test(test_list),    cmocka_unit_test(test_parents_stay),
        cmocka_unit_test(test_pure_v2), cmocka_unit_test(test_members), cmocka_unit_test(test_hybrid_procs),
        cmocka_unit_test(test_orphans), cmocka_unit_test(test_pid_set), cmocka_unit_test(test_freeze_beside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
