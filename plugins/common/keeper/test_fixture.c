/* SPDX-License-Identifier: Apache-2.0 */
/* What keepers of versions 2 and 3 really said, played through today's decoder: fixtures/README tells how it was
 * recorded. */
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

static size_t load(uint32_t version, const char *name, uint8_t *bytes, size_t room)
{
    char path[512];
    unsigned int byte;
    size_t size = 0;

    snprintf(path, sizeof(path), "%s/%u/%s.hex", folder, version, name);
    FILE *file = fopen(path, "re");

    if (file == NULL)
        fail_msg("%s is missing", path);
    while (size < room && fscanf(file, "%2x", &byte) == 1)
        bytes[size++] = (uint8_t)byte;
    fclose(file);
    return size;
}

/* As it would arrive, with as many descriptors; what lay in the packet before must not shine through. */
static void play(uint32_t version, const char *name, struct cl_packet *packet)
{
    union {
        struct cl_wire_head head;
        uint8_t bytes[CL_WIRE_MESSAGE_MAX];
    } saved;
    int fds[4] = {0, 0, 0, 0};
    int pair[2];
    size_t size = load(version, name, saved.bytes, sizeof(saved.bytes));

    assert_int_equal(saved.head.size, size);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(cl_wire_send(pair[0], &saved, fds, saved.head.fds), 0);
    memset(packet, 0xee, sizeof(*packet));
    int r = cl_wire_recv(pair[1], packet);

    if (r < 0)
        fail_msg("%s: %d", name, r);
    for (size_t i = size; i < sizeof(packet->u.bytes); i++)
        assert_int_equal(packet->u.bytes[i], 0);
    assert_int_equal(size, cl_wire_size_at(packet->u.head.type, version));
    cl_packet_clear(packet);
    close(pair[0]);
    close(pair[1]);
}

static void test_hello(void **state)
{
    static const struct {
        uint32_t version;
        const char *name;
        uint64_t serial;
        int os_errno;
        const char *step;
        uint32_t era;
    } cases[] = {
        {2, "01-hello-ready", 1, 0, "ready", 0},     {2, "02-hello-eproto", 9, EPROTO, "version", 0},
        {2, "03-hello-ebusy", 9, EBUSY, "ready", 0}, {2, "15-hello-later", 9, 0, "ready", 0},
        {3, "01-hello-ready", 1, 0, "ready", 1},     {3, "02-hello-eproto", 9, EPROTO, "version", 1},
        {3, "03-hello-ebusy", 9, EBUSY, "ready", 1}, {3, "24-hello-later", 9, 0, "ready", 2},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_packet packet;

        play(cases[i].version, cases[i].name, &packet);
        const struct cl_wire_hello *hello = &packet.u.hello;

        if (hello->head.type != CL_WIRE_HELLO || hello->head.serial != cases[i].serial ||
            hello->version != cases[i].version || hello->os_errno != cases[i].os_errno ||
            strcmp(hello->step, cases[i].step) != 0 || hello->era != cases[i].era)
            fail_msg("%u/%s: version %u, era %u, %d at '%s'", cases[i].version, cases[i].name, hello->version,
                     hello->era, hello->os_errno, hello->step);
        assert_int_equal(hello->cookie, 0x1122334455667788);
        assert_string_equal(hello->id, "abcdefghij234567");
    }
}

static void test_answers(void **state)
{
    static const struct {
        uint32_t version;
        const char *name;
        uint64_t serial;
        uint32_t request;
        int os_errno;
        uint32_t count;
        const char *step;
        const char *detail;
        int has_pid;
    } cases[] = {
        {2, "05-answer-create", 100, CL_WIRE_CREATE, 0, 0, "", "", 1},
        {2, "06-answer-exec", 101, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {2, "08-answer-exec-failed", 102, CL_WIRE_EXEC, ENOENT, 0, "find", "'nonesuch'", 0},
        {2, "09-answer-exec-again", 103, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {2, "10-answer-status", 104, CL_WIRE_STATUS, 0, 3, "", "", 0},
        {2, "12-answer-release", 105, CL_WIRE_RELEASE, 0, 0, "", "", 0},
        {2, "13-answer-release-enoent", 106, CL_WIRE_RELEASE, ENOENT, 0, "", "", 0},
        {2, "14-answer-cancel-esrch", 107, CL_WIRE_CANCEL, ESRCH, 0, "", "", 0},
        {2, "16-answer-signal", 108, CL_WIRE_SIGNAL, 0, 1, "", "", 0},
        {2, "20-answer-destroy", 109, CL_WIRE_DESTROY, 0, 0, "", "", 0},
        {3, "05-answer-create", 100, CL_WIRE_CREATE, 0, 0, "", "", 1},
        {3, "06-answer-exec", 101, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {3, "08-answer-exec-failed", 102, CL_WIRE_EXEC, ENOENT, 0, "find", "'nonesuch'", 0},
        {3, "09-answer-exec-pipes", 103, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {3, "10-answer-tape", 104, CL_WIRE_TAPE, 0, 0, "", "", 0},
        {3, "11-answer-stdin", 105, CL_WIRE_STDIN, 0, 0, "", "", 0},
        {3, "12-answer-policy", 106, CL_WIRE_POLICY, 0, 0, "", "", 0},
        {3, "13-answer-stdin-close", 107, CL_WIRE_STDIN_CLOSE, 0, 0, "", "", 0},
        {3, "16-answer-stdin-epipe", 108, CL_WIRE_STDIN, EPIPE, 0, "", "", 0},
        {3, "17-answer-exec-again", 109, CL_WIRE_EXEC, 0, 0, "", "", 1},
        {3, "18-answer-tape-enodata", 110, CL_WIRE_TAPE, ENODATA, 0, "", "", 0},
        {3, "19-answer-list", 111, CL_WIRE_LIST, 0, 4, "", "", 0},
        {3, "21-answer-release", 112, CL_WIRE_RELEASE, 0, 0, "", "", 0},
        {3, "22-answer-release-enoent", 113, CL_WIRE_RELEASE, ENOENT, 0, "", "", 0},
        {3, "23-answer-cancel-esrch", 114, CL_WIRE_CANCEL, ESRCH, 0, "", "", 0},
        {3, "25-answer-signal", 115, CL_WIRE_SIGNAL, 0, 1, "", "", 0},
        {3, "29-answer-destroy", 116, CL_WIRE_DESTROY, 0, 0, "", "", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_packet packet;

        play(cases[i].version, cases[i].name, &packet);
        const struct cl_wire_answer *answer = &packet.u.answer;

        if (answer->head.type != CL_WIRE_ANSWER || answer->head.serial != cases[i].serial ||
            answer->request != cases[i].request || answer->os_errno != cases[i].os_errno ||
            answer->count != cases[i].count || strcmp(answer->step, cases[i].step) != 0 ||
            strcmp(answer->detail, cases[i].detail) != 0 || (answer->pid != 0) != cases[i].has_pid)
            fail_msg("%u/%s: serial %llu, request %u, %d at '%s' '%s', count %u, pid %u", cases[i].version,
                     cases[i].name, (unsigned long long)answer->head.serial, answer->request, answer->os_errno,
                     answer->step, answer->detail, answer->count, answer->pid);
    }
}

static void test_exits(void **state)
{
    static const struct {
        uint32_t version;
        const char *name;
        uint64_t pseq;
        uint32_t status;
        uint32_t flags;
        uint64_t order;
    } cases[] = {
        {2, "07-exit", FIRST + 1, 7, 0, 1},
        {2, "17-exit-killed", FIRST + 3, SIGKILL, CL_WIRE_RECORD_SIGNAL, 2},
        {2, "18-exit-killed-init", FIRST, SIGKILL, CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_INIT, 3},
        {3, "07-exit", FIRST + 1, 7, CL_WIRE_RECORD_DRAINED, 1},
        {3, "14-exit-pipes", FIRST + 3, 0, CL_WIRE_RECORD_CAPTURED, 2},
        {3, "26-exit-killed", FIRST + 4, SIGKILL, CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_DRAINED, 3},
        {3, "27-exit-killed-init", FIRST, SIGKILL, CL_WIRE_RECORD_SIGNAL | CL_WIRE_RECORD_INIT | CL_WIRE_RECORD_DRAINED,
         4},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_packet packet;

        play(cases[i].version, cases[i].name, &packet);
        const struct cl_wire_record *record = &packet.u.exit.record;

        if (packet.u.head.type != CL_WIRE_EXIT || record->pseq != cases[i].pseq || record->container != 1 ||
            record->state != CL_WIRE_EXITED || record->status != cases[i].status || record->flags != cases[i].flags ||
            record->order != cases[i].order || record->exit_real_ns == 0 ||
            (record->start_real_ns != 0) != (cases[i].version >= 3))
            fail_msg("%u/%s: pseq %llx, status %u, flags %u", cases[i].version, cases[i].name,
                     (unsigned long long)record->pseq, record->status, record->flags);
    }
}

static void test_events(void **state)
{
    static const struct {
        uint32_t version;
        const char *warning;
        const char *down;
    } cases[] = {{2, "04-warning", "19-down"}, {3, "04-warning", "28-down"}};
    struct cl_packet packet;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        play(cases[i].version, cases[i].down, &packet);
        assert_int_equal(packet.u.head.type, CL_WIRE_DOWN);
        assert_int_equal(packet.u.down.container, 1);
        play(cases[i].version, cases[i].warning, &packet);
        assert_int_equal(packet.u.head.type, CL_WIRE_WARNING);
        assert_int_equal(packet.u.head.serial, 100);
        assert_string_equal(packet.u.warning.step, "mask");
        assert_non_null(strstr(packet.u.warning.detail, "/proc/nothing-here"));
    }
    play(3, "15-drained", &packet);
    assert_int_equal(packet.u.head.type, CL_WIRE_DRAINED);
    assert_int_equal(packet.u.drained.pseq, FIRST + 3);
    assert_int_equal(packet.u.drained.end[1].position, strlen("helloend\n"));
    assert_int_equal(packet.u.drained.end[1].state, CL_TAPE_ENDED);
    assert_int_equal(packet.u.drained.end[2].state, CL_TAPE_NONE);
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

    assert_int_equal(load(2, "11-status-records", (uint8_t *)records, sizeof(records)), 3 * sizeof(records[0]));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(records[i].pseq, expected[i].pseq);
        assert_int_equal(records[i].state, expected[i].state);
        assert_int_equal(records[i].flags, expected[i].flags);
        assert_int_equal(records[i].start_real_ns, 0);
    }
    assert_int_equal(records[1].status, 7);
}

static void test_entries(void **state)
{
    static const struct {
        uint64_t pseq;
        uint32_t state;
        uint32_t flags;
        uint64_t end; /* of the tape of 1 */
        const char *name;
        const char *tag;
    } expected[] = {
        {FIRST, CL_WIRE_RUNNING, CL_WIRE_RECORD_INIT, 0, "init", "one"},
        {FIRST + 1, CL_WIRE_EXITED, CL_WIRE_RECORD_DRAINED, 0, "", ""},
        {FIRST + 3, CL_WIRE_EXITED, CL_WIRE_RECORD_DRAINED | CL_WIRE_RECORD_CAPTURED, 9, "cat", "two"},
        {FIRST + 4, CL_WIRE_RUNNING, 0, 0, "", ""},
    };
    uint64_t bytes[256];
    size_t size = load(3, "20-list-entries", (uint8_t *)bytes, sizeof(bytes));
    const struct cl_wire_entry *entry;
    size_t at = 0;

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(cl_wire_entry_next(bytes, size, &at, &entry), 1);
        assert_int_equal(entry->record.pseq, expected[i].pseq);
        assert_int_equal(entry->record.state, expected[i].state);
        assert_int_equal(entry->record.flags, expected[i].flags);
        assert_int_equal(entry->end[1].position, expected[i].end);
        assert_int_equal(entry->name_size, strlen(expected[i].name));
        assert_memory_equal(cl_wire_entry_name(entry), expected[i].name, entry->name_size);
        assert_int_equal(entry->tag_size, strlen(expected[i].tag));
        assert_memory_equal(cl_wire_entry_tag(entry), expected[i].tag, entry->tag_size);
    }
    assert_int_equal(cl_wire_entry_next(bytes, size, &at, &entry), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),  cmocka_unit_test(test_answers), cmocka_unit_test(test_exits),
        cmocka_unit_test(test_events), cmocka_unit_test(test_records), cmocka_unit_test(test_entries),
    };

    folder = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("keepers of old", tests, NULL, NULL);
}
