/* SPDX-License-Identifier: Apache-2.0 */
/* halt.c - see halt.h. */
#include "halt.h"

#include <signal.h>
#include <stdio.h>

#include "instance.h"

#define HALT_BEFORE 3u /* of cl_wire_plan.stop_when */
#define HALT_AFTER 4u

static const struct {
    const char *operation;
    const char *step;
} steps[NS_STEP_COUNT] = {
#define NS_HALT_ROW(operation, step) [NS_STEP_##operation##_##step] = {#operation, #step},
    NS_HALT_ALL(NS_HALT_ROW)};

/* The word up to the next ':' or the end. */
static struct cloister_sv next_word(struct cloister_sv *io_text)
{
    const char *colon = io_text->size ? memchr(io_text->data, ':', io_text->size) : NULL;
    struct cloister_sv word = {io_text->data, colon ? (uint64_t)(colon - io_text->data) : io_text->size};
    uint64_t used = word.size + (colon != NULL);

    io_text->data += used;
    io_text->size -= used;
    return word;
}

static uint32_t find_step(struct cloister_sv operation, struct cloister_sv step)
{
    for (uint32_t i = 1; i < NS_STEP_COUNT; i++)
        if (ns_equal(operation, steps[i].operation) && ns_equal(step, steps[i].step))
            return i;
    return NS_STEP_none;
}

int ns_halt_parse(const struct ns_reader *r, struct cloister_sv text, struct ns_halt *ret)
{
    struct cloister_sv rest = text, operation, step, when;

    *ret = (struct ns_halt){.step = NS_STEP_none};
    if (text.size == 0)
        return 0;
    operation = next_word(&rest);
    step = next_word(&rest);
    when = rest;
    ret->after = ns_equal(when, "after");
    ret->step = find_step(operation, step);
    if (ret->step != NS_STEP_none && (ret->after || ns_equal(when, "before")))
        return 0;
    if ((!ns_equal(operation, "create") && !ns_equal(operation, "exec")) || step.size == 0 ||
        step.size >= sizeof(ret->keeper_step) || (!ret->after && !ns_equal(when, "before")))
        return ns_refuse(r, CLOISTER_INVALID, "halt_at", "must be OPERATION:STEP:before or OPERATION:STEP:after");
    snprintf(ret->operation, sizeof(ret->operation), "%.*s", (int)operation.size, operation.data);
    snprintf(ret->keeper_step, sizeof(ret->keeper_step), "%.*s", (int)step.size, step.data);
    return 0;
}

static void halt(const struct ns_instance *instance, enum ns_step step, bool after)
{
    if (instance->halt.step != step || instance->halt.after != after)
        return;
    cloister_log(instance->host, CLOISTER_INFO, "halt: %s %s %s", steps[step].operation, steps[step].step,
                 after ? "after" : "before");
    raise(SIGSTOP);
}

void ns_halt_before(const struct ns_instance *instance, enum ns_step step)
{
    halt(instance, step, false);
}

void ns_halt_after(const struct ns_instance *instance, enum ns_step step)
{
    halt(instance, step, true);
}

void ns_halt_plan(const struct ns_instance *instance, const char *operation, struct cl_plan *plan)
{
    const struct ns_halt *halt = &instance->halt;

    if (halt->keeper_step[0] == 0 || strcmp(halt->operation, operation) != 0)
        return;
    plan->head.stop_step = cl_plan_cstring(plan, halt->keeper_step);
    plan->head.stop_when = halt->after ? HALT_AFTER : HALT_BEFORE;
}
