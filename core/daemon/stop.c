/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way down: accept no more, let exchanges end, let operations complete, detach isolation, close the stores, destroy
 * the instances. Each step begins when the one before has said that it is done. Containers run on, only descriptors to
 * them are closed; unless the configuration says that they are to be stopped, which comes between exchanges and engine.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "core/daemon/state.h"
#include "core/log/log.h"
#include "core/util/time.h"

/* Close callbacks and posts of rooms that are already down; far more turns than any chain of them needs. */
#define LAST_TURNS 64

static void stop_loop(struct cl_daemon *daemon)
{
    daemon->phase = CL_PHASE_STOPPED;
    if (daemon->loop)
        cl_loop_stop(daemon->loop);
}

static void on_zygote_closed(void *ctx)
{
    struct cl_daemon *daemon = ctx;

    daemon->zygote = NULL;
    stop_loop(daemon);
}

static void on_engine_drained(void *ctx)
{
    struct cl_daemon *daemon = ctx;

    daemon->stopping = CL_STOPPING_REST;
    cl_daemon_close_stores(daemon);
    if (daemon->zygote)
        cl_zygote_close(daemon->zygote, on_zygote_closed, daemon);
    else
        stop_loop(daemon);
}

/* Each part of the drain has as long as the configuration gives it, and nothing once there is hurry. */
static uint64_t drain_deadline(const struct cl_daemon *daemon)
{
    return cl_mono_ns() + (daemon->hurry ? 0 : daemon->config->drain_ms * CL_NS_PER_MS);
}

static void drain_engine(void *ctx)
{
    struct cl_daemon *daemon = ctx;

    daemon->stopping = CL_STOPPING_ENGINE;
    if (daemon->engine)
        cl_engine_drain(daemon->engine, drain_deadline(daemon), on_engine_drained, daemon);
    else
        on_engine_drained(daemon);
}

static void on_exchanges_drained(void *ctx)
{
    struct cl_daemon *daemon = ctx;

    if (!daemon->stop_containers || !daemon->engine) {
        drain_engine(daemon);
        return;
    }
    daemon->stopping = CL_STOPPING_CONTAINERS;
    cl_log(CL_LOG_INFO, "daemon", "stopping every container, with %" PRIu32 " ms to end by itself",
           daemon->config->stop_grace_ms);
    cl_engine_stop_all(daemon->engine, daemon->config->stop_grace_ms * CL_NS_PER_MS, drain_engine, daemon);
}

void cl_daemon_stop(struct cl_daemon *daemon, int exit_code)
{
    if (exit_code > daemon->exit_code)
        daemon->exit_code = exit_code;
    if (daemon->phase == CL_PHASE_STOPPING || daemon->phase == CL_PHASE_STOPPED)
        return;
    daemon->phase = CL_PHASE_STOPPING;
    if (daemon->exchanges)
        cl_exchanges_drain(daemon->exchanges, drain_deadline(daemon), on_exchanges_drained, daemon);
    else if (daemon->loop)
        on_exchanges_drained(daemon);
    else
        daemon->phase = CL_PHASE_STOPPED;
}

void cl_daemon_hurry(struct cl_daemon *daemon)
{
    if (daemon->phase != CL_PHASE_STOPPING || daemon->hurry)
        return;
    daemon->hurry = true;
    if (daemon->stopping == CL_STOPPING_EXCHANGES && daemon->exchanges)
        cl_exchanges_hurry(daemon->exchanges);
    else if (daemon->stopping == CL_STOPPING_ENGINE)
        drain_engine(daemon);
}

/* What they close last (streams of output that somebody was attached to) is closed by those it stands on, from the
 * loop. */
static void close_personalities(const struct cl_daemon *daemon)
{
    for (struct cl_instance *it = cl_registry_first(daemon->registry); it; it = it->next)
        if (it->kind == CLOISTER_KIND_PERSONALITY && it->vtable->personality.close)
            it->vtable->personality.close(it->self);
    if (daemon->loop)
        cl_loop_run_pending(daemon->loop, LAST_TURNS);
}

/* Users first: personalities, then what they stand on. */
static void destroy_instances(struct cl_registry *registry)
{
    static const uint32_t order[] = {CLOISTER_KIND_PERSONALITY, CLOISTER_KIND_TRANSPORT, CLOISTER_KIND_ISOLATION,
                                     CLOISTER_KIND_PERSISTENCE};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct cl_instance *next;
        for (struct cl_instance *it = cl_registry_first(registry); it; it = next) {
            next = it->next;
            if (it->kind != order[i])
                continue;
            cl_registry_destroy(registry, it);
        }
    }
}

static void ignore(void *ctx)
{
    (void)ctx;
}

void cl_daemon_clear(struct cl_daemon *daemon)
{
    cl_daemon_close_stores(daemon);
    cl_handed_free(&daemon->handed);
    if (daemon->zygote) /* the loop never ran */
        cl_zygote_close(daemon->zygote, ignore, NULL);
    daemon->exchanges = cl_exchanges_free(daemon->exchanges);
    close_personalities(daemon);
    destroy_instances(daemon->registry);
    daemon->engine = cl_engine_free(daemon->engine);
    daemon->events = cl_events_free(daemon->events);
    if (daemon->loop)
        cl_loop_run_pending(daemon->loop, LAST_TURNS);
    daemon->loop = cl_loop_free(daemon->loop);
    daemon->registry = cl_registry_free(daemon->registry);
    cl_host_release(&daemon->host);
    free(daemon->stores);
    cl_rundir_close(&daemon->rundir);
    if (daemon->exit_code == 0)
        cl_log(CL_LOG_INFO, "daemon", "stopped; containers %s", daemon->stop_containers ? "are off" : "run on");
}
