/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.h - what the files of recovery share: the whole (recover.c), one record set on its way back to a sandbox
 * (restore.c, adopt.c, recovered.c), the sweep (sweep.c).
 */
#ifndef CL_CORE_ENGINE_RECOVER_H
#define CL_CORE_ENGINE_RECOVER_H

#include "core/engine/operation.h"
#include "core/util/vec.h"

/* The sweep: once all stores are listed, beside everything else. */
struct cl_sweep {
    struct cl_engine *engine;
    struct cl_map known; /* ids of all record sets -> their store: left alone, whatever becomes of them */
    struct cloister_sv *views;
    bool may_remove;
    bool begun;
    bool done;
    bool stuck;              /* for want of memory: cl_sweep_go again */
    bool again;              /* something was found and could not be kept */
    bool failed;             /* an instance could not: what it has missed may live */
    bool old_cookie;         /* it is the other boot's turn */
    struct cl_list *backend; /* who is asked */
    struct cl_call call;
    struct cloister_iso_sweep_args args;
    unsigned orphans;
    unsigned removed; /* of them */
};

struct cl_recovery {
    struct cl_engine *engine;
    void (*settled)(void *ctx, const struct cloister_error *err);
    void *ctx;
    cloister_timer *limit; /* recover_ns */
    cloister_timer *retry; /* what found no memory */
    struct cl_later later;
    struct cl_vec stores;
    size_t store; /* being listed */
    bool listing; /* the call is under way */
    bool loading;
    bool loaded;            /* the services' own records */
    bool told;              /* settled has been called */
    bool late;              /* recover_ns has passed */
    unsigned slots;         /* rows that are being read or adopted */
    struct cl_list waiting; /* rows to be read */
    struct cl_list reading;
    struct cl_list engaged; /* rows of operations that the daemon's start waits for */
    struct cl_sweep sweep;
    struct cloister_error error; /* code 0: none */
};

/* What is to be done about a sandbox that has been restored. */
enum cl_row_way {
    CL_ROW_ADOPT,  /* isolation is asked what became of it */
    CL_ROW_KEEP,   /* there is nothing of it: it is off */
    CL_ROW_CLEAN,  /* made in another boot: what is left of it goes */
    CL_ROW_FINISH, /* a destroy was begun */
    CL_ROW_UNDO    /* nobody was ever told of it */
};

/* A record set. The recovery's until it is an operation's (args.row), which frees it. */
struct cl_row {
    struct cl_list node;          /* of the recovery, while its start waits for it */
    struct cl_recovery *recovery; /* NULL: it does not, any more */
    struct cl_store *store;
    char *id;
    char *summary;
    uint32_t health;
    bool slot;
    enum cl_row_way way;
    const char *why; /* UNDO: for the log */
    bool alive;      /* adopt: its keeper lives */
    unsigned stuck;  /* containers that could not be undone now */
    bool asked;      /* its personality has been told and has not answered */
    bool changed;    /* its record is not true any more */
    bool contact;    /* it had been out of reach */
    struct cl_arena arena;
    struct cloister_iso_adopt_args adopt;
};

/* recover.c */
void cl_recovery_free(struct cl_recovery *recovery);
bool cl_recovery_busy(const struct cl_recovery *recovery); /* a call is under way */
void cl_recovery_check(struct cl_recovery *recovery);      /* perhaps that was all */
void cl_recovery_retry(struct cl_recovery *recovery);      /* soon: something found no memory */
/* Its slot is another's; harmless twice. */
void cl_row_idle(struct cl_row *row);
/* The daemon's start does not wait for it any more; harmless twice. */
void cl_row_settled(struct cl_row *row);
void cl_row_free(struct cl_row *row);

/* restore.c: into objects, and an operation that does the rest; or into an unknown sandbox. 0; -ENOMEM: as if nothing
 * had been tried. */
int cl_row_restore(struct cl_row *row, const struct cloister_store_result *set);
/* Shown as unknown. 0 or -ENOMEM. */
int cl_row_unknown(struct cl_row *row, const struct cloister_error *why);

/* adopt.c */
void cl_adopt_begin(struct cl_operation *operation);
/* Containers of which nobody was told: none of them is known any more. */
void cl_doom_half_made(struct cl_sandbox *sandbox);
void *cl_inventory_keep(struct cl_arena *arena, const struct cloister_inventory *inventory);
/* The inits of its containers that are not known to have stopped, from the record; with status, how they have ended. 0
 * or -ENOMEM. */
int cl_restore_inits(struct cl_sandbox *sandbox, const struct cloister_status *status);

/* recovered.c: the sandbox's personality hears of it, then everything that happened meanwhile comes out. */
extern const struct cl_operation_class cl_recover_class;
void cl_recovered_ask(struct cl_operation *operation);
void cl_recovered_finish(struct cl_operation *operation);
/* Not now: cl_operation's begin comes again in a second. */
void cl_recovered_again(struct cl_operation *operation);

/* sweep.c */
void cl_sweep_init(struct cl_sweep *sweep, struct cl_engine *engine);
/* A record set of that id exists. 0, -EEXIST (known), -ENOMEM. */
int cl_sweep_know(struct cl_sweep *sweep, struct cloister_sv id, struct cl_store *store);
/* Begins or goes on. */
void cl_sweep_go(struct cl_sweep *sweep);
void cl_sweep_free(struct cl_sweep *sweep);

#endif
