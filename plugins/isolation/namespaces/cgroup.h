/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - groups: one directory `<mount><root>/<name>` in every hierarchy, v1 and v2 alike (layout.h has the names).
 * Making them, setting limits, opening their files, and taking them away with everything that still lives in them.
 * Blocking: worker threads only.
 */
#ifndef NS_CGROUP_H
#define NS_CGROUP_H

#include "compile.h"
#include "layout.h"

struct ns_cgroups {
    const struct ns_hierarchies *hierarchies;
    const char *root; /* "/cloister" */
};

/* Malloc'd path of a group, or of a file in it if file is not NULL. */
char *ns_group_path(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name, const char *file);

#define NS_GROUP_NEW 1u  /* it must not be there yet */
#define NS_GROUP_LEAF 2u /* a container's: with the leaf that its processes go to, where a hierarchy wants one */

/*
 * Makes the group in every hierarchy, cpuset filled in from its parent (H2.2.6), and hands v2 controllers down to it.
 * The root and a sandbox's parents are made with it; these are marked as ours, so that they go when they are empty.
 * What else is above it must be there. On failure what was made stays for ns_group_remove. 0 or -1 with r's error.
 */
int ns_group_make(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name, uint32_t flags);

/* 0 or negative errno. */
int ns_group_put(const struct ns_cgroups *cgroups, const char *name, const struct ns_write *write);
/* The same; 0 or -1 with r's error. */
int ns_group_write(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name,
                   const struct ns_write *write);
/* All that was compiled for it: its writes in order, and a program for devices. */
int ns_group_set(const struct ns_cgroups *cgroups, const char *name, const struct ns_compile *c);

/* An open descriptor of a file of the group, or -1 with r's error. */
int ns_group_open(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t hierarchy, const char *name,
                  const char *file, int flags);
/* The same of the cgroup.procs that its own processes are in: the leaf's where there is one. */
int ns_group_open_procs(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t hierarchy,
                        const char *name, int flags);

/* SIGKILL for each member of the group and of what lies below it, once, in one hierarchy. */
void ns_group_kill(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name);

/*
 * Kills what is in the group and in groups below it, by pidfd, until it is empty, and removes it from every hierarchy.
 * Bounded by `patience` ns. True: nothing is left. Else *ret_left (may be NULL) is a malloc'd list of directories that
 * are, or NULL.
 */
bool ns_group_remove(const struct ns_cgroups *cgroups, const char *name, uint64_t patience, char **ret_left);

/* The same of all that is a sandbox's: its group, those beside it, and parents of our making that are empty then. */
bool ns_group_remove_sandbox(const struct ns_cgroups *cgroups, const char *group, uint64_t patience, char **ret_left);

/* Removes those called <prefix><pid> of a process that is no more. */
void ns_group_remove_orphans(const struct ns_cgroups *cgroups, const char *prefix);

/* Removes the keepers' group and the root where they are empty. */
void ns_group_remove_root(const struct ns_cgroups *cgroups);

/* Calls fn with each group of a sandbox, and each beside one, that starts with prefix, wherever below the root; once
 * for each hierarchy it is in. */
void ns_group_list(const struct ns_cgroups *cgroups, const char *prefix, void (*fn)(void *ctx, const char *name),
                   void *ctx);
/* So too, in one hierarchy, the groups beside a sandbox's: "<group>.c2". */
void ns_group_beside(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *group,
                     void (*fn)(void *ctx, const char *name), void *ctx);

bool ns_group_has_beside(const struct ns_cgroups *cgroups, const char *group);
/* In any hierarchy. */
bool ns_group_is_there(const struct ns_cgroups *cgroups, const char *name);

/* Calls fn with each member of the group and of what lies below it, in one hierarchy, until it returns true. True: it
 * did. So too for the whole sandbox, with what is beside its group. */
bool ns_group_members(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name,
                      bool (*fn)(void *ctx, long pid), void *ctx);
bool ns_group_sandbox_members(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *group,
                              bool (*fn)(void *ctx, long pid), void *ctx);

/* By /proc: the process is in the sandbox's group, below it or beside it. Says something about whoever has that number
 * now: with its pidfd open already. */
bool ns_group_has_process(const struct ns_cgroups *cgroups, const char *group, long pid);

/* It is there, and carries our mark. */
bool ns_group_is_marked(const struct ns_cgroups *cgroups, const char *name);
/* Puts it on: the group is another's child for its limits' sake, and not of that one's making. */
void ns_group_mark(const struct ns_cgroups *cgroups, const char *name);

/* On a parent of our making. A container cannot put it on anything: that takes rights over the host. */
#define NS_GROUP_MARK "trusted.cloister"

#endif
