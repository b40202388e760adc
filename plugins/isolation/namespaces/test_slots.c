/* SPDX-License-Identifier: Apache-2.0 */
/* test_slots.c - readers' places in the head of a tape, with the test in the keeper's place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <cloister/sandbox.h>

#include "slots.h"

#define ERA 5u

static struct cl_tape_head head;

static void reset(uint64_t start, uint64_t end)
{
    memset(&head, 0, sizeof(head));
    head.era = ERA;
    head.tape[1] = (struct cl_tape){.start = start, .end = end, .state = CL_TAPE_OPEN};
}

static void leave(uint32_t i, uint32_t owner, uint64_t position)
{
    head.slot[i] = (struct cl_tape_slot){.cursor = 1ull << CL_TAPE_SHIFT | position,
                                         .state = CL_TAPE_SLOT_BLOCK,
                                         .fd = 1,
                                         .owner = owner,
                                         .first = position - 50};
}

static int take(uint32_t from, uint64_t position, struct ns_slot_got *got)
{
    struct ns_slot_want want = {.fd = 1, .from = from, .policy = CL_TAPE_SLOT_BLOCK, .era = ERA, .position = position};

    return ns_slot_take(&head, &want, got);
}

/* Left behind: slot 3 at 150 and slot 7 at 200 of era 4, slot 9 at 120 of era 2; bytes 100 to 500 are there. */
static void test_where(void **state)
{
    static const struct {
        const char *name;
        uint32_t from;
        uint64_t position;
        int rc;
        uint32_t index;
        uint64_t at;
        uint64_t lost;
        uint64_t first;
    } cases[] = {
        {"live", CLOISTER_ATTACH_LIVE, 0, 0, 0, 500, 0},
        {"oldest", CLOISTER_ATTACH_OLDEST, 0, 0, 0, 100, 0},
        {"resume: the slowest", CLOISTER_ATTACH_RESUME, 0, 0, 9, 120, 0, 70},
        {"that very byte", CLOISTER_ATTACH_POSITION, 200, 0, 7, 200, 0, 150},
        {"behind others, whose places stay", CLOISTER_ATTACH_POSITION, 199, 0, 0, 199, 0},
        {"before others", CLOISTER_ATTACH_POSITION, 110, 0, 0, 110, 0},
        {"gone already", CLOISTER_ATTACH_POSITION, 40, 0, 0, 100, 60, 40},
        {"the end", CLOISTER_ATTACH_POSITION, 500, 0, 0, 500, 0},
        {"not yet written", CLOISTER_ATTACH_POSITION, 501, -ERANGE, 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ns_slot_got got;
        int rc;

        reset(100, 500);
        leave(3, 4, 150);
        leave(7, 4, 200);
        leave(9, 2, 120);
        rc = take(cases[i].from, cases[i].position, &got);
        if (rc != cases[i].rc || (rc == 0 && (got.index != cases[i].index || got.position != cases[i].at ||
                                              got.lost != cases[i].lost || got.end != 500)))
            fail_msg("%s: rc %d, slot %u at %llu, lost %llu", cases[i].name, rc, got.index,
                     (unsigned long long)got.position, (unsigned long long)got.lost);
        if (rc < 0)
            continue;
        assert_int_equal(head.slot[got.index].owner, ERA);
        assert_int_equal(head.slot[got.index].state, CL_TAPE_SLOT_BLOCK);
        assert_int_equal(ns_slot_position(&head, got.index), cases[i].at);
        assert_int_equal(ns_slot_lost(&head, got.index), cases[i].lost);
        /* who goes on at the left one's very byte has had what that had; else what is given begins here */
        assert_int_equal(head.slot[got.index].first, cases[i].first ? cases[i].first : cases[i].at);
    }
}

/* A reader that was left so far behind that its bytes have gone is told how many. */
static void test_resume_lost(void **state)
{
    struct ns_slot_got got;

    reset(100, 500);
    leave(2, 4, 70);
    assert_int_equal(take(CLOISTER_ATTACH_RESUME, 0, &got), 0);
    assert_int_equal(got.index, 2);
    assert_int_equal(got.position, 100);
    assert_int_equal(got.lost, 30);
    assert_int_equal(take(CLOISTER_ATTACH_RESUME, 0, &got), 0); /* nobody else was: the oldest byte, nothing lost */
    assert_int_equal(got.position, 100);
    assert_int_equal(got.lost, 0);
}

/* Of two readers the first had read to the end, so that its place was given up, the other's was left at 150. The first
 * comes again and must not get the other's: nothing else keeps what lies behind it. */
static void test_not_the_others(void **state)
{
    struct ns_slot_got first, other;

    reset(100, 500);
    leave(3, 4, 150);
    assert_int_equal(take(CLOISTER_ATTACH_POSITION, 500, &first), 0);
    assert_int_equal(head.slot[3].state, CL_TAPE_SLOT_BLOCK);
    assert_int_equal(ns_slot_position(&head, 3), 150);
    assert_int_equal(take(CLOISTER_ATTACH_POSITION, 150, &other), 0);
    assert_int_equal(other.index, 3);
    assert_int_equal(other.lost, 0);
}

static void test_full(void **state)
{
    struct ns_slot_want other = {.fd = 2, .from = CLOISTER_ATTACH_LIVE, .policy = CL_TAPE_SLOT_DROP, .era = ERA};
    struct ns_slot_got got;

    reset(0, 10);
    assert_int_equal(ns_slot_take(&head, &other, &got), -ENODATA);
    for (uint32_t i = 0; i < CL_TAPE_SLOTS; i++)
        leave(i, i == 11 ? 1 : 3, 5);
    head.slot[0].owner = 0; /* being freed by the keeper: nobody's */
    assert_int_equal(take(CLOISTER_ATTACH_LIVE, 0, &got), 0);
    assert_int_equal(got.index, 11); /* the longest left */
    for (uint32_t i = 1; i < CL_TAPE_SLOTS - 1; i++)
        assert_int_equal(take(CLOISTER_ATTACH_LIVE, 0, &got), 0);
    assert_int_equal(take(CLOISTER_ATTACH_LIVE, 0, &got), -EBUSY);
    head.slot[0].state = CL_TAPE_SLOT_FREE;
    assert_int_equal(take(CLOISTER_ATTACH_LIVE, 0, &got), 0);
    assert_int_equal(got.index, 0);
    assert_false(ns_slot_free(&head, 4));
    assert_int_equal(take(CLOISTER_ATTACH_LIVE, 0, &got), 0);
    assert_int_equal(got.index, 4);
}

static void test_handshakes(void **state)
{
    struct ns_slot_got got;

    reset(0, 10);
    assert_int_equal(take(CLOISTER_ATTACH_OLDEST, 0, &got), 0);
    assert_int_equal(ns_slot_begin(&head, got.index), 10);
    assert_int_equal(head.slot[got.index].busy, 1);
    head.slot[got.index].cursor += 10;
    head.tape[1].starved = 1;
    assert_true(ns_slot_end(&head, got.index));
    assert_int_equal(head.slot[got.index].busy, 0);
    head.tape[1].starved = 0;

    assert_int_equal(ns_slot_begin(&head, got.index), 0);
    assert_false(ns_slot_end(&head, got.index));
    assert_int_equal(ns_slot_rest(&head, got.index), NS_SLOT_EMPTY);
    assert_int_equal(head.slot[got.index].hungry, 1);
    assert_false(ns_slot_is_fed(&head, got.index));
    head.tape[1].end = 30;
    assert_true(ns_slot_is_fed(&head, got.index));
    assert_int_equal(ns_slot_rest(&head, got.index), NS_SLOT_DATA);
    assert_int_equal(head.slot[got.index].hungry, 0);

    head.tape[1].start = 25; /* too slow: the keeper has taken bytes away */
    assert_int_equal(ns_slot_begin(&head, got.index), 5);
    assert_int_equal(ns_slot_position(&head, got.index), 25);
    assert_int_equal(ns_slot_lost(&head, got.index), 15);
    head.slot[got.index].cursor += 5;
    assert_false(ns_slot_end(&head, got.index));
    head.tape[1].state = CL_TAPE_ENDED_EARLY;
    assert_true(ns_slot_is_fed(&head, got.index));
    assert_int_equal(ns_slot_rest(&head, got.index), NS_SLOT_EOF);
    assert_int_equal(head.slot[got.index].hungry, 0);

    head.tape[1].starved = 1;
    assert_true(ns_slot_free(&head, got.index));
    assert_int_equal(head.slot[got.index].state, CL_TAPE_SLOT_FREE);
    assert_int_equal(ns_slot_position(&head, got.index), 30); /* is still to be read there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where), cmocka_unit_test(test_resume_lost), cmocka_unit_test(test_not_the_others),
        cmocka_unit_test(test_full),  cmocka_unit_test(test_handshakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
