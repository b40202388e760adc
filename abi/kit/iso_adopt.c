/* SPDX-License-Identifier: Apache-2.0 */
/* iso_adopt.c - what a later instance finds of the sandboxes of an earlier one. */
#include <signal.h>

#include "cases.h"
#include "loop.h"
#include "stream.h"

static void need_adopt(void)
{
    ISO_NEED(ADOPT);
    ISO_NEED_SLOT(exec);
}

static struct iso_exec *named(struct iso_sandbox *s, const char *command, const char *name, const char *tag)
{
    struct iso_exec *e = iso_exec_prepare(s, command);
    e->exec.name = (struct cloister_sv){name, strlen(name)};
    e->program.args.tag = (struct cloister_sv){tag, strlen(tag)};
    iso_expect(command, iso_exec_wait(e)->out, 0);
    return e;
}

static struct iso_outcome *alive(struct iso_sandbox *s)
{
    struct iso_outcome *out = iso_adopt(s);
    iso_expect("adopt", out, 0);
    if (out->fate != CLOISTER_FATE_ALIVE)
        fail_msg("its fate is %u, not alive", out->fate);
    return out;
}

static const struct cloister_inventory_process *find(const struct iso_outcome *out, cloister_process process,
                                                     unsigned *ret_at)
{
    for (unsigned i = 0; i < out->process_count; i++)
        if (out->processes[i].process == process) {
            *ret_at = i;
            return &out->processes[i];
        }
    fail_msg("process %llu is not in the inventory", (unsigned long long)process);
    return NULL;
}

/* A drained process has exited, too. */
static bool over(const struct cloister_inventory_process *process)
{
    return process->state == CLOISTER_PROCESS_EXITED || process->state == CLOISTER_PROCESS_DRAINED;
}

static void test_adopt(void **state)
{
    (void)state;
    need_adopt();
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *lives = named(s, "sleep 600", "long", "a tag");
    struct iso_exec *ended = named(s, "sh -c|exit 7", "", "");
    struct iso_exec *ends = named(s, "sh -c|sleep 1; exit 8", "short", "");
    struct iso_exec *released = named(s, "true", "", "");
    const int32_t pid = lives->out->result.pid;
    unsigned at = 0;
    (void)iso_exit(ended->args.process);
    (void)iso_exit(released->args.process);
    iso_expect("release", iso_release(s, released->args.process), 0);
    iso_renew();
    kit_loop_turns(1500);
    struct iso_outcome *out = alive(s);
    assert_int_equal(out->container_count, 1);
    assert_int_equal(out->container.init, s->args.init);
    assert_int_equal(out->container.state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(out->process_count, 4);
    const struct cloister_inventory_process *process = find(out, lives->args.process, &at);
    assert_int_equal(process->state, CLOISTER_PROCESS_RUNNING);
    assert_int_equal(process->pid, pid);
    assert_int_equal(process->exit_order, 0);
    assert_string_equal(out->names[at], "long");
    assert_string_equal(out->tags[at], "a tag");
    process = find(out, ended->args.process, &at);
    assert_true(over(process) && process->status.kind == CLOISTER_STATUS_EXITED && process->status.value == 7);
    const uint64_t order = process->exit_order;
    process = find(out, ends->args.process, &at);
    if (!over(process) || process->status.value != 8)
        fail_msg("an exit that nobody watched is not in the inventory");
    assert_true(order && process->exit_order > order);
    assert_true(find(out, s->args.init, &at)->is_init);
    iso_expect("signal", iso_signal(s, lives->args.process, SIGTERM, CLOISTER_SIGNAL_PROCESS), 0);
    iso_expect_status("after the adoption", lives->args.process, CLOISTER_STATUS_SIGNALED, SIGTERM);
    iso_expect_status("exec", iso_exec(s, "true")->args.process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

static void test_adopt_off(void **state)
{
    (void)state;
    need_adopt();
    struct iso_sandbox *s = iso_made("sleep 600");
    iso_gone(s);
    iso_renew();
    struct iso_outcome *out = iso_adopt(s);
    iso_expect("adopt", out, 0);
    if (out->fate != CLOISTER_FATE_OFF)
        fail_msg("the fate of a destroyed one is %u, not off", out->fate);
    iso_gone(s);
}

/* A sandbox of another instance of the daemon is not taken over, and nothing is done to it. */
static void test_adopt_foreign(void **state)
{
    (void)state;
    need_adopt();
    ISO_NEED(REAL_PIDS);
    struct iso_sandbox *s = iso_made("sleep 600");
    const int32_t pid = s->created->result.pid;
    iso_renew();
    s->which.cookie ^= 1;
    struct iso_outcome *out = iso_adopt(s);
    s->which.cookie ^= 1;
    if (out->err.code == 0 && out->fate == CLOISTER_FATE_ALIVE)
        fail_msg("a sandbox of another cookie is adopted");
    if (!iso_lives(pid))
        fail_msg("a sandbox of another cookie was ended");
    (void)alive(s);
    iso_gone(s);
}

static void test_adopt_frozen(void **state)
{
    (void)state;
    need_adopt();
    ISO_NEED(FREEZE);
    struct iso_sandbox *s = iso_made("sleep 600");
    cloister_process process = iso_exec(s, "sleep 1")->args.process;
    iso_expect("freeze", iso_freeze(s, "", false), 0);
    iso_renew();
    struct iso_outcome *out = alive(s);
    if (!out->frozen)
        fail_msg("a frozen sandbox is adopted as one that runs");
    iso_expect("thaw", iso_freeze(s, "", true), 0);
    iso_expect_status("after the thaw", process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

/* Written before and after the daemon was away, read as one. */
static void test_adopt_output(void **state)
{
    (void)state;
    need_adopt();
    ISO_NEED(TAPE);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_prepare(s, "sh -c|echo before; sleep 1; echo after");
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_PIPE, -1);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    kit_loop_turns(200);
    iso_renew();
    (void)alive(s);
    struct iso_outcome *out = iso_attach(s, e->args.process, 1, CLOISTER_ATTACH_OLDEST, 0);
    iso_expect("attach", out, 0);
    char text[64] = {0};
    uint32_t verdict;
    (void)kit_stream_read(out->result.stream, text, sizeof(text) - 1, iso.setting.patience, &verdict);
    kit_stream_close(out->result.stream);
    assert_string_equal(text, "before\nafter\n");
    assert_int_equal(verdict, CLOISTER_EOF);
    iso_gone(s);
}

const struct CMUnitTest iso_adopt_cases[] = {
    ISO_CASE("adopt", test_adopt),
    ISO_CASE("adopt-off", test_adopt_off),
    ISO_CASE("adopt-foreign", test_adopt_foreign),
    ISO_CASE("adopt-frozen", test_adopt_frozen),
    ISO_CASE("adopt-output", test_adopt_output),
    ISO_CASES_END,
};
