/* SPDX-License-Identifier: Apache-2.0 */
/* Daemons come and go: not a byte is lost or repeated, readers are waited for, and the next one learns everything. */
#include "common/keeper/test_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;

static int open_bed(void **state)
{
    *state = bed_open_listening(program);
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

/* The daemon dies and another takes over. */
static struct cl_wire_hello reconnect(struct bed *bed, uint32_t version, uint64_t resume_ns)
{
    close(bed->sock);
    struct cl_wire_hello hello = bed_connect(bed, version, resume_ns, &bed->sock);

    assert_int_equal(hello.os_errno, 0);
    return hello;
}

/* --- exact under kill -9 --- */

#define LINES 1500000u
#define KILLS 200

_Noreturn static void be_reader(struct tape *tape, uint32_t slot, int out)
{
    ssize_t n;

    if (!reader_resume(tape, slot))
        _exit(1);
    for (int i = 0; (n = reader_move(tape, slot, out, 2000)) != 0; i++) {
        if (n == -EAGAIN)
            reader_wait(tape, slot, 100);
        else if (n < 0)
            _exit(2);
        if (i % 4 == 0)
            usleep(50); /* else it would be done before it has been killed often enough */
    }
    _exit(0);
}

/* Numbered lines must come in order, without a gap and without a repeat, however they are cut. */
struct lines {
    uint32_t next;
    char part[16];
    size_t used;
};

static void check_lines(struct lines *lines, const char *text, size_t size)
{
    char expected[16];

    for (size_t i = 0; i < size; i++) {
        lines->part[lines->used++] = text[i];
        if (text[i] != '\n' && lines->used < sizeof(lines->part) - 1)
            continue;
        lines->part[lines->used] = '\0';
        snprintf(expected, sizeof(expected), "%u\n", lines->next);
        assert_string_equal(lines->part, expected);
        lines->next++;
        lines->used = 0;
    }
}

static void drain_socket(int sock, struct lines *lines)
{
    static char text[1 << 16];
    ssize_t n;

    while ((n = read(sock, text, sizeof(text))) > 0)
        check_lines(lines, text, (size_t)n);
    assert_int_equal(n, 0);
}

/* One daemon's life: a new connection, the slot resumed, killed after `us` (0: left alone to the end). */
static int live_and_die(struct bed *bed, struct tape *tape, uint32_t slot, unsigned int us, struct lines *lines)
{
    int pair[2];
    int status = 0;

    reconnect(bed, CL_WIRE_VERSION, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t daemon = fork();

    if (daemon == 0)
        be_reader(tape, slot, pair[1]);
    close(pair[1]);
    close(bed->sock); /* the child's is the last one */
    bed->sock = -1;
    if (us != 0) {
        usleep(us);
        kill(daemon, SIGKILL);
    }
    drain_socket(pair[0], lines);
    assert_int_equal(waitpid(daemon, &status, 0), daemon);
    close(pair[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_exact(void **state)
{
    struct bed *bed = *state;
    struct lines lines = {.next = 1};
    unsigned int seed = 7;
    char script[64];
    int code = -1;

    snprintf(script, sizeof(script), "exec seq 1 %u", LINES);
    tape_exec(bed, 1, 10, script, CL_TAPE_BLOCK, 128 << 10, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    int kills = 0;

    while (kills < KILLS && code < 0) {
        code = live_and_die(bed, &tape, slot, 1 + (unsigned int)rand_r(&seed) % 1000, &lines);
        kills += code < 0;
    }
    assert_true(kills > 20);
    if (code < 0)
        code = live_and_die(bed, &tape, slot, 0, &lines);
    assert_int_equal(code, 0);
    assert_int_equal(lines.next, LINES + 1);
    assert_int_equal(reader_lost(&tape, slot), 0);
    bed->sock = -1;
    reconnect(bed, CL_WIRE_VERSION, 0);
    tape_close(&tape);
}

/* --- readers left behind --- */

static uint64_t settled(const struct tape *tape)
{
    uint64_t before = UINT64_MAX;

    while (before != TAPE_LOAD(tape->head->tape[1].end)) {
        before = TAPE_LOAD(tape->head->tape[1].end);
        usleep(50000);
    }
    return before;
}

/* Nobody resumes: after a while the own policy holds again, also without any daemon. */
static void test_expiry(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    const uint64_t second = 1000000000;

    reconnect(bed, CL_WIRE_VERSION, second);
    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_DROP, window, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, TAPE_LOAD(tape.head->tape[1].end));

    settled(&tape);
    TAPE_STORE(tape.head->slot[slot].busy, 1); /* it died in the middle */
    close(bed->sock);
    usleep(100000);
    assert_int_equal(TAPE_LOAD(tape.head->slot[slot].busy), 0);
    uint64_t end = TAPE_LOAD(tape.head->tape[1].end);

    usleep(200000);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].end), end); /* it counts, and stands still */
    for (int i = 0; i < 500 && TAPE_LOAD(tape.head->tape[1].end) < end + 10 * window; i++)
        usleep(10000);
    assert_true(TAPE_LOAD(tape.head->tape[1].end) >= end + 10 * window);
    assert_int_equal(TAPE_LOAD(tape.head->slot[slot].state), CL_TAPE_SLOT_FREE);
    assert_false(reader_resume(&tape, slot));
    struct cl_wire_hello hello = bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock);

    assert_int_equal(hello.era, 3);
    assert_int_equal(TAPE_LOAD(tape.head->era), 3);
    tape_close(&tape);
}

/* A resumed reader is as good as new: when its daemon dies too, the time begins again. */
static void test_resumed_twice(void **state)
{
    struct bed *bed = *state;

    reconnect(bed, CL_WIRE_VERSION, 1000000000);
    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_DROP, 64 << 10, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, TAPE_LOAD(tape.head->tape[1].end));

    for (int i = 0; i < 3; i++) {
        reconnect(bed, CL_WIRE_VERSION, 0);
        usleep(700000);
        assert_int_equal(TAPE_LOAD(tape.head->slot[slot].state), CL_TAPE_SLOT_BLOCK);
        assert_true(reader_resume(&tape, slot));
    }
    tape_close(&tape);
}

/* POLICY lets go of readers that are left behind, and of no other. */
static void test_policy_detaches(void **state)
{
    struct bed *bed = *state;
    const uint64_t window = 64 << 10;
    struct cl_wire_policy request;

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_DROP, window, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t left = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, TAPE_LOAD(tape.head->tape[1].end));

    reconnect(bed, CL_WIRE_VERSION, 0);
    uint64_t end = settled(&tape);
    uint32_t living = reader_new(&tape, 1, CL_TAPE_SLOT_DROP, end);

    cl_wire_init(&request, CL_WIRE_POLICY, 0);
    request.pseq = 10;
    request.fd = 1;
    request.policy = CL_TAPE_DROP;
    assert_int_equal(bed_call(bed, &request).os_errno, 0);
    assert_int_equal(TAPE_LOAD(tape.head->slot[left].state), CL_TAPE_SLOT_FREE);
    assert_int_equal(TAPE_LOAD(tape.head->slot[living].state), CL_TAPE_SLOT_DROP);
    for (int i = 0; i < 500 && TAPE_LOAD(tape.head->tape[1].end) < end + 10 * window; i++)
        usleep(10000);
    assert_true(TAPE_LOAD(tape.head->tape[1].end) >= end + 10 * window);
    tape_close(&tape);
}

/* --- what the next daemon learns --- */

static const struct cl_wire_entry *entry_at(const uint8_t *list, size_t size, int index)
{
    const struct cl_wire_entry *entry = NULL;
    size_t at = 0;

    for (int i = 0; i <= index; i++)
        assert_int_equal(cl_wire_entry_next(list, size, &at, &entry), 1);
    return entry;
}

static size_t list(struct bed *bed, uint64_t *bytes, size_t room, uint32_t count)
{
    struct cl_wire_simple request;
    struct stat st;
    const struct cl_wire_entry *entry;
    size_t at = 0;
    uint32_t seen = 0;

    cl_wire_init(&request, CL_WIRE_LIST, 0);
    assert_int_equal(bed_call_fds(bed, &request).count, count);
    assert_int_equal(bed->fd_count, 1);
    assert_int_equal(fstat(bed->fds[0], &st), 0);
    assert_true((size_t)st.st_size <= room);
    assert_int_equal(pread(bed->fds[0], bytes, room, 0), st.st_size);
    close(bed->fds[0]);
    while (cl_wire_entry_next(bytes, (size_t)st.st_size, &at, &entry) == 1)
        seen++;
    assert_int_equal(at, st.st_size);
    assert_int_equal(seen, count);
    return (size_t)st.st_size;
}

static void test_list(void **state)
{
    static const struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}};
    struct bed *bed = *state;
    struct cl_wire_memo memo = {.name_size = 4, .name = "name", .tag_size = 3, .tag = {0, 1, 2}};
    uint64_t bytes[1024];

    bed->stdio = stdio;
    bed->memo = &memo;
    bed_start_exec(bed, 1, 10, "cat; echo error >&2; exit 9");
    size_t size = list(bed, bytes, sizeof(bytes), 2);
    const struct cl_wire_entry *entry = entry_at((uint8_t *)bytes, size, 1);

    assert_int_equal(entry->record.pseq, 10);
    assert_int_equal(entry->record.state, CL_WIRE_RUNNING);
    assert_int_equal(entry->record.flags, CL_WIRE_RECORD_CAPTURED | CL_WIRE_RECORD_STDIN);
    assert_true(entry->record.start_real_ns > UINT64_C(1600000000) * 1000000000);
    assert_memory_equal(cl_wire_entry_name(entry), "name", 4);
    assert_memory_equal(cl_wire_entry_tag(entry), memo.tag, 3);
    assert_int_equal(entry_at((uint8_t *)bytes, size, 0)->name_size, 0);

    struct cl_wire_process request;

    cl_wire_init(&request, CL_WIRE_STDIN_CLOSE, 0);
    request.pseq = 10;
    assert_int_equal(bed_call(bed, &request).os_errno, 0);
    close(bed->sock);
    usleep(300000); /* it ends while nobody is there */
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).os_errno, 0);
    size = list(bed, bytes, sizeof(bytes), 2);
    entry = entry_at((uint8_t *)bytes, size, 1);
    assert_int_equal(entry->record.state, CL_WIRE_EXITED);
    assert_int_equal(entry->record.status, 9);
    assert_int_equal(entry->record.flags, CL_WIRE_RECORD_CAPTURED | CL_WIRE_RECORD_DRAINED);
    assert_int_equal(entry->end[2].state, CL_TAPE_ENDED);
    assert_int_equal(entry->end[2].position, 6);
    assert_int_equal(entry->end[1].state, CL_TAPE_NONE);
    assert_memory_equal(cl_wire_entry_name(entry), "name", 4);
    struct tape tape = tape_open(bed, 10); /* the new connection has tapes, too */

    tape_close(&tape);
    assert_int_equal(bed_release(bed, 10).os_errno, 0);
    list(bed, bytes, sizeof(bytes), 1);
}

/* A daemon of version 2: its sizes, its events, and nothing it does not know. */
static void test_older_daemon(void **state)
{
    struct bed *bed = *state;
    struct cl_packet packet;
    struct cl_wire_release release;

    tape_exec(bed, 1, 10, "sleep 0.2; echo x; exit 2", CL_TAPE_BLOCK, 0, 0);
    assert_int_equal(reconnect(bed, 2, 0).era, 0);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    assert_int_equal(packet.u.head.type, CL_WIRE_EXIT);
    assert_int_equal(packet.u.exit.record.status, 2);
    cl_wire_init_at(&release, CL_WIRE_RELEASE, 77, 2);
    release.pseq = 10;
    assert_int_equal(cl_wire_send(bed->sock, &release, NULL, 0), 0);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    assert_int_equal(packet.u.head.type, CL_WIRE_ANSWER); /* and no DRAINED before it */
    assert_int_equal(packet.u.head.serial, 77);
    assert_int_equal(packet.u.answer.os_errno, 0);
}

/* As long as the old connection lives it is the one; once it is dead nobody has to wait, and its last words count. */
static void test_one_daemon(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_signal last;
    int other;

    bed_start_exec(bed, 1, 10, "sleep 1000");
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &other).os_errno, EBUSY);
    close(other);
    other = bed_dial(bed); /* its HELLO and the other's end reach the keeper together */
    usleep(50000);
    assert_int_equal(kill(bed->pid, SIGSTOP), 0);
    close(bed->sock);
    bed_say_hello(bed, other, CL_WIRE_VERSION, 0);
    assert_int_equal(kill(bed->pid, SIGCONT), 0);
    assert_int_equal(bed_hear_hello(other, CL_WIRE_VERSION).os_errno, 0);
    bed->sock = other;
    for (int i = 0; i < 50; i++)
        reconnect(bed, CL_WIRE_VERSION, 0);
    cl_wire_init(&last, CL_WIRE_SIGNAL, 5);
    last.target = 10;
    last.signal = SIGKILL;
    assert_int_equal(cl_wire_send(bed->sock, &last, NULL, 0), 0);
    reconnect(bed, CL_WIRE_VERSION, 0);
    for (int i = 0; i < 500 && bed_processes(bed) > 1; i++)
        usleep(10000);
    assert_int_equal(bed_processes(bed), 1);
}

static void expect_closed(int sock)
{
    struct pollfd look = {.fd = sock};

    assert_int_equal(poll(&look, 1, 5000), 1);
    assert_true(look.revents & POLLHUP);
    close(sock);
}

/* Whoever does not say our cookie and id learns them, and nothing else: the daemon's place stays free. */
static void test_foreign(void **state)
{
    struct bed *bed = *state;
    static const struct {
        uint64_t cookie;
        const char *id;
    } cases[] = {{0, ""}, {0xabcdee, "0123456789abcdef"}, {0xabcdef, "0123456789abcdee"}, {0xabcdef, ""}};

    close(bed->sock);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cl_wire_hello hello;
        int sock = bed_dial(bed);

        cl_wire_init(&hello, CL_WIRE_HELLO, 9);
        hello.version = CL_WIRE_VERSION;
        hello.cookie = cases[i].cookie;
        memcpy(hello.id, cases[i].id, strlen(cases[i].id));
        hello.resume_ns = 1;
        assert_int_equal(cl_wire_send(sock, &hello, NULL, 0), 0);
        hello = bed_hear_hello(sock, CL_WIRE_VERSION);
        assert_int_equal(hello.os_errno, EPERM);
        assert_int_equal(hello.era, 1);
        expect_closed(sock);
    }
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).era, 2);
}

/* A connection that the keeper gives up says nothing of a daemon that lives and may be sending just now. */
static void test_given_up(void **state)
{
    struct bed *bed = *state;

    tape_exec(bed, 1, 10, "exec yes", CL_TAPE_BLOCK, 64 << 10, 0);
    struct tape tape = tape_open(bed, 10);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    TAPE_STORE(tape.head->slot[slot].busy, 1);
    assert_int_equal(send(bed->sock, "nonsense", 8, 0), 8);
    expect_closed(bed->sock);
    usleep(50000);
    assert_int_equal(TAPE_LOAD(tape.head->slot[slot].busy), 1);
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).os_errno, 0);
    assert_int_equal(TAPE_LOAD(tape.head->slot[slot].busy), 0);
    tape_close(&tape);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exact, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_expiry, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_resumed_twice, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_policy_detaches, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_list, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_older_daemon, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_one_daemon, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_foreign, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_given_up, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper and later daemons", tests, NULL, NULL);
}
