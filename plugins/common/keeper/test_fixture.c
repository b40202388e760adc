/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper of version 2 really said, played through today's decoder: fixtures/README tells how it was recorded. */
#include "common/keeper/client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST (UINT64_C(1) << 32 | 1)

static const char *folder;

static size_t load(const char *name, uint8_t *bytes, size_t room)
{
    char path[512];
    unsigned int byte;
    size_t size = 0;

    snprintf(path, sizeof(path), "%s/2/%s.hex", folder, name);
    FILE *file = fopen(path, "re");

    if (file == NULL)
        fail_msg("%s is missing", path);
    while (size < room && fscanf(file, "%2x", &byte) == 1)
        bytes[size++] = (uint8_t)byte;
    fclose(file);
    return size;
}

/* As it would arrive, with as many descriptors; what lay in the packet before must not shine through. */
static void play(const char *name, struct cl_packet *packet)
{
    union {
        struct cl_wire_head head;
        uint8_t bytes[CL_WIRE_MESSAGE_MAX];
    } saved;
    int fds[4] = {0, 0, 0, 0};
    int pair[2];
    size_t size = load(name, saved.bytes, sizeof(saved.bytes));

    assert_int_equal(saved.head.size, size);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(cl_wire_send(pair[0], &saved, fds, saved.head.fds), 0);
    memset(packet, 0xee, sizeof(*packet));
    int r = cl_wire_recv(pair[1], packet);

    if (r < 0)
        fail_msg("%s: %d", name, r);
    for (size_t i = size; i < sizeof(packet->u.bytes); i++)
        assert_int_equal(packet->u.bytes[i], 0);
    assert_int_equal(size, cl_wire_size_at(packet->u.head.type, 2));
    cl_packet_clear(packet);
    close(pair[0]);
    close(pair[1]);
}

static void test_hello(void **state)
{
    static const struct {
        const char *name;
        uint64_t serial;
        int os_errno;
        const char *step;
    } cases[] = {
        {"01-hello-ready", 1, 0, "ready"},
        {"02-hello-eproto", 9, EPROTO, "version"},
        {"03-hello-ebusy", 9, EBUSY, "ready"},
        {"15-hello-later", 9, 0, "ready"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_packet packet;

        play(cases[i].name, &packet);
        const struct cl_wire_hello *hello = &packet.u.hello;

        if (hello->head.type != CL_WIRE_HELLO || hello->head.serial != cases[i].serial || hello->version != 2 ||
            hello->os_errno != cases[i].os_errno || strcmp(hello->step, cases[i].step) != 0)
            fail_msg("%s: version %u, %d at '%s'", cases[i].name, hello->version, hello->os_errno, hello->step);
        assert_int_equal(hello->cookie, 0x1122334455667788);
        assert_string_equal(hello->id, "abcdefghij234567");
        assert_int_equal(hello->era, 0);
    }
}

static void test_answers(void **state)
{
    static const struct {
        const char *name;
        uint64_t serial;
        uint32_t request;
        int os_errno;
        uint32_t count;
        const char *step;
        const char *detail;
        int has_pid;
    } cases[] = {
        {"05-answer-create", 100, CL_WIRE_CREATE, 0, 0, "", "", 1},
        {"06-answer-exec", 101, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {"08-answer-exec-failed", 102, CL_WIRE_EXEC, ENOENT, 0, "find", "'nonesuch'", 0},
        {"09-answer-exec-again", 103, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {"10-answer-status", 104, CL_WIRE_STATUS, 0, 3, "", "", 0},
        {"12-answer-release", 105, CL_WIRE_RELEASE, 0, 0, "", "", 0},
        {"13-answer-release-enoent", 106, CL_WIRE_RELEASE, ENOENT, 0, "", "", 0},
        {"14-answer-cancel-esrch", 107, CL_WIRE_CANCEL, ESRCH, 0, "", "", 0},
        {"16-answer-signal", 108, CL_WIRE_SIGNAL, 0, 1, "", "", 0},
        {"20-answer-destroy", 109, CL_WIRE_DESTROY, 0, 0, "", "", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_packet packet;

        play(cases[i].name, &packet);
        const struct cl_wire_answer *answer = &packet.u.answer;

        if (answer->head.type != CL_WIRE_ANSWER || answer->head.serial != cases[i].serial ||
            answer->request != cases[i].request || answer->os_errno != cases[i].os_errno ||
            answer->count != cases[i].count || strcmp(answer->step, cases[i].step) != 0 ||
            strcmp(answer->detail, cases[i].detail) != 0 || (answer->pid != 0) != cases[i].has_pid)
            fail_msg("%s: request %u, %d at '%s' '%s', count %u, pid %u", cases[i].name, answer->request,
                     answer->os_errno, answer->step, answer->detail, answer->count, answer->pid);
    }
}

static void test_events(void **state)
{
    static const struct {
        const char *name;
        uint64_t pseq;
        uint32_t status;
        uint32_t flags;
        uint64_t order;
    } cases[] = {
        {"07-exit", FIRST + 1, 7, 0, 1},
        {"17-exit-killed", FIRST + 3, SIGKILL, CL_WIRE_RECORD_SIGNAL, 2},
        {"18-exit-killed-init", FIRST, SIGKILL, CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_INIT, 3},
    };
    struct cl_packet packet;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        play(cases[i].name, &packet);
        const struct cl_wire_record *record = &packet.u.exit.record;

        if (packet.u.head.type != CL_WIRE_EXIT || record->pseq != cases[i].pseq || record->container != 1 ||
            record->state != CL_WIRE_EXITED || record->status != cases[i].status || record->flags != cases[i].flags ||
            record->order != cases[i].order || record->exit_real_ns == 0 || record->start_real_ns != 0)
            fail_msg("%s: pseq %llx, status %u, flags %u", cases[i].name, (unsigned long long)record->pseq,
                     record->status, record->flags);
    }
    play("19-down", &packet);
    assert_int_equal(packet.u.head.type, CL_WIRE_DOWN);
    assert_int_equal(packet.u.down.container, 1);
    play("04-warning", &packet);
    assert_int_equal(packet.u.head.type, CL_WIRE_WARNING);
    assert_int_equal(packet.u.head.serial, 100);
    assert_string_equal(packet.u.warning.step, "mask");
    assert_non_null(strstr(packet.u.warning.detail, "/proc/nothing-here"));
}

static void test_records(void **state)
{
    static const struct {
        uint64_t pseq;
        uint32_t state;
        uint32_t flags;
    } expected[] = {
        {FIRST, CL_WIRE_RUNNING, CL_WIRE_RECORD_INIT},
        {FIRST + 1, CL_WIRE_EXITED, 0},
        {FIRST + 3, CL_WIRE_RUNNING, 0},
    };
    struct cl_wire_record records[4];

    assert_int_equal(load("11-status-records", (uint8_t *)records, sizeof(records)), 3 * sizeof(records[0]));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(records[i].pseq, expected[i].pseq);
        assert_int_equal(records[i].state, expected[i].state);
        assert_int_equal(records[i].flags, expected[i].flags);
        assert_int_equal(records[i].start_real_ns, 0);
    }
    assert_int_equal(records[1].status, 7);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_records),
    };

    folder = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("keeper of version 2", tests, NULL, NULL);
}
