/* SPDX-License-Identifier: Apache-2.0 */
/* iso_halt.c - standing still, limits, counters, lists of processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cases.h"
#include "loop.h"

static void need_freeze(void)
{
    ISO_NEED(FREEZE);
    ISO_NEED_SLOT(exec);
}

static void freeze(struct iso_sandbox *s, const char *container, bool thaw)
{
    iso_expect(thaw ? "thaw" : "freeze", iso_freeze(s, container, thaw), 0);
}

/* Each twice, since both are idempotent. A process whose time is over while all stands still ends after the thaw. */
static void test_freeze(void **state)
{
    (void)state;
    need_freeze();
    static const char *const containers[] = {"", "main"};
    for (unsigned i = 0; i < 2; i++) {
        struct iso_sandbox *s = iso_made("sleep 600");
        cloister_process process = iso_exec(s, "sleep 1")->args.process;
        freeze(s, containers[i], false);
        freeze(s, containers[i], false);
        if (!iso_no_exit(process, 1500))
            fail_msg("'%s': a process ended while it was frozen", containers[i]);
        iso_expect("exec", iso_exec_wait(iso_exec_prepare(s, "true"))->out, CLOISTER_FROZEN);
        freeze(s, containers[i], true);
        freeze(s, containers[i], true);
        iso_expect_status("sleep 1", process, CLOISTER_STATUS_EXITED, 0);
        iso_expect_status("afterwards", iso_exec(s, "true")->args.process, CLOISTER_STATUS_EXITED, 0);
        iso_gone(s);
    }
}

static unsigned drain(int fd)
{
    char text[4096];
    unsigned count = 0;
    for (ssize_t n; (n = read(fd, text, sizeof(text))) > 0;)
        count += (unsigned)n;
    return count;
}

static void test_freeze_counter(void **state)
{
    (void)state;
    need_freeze();
    ISO_NEED(STDIO_DIRECT);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_prepare(s, "sh -c|while :; do echo; done");
    int ends[2];
    iso_pipe(ends);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_DESCRIPTOR, ends[1]);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    kit_loop_turns(100);
    freeze(s, "", false);
    if (drain(ends[0]) == 0)
        fail_msg("it never counted");
    kit_loop_turns(300);
    unsigned meanwhile = drain(ends[0]);
    freeze(s, "", true);
    kit_loop_turns(300);
    unsigned after = drain(ends[0]);
    (void)close(ends[0]);
    if (meanwhile)
        fail_msg("it counted %u further while it was frozen", meanwhile);
    if (!after)
        fail_msg("it does not count on after the thaw");
    iso_gone(s);
}

static void test_kill_frozen(void **state)
{
    (void)state;
    need_freeze();
    ISO_NEED(KILL_WHILE_FROZEN);
    struct iso_sandbox *s = iso_made("sleep 600");
    cloister_process process = iso_exec(s, "sleep 600")->args.process;
    cloister_process other = iso_exec(s, "sleep 1")->args.process;
    freeze(s, "", false);
    iso_expect("signal", iso_signal(s, process, SIGKILL, CLOISTER_SIGNAL_PROCESS), 0);
    iso_expect_status("while frozen", process, CLOISTER_STATUS_SIGNALED, SIGKILL);
    if (!iso_no_exit(other, 1500))
        fail_msg("its neighbour ran on");
    freeze(s, "", true);
    iso_expect_status("its neighbour", other, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

static void test_destroy_frozen(void **state)
{
    (void)state;
    need_freeze();
    struct iso_sandbox *s = iso_made("sleep 600");
    (void)iso_exec(s, "sleep 600");
    freeze(s, "", false);
    iso_gone(s);
    s = iso_made("sleep 600");
    freeze(s, "main", false);
    iso_renew();
    iso_gone(s);
}

static struct iso_outcome *update(struct iso_sandbox *s, const char *resources)
{
    const struct cloister_update_args what = {CLOISTER_INIT(struct cloister_update_args),
                                              .scope = CLOISTER_SCOPE_CONTAINER,
                                              .resources = {resources, strlen(resources)}};
    const struct cloister_iso_update_args args = {CLOISTER_INIT(struct cloister_iso_update_args), 0, s->which, &what};
    struct iso_outcome *out;
    ISO_CALL(out, update, &args);
    return out;
}

/* A number of the answer: resources.<outer>.<inner>; 0 if it has none. */
static uint64_t in_force(const struct iso_outcome *out, const char *outer, const char *inner)
{
    const struct cloister_value_api *v = iso.host.value;
    cloister_value *root = NULL;
    uint64_t number = 0;
    if (v->parse((struct cloister_sv){out->text, out->text_size}, 0, 0, &root, NULL) == 0)
        (void)v->u64(v->get(v->get(root, (struct cloister_sv){outer, strlen(outer)}),
                            (struct cloister_sv){inner, strlen(inner)}),
                     &number);
    v->free(root);
    return number;
}

static void test_update(void **state)
{
    (void)state;
    ISO_NEED_SLOT(update);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_outcome *out = update(s, "{\"pids\":{\"limit\":40}}");
    iso_expect("pids", out, 0);
    if (in_force(out, "pids", "limit") != 40)
        fail_msg("pids: %s is in force", out->text);
    out = update(s, "{\"memory\":{\"limit\":134217728}}");
    iso_expect("memory", out, 0);
    if (in_force(out, "memory", "limit") != 134217728 || in_force(out, "pids", "limit") != 40)
        fail_msg("memory: %s is in force", out->text);
    out = update(s, "{\"pids\":7}");
    if (out->err.code == 0)
        fail_msg("an update that is not one succeeds");
    out = update(s, "{}");
    iso_expect("nothing", out, 0);
    if (in_force(out, "pids", "limit") != 40)
        fail_msg("after an update that failed: %s is in force", out->text);
    if (iso.capabilities & CLOISTER_ISO_FREEZE) {
        freeze(s, "", false);
        out = update(s, "{\"pids\":{\"limit\":50}}");
        iso_expect("while frozen", out, 0);
        assert_int_equal(in_force(out, "pids", "limit"), 50);
        freeze(s, "", true);
    }
    iso_gone(s);
}

static struct iso_outcome *stats(struct iso_sandbox *s, uint32_t scope, uint32_t flags)
{
    const struct cloister_stats_args what = {CLOISTER_INIT(struct cloister_stats_args), .scope = scope, .flags = flags};
    struct cloister_iso_sandbox nothing = {CLOISTER_INIT(struct cloister_iso_sandbox), .cookie = iso.cookie};
    const struct cloister_iso_stats_args args = {CLOISTER_INIT(struct cloister_iso_stats_args), 0,
                                                 s ? s->which : nothing, &what};
    struct iso_outcome *out;
    ISO_CALL(out, stats, &args);
    iso_expect("stats", out, 0);
    if (!out->result.sampled_mono_ns)
        fail_msg("stats: sampled at no time");
    return out;
}

/* False: a counter that this machine does not have. */
static bool counter(const struct iso_outcome *out, const char *key, uint64_t *ret)
{
    for (unsigned i = 0; i < out->stat_count; i++)
        if (strcmp(out->stats[i].key, key) == 0) {
            *ret = out->stats[i].value;
            return true;
        }
    return false;
}

static void test_stats(void **state)
{
    (void)state;
    ISO_NEED_SLOT(stats);
    struct iso_sandbox *s = iso_made("sleep 600");
    static const uint32_t scopes[] = {CLOISTER_SCOPE_SANDBOX, CLOISTER_SCOPE_CONTAINER};
    for (unsigned i = 0; i < 2; i++) {
        struct iso_outcome *before = stats(s, scopes[i], 0);
        struct iso_exec *e = iso_exec(s, "sh -c|i=0; while test $i -lt 3000; do i=$((i + 1)); done");
        iso_expect_status("work", e->args.process, CLOISTER_STATUS_EXITED, 0);
        struct iso_outcome *after = stats(s, scopes[i], 0);
        static const char *const keys[] = {"cpu_ns", "cpu_user_ns", "cpu_system_ns", "io_read_bytes", "mem_peak"};
        uint64_t first, second;
        if (after->stat_count == 0)
            fail_msg("scope %u: no counter at all", scopes[i]);
        for (unsigned k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
            if (counter(before, keys[k], &first) && counter(after, keys[k], &second) && second < first)
                fail_msg("%s falls from %llu to %llu", keys[k], (unsigned long long)first, (unsigned long long)second);
        if (counter(before, "cpu_ns", &first) && counter(after, "cpu_ns", &second) && second == first)
            fail_msg("cpu_ns stands still through work");
        if (counter(after, "pids", &first) && first == 0)
            fail_msg("pids is 0 where a process runs");
        if (before->result.sampled_mono_ns >= after->result.sampled_mono_ns)
            fail_msg("the sample time does not rise");
    }
    iso_gone(s);
}

static void test_peak(void **state)
{
    (void)state;
    ISO_NEED(PEAK_RESET);
    ISO_NEED_SLOT(stats);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec(s, "dd if=/proc/self/exe of=/dev/null bs=16M");
    (void)iso_exit(e->args.process);
    uint64_t peak = 0, again = 0;
    struct iso_outcome *out = stats(s, CLOISTER_SCOPE_CONTAINER, CLOISTER_STATS_RESET_PEAK);
    if (!counter(out, "mem_peak", &peak) || peak == 0)
        fail_msg("no mem_peak, and PEAK_RESET is promised");
    out = stats(s, CLOISTER_SCOPE_CONTAINER, 0);
    assert_true(counter(out, "mem_peak", &again));
    if (again >= peak)
        fail_msg("the peak was %llu and is %llu after it was set back", (unsigned long long)peak,
                 (unsigned long long)again);
    iso_gone(s);
}

static void test_machine_stats(void **state)
{
    (void)state;
    ISO_NEED(MACHINE_STATS);
    uint64_t number;
    if (!counter(stats(NULL, CLOISTER_SCOPE_MACHINE, 0), "mem_total", &number) || number == 0)
        fail_msg("the machine has no mem_total");
}

static void test_procs(void **state)
{
    (void)state;
    ISO_NEED_SLOT(procs);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec(s, "sleep 600");
    const struct cloister_procs_args what = {CLOISTER_INIT(struct cloister_procs_args),
                                             .scope = CLOISTER_SCOPE_CONTAINER};
    const struct cloister_iso_procs_args args = {CLOISTER_INIT(struct cloister_iso_procs_args), 0, s->which, &what};
    const cloister_process wanted[2] = {s->args.init, e->args.process};
    const int32_t pids[2] = {s->created->result.pid, e->out->result.pid};
    struct iso_outcome *out;
    ISO_CALL(out, procs, &args);
    iso_expect("procs", out, 0);
    assert_int_equal(out->proc_count, 2);
    for (unsigned k = 0; k < 2; k++) {
        unsigned at = out->procs[0].process == wanted[k] ? 0 : 1;
        if (out->procs[at].process != wanted[k] || out->procs[at].pid != pids[k] || !out->procs[at].started_boot_ns)
            fail_msg("process %u is not listed as it is", k);
        assert_string_equal(out->comms[at], "sleep");
    }
    iso_gone(s);
}

const struct CMUnitTest iso_halt_cases[] = {
    ISO_CASE("freeze", test_freeze),
    ISO_CASE("freeze-counter", test_freeze_counter),
    ISO_CASE("kill-frozen", test_kill_frozen),
    ISO_CASE("destroy-frozen", test_destroy_frozen),
    ISO_CASE("update", test_update),
    ISO_CASE("stats", test_stats),
    ISO_CASE("peak", test_peak),
    ISO_CASE("machine-stats", test_machine_stats),
    ISO_CASE("procs", test_procs),
    ISO_CASES_END,
};
