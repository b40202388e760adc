/* SPDX-License-Identifier: Apache-2.0 */
/* test_stdset.c - stdio sets and memos as the keeper takes them; id spans of recorded sandboxes; halts. */
#include <errno.h>
#include <fcntl.h>

#include "halt.h"
#include "ranges.h"
#include "stdset.h"
#include "test_host.h"

#define DESCRIPTOR CLOISTER_STDIO_DESCRIPTOR
#define PIPE CLOISTER_STDIO_PIPE
#define SAME CLOISTER_STDIO_SAME_AS
#define NONE CLOISTER_STDIO_NULL
#define PTY CLOISTER_STDIO_PTY

static void test_sets(void **state)
{
    static const struct {
        const char *name;
        struct cloister_stdio set[3];
        uint32_t code; /* of the refusal */
        uint32_t kind[3];
        uint32_t fd[3];
    } cases[] = {
        {"nothing",
         {{.kind = NONE}, {.kind = NONE}, {.kind = NONE}},
         0,
         {0, 0, 0},
         {CL_WIRE_NO_FD, CL_WIRE_NO_FD, CL_WIRE_NO_FD}},
        {"pipes",
         {{.kind = PIPE}, {.kind = PIPE, .window = 4096, .policy = CLOISTER_POLICY_DISCARD}, {.kind = PIPE}},
         0,
         {CL_WIRE_STDIO_PIPE, CL_WIRE_STDIO_PIPE, CL_WIRE_STDIO_PIPE},
         {CL_WIRE_NO_FD, CL_WIRE_NO_FD, CL_WIRE_NO_FD}},
        {"the same pipe",
         {{.kind = NONE}, {.kind = PIPE}, {.kind = SAME, .fd = 1}},
         0,
         {0, CL_WIRE_STDIO_PIPE, CL_WIRE_STDIO_SAME},
         {CL_WIRE_NO_FD, CL_WIRE_NO_FD, 1}},
        {"the same as the same",
         {{.kind = PIPE}, {.kind = SAME, .fd = 0}, {.kind = SAME, .fd = 1}},
         0,
         {CL_WIRE_STDIO_PIPE, CL_WIRE_STDIO_SAME, CL_WIRE_STDIO_SAME},
         {CL_WIRE_NO_FD, 0, 0}},
        {"the same as itself", {{.kind = NONE}, {.kind = SAME, .fd = 1}, {.kind = NONE}}, CLOISTER_INVALID, {0}, {0}},
        {"window", {{.kind = NONE}, {.kind = PIPE, .window = (16u << 20) + 1}}, CLOISTER_INVALID, {0}, {0}},
        {"policy", {{.kind = NONE}, {.kind = PIPE, .policy = 3}}, CLOISTER_INVALID, {0}, {0}},
        {"terminal",
         {{.kind = PTY, .rows = 5, .columns = 7},
          {.kind = PTY, .window = 4096, .policy = CLOISTER_POLICY_DROP},
          {.kind = PTY}},
         0,
         {CL_WIRE_STDIO_TERMINAL, CL_WIRE_STDIO_TERMINAL, CL_WIRE_STDIO_TERMINAL},
         {CL_WIRE_NO_FD, CL_WIRE_NO_FD, CL_WIRE_NO_FD}},
        {"half a terminal", {{.kind = PTY}, {.kind = PTY}}, CLOISTER_INVALID, {0}, {0}},
        {"rows only", {{.kind = PTY, .rows = 5}, {.kind = PTY}}, CLOISTER_INVALID, {0}, {0}},
        {"too many rows", {{.kind = PTY, .rows = 65536, .columns = 1}}, CLOISTER_INVALID, {0}, {0}},
        {"window of a terminal", {{.kind = PTY}, {.kind = PTY, .window = (16u << 20) + 1}}, CLOISTER_INVALID, {0}, {0}},
        {"policy of a terminal", {{.kind = PTY}, {.kind = PTY, .policy = 3}}, CLOISTER_INVALID, {0}, {0}},
        {"socket", {{.kind = CLOISTER_STDIO_SOCKET}}, CLOISTER_UNSUPPORTED, {0}, {0}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cl_wire_stdio wire[3];
        struct cl_wire_memo memo = {.name_size = 0};
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        struct ns_stdio stdio;
        uint32_t count = 0;
        int fds[NS_STDIO_ROOM];

        if (ns_stdio_take(&r, cases[i].set, cases[i].code ? 2 : 3, sizeof(cases[i].set[0]), &stdio) < 0) {
            if (err.code != cases[i].code)
                fail_msg("%s: code %u: %s", cases[i].name, err.code, err.chain);
            continue;
        }
        ns_stdio_move(&stdio, fds, &count, 7, wire, &memo);
        assert_int_equal(count, 0);
        assert_int_equal(cl_wire_stdio_check(wire, &memo, 0), 0);
        for (int fd = 0; fd < 3; fd++) {
            if (cases[i].code || wire[fd].kind != cases[i].kind[fd] || wire[fd].fd != cases[i].fd[fd])
                fail_msg("%s: descriptor %d is kind %u, %u", cases[i].name, fd, wire[fd].kind, wire[fd].fd);
            assert_int_equal(memo.pipe[fd].owner_uid, wire[fd].kind == CL_WIRE_STDIO_PIPE ? 7 : 0);
        }
        bool terminal = wire[0].kind == CL_WIRE_STDIO_TERMINAL;

        assert_int_equal(memo.rows, terminal ? 5 : 0);
        assert_int_equal(memo.columns, terminal ? 7 : 0);
        assert_int_equal(memo.pipe[1].policy, terminal ? CL_TAPE_DROP : cases[i].set[1].policy ? CL_TAPE_DISCARD : 0);
    }
}

/* Whatever the outcome, each descriptor that was given is closed or handed on, once. */
static void test_descriptors(void **state)
{
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    struct cloister_stdio set[3] = {{.kind = DESCRIPTOR}, {.kind = DESCRIPTOR}, {.kind = SAME, .fd = 1}};
    struct cl_wire_memo memo = {.name_size = 0};
    struct cl_wire_stdio wire[3];
    struct ns_stdio stdio;
    uint32_t count = 0;
    int fds[NS_STDIO_ROOM];

    set[0].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    set[1].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(ns_stdio_take(&r, set, 3, sizeof(set[0]), &stdio), 0);
    assert_null(ns_stdio_too_new(&stdio, 2));
    ns_stdio_move(&stdio, fds, &count, 0, wire, &memo);
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(close(fds[i]), 0);

    set[0].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    set[1] = (struct cloister_stdio){.kind = 99};
    assert_int_equal(ns_stdio_take(&r, set, 2, sizeof(set[0]), &stdio), -1);
    assert_int_equal(fcntl(set[0].fd, F_GETFD), -1);
}

/* Two of these, and one of them made wrong: each is handed on or closed. */
static void test_extra(void **state)
{
    static const struct {
        const char *name;
        uint32_t first, second;
        uint64_t count;
        uint32_t stdio; /* kind of the first entry */
        uint32_t code;
    } cases[] = {
        {"two", 3, 1023, 2, NONE, 0},
        {"stderr", 2, 5, 2, NONE, CLOISTER_INVALID},
        {"too high", 5, 1024, 2, NONE, CLOISTER_INVALID},
        {"twice", 7, 7, 2, NONE, CLOISTER_INVALID},
        {"one is missing", 3, 4, 3, NONE, CLOISTER_INVALID},
        {"bad stdio", 3, 4, 2, 99, CLOISTER_UNSUPPORTED},
        {"bad stdio and bad number", 2, 4, 2, 99, CLOISTER_UNSUPPORTED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_stdio set = {.kind = cases[i].stdio};
        struct cloister_extra_fd extra[3] = {
            {.number = cases[i].first}, {.number = cases[i].second}, {.number = 9, .fd = -1}};
        struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                .stdio = &set,
                                                .stdio_count = 1,
                                                .stdio_size = sizeof(set),
                                                .extra = extra,
                                                .extra_count = cases[i].count,
                                                .extra_size = sizeof(extra[0])};
        struct cl_wire_memo memo = {.name_size = 0};
        struct cl_wire_stdio wire[3];
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        int fds[NS_STDIO_ROOM + 1] = {77};
        struct ns_stdio stdio;
        uint32_t count = 1;

        extra[0].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        extra[1].fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
        int rc = ns_stdio_take_process(&r, &process, &stdio);

        if (cases[i].code ? rc == 0 || err.code != cases[i].code : rc != 0)
            fail_msg("%s: %d, %s", cases[i].name, rc, err.chain);
        if (rc == 0) {
            assert_null(ns_stdio_too_new(&stdio, 4));
            assert_string_equal(ns_stdio_too_new(&stdio, 3), "further descriptors");
            ns_stdio_reset(&stdio); /* they stay */
            ns_stdio_move(&stdio, fds, &count, 0, wire, &memo);
            assert_int_equal(count, 3);
            assert_int_equal(memo.extra_count, 2);
            assert_int_equal(memo.extra[1].number, 1023);
            assert_int_equal(memo.extra[1].fd, 2);
            assert_int_equal(cl_wire_stdio_check(wire, &memo, count), 0);
            assert_int_equal(close(fds[1]), 0);
            assert_int_equal(close(fds[2]), 0);
        }
        ns_stdio_clear(&stdio);
        if (fcntl(extra[0].fd, F_GETFD) != -1 || fcntl(extra[1].fd, F_GETFD) != -1)
            fail_msg("%s: one is still open", cases[i].name);
    }
}

/* The spec and the set say the same, and a set is not for every keeper. */
static void test_terminal(void **state)
{
    static const struct cloister_stdio terminal[3] = {{.kind = PTY}, {.kind = PTY}, {.kind = PTY}};
    static const struct cloister_stdio pipes[3] = {{.kind = PIPE}, {.kind = PIPE}, {.kind = PIPE}};

    for (unsigned i = 0; i < 4; i++) {
        struct cl_wire_plan plan = {.flags = i & 1 ? CL_WIRE_PLAN_TERMINAL : 0};
        bool has = i & 2;
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        struct ns_stdio stdio;

        assert_int_equal(ns_stdio_take(&r, has ? terminal : pipes, 3, sizeof(terminal[0]), &stdio), 0);
        assert_int_equal(ns_stdio_fits(&r, &stdio, &plan), has == (i & 1) ? 0 : -1);
        if (has != (i & 1))
            assert_string_equal(err.subject, "process.terminal");
        assert_null(ns_stdio_too_new(&stdio, 4));
        assert_string_equal(ns_stdio_too_new(&stdio, 2), has ? "terminals" : "pipes");
        if (has)
            assert_string_equal(ns_stdio_too_new(&stdio, 3), "terminals");
        else
            assert_null(ns_stdio_too_new(&stdio, 3));
    }
}

static void test_memo(void **state)
{
    static char text[2048];
    static const struct {
        const char *name;
        uint64_t name_size;
        uint64_t tag_size;
        uint32_t code;
    } cases[] = {
        {"empty", 0, 0, 0},
        {"longest", CL_WIRE_NAME_MAX, CL_WIRE_TAG_MAX, 0},
        {"name too long", CL_WIRE_NAME_MAX + 1, 0, CLOISTER_INVALID},
        {"tag too long", 0, CL_WIRE_TAG_MAX + 1, CLOISTER_TOO_BIG},
    };

    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        struct cl_wire_memo memo = {.name_size = 0};
        struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                .tag = {text, cases[i].tag_size}, .drain_idle = 3, .drain_max = 4};

        ns_memo_set(&r, &memo, (struct cloister_sv){text, cases[i].name_size}, &process);
        if (err.code != cases[i].code)
            fail_msg("%s: code %u", cases[i].name, err.code);
        if (err.code)
            continue;
        assert_int_equal(memo.name_size, cases[i].name_size);
        assert_int_equal(memo.tag_size, cases[i].tag_size);
        assert_int_equal(memo.drain_idle_ns, 3);
        assert_int_equal(memo.drain_max_ns, 4);
    }
}

/* Spans of recorded sandboxes are nobody else's, those of another configuration too, until released. */
static void test_held_spans(void **state)
{
    struct ns_ranges *ranges = ns_ranges_new(1000, 100, false);

    assert_int_equal(ns_ranges_hold(ranges, "a", (struct ns_range){1000, 100}), 0);
    assert_int_equal(ns_ranges_hold(ranges, "a", (struct ns_range){1000, 100}), 0);
    assert_int_equal(ns_ranges_hold(ranges, "b", (struct ns_range){1150, 60}), 0); /* parts of two */
    assert_int_equal(ns_ranges_hold(ranges, "b", (struct ns_range){1150, 60}), 0);
    assert_int_equal(ns_ranges_hold(ranges, "c", (struct ns_range){1000, 100}), -EEXIST);
    assert_int_equal(ns_ranges_hold(ranges, "d", (struct ns_range){0, 0}), 0);
    assert_int_equal(ns_ranges_take(ranges, "e", 1).first, 1300);
    ns_ranges_release(ranges, "b");
    assert_int_equal(ns_ranges_take(ranges, "f", 1).first, 1100);
    ns_ranges_release(ranges, "a"); /* c has it too */
    assert_int_equal(ns_ranges_take(ranges, "g", 1).first, 1200);
    ns_ranges_release(ranges, "c");
    assert_int_equal(ns_ranges_take(ranges, "h", 1).first, 1000);
    assert_int_equal(ns_ranges_hold(ranges, "i", (struct ns_range){4294960000u, 100}),
                     0); /* costs no table up to there */
    ns_ranges_free(ranges);
}

static void test_halts(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint32_t step;
        bool after;
        const char *keeper;
    } cases[] = {
        {"", true, NS_STEP_none, false, ""},
        {"create:cgroups:before", true, NS_STEP_create_cgroups, false, ""},
        {"destroy:socket:after", true, NS_STEP_destroy_socket, true, ""},
        {"create:mount:after", true, NS_STEP_none, true, "mount"},
        {"exec:seccomp:before", true, NS_STEP_none, false, "seccomp"},
        {"destroy:mount:before", false, 0, false, ""},
        {"create:cgroups", false, 0, false, ""},
        {"create:cgroups:during", false, 0, false, ""},
        {"create::before", false, 0, false, ""},
        {"create:a-step-whose-name-is-too-long:before", false, 0, false, ""},
        {":::", false, 0, false, ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        struct ns_halt halt;
        int rc = ns_halt_parse(&r, ns_view(cases[i].text), &halt);

        if ((rc == 0) != cases[i].ok)
            fail_msg("'%s': %d", cases[i].text, rc);
        if (rc == 0 && (halt.step != cases[i].step || halt.after != cases[i].after ||
                        strcmp(halt.keeper_step, cases[i].keeper) != 0))
            fail_msg("'%s': step %u '%s'", cases[i].text, halt.step, halt.keeper_step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),     cmocka_unit_test(test_descriptors), cmocka_unit_test(test_extra),
        cmocka_unit_test(test_terminal), cmocka_unit_test(test_memo),        cmocka_unit_test(test_held_spans),
        cmocka_unit_test(test_halts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
