/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - the house's memory of who runs where.
 *
 * A personality asks, the engine decides: it checks the request and copies it, makes it an operation with a number,
 * lets it begin when nothing it would disturb is under way (order.c), writes down what could not be read back later
 * (journal.c), and asks an isolation plugin to do it. What isolation tells of its own accord becomes notices: they
 * change the state of processes, containers and sandboxes one after the other (notice.c, fate.c), are told to everybody
 * as events, and only then complete the waits they satisfy. Everything that is begun ends: by its own completion, by
 * its deadline, by being cancelled, or with the sandbox, whose end (ending.c) is one road for a destroy and for a
 * create that has to be undone.
 *
 * States follow sdk.md section 5. An init's exit is told at once and recorded; the rest of its container is killed, and
 * when that has gone the init is drained (the rest may hold its output) and the container down. If the sandbox was made
 * with that container and never had another one, its init's end takes it from up to off(stopped); one that was made
 * without a container, or has had further ones, is up until it is destroyed; a dead keeper makes it off(lost), and
 * everything that ran in it has ended with a status of kind LOST. Nothing here blocks: operations begin on a later turn
 * of the loop than the one they were asked in, so that no completion can come from inside the call that started it.
 */
#include "core/engine/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "core/engine/recover.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/time.h"
#include "core/value/value.h"

#define RECOVER_NS (5 * CL_NS_PER_S)

static void on_soon(void *ctx);
static void on_clock(void *ctx);

static int copy_strings(struct cl_engine *engine, const struct cl_engine_args *args)
{
    engine->instance = cl_strdup(args->instance);
    engine->run_dir = cl_strdup(args->run_dir);
    engine->boot_id = cl_strdup(args->boot_id);
    if (!engine->instance || !engine->run_dir || !engine->boot_id)
        return -ENOMEM;
    return cl_names_copy(args->profile_paths, &engine->profile_paths);
}

int cl_engine_new(const struct cl_engine_args *args, struct cl_engine **ret)
{
    struct cl_engine *engine = cl_new(struct cl_engine);
    if (!engine)
        return -ENOMEM;
    engine->loop = args->loop;
    engine->events = args->events;
    engine->cookie = args->cookie;
    engine->old_cookie = args->old_cookie;
    engine->orphans_report = args->orphans_report;
    engine->recover_ns = args->recover_ns ? args->recover_ns : RECOVER_NS;
    engine->max_sandboxes = args->max_sandboxes ? args->max_sandboxes : CL_ENGINE_MAX_SANDBOXES;
    cl_list_init(&engine->backends);
    cl_list_init(&engine->services);
    cl_list_init(&engine->ghost_backends);
    cl_list_init(&engine->ghost_services);
    cl_list_init(&engine->parked);
    cl_list_init(&engine->sandboxes);
    cl_list_init(&engine->operations);
    cl_list_init(&engine->later);
    int r = copy_strings(engine, args);
    if (r == 0)
        r = cl_timer_open(engine->loop, on_soon, engine, &engine->soon);
    if (r == 0)
        r = cl_timer_open(engine->loop, on_clock, engine, &engine->clock);
    if (r < 0) {
        (void)cl_engine_free(engine);
        return r;
    }
    *ret = engine;
    return 0;
}

void cl_engine_later(struct cl_engine *engine, struct cl_later *later, cloister_fn fn, void *ctx)
{
    if (!later->node.next)
        cl_list_init(&later->node);
    if (!cl_list_empty(&later->node))
        return;
    later->fn = fn;
    later->ctx = ctx;
    if (cl_list_empty(&engine->later))
        (void)cl_timer_set(engine->soon, 1, 0);
    cl_list_append(&engine->later, &later->node);
}

/* What is queued meanwhile waits for the next turn, else a personality that answers with requests could starve the
 * loop. */
static void on_soon(void *ctx)
{
    struct cl_engine *engine = ctx;
    struct cl_list now;
    cl_list_init(&now);
    for (struct cl_list *node; (node = cl_list_first(&engine->later));) {
        cl_list_remove(node);
        cl_list_append(&now, node);
    }
    for (struct cl_list *node; (node = cl_list_first(&now));) {
        struct cl_later *later = CL_CONTAINER(node, struct cl_later, node);
        cl_list_remove(node);
        later->fn(later->ctx);
    }
    if (!cl_list_empty(&engine->later))
        (void)cl_timer_set(engine->soon, 1, 0);
}

void cl_engine_wake_at(struct cl_engine *engine, uint64_t mono)
{
    if (!mono || (engine->clock_at && engine->clock_at <= mono))
        return;
    engine->clock_at = mono;
    (void)cl_timer_set(engine->clock, mono, 0);
}

static void on_clock(void *ctx)
{
    struct cl_engine *engine = ctx;
    uint64_t now = cl_mono_ns();
    engine->clock_at = 0;
    /* An answer may end or begin other operations, so each round starts over; numbers only rise. */
    uint64_t last = 0;
    for (bool more = true; more;) {
        more = false;
        CL_LIST_FOREACH(node, &engine->operations)
        {
            struct cl_operation *operation = CL_CONTAINER(node, struct cl_operation, node);
            if (operation->number <= last)
                continue;
            last = operation->number;
            uint64_t next = cl_operation_tick(operation, now);
            if (next == now) {
                more = true;
                break;
            }
            cl_engine_wake_at(engine, next);
        }
    }
    CL_LIST_FOREACH(node, &engine->sandboxes)
    cl_journal_retry(CL_CONTAINER(node, struct cl_sandbox, node), now);
    if (engine->draining)
        cl_engine_ended(engine);
}

/* Operations that a drain waits for: not waits, which may take for ever. */
static unsigned busy(const struct cl_engine *engine)
{
    unsigned count = 0;
    CL_LIST_FOREACH(node, &engine->operations)
    {
        const struct cl_operation *operation = CL_CONTAINER(node, struct cl_operation, node);
        count += !operation->class->passive || operation->call.token;
    }
    count += engine->recovery && cl_recovery_busy(engine->recovery);
    CL_LIST_FOREACH(node, &engine->services)
    count += CL_CONTAINER(node, struct cl_service, node)->record_reading;
    CL_LIST_FOREACH(node, &engine->sandboxes)
    {
        const struct cl_sandbox *sandbox = CL_CONTAINER(node, struct cl_sandbox, node);
        count += (sandbox->ending.step != CL_ENDING_NONE) || sandbox->journal.busy;
    }
    return count;
}

static void detach(struct cl_engine *engine, unsigned left)
{
    if (left)
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "the drain's deadline has passed with %u operations under way", left);
    engine->detached = true;
    CL_LIST_FOREACH(node, &engine->operations)
    {
        struct cl_operation *operation = CL_CONTAINER(node, struct cl_operation, node);
        struct cloister_error err = CLOISTER_ERROR_INIT;
        (void)cl_error_set(&err, CLOISTER_UNAVAILABLE, 0, NULL, NULL, "the daemon is shutting down");
        cl_operation_answer(operation, &err, NULL);
    }
    CL_LIST_FOREACH(node, &engine->backends)
    {
        struct cl_backend *backend = CL_CONTAINER(node, struct cl_backend, node);
        backend->vtable->detach(backend->instance->self);
    }
    cloister_fn drained = engine->drained;
    engine->drained = NULL;
    drained(engine->drained_ctx);
}

static void on_drain_check(void *ctx)
{
    struct cl_engine *engine = ctx;
    unsigned left = busy(engine);
    if (!engine->drained || engine->detached)
        return;
    if (left && (!engine->drain_deadline || cl_mono_ns() < engine->drain_deadline)) {
        cl_engine_wake_at(engine, engine->drain_deadline);
        return;
    }
    detach(engine, left);
}

void cl_engine_ended(struct cl_engine *engine)
{
    if (engine->draining && !engine->detached)
        cl_engine_later(engine, &engine->drain_check, on_drain_check, engine);
}

void cl_engine_drain(struct cl_engine *engine, uint64_t deadline, cloister_fn drained, void *ctx)
{
    engine->draining = true;
    engine->drain_deadline = deadline;
    engine->drained = drained;
    engine->drained_ctx = ctx;
    if (engine->recovery)
        cl_recovery_check(engine->recovery);
    cl_engine_ended(engine);
}

void cl_engine_health(const struct cl_engine *engine, cloister_value *object)
{
    unsigned overdue = 0, failing = 0, unknown = 0, recovering = 0;
    CL_LIST_FOREACH(node, &engine->backends)
    overdue += CL_CONTAINER(node, struct cl_backend, node)->calls.overdue;
    CL_LIST_FOREACH(node, &engine->sandboxes)
    {
        const struct cl_sandbox *sandbox = CL_CONTAINER(node, struct cl_sandbox, node);
        failing += sandbox->failure.code != 0;
        unknown += sandbox->unknown;
        recovering += sandbox->recovering;
    }
    (void)cl_value_set_cstr(object, "sandboxes", cl_value_new_u64(engine->by_id.size));
    (void)cl_value_set_cstr(object, "operations", cl_value_new_u64(engine->by_number.size));
    (void)cl_value_set_cstr(object, "overdue", cl_value_new_u64(overdue));
    (void)cl_value_set_cstr(object, "dirty", cl_value_new_u64(engine->dirty));
    (void)cl_value_set_cstr(object, "failing", cl_value_new_u64(failing));
    (void)cl_value_set_cstr(object, "unknown", cl_value_new_u64(unknown));
    (void)cl_value_set_cstr(object, "recovering", cl_value_new_u64(recovering));
    (void)cl_value_set_cstr(object, "fenced", cl_value_new_bool(engine->fenced));
    (void)cl_value_set_cstr(object, "draining", cl_value_new_bool(engine->draining));
}

struct cl_engine *cl_engine_free(struct cl_engine *engine)
{
    if (!engine)
        return NULL;
    engine->draining = engine->detached = true;
    CL_LIST_FOREACH(node, &engine->backends)
    cl_calls_close(&CL_CONTAINER(node, struct cl_backend, node)->calls);
    for (struct cl_list *node; (node = cl_list_first(&engine->operations));)
        cl_operation_finish_cancelled(CL_CONTAINER(node, struct cl_operation, node), "the daemon is shutting down");
    for (struct cl_list *node; (node = cl_list_first(&engine->sandboxes));)
        cl_sandbox_forget(CL_CONTAINER(node, struct cl_sandbox, node));
    for (struct cl_list *node; (node = cl_list_first(&engine->services));)
        cl_service_free(CL_CONTAINER(node, struct cl_service, node));
    for (struct cl_list *node; (node = cl_list_first(&engine->ghost_services));)
        cl_service_free(CL_CONTAINER(node, struct cl_service, node));
    for (struct cl_list *node; (node = cl_list_first(&engine->backends));)
        cl_backend_free(CL_CONTAINER(node, struct cl_backend, node));
    for (struct cl_list *node; (node = cl_list_first(&engine->ghost_backends));)
        cl_backend_free(CL_CONTAINER(node, struct cl_backend, node));
    if (engine->soon)
        cl_timer_close(engine->soon, NULL, NULL);
    if (engine->clock)
        cl_timer_close(engine->clock, NULL, NULL);
    if (engine->recovery)
        cl_recovery_free(engine->recovery);
    cl_profiles_free(engine);
    cl_arena_free(&engine->lent);
    cl_map_free(&engine->by_id);
    cl_map_free(&engine->by_number);
    cl_names_free(engine->profile_paths);
    free(engine->instance);
    free(engine->run_dir);
    free(engine->boot_id);
    free(engine);
    return NULL;
}
