/* SPDX-License-Identifier: Apache-2.0 */
/* iso_tape.c - captured output, stdin by stream, terminals. */
#include "cases.h"
#include "loop.h"
#include "stream.h"

#define NUMBERS "seq 1 20000"
#define NUMBERS_SIZE 108894u

static void need_tape(void)
{
    ISO_NEED(TAPE);
    ISO_NEED_SLOT(exec);
    ISO_NEED_SLOT(attach);
}

static struct iso_exec *captured(struct iso_sandbox *s, const char *command, uint64_t window, uint32_t policy)
{
    struct iso_exec *e = iso_exec_prepare(s, command);
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_PIPE, -1);
    e->program.stdio[1].window = window;
    e->program.stdio[1].policy = policy;
    return e;
}

static const struct cloister_output_end *end_of(const struct iso_exec *e)
{
    const struct iso_event *event = iso_event(CLOISTER_EVENT_DRAINED, e->args.process);
    for (unsigned i = 0; i < event->output_count; i++)
        if (event->outputs[i].fd == 1)
            return &event->outputs[i];
    fail_msg("drained says nothing of descriptor 1");
    return NULL;
}

static void check_numbers(const char *name, const char *text, size_t size, size_t from)
{
    static char all[NUMBERS_SIZE + 16];
    if (!*all)
        for (size_t used = 0, i = 1; i <= 20000; i++)
            used += (size_t)snprintf(all + used, 16, "%zu\n", i);
    if (size != NUMBERS_SIZE - from)
        fail_msg("%s: %zu bytes, not %zu", name, size, NUMBERS_SIZE - from);
    if (memcmp(text, all + from, size) != 0)
        fail_msg("%s: other bytes than were written", name);
}

/* The whole of an attached stream; it must end as EOF. */
static const char *whole(const char *name, struct iso_outcome *out, size_t *ret_size)
{
    static char text[1u << 20];
    uint32_t verdict;
    iso_expect(name, out, 0);
    assert_non_null(out->result.stream);
    *ret_size = kit_stream_read(out->result.stream, text, sizeof(text), iso.setting.patience, &verdict);
    kit_stream_close(out->result.stream);
    if (verdict != CLOISTER_EOF)
        fail_msg("%s: the stream does not end as EOF (%u)", name, verdict);
    return text;
}

static void test_tape(void **state)
{
    (void)state;
    need_tape();
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_wait(captured(s, NUMBERS, 0, CLOISTER_POLICY_BLOCK));
    cloister_process process = e->args.process;
    struct iso_outcome *out;
    size_t size;
    iso_expect("exec", e->out, 0);
    if (end_of(e)->position != NUMBERS_SIZE || end_of(e)->lost || end_of(e)->flags)
        fail_msg("drained: %llu bytes, %llu lost", (unsigned long long)end_of(e)->position,
                 (unsigned long long)end_of(e)->lost);
    out = iso_attach(s, process, 1, CLOISTER_ATTACH_OLDEST, 0);
    const char *text = whole("OLDEST", out, &size);
    check_numbers("OLDEST", text, size, 0);
    assert_int_equal(out->result.position, 0);
    out = iso_attach(s, process, 1, CLOISTER_ATTACH_POSITION, 5000);
    text = whole("POSITION", out, &size);
    check_numbers("POSITION", text, size, 5000);
    assert_int_equal(out->result.position, 5000);
    out = iso_attach(s, process, 1, CLOISTER_ATTACH_LIVE, 0);
    (void)whole("LIVE", out, &size);
    if (size != 0 || out->result.position != NUMBERS_SIZE)
        fail_msg("LIVE of what has ended: %zu bytes at %llu", size, (unsigned long long)out->result.position);
    iso_expect("beyond the end", iso_attach(s, process, 1, CLOISTER_ATTACH_POSITION, NUMBERS_SIZE + 1),
               CLOISTER_INVALID);
    iso_expect("not captured", iso_attach(s, process, 2, CLOISTER_ATTACH_OLDEST, 0), CLOISTER_UNSUPPORTED);
    iso_expect("release", iso_release(s, process), 0);
    iso_expect("released", iso_attach(s, process, 1, CLOISTER_ATTACH_OLDEST, 0), CLOISTER_NO_ENTITY);
    iso_gone(s);
}

static void test_tape_policies(void **state)
{
    (void)state;
    need_tape();
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_wait(captured(s, NUMBERS, 0, CLOISTER_POLICY_DISCARD));
    size_t size;
    iso_expect("DISCARD", e->out, 0);
    if (end_of(e)->position != NUMBERS_SIZE || end_of(e)->lost != NUMBERS_SIZE)
        fail_msg("DISCARD: %llu of %llu bytes lost", (unsigned long long)end_of(e)->lost,
                 (unsigned long long)end_of(e)->position);
    e = iso_exec_wait(captured(s, NUMBERS, 8192, CLOISTER_POLICY_DROP));
    iso_expect("DROP", e->out, 0);
    if (end_of(e)->position != NUMBERS_SIZE || !end_of(e)->lost || end_of(e)->lost >= NUMBERS_SIZE)
        fail_msg("DROP: %llu of %llu bytes lost", (unsigned long long)end_of(e)->lost,
                 (unsigned long long)end_of(e)->position);
    struct iso_outcome *out = iso_attach(s, e->args.process, 1, CLOISTER_ATTACH_OLDEST, 0);
    const char *text = whole("DROP", out, &size);
    check_numbers("DROP", text, size, out->result.position);

    /* Half a megabyte against a window of 64 KiB and a pipe: the writer has to wait for a reader. */
    e = iso_exec_wait(captured(s, "sh -c|for i in 1 2 3 4 5; do " NUMBERS "; done", 65536, CLOISTER_POLICY_BLOCK));
    iso_expect("BLOCK", e->out, 0);
    if (!iso_no_exit(e->args.process, 500))
        fail_msg("BLOCK: the writer did not wait");
    (void)whole("BLOCK", iso_attach(s, e->args.process, 1, CLOISTER_ATTACH_OLDEST, 0), &size);
    assert_int_equal(size, 5 * NUMBERS_SIZE);
    iso_expect_status("BLOCK", e->args.process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

static struct iso_outcome *stdin_call(const struct iso_exec *e, bool close)
{
    const struct cloister_iso_stdin_args args = {CLOISTER_INIT(struct cloister_iso_stdin_args), 0, e->args.sandbox,
                                                 e->args.process};
    struct iso_outcome *out;
    if (close)
        ISO_CALL(out, stdin_close, &args);
    else
        ISO_CALL(out, stdin, &args);
    return out;
}

static void expect_bytes(cloister_stream *stream, const char *wanted)
{
    char text[64] = {0};
    uint32_t verdict;
    size_t size = kit_stream_read(stream, text, strlen(wanted), iso.setting.patience, &verdict);
    if (size != strlen(wanted) || memcmp(text, wanted, size) != 0)
        fail_msg("'%s' came through, not '%s'", text, wanted);
}

/* A reader and a writer while it runs. The writer's end is no end of file, stdin_close is. */
static void test_stdin(void **state)
{
    (void)state;
    need_tape();
    ISO_NEED_SLOT(stdin);
    ISO_NEED_SLOT(stdin_close);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = captured(s, "cat", 0, CLOISTER_POLICY_BLOCK);
    e->program.stdio[0] = iso_stdio(CLOISTER_STDIO_PIPE, -1);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    struct iso_outcome *reader = iso_attach(s, e->args.process, 1, CLOISTER_ATTACH_LIVE, 0);
    iso_expect("attach", reader, 0);
    static const char *const words[] = {"hello", "again"};
    for (unsigned i = 0; i < 2; i++) {
        struct iso_outcome *writer = stdin_call(e, false);
        iso_expect("stdin", writer, 0);
        assert_true(kit_stream_write(writer->result.stream, (struct cloister_sv){words[i], 5}, 5));
        expect_bytes(reader->result.stream, words[i]);
        kit_stream_close(writer->result.stream);
    }
    if (!iso_no_exit(e->args.process, 100))
        fail_msg("the end of a writer's stream was an end of file");
    iso_expect("stdin_close", stdin_call(e, true), 0);
    size_t size;
    (void)whole("the rest", reader, &size);
    assert_int_equal(size, 0);
    iso_expect_status("cat", e->args.process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

static void test_stdin_closed(void **state)
{
    (void)state;
    need_tape();
    ISO_NEED_SLOT(stdin_close);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_prepare(s, "sleep 600");
    e->program.stdio[0] = iso_stdio(CLOISTER_STDIO_PIPE, -1);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    iso_expect("stdin_close", stdin_call(e, true), 0);
    iso_expect("stdin_close again", stdin_call(e, true), 0);
    iso_expect("stdin of what is closed", stdin_call(e, false), CLOISTER_INVALID_STATE);
    iso_expect("no pipe", stdin_call(iso_exec(s, "sleep 600"), false), CLOISTER_UNSUPPORTED);
    iso_gone(s);
}

static struct iso_outcome *resize(struct iso_sandbox *s, cloister_process process)
{
    const struct cloister_resize_args what = {CLOISTER_INIT(struct cloister_resize_args), .rows = 50, .columns = 100,
                                              .process = process};
    const struct cloister_iso_resize_args args = {CLOISTER_INIT(struct cloister_iso_resize_args), 0, s->which, &what};
    struct iso_outcome *out;
    ISO_CALL(out, resize, &args);
    return out;
}

static struct iso_exec *terminal(struct iso_sandbox *s, const char *command)
{
    struct iso_exec *e = iso_exec_prepare(s, command);
    iso_program(&e->program, command, "\"terminal\":true");
    for (unsigned i = 0; i < 3; i++) {
        e->program.stdio[i] = iso_stdio(CLOISTER_STDIO_PTY, -1);
        e->program.stdio[i].rows = 30;
        e->program.stdio[i].columns = 90;
    }
    iso_expect(command, iso_exec_wait(e)->out, 0);
    return e;
}

static void test_terminal(void **state)
{
    (void)state;
    need_tape();
    ISO_NEED(PTY);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e =
        terminal(s, "sh -c|tty; stty size; trap \"stty size; exit 5\" WINCH; while :; do read x; done");
    struct iso_outcome *reader = iso_attach(s, e->args.process, 1, CLOISTER_ATTACH_OLDEST, 0);
    iso_expect("attach", reader, 0);
    expect_bytes(reader->result.stream, "/dev/pts/");
    char text[256] = {0};
    uint32_t verdict = 0;
    for (size_t size = 0; size < 255 && !strstr(text, "30 90") && !verdict; size++)
        (void)kit_stream_read(reader->result.stream, text + size, 1, iso.setting.patience, &verdict);
    if (!strstr(text, "30 90"))
        fail_msg("its first size: '%s', not 30 90", text);
    struct iso_outcome *writer = stdin_call(e, false);
    iso_expect("stdin", writer, 0);
    kit_stream_close(writer->result.stream);
    kit_loop_turns(200); /* until the trap is set */
    iso_expect("resize", resize(s, e->args.process), 0);
    size_t size;
    const char *rest = whole("the rest", reader, &size);
    if (!strstr(rest, "50 100"))
        fail_msg("its second size is not 50 100");
    iso_expect_status("shell", e->args.process, CLOISTER_STATUS_EXITED, 5);
    iso_expect("no terminal", resize(s, iso_exec(s, "sleep 600")->args.process), CLOISTER_NOT_TTY);
    iso_gone(s);
}

const struct CMUnitTest iso_tape_cases[] = {
    ISO_CASE("tape", test_tape),         ISO_CASE("tape-policies", test_tape_policies),
    ISO_CASE("stdin", test_stdin),       ISO_CASE("stdin-closed", test_stdin_closed),
    ISO_CASE("terminal", test_terminal), ISO_CASES_END,
};
