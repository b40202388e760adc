/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a container: one in a request, many in a stream. */
#include <sys/socket.h>
#include <unistd.h>

#include "test_bed.h"

static const struct {
    const char *name, *op, *params, *story;
} cases[] = {
    {"put text", "file_put", "{\"id\":\"known\",\"path\":\"/f\",\"text\":\"a\\n\"}", "file_put known/ /f=a\n (2)\n"},
    {"put nothing", "file_put", "{\"id\":\"known\",\"container\":\"c\",\"path\":\"/f\",\"text\":\"\"}",
     "file_put known/c /f= (0)\n"},
    {"put bytes", "file_put", "{\"id\":\"known\",\"path\":\"/f\",\"data\":\"Zm8=\"}", "file_put known/ /f=fo (2)\n"},
    {"put both", "file_put", "{\"id\":\"known\",\"path\":\"/f\",\"data\":\"Zm8=\",\"text\":\"fo\"}",
     INVALID("key 'text': stands beside 'data'; one of them is wanted")},
    {"put neither", "file_put", "{\"id\":\"known\",\"path\":\"/f\"}", INVALID("key 'text': missing; so is 'data'")},
    {"put bad base64", "file_put", "{\"id\":\"known\",\"path\":\"/f\",\"data\":\"Zm8\"}",
     INVALID("key 'data': expected base64, padded and without line breaks")},
    {"put nowhere", "file_put", "{\"id\":\"known\",\"text\":\"a\"}", INVALID("key 'path': missing")},
    {"put, a mode", "file_put", "{\"id\":\"known\",\"path\":\"/f\",\"text\":\"a\",\"mode\":1}",
     INVALID("unknown key 'mode'")},
    {"read", "read_file", "{\"id\":\"known\",\"path\":\"/f\"}", "read_file known/ /f max=0 deadline=0\n"},
    {"read some", "read_file",
     "{\"id\":\"known\",\"container\":\"c\",\"path\":\"/f\",\"max\":1048576,\"deadline_ms\":4}",
     "read_file known/c /f max=1048576 deadline=4\n"},
    {"read too much", "read_file", "{\"id\":\"known\",\"path\":\"/f\",\"max\":1048577}",
     INVALID("key 'max': expected an integer from 1 to 1048576")},
    {"read nothing", "read_file", "{\"id\":\"known\",\"path\":\"/f\",\"max\":0}",
     INVALID("key 'max': expected an integer from 1 to 1048576")},
    {"read nowhere", "read_file", "{\"id\":\"known\"}", INVALID("key 'path': missing")},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(set_up(state), 0);
        request(0, cases[i].op, cases[i].params);
        if (strcmp(story, cases[i].story) != 0)
            fail_msg("case '%s':\n%s, not\n%s", cases[i].name, story, cases[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_read(void **state)
{
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .data = {"\0\1\xff", 3}};
    const struct cloister_result empty = {CLOISTER_INIT(struct cloister_result)};
    (void)state;
    request(0, "read_file", "{\"id\":\"known\",\"path\":\"/f\"}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"data\":\"AAH/\",\"size\":3}\n");
    request(0, "read_file", "{\"id\":\"known\",\"path\":\"/f\"}");
    story[0] = 0;
    complete(0, &empty);
    assert_string_equal(story, "0:200 {\"data\":\"\",\"size\":0}\n");
}

/* The other end goes at once: these streams are fake. */
static void request_stream(unsigned index, const char *op, const char *params)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    close(fds[1]);
    request_with(index, op, params, "stream", fds[0]);
}

static const struct {
    const char *name, *op, *params, *story;
} streams[] = {
    {"in", "files_in", "{\"id\":\"known\",\"path\":\"/d\"}", "files_in known/ user= /d flags=0 deadline=0\n"},
    {"in, with everything", "files_in",
     "{\"id\":\"known\",\"container\":\"c\",\"user\":\"u\",\"path\":\"/d\",\"keep_owners\":true,\"deadline_ms\":4}",
     "files_in known/c user=u /d flags=1 deadline=4\n"},
    {"in, nowhere", "files_in", "{\"id\":\"known\"}", INVALID("key 'path': missing")},
    {"in, owners", "files_in", "{\"id\":\"known\",\"path\":\"/d\",\"keep_owners\":\"no\"}",
     INVALID("key 'keep_owners': expected true or false")},
    {"in, refused", "files_in", "{\"id\":\"known\",\"path\":\"/frozen\"}",
     "files_in known/ user= /frozen flags=0 deadline=0\nabort client\n"
     "0:409 " ERROR_OF("invalid_state", "sandbox 'known' is frozen", "frozen") "}\n"},
    {"out", "files_out", "{\"id\":\"known\",\"path\":\"/d\"}", "files_out known/ user= /d deadline=0\n"},
    {"out, with everything", "files_out",
     "{\"id\":\"known\",\"container\":\"c\",\"user\":\"u\",\"path\":\"/d\",\"deadline_ms\":4}",
     "files_out known/c user=u /d deadline=4\n"},
    {"out of nowhere", "files_out", "{\"id\":\"known\"}", INVALID("key 'path': missing")},
    {"out, owners", "files_out", "{\"id\":\"known\",\"path\":\"/d\",\"keep_owners\":true}",
     INVALID("unknown key 'keep_owners'")},
};

static void test_streams(void **state)
{
    for (size_t i = 0; i < COUNT(streams); i++) {
        assert_int_equal(set_up(state), 0);
        request_stream(0, streams[i].op, streams[i].params);
        if (strcmp(story, streams[i].story) != 0)
            fail_msg("case '%s':\n%s, not\n%s", streams[i].name, story, streams[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_no_stream(void **state)
{
    (void)state;
    request(0, "files_in", "{\"id\":\"known\",\"path\":\"/d\"}");
    assert_string_equal(story, INVALID("key 'fds': the role 'stream' is missing"));
    story[0] = 0;
    request(0, "files_out", "{\"id\":\"known\",\"path\":\"/d\"}");
    assert_string_equal(story, INVALID("key 'fds': the role 'stream' is missing"));
}

static void test_in(void **state)
{
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .entries = 3, .bytes = 99};
    (void)state;
    request_stream(0, "files_in", "{\"id\":\"known\",\"path\":\"/d\"}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"entries\":3,\"bytes\":99}\n");
    request_stream(0, "files_in", "{\"id\":\"known\",\"path\":\"/d\"}");
    story[0] = 0;
    go(0);
    assert_string_equal(story, "cancel 7\n");
    complete(CLOISTER_CANCELLED, NULL);
    assert_string_equal(story, "cancel 7\n");
}

static void test_out(void **state)
{
    static const struct {
        uint32_t end;
        const char *story;
    } ends[] = {
        {CLOISTER_RELAY_EOF, "finish client\n0:200 {\"verdict\":\"eof\",\"bytes\":30}\nabort inside\n"},
        {CLOISTER_RELAY_SRC_ABORTED, "0:200 {\"verdict\":\"aborted\",\"bytes\":30}\nabort client\nabort inside\n"},
        {CLOISTER_RELAY_DST_GONE, "0:200 {\"verdict\":\"peer_gone\",\"bytes\":30}\nabort client\nabort inside\n"},
    };
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .stream = &inside_stream};
    for (size_t i = 0; i < COUNT(ends); i++) {
        assert_int_equal(set_up(state), 0);
        request_stream(0, "files_out", "{\"id\":\"known\",\"path\":\"/d\"}");
        complete(0, &result);
        story[0] = 0;
        relayed(ends[i].end, 30);
        assert_string_equal(story, ends[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

/* Nobody comes back for the rest of an archive: nothing of it is kept. */
static void test_out_drains(void **state)
{
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .stream = &inside_stream};
    (void)state;
    request_stream(0, "files_out", "{\"id\":\"known\",\"path\":\"/d\"}");
    complete(0, &result);
    story[0] = 0;
    personality->drain(instance, 0);
    relayed(CLOISTER_RELAY_CANCELLED, 5);
    assert_string_equal(story, "relay_cancel 99\nfinish client\n0:200 {\"verdict\":\"draining\",\"bytes\":5}\n"
                               "abort inside\ndrained\n");
    request_stream(0, "files_out", "{\"id\":\"known\",\"path\":\"/d\"}");
    story[0] = 0;
    personality->drain(instance, 0);
    assert_string_equal(story, "cancel 7\n");
    complete(CLOISTER_CANCELLED, NULL);
    assert_string_equal(story, "cancel 7\n0:503 " ERROR_OF("failure", "the daemon is about to end",
                                                           "draining") "}\nabort client\ndrained\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), CASE(test_read), cmocka_unit_test(test_streams),
                                       CASE(test_no_stream),         CASE(test_in),   cmocka_unit_test(test_out),
                                       CASE(test_out_drains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
