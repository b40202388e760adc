/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - what groups are called. Every name is relative to the cgroup root, the same in every hierarchy, and
 * follows from numbers that the record and the keeper know, so that a restart and a sweep find it without asking:
 *
 *   [<parent>/]cl-<cookie8>-<id>              G, the sandbox's
 *   G                                         its first container's, if it was made with it and has no limits beside it
 *   G/c<number>                               else a container's: the number is the keeper's
 *   G.c<number>                               a further one where G has processes of its own, whose limits are not its
 *   <container's>/c<number>                   one that asked to share the limits of another
 *   <container's>/e<pseq>                     an exec with a group of its own
 *   <container's>.t                           where one process of a v1-frozen group is moved to be killed
 *
 * In a v2 hierarchy that has controllers a container's processes are in the leaf `init` of its group (ns_group_procs):
 * a group with processes cannot hand controllers on. [any, pure]
 */
#ifndef NS_LAYOUT_H
#define NS_LAYOUT_H

#include <cloister/isolation.h>

#include "text.h"

#define NS_GROUP_NAME_MAX 64u
#define NS_GROUP_PATH_MAX 512u /* a name with its parents and all that may be behind it */
#define NS_GROUP_PARENT_MAX 200u
#define NS_KEEPERS "keepers" /* the group keepers move themselves to: no parent may be called so */
#define NS_LEAF "init"

/* "cl-0123abcd-": what every group of this daemon instance begins with, parents apart. */
void ns_group_prefix(uint64_t cookie, char ret[NS_GROUP_NAME_MAX]);
/* "cl-0123abcd-<id>": the first half of the cookie, and the engine id. */
void ns_group_name(uint64_t cookie, struct cloister_sv id, char ret[NS_GROUP_NAME_MAX]);
/* That part of a sandbox's group: what is behind its parents. */
const char *ns_group_leaf(const char *group);
/* The id in a sandbox's group (parents or not), not ended by NUL if `rest` may follow it, like ".c2"; NULL: it is
 * none. */
const char *ns_group_id(const char *group, bool rest);

/* "/cloister", "/a/b": absolute, no empty, "." or ".." component, no odd byte (H2.2.13). */
bool ns_cgroup_root_ok(struct cloister_sv root);
/* "garden/good": the same without the first slash; no component that one of ours could be taken for. "" is none, and
 * good. */
bool ns_cgroup_parent_ok(struct cloister_sv parent);

/* Each false: it would be too long. `parent` is good. */
bool ns_layout_sandbox(struct cloister_sv parent, uint64_t cookie, struct cloister_sv id, char ret[NS_GROUP_PATH_MAX]);
/* split: containers are below G. share: the group of the container whose limits hold this one too; NULL = none. */
bool ns_layout_container(const char *sandbox, bool split, uint64_t number, const char *share,
                         char ret[NS_GROUP_PATH_MAX]);
bool ns_layout_exec(const char *container, cloister_process process, char ret[NS_GROUP_PATH_MAX]);
bool ns_layout_thawed(const char *container, char ret[NS_GROUP_PATH_MAX]);
/* Is it called like that one? */
bool ns_layout_is_thawed(const char *group);

#endif
