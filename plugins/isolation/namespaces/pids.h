/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pids.h - numbers of a keeper's children in our pid namespace. A keeper knows them by its own numbers; ours are found
 * among the members of the sandbox's groups: a process whose parent is the keeper, and which says both its numbers.
 * Only for showing: nothing is ever done to a process by such a number. [worker]
 */
#ifndef NS_PIDS_H
#define NS_PIDS_H

#include "cgroup.h"

struct ns_pid {
    uint32_t inside; /* the keeper's number */
    int32_t outside; /* ours; 0 = not found */
};

/* Fills `outside` of each of `list`. */
void ns_pids_find(const struct ns_cgroups *cgroups, const char *group, int32_t keeper, struct ns_pid *list,
                  uint32_t count);

/* The number in a pidfd's fdinfo; 0 = it is dead. */
int32_t ns_pid_of(int pidfd);

/* The user that a process is in its own user namespace; 0 if that cannot be told. */
uint32_t ns_pid_user(int32_t pid);

/* It lives in a user namespace that is not ours. */
bool ns_pid_in_user(int32_t pid);

/* A pidfd of the keeper of whoever lives in the groups of that name: their parent, which is in none of them. For one
 * that cannot be reached by its socket. -1: nobody lives there. */
int ns_pids_keeper(const struct ns_cgroups *cgroups, const char *group);

/* Somebody lives in one of the groups of that name. */
bool ns_pids_any(const struct ns_cgroups *cgroups, const char *group);

/* Numbers gathered from several lists that name the same ones. */
struct ns_pid_set {
    int32_t *list; /* malloc'd; settled: each once, the smallest first */
    uint32_t count;
    uint32_t room;
    uint32_t settled; /* of count */
    uint32_t max;
};

/* 0; -E2BIG: more than `max` since it was settled; -ENOMEM. */
int ns_pid_set_add(struct ns_pid_set *set, int32_t pid);
/* Behind each list. 0; -E2BIG: there are more than `max`. */
int ns_pid_set_settle(struct ns_pid_set *set);

#endif
