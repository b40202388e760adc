/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions. */
#include "test_bed.h"

static void emit(uint64_t sequence)
{
    struct cloister_event event = {CLOISTER_INIT(struct cloister_event),
                                   .kind = CLOISTER_EVENT_EXIT,
                                   .sequence = sequence,
                                   .service = CLOISTER_SV("s"),
                                   .sandbox = CLOISTER_SV("known"),
                                   .name = CLOISTER_SV("n"),
                                   .container = CLOISTER_SV("main"),
                                   .process = 2,
                                   .status = {CLOISTER_STATUS_EXITED, 0, 0, 0, 1, 1},
                                   .real_ns = 2000000};
    personality->event(instance, &event);
}

static const char one_event[] =
    "{\"sequence\":1,\"kind\":\"exit\",\"service\":\"s\",\"sandbox\":\"known\",\"name\":\"n\",\"container\":\"main\","
    "\"process\":2,\"is_init\":false,\"status\":{\"kind\":\"exited\",\"code\":0,\"oom\":false,\"core\":false,\"real_"
    "ns\":1},"
    "\"outputs\":null,\"state\":null,\"cause\":null,\"real_ms\":2}";

static void test_events(void **state)
{
    char want[512];
    (void)state;
    request(0, "events", "{}");
    emit(1);
    (void)snprintf(want, sizeof(want), "0:open 200 {}\n0:push %s\n", one_event);
    assert_string_equal(story, want);
    request(1, "unsubscribe", "{\"sub\":3}");
    assert_true(strstr(story, "1:404"));
    story[0] = 0;
    request(1, "unsubscribe", "{\"sub\":0}");
    emit(2);
    assert_string_equal(story, "1:200 {}\n");
    assert_true(exchanges[0].ended);
}

static void test_drained(void **state)
{
    const struct cloister_output_end output = {.fd = 2, .position = 5};
    const struct cloister_event event = {CLOISTER_INIT(struct cloister_event), .kind = CLOISTER_EVENT_DRAINED,
                                         .outputs = &output, .output_count = 1, .output_size = sizeof(output)};
    (void)state;
    request(0, "events", "{}");
    personality->event(instance, &event);
    assert_non_null(strstr(story, "\"outputs\":[{\"fd\":2,\"position\":5,\"lost\":0,\"by_deadline\":false}]"));
}

/* With the connection stuck: 1,024 wait, ten are lost. What was lost is told behind what waited and before what came
 * later. */
static void test_event_loss(void **state)
{
    (void)state;
    request(0, "events", "{\"sandbox\":\"known\"}");
    push_result = CLOISTER_PUSH_FULL;
    for (uint64_t i = 1; i <= 1024 + 10; i++)
        emit(i);
    push_result = CLOISTER_PUSH_OK;
    pushes = 0;
    story[0] = 0;
    personality->writable(instance, &exchanges[0]);
    assert_int_equal(pushes, 1025);
    assert_string_equal(last_push, "{\"kind\":\"event_loss\",\"size\":10}");
    emit(2000);
    assert_int_equal(pushes, 1026);
    assert_int_equal(strncmp(last_push, "{\"sequence\":2000,", 17), 0);
}

/* What the connection cannot carry is told as lost, in its place. */
static void test_event_too_big(void **state)
{
    (void)state;
    request(0, "events", "{}");
    push_result = CLOISTER_PUSH_FULL;
    emit(1);
    emit(222222222222);
    emit(3);
    push_result = CLOISTER_PUSH_OK;
    push_max = strlen(one_event);
    story[0] = 0;
    personality->writable(instance, &exchanges[0]);
    assert_int_equal(pushes, 3);
    char *loss = strstr(story, "0:push {\"kind\":\"event_loss\",\"size\":1}\n");
    assert_non_null(loss);
    assert_true(strstr(story, "\"sequence\":1,") < loss && strstr(story, "\"sequence\":3,") > loss);
    story[0] = 0;
    emit(222222222222); /* the last one */
    assert_string_equal(story, "0:push {\"kind\":\"event_loss\",\"size\":1}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_events), CASE(test_drained), CASE(test_event_loss),
                                       CASE(test_event_too_big)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
