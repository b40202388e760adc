/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_output.c - argv as test_backend's. Captured output and stdin through the vtable. The one with the kills runs
 * itself as the daemon ("daemon" as the third argument), many times over, each taking over from the one killed before.
 */
#include "house.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct cloister_stdio pipe_entry(uint64_t window, uint32_t policy)
{
    return (struct cloister_stdio){.kind = CLOISTER_STDIO_PIPE, .fd = -1, .window = window, .policy = policy};
}

static struct bed_sandbox *create(const char *command, struct cloister_stdio input, struct cloister_stdio output)
{
    struct bed_sandbox *s = house_prepare(ID_A, command);
    struct bed_outcome out;

    s->stdio[0] = input;
    s->stdio[1] = output;
    s->stdio[2] = (struct cloister_stdio){.kind = CLOISTER_STDIO_SAME_AS, .fd = 1};
    s->process.stdio_count = 3;
    house_create(s, &out);
    return s;
}

static const struct cloister_stdio null_entry = {.kind = CLOISTER_STDIO_NULL, .fd = -1};

/* --- a reader in this process --- */

struct sink {
    cloister_stream *stream;
    char text[65536];
    size_t size;
    unsigned ended; /* enum cloister_verdict */
    unsigned closed;
};

static void on_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count)
{
    struct sink *sink = ctx;

    assert_true(sink->size + bytes.size < sizeof(sink->text));
    memcpy(sink->text + sink->size, bytes.data, bytes.size);
    sink->size += bytes.size;
    sink->text[sink->size] = 0;
}

static void on_end(void *ctx, uint32_t verdict, int32_t os_errno)
{
    struct sink *sink = ctx;

    sink->ended = verdict;
}

static void on_closed(void *ctx)
{
    struct sink *sink = ctx;

    sink->closed = 1;
}

static void read_into(struct sink *sink, cloister_stream *stream)
{
    static const struct cloister_stream_reader reader = {CLOISTER_INIT(struct cloister_stream_reader), .data = on_data,
                                                         .end = on_end};

    memset(sink, 0, sizeof(*sink));
    sink->stream = stream;
    assert_non_null(stream);
    assert_int_equal(bed_host()->stream->read_start(stream, &reader, sink), 0);
}

static void close_sink(struct sink *sink)
{
    bed_host()->stream->abort(sink->stream, on_closed, sink);
    assert_true(bed_until(&sink->closed));
}

static void attach_ok(struct bed_sandbox *s, uint32_t from, uint64_t position, struct bed_outcome *out)
{
    bed_attach(s, s->args.init, 1, from, position, CLOISTER_POLICY_BLOCK, out);
    if (out->err.code)
        fail_msg("attach: %s", out->sentence);
}

static void test_read(void **state)
{
    struct bed_sandbox *s = create("/bin/sh -c|echo one; echo two >&2; exit 5", null_entry, pipe_entry(0, 0));
    struct bed_outcome out;
    static struct sink sink;

    assert_int_equal(bed_exit_of(s->args.init).value, 5);
    assert_true(bed_until(&bed.drained_count));
    assert_int_equal(bed.drained[0].process, s->args.init);
    assert_int_equal(bed.drained[0].count, 1);
    assert_int_equal(bed.drained[0].outputs[0].fd, 1);
    assert_int_equal(bed.drained[0].outputs[0].position, 8);
    assert_int_equal(bed.drained[0].outputs[0].flags, 0);

    attach_ok(s, CLOISTER_ATTACH_OLDEST, 0, &out);
    assert_int_equal(out.result.position, 0);
    assert_int_equal(out.result.end, 8);
    read_into(&sink, out.result.stream);
    assert_true(bed_until(&sink.ended));
    assert_int_equal(sink.ended, CLOISTER_EOF);
    assert_string_equal(sink.text, "one\ntwo\n");
    close_sink(&sink);

    attach_ok(s, CLOISTER_ATTACH_POSITION, 4, &out);
    assert_int_equal(out.result.position, 4);
    read_into(&sink, out.result.stream);
    assert_true(bed_until(&sink.ended));
    assert_string_equal(sink.text, "two\n");
    close_sink(&sink);

    attach_ok(s, CLOISTER_ATTACH_LIVE, 0, &out);
    assert_int_equal(out.result.position, 8);
    read_into(&sink, out.result.stream);
    assert_true(bed_until(&sink.ended));
    assert_int_equal(sink.size, 0);
    close_sink(&sink);

    bed_attach(s, s->args.init, 1, CLOISTER_ATTACH_POSITION, 9, CLOISTER_POLICY_BLOCK, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID);
    bed_attach(s, s->args.init, 2, CLOISTER_ATTACH_OLDEST, 0, CLOISTER_POLICY_BLOCK, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED); /* it is the same as 1 */
    bed_attach(s, 77, 1, CLOISTER_ATTACH_OLDEST, 0, CLOISTER_POLICY_BLOCK, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    house_destroy(s);
}

/* A reader that waits is woken; the descriptor of the sandbox count returns to what it was. */
static unsigned open_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_wake_and_limit(void **state)
{
    struct bed_sandbox *s =
        create("/bin/sh -c|while read a; do echo got $a; done; exit 3", pipe_entry(0, 0), pipe_entry(0, 0));
    unsigned before = open_descriptors();
    cloister_stream *streams[16];
    static struct sink sink;
    struct bed_outcome out;

    for (unsigned i = 0; i < 16; i++) {
        attach_ok(s, CLOISTER_ATTACH_LIVE, 0, &out);
        streams[i] = out.result.stream;
    }
    assert_int_equal(open_descriptors(), before + 3); /* one memfd, two eventfds, however many readers */
    bed_attach(s, s->args.init, 1, CLOISTER_ATTACH_LIVE, 0, CLOISTER_POLICY_BLOCK, &out);
    assert_int_equal(out.err.code, CLOISTER_LIMIT);
    for (unsigned i = 1; i < 16; i++)
        bed_host()->stream->abort(streams[i], NULL, NULL);
    read_into(&sink, streams[0]);
    bed_turns(50);
    assert_int_equal(sink.size, 0);

    bed_stdin(s, s->args.init, false, &out);
    if (out.err.code)
        fail_msg("stdin: %s", out.sentence);
    assert_int_equal(bed_host()->stream->write(out.result.stream, CLOISTER_SV("a\nb\n")), 0);
    for (unsigned i = 0; i < 400 && sink.size < 12; i++)
        bed_turns(5);
    assert_string_equal(sink.text, "got a\ngot b\n");
    bed_host()->stream->finish(out.result.stream, NULL, NULL); /* the end of a writer is no EOF */
    bed_turns(100);
    assert_int_equal(bed.exit_count, 0);
    bed_stdin(s, s->args.init, true, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(s->args.init).value, 3);
    bed_stdin(s, s->args.init, true, &out);
    assert_int_equal(out.err.code, 0);
    bed_stdin(s, s->args.init, false, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    assert_true(bed_until(&sink.ended));
    assert_int_equal(sink.ended, CLOISTER_EOF);
    close_sink(&sink);
    bed_turns(20);
    assert_int_equal(open_descriptors(), before);
    house_destroy(s);
}

/* The keeper's death ends a stream as what it is; so does the release of an exited process. */
static void test_ends(void **state)
{
    struct cloister_stdio stdio[3] = {null_entry, pipe_entry(0, CLOISTER_POLICY_DROP), null_entry};
    struct bed_sandbox *s = create("/bin/sleep 100", null_entry, pipe_entry(0, 0));
    static struct sink sink, other;
    struct bed_outcome out;

    bed_exec_with(s, 5001, "/bin/echo bye", stdio, "", "", &out);
    assert_int_equal(out.err.code, 0);
    bed_exit_of(5001);
    bed_attach(s, 5001, 1, CLOISTER_ATTACH_OLDEST, 0, CLOISTER_POLICY_DROP, &out);
    assert_int_equal(out.err.code, 0);
    read_into(&other, out.result.stream);
    assert_true(bed_until(&other.ended));
    assert_string_equal(other.text, "bye\n");
    bed_release(s, 5001, &out);
    assert_int_equal(out.err.code, 0);
    bed_attach(s, 5001, 1, CLOISTER_ATTACH_OLDEST, 0, CLOISTER_POLICY_DROP, &out);
    assert_int_not_equal(out.err.code, 0);
    close_sink(&other);

    attach_ok(s, CLOISTER_ATTACH_OLDEST, 0, &out);
    read_into(&sink, out.result.stream);
    bed_turns(20);
    bed_destroy(s, &out);
    assert_int_equal(out.err.code, 0);
    assert_true(bed_until(&sink.ended)); /* killed: its pipe has ended all the same */
    close_sink(&sink);
    house_free(s);
}

/* --- killed again and again --- */

#define LINES 1000000u /* a killed daemon leaves as much as a socket holds: enough for every kill */

static unsigned relay_done;

static void on_relayed(void *ctx, cloister_op op, const struct cloister_relay_result *result)
{
    relay_done = result->end == CLOISTER_RELAY_EOF ? 1 : 2;
}

static struct bed_sandbox *take_over(const char *command)
{
    struct bed_sandbox *s = house_prepare(ID_A, command);
    struct bed_inventory inventory;

    house_read_plan(s);
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    return s;
}

/* The daemon: "make" or a position to go on at, "resume"; the bytes go to descriptor 3. Ends when they do. */
static int be_daemon(const char *what)
{
    struct cloister_relay_args relay = {CLOISTER_INIT(struct cloister_relay_args), .done = on_relayed};
    struct bed_sandbox *s;
    struct bed_outcome out;
    cloister_op op;
    char command[96];

    snprintf(command, sizeof(command), "/bin/seq 1 %u", LINES);
    if (strcmp(what, "make") == 0) {
        s = create(command, null_entry, pipe_entry(65536, CLOISTER_POLICY_BLOCK));
        house_write_plan(s);
        attach_ok(s, CLOISTER_ATTACH_OLDEST, 0, &out);
    } else {
        s = take_over(command);
        if (strcmp(what, "end") == 0) {
            house_destroy(s);
            return 0;
        }
        attach_ok(s, strcmp(what, "resume") == 0 ? CLOISTER_ATTACH_RESUME : CLOISTER_ATTACH_POSITION,
                  strtoull(what, NULL, 10), &out);
        assert_int_equal(out.result.lost, 0);
    }
    relay.src = out.result.stream;
    assert_int_equal(bed_host()->stream->from_fd(bed_host(), 3, &relay.dst), 0);
    assert_int_equal(bed_host()->stream->relay(bed_host(), &relay, &op), 0);
    assert_true(bed_until(&relay_done));
    return relay_done == 1 ? 0 : 1;
}

static pid_t start_daemon(const char *what, int *ret_fd)
{
    int pair[2];
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid = house_daemon(what, "", pair[1], 3);
    close(pair[1]);
    *ret_fd = pair[0];
    return pid;
}

/* The next byte of "1\n2\n3\n...". */
struct counter {
    unsigned number;
    char text[16];
    size_t at;
    uint64_t total;
};

static void expect(struct counter *counter, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (counter->text[counter->at] == 0) {
            snprintf(counter->text, sizeof(counter->text), "%u\n", ++counter->number);
            counter->at = 0;
        }
        if (bytes[i] != counter->text[counter->at++])
            fail_msg("byte %llu is not what it should be, near line %u", (unsigned long long)counter->total,
                     counter->number);
        counter->total++;
    }
}

/* True: to the end; else it was killed before. */
static bool read_and_kill(pid_t pid, int fd, uint64_t until, struct counter *counter)
{
    bool killed = false;
    char buffer[2048];
    int status;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        expect(counter, buffer, (size_t)n);
        if (!killed && counter->total >= until) {
            kill(pid, SIGKILL);
            killed = true;
        }
    }
    close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        fail_msg("a daemon ended with status 0x%x after byte %llu", status, (unsigned long long)counter->total);
    return !killed;
}

static void test_kills(void **state)
{
    struct counter counter = {0};
    char what[32] = "make";
    unsigned kills = 0;
    bool ended = false;
    pid_t pid;
    int fd;

    for (unsigned seed = 12345; !ended; kills++) {
        seed = seed * 1103515245u + 12345u;
        pid = start_daemon(what, &fd);
        ended = read_and_kill(pid, fd, kills < 20 ? counter.total + 1 + (seed >> 8) % 60000u : UINT64_MAX, &counter);
        if (seed & 0x10000u)
            snprintf(what, sizeof(what), "resume");
        else
            snprintf(what, sizeof(what), "%llu", (unsigned long long)counter.total);
    }
    assert_int_equal(counter.number, LINES);
    assert_true(kills > 10);
    pid = start_daemon("end", &fd);
    assert_true(read_and_kill(pid, fd, UINT64_MAX, &counter));
    assert_int_equal(bed_group_count(), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_read),
        HOUSE_TEST(test_wake_and_limit),
        HOUSE_TEST(test_ends),
        HOUSE_TEST(test_kills),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), be_daemon);
}
