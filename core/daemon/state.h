/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon.c, services.c and stop.c share. */
#ifndef CL_CORE_DAEMON_STATE_H
#define CL_CORE_DAEMON_STATE_H

#include "core/config/config.h"
#include "core/daemon/rundir.h"
#include "core/engine/engine.h"
#include "core/events/events.h"
#include "core/exchange/exchange.h"
#include "core/host/host.h"
#include "core/loop/loop.h"
#include "core/registry/registry.h"
#include "core/store/store.h"
#include "core/zygote/zygote.h"

#define CL_DRAIN_NS (60ull * 1000000000ull)

enum cl_daemon_phase { CL_PHASE_STARTING, CL_PHASE_SERVING, CL_PHASE_STOPPING, CL_PHASE_STOPPED };

struct cl_daemon {
    const struct cl_config *config;
    enum cl_daemon_phase phase;
    int exit_code;
    struct cl_rundir rundir;
    struct cl_loop *loop;
    struct cl_zygote *zygote;
    struct cl_host host;
    struct cl_registry *registry;
    struct cl_events *events;
    struct cl_engine *engine;
    struct cl_exchanges *exchanges;
    struct cl_store **stores; /* config->persistence_count, NULL where the plugin is optional and missing */
    unsigned opening;         /* stores whose open is under way */
};

/* services.c: everything that is synchronous, up to stores and listeners standing. */
int cl_daemon_listen(struct cl_daemon *daemon, struct cloister_error *err);
int cl_daemon_create(struct cl_daemon *daemon, struct cloister_error *err);
/* services.c: personalities begin, connections are accepted. */
int cl_daemon_serve(struct cl_daemon *daemon, struct cloister_error *err);

/* stop.c: from any phase, once; the loop ends when everything is down. A later call only raises the exit code. */
void cl_daemon_stop(struct cl_daemon *daemon, int exit_code);
/* stop.c: frees what is left, after the loop has ended or was never started. */
void cl_daemon_clear(struct cl_daemon *daemon);

#endif
