/* SPDX-License-Identifier: Apache-2.0 */
#include "core/events/events.h"
#include "core/util/check.h"
#include "core/util/sv.h"

struct seen {
    uint64_t sequences[16];
    char owners[16];
    unsigned count;
    struct cl_events *events; /* for a receiver that emits or leaves */
    const char *leave;
    int emit;
};

static void on_event(void *ctx, const struct cloister_event *event)
{
    struct seen *seen = ctx;
    assert_true(seen->count < CL_COUNT(seen->sequences));
    seen->sequences[seen->count] = event->sequence;
    seen->owners[seen->count++] = event->service.data[0];
    if (seen->emit) {
        char name[] = "b";
        struct cloister_event effect = {.kind = CLOISTER_EVENT_STATE, .service = cl_sv(name, 1)};
        seen->emit--;
        cl_events_emit(seen->events, &effect);
        name[0] = '?'; /* a waiting event has its own copy */
    }
    if (seen->leave)
        cl_events_remove(seen->events, seen->leave);
}

static void emit(struct cl_events *events, const char *service)
{
    struct cloister_event event = {.kind = CLOISTER_EVENT_EXIT, .service = cl_sv_cstr(service)};
    cl_events_emit(events, &event);
    assert_true(event.real_ns && event.mono_ns);
}

static void test_who_sees_what(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *see[3];
        const char *expect; /* owners' first letters, of events by a, b, c */
    } cases[] = {
        {"nobody else", {NULL}, "a"},
        {"one named service", {"c", NULL}, "ac"},
        {"two named services", {"c", "b", NULL}, "abc"},
        {"everybody", {"*", NULL}, "abc"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cl_events *events;
        struct seen seen = {.count = 0};
        assert_int_equal(cl_events_new(&events), 0);
        assert_int_equal(cl_events_add(events, "a", cases[i].see, on_event, &seen), 0);
        emit(events, "a");
        emit(events, "b");
        emit(events, "c");
        CL_CHECK_INT(cases[i].name, cl_events_sequence(events), 3);
        CL_CHECK_STR(cases[i].name, seen.owners, cases[i].expect);
        cl_events_free(events);
    }
}

static void test_effects_come_behind(void **state)
{
    (void)state;
    struct cl_events *events;
    struct seen first = {.emit = 2}, second = {.count = 0};
    const char *all[] = {"*", NULL};
    assert_int_equal(cl_events_new(&events), 0);
    first.events = events;
    assert_int_equal(cl_events_add(events, "first", all, on_event, &first), 0);
    assert_int_equal(cl_events_add(events, "second", all, on_event, &second), 0);
    emit(events, "a");
    CL_CHECK_STR("second receiver hears cause before effect", second.owners, "abb");
    CL_CHECK_INT("numbers", second.sequences[0], 1);
    CL_CHECK_INT("numbers", second.sequences[1], 2);
    CL_CHECK_INT("numbers", second.sequences[2], 3);
    CL_CHECK_STR("first receiver", first.owners, "abb");
    cl_events_free(events);
}

static void test_leaving_during_delivery(void **state)
{
    (void)state;
    struct cl_events *events;
    struct seen first = {.leave = "second"}, second = {.count = 0};
    const char *all[] = {"*", NULL};
    assert_int_equal(cl_events_new(&events), 0);
    first.events = events;
    assert_int_equal(cl_events_add(events, "first", all, on_event, &first), 0);
    assert_int_equal(cl_events_add(events, "second", all, on_event, &second), 0);
    emit(events, "a");
    emit(events, "a");
    CL_CHECK_INT("one that was removed hears nothing more", second.count, 0);
    CL_CHECK_INT("the other one does", first.count, 2);
    cl_events_free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_sees_what),
        cmocka_unit_test(test_effects_come_behind),
        cmocka_unit_test(test_leaving_during_delivery),
    };
    return cmocka_run_group_tests_name("core/events", tests, NULL, NULL);
}
