/* SPDX-License-Identifier: Apache-2.0 */
/* test_groups.c - where a sandbox's groups are, and what holds it: parents, its own limits, the leaf of v2. */
#include "house.h"

#include <sys/stat.h>

/* "0::/x/y\n" of a process, for the hierarchy that begins so ("0::", "memory:"). Static. */
static const char *group_of(int32_t pid, const char *hierarchy)
{
    static char found[512];
    char path[64], *text, *line;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    text = bed_read(path);
    line = strstr(text, hierarchy);
    assert_non_null(line);
    snprintf(found, sizeof(found), "%.*s", (int)strcspn(line + strlen(hierarchy), "\n"), line + strlen(hierarchy));
    free(text);
    return found;
}

static void expect_group(int32_t pid, const char *hierarchy, const char *rest)
{
    char wanted[512];
    const char *got = group_of(pid, hierarchy);

    snprintf(wanted, sizeof(wanted), "%s/%s", bed.cgroup_root, rest);
    if (strcmp(got, wanted) != 0)
        fail_msg("in group '%s', not '%s'", got, wanted);
}

static const char *name_of(const struct bed_sandbox *s, const char *before, const char *behind)
{
    static char name[256];

    snprintf(name, sizeof(name), "%scl-%08x-%s%s", before, (unsigned)(bed.cookie >> 32), s->id, behind);
    return name;
}

static bool has_group(const char *hierarchy, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s/%s", hierarchy, bed.cgroup_root, name);
    return access(path, F_OK) == 0;
}

static char *read_group(const char *hierarchy, const char *name, const char *file)
{
    char path[768];

    snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s/%s/%s", hierarchy, bed.cgroup_root, name, file);
    return bed_read(path);
}

static void expect_file(const char *hierarchy, const char *name, const char *file, const char *wanted)
{
    char *text = read_group(hierarchy, name, file);

    assert_string_equal(text, wanted);
    free(text);
}

/* Limits of the sandbox hold from above; what its container has are its own. */
static void test_own_limits(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct bed_outcome out;

    s->create.resources =
        CLOISTER_SV("{\"memory\":{\"limit\":67108864},\"pids\":{\"limit\":33},\"cpu\":{\"shares\":512}}");
    house_create(s, &out);
    expect_group(out.result.pid, "memory:", name_of(s, "", "/c1"));
    expect_group(out.result.pid, "pids:", name_of(s, "", "/c1"));
    expect_file("memory", name_of(s, "", ""), "memory.limit_in_bytes", "67108864\n");
    expect_file("pids", name_of(s, "", ""), "pids.max", "33\n");
    expect_file("cpu", name_of(s, "", ""), "cpu.shares", "512\n");
    expect_file("cpu", name_of(s, "", "/c1"), "cpu.shares", "1024\n");
    house_destroy(s);
}

static void test_own_limits_refused(void **state)
{
    static const struct {
        const char *resources;
        const char *subject;
    } rows[] = {{"{\"memory\":{\"limits\":1}}", "resources.memory.limits"},
                {"[]", "resources"},
                {"{\"pids\":{\"limit\":0}}", "resources.pids.limit"}};
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/true");
    struct bed_outcome out;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        s->create.resources = (struct cloister_sv){rows[i].resources, strlen(rows[i].resources)};
        assert_int_equal(bed_plan(s, &out), -1);
        assert_string_equal(out.err.subject, rows[i].subject);
    }
    house_free(s);
}

static void test_parent(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100"), *t = house_prepare(ID_B, "/bin/sleep 100");
    struct bed_inventory inventory;
    struct bed_outcome out;

    s->create.cgroup_parent = t->create.cgroup_parent = CLOISTER_SV("garden/good");
    house_create(s, &out);
    expect_group(out.result.pid, "memory:", name_of(s, "garden/good/", ""));
    house_create(t, &out);
    bed_exec(s, 99, "/bin/sleep 100", -1, &out);
    assert_int_equal(out.err.code, 0);
    expect_group(out.result.pid, "memory:", name_of(s, "garden/good/", ""));
    bed_restart();
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(inventory.count, 2);
    assert_true(inventory.processes[0].pid > 0 && inventory.processes[1].pid > 0);
    bed_destroy(s, &out);
    assert_int_equal(out.err.code, 0);
    assert_false(has_group("memory", name_of(s, "garden/good/", "")));
    assert_true(has_group("memory", name_of(t, "garden/good/", "")));
    house_free(s);
    house_destroy(t); /* by its plan alone */
    assert_false(has_group("memory", "garden"));
    assert_false(has_group("unified", "garden"));
}

static void test_bad_parents(void **state)
{
    static const char *const parents[] = {"/a", "a/", "a//b", "..", "a/../b", "a b", "keepers", "cl-x"};
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/true");
    struct bed_outcome out;

    for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
        s->create.cgroup_parent = (struct cloister_sv){parents[i], strlen(parents[i])};
        if (bed_plan(s, &out) == 0 || out.err.code != CLOISTER_INVALID || strcmp(out.err.subject, "cgroup_parent") != 0)
            fail_msg("parent '%s'", parents[i]);
    }
    house_free(s);
}

/* What an operator made below the root is left as it is; what a dead daemon left below parents is found. */
static void test_sweep_below_parents(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct cloister_iso_sweep_args sweep = {CLOISTER_INIT(struct cloister_iso_sweep_args)};
    struct bed_outcome out;
    char path[512];

    snprintf(path, sizeof(path), "/sys/fs/cgroup/pids%s/garden", bed.cgroup_root);
    *strrchr(path, '/') = 0;
    assert_int_equal(mkdir(path, 0755), 0);
    path[strlen(path)] = '/';
    assert_int_equal(mkdir(path, 0755), 0);
    s->create.cgroup_parent = CLOISTER_SV("garden/good");
    house_create(s, &out);
    bed_restart();
    sweep.run_dir = (struct cloister_sv){bed.run, strlen(bed.run)};
    sweep.cookie = bed.cookie;
    bed.iso->sweep(bed.instance, &sweep, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(bed.orphan_count, 3);
    assert_string_equal(bed.orphans[2], ID_A " cgroup 1");
    assert_false(has_group("memory", "garden"));
    assert_false(has_group("pids", "garden/good"));
    assert_true(has_group("pids", "garden"));
    assert_int_equal(rmdir(path), 0);
    house_free(s);
}

/* v2 has a controller here (hugetlb), so processes are in a leaf; the container's group holds it and its execs. */
static void test_leaf(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    char *controllers = bed_read("/sys/fs/cgroup/unified/cgroup.controllers");
    bool some = *controllers != '\n';
    struct bed_outcome out;

    free(controllers);
    house_create(s, &out);
    expect_group(out.result.pid, "0::", name_of(s, "", some ? "/init" : ""));
    bed_exec(s, 99, "/bin/sleep 100", -1, &out);
    assert_int_equal(out.err.code, 0);
    expect_group(out.result.pid, "0::", name_of(s, "", some ? "/init" : ""));
    house_destroy(s);
}

/* Without v1's list programs do its work: the sandbox's and the container's must both let an access pass. */
static void test_device_programs(void **state)
{
    struct bed_sandbox *s;
    struct bed_outcome out;
    char *list;

    snprintf(bed.forbid, sizeof(bed.forbid), "[\"v1-devices\"]");
    bed_restart();
    s = house_prepare(
        ID_A, "/bin/sh -c|true </dev/null || exit 1; true </dev/zero && exit 2; true >/dev/zero || exit 3; exit 9");
    s->create.resources = CLOISTER_SV("{\"devices\":[{\"allow\":true},{\"allow\":false,\"type\":\"c\",\"major\":1,"
                                      "\"minor\":5,\"access\":\"r\"}]}");
    house_create(s, &out);
    assert_int_equal(bed_exit_of(s->args.init).value, 9);
    list = read_group("devices", name_of(s, "", "/c1"), "devices.list");
    assert_string_equal(list, "a *:* rwm\n"); /* untouched */
    free(list);
    house_destroy(s);
}

static struct cloister_option_value option(uint32_t type, const char *text, uint64_t number)
{
    return (struct cloister_option_value){.set = 1, .type = type, .text = {text, strlen(text)}, .number = number};
}

/* Only what something else can stand in for may be forbidden. */
static void test_bad_forbid(void **state)
{
    static const char *const lists[] = {"[\"v2-freze\"]", "[\"open-tree\"]", "{}", "[1]", "[\"v2-kill\",\"x\"]"};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        struct cloister_option_value options[] = {
            option(CLOISTER_OPTION_STRING, "/x", 0),   option(CLOISTER_OPTION_JSON, "{}", 0),
            option(CLOISTER_OPTION_U64, "", 1000),     option(CLOISTER_OPTION_U64, "", 65536),
            option(CLOISTER_OPTION_U64, "", 60),       option(CLOISTER_OPTION_STRING, "", 0),
            option(CLOISTER_OPTION_JSON, lists[i], 0),
        };
        struct cloister_create_args args = {
            CLOISTER_INIT(struct cloister_create_args), 7, bed_host(), {"main", 4}, options, sizeof(*options)};
        struct cloister_error err = CLOISTER_ERROR_INIT;
        void *instance = NULL;

        assert_int_equal(bed.iso->life.create(&args, &instance, &err), -1);
        assert_string_equal(err.subject, "forbid");
        if (strcmp(lists[i], "{}") != 0 && strstr(err.chain, "v1-devices, device-programs, v2-freeze") == NULL)
            fail_msg("%s: %s", lists[i], err.chain);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_own_limits),      HOUSE_TEST(test_own_limits_refused),  HOUSE_TEST(test_parent),
        HOUSE_TEST(test_bad_parents),     HOUSE_TEST(test_sweep_below_parents), HOUSE_TEST(test_leaf),
        HOUSE_TEST(test_device_programs), HOUSE_TEST(test_bad_forbid),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}
