/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/journal.h"

#include <errno.h>

#include "core/engine/operation.h"
#include "core/engine/records.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/time.h"

#define RETRY CL_NS_PER_S

static void write_now(struct cl_sandbox *sandbox);
static void on_too_late(void *ctx);
static void remove_now(struct cl_sandbox *sandbox);

void cl_journal_init(struct cl_journal *journal)
{
    cl_list_init(&journal->waiting);
    cl_list_init(&journal->flying);
    cl_list_init(&journal->removing);
}

static void wait_for(struct cl_list *list, struct cl_journal_wait *wait, cl_journal_fn fn, void *ctx)
{
    wait->fn = fn;
    wait->ctx = ctx;
    cl_list_init(&wait->node);
    cl_list_append(list, &wait->node);
}

static void tell(struct cl_list *list, const struct cloister_error *err)
{
    for (struct cl_list *node; (node = cl_list_first(list));) {
        struct cl_journal_wait *wait = CL_CONTAINER(node, struct cl_journal_wait, node);
        cl_list_remove(node);
        wait->fn(wait->ctx, err);
    }
}

static void set_owed(struct cl_sandbox *sandbox, bool owed)
{
    struct cl_journal *journal = &sandbox->journal;
    if (journal->owed != owed && !sandbox->gone)
        sandbox->engine->dirty += owed ? 1 : -1u;
    journal->owed = owed;
}

/* Nobody undoes what this write should have told of: it stays owed. */
static void owe(struct cl_sandbox *sandbox, const struct cloister_error *err)
{
    struct cl_journal *journal = &sandbox->journal;
    journal->marked |= journal->in_flight_unasked;
    journal->unasked |= journal->in_flight_unasked;
    if (!journal->durability || journal->in_flight_durability < journal->durability)
        journal->durability = journal->in_flight_durability;
    journal->retry_at = cl_mono_ns() + RETRY;
    cl_engine_wake_at(sandbox->engine, journal->retry_at);
    if (!journal->owed)
        cl_log_error(CL_LOG_ERROR, CL_ENGINE_AREA, err, "sandbox %s: its record is behind; trying again", sandbox->id);
    set_owed(sandbox, true);
}

/* Whoever has the store now is the one that is believed. Containers run on, for it to take over. */
static void note_fence(struct cl_sandbox *sandbox, const struct cloister_error *err)
{
    if (err->code != CLOISTER_FENCED || sandbox->engine->fenced)
        return;
    sandbox->engine->fenced = true;
    cl_log_error(CL_LOG_ERROR, CL_ENGINE_AREA, err, "another daemon has taken the store over: no more sandboxes here");
}

static void move_all(struct cl_list *from, struct cl_list *to)
{
    for (struct cl_list *node; (node = cl_list_first(from));) {
        cl_list_remove(node);
        cl_list_append(to, node);
    }
}

/* The put under way has ended: tells those who waited for it, then goes on with what has been marked since. */
static void written(struct cl_sandbox *sandbox, const struct cloister_error *err)
{
    struct cl_journal *journal = &sandbox->journal;
    struct cl_list told;
    cl_list_init(&told);
    move_all(&journal->flying, &told);
    journal->busy = false;
    if (cl_graves_written(sandbox, !err) && !err && !journal->closed) { /* more than fit */
        journal->marked |= CL_RECORD_CONTAINERS;
        journal->unasked |= CL_RECORD_CONTAINERS;
        journal->durability = journal->durability ? journal->durability : CLOISTER_DURABLE_DAEMON;
    }
    if (!err) {
        journal->exists = true;
        if (journal->owed)
            cl_log(CL_LOG_INFO, CL_ENGINE_AREA, "sandbox %s: its record is up to date again", sandbox->id);
        set_owed(sandbox, false);
    } else {
        note_fence(sandbox, err);
    }
    if (err && journal->in_flight_unasked) {
        owe(sandbox, err); /* whoever waited undoes what is its own; the rest is still true */
    }
    journal->in_flight_unasked = 0;
    tell(&told, err);
    if (!journal->busy && journal->closed)
        remove_now(sandbox);
    else if (!journal->busy && journal->marked && (!journal->owed || !cl_list_empty(&journal->waiting)))
        write_now(sandbox);
    cl_engine_ended(sandbox->engine);
    cl_sandbox_unref(sandbox);
}

static void on_written(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)result;
    written(ctx, err);
}

static void on_not_built(void *ctx)
{
    struct cl_sandbox *sandbox = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = sandbox->journal.build_error;
    (void)cl_error_set(&err, cl_error_code_of(r), r, NULL, "record", "build the record");
    written(sandbox, &err);
}

static void write_now(struct cl_sandbox *sandbox)
{
    struct cl_journal *journal = &sandbox->journal;
    struct cl_records records = CL_RECORDS_INIT;
    int r = cl_records_build(sandbox, journal->marked, &records);
    if (journal->marked & CL_RECORD_CONTAINERS)
        cl_graves_fly(sandbox);
    uint64_t generation = journal->exists ? CLOISTER_GENERATION_ANY : CLOISTER_GENERATION_NEW;
    journal->busy = true;
    journal->in_flight_unasked = journal->unasked;
    journal->in_flight_durability = journal->durability;
    journal->marked = journal->unasked = 0;
    journal->durability = 0;
    move_all(&journal->waiting, &journal->flying);
    (void)cl_sandbox_ref(sandbox);
    if (r == 0)
        r = cl_store_put(sandbox->store, cl_sandbox_id(sandbox), generation, journal->in_flight_durability,
                         records.items, records.count, records.summary, on_written, sandbox);
    cl_records_free(&records);
    if (r == 0)
        return;
    journal->build_error = r;
    cl_engine_later(sandbox->engine, &journal->later, on_not_built, sandbox);
}

/* It came too late: there is no record set to write to. */
static void on_too_late(void *ctx)
{
    struct cl_sandbox *sandbox = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_CANCELLED, 0, NULL, "record", "the sandbox is being removed");
    (void)cl_sandbox_ref(sandbox);
    tell(&sandbox->journal.waiting, &err);
    cl_sandbox_unref(sandbox);
}

void cl_journal_write(struct cl_sandbox *sandbox, unsigned records, uint32_t durability, struct cl_journal_wait *wait,
                      cl_journal_fn fn, void *ctx)
{
    struct cl_journal *journal = &sandbox->journal;
    if (wait)
        wait_for(&journal->waiting, wait, fn, ctx);
    if (journal->closed) {
        if (!journal->busy) /* else the removal tells it */
            cl_engine_later(sandbox->engine, &journal->later, on_too_late, sandbox);
        return;
    }
    journal->marked |= records;
    if (!wait)
        journal->unasked |= records;
    if (!journal->durability || durability < journal->durability) /* POWER is the smaller number */
        journal->durability = durability;
    if (!journal->busy)
        write_now(sandbox);
}

void cl_journal_retry(struct cl_sandbox *sandbox, uint64_t now)
{
    struct cl_journal *journal = &sandbox->journal;
    if (!journal->owed || journal->busy || journal->closed)
        return;
    if (journal->retry_at <= now)
        write_now(sandbox);
    else
        cl_engine_wake_at(sandbox->engine, journal->retry_at);
}

static void removed(struct cl_sandbox *sandbox, const struct cloister_error *err)
{
    struct cl_journal *journal = &sandbox->journal;
    journal->busy = false;
    journal->closed = !err;
    tell(&journal->removing, err);
    on_too_late(sandbox);
    cl_engine_ended(sandbox->engine);
    cl_sandbox_unref(sandbox);
}

static void on_removed(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)result;
    removed(ctx, err);
}

static void on_not_removed(void *ctx)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_INTERNAL, ENOMEM, NULL, "record", "remove the record");
    removed(ctx, &err);
}

static void remove_now(struct cl_sandbox *sandbox)
{
    struct cl_journal *journal = &sandbox->journal;
    journal->busy = true;
    journal->marked = journal->unasked = 0;
    set_owed(sandbox, false);
    (void)cl_sandbox_ref(sandbox);
    if (cl_store_destroy(sandbox->store, cl_sandbox_id(sandbox), CLOISTER_GENERATION_ANY, on_removed, sandbox) < 0) {
        cl_later_cancel(&journal->later); /* who came too late is told by the removal */
        cl_engine_later(sandbox->engine, &journal->later, on_not_removed, sandbox);
    }
}

void cl_journal_remove(struct cl_sandbox *sandbox, struct cl_journal_wait *wait, cl_journal_fn fn, void *ctx)
{
    struct cl_journal *journal = &sandbox->journal;
    journal->closed = true;
    wait_for(&journal->removing, wait, fn, ctx);
    if (!journal->busy)
        remove_now(sandbox);
}
