/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - the sandbox's groups: one directory `<mount><root>/<name>` in every hierarchy, v1 and v2 alike. Making
 * them, setting limits, opening their files, and taking them away with everything that still lives in them. Blocking:
 * worker threads only.
 */
#ifndef NS_CGROUP_H
#define NS_CGROUP_H

#include "compile.h"

#define NS_GROUP_NAME_MAX 64u

struct ns_cgroups {
    const struct ns_hierarchies *hierarchies;
    const char *root; /* "/cloister" */
};

/* "cl-0123abcd-<id>": the first half of the cookie, and the engine id. */
void ns_group_name(uint64_t cookie, struct cloister_sv id, char ret[NS_GROUP_NAME_MAX]);
/* The id in such a name; NULL: it is none. */
const char *ns_group_id(const char *name);
/* "cl-0123abcd-": what every group of this daemon instance begins with. */
void ns_group_prefix(uint64_t cookie, char ret[NS_GROUP_NAME_MAX]);

/* Malloc'd path of a group, or of a file in it if file is not NULL. */
char *ns_group_path(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name, const char *file);

/* Makes the group in every hierarchy, cpuset filled in from its parent (H2.2.6). exclusive: it must not be there yet.
 * On failure what was made stays for ns_group_remove. 0 or -1 with r's error. */
int ns_group_make(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name, bool exclusive);

int ns_group_write(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name,
                   const struct ns_write *write);

/* An open descriptor of a file of the group, or -1 with r's error. */
int ns_group_open(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t hierarchy, const char *name,
                  const char *file, int flags);

/*
 * Kills what is in the group and in groups below it, by pidfd, until it is empty, and removes it from every hierarchy.
 * Bounded by `patience` ns. True: nothing is left. Else *ret_left (may be NULL) is a malloc'd list of directories that
 * are, or NULL.
 */
bool ns_group_remove(const struct ns_cgroups *cgroups, const char *name, uint64_t patience, char **ret_left);

/* Removes the keepers' group and the root where they are empty. */
void ns_group_remove_root(const struct ns_cgroups *cgroups);

/* Calls fn with the name of each group below the root that starts with prefix, each name once for each hierarchy it is
 * in. */
void ns_group_list(const struct ns_cgroups *cgroups, const char *prefix, void (*fn)(void *ctx, const char *name),
                   void *ctx);

#endif
