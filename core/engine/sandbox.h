/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - sandbox, container, process: what the engine knows of each. */
#ifndef CL_CORE_ENGINE_SANDBOX_H
#define CL_CORE_ENGINE_SANDBOX_H

#include "core/engine/journal.h"
#include "core/engine/limits.h"
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

#define CL_PROCESS_OUTPUTS 2u /* descriptors 1 and 2 can be captured */

struct cl_process {
    struct cl_list node; /* sandbox->processes, in order of their numbers */
    struct cl_sandbox *sandbox;
    struct cl_container *container;
    cloister_process number;
    char *name; /* "" = none */
    struct cloister_sv tag;
    uint32_t state; /* enum cloister_process_state */
    int32_t pid;
    bool is_init;
    bool held;         /* nobody has been told of it yet: its events wait */
    bool disowned;     /* nobody will be: it is to be ended and forgotten in silence */
    bool captured;     /* it has output that somebody keeps: drained comes after its exit */
    bool output_ended; /* and has come */
    bool released;     /* goes as soon as it is drained */
    uint32_t output_count;
    struct cloister_output_end outputs[CL_PROCESS_OUTPUTS]; /* once output_ended */
    struct cloister_status status;
    uint64_t started_real_ns;
    struct cl_list waiters; /* wait operations */
    struct cl_notice exit;
    struct cl_notice drained;
};

/* Where its records stand that are to be removed. */
enum cl_grave { CL_GRAVE_NONE, CL_GRAVE_DUE, CL_GRAVE_FLYING };

#define CL_CONTAINERS_MAX 64u /* of a sandbox */

/* One that has left sandbox->containers (gone) is known to nobody any more; its memory stays until isolation (doomed)
 * and the store (graves) have forgotten it and no operation points at it. */
struct cl_container {
    struct cl_list node; /* sandbox->containers, doomed or graves */
    struct cl_sandbox *sandbox;
    char *cid;
    char *rootfs;
    uint32_t state; /* enum cloister_container_state */
    uint32_t incarnation;
    bool stopping; /* a stop is under way: a later daemon finishes it */
    bool frozen;   /* by itself; it stands still also when the sandbox is (freeze.h) */
    bool deleting; /* so is a delete, which does not turn back */
    bool recorded; /* the store has, or is about to have, a record of it */
    bool gone;
    enum cl_grave grave;
    struct cl_operation *creating;                /* the container_create that has not been answered */
    struct cl_operation *burying;                 /* the container_delete that waits for events to be told */
    const struct cloister_container_args *making; /* until its spec is in the store */
    struct cl_limits limits;
    struct cl_process *init; /* NULL once released */
    cloister_process init_number;
    struct cloister_status status; /* init's */
    uint64_t started_real_ns;
    bool ending;             /* init has ended, the rest is being killed */
    struct cl_list watchers; /* operations that wait for its end: class->down */
};

/* label.h */
struct cl_label {
    struct cloister_sv key; /* both in one block of memory, which key.data leads */
    struct cloister_sv value;
    uint32_t flags; /* CLOISTER_LABEL_* */
    uint64_t stamp; /* differs with each change */
};

enum cl_goal { CL_GOAL_UP = 1, CL_GOAL_OFF, CL_GOAL_GONE };

struct cl_sandbox {
    unsigned refs;
    struct cl_list node; /* engine->sandboxes */
    struct cl_engine *engine;
    struct cl_service *service;
    struct cl_backend *backend;
    struct cl_store *store;     /* where its records are; NULL: it has none */
    uint64_t cookie;            /* isolation made it under this one */
    struct cloister_sv boot_id; /* and in this boot */
    char id[CL_ID_SIZE];
    struct cloister_sv name;
    struct cloister_sv plan;
    char *run_dir;
    enum cl_goal goal;
    uint32_t state; /* enum cloister_sandbox_state */
    uint32_t cause; /* enum cloister_cause */
    uint64_t created_real_ns;
    uint64_t created_boot_ns;
    struct cl_label *labels;
    size_t label_count;
    uint64_t label_stamp;
    bool secrets_known;     /* labels has the secret ones too; else they are in the run file (label.h) */
    struct cloister_sv svc; /* the service's STORE record, malloc'd; data NULL = none (record_put.h) */
    uint64_t svc_stamp;     /* rises with each change */
    struct cl_arena arena;  /* name, plan */
    struct cl_list containers;
    struct cl_list doomed; /* nobody knows them; isolation may still have something of them */
    struct cl_list graves; /* isolation has nothing of them; the store may still have their records */
    struct cl_list processes;
    struct cl_map by_number;
    struct cl_list operations; /* every operation on it that has not ended */
    struct cl_list claims;     /* order.h, in order of arrival */
    bool gate_closed;
    bool held; /* its create has not been answered: all events wait */
    bool flushing;
    bool lasting;     /* up until it is destroyed, whether a container runs in it or not */
    bool down;        /* SANDBOX_DOWN has been told */
    bool gone;        /* out of every index; kept by references only */
    bool made;        /* isolation was asked to make it, and has not said that it is gone */
    bool uncommitted; /* provisional: only its own service sees it */
    bool committing;  /* the record that says otherwise is being written */
    bool recovering;  /* a former daemon's: it is not clear yet what became of it */
    bool no_contact;  /* it lives, or may live, and does not answer */
    bool frozen;      /* as a whole (freeze.h) */
    struct cl_limits limits;
    bool unknown; /* its record does not explain it: to be shown and left alone (unknown.h) */
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
/* One that a former daemon made. -EEXIST: there is such an id, or the service has such a name. -ENOMEM. */
int cl_sandbox_restore(struct cl_service *service, struct cl_backend *backend, struct cloister_sv id,
                       struct cloister_sv name, struct cl_sandbox **ret);
struct cl_sandbox *cl_sandbox_ref(struct cl_sandbox *sandbox);
void cl_sandbox_unref(struct cl_sandbox *sandbox);
/* Takes it out of every index; its name is free again. */
void cl_sandbox_forget(struct cl_sandbox *sandbox);
/* May the service know of it? */
bool cl_sandbox_visible(const struct cl_sandbox *sandbox, const struct cl_service *service);
/* By id, if the service sees it (or, with act, may act on it). NULL and err NO_ENTITY. */
struct cl_sandbox *cl_sandbox_find(const struct cl_service *service, struct cloister_sv id, bool act,
                                   struct cloister_error *err);
void cl_sandbox_identity(const struct cl_sandbox *sandbox, struct cloister_iso_sandbox *ret);
int cl_sandbox_make_run_dir(struct cl_sandbox *sandbox, struct cloister_error *err);
/* <run>/<id> and the files in it; absent is fine. 0 or negative errno. */
int cl_run_dir_remove(const char *path);
/* 1: somebody answers at a socket in it. 0, or negative errno. */
int cl_run_dir_in_use(const char *path);
struct cloister_sv cl_sandbox_id(const struct cl_sandbox *sandbox);

/* state.c: can anything be done in it now? 0, or negative with err INVALID_STATE. */
int cl_sandbox_check_up(const struct cl_sandbox *sandbox, struct cloister_error *err);
/* The same for what waits in line behind its create. */
int cl_sandbox_check_coming(const struct cl_sandbox *sandbox, struct cloister_error *err);
/* Of one that has not stopped. */
int cl_container_check_live(const struct cl_container *container, struct cloister_error *err);

/* container.c. cid empty = "main". */
int cl_container_new(struct cl_sandbox *sandbox, struct cloister_sv cid, struct cloister_sv rootfs,
                     struct cl_container **ret);
struct cl_container *cl_container_find(const struct cl_sandbox *sandbox, struct cloister_sv cid,
                                       struct cloister_error *err);
void cl_container_free(struct cl_container *container);
/* What another container is to share must be there. running: it runs now, not only when this is asked for. 0, or
 * negative and err NO_ENTITY, INVALID_STATE. */
int cl_container_check_join(const struct cl_sandbox *sandbox, const struct cloister_container_args *args, bool running,
                            struct cloister_error *err);
/* Isolation has made it: its state and its init's, and what the caller is to be told. */
void cl_container_made(struct cl_operation *create, const struct cloister_container_args *args,
                       const struct cloister_result *result);
/* Nobody knows it any more: its processes are forgotten, waits on them are answered, what is asked of it is NO_ENTITY.
 * doom: isolation may still have something of it. bury: it has not; its records are removed with the next write of
 * CL_RECORD_CONTAINERS. */
void cl_container_doom(struct cl_container *container);
void cl_container_bury(struct cl_container *container);
/* Freed, if it has gone and nothing needs it. Harmless otherwise. */
void cl_container_reap(struct cl_container *container);
/* A write begins that removes the first CL_RECORDS_GRAVES of them. */
void cl_graves_fly(struct cl_sandbox *sandbox);
/* The write that was under way has ended. True: there are more to be removed. */
bool cl_graves_written(struct cl_sandbox *sandbox, bool removed);
/* Something that isolation told of it has not come out yet. */
bool cl_container_untold(const struct cl_container *container);
/* Among those that nobody knows and isolation may still have. */
struct cl_container *cl_container_doomed(const struct cl_sandbox *sandbox, struct cloister_sv cid);
/* Processes of it that have not ended. */
unsigned cl_container_live(const struct cl_container *container);

/* process.c */
int cl_process_new(struct cl_container *container, struct cloister_sv name, bool is_init, struct cl_process **ret);
/* One of a former daemon, that isolation told of. 0, -EEXIST, -ENOMEM. */
int cl_process_restore(struct cl_container *container, cloister_process number, struct cloister_sv name, bool is_init,
                       struct cl_process **ret);
/* What the engine keeps of how it was asked for. 0 or -ENOMEM. */
int cl_process_describe(struct cl_process *process, const struct cloister_process_args *args);
/* Its own SDK-sized list: whether it has captured output. */
void cl_process_set_stdio(struct cl_process *process, const struct cloister_stdio *stdio, uint64_t count);
int cl_process_set_tag(struct cl_process *process, struct cloister_sv tag);
/* Copies what isolation told of its outputs' ends, as far as it makes sense. */
void cl_process_set_outputs(struct cl_process *process, const struct cloister_output_end *from, uint64_t count,
                            uint64_t stride);
struct cl_process *cl_process_find(const struct cl_sandbox *sandbox, cloister_process number,
                                   struct cloister_error *err);
/* When something is asked: is there such a process, as far as is known by now? It is looked for again when its turn has
 * come: a sandbox that is being taken over has not all its processes yet. */
int cl_process_check(const struct cl_sandbox *sandbox, cloister_process number, struct cloister_error *err);
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
/* It has ended, and its end and its output may be forgotten: it is freed, an init when its container is down. */
void cl_process_forget(struct cl_process *process);
/* One process of it fewer: perhaps the last one that its end waited for. */
void cl_container_lost_one(struct cl_container *container);
void cl_container_start_failed(struct cl_container *container, const struct cloister_error *err);
/* Waits on it that its state satisfies are answered; with err, all of them with that. */
void cl_process_answer(struct cl_process *process, const struct cloister_error *err);
/* Isolation has nothing left of it: whatever of it still counts as running has ended, nobody saw how. */
void cl_container_lost(struct cl_container *container);
/* A container is not there after all: perhaps it was what kept the sandbox up. */
void cl_sandbox_check_down(struct cl_sandbox *sandbox);
/* Whatever still counts as running has ended, nobody saw how. */
void cl_sandbox_lost(struct cl_sandbox *sandbox, uint32_t cause);

/* notice.c: what isolation tells, in its order, held back where O1 wants it. */
void cl_notice_take(struct cl_backend *backend, const struct cloister_iso_event *event);
/* As if isolation had told it now: of a process EXIT or DRAINED, once each; of the sandbox, that all of it is lost. */
void cl_notice_ended(struct cl_process *process, uint32_t kind, const struct cloister_status *status);
void cl_notice_lost(struct cl_sandbox *sandbox, uint32_t cause);
void cl_sandbox_flush(struct cl_sandbox *sandbox);
void cl_notices_drop(struct cl_sandbox *sandbox);
/* Those about a container that nobody knows any more. */
void cl_notices_drop_of(const struct cl_container *container);

#endif
