/* SPDX-License-Identifier: Apache-2.0 */
/* attach and stdin: a descriptor, an operation of the engine, a relay, a verdict. */
#include <sys/socket.h>
#include <unistd.h>

#include "test_bed.h"

/* The other end goes at once: these streams are fake. */
static int a_socket(int type)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, type, 0, fds), 0);
    close(fds[1]);
    return fds[0];
}

static void attach(unsigned index, const char *params)
{
    request_with(index, "attach", params, "stream", a_socket(SOCK_STREAM));
}

static void attached(uint64_t position, uint64_t lost, uint64_t end)
{
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .stream = &inside_stream,
                                           .position = position, .lost = lost, .end = end};
    complete(0, &result);
}

static const struct {
    const char *name, *op, *params, *story;
} begins[] = {
    {"attach", "attach", "{\"id\":\"known\"}", "attach known/ process=0 fd=1 from=1:0 policy=0\n"},
    {"attach, in words", "attach",
     "{\"name\":\"known\",\"container\":\"c\",\"process\":5,\"fd\":\"stderr\",\"from\":\"oldest\",\"policy\":\"drop\"}",
     "attach known/c process=5 fd=2 from=2:0 policy=1\n"},
    {"attach, in numbers", "attach", "{\"id\":\"known\",\"fd\":2,\"from\":0}",
     "attach known/ process=0 fd=2 from=4:0 policy=0\n"},
    {"attach, at a position", "attach", "{\"id\":\"known\",\"from\":77}",
     "attach known/ process=0 fd=1 from=4:77 policy=0\n"},
    {"attach, again", "attach", "{\"id\":\"known\",\"from\":\"resume\"}",
     "attach known/ process=0 fd=1 from=3:0 policy=0\n"},
    {"attach to stdin", "attach", "{\"id\":\"known\",\"fd\":0}",
     INVALID("key 'fd': expected 1, 2, \\\"stdout\\\" or \\\"stderr\\\"")},
    {"attach from nowhere", "attach", "{\"id\":\"known\",\"from\":\"here\"}",
     INVALID("key 'from': expected one of live, oldest, resume")},
    {"attach from below", "attach", "{\"id\":\"known\",\"from\":-1}",
     INVALID("key 'from': expected an integer, not negative, below 2^64")},
    {"attach to nobody", "attach", "{\"id\":\"known\",\"process\":0}",
     INVALID("key 'process': expected the number of a process, not 0")},
    {"stdin", "stdin", "{\"id\":\"known\",\"container\":\"c\",\"process\":5}", "stdin known/c process=5\n"},
};

static void test_begins(void **state)
{
    for (size_t i = 0; i < COUNT(begins); i++) {
        assert_int_equal(set_up(state), 0);
        request_with(0, begins[i].op, begins[i].params, "stream", a_socket(SOCK_STREAM));
        char *abort = strstr(story, "abort client\n");
        if (abort)
            *abort = 0;
        if (strcmp(story, begins[i].story) != 0)
            fail_msg("case '%s':\n%s, not\n%s", begins[i].name, story, begins[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_descriptors(void **state)
{
    (void)state;
    request(0, "attach", "{\"id\":\"known\"}");
    assert_string_equal(story, INVALID("key 'fds': the role 'stream' is missing"));
    story[0] = 0;
    request_with(0, "attach", "{\"id\":\"known\"}", "stdout", a_socket(SOCK_STREAM));
    assert_string_equal(story, INVALID("key 'fds': only the role 'stream' has a meaning here"));
    story[0] = 0;
    request_with(0, "stdin", "{\"id\":\"known\"}", "stream", a_socket(SOCK_SEQPACKET));
    assert_string_equal(story, INVALID("key 'fds': the role 'stream' is to be a stream socket"));
    story[0] = 0;
    request_with(0, "exec", "{\"id\":\"known\",\"process\":{}}", "stream", a_socket(SOCK_STREAM));
    assert_string_equal(story, INVALID("key 'fds': the role 'stream' has no meaning here"));
}

struct end_case {
    const char *name;
    const char *params;
    uint64_t end;   /* of what had been written at the beginning */
    uint64_t bytes; /* relayed */
    uint64_t after; /* the stream's position then; 0: it does not say */
    uint32_t relay; /* enum cloister_relay_end; 0: none is needed */
    const char *story;
};

static const struct end_case ends[] = {
    {"eof", "{\"id\":\"known\"}", 500, 30, 130, CLOISTER_RELAY_EOF,
     "relay inside>client flags=3 limit=0\nfinish client\n"
     "0:200 {\"verdict\":\"eof\",\"from\":100,\"position\":130,\"lost\":7,\"bytes\":30}\nabort inside\n"},
    {"more lost on the way", "{\"id\":\"known\"}", 500, 30, 150, CLOISTER_RELAY_EOF,
     "relay inside>client flags=3 limit=0\nfinish client\n"
     "0:200 {\"verdict\":\"eof\",\"from\":100,\"position\":150,\"lost\":27,\"bytes\":30}\nabort inside\n"},
    {"a stream that does not count", "{\"id\":\"known\"}", 500, 30, 0, CLOISTER_RELAY_EOF,
     "relay inside>client flags=3 limit=0\nfinish client\n"
     "0:200 {\"verdict\":\"eof\",\"from\":100,\"position\":130,\"lost\":7,\"bytes\":30}\nabort inside\n"},
    {"aborted", "{\"id\":\"known\"}", 500, 30, 130, CLOISTER_RELAY_SRC_ABORTED,
     "relay inside>client flags=3 limit=0\n"
     "0:200 {\"verdict\":\"aborted\",\"from\":100,\"position\":130,\"lost\":7,\"bytes\":30}\nabort client\nabort "
     "inside\n"},
    {"the client has gone", "{\"id\":\"known\"}", 500, 30, 130, CLOISTER_RELAY_DST_GONE,
     "relay inside>client flags=3 limit=0\n"
     "0:200 {\"verdict\":\"peer_gone\",\"from\":100,\"position\":130,\"lost\":7,\"bytes\":30}\nabort client\nabort "
     "inside\n"},
    {"up to here", "{\"id\":\"known\",\"follow\":false}", 500, 400, 500, CLOISTER_RELAY_EOF,
     "relay inside>client flags=3 limit=400\nfinish client\n"
     "0:200 {\"verdict\":\"eof\",\"from\":100,\"position\":500,\"lost\":7,\"bytes\":400}\nabort inside\n"},
    {"nothing up to here", "{\"id\":\"known\",\"follow\":false}", 100, 0, 100, 0,
     "finish client\n0:200 {\"verdict\":\"eof\",\"from\":100,\"position\":100,\"lost\":7,\"bytes\":0}\nabort inside\n"},
    {"no relay to be had", "{\"id\":\"known\",\"follow\":false}", 113, 0, 0, 0,
     "0:500 " ERROR_OF("failure", "move bytes for the client: Input/output error",
                       "io") ",\"errno\":5,\"step\":\"relay\"}\nabort client\nabort inside\n"},
};

static void test_ends(void **state)
{
    for (size_t i = 0; i < COUNT(ends); i++) {
        assert_int_equal(set_up(state), 0);
        attach(0, ends[i].params);
        story[0] = 0;
        inside_position = ends[i].after;
        attached(100, 7, ends[i].end);
        if (ends[i].relay)
            relayed(ends[i].relay, ends[i].bytes);
        if (strcmp(story, ends[i].story) != 0)
            fail_msg("case '%s':\n%s, not\n%s", ends[i].name, story, ends[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_refused(void **state)
{
    (void)state;
    attach(0, "{\"id\":\"known\"}");
    story[0] = 0;
    complete(CLOISTER_NO_EXECUTABLE, NULL);
    assert_int_equal(strncmp(story, "0:500 ", 6), 0);
    assert_non_null(strstr(story, "abort client\n"));
}

static void test_client_goes(void **state)
{
    (void)state;
    attach(0, "{\"id\":\"known\"}");
    story[0] = 0;
    go(0);
    assert_string_equal(story, "cancel 7\n");
    attached(0, 0, 0); /* it had been too late to cancel */
    assert_string_equal(story, "cancel 7\nabort client\nabort inside\n");
    attach(0, "{\"id\":\"known\"}");
    attached(0, 0, 0);
    story[0] = 0;
    go(0);
    assert_string_equal(story, "relay_cancel 99\n");
    relayed(CLOISTER_RELAY_CANCELLED, 5);
    assert_string_equal(story, "relay_cancel 99\nabort client\nabort inside\n");
}

static void feed(const char *params, uint32_t end, const char *then)
{
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .stream = &inside_stream};
    request_with(0, "stdin", params, "stream", a_socket(SOCK_STREAM));
    complete(0, &result);
    story[0] = 0;
    relayed(end, 12);
    assert_string_equal(story, then);
    story[0] = 0;
}

static void test_stdin(void **state)
{
    (void)state;
    feed("{\"id\":\"known\"}", CLOISTER_RELAY_EOF,
         "finish client\n0:200 {\"verdict\":\"eof\",\"bytes\":12}\nabort inside\n");
    feed("{\"id\":\"known\",\"close\":true}", CLOISTER_RELAY_SRC_ABORTED,
         "0:200 {\"verdict\":\"aborted\",\"bytes\":12}\nabort client\nabort inside\n");
    feed("{\"id\":\"known\",\"close\":true}", CLOISTER_RELAY_DST_GONE,
         "0:200 {\"verdict\":\"peer_gone\",\"bytes\":12}\nabort client\nabort inside\n");
    feed("{\"id\":\"known\",\"close\":true}", CLOISTER_RELAY_EOF, "abort inside\nstdin_close known/ process=0\n");
    complete(0, NULL);
    assert_string_equal(story, "finish client\n0:200 {\"verdict\":\"eof\",\"bytes\":12}\n");
    feed("{\"id\":\"known\",\"close\":true}", CLOISTER_RELAY_EOF, "abort inside\nstdin_close known/ process=0\n");
    complete(CLOISTER_NO_EXECUTABLE, NULL);
    assert_int_equal(strncmp(story, "0:500 ", 6), 0);
    assert_non_null(strstr(story, "\nabort client\n"));
}

/* Each is cut where both sides know it. What a process still has to say stays with it: its stream inside is closed only
 * when isolation has let go. */
static void test_drain(void **state)
{
    (void)state;
    personality->drain(instance, 0);
    assert_string_equal(story, "drained\n");
    const struct cloister_result input = {CLOISTER_INIT(struct cloister_result), .stream = &inside_stream};
    request_with(1, "stdin", "{\"id\":\"known\"}", "stream", a_socket(SOCK_STREAM));
    complete(0, &input);
    story[0] = 0;
    personality->drain(instance, 0);
    assert_string_equal(story, "relay_cancel 99\n");
    relayed(CLOISTER_RELAY_CANCELLED, 5);
    assert_string_equal(story, "relay_cancel 99\nfinish client\n1:200 {\"verdict\":\"draining\",\"bytes\":5}\n"
                               "abort inside\ndrained\n");
    attach(0, "{\"id\":\"known\"}");
    attached(100, 0, 500);
    story[0] = 0;
    personality->drain(instance, 0);
    inside_position = 130;
    relayed(CLOISTER_RELAY_CANCELLED, 30);
    assert_string_equal(story,
                        "relay_cancel 99\nfinish client\n"
                        "0:200 {\"verdict\":\"draining\",\"from\":100,\"position\":130,\"lost\":0,\"bytes\":30}\n"
                        "drained\n");
    story[0] = 0;
    personality->close(instance);
    assert_string_equal(story, "abort inside\n");
}

#define DRAINING "0:503 " ERROR_OF("failure", "the daemon is about to end", "draining") "}\n"

/* An attach may have taken over its client's place already: it is let come, and its place is kept. */
static void test_drain_before_it_began(void **state)
{
    (void)state;
    attach(0, "{\"id\":\"known\"}");
    story[0] = 0;
    personality->drain(instance, 0);
    assert_string_equal(story, "");
    attached(100, 0, 500);
    assert_string_equal(story, DRAINING "abort client\ndrained\n");
    story[0] = 0;
    personality->close(instance);
    assert_string_equal(story, "abort inside\n");
}

static void test_drain_before_it_failed(void **state)
{
    (void)state;
    attach(0, "{\"id\":\"known\"}");
    personality->drain(instance, 0);
    story[0] = 0;
    complete(CLOISTER_NO_ENTITY, NULL);
    assert_string_equal(story, DRAINING "abort client\ndrained\n");
    request_with(0, "stdin", "{\"id\":\"known\"}", "stream", a_socket(SOCK_STREAM));
    story[0] = 0;
    personality->drain(instance, 0);
    assert_string_equal(story, "cancel 7\n");
    complete(CLOISTER_CANCELLED, NULL);
    assert_string_equal(story, "cancel 7\n" DRAINING "abort client\ndrained\n");
}

/* Its client goes while the daemon drains, as every client does then: it comes back to the next one. */
static void test_client_goes_in_a_drain(void **state)
{
    (void)state;
    attach(0, "{\"id\":\"known\"}");
    personality->drain(instance, 0);
    story[0] = 0;
    go(0);
    assert_string_equal(story, "");
    attached(100, 0, 500);
    assert_string_equal(story, "abort client\ndrained\n");
}

/* What has ended by itself is not asked to end, and its last step is waited for. */
static void test_drain_at_the_end(void **state)
{
    (void)state;
    feed("{\"id\":\"known\",\"close\":true}", CLOISTER_RELAY_EOF, "abort inside\nstdin_close known/ process=0\n");
    personality->drain(instance, 0);
    assert_string_equal(story, "");
    complete(0, NULL);
    assert_string_equal(story, "finish client\n0:200 {\"verdict\":\"eof\",\"bytes\":12}\ndrained\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_begins),
                                       CASE(test_descriptors),
                                       cmocka_unit_test(test_ends),
                                       CASE(test_refused),
                                       CASE(test_client_goes),
                                       CASE(test_stdin),
                                       CASE(test_drain),
                                       CASE(test_drain_before_it_began),
                                       CASE(test_drain_before_it_failed),
                                       CASE(test_client_goes_in_a_drain),
                                       CASE(test_drain_at_the_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
