/* SPDX-License-Identifier: Apache-2.0 */
/* test_change.c - limits and counters of a group on a tree that is all v2, or v1 where no kernel answers. */
#include "test_tree.h"

#include <errno.h>

#include "limits_change.h"
#include "stat_list.h"

static const char *const v2_list[] = {"=cpuset cpu io memory hugetlb pids", NULL};
static const char *const v1_list[] = {"memory", "cpu", "cpuacct", "pids", "blkio", NULL};
static struct ns_machine machine;
static struct ns_cgroups cgroups = {&machine.hierarchies, "/r"};

static void open_tree(const char *const *list)
{
    machine = (struct ns_machine){.huge_count = 1, .huge_pages = {"2MB"}, .io_weight = "io.weight"};
    tree_open(list, &machine.hierarchies);
}

static void open_v2(void)
{
    open_tree(v2_list);
    tree_dir("/v2/r");
    tree_dir("/v2/r/g");
    tree_put("/v2/r/g/memory.max", "67108864\n");
    tree_put("/v2/r/g/memory.swap.max", "max\n");
    tree_put("/v2/r/g/memory.low", "0\n");
    tree_put("/v2/r/g/memory.current", "50000000\n");
    tree_put("/v2/r/g/memory.stat", "anon 10000000\nfile 40000000\nkernel 5\n");
    tree_put("/v2/r/g/cpu.weight", "59\n");
    tree_put("/v2/r/g/cpu.max", "20000 50000\n");
    tree_put("/v2/r/g/pids.max", "max\n");
    tree_put("/v2/r/g/io.max", "8:0 rbps=1000 wbps=max riops=max wiops=7\n8:16 rbps=5 wbps=max riops=max wiops=max\n");
    tree_put("/v2/r/g/io.weight", "default 100\n");
    tree_put("/v2/r/g/hugetlb.2MB.max", "4194304\n");
}

static int change(const char *resources, bool check, struct cloister_error *err)
{
    struct ns_reader r = ns_test_reader(err);
    struct ns_compile c;
    int rc;

    ns_compile_init(&c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
    ns_limits_kept(&cgroups, "g", &c.kept);
    rc = ns_compile_resources(&c, ns_view(resources), "resources");
    if (rc == 0)
        rc = ns_limits_change(&cgroups, "g", &c, check);
    ns_compile_clear(&c);
    return rc;
}

static void test_read_v2(void **state)
{
    static const char wanted[] =
        "{\"memory\":{\"limit\":67108864,\"swap\":-1,\"reservation\":0},\"cpu\":{\"shares\":511,\"quota\":20000,"
        "\"period\":50000},\"pids\":{\"limit\":-1},\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,"
        "\"rate\":1000},{\"major\":8,\"minor\":16,\"rate\":5}],\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,"
        "\"rate\":7}],\"weight\":20},\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}]}";
    cloister_value *now;
    struct cloister_sv text;

    open_v2();
    now = ns_limits_read(&cgroups, &machine, &cl_value_table, "g");
    assert_int_equal(cl_value_table.print(now, 0, &text), 0);
    if (!ns_equal(text, wanted))
        fail_msg("%.*s", (int)text.size, text.data);
    cl_value_table.free_text(text);
    cl_value_table.free(now);
    tree_close(&machine.hierarchies);
}

/* What the update does not name is taken from what there is. */
static void test_kept(void **state)
{
    struct cloister_error err;

    open_v2();
    assert_int_equal(change("{\"cpu\":{\"period\":40000}}", false, &err), 0);
    assert_string_equal(tree_get("/v2/r/g/cpu.max"), "20000 40000\n");
    assert_int_equal(change("{\"cpu\":{\"quota\":30000}}", false, &err), 0);
    assert_string_equal(tree_get("/v2/r/g/cpu.max"), "30000 40000\n");
    assert_int_equal(change("{\"memory\":{\"swap\":67108865}}", false, &err), 0);
    assert_int_equal(tree_get("/v2/r/g/memory.swap.max")[0], '1');
    assert_int_equal(change("{\"memory\":{\"swap\":67108863}}", false, &err), -1);
    assert_int_equal(err.code, CLOISTER_INVALID);
    tree_close(&machine.hierarchies);
}

/* The last of three cannot be written: the other two are what they were. */
static void test_back_again(void **state)
{
    struct cloister_error err;

    open_v2();
    assert_int_equal(
        change("{\"memory\":{\"limit\":33554432},\"pids\":{\"limit\":123},\"blockIO\":{\"throttleReadBpsDevice\":[{"
               "\"major\":8,\"minor\":0,\"rate\":77}]},\"unified\":{\"memory.frob\":\"1\"}}",
               false, &err),
        -1);
    assert_string_equal(err.subject, "resources.unified.memory.frob");
    assert_int_equal(err.os_errno, ENOENT);
    assert_string_equal(tree_get("/v2/r/g/memory.max"), "67108864\n");
    assert_string_equal(tree_get("/v2/r/g/pids.max"), "max\n");
    assert_memory_equal(tree_get("/v2/r/g/io.max"), "8:0 rbps=1000 wbps=max riops=max wiops=7", 40);
    tree_close(&machine.hierarchies);
}

/* v2 kills to reach a limit: it is not asked to. */
static void test_busy_v2(void **state)
{
    struct cloister_error err;

    open_v2();
    assert_int_equal(change("{\"memory\":{\"limit\":9000000}}", false, &err), -1);
    assert_int_equal(err.code, CLOISTER_BUSY);
    assert_string_equal(err.subject, "resources.memory.limit");
    assert_string_equal(tree_get("/v2/r/g/memory.max"), "67108864\n");
    assert_int_equal(change("{\"memory\":{\"limit\":20000000}}", true, &err), -1); /* the cache counts then */
    assert_int_equal(err.code, CLOISTER_BUSY);
    assert_int_equal(change("{\"memory\":{\"limit\":20000000}}", false, &err), 0);
    tree_close(&machine.hierarchies);
}

/* As the kernel reads it: not the 1 before the G. */
static void test_busy_units(void **state)
{
    static const struct {
        const char *value;
        bool busy;
    } rows[] = {{"1G", false}, {"1g", false}, {"48829K", false}, {"9M", true}, {"0x1000", true}, {"max", false}};
    struct cloister_error err;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        NS_FREE char *text = ns_format("{\"unified\":{\"memory.max\":\"%s\"}}", rows[i].value);
        int rc;

        open_v2();
        rc = change(text, true, &err);
        if ((rc < 0) != rows[i].busy || (rc < 0 && err.code != CLOISTER_BUSY))
            fail_msg("%s: %d %s", rows[i].value, rc, rc < 0 ? err.chain : "");
        tree_close(&machine.hierarchies);
    }
}

static void expect(const struct ns_stats *stats, const char *key, int64_t value)
{
    for (uint32_t i = 0; i < stats->count; i++)
        if (ns_equal(stats->list[i].key, key)) {
            if (value < 0 || stats->list[i].value != (uint64_t)value)
                fail_msg("%s is %llu", key, (unsigned long long)stats->list[i].value);
            return;
        }
    if (value >= 0)
        fail_msg("no %s", key);
}

static void test_stats_v2(void **state)
{
    struct ns_stats_ask ask = {.cgroups = &cgroups, .machine = &machine, .group = "g", .raw = true};
    struct ns_stats stats = {.count = 0};

    open_v2();
    tree_put("/v2/r/g/cpu.stat",
             "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n");
    tree_put("/v2/r/g/memory.peak", "60000000\n");
    tree_put("/v2/r/g/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
    tree_put("/v2/r/g/pids.current", "3\n");
    tree_put("/v2/r/g/io.stat",
             "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=0 rios=1 wios=0\n");
    tree_put("/v2/r/g/hugetlb.2MB.current", "2097152\n");
    ns_stats_of_group(&ask, &stats);
    expect(&stats, "cpu_ns", 5000);
    expect(&stats, "cpu_system_ns", 2000);
    expect(&stats, "cpu_throttled", 4);
    expect(&stats, "cpu_throttled_ns", 7000);
    expect(&stats, "mem_usage", 50000000);
    expect(&stats, "mem_peak", 60000000);
    expect(&stats, "mem_limit", 67108864);
    expect(&stats, "mem_rss", 10000000);
    expect(&stats, "oom_kills", 2);
    expect(&stats, "pids", 3);
    expect(&stats, "pids_limit", -1);
    expect(&stats, "io_read_bytes", 15);
    expect(&stats, "io_writes", 2);
    expect(&stats, "hugetlb.2MB.usage", 2097152);
    expect(&stats, "memory.stat.kernel", 5);
    expect(&stats, "cgroup.memory", 2);
    expect(&stats, "cgroup.io", 2);
    ns_stats_clear(&stats);
    tree_close(&machine.hierarchies);
}

/* Groups beside the sandbox's add up; limits are its own. */
static void test_stats_beside(void **state)
{
    struct ns_stats_ask ask = {.cgroups = &cgroups, .machine = &machine, .group = "g", .beside = true};
    struct ns_stats stats = {.count = 0};

    open_tree(v1_list);
    for (size_t i = 0; v1_list[i]; i++) {
        static const char *const below[] = {"", "/g", "/g.c2"};

        for (size_t j = 0; j < 3; j++) {
            NS_FREE char *path = ns_format("/%s/r%s", v1_list[i], below[j]);

            tree_dir(path);
        }
    }
    tree_put("/cpuacct/r/g/cpuacct.usage", "100\n");
    tree_put("/cpuacct/r/g.c2/cpuacct.usage", "11\n");
    tree_put("/pids/r/g/pids.current", "1\n");
    tree_put("/pids/r/g.c2/pids.current", "2\n");
    tree_put("/pids/r/g/pids.max", "50\n");
    tree_put("/pids/r/g.c2/pids.max", "60\n");
    tree_put("/memory/r/g/memory.limit_in_bytes", "9223372036854771712\n");
    tree_put("/memory/r/g/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    tree_put("/blkio/r/g/blkio.throttle.io_service_bytes_recursive",
             "8:0 Read 10\n8:0 Write 3\n8:16 Read 5\nTotal 18\n");
    ns_stats_of_group(&ask, &stats);
    expect(&stats, "cpu_ns", 111);
    expect(&stats, "pids", 3);
    expect(&stats, "pids_limit", 50);
    expect(&stats, "mem_limit", -1);
    expect(&stats, "oom_kills", 4);
    expect(&stats, "io_read_bytes", 15);
    expect(&stats, "cgroup.pids", 1);
    ns_stats_clear(&stats);
    tree_close(&machine.hierarchies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_v2),      cmocka_unit_test(test_kept),       cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_busy_v2),      cmocka_unit_test(test_busy_units), cmocka_unit_test(test_stats_v2),
        cmocka_unit_test(test_stats_beside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
