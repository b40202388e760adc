/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way down: accept no more, let exchanges end, let operations complete, detach isolation, close the stores, destroy
 * the instances. Each step begins when the one before has said that it is done. Containers run on: only descriptors to
 * them are closed.
 */
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

    for (size_t i = 0; daemon->stores && i < daemon->config->persistence_count; i++)
        if (daemon->stores[i]) {
            cl_store_close(daemon->stores[i]);
            daemon->stores[i] = NULL;
        }
    if (daemon->zygote)
        cl_zygote_close(daemon->zygote, on_zygote_closed, daemon);
    else
        stop_loop(daemon);
}

static void on_exchanges_drained(void *ctx)
{
    struct cl_daemon *daemon = ctx;

    if (daemon->engine)
        cl_engine_drain(daemon->engine, cl_mono_ns() + CL_DRAIN_NS, on_engine_drained, daemon);
    else
        on_engine_drained(daemon);
}

void cl_daemon_stop(struct cl_daemon *daemon, int exit_code)
{
    if (exit_code > daemon->exit_code)
        daemon->exit_code = exit_code;
    if (daemon->phase == CL_PHASE_STOPPING || daemon->phase == CL_PHASE_STOPPED)
        return;
    daemon->phase = CL_PHASE_STOPPING;
    if (daemon->exchanges)
        cl_exchanges_drain(daemon->exchanges, cl_mono_ns() + CL_DRAIN_NS, on_exchanges_drained, daemon);
    else if (daemon->loop)
        on_exchanges_drained(daemon);
    else
        daemon->phase = CL_PHASE_STOPPED;
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
            if (it->kind == CLOISTER_KIND_PERSONALITY && it->vtable->personality.close)
                it->vtable->personality.close(it->self);
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
    if (daemon->zygote) /* the loop never ran */
        cl_zygote_close(daemon->zygote, ignore, NULL);
    daemon->exchanges = cl_exchanges_free(daemon->exchanges);
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
        cl_log(CL_LOG_INFO, "daemon", "stopped; containers run on");
}
