/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon.c, services.c, stores.c and stop.c share. */
#ifndef CL_CORE_DAEMON_STATE_H
#define CL_CORE_DAEMON_STATE_H

#include <stdbool.h>

#include "core/config/config.h"
#include "core/daemon/rundir.h"
#include "core/engine/engine.h"
#include "core/events/events.h"
#include "core/exchange/exchange.h"
#include "core/host/host.h"
#include "core/loop/loop.h"
#include "core/net/handed.h"
#include "core/registry/registry.h"
#include "core/store/store.h"
#include "core/zygote/zygote.h"

enum cl_daemon_phase { CL_PHASE_STARTING, CL_PHASE_SERVING, CL_PHASE_STOPPING, CL_PHASE_STOPPED };

/* How far a stop has come; each part has an end of its own that the next one waits for. */
enum cl_stopping { CL_STOPPING_EXCHANGES, CL_STOPPING_CONTAINERS, CL_STOPPING_ENGINE, CL_STOPPING_REST };

struct cl_daemon_store {
    struct cl_daemon *daemon;
    const char *name;
    struct cl_store *store; /* NULL where the plugin is optional and missing */
    bool waiting;           /* another daemon has its lease, which has been said */
    bool due;               /* to be opened again when `retry` rings */
};

struct cl_daemon {
    const struct cl_config *config;
    enum cl_daemon_phase phase;
    int exit_code;
    uint64_t wait_until; /* for the run directory and the stores, see lock.h */
    enum cl_stopping stopping;
    unsigned signals; /* to stop, that have come */
    bool stop_containers;
    bool hurry;
    struct cl_rundir rundir;
    struct cl_handed handed;
    struct cl_loop *loop;
    struct cl_zygote *zygote;
    struct cl_host host;
    struct cl_registry *registry;
    struct cl_events *events;
    struct cl_engine *engine;
    struct cl_exchanges *exchanges;
    struct cl_daemon_store *stores; /* config->persistence_count */
    unsigned opening;               /* stores that are not open yet */
    cloister_timer *retry;          /* while stores wait */
};

/* services.c: everything that is synchronous, up to stores and listeners standing. */
int cl_daemon_listen(struct cl_daemon *daemon, struct cloister_error *err);
int cl_daemon_create(struct cl_daemon *daemon, struct cloister_error *err);
/* services.c: personalities begin, connections are accepted. */
int cl_daemon_serve(struct cl_daemon *daemon, struct cloister_error *err);

/* stores.c: opens all; cl_daemon_opened follows. */
int cl_daemon_open_stores(struct cl_daemon *daemon, struct cloister_error *err);
/* stores.c: whether the durable ones are those that the run directory remembers; it does from now on. */
int cl_daemon_recall_stores(struct cl_daemon *daemon, bool *ret_changed, struct cloister_error *err);
void cl_daemon_close_stores(struct cl_daemon *daemon);
/* daemon.c: once, when all are open or one cannot be. */
void cl_daemon_opened(struct cl_daemon *daemon, const struct cloister_error *err);

/* stop.c: from any phase, once; the loop ends when everything is down. A later call only raises the exit code. */
void cl_daemon_stop(struct cl_daemon *daemon, int exit_code);
/* stop.c: what is waited for has had its time. Containers that are being stopped keep theirs. */
void cl_daemon_hurry(struct cl_daemon *daemon);
/* stop.c: frees what is left, after the loop has ended or was never started. */
void cl_daemon_clear(struct cl_daemon *daemon);

#endif
