/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes, containers and processes: their states, names, order and records; calls plugins through their vtables
 * only. */
#ifndef CL_CORE_ENGINE_ENGINE_H
#define CL_CORE_ENGINE_ENGINE_H

#include <stdbool.h>

#include <cloister/isolation.h>
#include <cloister/sandbox.h>

#include "core/events/events.h"
#include "core/loop/loop.h"
#include "core/registry/registry.h"
#include "core/store/store.h"

struct cl_engine;

struct cl_engine_args {
    struct cl_loop *loop;
    struct cl_events *events;
    const char *instance; /* daemon instance name */
    const char *run_dir;  /* <run>; the engine makes and removes <run>/<id> */
    const char *boot_id;
    uint64_t cookie;
    const char *const *profile_paths; /* directories of <profile>.json */
    unsigned max_sandboxes;           /* LIMIT beyond; 0 = 16,384 */
    uint64_t old_cookie;              /* of the boot before; 0 = none: what carries it is ours and of another boot */
    bool orphans_report;              /* the sweep only reports */
    uint64_t recover_ns;              /* `settled` comes at the latest after this; 0 = 5 s */
};

/* Strings and lists are copied. */
struct cl_engine_service_args {
    const char *name;
    struct cl_instance *personality;
    struct cl_instance *isolation; /* default */
    struct cl_store *store;
    const char *const *see; /* NULL-terminated; "*" = all */
    const char *const *act;
    bool machine_stats; /* it may read the machine's counters */
};

int cl_engine_new(const struct cl_engine_args *args, struct cl_engine **ret);
/* Probes the instance; err names what it cannot do here. engine_room of the instance is set. */
int cl_engine_add_isolation(struct cl_engine *engine, struct cl_instance *isolation, struct cloister_error *err);
int cl_engine_add_service(struct cl_engine *engine, const struct cl_engine_service_args *args,
                          struct cloister_error *err);
/* Before cl_engine_recover: the stores are not those that the run directory remembers, so the sweep only reports. */
void cl_engine_stores_changed(struct cl_engine *engine);
/* After the stores are open: lists, then takes over, finishes or undoes what the records say, each sandbox for itself,
 * and sweeps by cookie where the store allows it. settled: exactly once, never inside the call, when all are settled or
 * after recover_ns, whichever is first (what is unsettled then goes on, and operations on it wait); err NULL or why the
 * daemon cannot serve. 0, or -ENOMEM and it is not called. */
int cl_engine_recover(struct cl_engine *engine, void (*settled)(void *ctx, const struct cloister_error *err),
                      void *ctx);
/* Refuses new operations; waits until those under way have completed (not for waiters), then detaches isolation:
 * containers run on. Again while it drains: with another deadline. */
void cl_engine_drain(struct cl_engine *engine, uint64_t deadline, cloister_fn drained, void *ctx);
/* After a drain's operations have ended and before cl_engine_drain: every running container is stopped (SIGTERM, grace,
 * KILL); sandboxes are left off, cause stopped. done(ctx) once, never inside the call. */
void cl_engine_stop_all(struct cl_engine *engine, uint64_t grace_ns, cloister_fn done, void *ctx);
void cl_engine_health(const struct cl_engine *engine,
                      cloister_value *object); /* adds "sandboxes", "operations", "dirty", ... */
struct cl_engine *cl_engine_free(struct cl_engine *engine);

extern const struct cloister_engine_api
    cl_engine_api; /* for core/host; host->self's engine_room leads to the service */
extern const struct cloister_iso_api cl_engine_iso_api;

#endif
