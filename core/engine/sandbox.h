/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - sandbox, container, process: what the engine knows of each. */
#ifndef CL_CORE_ENGINE_SANDBOX_H
#define CL_CORE_ENGINE_SANDBOX_H

#include "core/engine/journal.h"
#include "core/engine/room.h"
#include "core/util/base32.h"

struct cl_operation;

/* The way out (ending.h). Lives in the sandbox, so that undoing needs no memory. */
enum cl_ending_step {
    CL_ENDING_NONE,
    CL_ENDING_GOAL,
    CL_ENDING_CANCELLING,
    CL_ENDING_SETTLE,
    CL_ENDING_ISOLATION,
    CL_ENDING_STORE
};

struct cl_ending {
    enum cl_ending_step step;
    struct cl_list joined;        /* destroy operations */
    struct cl_operation *creator; /* the create that is being undone */
    struct cl_journal_wait journal;
    struct cl_call call;
    struct cloister_iso_destroy_args args;
    struct cl_later later;
};

/* Something an isolation plugin told that may have to wait its turn (O1). Lives in what it is about, so that it cannot
 * be lost. */
struct cl_notice {
    struct cl_list node; /* sandbox->notices */
    uint32_t kind;       /* enum cloister_event_kind; 0 = not used yet */
    uint32_t cause;
    struct cl_process *process; /* NULL: of the sandbox */
    struct cl_container *container;
    bool allocated; /* freed when told */
    struct cloister_status status;
};

struct cl_process {
    struct cl_list node; /* sandbox->processes, in order of their numbers */
    struct cl_sandbox *sandbox;
    struct cl_container *container;
    cloister_process number;
    char *name;     /* "" = none */
    uint32_t state; /* enum cloister_process_state */
    int32_t pid;
    bool is_init;
    bool held;     /* nobody has been told of it yet: its events wait */
    bool disowned; /* nobody will be: it is to be ended and forgotten in silence */
    struct cloister_status status;
    uint64_t started_real_ns;
    struct cl_list waiters; /* wait operations */
    struct cl_notice exit;
    struct cl_notice drained;
};

struct cl_container {
    struct cl_list node; /* sandbox->containers */
    struct cl_sandbox *sandbox;
    char *cid;
    char *rootfs;
    uint32_t state; /* enum cloister_container_state */
    uint32_t incarnation;
    struct cl_process *init; /* NULL once released */
    cloister_process init_number;
    struct cloister_status status; /* init's */
    uint64_t started_real_ns;
    bool ending;             /* init has ended, the rest is being killed */
    struct cl_list watchers; /* container_stop operations */
};

enum cl_goal { CL_GOAL_UP = 1, CL_GOAL_OFF, CL_GOAL_GONE };

struct cl_sandbox {
    unsigned refs;
    struct cl_list node; /* engine->sandboxes */
    struct cl_engine *engine;
    struct cl_service *service;
    struct cl_backend *backend;
    char id[CL_ID_SIZE];
    struct cloister_sv name;
    struct cloister_sv plan;
    char *run_dir;
    enum cl_goal goal;
    uint32_t state; /* enum cloister_sandbox_state */
    uint32_t cause; /* enum cloister_cause */
    uint64_t created_real_ns;
    uint64_t created_boot_ns;
    struct cloister_label *labels;
    size_t label_count;
    struct cl_arena arena; /* name, labels, plan */
    struct cl_list containers;
    struct cl_list processes;
    struct cl_map by_number;
    struct cl_list operations; /* every operation on it that has not ended */
    struct cl_list claims;     /* order.h, in order of arrival */
    bool gate_closed;
    bool held; /* its create has not been answered: all events wait */
    bool flushing;
    bool down; /* SANDBOX_DOWN has been told */
    bool gone; /* out of every index; kept by references only */
    bool made; /* isolation was asked to make it, and has not said that it is gone */
    struct cl_list notices;
    struct cl_notice lost;
    struct cl_journal journal;
    struct cl_operation *creating;
    struct cl_ending ending;
    struct cloister_error failure; /* code 0 = none */
};

/* Reserves the name (empty = the id). EXISTS, LIMIT. *ret has one reference, the index's. */
int cl_sandbox_new(struct cl_service *service, struct cl_backend *backend, struct cloister_sv name,
                   struct cl_sandbox **ret, struct cloister_error *err);
struct cl_sandbox *cl_sandbox_ref(struct cl_sandbox *sandbox);
void cl_sandbox_unref(struct cl_sandbox *sandbox);
/* Takes it out of every index; its name is free again. */
void cl_sandbox_forget(struct cl_sandbox *sandbox);
/* By id, if the service sees it (or, with act, may act on it). NULL and err NO_ENTITY. */
struct cl_sandbox *cl_sandbox_find(const struct cl_service *service, struct cloister_sv id, bool act,
                                   struct cloister_error *err);
void cl_sandbox_identity(const struct cl_sandbox *sandbox, struct cloister_iso_sandbox *ret);
int cl_sandbox_make_run_dir(struct cl_sandbox *sandbox, struct cloister_error *err);
/* <run>/<id> and the files in it; absent is fine. 0 or negative errno. */
int cl_run_dir_remove(const char *path);
struct cloister_sv cl_sandbox_id(const struct cl_sandbox *sandbox);

/* container.c. cid empty = "main". */
int cl_container_new(struct cl_sandbox *sandbox, struct cloister_sv cid, struct cloister_sv rootfs,
                     struct cl_container **ret);
struct cl_container *cl_container_find(const struct cl_sandbox *sandbox, struct cloister_sv cid,
                                       struct cloister_error *err);
void cl_container_free(struct cl_container *container);
/* Processes of it that have not ended. */
unsigned cl_container_live(const struct cl_container *container);

/* process.c */
int cl_process_new(struct cl_container *container, struct cloister_sv name, bool is_init, struct cl_process **ret);
struct cl_process *cl_process_find(const struct cl_sandbox *sandbox, cloister_process number,
                                   struct cloister_error *err);
struct cl_process *cl_process_named(const struct cl_container *container,
                                    struct cloister_sv name); /* among live ones */
bool cl_process_ended(const struct cl_process *process);
void cl_process_free(struct cl_process *process);

/* A sandbox in a log line. */
#define CL_SANDBOX_LOG "sandbox %s ('%.*s' of %s)"
#define CL_SANDBOX_LOG_ARG(sandbox) (sandbox)->id, CL_SV_ARG((sandbox)->name), (sandbox)->service->name

/* fate.c: how things end. Events come out in order; waiters are answered behind the events. */
void cl_sandbox_emit(struct cl_sandbox *sandbox, uint32_t kind, const struct cl_container *container);
void cl_sandbox_emit_state(struct cl_sandbox *sandbox);
void cl_container_emit_state(struct cl_container *container);
void cl_process_exited(struct cl_process *process, const struct cloister_status *status);
void cl_process_drained(struct cl_process *process);
/* One process of it fewer: perhaps the last one that its end waited for. */
void cl_container_lost_one(struct cl_container *container);
void cl_container_start_failed(struct cl_container *container, const struct cloister_error *err);
/* Waits on it that its state satisfies are answered; with err, all of them with that. */
void cl_process_answer(struct cl_process *process, const struct cloister_error *err);
/* Whatever still counts as running has ended, nobody saw how. */
void cl_sandbox_lost(struct cl_sandbox *sandbox, uint32_t cause);

/* notice.c: what isolation tells, in its order, held back where O1 wants it. */
void cl_notice_take(struct cl_backend *backend, const struct cloister_iso_event *event);
void cl_sandbox_flush(struct cl_sandbox *sandbox);
void cl_notices_drop(struct cl_sandbox *sandbox);

#endif
