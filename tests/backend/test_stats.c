/* SPDX-License-Identifier: Apache-2.0 */
/* test_stats.c - counters of containers, sandboxes and the machine; who lives in them. */
#include "house.h"

struct got {
    char keys[256][64];
    uint64_t values[256];
    unsigned count;
    uint64_t sampled;
};

/* Results are borrowed: they are taken where the recorder gets them. */
static struct got got;

static struct cloister_proc procs[64];
static char comms[64][32];
static unsigned proc_count;

static void take(const struct cloister_result *result)
{
    got.count = 0;
    got.sampled = result->sampled_mono_ns;
    for (uint64_t i = 0; i < result->stat_count && i < 256; i++) {
        const struct cloister_stat *one = (const void *)((const char *)result->stats + i * result->stat_size);

        snprintf(got.keys[i], sizeof(got.keys[i]), "%.*s", (int)one->key.size, one->key.data);
        got.values[i] = one->value;
        got.count++;
    }
    proc_count = 0;
    for (uint64_t i = 0; i < result->proc_count && i < 64; i++) {
        procs[i] = *(const struct cloister_proc *)((const char *)result->procs + i * result->proc_size);
        snprintf(comms[i], sizeof(comms[i]), "%.*s", (int)procs[i].comm.size, procs[i].comm.data);
        proc_count++;
    }
}

static bool has(const char *key)
{
    for (unsigned i = 0; i < got.count; i++)
        if (strcmp(got.keys[i], key) == 0)
            return true;
    return false;
}

static uint64_t value(const char *key)
{
    for (unsigned i = 0; i < got.count; i++)
        if (strcmp(got.keys[i], key) == 0)
            return got.values[i];
    fail_msg("no '%s'", key);
    return 0;
}

static void stats(struct bed_sandbox *s, uint32_t scope, uint32_t flags, struct bed_outcome *out)
{
    struct cloister_stats_args ask = {CLOISTER_INIT(struct cloister_stats_args), .scope = scope, .flags = flags};
    struct cloister_iso_stats_args args = {CLOISTER_INIT(struct cloister_iso_stats_args), .stats = &ask};

    if (s)
        args.sandbox = s->which;
    else
        args.sandbox = (struct cloister_iso_sandbox){CLOISTER_INIT(struct cloister_iso_sandbox), .id = {"", 0}};
    bed_result = take;
    bed.iso->stats(bed.instance, &args, bed_op(out));
    bed_wait(out);
    bed_result = NULL;
}

static void test_container(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sh -c|x=$(seq 1 200000); while true; do :; done");
    struct bed_outcome out;
    uint64_t cpu, before;

    house_create(s, &out);
    bed_turns(1500);
    before = bed_host()->system->now_mono();
    stats(s, CLOISTER_SCOPE_CONTAINER, 0, &out);
    assert_int_equal(out.err.code, 0);
    assert_true(got.sampled >= before);
    cpu = value("cpu_ns");
    assert_true(cpu > 50000000ull);
    assert_in_range(value("cpu_user_ns") + value("cpu_system_ns"), cpu / 2, cpu + cpu / 2);
    assert_true(value("mem_usage") > 500000 && value("mem_peak") >= value("mem_usage"));
    assert_true(value("mem_rss") > 100000);
    assert_int_equal(value("pids"), 1);
    assert_int_equal(value("oom_kills"), 0);
    assert_int_equal(value("cgroup.memory"), 1);
    assert_true(has("io_read_bytes") && has("io_writes") && has("mem_cache"));
    assert_false(has("memory.stat.total_rss"));
    assert_false(has("mem_limit"));
    bed_turns(300);
    stats(s, CLOISTER_SCOPE_SANDBOX, CLOISTER_STATS_RAW, &out);
    assert_true(value("cpu_ns") > cpu);
    assert_true(value("memory.stat.total_rss") > 100000);
    house_destroy(s);
}

/* The largest use counts anew after it has been read. */
static void test_reset(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 1000");
    struct bed_outcome out;
    uint64_t peak;

    s->create.resources = CLOISTER_SV("{\"memory\":{\"limit\":268435456},\"pids\":{\"limit\":50}}");
    house_create(s, &out);
    assert_true(bed.features & CLOISTER_ISO_PEAK_RESET);
    bed_exec(s, 71, "/bin/sh -c|x=$(seq 1 400000)", -1, &out);
    bed_exit_of(71);
    stats(s, CLOISTER_SCOPE_CONTAINER, CLOISTER_STATS_RESET_PEAK, &out);
    peak = value("mem_peak");
    assert_true(peak > 3000000);
    stats(s, CLOISTER_SCOPE_CONTAINER, 0, &out);
    assert_true(value("mem_peak") < peak);
    stats(s, CLOISTER_SCOPE_SANDBOX, 0, &out);
    assert_int_equal(value("mem_limit"), 268435456);
    assert_int_equal(value("pids_limit"), 50);
    snprintf(bed.forbid, sizeof(bed.forbid), "[\"peak-reset\"]");
    house_destroy(s);
    bed_restart();
    assert_false(bed.features & CLOISTER_ISO_PEAK_RESET);
    stats(NULL, CLOISTER_SCOPE_MACHINE, CLOISTER_STATS_RESET_PEAK, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
}

static void test_machine(void **state)
{
    struct bed_outcome out;
    uint64_t busy, idle;

    assert_true(bed.features & CLOISTER_ISO_MACHINE_STATS);
    stats(NULL, CLOISTER_SCOPE_MACHINE, 0, &out);
    assert_int_equal(out.err.code, 0);
    busy = value("cpu_ns");
    idle = value("cpu_idle_ns");
    assert_true(busy > 0 && value("service_cpu_ns") > 0);
    assert_true(value("mem_total") > value("mem_available"));
    assert_true(has("net.lo.rx_bytes") && has("net.lo.tx_bytes"));
    bed_turns(200);
    stats(NULL, CLOISTER_SCOPE_MACHINE, 0, &out);
    assert_true(value("cpu_ns") >= busy && value("cpu_idle_ns") >= idle);
    assert_true(value("cpu_ns") + value("cpu_idle_ns") > busy + idle);
}

static void ask_procs(struct bed_sandbox *s, uint32_t scope, cloister_process process, struct bed_outcome *out)
{
    struct cloister_procs_args ask = {CLOISTER_INIT(struct cloister_procs_args), .scope = scope, .process = process};
    struct cloister_iso_procs_args args = {CLOISTER_INIT(struct cloister_iso_procs_args), .sandbox = s->which,
                                           .procs = &ask};

    bed_result = take;
    bed.iso->procs(bed.instance, &args, bed_op(out));
    bed_wait(out);
    bed_result = NULL;
}

static const struct cloister_proc *find_proc(int32_t pid, const char *comm)
{
    for (unsigned i = 0; i < proc_count; i++)
        if (procs[i].pid == pid || (pid == 0 && strcmp(comms[i], comm) == 0))
            return &procs[i];
    fail_msg("no process %d '%s' among %u", pid, comm, proc_count);
    return NULL;
}

static void test_procs(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sh -c|sleep 1001 & wait");
    struct bed_outcome out;
    const struct cloister_proc *init;
    int32_t init_pid, pid;
    uint64_t boot;

    house_create(s, &out);
    init_pid = out.result.pid;
    bed_exec(s, 71, "/bin/sleep 1002", -1, &out);
    pid = out.result.pid;
    bed_turns(200);
    boot = bed_host()->system->now_boot();
    for (uint32_t scope = CLOISTER_SCOPE_SANDBOX; scope <= CLOISTER_SCOPE_CONTAINER; scope++) {
        ask_procs(s, scope, 0, &out);
        assert_int_equal(out.err.code, 0);
        assert_int_equal(proc_count, 3);
        init = find_proc(init_pid, "");
        assert_int_equal(init->process, s->args.init);
        assert_true(init->started_boot_ns < boot && boot - init->started_boot_ns < 30000000000ull);
        assert_int_equal(find_proc(pid, "")->process, 71);
        assert_string_equal(comms[find_proc(pid, "") - procs], "sleep");
        for (unsigned i = 0; i < 3; i++)
            if (procs[i].pid != init_pid && procs[i].pid != pid)
                assert_int_equal(procs[i].process, 0);
    }
    ask_procs(s, CLOISTER_SCOPE_PROCESS, 71, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED); /* it shares its container's group */
    house_destroy(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_container),
        HOUSE_TEST(test_reset),
        HOUSE_TEST(test_machine),
        HOUSE_TEST(test_procs),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}
