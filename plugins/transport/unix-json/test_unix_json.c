/* SPDX-License-Identifier: Apache-2.0 */
/* The transport between a fake stream and a fake host that keeps what it is told. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_host.h"

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void);

static const struct cloister_transport *transport;
static struct cloister_host host;
static void *instance, *conn_state;
static cloister_stream *stream;
static char story[4096];

static struct {
    void *wire[2000];
    unsigned count;
    int fds[64];
    unsigned fd_count;
    bool answer_at_once;
} seen;

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
    va_list args;
    size_t used = strlen(story);
    va_start(args, format);
    (void)vsnprintf(story + used, sizeof(story) - used, format, args);
    va_end(args);
}

static uint32_t answer(void *wire, uint32_t klass, const char *body, uint32_t closes)
{
    struct cloister_answer args = {CLOISTER_INIT(struct cloister_answer), .klass = klass, .body = {body, strlen(body)},
                                   .closes = closes};
    return transport->answer(instance, conn_state, wire, &args);
}

/* ---- the fake host ---- */

static cloister_exchange *on_head(cloister_conn *conn, void *wire, const struct cloister_head *head,
                                  struct cloister_body_policy *ret)
{
    (void)conn;
    tell("head(%.*s) ", (int)head->op.size, head->op.data);
    for (uint32_t i = 0; i < head->descriptor_count; i++)
        seen.fds[seen.fd_count++] = head->descriptors[i].fd;
    ret->answered = 0;
    seen.wire[seen.count++] = wire;
    return (cloister_exchange *)wire;
}

static void on_body(cloister_exchange *exchange, struct cloister_sv bytes, cloister_value *document, uint32_t last)
{
    struct cloister_sv text;
    (void)bytes;
    (void)last;
    if (cl_value_table.count(document) > 0 && cl_value_table.print(document, 0, &text) == 0) {
        tell("body(%.*s) ", (int)text.size, text.data);
        cl_value_table.free_text(text);
    }
    cl_value_table.free(document);
    if (seen.answer_at_once)
        (void)answer(exchange, 200, "{}", 0);
}

static void on_fault(cloister_conn *conn, cloister_exchange *exchange, void *wire, const struct cloister_fault *fault)
{
    (void)conn;
    (void)exchange;
    tell("fault(%u) ", fault->kind);
    (void)answer(wire, 400, "0", fault->closes);
}

static void on_eof(cloister_conn *conn)
{
    (void)conn;
    tell("eof ");
}

static void on_lost(cloister_conn *conn, uint32_t verdict, int32_t os_errno, const char *why)
{
    (void)conn;
    (void)os_errno;
    tell("lost(%u %s) ", verdict, why ? why : "-");
}

static void on_room(cloister_conn *conn)
{
    (void)conn;
    tell("room ");
}

static void on_sent(cloister_conn *conn, uint64_t pushes)
{
    (void)conn;
    tell("sent(%u) ", (unsigned)pushes);
}

static const struct cloister_transport_api api = {CLOISTER_INIT(struct cloister_transport_api),
                                                  .head = on_head,
                                                  .body = on_body,
                                                  .fault = on_fault,
                                                  .peer_eof = on_eof,
                                                  .lost = on_lost,
                                                  .room = on_room,
                                                  .sent = on_sent};

static int set_up(void **state)
{
    const struct cloister_plugin *plugin = cloister_plugin_entry();
    struct cloister_option_value options[16] = {{0}};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)state;
    story[0] = 0;
    memset(&seen, 0, sizeof(seen));
    fake_host_init(&host);
    host.transport = &api;
    for (uint32_t i = 0; i < plugin->option_count; i++)
        options[i].number = strtoull(plugin->options[i].fallback, NULL, 10);
    struct cloister_create_args args = {CLOISTER_INIT(struct cloister_create_args), .host = &host, .options = options,
                                        .option_size = sizeof(options[0]), .option_count = plugin->option_count};
    transport = plugin->vtable;
    stream = fake_stream_new();
    return transport->life.create(&args, &instance, &err) ||
           transport->attach(instance, NULL, stream, CLOISTER_ROLE_LISTENED, &conn_state);
}

static int tear_down(void **state)
{
    (void)state;
    transport->detach(instance, conn_state);
    fake_turn();
    transport->life.destroy(instance);
    fake_stream_free(stream);
    return 0;
}

static void receive_with(const char *text, int fd_count)
{
    int fds[64] = {0};
    for (int i = 0; i < fd_count; i++)
        fds[i] = dup(2);
    stream->reader.data(stream->ctx, (struct cloister_sv){text, strlen(text)}, fds, (uint32_t)fd_count);
}

static void receive(const char *text)
{
    receive_with(text, 0);
}

#define LINE(id, method) "{\"id\":" #id ",\"method\":\"" method "\"}\n"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* ---- frames in and out ---- */

static void test_envelope(void **state)
{
    (void)state;
    receive("{\"id\":1,\"method\":\"a\",\"par");
    receive("ams\":{\"k\":[1]}}\r\n\n{\"id\":\"x\\n<\",\"method\":\"b\"}\n");
    assert_string_equal(story, "head(a) body({\"k\":[1]}) head(b) ");
    assert_int_equal(answer(seen.wire[1], 201, "{\"n\":\n18446744073709551615}", 0), CLOISTER_PUSH_OK);
    assert_int_equal(answer(seen.wire[0], 404, "{\"e\":1}", 0), CLOISTER_PUSH_OK);
    assert_string_equal(
        fake_stream_read(stream),
        "{\"id\":\"x\\n<\",\"result\":{\"n\": 18446744073709551615}}\n{\"id\":1,\"error\":{\"e\":1}}\n");
    assert_int_equal(answer(NULL, 403, "{}", 1), CLOISTER_PUSH_OK); /* of the connection as a whole */
    assert_string_equal(fake_stream_read(stream), "{\"id\":null,\"error\":{}}\n");
    assert_true(strstr(story, "lost(1 -)"));
}

static void test_largest_id(void **state)
{
    (void)state;
    receive("{\"id\":18446744073709551615,\"method\":\"a\"}\n{\"id\":18446744073709551616,\"method\":\"b\"}\n");
    assert_string_equal(story, "head(a) fault(6) ");
    (void)answer(seen.wire[0], 200, "{}", 0);
    assert_string_equal(fake_stream_read(stream),
                        "{\"id\":null,\"error\":0}\n{\"id\":18446744073709551615,\"result\":{}}\n");
}

static void test_limits(void **state)
{
    struct cloister_transport_limits limits = {CLOISTER_INIT(struct cloister_transport_limits)};
    (void)state;
    transport->limits(instance, &limits);
    assert_int_equal(limits.largest_request, 1048576);
    assert_int_equal(limits.largest_answer, 4194304);
}

static void test_too_big_then_small(void **state)
{
    (void)state;
    char *big = malloc((4u << 20) + 2);
    memset(big, 'x', (4u << 20) + 1);
    big[(4u << 20) + 1] = 0;
    receive(LINE(1, "a"));
    assert_int_equal(answer(seen.wire[0], 200, big, 0), CLOISTER_PUSH_TOO_BIG);
    assert_int_equal(answer(seen.wire[0], 200, "{}", 0), CLOISTER_PUSH_OK);
    assert_string_equal(fake_stream_read(stream), "{\"id\":1,\"result\":{}}\n");
    free(big);
}

static void test_id_in_use(void **state)
{
    (void)state;
    receive(LINE(1, "a") LINE(1, "b"));
    assert_string_equal(fake_stream_read(stream), "{\"id\":null,\"error\":0}\n");
    (void)answer(seen.wire[0], 200, "{}", 0);
    receive(LINE(1, "c"));
    assert_string_equal(story, "head(a) fault(6) head(c) ");
}

static void test_pushes(void **state)
{
    struct cloister_answer open = {CLOISTER_INIT(struct cloister_answer), .klass = 200};
    (void)state;
    receive(LINE(9, "events"));
    assert_int_equal(transport->answer_open(instance, conn_state, seen.wire[0], &open), CLOISTER_PUSH_OK);
    assert_int_equal(transport->push(instance, conn_state, seen.wire[0], CLOISTER_SV("{}")), CLOISTER_PUSH_OK);
    assert_int_equal(transport->push(instance, conn_state, seen.wire[0], CLOISTER_SV("1")), CLOISTER_PUSH_OK);
    assert_string_equal(fake_stream_read(stream), "{\"id\":9,\"result\":{}}\n{\"sub\":9,\"seq\":1,\"payload\":{}}\n"
                                                  "{\"sub\":9,\"seq\":2,\"payload\":1}\n");
    assert_string_equal(story, "head(events) ");
    fake_turn();
    assert_string_equal(story, "head(events) sent(2) ");
    receive(LINE(9, "taken"));
    assert_string_equal(story, "head(events) sent(2) fault(6) ");
    transport->end(instance, conn_state, seen.wire[0]);
    receive(LINE(9, "free"));
    assert_string_equal(story, "head(events) sent(2) fault(6) head(free) ");
}

static void test_slow_reader(void **state)
{
    struct cloister_answer open = {CLOISTER_INIT(struct cloister_answer), .klass = 200};
    char kilobyte[1024];
    unsigned taken = 0;
    (void)state;
    memset(kilobyte, '1', sizeof(kilobyte));
    receive(LINE(9, "events"));
    (void)transport->answer_open(instance, conn_state, seen.wire[0], &open);
    stream->stuck = true;
    while (taken < 1000 && transport->push(instance, conn_state, seen.wire[0],
                                           (struct cloister_sv){kilobyte, sizeof(kilobyte)}) == CLOISTER_PUSH_OK)
        taken++;
    assert_in_range(taken, 240, 256); /* 256 KiB */
    fake_now += 60000000000u;
    fake_turn();
    assert_null(strstr(story, "lost")); /* a blocked push is not pending output */
    fake_stream_take(stream);
    assert_true(strstr(story, "room "));
    char sent[32];
    (void)snprintf(sent, sizeof(sent), "sent(%u) ", taken);
    assert_true(strstr(story, sent));
}

static void test_stalled_answer(void **state)
{
    (void)state;
    receive(LINE(1, "a") LINE(2, "b"));
    stream->stuck = true;
    (void)answer(seen.wire[0], 200, "{}", 0);
    fake_now += 29000000000u;
    fake_turn();
    assert_null(strstr(story, "lost"));
    stream->taken++; /* progress, if only a byte */
    fake_now += 2000000000u;
    fake_turn();
    assert_null(strstr(story, "lost"));
    fake_now += 30000000000u;
    fake_turn();
    assert_true(strstr(story, "lost(2 an answer was not taken)"));
    assert_int_equal(answer(seen.wire[1], 200, "{}", 0), CLOISTER_PUSH_GONE);
}

/* The limit counts from the last progress, give or take one look. */
static void test_stall_after_progress(void **state)
{
    (void)state;
    receive(LINE(1, "a"));
    stream->stuck = true;
    (void)answer(seen.wire[0], 200, "{}", 0);
    stream->taken++;
    for (int second = 0; second < 34; second++) {
        if (second == 30)
            assert_null(strstr(story, "lost"));
        fake_now += 1000000000u;
        fake_turn();
    }
    assert_true(strstr(story, "lost(2 an answer was not taken)"));
}

static void test_unsent_output(void **state)
{
    char *body = calloc(1, (512u << 10) + 1);
    uint32_t result = CLOISTER_PUSH_OK;
    unsigned taken = 0;
    (void)state;
    memset(body, '1', 512u << 10);
    stream->stuck = true;
    while (taken < 100 && result == CLOISTER_PUSH_OK) {
        receive(LINE(1, "a"));
        result = answer(seen.wire[taken++], 200, body, 0);
        (void)fake_stream_read(stream);
    }
    free(body);
    assert_int_equal(result, CLOISTER_PUSH_GONE);
    assert_int_equal(taken, 16); /* 8 MiB */
    assert_true(strstr(story, "lost(2 too much output was not taken)"));
}

/* ---- bad input ---- */

static void test_eight_bad_lines(void **state)
{
    (void)state;
    receive(LINE(0, "first"));
    for (int i = 0; i < 7; i++)
        receive("x\n");
    receive(LINE(1, "a"));
    for (int i = 0; i < 7; i++)
        receive("x\n");
    assert_null(strstr(story, "lost"));
    receive("x\n");
    assert_true(strstr(story, "lost(1 -)"));
    receive(LINE(2, "b"));
    assert_null(strstr(story, "head(b)"));
}

static void test_first_byte(void **state)
{
    static const struct {
        const char *name;
        char byte;
        bool ours;
    } firsts[] = {{"object", '{', true}, {"blank", ' ', true},       {"CR", '\r', true},   {"LF", '\n', true},
                  {"HTTP", 'G', false},  {"length", 0, false},       {"word", 'x', false}, {"array", '[', false},
                  {"quote", '"', false}, {"high", (char)0xff, false}};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        int next = dup(2);
        assert_int_equal(set_up(state), 0);
        stream->reader.data(stream->ctx, (struct cloister_sv){&firsts[i].byte, 1}, &next, 1);
        bool lost = strcmp(story, "lost(1 its first byte begins no request of this protocol) ") == 0;
        if (lost == firsts[i].ours || is_open(next) != firsts[i].ours || *fake_stream_read(stream))
            fail_msg("case '%s': %s", firsts[i].name, story);
        (void)tear_down(state);
    }
    assert_int_equal(set_up(state), 0);
    receive(" ");
    receive("x\n" LINE(1, "a")); /* only the first one counts */
    assert_string_equal(story, "fault(3) head(a) ");
}

static void test_too_long(void **state)
{
    size_t size = (1u << 20) + 1;
    char *line = calloc(1, size + 1);
    (void)state;
    memset(line, ' ', size);
    line[size - 1] = '\n';
    receive(line); /* 1 MiB of blanks: one malformed line */
    assert_string_equal(story, "fault(3) ");
    line[size - 1] = ' ';
    receive(line);
    free(line);
    assert_string_equal(story, "fault(3) fault(4) lost(1 -) ");
    assert_false(stream->reading);
}

static void test_half_request(void **state)
{
    (void)state;
    receive(LINE(1, "a") "{\"id\"");
    fake_now += 9000000000u;
    fake_turn();
    receive(":2");
    fake_now += 9000000000u;
    fake_turn();
    assert_string_equal(story, "head(a) "); /* slow, but not idle */
    fake_now += 1000000000u;
    fake_turn();
    assert_string_equal(story, "head(a) lost(1 a request stayed half received) ");
}

/* ---- the end of the input, pause, drain ---- */

static void test_half_closed(void **state)
{
    (void)state;
    receive(LINE(1, "a") "{\"half");
    stream->reader.end(stream->ctx, CLOISTER_EOF, 0);
    assert_string_equal(story, "head(a) eof ");
    transport->drain(instance, conn_state); /* what the host does */
    assert_string_equal(story, "head(a) eof ");
    (void)answer(seen.wire[0], 200, "{}", 0);
    assert_string_equal(story, "head(a) eof lost(1 -) ");
}

static void test_pause(void **state)
{
    (void)state;
    transport->pause(instance, conn_state, 1);
    assert_false(stream->reading);
    receive(LINE(1, "a") LINE(2, "b")); /* was under way already */
    stream->reader.end(stream->ctx, CLOISTER_EOF, 0);
    assert_string_equal(story, "");
    transport->pause(instance, conn_state, 0);
    assert_string_equal(story, ""); /* not inside the host's call */
    fake_turn();
    assert_string_equal(story, "head(a) head(b) eof "); /* whole requests are not discarded */
}

static void test_drain_flushes(void **state)
{
    (void)state;
    receive(LINE(1, "a"));
    stream->stuck = true;
    transport->drain(instance, conn_state);
    (void)answer(seen.wire[0], 200, "{}", 0);
    receive(LINE(2, "b"));
    assert_string_equal(story, "head(a) ");
    fake_stream_take(stream);
    assert_string_equal(story, "head(a) lost(1 -) ");
}

/* ---- descriptors ---- */

#define WITH_FDS(id, roles) "{\"id\":" #id ",\"method\":\"e\",\"fds\":[" roles "]}\n"

static void test_descriptors_in_order(void **state)
{
    (void)state;
    receive_with(WITH_FDS(1, "\"stdout\",\"stderr\"") WITH_FDS(2, "\"stdin\""), 3);
    assert_string_equal(story, "head(e) head(e) ");
    assert_int_equal(seen.fd_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_open(seen.fds[i]));
        (void)close(seen.fds[i]);
    }
}

static void test_neighbour_in_front(void **state)
{
    (void)state;
    /* One read may begin with the end of a request without descriptors: it is not their owner. */
    receive(LINE(1, "a"));
    receive_with(LINE(2, "b") "{\"id\":3,", 1);
    receive("\"method\":\"e\",\"fds\":[\"stdout\"]}\n");
    assert_string_equal(story, "head(a) head(b) head(e) ");
    assert_int_equal(seen.fd_count, 1);
    (void)close(seen.fds[0]);
}

static void test_left_over(void **state)
{
    int next = dup(2);
    (void)state;
    (void)close(next);
    receive_with(LINE(1, "a"), 1);
    assert_string_equal(story, "lost(1 descriptors without a request that names them) ");
    assert_false(is_open(next));
}

static void test_fewer_than_named(void **state)
{
    int next = dup(2);
    (void)state;
    (void)close(next);
    receive_with(WITH_FDS(1, "\"stdout\",\"stderr\""), 1);
    assert_string_equal(story, "fault(8) lost(1 -) ");
    assert_false(is_open(next));
}

static void test_faulty_line_with_descriptors(void **state)
{
    int next = dup(2);
    (void)state;
    (void)close(next);
    receive_with("{\"method\":\"e\",\"fds\":[\"stdout\"]}\n", 1);
    assert_string_equal(story, "fault(6) ");
    assert_false(is_open(next));
    receive(LINE(1, "a"));
    assert_string_equal(story, "fault(6) head(a) ");
}

static void test_too_many_descriptors(void **state)
{
    (void)state;
    receive_with("{", 40);
    receive_with("\"", 25);
    assert_string_equal(story, "lost(1 too many descriptors without a request) ");
}

static void test_cut_off_descriptors(void **state)
{
    (void)state;
    receive_with("{", 1);
    stream->reader.end(stream->ctx, CLOISTER_FDS_LOST, 0);
    assert_string_equal(story, "lost(1 descriptors were cut off by the kernel) ");
}

static void test_probe(void **state)
{
    static const struct {
        const char *first;
        uint32_t want;
    } cases[] = {{"", CLOISTER_PROBE_MORE}, {"{\"", CLOISTER_PROBE_YES},  {"\n", CLOISTER_PROBE_YES},
                 {" ", CLOISTER_PROBE_YES}, {"\r\n", CLOISTER_PROBE_YES}, {"GET", CLOISTER_PROBE_NO},
                 {"[", CLOISTER_PROBE_NO}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cloister_sv first = {cases[i].first, strlen(cases[i].first)};
        if (transport->probe(instance, first) != cases[i].want)
            fail_msg("case '%s'", cases[i].first);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_envelope),
                                       CASE(test_largest_id),
                                       CASE(test_limits),
                                       CASE(test_too_big_then_small),
                                       CASE(test_id_in_use),
                                       CASE(test_pushes),
                                       CASE(test_slow_reader),
                                       CASE(test_stalled_answer),
                                       CASE(test_stall_after_progress),
                                       CASE(test_unsent_output),
                                       CASE(test_first_byte),
                                       CASE(test_eight_bad_lines),
                                       CASE(test_too_long),
                                       CASE(test_half_request),
                                       CASE(test_half_closed),
                                       CASE(test_pause),
                                       CASE(test_drain_flushes),
                                       CASE(test_descriptors_in_order),
                                       CASE(test_neighbour_in_front),
                                       CASE(test_left_over),
                                       CASE(test_fewer_than_named),
                                       CASE(test_faulty_line_with_descriptors),
                                       CASE(test_too_many_descriptors),
                                       CASE(test_cut_off_descriptors),
                                       CASE(test_probe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
