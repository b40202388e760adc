/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - a container as the plugin holds it: its number on the keeper's socket, its group, and what later execs
 * into it must have in common with its init. Nothing here is a record: what must survive the daemon is the engine's or
 * the keeper's. [loop]; counted, because operations in a worker look back at it; what they look at is settled before
 * it is up, and does not change.
 */
#ifndef NS_CONTAINER_H
#define NS_CONTAINER_H

#include "filter.h"
#include "instance.h"

struct ns_create;
struct ns_sandbox;

struct ns_container {
    struct ns_container *next; /* of its sandbox, in the order in which they were made */
    uint32_t refs;
    uint64_t number;               /* on the keeper's socket; 0: a record's, of which the keeper knows nothing */
    char group[NS_GROUP_PATH_MAX]; /* below the cgroup root */
    char *cid;
    char *rootfs; /* the host's directory that its root is made of; NULL = it is not made of one */
    uint32_t incarnation;
    cloister_process init;
    struct ns_create *creating; /* until it is up; NULL then */
    uint64_t create;            /* serial of the CREATE under way */
    struct ns_hooks *hooks;     /* of the host's namespaces; NULL = none */
    bool down;                  /* nothing of it lives any more */
    bool outer_pid;             /* without a pid namespace of its own: init's death does not end the rest */
    bool frozen;                /* by itself; what was seen last */
    bool in_user;               /* in a user namespace that is not the host's, its own or another's */
    bool no_new_privs;
    bool has_personality; /* so has every exec */
    uint32_t personality;
    struct ns_filter *filter; /* for init and every exec; NULL = none */
    char *missing;            /* masked paths that are not there, until the create is answered */
    char *no_exec;            /* why nothing may be run in it any more; NULL = it may */
    uint64_t ns_new;
    uint32_t init_user; /* inside; with what follows, of a blocked init, for its start */
    uint64_t drain_idle;
    uint64_t drain_max;
};

/* The number of the container that a sandbox is made with; further ones count on. */
#define NS_CONTAINER_FIRST 1u

/* At the end of the sandbox's list, which has the reference. NULL: no memory. */
struct ns_container *ns_container_new(struct ns_sandbox *sandbox, struct cloister_sv cid);
struct ns_container *ns_container_ref(struct ns_container *container);
void ns_container_unref(struct ns_container *container); /* NULL is none */
/* Off the list. */
void ns_container_drop(struct ns_sandbox *sandbox, struct ns_container *container);

/* Each NULL: there is none. Empty cid: the first one. */
struct ns_container *ns_container_find(const struct ns_sandbox *sandbox, struct cloister_sv cid);
struct ns_container *ns_container_of_number(const struct ns_sandbox *sandbox, uint64_t number);
struct ns_container *ns_container_of_init(const struct ns_sandbox *sandbox, cloister_process init);

/* Takes over what was compiled for it: what its execs need. */
void ns_container_settle(struct ns_container *container, struct ns_compile *c, struct ns_filter *filter);

/* Kills whatever of it its init has left behind. */
void ns_container_end_the_rest(struct ns_sandbox *sandbox, const struct ns_container *container);

#endif
