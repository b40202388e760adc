/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hierarchy.h - which cgroup hierarchies this machine has mounted, read from mountinfo: any mixture of v1 controllers
 * (each on its own or several together), named v1 hierarchies and v2. Nothing is assumed about where they are.
 */
#ifndef NS_HIERARCHY_H
#define NS_HIERARCHY_H

#include <stdbool.h>
#include <stdint.h>

#define NS_HIERARCHIES_MAX 32u
#define NS_NO_HIERARCHY UINT32_MAX

struct ns_hierarchy {
    bool v2;
    char *mount;       /* where it is mounted: "/sys/fs/cgroup/memory" */
    char *label;       /* last component of that: the directory's name inside a container */
    char *controllers; /* "cpu,cpuacct", or "name=systemd"; v2: what its root has, "" until ns_hierarchies_look */
};

struct ns_hierarchies {
    struct ns_hierarchy list[NS_HIERARCHIES_MAX];
    uint32_t count;
    bool no_v2_freeze; /* not there, or forbidden */
    bool no_v2_kill;
};

/* Parses the text of mountinfo. A hierarchy mounted twice counts once, its first whole mount first. 0, -ENOMEM or
 * -EINVAL. */
int ns_hierarchies_parse(const char *mountinfo, struct ns_hierarchies *ret);
void ns_hierarchies_clear(struct ns_hierarchies *hierarchies);

/* Reads which controllers v2 has. 0 or -ENOMEM. */
int ns_hierarchies_look(struct ns_hierarchies *hierarchies);

bool ns_hierarchy_has(const struct ns_hierarchy *hierarchy, const char *controller);
/* The hierarchy that has this controller, v1 or v2; NS_NO_HIERARCHY if there is none. */
uint32_t ns_hierarchy_of(const struct ns_hierarchies *hierarchies, const char *controller);

/* The v1 hierarchy that has this controller, or the v2 one for ""; NS_NO_HIERARCHY if there is none. */
uint32_t ns_hierarchy_find(const struct ns_hierarchies *hierarchies, const char *controller);

#endif
