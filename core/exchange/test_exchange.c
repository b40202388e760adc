/* SPDX-License-Identifier: Apache-2.0 */
/* The room between a fake transport and a fake personality; loop, streams and listener (test_turns.c) are fakes too. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/exchange/exchange.h"
#include "core/exchange/room.h"
#include "core/exchange/test_turns.h"
#include "core/log/log.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/value/value.h"

/* ---- fakes: transport ---- */

static const struct cloister_transport_api *const up = &cl_exchange_transport_api;
static cloister_conn *last_conn;
static uint32_t push_result;

static void transport_limits(void *instance, struct cloister_transport_limits *ret)
{
    (void)instance;
    ret->largest_answer = 10;
    ret->largest_request = 20;
}

static uint32_t transport_probe(void *instance, struct cloister_sv first)
{
    if (first.size < 2)
        return CLOISTER_PROBE_MORE;
    return first.data[0] == *(const char *)instance ? CLOISTER_PROBE_YES : CLOISTER_PROBE_NO;
}

static int32_t transport_attach(void *instance, cloister_conn *conn, cloister_stream *stream, uint32_t role,
                                void **ret_state)
{
    (void)stream;
    (void)role;
    last_conn = conn;
    *ret_state = NULL;
    tell("attach(%s) ", (const char *)instance);
    return 0;
}

static uint32_t transport_answer(void *instance, void *state, void *wire, const struct cloister_answer *answer)
{
    (void)instance;
    (void)state;
    tell("answer(%s %u %.*s%s) ", wire ? (const char *)wire : "null", answer->klass, CL_SV_ARG(answer->body),
         answer->closes ? " closes" : "");
    return CLOISTER_PUSH_OK;
}

static uint32_t transport_open(void *instance, void *state, void *wire, const struct cloister_answer *answer)
{
    (void)instance;
    (void)state;
    tell("open(%s %u) ", (const char *)wire, answer->klass);
    return CLOISTER_PUSH_OK;
}

static uint32_t transport_push(void *instance, void *state, void *wire, struct cloister_sv body)
{
    (void)instance;
    (void)state;
    tell("push(%s %.*s) ", (const char *)wire, CL_SV_ARG(body));
    return push_result;
}

static void transport_end(void *instance, void *state, void *wire)
{
    (void)instance;
    (void)state;
    tell("end(%s) ", (const char *)wire);
}

static void transport_forget(void *instance, void *state, void *wire)
{
    (void)instance;
    (void)state;
    tell("forget(%s) ", wire ? (const char *)wire : "null");
}

static void transport_pause(void *instance, void *state, uint32_t paused)
{
    (void)instance;
    (void)state;
    tell("pause(%u) ", paused);
}

static void transport_drain(void *instance, void *state)
{
    (void)instance;
    (void)state;
    tell("drain ");
}

static void transport_detach(void *instance, void *state)
{
    (void)instance;
    (void)state;
    tell("detach ");
}

static struct cl_module transport_module = {.vtable.transport = {.limits = transport_limits,
                                                                 .probe = transport_probe,
                                                                 .attach = transport_attach,
                                                                 .answer = transport_answer,
                                                                 .answer_open = transport_open,
                                                                 .push = transport_push,
                                                                 .end = transport_end,
                                                                 .forget = transport_forget,
                                                                 .pause = transport_pause,
                                                                 .drain = transport_drain,
                                                                 .detach = transport_detach}};

/* ---- fakes: personality ---- */

enum { ROUTE_NOW = 1, ROUTE_LATER, ROUTE_OPEN, ROUTE_PARKED, ROUTE_SMALL, ROUTE_NONE, ROUTE_FDS, ROUTE_ADMIN };

static struct cloister_route routes[] = {
    {.op = "now", .id = ROUTE_NOW, .access = CLOISTER_ACCESS_OBSERVE, .body = CLOISTER_BODY_WHOLE},
    {.op = "later", .id = ROUTE_LATER, .access = CLOISTER_ACCESS_OBSERVE, .body = CLOISTER_BODY_WHOLE},
    {.op = "open",
     .id = ROUTE_OPEN,
     .access = CLOISTER_ACCESS_OBSERVE,
     .body = CLOISTER_BODY_WHOLE,
     .flags = CLOISTER_ROUTE_PARKED},
    {.op = "parked",
     .id = ROUTE_PARKED,
     .access = CLOISTER_ACCESS_OBSERVE,
     .body = CLOISTER_BODY_WHOLE,
     .flags = CLOISTER_ROUTE_PARKED},
    {.op = "small", .id = ROUTE_SMALL, .access = CLOISTER_ACCESS_OBSERVE, .body = CLOISTER_BODY_WHOLE, .body_max = 8},
    {.op = "none", .id = ROUTE_NONE, .access = CLOISTER_ACCESS_OBSERVE, .body = CLOISTER_BODY_NONE},
    {.op = "fds",
     .id = ROUTE_FDS,
     .access = CLOISTER_ACCESS_OBSERVE,
     .body = CLOISTER_BODY_WHOLE,
     .flags = CLOISTER_ROUTE_FDS},
    {.op = "admin", .id = ROUTE_ADMIN, .access = CLOISTER_ACCESS_ADMIN, .body = CLOISTER_BODY_WHOLE},
};

static const struct cloister_exchange_api *const api = &cl_exchange_api;
static cloister_exchange *last; /* most recent exchange handed to the personality */
static uint32_t last_result;
static bool answer_in_gone;

static void on_open(void *instance, cloister_conn *conn)
{
    (void)instance;
    (void)conn;
    tell("conn_open ");
}

static void on_closed(void *instance, cloister_conn *conn, uint32_t reason)
{
    (void)instance;
    (void)conn;
    tell("conn_closed(%u) ", reason);
}

static void on_exchange(void *instance, cloister_exchange *exchange, uint32_t route_id)
{
    (void)instance;
    last = exchange;
    tell("exchange(%u) ", route_id);
    if (route_id == ROUTE_NOW)
        last_result = api->answer(exchange, 200, CLOISTER_SV("hi"));
    if (route_id == ROUTE_OPEN)
        last_result = api->answer_open(exchange, 200, CLOISTER_SV(""));
}

static void on_fault(void *instance, cloister_exchange *exchange, const struct cloister_fault *fault)
{
    (void)instance;
    tell("fault(%u%s) ", fault->kind, fault->closes ? " closes" : "");
    last_result = api->answer(exchange, 400, CLOISTER_SV("no"));
}

static void on_gone(void *instance, cloister_exchange *exchange, uint32_t reason)
{
    (void)instance;
    tell("gone(%.*s %u) ", CL_SV_ARG(api->op(exchange)), reason);
    if (answer_in_gone)
        last_result = api->answer(exchange, 200, CLOISTER_SV("late"));
}

static void on_writable(void *instance, cloister_exchange *exchange)
{
    (void)instance;
    (void)exchange;
    tell("writable ");
}

static void on_sent(void *instance, cloister_exchange *exchange, uint64_t pushes)
{
    (void)instance;
    (void)exchange;
    tell("sent(%u) ", (unsigned)pushes);
}

static void on_drain(void *instance, uint64_t deadline)
{
    (void)instance;
    (void)deadline;
    tell("personality_drain ");
}

static struct cl_module personality_module = {.routes = routes,
                                              .vtable.personality = {.route_count = CL_COUNT(routes),
                                                                     .conn_open = on_open,
                                                                     .conn_closed = on_closed,
                                                                     .exchange = on_exchange,
                                                                     .exchange_fault = on_fault,
                                                                     .exchange_gone = on_gone,
                                                                     .writable = on_writable,
                                                                     .sent = on_sent,
                                                                     .drain = on_drain}};

/* ---- the house ---- */

static struct cl_instance personality, json, http;
static struct cl_exchanges *exchanges;
static struct cl_listener listener;

static int set_up(void **state)
{
    static char j[] = "j", h[] = "h", label[] = "fake";
    static const struct cl_access_rule rules[] = {{CLOISTER_ACCESS_OBSERVE, 0, 1000}};
    struct cl_instance *both[] = {&json, &http};
    struct cl_endpoint *endpoint;
    (void)state;
    cl_log_set_level(CL_LOG_ERROR);
    story[0] = 0;
    answer_in_gone = false;
    push_result = CLOISTER_PUSH_OK;
    listener = (struct cl_listener){0};
    personality =
        (struct cl_instance){.label = label, .module = &personality_module, .vtable = &personality_module.vtable};
    personality.host.self = &personality;
    json = (struct cl_instance){
        .label = label, .module = &transport_module, .vtable = &transport_module.vtable, .self = j};
    http = json;
    http.self = h;
    struct cl_endpoint_args args = {.service = "s",
                                    .address = "unix:/x",
                                    .personality = &personality,
                                    .transports = both,
                                    .transport_count = *state ? 2 : 1,
                                    .listener = &listener,
                                    .rules = rules,
                                    .rule_count = 1,
                                    .max_in_flight = 2};
    return cl_exchanges_new(NULL, &exchanges) || cl_exchanges_add(exchanges, &args, &endpoint) ||
           cl_exchanges_accept(exchanges);
}

static int set_up_probing(void **state)
{
    static int two;
    *state = &two;
    return set_up(state);
}

static cloister_stream *connect_as(uid_t uid)
{
    struct cl_peer peer = {.uid = uid, .pid = 1};
    cloister_stream *stream = calloc(1, sizeof(*stream));
    listener.connections++;
    listener.fn(listener.ctx, stream, &peer);
    return stream;
}

static void count(uint64_t *ret_connections, uint64_t *ret_in_flight)
{
    uint64_t refused;
    cl_exchanges_counts(exchanges, ret_connections, ret_in_flight, &refused);
}

static int tear_down(void **state)
{
    uint64_t connections, in_flight;
    (void)state;
    if (last_conn)
        up->lost(last_conn, CLOISTER_ABORTED, 0, NULL);
    last_conn = NULL;
    turn();
    count(&connections, &in_flight);
    bool left = connections != 0 || in_flight != 0 || listener.connections != 0;
    cl_exchanges_free(exchanges);
    turn();
    return left;
}

/* One whole request; text is its body, document if not NULL the parsed one. */
static cloister_exchange *request(const char *op, char *wire, const char *text, const char *document)
{
    struct cloister_head head = {CLOISTER_INIT(struct cloister_head), .op = cl_sv_cstr(op), .body_size = ~0ull,
                                 .id = {CLOISTER_ID_TEXT, 0, 0, cl_sv_cstr(wire)}};
    struct cloister_body_policy policy = {CLOISTER_INIT(struct cloister_body_policy)};
    cloister_value *value = NULL;
    cloister_exchange *exchange = up->head(last_conn, wire, &head, &policy);
    assert_int_equal(exchange == NULL, policy.answered);
    if (!exchange)
        return NULL;
    if (document)
        assert_int_equal(cl_value_parse(cl_sv_cstr(document), NULL, &value, NULL, NULL), 0);
    up->body(exchange, cl_sv_cstr(text), value, 1);
    return exchange;
}

/* ---- one request after the other ---- */

static const struct {
    const char *name;
    uid_t uid;
    const char *op, *text, *document, *story;
} request_cases[] = {
    {"answered inside exchange()", 0, "now", NULL, NULL, "exchange(1) answer(w 200 hi) "},
    {"left unanswered", 0, "later", "x", NULL, "exchange(2) "},
    {"unknown word", 0, "nwo", NULL, NULL, "fault(7) answer(w 400 no) "},
    {"access suffices", 1000, "now", NULL, NULL, "exchange(1) answer(w 200 hi) "},
    {"access is too low", 1000, "admin", NULL, NULL, "fault(9) answer(w 400 no) "},
    {"body at its limit", 0, "small", "12345678", NULL, "exchange(5) "},
    {"body above its limit", 0, "small", "123456789", NULL, "fault(4) answer(w 400 no) "},
    {"document at its limit", 0, "small", NULL, "{\"a\":12}", "exchange(5) "},
    {"document above its limit", 0, "small", NULL, "{\"a\":123}", "fault(4) answer(w 400 no) "},
    {"no body where none is taken", 0, "none", NULL, NULL, "exchange(6) "},
    {"empty document where none is taken", 0, "none", NULL, "{}", "exchange(6) "},
    {"body where none is taken", 0, "none", "x", NULL, "fault(3) answer(w 400 no) "},
    {"document where none is taken", 0, "none", NULL, "{\"a\":1}", "fault(3) answer(w 400 no) "},
};

static void test_requests(void **state)
{
    for (size_t i = 0; i < CL_COUNT(request_cases); i++) {
        static char wire[] = "w";
        const char *name = request_cases[i].name;
        *state = NULL;
        CL_CHECK_INT(name, set_up(state), 0);
        connect_as(request_cases[i].uid);
        CL_CHECK_STR(name, story, "conn_open attach(j) ");
        story[0] = 0;
        request(request_cases[i].op, wire, request_cases[i].text, request_cases[i].document);
        CL_CHECK_STR(name, story, request_cases[i].story);
        CL_CHECK_INT(name, tear_down(state), 0);
    }
}

static void test_refused_peer(void **state)
{
    (void)state;
    uint64_t connections, in_flight, refused;
    connect_as(4711);
    listener.refused = 2; /* by their number */
    cl_exchanges_counts(exchanges, &connections, &in_flight, &refused);
    assert_int_equal(refused, 3);
    assert_string_equal(story, "attach(j) fault(9 closes) answer(null 400 no closes) ");
    up->lost(last_conn, CLOISTER_EOF, 0, NULL);
    turn();
    assert_string_equal(story, "attach(j) fault(9 closes) answer(null 400 no closes) detach finish ");
    last_conn = NULL;
}

static void test_answered_once(void **state)
{
    static char wire[] = "w";
    (void)state;
    connect_as(0);
    cloister_exchange *exchange = request("later", wire, NULL, NULL);
    story[0] = 0;
    assert_int_equal(api->answer(exchange, 200, CLOISTER_SV("eleven char")), CLOISTER_PUSH_TOO_BIG);
    assert_string_equal(story, "");
    assert_int_equal(api->answer(exchange, 200, CLOISTER_SV("ten chars!")), CLOISTER_PUSH_OK);
    assert_string_equal(story, "answer(w 200 ten chars!) ");
    cl_log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    assert_int_equal(api->answer(exchange, 200, CLOISTER_SV("again")), CLOISTER_PUSH_GONE);
    assert_int_equal(api->answer_open(exchange, 200, CLOISTER_SV("again")), CLOISTER_PUSH_GONE);
    assert_int_equal(api->push(exchange, CLOISTER_SV("again")), CLOISTER_PUSH_GONE);
    assert_int_equal(api->op(exchange).size, 0);
    assert_null(api->conn(exchange));
    assert_null(api->conn_data((const cloister_conn *)(const void *)exchange)); /* of the other kind */
    assert_string_equal(story, "answer(w 200 ten chars!) ");
}

static void test_descriptors(void **state)
{
    static char wire[] = "w";
    (void)state;
    connect_as(0);
    struct cloister_descriptor fds[] = {{CLOISTER_SV("stdout"), dup(2), 0, {0}},
                                        {CLOISTER_SV("extra"), dup(2), 0, {0}},
                                        {CLOISTER_SV("extra"), dup(2), 0, {0}}};
    struct cloister_head head = {
        CLOISTER_INIT(struct cloister_head), .op = CLOISTER_SV("fds"), .descriptors = fds, .descriptor_count = 3,
        .descriptor_size = sizeof(fds[0]),   .body_size = ~0ull};
    struct cloister_body_policy policy = {CLOISTER_INIT(struct cloister_body_policy)};
    cloister_exchange *exchange = up->head(last_conn, wire, &head, &policy);
    up->body(exchange, cl_sv(NULL, 0), NULL, 1);
    assert_int_equal(api->take_fd(exchange, CLOISTER_SV("stdin"), 0), -1);
    assert_int_equal(api->take_fd(exchange, CLOISTER_SV("extra"), 1), fds[2].fd);
    assert_int_equal(api->take_fd(exchange, CLOISTER_SV("extra"), 1), -1);
    assert_int_equal(api->answer(exchange, 200, CLOISTER_SV("")), CLOISTER_PUSH_OK);
    assert_int_equal(fcntl(fds[0].fd, F_GETFD), -1); /* not taken: closed with the answer */
    assert_int_equal(fcntl(fds[1].fd, F_GETFD), -1);
    assert_int_not_equal(fcntl(fds[2].fd, F_GETFD), -1);
    head.op = CLOISTER_SV("now");
    head.descriptors = &fds[2];
    head.descriptor_count = 1;
    story[0] = 0;
    assert_null(up->head(last_conn, wire, &head, &policy));
    assert_string_equal(story, "fault(8) answer(w 400 no) ");
    assert_int_equal(fcntl(fds[2].fd, F_GETFD), -1);
}

static void test_in_flight(void **state)
{
    static char a[] = "a", b[] = "b", c[] = "c";
    (void)state;
    connect_as(0);
    story[0] = 0;
    cloister_exchange *first = request("later", a, NULL, NULL);
    (void)request("parked", c, NULL, NULL); /* does not count */
    assert_string_equal(story, "exchange(2) exchange(4) ");
    cloister_exchange *second = request("later", b, NULL, NULL);
    assert_string_equal(story, "exchange(2) exchange(4) pause(1) exchange(2) ");
    story[0] = 0;
    api->park(first);
    assert_string_equal(story, "pause(0) ");
    api->park(first);
    api->answer(second, 200, CLOISTER_SV(""));
    assert_string_equal(story, "pause(0) answer(b 200 ) ");
}

static void test_lost(void **state)
{
    static char a[] = "a", b[] = "b";
    (void)state;
    connect_as(0);
    cloister_exchange *exchange = request("later", a, NULL, NULL);
    (void)request("open", b, NULL, NULL);
    story[0] = 0;
    answer_in_gone = true;
    up->lost(last_conn, CLOISTER_ABORTED, ECONNRESET, NULL);
    assert_string_equal(story, ""); /* never inside the transport's call */
    turn();
    assert_string_equal(story, "gone(later 1) forget(a) gone(open 1) forget(b) conn_closed(1) detach abort ");
    assert_int_equal(last_result, CLOISTER_PUSH_GONE);
    cl_log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    assert_int_equal(api->answer(exchange, 200, CLOISTER_SV("x")), CLOISTER_PUSH_GONE);
    last_conn = NULL;
}

static void test_half_closed(void **state)
{
    static char a[] = "a", b[] = "b";
    (void)state;
    connect_as(0);
    cloister_exchange *exchange = request("later", a, NULL, NULL);
    (void)request("open", b, NULL, NULL);
    story[0] = 0;
    up->peer_eof(last_conn);
    turn();
    assert_string_equal(story, "gone(open 1) forget(b) drain "); /* the subscription ends, the request does not */
    assert_int_equal(api->answer(exchange, 200, CLOISTER_SV("x")), CLOISTER_PUSH_OK);
}

static void test_pushes(void **state)
{
    static char a[] = "a";
    (void)state;
    connect_as(0);
    cloister_exchange *exchange = request("open", a, NULL, NULL);
    assert_ptr_equal(api->by_wire_id(last_conn, (struct cloister_wire_id){CLOISTER_ID_TEXT, 0, 0, CLOISTER_SV("a")}),
                     exchange);
    assert_null(api->by_wire_id(last_conn, (struct cloister_wire_id){CLOISTER_ID_TEXT, 0, 0, CLOISTER_SV("b")}));
    story[0] = 0;
    assert_int_equal(api->push(exchange, CLOISTER_SV("1")), CLOISTER_PUSH_OK);
    assert_int_equal(api->push(exchange, CLOISTER_SV("2")), CLOISTER_PUSH_OK);
    assert_int_equal(api->push(exchange, CLOISTER_SV("eleven char")), CLOISTER_PUSH_TOO_BIG);
    up->sent(last_conn, 2);
    up->sent(last_conn, 2);
    push_result = CLOISTER_PUSH_FULL;
    assert_int_equal(api->push(exchange, CLOISTER_SV("3")), CLOISTER_PUSH_FULL);
    up->room(last_conn);
    up->room(last_conn);
    assert_string_equal(story, "push(a 1) push(a 2) sent(1) sent(2) push(a 3) writable ");
    api->end(exchange);
    assert_null(api->by_wire_id(last_conn, (struct cloister_wire_id){CLOISTER_ID_TEXT, 0, 0, CLOISTER_SV("a")}));
}

static void test_conn_close(void **state)
{
    static char a[] = "a";
    (void)state;
    connect_as(0);
    (void)request("later", a, NULL, NULL);
    story[0] = 0;
    api->conn_close(last_conn, 1);
    turn();
    assert_string_equal(story, "gone(later 4) forget(a) drain ");
    story[0] = 0;
    api->conn_close(last_conn, 0);
    turn();
    assert_string_equal(story, "conn_closed(4) detach abort ");
    last_conn = NULL;
}

static unsigned drained_count;

static void on_drained(void *ctx)
{
    (void)ctx;
    drained_count++;
}

static void test_drain(void **state)
{
    static char a[] = "a", b[] = "b", c[] = "c";
    (void)state;
    drained_count = 0;
    connect_as(0);
    cloister_exchange *exchange = request("later", a, NULL, NULL);
    (void)request("parked", b, NULL, NULL);
    story[0] = 0;
    cl_exchanges_drain(exchanges, 1000, on_drained, NULL);
    (void)request("now", c, NULL, NULL);
    turn();
    assert_string_equal(story, "drain personality_drain pause(1) fault(11) answer(c 400 no) pause(0) ");
    story[0] = 0;
    api->answer(exchange, 200, CLOISTER_SV("x"));
    turn();
    assert_string_equal(story, "answer(a 200 x) "); /* the personality has not said drained */
    api->drained(&personality.host);
    turn();
    assert_string_equal(story, "answer(a 200 x) gone(parked 3) forget(b) ");
    assert_int_equal(drained_count, 0);
    up->lost(last_conn, CLOISTER_EOF, 0, NULL);
    turn();
    assert_string_equal(story, "answer(a 200 x) gone(parked 3) forget(b) conn_closed(3) detach finish ");
    assert_int_equal(drained_count, 1);
    last_conn = NULL;
}

static void test_drain_hears_who_is_new(void **state)
{
    static char a[] = "a";
    (void)state;
    connect_as(0);
    story[0] = 0;
    cl_exchanges_drain(exchanges, ~0ull, on_drained, NULL);
    turn();
    (void)request("now", a, NULL, NULL);
    turn();
    assert_string_equal(story, "personality_drain exchange(1) answer(a 200 hi) drain ");
}

static void test_drain_deadline(void **state)
{
    static char a[] = "a";
    (void)state;
    drained_count = 0;
    connect_as(0);
    (void)request("later", a, NULL, NULL);
    cl_exchanges_drain(exchanges, 1000, on_drained, NULL);
    turn();
    story[0] = 0;
    exchanges->drain_timer->fn(exchanges->drain_timer->ctx); /* the deadline */
    turn();
    assert_string_equal(story, "gone(later 3) forget(a) ");
    exchanges->drain_timer->fn(exchanges->drain_timer->ctx); /* the grace: a peer that does not take its last answer */
    turn();
    assert_string_equal(story, "gone(later 3) forget(a) conn_closed(3) detach abort ");
    assert_int_equal(drained_count, 1);
    last_conn = NULL;
}

static void test_probe(void **state)
{
    (void)state;
    cloister_stream *stream = connect_as(0);
    assert_string_equal(story, "");
    stream->reader.data(stream->reader_ctx, CLOISTER_SV("h"), NULL, 0);
    stream->reader.data(stream->reader_ctx, CLOISTER_SV("i"), NULL, 0);
    turn();
    assert_string_equal(story, "unread(hi) conn_open attach(h) ");
    stream = connect_as(0);
    story[0] = 0;
    stream->reader.data(stream->reader_ctx, CLOISTER_SV("xy"), NULL, 0);
    turn();
    assert_string_equal(story, "abort ");
}

static void test_conn_info(void **state)
{
    struct cl_peer peer = {.uid = 1000, .gid = 7, .pid = 1, .groups = {8, 9}, .group_count = 2};
    struct cloister_conn_info info = {CLOISTER_INIT(struct cloister_conn_info)};
    (void)state;
    listener.connections++;
    listener.fn(listener.ctx, calloc(1, sizeof(cloister_stream)), &peer);
    api->conn_info(last_conn, &info);
    assert_int_equal(info.access, CLOISTER_ACCESS_OBSERVE);
    assert_int_equal(info.uid, 1000);
    assert_int_equal(info.gid, 7);
    assert_int_equal(info.largest_answer, 10);
    assert_int_equal(info.largest_request, 20);
    assert_int_equal(info.group_count, 2);
    assert_int_equal(info.groups[0], 8);
    assert_int_equal(info.groups[1], 9);
}

/* A transport that reports what cannot be is named; only memory is called memory. */
static void test_impossible_head(void **state)
{
    static char wire[] = "w";
    char said[512] = "";
    int log[2];
    struct cloister_head head = {CLOISTER_INIT(struct cloister_head), .op = CLOISTER_SV("now"), .field_count = 257,
                                 .field_size = sizeof(struct cloister_field)};
    struct cloister_body_policy policy = {CLOISTER_INIT(struct cloister_body_policy)};
    (void)state;
    connect_as(0);
    assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
    cl_log_set_fd(log[1]);
    assert_null(up->head(last_conn, wire, &head, &policy));
    cl_log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    assert_true(read(log[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, "fake reported a request with 257 fields and 0 descriptors"));
    (void)close(log[0]);
    (void)close(log[1]);
    story[0] = 0;
    turn();
    assert_string_equal(story, "conn_closed(1) detach abort ");
    last_conn = NULL;
}

static void test_fault_of_a_transport(void **state)
{
    static char a[] = "a";
    struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault), .kind = CLOISTER_FAULT_MALFORMED, .closes = 1};
    (void)state;
    connect_as(0);
    story[0] = 0;
    up->fault(last_conn, NULL, a, &fault);
    assert_string_equal(story, "fault(3 closes) answer(a 400 no closes) ");
}

/* Whatever allocation fails: the connection is answered or closed, nothing is left, nobody else is disturbed. */
static void test_memory_sweep(void **state)
{
    static char a[] = "a", b[] = "b", c[] = "c";
    uint64_t nth = 0, used = 1;
    while (used >= nth) { /* until nothing was left to fail */
        nth++;
        *state = NULL;
        assert_int_equal(set_up(state), 0);
        cl_mem_fail_nth(nth);
        connect_as(0);
        if (last_conn) {
            (void)request("later", a, "some body", NULL);
            (void)request("open", b, NULL, NULL);
            (void)request("nwo", c, NULL, NULL);
            (void)api->push(
                api->by_wire_id(last_conn, (struct cloister_wire_id){CLOISTER_ID_TEXT, 0, 0, CLOISTER_SV("b")}),
                CLOISTER_SV("1"));
        }
        used = cl_mem_count();
        cl_mem_fail_nth(0);
        turn();
        assert_int_equal(tear_down(state), 0);
    }
    assert_in_range(nth, 15, 200);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests),
                                       cmocka_unit_test(test_memory_sweep),
                                       CASE(test_refused_peer),
                                       CASE(test_answered_once),
                                       CASE(test_descriptors),
                                       CASE(test_in_flight),
                                       CASE(test_lost),
                                       CASE(test_half_closed),
                                       CASE(test_pushes),
                                       CASE(test_conn_close),
                                       CASE(test_conn_info),
                                       CASE(test_impossible_head),
                                       CASE(test_drain),
                                       CASE(test_drain_hears_who_is_new),
                                       CASE(test_drain_deadline),
                                       CASE(test_fault_of_a_transport),
                                       cmocka_unit_test_setup_teardown(test_probe, set_up_probing, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
