/* SPDX-License-Identifier: Apache-2.0 */
/* create.h - a sandbox_create under way: what its worker prepares (prepare.c) and its loop side sends (create.c). */
#ifndef NS_CREATE_H
#define NS_CREATE_H

#include "hook_run.h"
#include "sandbox.h"
#include "stdset.h"

enum ns_create_stage { NS_PREPARING = 1, NS_FORKING = 2, NS_GREETING = 3, NS_CREATE_MAKING = 4, NS_UNDOING = 5 };

struct ns_create {
    struct ns_op base; /* first */
    const struct cloister_iso_create_args *args;
    struct ns_sandbox *sandbox;     /* a reference */
    struct ns_container *container; /* so too; NULL = none */
    uint32_t stage;                 /* enum ns_create_stage */
    struct ns_stdio stdio;
    struct ns_compile compile;
    struct ns_compile whole; /* the sandbox's own resources */
    struct ns_filter *filter;
    int *fds; /* of CREATE: needs, then stdio */
    uint32_t fd_count;
    int keepers[NS_HIERARCHIES_MAX + 1]; /* of HELLO: listener, then cgroup.procs files */
    uint32_t keeper_count;
    int plan_fd;
    struct cl_wire_create message;
    struct ns_hook_run *hooks; /* under way */
    uint64_t serial;           /* of the CREATE, once POINT has told it */
    int32_t pid;
    uint32_t version; /* of the keeper */
    bool shares;      /* further: its group is below another container's */
    bool further;     /* a further container of a sandbox that is up */
    bool over;        /* undone, as soon as no hook runs */
};

/* create.c */
void ns_create_free(struct ns_create *create);
void ns_create_prepared(void *ctx);
void ns_create_undo(struct ns_create *create);
void ns_create_finish(struct ns_create *create, int32_t pid);
/* further.c: what a further container's create has made goes; a second call ends it. */
void ns_further_undo(struct ns_create *create);
/* point.c: the keeper is at the point; the program runs */
void ns_create_point(struct ns_create *create, const struct cl_packet *packet);
void ns_create_started(struct ns_create *create, int32_t pid);

/* [worker] Compiles, makes cgroups, opens everything, binds the socket; a failure is in base.err. */
void ns_create_prepare(void *ctx);

#endif
