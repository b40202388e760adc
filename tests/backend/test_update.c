/* SPDX-License-Identifier: Apache-2.0 */
/* test_update.c - limits of what runs, or stands still: both directions, all or nothing, and what is in force. */
#include "house.h"

#include <signal.h>

#define MIB 1048576ull

static void update(struct bed_sandbox *s, uint32_t scope, const char *resources, struct bed_outcome *out)
{
    struct cloister_update_args update = {CLOISTER_INIT(struct cloister_update_args), .scope = scope,
                                          .resources = {resources, strlen(resources)}};
    struct cloister_iso_update_args args = {CLOISTER_INIT(struct cloister_iso_update_args), .sandbox = s->which,
                                            .update = &update};

    bed.iso->update(bed.instance, &args, bed_op(out));
    bed_wait(out);
}

static void expect(const char *hierarchy, const struct bed_sandbox *s, const char *below, const char *file,
                   const char *wanted)
{
    char path[512], *text;

    snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s/cl-%08x-%s%s/%s", hierarchy, bed.cgroup_root,
             (unsigned)(bed.cookie >> 32), s->id, below, file);
    text = bed_read(path);
    text[strcspn(text, "\n")] = 0;
    if (strcmp(text, wanted) != 0)
        fail_msg("%s is '%s', not '%s'", path, text, wanted);
    free(text);
}

static void must(struct bed_sandbox *s, const char *resources, const char *in_force)
{
    struct bed_outcome out;

    update(s, CLOISTER_SCOPE_CONTAINER, resources, &out);
    if (out.err.code)
        fail_msg("%s: %s", resources, out.sentence);
    if (strstr(out.json, in_force) == NULL)
        fail_msg("%s: in force: %s", resources, out.json);
}

/* Memory stays below memory + swap at every moment (H2.2.8). */
static void test_both_directions(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 1000");
    struct bed_outcome out;

    house_create(s, &out);
    must(s, "{\"memory\":{\"limit\":67108864,\"swap\":67108864}}", "\"limit\":67108864,\"swap\":67108864");
    expect("memory", s, "", "memory.limit_in_bytes", "67108864");
    expect("memory", s, "", "memory.memsw.limit_in_bytes", "67108864");
    must(s, "{\"memory\":{\"limit\":134217728,\"swap\":268435456}}", "\"limit\":134217728,\"swap\":268435456");
    must(s, "{\"memory\":{\"limit\":33554432,\"swap\":33554432}}", "\"limit\":33554432,\"swap\":33554432");
    must(s, "{\"memory\":{\"limit\":-1,\"swap\":-1}}", "\"limit\":-1,\"swap\":-1");
    must(s, "{\"cpu\":{\"quota\":50000,\"period\":100000,\"shares\":512}}", "\"quota\":50000");
    must(s, "{\"cpu\":{\"quota\":5000,\"period\":10000}}", "\"shares\":512");
    expect("cpu", s, "", "cpu.cfs_period_us", "10000");
    must(s, "{\"cpu\":{\"period\":20000}}", "\"quota\":5000");
    must(s, "{\"pids\":{\"limit\":77},\"cpu\":{\"cpus\":\"0\"}}", "\"pids\":{\"limit\":77}");
    expect("pids", s, "", "pids.max", "77");
    expect("cpuset", s, "", "cpuset.cpus", "0");
    house_destroy(s);
}

static void test_all_or_nothing(void **state)
{
    static const struct {
        const char *resources;
        uint32_t code;
        const char *subject;
    } rows[] = {
        /* the kernel has no such processor, and says so when pids and memory are set already */
        {"{\"memory\":{\"limit\":67108864},\"cpu\":{\"shares\":300,\"cpus\":\"900\"},\"pids\":{\"limit\":55}}", 0,
         "resources.cpu.cpus"},
        {"{\"pids\":{\"limit\":55},\"devices\":[]}", CLOISTER_UNSUPPORTED, "resources.devices"},
        {"{\"pids\":{\"limit\":55},\"memory\":{\"kernel\":5}}", CLOISTER_UNSUPPORTED, "resources.memory.kernel"},
        {"{\"pids\":{\"limit\":55},\"cpu\":{\"shares\":1}}", CLOISTER_INVALID, "resources.cpu"},
        {"{\"pids\":{\"limit\":0}}", CLOISTER_INVALID, "resources.pids.limit"},
        {"[]", CLOISTER_INVALID, "resources"},
    };
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 1000");
    struct bed_outcome out;

    house_create(s, &out);
    must(s, "{\"memory\":{\"limit\":100663296},\"pids\":{\"limit\":99},\"cpu\":{\"shares\":700}}", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        update(s, CLOISTER_SCOPE_CONTAINER, rows[i].resources, &out);
        if (out.err.code == 0 || (rows[i].code && out.err.code != rows[i].code) ||
            strncmp(out.err.subject, rows[i].subject, strlen(rows[i].subject)) != 0)
            fail_msg("%s: %s", rows[i].resources, out.sentence);
        expect("memory", s, "", "memory.limit_in_bytes", "100663296");
        expect("pids", s, "", "pids.max", "99");
        expect("cpu", s, "", "cpu.shares", "700");
    }
    house_destroy(s);
}

/* Below what is in use: the kernel says so, or is not asked. */
static void test_busy(void **state)
{
    struct bed_sandbox *s =
        house_prepare(ID_A, "/bin/sh -c|x=$(seq 1 400000); echo ready >/dev/null; while true; do sleep 1; done");
    struct bed_outcome out;
    char path[256], *text;

    house_create(s, &out);
    snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/cl-%08x-%s/memory.usage_in_bytes", bed.cgroup_root,
             (unsigned)(bed.cookie >> 32), s->id);
    for (unsigned i = 0; i < 200; i++) {
        bool enough;

        text = bed_read(path);
        enough = strtoull(text, NULL, 10) > 4 * MIB;
        free(text);
        if (enough)
            break;
        bed_turns(50);
    }
    update(s, CLOISTER_SCOPE_CONTAINER, "{\"memory\":{\"limit\":262144,\"checkBeforeUpdate\":true}}", &out);
    assert_int_equal(out.err.code, CLOISTER_BUSY);
    assert_string_equal(out.err.subject, "resources.memory.limit");
    update(s, CLOISTER_SCOPE_CONTAINER, "{\"pids\":{\"limit\":44},\"memory\":{\"limit\":262144,\"swap\":262144}}",
           &out);
    assert_int_equal(out.err.code, CLOISTER_BUSY);
    expect("pids", s, "", "pids.max", "max");
    house_destroy(s);
}

static void test_frozen_and_whole(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 1000");
    struct cloister_iso_freeze_args freeze = {CLOISTER_INIT(struct cloister_iso_freeze_args)};
    struct bed_outcome out;

    s->create.resources = CLOISTER_SV("{\"pids\":{\"limit\":33}}");
    house_create(s, &out);
    freeze.sandbox = s->which;
    bed.iso->freeze(bed.instance, &freeze, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
    update(s, CLOISTER_SCOPE_SANDBOX, "{\"pids\":{\"limit\":66}}", &out);
    assert_int_equal(out.err.code, 0);
    assert_non_null(strstr(out.json, "\"pids\":{\"limit\":66}"));
    expect("pids", s, "", "pids.max", "66");
    must(s, "{\"pids\":{\"limit\":22}}", "\"pids\":{\"limit\":22}");
    expect("pids", s, "/c1", "pids.max", "22");
    expect("pids", s, "", "pids.max", "66");
    /* What is in force may be asked for again: the next daemon does after a death in the middle. */
    update(s, CLOISTER_SCOPE_SANDBOX, "{}", &out);
    assert_int_equal(out.err.code, 0);
    {
        char again[8192];

        snprintf(again, sizeof(again), "%s", out.json);
        update(s, CLOISTER_SCOPE_SANDBOX, again, &out);
        if (out.err.code)
            fail_msg("again: %s: %s", again, out.sentence);
        assert_string_equal(out.json, again);
    }
    house_destroy(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_both_directions),
        HOUSE_TEST(test_all_or_nothing),
        HOUSE_TEST(test_busy),
        HOUSE_TEST(test_frozen_and_whole),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}
