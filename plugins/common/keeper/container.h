/* SPDX-License-Identifier: Apache-2.0 */
/* container.h - what the keeper knows of one container: its init, its namespaces, how to find who is in it. */
#ifndef CL_KEEPER_CONTAINER_H
#define CL_KEEPER_CONTAINER_H

#include "common/keeper/wire.h"

#include <sys/types.h>

struct cl_container {
    uint64_t id;   /* 0 = slot is free */
    uint64_t init; /* pseq */
    pid_t pid;
    int pidfd;         /* of init */
    uint64_t enter;    /* CLONE_NEW* of what it does not share with the keeper */
    int own_pids;      /* a pid namespace of its own: init's death kills all of it */
    uint64_t pids;     /* inode of that namespace */
    uint64_t joined;   /* the container whose namespaces it was made in, and */
    uint64_t join_ns;  /* CLONE_NEW* of these; 0 = none */
    int procs;         /* its cgroup.procs, or -1 */
    int oom;           /* its memory group's counter, or -1 */
    uint64_t oom_seen; /* kills already explained */
    int down;          /* DOWN was sent */
};

struct cl_containers {
    struct cl_container item[CL_WIRE_CONTAINERS_MAX];
};

struct cl_container *cl_container_add(struct cl_containers *all, uint64_t id); /* NULL: no slot */
struct cl_container *cl_container_find(struct cl_containers *all, uint64_t id);
void cl_container_remove(struct cl_container *container); /* closes its descriptors */

/* Which namespaces a process must enter to be in a container made by this plan. */
uint64_t cl_container_enter(const struct cl_wire_plan *plan);

/* Takes note of the kills so far: they are not the cause of a death that comes now from elsewhere. */
void cl_container_oom_reset(struct cl_container *container);

/* True, once for each kill, if a process of it died of memory since. */
int cl_container_oom_take(struct cl_container *container);

/*
 * Pids (in the keeper's pid namespace) of who is in it, allocated into *ret_pids; the number, or negative errno. From
 * the pid namespace, else from the group. `proc` is the keeper's procfs. Without either: -ENOTSUP.
 */
int cl_container_members(const struct cl_container *container, int proc, pid_t **ret_pids);

#endif
