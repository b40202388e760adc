/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All stores are opened at once, and whoever waits for them hears of it once. A store whose lease another daemon holds
 * (an instance that shares the state directory, or the one before us that is not quite gone) is tried again as long as
 * we were told to wait.
 */
#include <errno.h>

#include "core/daemon/lock.h"
#include "core/daemon/state.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/sv.h"
#include "core/util/time.h"

static void on_open(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result);

static int open_one(struct cl_daemon_store *store, struct cloister_error *err)
{
    const struct cl_config *config = store->daemon->config;
    int r = cl_store_open(store->store, config->instance, config->state_dir, on_open, store);

    if (r < 0)
        return cl_error_set(err, CLOISTER_IO, r, store->name, "open", "open store '%s'", store->name);
    return 0;
}

static void on_retry(void *ctx)
{
    struct cl_daemon *daemon = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;

    for (size_t i = 0; i < daemon->config->persistence_count && daemon->phase == CL_PHASE_STARTING; i++) {
        struct cl_daemon_store *store = &daemon->stores[i];
        bool due = store->due;
        store->due = false;
        if (due && open_one(store, &err) < 0)
            cl_daemon_opened(daemon, &err);
    }
}

/* True when it will be tried again; the first time is told. */
static bool try_again(struct cl_daemon_store *store, const struct cloister_error *err)
{
    struct cl_daemon *daemon = store->daemon;
    uint64_t now = cl_mono_ns();

    if (now >= daemon->wait_until ||
        (!daemon->retry && cl_timer_open(daemon->loop, on_retry, daemon, &daemon->retry) < 0))
        return false;
    if (!store->waiting)
        cl_log_error(CL_LOG_INFO, "daemon", err, "waiting for store '%s'", store->name);
    store->waiting = store->due = true;
    return cl_timer_set(daemon->retry, now + CL_WAIT_PAUSE_NS, 0) == 0;
}

static void on_open(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct cl_daemon_store *store = ctx;
    struct cl_daemon *daemon = store->daemon;

    (void)result;
    if (daemon->phase != CL_PHASE_STARTING || (err && err->code == CLOISTER_BUSY && try_again(store, err)))
        return;
    if (!err && store->waiting)
        cl_log(CL_LOG_INFO, "daemon", "store '%s' is free: going on", store->name);
    daemon->opening--;
    if (err || daemon->opening == 0)
        cl_daemon_opened(daemon, err);
}

int cl_daemon_open_stores(struct cl_daemon *daemon, struct cloister_error *err)
{
    for (size_t i = 0; i < daemon->config->persistence_count; i++) {
        if (!daemon->stores[i].store)
            continue;
        int r = open_one(&daemon->stores[i], err);
        if (r < 0)
            return r;
        daemon->opening++;
    }
    if (daemon->opening == 0)
        cl_daemon_opened(daemon, NULL);
    return 0;
}

static struct cl_daemon_store *durable(const struct cl_daemon *daemon, struct cloister_sv name)
{
    for (size_t i = 0; i < daemon->config->persistence_count; i++) {
        struct cl_daemon_store *store = &daemon->stores[i];
        if (store->store && cl_sv_is(name, store->name) && cl_store_capabilities(store->store) & CLOISTER_STORE_DURABLE)
            return store;
    }
    return NULL;
}

/* What was remembered first stays for the whole boot: else the next start would take the strange store for the right
 * one, and what the right one knows of for orphans. */
static bool is_as_remembered(const struct cl_daemon *daemon, const cloister_value *known)
{
    const struct cl_daemon_store *store = durable(daemon, cl_value_key(known));

    if (store && cl_sv_is(cl_store_id(store->store), cl_value_cstr(known)))
        return true;
    cl_log(
        CL_LOG_WARN, "daemon",
        "store '%.*s' is not the one with id %s that run directory '%s' remembers: what has no record is only reported",
        CL_SV_ARG(cl_value_key(known)), cl_value_cstr(known), daemon->rundir.path);
    return false;
}

int cl_daemon_recall_stores(struct cl_daemon *daemon, bool *ret_changed, struct cloister_error *err)
{
    cloister_value *known = daemon->rundir.stores;
    bool changed = false, more = false;
    int r = 0;

    for (const cloister_value *it = cl_value_first(known); it; it = cl_value_next(it))
        changed |= !is_as_remembered(daemon, it);
    for (size_t i = 0; r == 0 && i < daemon->config->persistence_count; i++) {
        const struct cl_daemon_store *store = durable(daemon, cl_sv_cstr(daemon->stores[i].name));
        if (!store || cl_value_get_cstr(known, store->name))
            continue;
        r = cl_value_set_cstr(known, store->name, cl_value_new_string(cl_store_id(store->store)));
        more = true;
    }
    if (r < 0)
        return cl_error_set(err, CLOISTER_IO, r, "instance", "remember", "remember the open stores");
    if (more && (r = cl_rundir_remember(&daemon->rundir, err)) < 0)
        return r;
    *ret_changed = changed;
    return 0;
}

void cl_daemon_close_stores(struct cl_daemon *daemon)
{
    if (daemon->retry)
        cl_timer_close(daemon->retry, NULL, NULL);
    daemon->retry = NULL;
    for (size_t i = 0; daemon->stores && i < daemon->config->persistence_count; i++) {
        cl_store_close(daemon->stores[i].store);
        daemon->stores[i].store = NULL;
    }
}
