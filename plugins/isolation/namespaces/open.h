/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - turns a compilation's needs into descriptors. Blocking (a source may lie on a slow file system): workers
 * only. */
#ifndef NS_OPEN_H
#define NS_OPEN_H

#include "cgroup.h"

/* Opens need number `i` of `c`; the descriptor, or -1 with c's error. `group` is the sandbox's group name. */
int ns_open_need(const struct ns_compile *c, uint32_t i, const struct ns_cgroups *cgroups, const char *group);

#endif
