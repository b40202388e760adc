/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - a sandbox as the plugin holds it while it lives: the keeper's pidfd and socket, and its containers.
 * Nothing here is a record: what must survive the daemon is in the plan blob and in the keeper. [loop]; counted,
 * because operations in a worker look back at it.
 */
#ifndef NS_SANDBOX_H
#define NS_SANDBOX_H

#include "conn.h"
#include "container.h"
#include "instance.h"
#include "tapes.h"

enum ns_state {
    NS_MAKING = 1, /* being created */
    NS_UP = 2,
    NS_ENDING = 3,  /* being destroyed, or a failed create being undone */
    NS_LOST = 4,    /* the keeper has gone without being asked */
    NS_ADOPTING = 5 /* made by an earlier daemon, and being taken over: what its keeper tells is not yet news */
};

struct ns_create;

struct ns_sandbox {
    struct ns_sandbox *next;
    struct ns_instance *instance;
    uint32_t refs;
    uint32_t state; /* enum ns_state */
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    uint64_t cookie;
    char *name;
    struct ns_intent intent;
    char socket[108]; /* <run>/<id>/k */

    /* keeper; pidfd -1 = none yet or gone */
    int pidfd;
    int32_t pid;
    cloister_watch *pid_watch;
    struct ns_conn conn;
    uint32_t era; /* of our connection, in tapes */
    struct ns_tapes tapes;
    void (*gone)(void *ctx); /* called once when the keeper is dead and its last words are read */
    void *gone_ctx;

    struct ns_container *containers;
    uint64_t last_number; /* of a container on the keeper's socket, used or not any more */
    bool frozen;          /* as a whole; what was seen last */
    char *warnings;       /* lines, for describe; NULL = none */
};

struct ns_sandbox *ns_sandbox_find(struct ns_instance *instance, struct cloister_sv id);
/* New, in state MAKING, one reference for the table. NULL: no memory. */
struct ns_sandbox *ns_sandbox_new(struct ns_instance *instance, const struct cloister_iso_sandbox *which);
struct ns_sandbox *ns_sandbox_ref(struct ns_sandbox *sandbox);
void ns_sandbox_unref(struct ns_sandbox *sandbox);
/* Out of the table: its reference goes, descriptors are closed (the keeper is not touched). */
void ns_sandbox_drop(struct ns_sandbox *sandbox);

/* There is a keeper, of that version: watches both descriptors (taken, on failure too). 0 or negative errno. */
int ns_sandbox_take_keeper(struct ns_sandbox *sandbox, int32_t pid, int pidfd, int socket, uint32_t version);
/* Who we are and what we expect of it, for the keeper of that sandbox. */
void ns_sandbox_hello(const struct ns_sandbox *sandbox, struct cl_wire_hello *ret);
/* Lets go of it, untouched. */
void ns_sandbox_leave_keeper(struct ns_sandbox *sandbox);
/* Nothing of what the keeper says or does is looked at meanwhile. */
void ns_sandbox_pause(struct ns_sandbox *sandbox, bool paused);

/* gone(ctx) is called, later, once no keeper lives: at once if none does. SIGKILL if `force`. */
void ns_sandbox_end_keeper(struct ns_sandbox *sandbox, bool force, void (*gone)(void *ctx), void *ctx);

/* Asks the keeper to cancel the request of that serial, whose answer tells the rest. */
void ns_sandbox_cancel(struct ns_sandbox *sandbox, uint64_t serial);

/* The groups it lives in: below the root that its plan names, whatever today's option says. */
struct ns_cgroups ns_sandbox_cgroups(const struct ns_sandbox *sandbox);

/* For operations on a running sandbox: NULL with the operation failed (NO_ENTITY, INVALID_STATE, LOST). It has that
 * container; cid "" = any. */
struct ns_sandbox *ns_sandbox_up(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                                 struct cloister_sv cid, cloister_op op);

/* So too, whether or not it has a container. */
struct ns_sandbox *ns_sandbox_here(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                                   cloister_op op);

/* The group of a container of it that is there; cid "" = the one there is. */
const char *ns_sandbox_group(const struct ns_sandbox *sandbox, struct cloister_sv cid);

/* The group that a SANDBOX, CONTAINER or PROCESS scope is about. */
void ns_sandbox_scope_group(const struct ns_sandbox *sandbox, uint32_t scope, struct cloister_sv cid,
                            cloister_process process, char ret[NS_GROUP_PATH_MAX]);

/* freeze.c: what is known to be frozen. group NULL: the whole sandbox; else a container by its group. */
void ns_sandbox_note_frozen(struct ns_sandbox *sandbox, const char *group, bool frozen);
bool ns_sandbox_any_frozen(const struct ns_sandbox *sandbox);
/* True: that container stands still, by itself or with the sandbox, and err says so. */
bool ns_sandbox_refuse_frozen(const struct ns_sandbox *sandbox, struct cloister_sv cid, struct cloister_error *err);
/* SIGKILL was sent to some of it: where a v1 freezer holds them back they are let go, then done (may be NULL) is
 * called. False: nothing to do, or nobody to do it, and done is not called. */
bool ns_sandbox_release_killed(struct ns_sandbox *sandbox, void (*done)(void *ctx), void *ctx);
/* All of it is to die. */
void ns_sandbox_end_frozen(struct ns_sandbox *sandbox);

/* What a keeper says unasked. */
void ns_sandbox_news(struct ns_sandbox *sandbox, const struct cl_packet *packet);
/* [any] How a process ended; kind NONE while it lives. */
struct cloister_status ns_status_of(const struct ns_instance *instance, const struct cl_wire_record *record);
/* [any] Of a drained process: its captured descriptors into `ret` (room for three), how many they are. */
uint32_t ns_outputs_of(const struct cl_wire_end end[3], struct cloister_output_end *ret);

/* Tells the operation's caller and the log, and keeps it for describe. `path` is a JSON path. */
void ns_sandbox_warn(struct ns_sandbox *sandbox, const char *path, const char *text);
/* The masked paths that were not there, in one warning. */
void ns_sandbox_warn_missing(struct ns_sandbox *sandbox, struct ns_container *container);

/* The number, in our own pid namespace, of the process that a CREATE, START or EXEC made, which may have ended since; 0
 * = the answer had no slip. */
int32_t ns_answer_pid(const struct cl_packet *answer);

/* Fills err from a keeper's answer (step, errno, detail); answer NULL: the connection went first. */
void ns_keeper_error(const struct ns_instance *instance, struct cloister_error *err, const struct cl_packet *answer,
                     int os_errno);

#endif
