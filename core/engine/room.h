/* SPDX-License-Identifier: Apache-2.0 */
/* room.h - what the files of this folder share: the engine, its services, its isolation instances, work put off to a
 * fresh stack. */
#ifndef CL_CORE_ENGINE_ROOM_H
#define CL_CORE_ENGINE_ROOM_H

#include "core/engine/engine.h"
#include "core/store/calls.h"
#include "core/util/list.h"
#include "core/util/map.h"

#define CL_ENGINE_AREA "engine"
#define CL_ENGINE_MAX_SANDBOXES 16384u
#define CL_ENGINE_MAX_PROCESSES 4096u /* unreleased ones of a sandbox */

/* Something to do on a fresh stack, soon. Lives in its owner; queued at most once. */
struct cl_later {
    struct cl_list node;
    cloister_fn fn;
    void *ctx;
};

/* An isolation instance. */
struct cl_backend {
    struct cl_list node; /* engine->backends */
    struct cl_engine *engine;
    struct cl_instance *instance;
    const struct cloister_isolation *vtable;
    struct cl_calls calls;
    uint64_t capabilities;
    uint64_t max_sandboxes; /* 0 = no limit */
    uint64_t sandboxes;
    bool ghost; /* a record names it, the config does not; it has not one slot */
};

/* A personality, seen from here: who owns sandboxes, and whose it may see and touch. */
struct cl_service {
    struct cl_list node; /* engine->services */
    struct cl_engine *engine;
    char *name;
    struct cl_backend *backend; /* default; NULL: none */
    struct cl_store *store;
    struct cl_instance *personality;
    char **see; /* NULL-terminated */
    char **act;
    bool machine_stats;        /* may read the machine's counters */
    struct cl_map names;       /* name -> struct cl_sandbox, reserved ones included */
    bool ghost;                /* not in the config: a record names it as an owner */
    struct cloister_sv record; /* its own STORE record, malloc'd; data NULL = none (record_put.h) */
    bool record_known;         /* it has been read, or written since */
    bool record_reading;
    struct cloister_error record_error; /* why it is not known */
};

/* The engine's own stop of everything (stop_all.c). */
struct cl_stop_all {
    unsigned left;
    struct cl_later later;
    cloister_fn done;
    void *ctx;
};

struct cl_recovery;

struct cl_engine {
    struct cl_loop *loop;
    struct cl_events *events;
    char *instance;
    char *run_dir;
    char *boot_id;
    uint64_t cookie;
    uint64_t old_cookie; /* of the boot before; 0 = none */
    uint64_t recover_ns;
    bool orphans_report;
    bool stores_changed;
    bool fenced;           /* a later daemon has taken a store over */
    bool sweeping;         /* creates wait: the sweep would take what they make for orphans */
    struct cl_list parked; /* those that do */
    char **profile_paths;
    struct cl_map profiles; /* name -> text, loaded when first asked for */
    unsigned max_sandboxes;
    struct cl_list backends;
    struct cl_list services;
    struct cl_list ghost_backends; /* that records name and the config does not */
    struct cl_list ghost_services;
    struct cl_list sandboxes; /* in order of creation */
    struct cl_map by_id;
    struct cl_list operations;
    struct cl_map by_number;
    uint64_t last_number;
    uint32_t last_process;
    struct cl_list later;
    cloister_timer *soon;
    cloister_timer *clock; /* deadlines and owed writes */
    uint64_t clock_at;     /* 0 = not set */
    unsigned dirty;        /* sandboxes that owe the store a write */
    struct cl_recovery *recovery;
    struct cl_arena lent; /* behind views that are good until the next call or return to the loop */
    struct cl_later lent_back;
    struct cl_stop_all stop_all;
    struct cl_later drain_check;
    bool draining;
    bool detached;
    uint64_t drain_deadline;
    cloister_fn drained;
    void *drained_ctx;
};

/* fn runs on a later turn of the loop, in order; queued twice is queued once. Cannot fail. */
void cl_engine_later(struct cl_engine *engine, struct cl_later *later, cloister_fn fn, void *ctx);
static inline void cl_later_cancel(struct cl_later *later)
{
    if (later->node.next)
        cl_list_remove(&later->node);
}
/* The clock looks at deadlines and owed writes at `mono` or before. */
void cl_engine_wake_at(struct cl_engine *engine, uint64_t mono);
/* Tells a drain that something has ended. */
void cl_engine_ended(struct cl_engine *engine);

/* service.c */
struct cl_service *cl_service_of(const struct cloister_host *host);
struct cl_service *cl_service_lookup(const struct cl_engine *engine, struct cloister_sv name);
/* One that records name as owner and the config does not know. NULL: no memory. */
struct cl_service *cl_service_ghost(struct cl_engine *engine, struct cloister_sv name);
bool cl_service_sees(const struct cl_service *service, const struct cl_service *owner);
bool cl_service_acts(const struct cl_service *service, const struct cl_service *owner);
void cl_service_free(struct cl_service *service);
/* NULL-terminated copies; NULL is an empty list. */
int cl_names_copy(const char *const *names, char ***ret);
void cl_names_free(char **names);

/* backend.c */
struct cl_backend *cl_backend_of(const struct cl_instance *instance);
struct cl_backend *cl_backend_lookup(const struct cl_engine *engine, struct cloister_sv name);
/* As cl_service_ghost: it can do nothing. */
struct cl_backend *cl_backend_ghost(struct cl_engine *engine, struct cloister_sv name);
void cl_backend_free(struct cl_backend *backend);

/* profiles.c */
int cl_profile_get(struct cl_engine *engine, struct cloister_sv name, struct cloister_sv *ret,
                   struct cloister_error *err);
void cl_profiles_free(struct cl_engine *engine);

/* sweep.c */
void cl_sweep_orphan(struct cl_backend *backend, struct cloister_sv sandbox, const char *kind, struct cloister_sv name,
                     bool removed);

#endif
