/* SPDX-License-Identifier: Apache-2.0 */
/* test_cgroup.c - hierarchies from mountinfo, groups on a tree of plain files, id spans, the plan blob. */
#include "test_host.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "intent.h"
#include "ranges.h"

static char dir[64];

static void test_hierarchies(void **state)
{
    static const char text[] =
        "1 1 0:1 /part /one\\040part/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "2 1 0:1 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,xattr,cpu,cpuacct\n"
        "3 1 0:2 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd\n"
        "4 1 0:3 /part /only\\040part rw - cgroup cgroup rw,memory\n"
        "5 1 0:4 / /sys rw - sysfs sysfs rw\n"
        "broken line\n"
        "6 1 0:5 / /uni rw - cgroup2 cgroup2 rw,nsdelegate\n"
        "7 1 0:5 / /again rw - cgroup2 cgroup2 rw\n";
    struct ns_hierarchies h;

    assert_int_equal(ns_hierarchies_parse(text, &h), 0);
    assert_int_equal(h.count, 4);
    assert_string_equal(h.list[0].mount, "/sys/fs/cgroup/cpu,cpuacct"); /* the whole one, though it comes second */
    assert_string_equal(h.list[0].label, "cpu,cpuacct");
    assert_int_equal(ns_hierarchy_find(&h, "cpuacct"), 0);
    assert_int_equal(ns_hierarchy_find(&h, "name=systemd"), 1);
    assert_int_equal(ns_hierarchy_find(&h, ""), 2);
    assert_string_equal(h.list[2].mount, "/uni");
    assert_int_equal(ns_hierarchy_find(&h, "memory"), 3);
    assert_string_equal(h.list[3].mount, "/only part");
    assert_int_equal(ns_hierarchy_find(&h, "cpuacc"), NS_NO_HIERARCHY);
    assert_int_equal(ns_hierarchy_find(&h, "pids"), NS_NO_HIERARCHY);
    ns_hierarchies_clear(&h);
}

static void put(const char *path, const char *text)
{
    NS_FREE char *whole = ns_format("%s%s", dir, path);
    FILE *file = fopen(whole, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char *get(const char *path)
{
    NS_FREE char *whole = ns_format("%s%s", dir, path);
    char *text = NULL;

    assert_int_equal(ns_read_file(whole, 4096, &text), 0);
    return text;
}

static void make(const char *path)
{
    NS_FREE char *whole = ns_format("%s%s", dir, path);

    assert_int_equal(mkdir(whole, 0755), 0);
}

static void test_groups(void **state)
{
    NS_FREE char *info = NULL, *cpus = NULL, *limit = NULL, *left = NULL;
    struct ns_write write = {
        .file = (char[]){"memory.limit_in_bytes"}, .value = (char[]){"100"}, .where = "linux.resources.memory.limit"};
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    char name[NS_GROUP_NAME_MAX];

    make("/cpuset");
    make("/memory");
    info = ns_format(
        "1 1 0:1 / %s/cpuset rw - cgroup cgroup rw,cpuset\n2 1 0:2 / %s/memory rw - cgroup cgroup rw,memory\n", dir,
        dir);
    assert_int_equal(ns_hierarchies_parse(info, &h), 0);
    ns_group_name(0x0123456789abcdefull, CLOISTER_SV("abcdefghijklmnop"), name);
    assert_string_equal(name, "cl-01234567-abcdefghijklmnop");

    /* A real hierarchy fills a new directory with files; here they are put there, empty as the kernel's. */
    put("/cpuset/cpuset.cpus", "0-1\n");
    put("/cpuset/cpuset.mems", "0\n");
    make("/cpuset/r");
    put("/cpuset/r/cpuset.cpus", "\n");
    put("/cpuset/r/cpuset.mems", "\n");
    assert_int_equal(ns_group_make(&cgroups, &r, name, NS_GROUP_NEW), -1); /* the group itself has no files yet */
    assert_int_equal(err.code, CLOISTER_CGROUP_FAILED);
    assert_int_equal(err.os_errno, ENOENT);
    cpus = get("/cpuset/r/cpuset.cpus");
    assert_string_equal(cpus, "0-1\n");             /* H2.2.6 */
    make("/cpuset/r/cl-01234567-abcdefghijklmnop"); /* somebody else's */
    assert_int_equal(ns_group_make(&cgroups, &r, name, NS_GROUP_NEW), -1);
    assert_int_equal(err.os_errno, EEXIST);

    make("/memory/r");
    make("/memory/r/cl-01234567-abcdefghijklmnop");
    write.hierarchy = 1;
    assert_int_equal(ns_group_write(&cgroups, &r, name, &write), -1);
    assert_string_equal(err.subject, "linux.resources.memory.limit");
    put("/memory/r/cl-01234567-abcdefghijklmnop/memory.limit_in_bytes", "");
    assert_int_equal(ns_group_write(&cgroups, &r, name, &write), 0);
    limit = get("/memory/r/cl-01234567-abcdefghijklmnop/memory.limit_in_bytes");
    assert_string_equal(limit, "100");

    assert_false(ns_group_remove(&cgroups, name, 1000000, &left)); /* plain files stay: it is named */
    assert_non_null(strstr(left, "/memory/r/cl-01234567-abcdefghijklmnop"));
    assert_null(strstr(left, "cpuset")); /* was empty */
    assert_true(ns_group_remove(&cgroups, "cl-01234567-nothing", 1000000, NULL));
    ns_hierarchies_clear(&h);
}

/* A tree deeper than any path is long, with a branch at each level. */
static void make_deep(const char *top, int depth)
{
    static const char name[] = "a-name-of-some-length-so-that-the-path-is-longer-than-a-path-may-be";
    int at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < depth; i++) {
        int next;

        assert_int_equal(mkdirat(at, name, 0755), 0);
        assert_int_equal(mkdirat(at, "b", 0755), 0);
        next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
}

static void test_deep_groups(void **state)
{
    NS_FREE char *info = NULL, *top = ns_format("%s/deep/r/cl-01234567-deep", dir);
    struct ns_hierarchies h;
    struct ns_cgroups cgroups = {&h, "/r"};

    make("/deep");
    info = ns_format("1 1 0:1 / %s/deep rw - cgroup cgroup rw,pids\n", dir);
    assert_int_equal(ns_hierarchies_parse(info, &h), 0);
    make("/deep/r");
    make("/deep/r/cl-01234567-deep");
    make_deep(top, 100);
    assert_true(ns_group_remove(&cgroups, "cl-01234567-deep", 5000000000ull, NULL));
    assert_int_equal(access(top, F_OK), -1);
    ns_hierarchies_clear(&h);
}

static void test_roots(void **state)
{
    static const struct {
        const char *root;
        bool ok;
    } roots[] = {{"/cloister", true}, {"/a/b-1_c", true}, {"/a.b", true},   {"", false},    {"/", false},
                 {"a", false},        {"/a/", false},     {"/a//b", false}, {"/..", false}, {"/a/..", false},
                 {"/./a", false},     {"/a b", false},    {"/a\nb", false}, {"/.a", false}};

    for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
        if (ns_cgroup_root_ok(ns_view(roots[i].root)) != roots[i].ok)
            fail_msg("root '%s'", roots[i].root);
}

static void test_ranges(void **state)
{
    struct ns_ranges *ranges = ns_ranges_new(UINT32_MAX - 250, 100, false);
    struct ns_range a = ns_ranges_take(ranges, "a", 0), b = ns_ranges_take(ranges, "b", 0), c;

    assert_int_equal(a.first, UINT32_MAX - 250);
    assert_int_equal(b.first, UINT32_MAX - 150);
    assert_int_equal(ns_ranges_take(ranges, "a", 0).first, a.first);
    assert_int_equal(ns_ranges_take(ranges, "c", 0).count, 0); /* two fit below the last id */
    assert_true(ns_ranges_confirm(ranges, "a", a));
    assert_false(ns_ranges_confirm(ranges, "b", a));
    c = ns_ranges_take(ranges, "c", 301ull * 1000000000u); /* b was planned and never made */
    assert_int_equal(c.first, b.first);
    assert_false(ns_ranges_confirm(ranges, "b", b));
    ns_ranges_release(ranges, "a");
    assert_int_equal(ns_ranges_take(ranges, "d", 0).first, a.first);
    ns_ranges_free(ranges);
    ranges = ns_ranges_new(5, 10, true);
    assert_int_equal(ns_ranges_take(ranges, "a", 0).first, ns_ranges_take(ranges, "b", 0).first);
    ns_ranges_free(ranges);
}

static void test_intent(void **state)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "{\"v\":2}",
                                      "{\"v\":1,\"cgroup_root\":\"/..\",\"cgroup\":\"cl-1\",\"ids\":[1,2]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"cl-/../x\",\"ids\":[1,2]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"memory\",\"ids\":[1,2]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"/cl-1\",\"ids\":[1,2]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"../cl-1\",\"ids\":[1,2]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"keepers/cl-1\",\"ids\":[1,2]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"cl-1\",\"ids\":[1]}",
                                      "{\"v\":1,\"cgroup_root\":\"/r\",\"cgroup\":\"cl-1\",\"ids\":[1,4294967296]}"};
    static const struct ns_intent intents[] = {
        {{7, 8}, "/r", "cl-01234567-x", false},
        {{7, 8}, "/r", "cl-01234567-x", true},
        {{0, 0}, "/r/s", "garden/good/cl-01234567-x", true},
    };
    static const char resources[] = "{\"memory\":{\"limit\":1048576}}";
    struct ns_intent back;
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    for (size_t i = 0; i < sizeof(intents) / sizeof(*intents); i++) {
        NS_FREE char *blob = ns_intent_print(&intents[i], i == 1 ? resources : NULL), *got = NULL;

        assert_int_equal(ns_intent_parse(&r, ns_view(blob), &back), 0);
        assert_memory_equal(&back.range, &intents[i].range, sizeof(back.range));
        assert_string_equal(back.root, intents[i].root);
        assert_string_equal(back.group, intents[i].group);
        assert_int_equal(back.split, intents[i].split);
        assert_int_equal(ns_intent_resources(&r, ns_view(blob), &got), 0);
        if (i == 1)
            assert_string_equal(got, resources);
        else
            assert_null(got);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (ns_intent_parse(&r, ns_view(bad[i]), &back) == 0)
            fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hierarchies), cmocka_unit_test(test_groups), cmocka_unit_test(test_roots),
        cmocka_unit_test(test_deep_groups), cmocka_unit_test(test_ranges), cmocka_unit_test(test_intent),
    };
    NS_FREE char *command = NULL;
    int rc;

    snprintf(dir, sizeof(dir), "/tmp/cl-cgroup-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    command = ns_format("rm -rf %s", dir);
    return system(command) != 0 ? 1 : rc;
}
