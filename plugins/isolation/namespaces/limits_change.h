/* SPDX-License-Identifier: Apache-2.0 */
/* limits_change.h - limits of a group that is in use: what they are, and changing them whole or not at all. [worker] */
#ifndef NS_LIMITS_CHANGE_H
#define NS_LIMITS_CHANGE_H

#include "cgroup.h"

/* What compiling an update must know of the group; what cannot be read is taken for unlimited. */
void ns_limits_kept(const struct ns_cgroups *cgroups, const char *group, struct ns_kept *ret);

/*
 * Writes what was compiled, in an order that the kernel takes. One that fails: the old values are put back. BUSY: below
 * what is in use; check: also where the kernel would make room by taking back what can be had again. 0 or -1 with c's
 * error.
 */
int ns_limits_change(const struct ns_cgroups *cgroups, const char *group, const struct ns_compile *c, bool check);

/* An OCI linux.resources object of what is in force; NULL: no memory. */
cloister_value *ns_limits_read(const struct ns_cgroups *cgroups, const struct ns_machine *machine,
                               const struct cloister_value_api *v, const char *group);

#endif
