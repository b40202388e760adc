/* SPDX-License-Identifier: Apache-2.0 */
/* iso_stdio.c - what stands behind a process's descriptors: nothing, a descriptor of the caller's, a copy of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cases.h"

static void need_direct(void)
{
    ISO_NEED(STDIO_DIRECT);
    ISO_NEED_SLOT(exec);
}

/* What the command writes to descriptor 1, with the other entries as they are in `e`. */
static const char *output_of(struct iso_exec *e, size_t *ret_size)
{
    int ends[2];
    iso_pipe(ends);
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_DESCRIPTOR, ends[1]);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    return iso_read_all(ends[0], ret_size, NULL);
}

static void expect_output(const char *name, struct iso_exec *e, const char *wanted)
{
    const char *text = output_of(e, NULL);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s: '%s', not '%s'", name, text, wanted);
}

/* The texts are those of programs that see what each kind says. */
static void test_nothing(void **state)
{
    (void)state;
    need_direct();
    static const struct {
        const char *name;
        uint32_t kind, value;
        const char *command;
    } rows[] = {
        {"NULL ends at once", CLOISTER_STDIO_NULL, 4, "sh -c|read x || exit 4"},
        {"NULL takes everything", CLOISTER_STDIO_NULL, 4, "sh -c|echo x && exit 4"},
        {"CLOSED ends at once", CLOISTER_STDIO_CLOSED, 4, "sh -c|read x || exit 4"},
        {"CLOSED takes nothing", CLOISTER_STDIO_CLOSED, 4, "sh -c|trap \"\" PIPE; echo x || exit 4"},
    };
    struct iso_sandbox *s = iso_made("sleep 600");
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iso_exec *e = iso_exec_prepare(s, rows[i].command);
        for (unsigned k = 0; k < 3; k++)
            e->program.stdio[k] = iso_stdio(rows[i].kind, -1);
        iso_expect(rows[i].name, iso_exec_wait(e)->out, 0);
        iso_expect_status(rows[i].name, e->args.process, CLOISTER_STATUS_EXITED, rows[i].value);
    }
    iso_gone(s);
}

static void test_descriptor(void **state)
{
    (void)state;
    need_direct();
    struct iso_sandbox *s = iso_made("sleep 600");
    size_t size, wanted = 0;
    const char *text = output_of(iso_exec_prepare(s, "seq 1 20000"), &size);
    char line[16];
    for (unsigned i = 1; i <= 20000; i++) {
        size_t length = (size_t)snprintf(line, sizeof(line), "%u\n", i);
        if (wanted + length > size || memcmp(text + wanted, line, length) != 0)
            fail_msg("line %u of the output is not there", i);
        wanted += length;
    }
    assert_int_equal(size, wanted);

    int ends[2];
    struct iso_exec *e = iso_exec_prepare(s, "cat");
    iso_pipe(ends);
    e->program.stdio[0] = iso_stdio(CLOISTER_STDIO_DESCRIPTOR, ends[0]);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    (void)close(ends[1]);
    expect_output("stdin", e, "hello");
    iso_gone(s);
}

static void test_same_as(void **state)
{
    (void)state;
    need_direct();
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_prepare(s, "sh -c|echo a; echo b >&2; echo c");
    e->program.stdio[2] = iso_stdio(CLOISTER_STDIO_SAME_AS, 1);
    expect_output("SAME_AS", e, "a\nb\nc\n");
    iso_gone(s);
}

/* Moved with the operation, whatever comes of it: our writing end's copy must be the only one, so the pipe ends. */
static void test_descriptor_of_failure(void **state)
{
    (void)state;
    need_direct();
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_prepare(s, "/no/such/program");
    int ends[2];
    bool ended;
    iso_pipe(ends);
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_DESCRIPTOR, ends[1]);
    iso_expect("exec", iso_exec_wait(e)->out, CLOISTER_NO_EXECUTABLE);
    (void)iso_read_all(ends[0], NULL, &ended);
    if (!ended)
        fail_msg("a descriptor that was moved into an exec that failed is still open");
    iso_gone(s);
}

/* Descriptors of the plugin's or the kit's own must not be seen inside; 3 is that of ls itself. */
static void test_no_leak(void **state)
{
    (void)state;
    need_direct();
    struct iso_sandbox *s = iso_made("sleep 600");
    expect_output("/proc/self/fd", iso_exec_prepare(s, "ls -1 /proc/self/fd"), "0\n1\n2\n3\n");
    iso_gone(s);
}

static void test_extra(void **state)
{
    (void)state;
    need_direct();
    ISO_NEED(EXTRA_FDS);
    struct iso_sandbox *s = iso_made("sleep 600");
    static const char *const commands[] = {"ls -1 /proc/self/fd", "sh -c|echo through >&7"};
    for (unsigned i = 0; i < 2; i++) {
        struct iso_exec *e = iso_exec_prepare(s, commands[i]);
        int ends[2];
        iso_pipe(ends);
        e->program.extra[0] = (struct cloister_extra_fd){.number = 7, .fd = ends[1]};
        e->program.args.extra = e->program.extra;
        e->program.args.extra_count = 1;
        e->program.args.extra_size = sizeof(e->program.extra[0]);
        expect_output(commands[i], e, i ? "" : "0\n1\n2\n3\n7\n");
        const char *text = iso_read_all(ends[0], NULL, NULL);
        if (strcmp(text, i ? "through\n" : "") != 0)
            fail_msg("descriptor 7: '%s'", text);
    }
    iso_gone(s);
}

/* Environment, directory and user are what was asked for, and nothing else. */
static void test_surroundings(void **state)
{
    (void)state;
    need_direct();
    static const struct cloister_sv env[] = {{"PATH=/bin", 9}, {"WORD=a b", 8}};
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec_prepare(s, "true");
    iso_program(&e->program, "sh -c|echo $WORD; pwd; id -u; id -g; id -G",
                "\"cwd\":\"/tmp\",\"user\":{\"uid\":3,\"gid\":4,\"additionalGids\":[7]}");
    e->program.args.env = env;
    e->program.args.env_count = 2;
    expect_output("surroundings", e, "a b\n/tmp\n3\n4\n4 7\n");
    e = iso_exec_prepare(s, "env");
    e->program.args.env_count = 2;
    e->program.args.env = env;
    expect_output("env", e, "PATH=/bin\nWORD=a b\n");
    iso_gone(s);
}

const struct CMUnitTest iso_stdio_cases[] = {
    ISO_CASE("stdio-nothing", test_nothing),     ISO_CASE("stdio-descriptor", test_descriptor),
    ISO_CASE("stdio-same-as", test_same_as),     ISO_CASE("stdio-of-failure", test_descriptor_of_failure),
    ISO_CASE("stdio-no-leak", test_no_leak),     ISO_CASE("stdio-extra", test_extra),
    ISO_CASE("surroundings", test_surroundings), ISO_CASES_END,
};
