/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation.h - one thing asked of the engine: its arguments, its caller, its end.
 *
 * Two lives in one: the *caller's* ends when it is answered (exactly once, on a fresh stack), the *work's* when it is
 * finished. Usually both at once; after a deadline the caller is answered first and the work goes on or is undone
 * behind its back.
 */
#ifndef CL_CORE_ENGINE_OPERATION_H
#define CL_CORE_ENGINE_OPERATION_H

#include "core/engine/order.h"
#include "core/engine/sandbox.h"

struct cl_operation;
struct cl_label_change;
struct cl_record_change;
struct cl_row;
struct cl_commit;

struct cl_operation_class {
    const char *name;                               /* "sandbox_create" */
    const char *verb;                               /* "create sandbox": of error sentences */
    void (*begin)(struct cl_operation *operation);  /* its turn has come */
    void (*cancel)(struct cl_operation *operation); /* begun: `cancelled` is set; undo or give up */
    void (*wake)(struct cl_operation *operation);   /* wake_at has passed */
    void (*down)(struct cl_operation *operation);   /* it is among a container's watchers, which has stopped */
    void (*drop)(
        struct cl_operation *operation); /* it goes: releases what it made and did not hand over; may be NULL */
    bool one_way;                        /* a deadline or a cancel ends the wait, not the work */
    bool passive;                        /* only watches: a drain does not wait for it */
    bool on_gone;                        /* begins also if its container has gone meanwhile */
    bool on_unknown;                     /* also for sandboxes whose record does not explain them */
};

struct cl_operation {
    struct cl_list node; /* engine->operations */
    struct cl_engine *engine;
    uint64_t number;
    const struct cl_operation_class *class;
    struct cl_service *service;
    struct cl_sandbox *sandbox; /* a reference; NULL = none */
    struct cl_list in_sandbox;
    struct cl_container *container;
    struct cl_process *process;
    cloister_done_fn done; /* NULL: the engine's own errand */
    void *ctx;
    uint64_t deadline;
    bool begun;
    bool answered;
    bool cancelled;
    struct cl_claim claim;
    struct cl_backend *backend;
    struct cl_call call;
    struct cl_later later;
    struct cl_later cancelling;
    struct cl_journal_wait journal;
    struct cl_list waiting; /* with whatever it waits for */
    struct cl_arena arena;
    int32_t *fds; /* moved in by the caller; ours until isolation has them */
    size_t fd_count;
    cloister_stream *stream;     /* moved in by the caller, likewise */
    struct cloister_error error; /* of a failing create, or a late answer */
    struct cloister_result result;
    union {
        const struct cloister_sandbox_create_args *create;
        const struct cloister_container_start_args *start;
        const struct cloister_container_kill_args *kill;
        const struct cloister_container_stop_args *stop;
        const struct cloister_sandbox_destroy_args *destroy;
        const struct cloister_exec_args *exec;
        const struct cloister_signal_args *signal;
        const struct cloister_container_create_args *further;
        const struct cloister_container_delete_args *remove;
        struct cloister_attach_args *attach;
        struct cloister_attach_policy_args *policy;
        struct cloister_stdin_args *stdio;
        struct cloister_resize_args *resize;
        struct cloister_stats_args *stats;
        struct cloister_procs_args *procs;
        struct cl_label_change *label;
        struct cl_record_change *record;
        struct cl_row *row; /* recover.h */
        struct cl_commit *commit;
        uint32_t until;
    } args;
    union {
        struct cloister_iso_create_args create;
        struct cloister_iso_destroy_args destroy;
        struct cloister_iso_start_args start;
        struct cloister_iso_kill_args kill;
        struct cloister_iso_exec_args exec;
        struct cloister_iso_signal_args signal;
        struct cloister_iso_release_args release;
        struct cloister_iso_describe_args describe;
        struct cloister_iso_attach_args attach;
        struct cloister_iso_attach_policy_args policy;
        struct cloister_iso_stdin_args stdio;
        struct cloister_iso_resize_args resize;
        struct cloister_iso_freeze_args freeze;
        struct cloister_iso_update_args update;
        struct cloister_iso_stats_args stats;
        struct cloister_iso_procs_args procs;
        struct cloister_iso_delete_args remove;
        struct cloister_iso_file_put_args file_put;
        struct cloister_iso_read_file_args read_file;
        struct cloister_iso_files_in_args files_in;
        struct cloister_iso_files_out_args files_out;
    } iso;
    struct cloister_container_kill_args own_kill; /* of the engine's own kills */
    struct cloister_signal_args own_signal;
    struct cloister_container_delete_args own_delete;
    uint64_t wake_at; /* class->wake is due */
};

/* NULL: no memory, or the engine drains (err says which). sandbox may be NULL. */
struct cl_operation *cl_operation_new(struct cl_service *service, const struct cl_operation_class *class,
                                      struct cl_sandbox *sandbox, cloister_done_fn done, void *ctx,
                                      struct cloister_error *err);
/* The engine's own, on nobody's behalf; NULL without memory. */
struct cl_operation *cl_operation_errand(struct cl_sandbox *sandbox, const struct cl_operation_class *class);
/* Why nothing else can be done to it. Returns -EINVAL or the like. */
int cl_operation_refuse_unknown(const struct cl_sandbox *sandbox, struct cloister_error *err);
/* What a call of the api begins with: the sandbox by id, which the service may see (act: and act on), and an operation
 * on it. NULL and err. */
struct cl_operation *cl_operation_ask(const struct cloister_host *host, const struct cl_operation_class *class,
                                      struct cloister_sv sandbox, bool act, cloister_done_fn done, void *ctx,
                                      struct cloister_error *err);
/* And what it ends with: it starts, or is dropped with err, if it could not be prepared (r < 0). */
cloister_op cl_operation_prepared(struct cl_operation *operation, int r, uint64_t deadline, enum cl_claim_mode mode,
                                  struct cloister_error *err);
/* A new one that is refused after all; the caller keeps its descriptors. Returns 0, for `return`. */
cloister_op cl_operation_drop(struct cl_operation *operation);
/* Accepted: descriptors are ours now. It begins on a later turn of the loop; with a claim, when the order allows it. */
cloister_op cl_operation_start(struct cl_operation *operation, uint64_t deadline, enum cl_claim_mode mode);
/* It begins on a later turn of the loop. */
void cl_operation_turn(struct cl_operation *operation);
/* Remembers the descriptors of a stdio list, instead of what was remembered before; and those of a list of further ones
 * beside them. 0 or -ENOMEM. */
int cl_operation_take_fds(struct cl_operation *operation, const struct cloister_stdio *stdio, uint64_t count);
int cl_operation_take_extra(struct cl_operation *operation, const struct cloister_extra_fd *extra, uint64_t count);
void cl_operation_answer(struct cl_operation *operation, const struct cloister_error *err,
                         const struct cloister_result *result);
/* Answers if that has not been done, leaves the order, and is gone. */
void cl_operation_finish(struct cl_operation *operation, const struct cloister_error *err,
                         const struct cloister_result *result);
/* Finishes, or only answers while a call to isolation is under way: its completion finishes then. */
void cl_operation_settle(struct cl_operation *operation, const struct cloister_error *err,
                         const struct cloister_result *result);
/* Finishes with CANCELLED. */
void cl_operation_finish_cancelled(struct cl_operation *operation, const char *why);
void cl_operation_cancel(struct cl_operation *operation);
/* The same on a fresh stack: for a caller who must not be called back. */
void cl_operation_cancel_later(struct cl_operation *operation);
void cl_operation_cancel_call(struct cl_operation *operation);
/* The `cancel` of a one-way class: only the waiter is lost. */
void cl_operation_leave_it(struct cl_operation *operation);
/* Does what is due; returns `now` if it did something, else when the next thing is due, 0 = never. */
uint64_t cl_operation_tick(struct cl_operation *operation, uint64_t now);
void cl_operation_wrap(const struct cl_operation *operation, struct cloister_error *err);

/*
 * Calls `slot` of the operation's backend with args: 0 and fn follows, or a negative errno with err (no such slot, no
 * memory). Nothing of the operation may be touched after it that the completion could free; completions inside are put
 * off by calls.c.
 */
#define CL_ISO_CALL(operation, slot, args, fn, err)                                             \
    (__extension__({                                                                            \
        struct cl_operation *iso_op = (operation);                                              \
        struct cl_backend *iso_backend = iso_op->backend;                                       \
        int iso_result = 0;                                                                     \
        if (!iso_backend->vtable->slot)                                                         \
            iso_result = cl_operation_no_slot(iso_op, #slot, (err));                            \
        else if (!cl_operation_calls(iso_op, #slot, (fn)))                                      \
            iso_result = cl_operation_no_memory(iso_op, (err));                                 \
        else {                                                                                  \
            iso_op->fd_count = 0; /* isolation's from here on */                                \
            iso_op->stream = NULL;                                                              \
            iso_backend->vtable->slot(iso_backend->instance->self, (args), iso_op->call.token); \
            cl_calls_entered(&iso_op->call);                                                    \
        }                                                                                       \
        iso_result;                                                                             \
    }))

/* stop.c. The engine's own stop (SIGTERM, grace, KILL), as an operation; done may be NULL. 0 or -ENOMEM. */
int cl_container_stop(struct cl_container *container, uint64_t grace, uint64_t deadline, cloister_done_fn done,
                      void *ctx);
/* The class's `down`, and what a stop of one that has stopped answers. */
void cl_container_answer_stop(struct cl_operation *stop);

/* container_delete.c. What is left of a doomed container goes, if need be in many attempts; nobody waits for it. */
void cl_container_delete_rest(struct cl_container *container);
/* What a former daemon began. */
void cl_container_finish_delete(struct cl_container *container);
/* Events have come out: perhaps a delete waited for them. */
void cl_container_settle_burials(struct cl_sandbox *sandbox);
/* What an operation is told that has come too late for its container. */
int cl_container_refuse_gone(const struct cl_container *container, struct cloister_error *err);

uint64_t cl_operation_calls(struct cl_operation *operation, const char *slot, cl_call_fn fn);
int cl_operation_no_slot(const struct cl_operation *operation, const char *slot, struct cloister_error *err);
int cl_operation_no_memory(const struct cl_operation *operation, struct cloister_error *err);

#endif
