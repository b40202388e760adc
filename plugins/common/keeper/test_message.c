/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as hostile bytes, the sizes of each version, what may be said of a process's descriptors, LIST's entries. */
#include "common/keeper/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_messages(void **state)
{
    static const struct {
        const char *name;
        uint32_t type, size_delta, magic_delta, fds, sent_fds;
        int expected;
    } cases[] = {
        {"good", CL_WIRE_RELEASE, 0, 0, 0, 0, 0},
        {"good with descriptors", CL_WIRE_CREATE, 0, 0, 64, 64, 0},
        {"unknown type", 30, 0, 0, 0, 0, -EBADMSG},
        {"too long", CL_WIRE_RELEASE, 8, 0, 0, 0, -EBADMSG},
        {"too short", CL_WIRE_RELEASE, (uint32_t)-8, 0, 0, 0, -EBADMSG},
        {"magic", CL_WIRE_RELEASE, 0, 1, 0, 0, -EBADMSG},
        {"a descriptor too many", CL_WIRE_RELEASE, 0, 0, 0, 1, -EBADMSG},
        {"a descriptor lost", CL_WIRE_RELEASE, 0, 0, 2, 1, -EBADMSG},
        {"more descriptors than allowed", CL_WIRE_RELEASE, 0, 0, 65, 65, -EBADMSG},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes[CL_WIRE_MESSAGE_MAX / 8] = {0};
        struct cl_wire_head *head = (struct cl_wire_head *)(void *)bytes;
        uint32_t size = cl_wire_message_size(cases[i].type) ? (uint32_t)cl_wire_message_size(cases[i].type) : 64;

        size += cases[i].size_delta;
        *head = (struct cl_wire_head){CL_WIRE_MAGIC + cases[i].magic_delta, size, cases[i].type, cases[i].fds, 1};
        int r = cl_wire_message_check(bytes, size, cases[i].sent_fds);

        if (r != cases[i].expected)
            fail_msg("%s: gave %d, expected %d", cases[i].name, r, cases[i].expected);
    }
    assert_int_equal(cl_wire_message_check("", 0, 0), -EBADMSG);
}

/* The sizes that older versions had are written down: nobody may move a member of them. */
static void test_versions(void **state)
{
    static const struct {
        uint32_t type;
        size_t two, three;
        int grew; /* since 3 */
    } cases[] = {
        {CL_WIRE_HELLO, 96, 120, 0},    {CL_WIRE_FDS, 24, 24, 0},        {CL_WIRE_CREATE, 72, 1424, 1},
        {CL_WIRE_START, 56, 1408, 1},   {CL_WIRE_EXEC, 64, 1416, 1},     {CL_WIRE_SIGNAL, 40, 40, 0},
        {CL_WIRE_RELEASE, 32, 32, 0},   {CL_WIRE_STATUS, 24, 24, 0},     {CL_WIRE_CANCEL, 32, 32, 0},
        {CL_WIRE_DESTROY, 24, 24, 0},   {CL_WIRE_LIST, 0, 24, 0},        {CL_WIRE_TAPE, 0, 32, 0},
        {CL_WIRE_STDIN, 0, 32, 0},      {CL_WIRE_STDIN_CLOSE, 0, 32, 0}, {CL_WIRE_POLICY, 0, 48, 0},
        {CL_WIRE_RESIZE, 0, 0, 1},      {CL_WIRE_FILE_PUT, 0, 0, 1},     {CL_WIRE_PROCEED, 0, 0, 1},
        {CL_WIRE_ENTER, 0, 0, 1},       {CL_WIRE_ANSWER, 320, 320, 1},   {CL_WIRE_EXIT, 88, 88, 0},
        {CL_WIRE_WARNING, 312, 312, 0}, {CL_WIRE_DOWN, 32, 32, 0},       {CL_WIRE_DRAINED, 0, 104, 1},
        {CL_WIRE_POINT, 0, 0, 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t two = cl_wire_size_at(cases[i].type, 2);
        size_t three = cl_wire_size_at(cases[i].type, 3);
        size_t now = cl_wire_message_size(cases[i].type);

        if (two != cases[i].two || three != cases[i].three || now == 0 || (now > three) != cases[i].grew ||
            now > CL_WIRE_MESSAGE_MAX)
            fail_msg("type %u: %zu bytes in version 2, %zu in 3, %zu now", cases[i].type, two, three, now);
        assert_int_equal(cl_wire_size_at(cases[i].type, 1), 0);
        assert_int_equal(cl_wire_size_at(cases[i].type, CL_WIRE_VERSION + 1), 0);
    }
}

/* Sent in any of its sizes it arrives, zeros behind; in between it is no message. */
static void test_all_sizes(void **state)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    for (uint32_t version = CL_WIRE_VERSION_MIN; version <= CL_WIRE_VERSION; version++) {
        struct cl_wire_exec exec;
        struct cl_packet packet;

        cl_wire_init_at(&exec, CL_WIRE_EXEC, 5, version);
        assert_int_equal(exec.head.size, cl_wire_size_at(CL_WIRE_EXEC, version));
        exec.pseq = 7;
        exec.memo.name_size = 3;
        exec.memo.rows = 5;
        assert_int_equal(cl_wire_send(pair[0], &exec, NULL, 0), 0);
        memset(&packet, 0xff, sizeof(packet));
        assert_int_equal(cl_wire_recv(pair[1], &packet), 0);
        assert_int_equal(packet.u.exec.pseq, 7);
        assert_int_equal(packet.u.exec.memo.name_size, version == 2 ? 0 : 3);
        assert_int_equal(packet.u.exec.memo.tag_size, 0);
        assert_int_equal(packet.u.exec.memo.rows, version < 4 ? 0 : 5);
        exec.head.size += version == 2 ? 8 : -8;
        assert_int_equal(cl_wire_send(pair[0], &exec, NULL, 0), 0);
        assert_int_equal(cl_wire_recv(pair[1], &packet), -EBADMSG);
    }
    close(pair[0]);
    close(pair[1]);
}

/* Breaks one thing of a good set; -1 past the last, else whether it is still good. */
static int change_stdio(int i, struct cl_wire_stdio *stdio, struct cl_wire_memo *memo)
{
    switch (i) {
    case 0:
        return 1;
    case 1:
        stdio[0] = (struct cl_wire_stdio){CL_WIRE_STDIO_SAME, 0};
        return 0;
    case 2:
        stdio[2].fd = 2;
        return 0;
    case 3:
        stdio[2].fd = CL_WIRE_NO_FD;
        return 0;
    case 4:
        stdio[1].fd = 0;
        return 0;
    case 5:
        stdio[1].kind = CL_WIRE_STDIO_TERMINAL + 1;
        return 0;
    case 6:
        stdio[0].fd = 3;
        return 0;
    case 7:
        memo->pipe[1].policy = CL_TAPE_DISCARD + 1;
        return 0;
    case 8:
        memo->pipe[1].window = CL_TAPE_WINDOW_MAX + 1;
        return 0;
    case 9:
        memo->pipe[1].window = CL_TAPE_WINDOW_MAX;
        return 1;
    case 10:
        memo->pipe[2].owner_uid = 1; /* of what is no pipe */
        return 0;
    case 11:
        memo->pipe[0].window = 1;
        return 0;
    case 12:
        memo->name_size = CL_WIRE_NAME_MAX + 1;
        return 0;
    case 13:
        memo->tag_size = UINT32_MAX;
        return 0;
    case 14:
        memo->name_size = 3; /* "n", NUL */
        return 0;
    case 15:
        stdio[0] = (struct cl_wire_stdio){CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD};
        memo->pipe[0].owner_uid = 5;
        return 1;
    case 16:
        stdio[0] = (struct cl_wire_stdio){CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD};
        memo->pipe[0].policy = CL_TAPE_DROP; /* input has none */
        return 0;
    default:
        return -1;
    }
}

/* The same of a good terminal with two more descriptors. */
static int change_terminal(int i, struct cl_wire_stdio *stdio, struct cl_wire_memo *memo)
{
    switch (i) {
    case 0:
        return 1;
    case 1:
        stdio[0] = (struct cl_wire_stdio){CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD};
        return 0;
    case 2:
        stdio[2] = (struct cl_wire_stdio){CL_WIRE_STDIO_SAME, 1};
        return 0;
    case 3:
        stdio[1].fd = 0;
        return 0;
    case 4:
        memo->pipe[1] = (struct cl_wire_pipe){.policy = CL_TAPE_DROP, .window = CL_TAPE_WINDOW_MAX};
        return 1;
    case 5:
        memo->pipe[1].window = CL_TAPE_WINDOW_MAX + 1;
        return 0;
    case 6:
        memo->pipe[1].policy = CL_TAPE_DISCARD + 1;
        return 0;
    case 7:
        memo->pipe[2].window = 1;
        return 0;
    case 8:
        memo->pipe[1].owner_uid = 1;
        return 0;
    case 9:
        memo->rows = memo->columns = 65535;
        return 1;
    case 10:
        memo->rows = 65536;
        return 0;
    case 11:
        memo->columns = 65536;
        return 0;
    case 12:
        memo->columns = 0;
        return 0;
    case 13:
        memo->extra[0].number = 2;
        return 0;
    case 14:
        memo->extra[1].number = 1024;
        return 0;
    case 15:
        memo->extra[1].number = 3; /* twice */
        return 0;
    case 16:
        memo->extra[1].fd = 3;
        return 0;
    case 17:
        memo->extra_count = CL_WIRE_EXTRA_MAX + 1;
        return 0;
    case 18:
        memo->extra_count = 1; /* and one behind the last */
        return 0;
    case 19:
        memo->reserved = 1;
        return 0;
    case 20:
        memo->extra[1].fd = memo->extra[0].fd; /* one descriptor, two numbers */
        return 1;
    default:
        return -1;
    }
}

static void test_terminal(void **state)
{
    for (int i = 0;; i++) {
        struct cl_wire_stdio stdio[3] = {{CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD},
                                         {CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD},
                                         {CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD}};
        struct cl_wire_memo memo = {
            .rows = 30, .columns = 100, .extra_count = 2, .extra = {{.number = 3, .fd = 2}, {.number = 1023, .fd = 0}}};
        int good = change_terminal(i, stdio, &memo);

        if (good < 0)
            break;
        if (cl_wire_stdio_check(stdio, &memo, 3) != (good ? 0 : -EBADMSG))
            fail_msg("case %d should be %s", i, good ? "good" : "refused");
    }
}

static void test_stdio(void **state)
{
    for (int i = 0;; i++) {
        struct cl_wire_stdio stdio[3] = {
            {CL_WIRE_STDIO_DESCRIPTOR, 2}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_SAME, 1}};
        struct cl_wire_memo memo = {.pipe[1] = {CL_TAPE_DISCARD, 1000, 4096}, .name_size = 1, .name = "n"};
        int good = change_stdio(i, stdio, &memo);

        if (good < 0)
            break;
        if (cl_wire_stdio_check(stdio, &memo, 3) != (good ? 0 : -EBADMSG))
            fail_msg("case %d should be %s", i, good ? "good" : "refused");
    }
}

/* Two entries, and one of them made wrong. */
static void test_entries(void **state)
{
    static const struct {
        const char *name;
        uint32_t size, name_size, tag_size;
        size_t total;
        int expected;
    } cases[] = {
        {"good", 168, 3, 10, 320, 1},
        {"cut", 168, 3, 10, 312, -EBADMSG},
        {"a head too short", 168, 3, 10, 160, -EBADMSG},
        {"size 0", 0, 0, 0, 320, -EBADMSG},
        {"size of the head only", 16, 0, 0, 320, -EBADMSG},
        {"not aligned", 172, 3, 10, 324, -EBADMSG},
        {"longer than all", 328, 3, 10, 320, -EBADMSG},
        {"name behind the end", 168, 17, 0, 320, -EBADMSG},
        {"both behind the end", 168, 10, 10, 320, -EBADMSG},
        {"huge name", 168, UINT32_MAX, 1, 320, -EBADMSG},
        {"huge tag", 168, 1, UINT32_MAX, 320, -EBADMSG},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *bytes = calloc(1, cases[i].total); /* of just this size, so that a sanitizer sees the first one behind */
        const struct cl_wire_entry *entry = NULL;
        struct cl_wire_entry first = {.size = 152};
        struct cl_wire_entry second = {
            .size = cases[i].size, .name_size = cases[i].name_size, .tag_size = cases[i].tag_size};
        size_t at = 0;

        assert_non_null(bytes);
        memcpy(bytes, &first, sizeof(first));
        memcpy(bytes + 152, &second, cases[i].total - 152 < sizeof(second) ? cases[i].total - 152 : sizeof(second));
        assert_int_equal(cl_wire_entry_next(bytes, cases[i].total, &at, &entry), 1);
        int r = cl_wire_entry_next(bytes, cases[i].total, &at, &entry);

        if (r != cases[i].expected)
            fail_msg("%s: %d", cases[i].name, r);
        if (r == 1) {
            assert_ptr_equal(cl_wire_entry_tag(entry), bytes + 152 + 152 + 3);
            assert_int_equal(cl_wire_entry_next(bytes, cases[i].total, &at, &entry), 0);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_versions), cmocka_unit_test(test_all_sizes),
        cmocka_unit_test(test_stdio),    cmocka_unit_test(test_terminal), cmocka_unit_test(test_entries),
    };

    return cmocka_run_group_tests_name("keeper messages", tests, NULL, NULL);
}
