/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_file.h - one write to a file of a group, and v2's controllers on the way to it. [worker] */
#ifndef NS_CGROUP_FILE_H
#define NS_CGROUP_FILE_H

#include "cgroup.h"

/* One write, whole: what these files take. 0 or negative errno. */
int ns_file_write(const char *path, const char *text);

/* v2: each group above `name` hands that controller on, so that `name` has its files. 0 or negative errno; -ENOENT: it
 * is no controller of this hierarchy. */
int ns_group_hand_down(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name, const char *controller);

/* Processes of containers are in a leaf there. */
bool ns_group_has_leaf(const struct ns_cgroups *cgroups, uint32_t hierarchy);

#endif
