/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_old.h - plans of version 1, for keepers of wire versions 2 and 3, which may outlive their daemon by years.
 *
 * The header is frozen here as it was; items of its sections have not changed since.
 */
#ifndef CL_KEEPER_PLAN_OLD_H
#define CL_KEEPER_PLAN_OLD_H

#include "common/keeper/client.h"

#define CL_PLAN_OLD_BEFORE 4u /* the first wire version that reads today's plans */
#define CL_PLAN_OLD_VERSION 1u
#define CL_PLAN_OLD_SECTIONS 18u
#define CL_PLAN_OLD_FLAGS 255u

struct cl_plan_old {
    uint32_t magic;
    uint32_t version;
    uint32_t size;
    uint32_t kind;
    uint32_t flags;
    uint32_t reserved;
    struct cl_wire_span section[CL_PLAN_OLD_SECTIONS];
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
    uint32_t session;
    cl_wire_str cwd;
    cl_wire_str path;
    int32_t oom_score_adj;
    int32_t nice;
    uint64_t cap_bounding;
    uint64_t cap_permitted;
    uint64_t cap_effective;
    uint64_t cap_inheritable;
    uint64_t cap_ambient;
    uint64_t ns_new;
    uint32_t ns_join[8];
    cl_wire_str hostname;
    cl_wire_str domainname;
    cl_wire_str comm;
    uint32_t root_fd;
    uint32_t root_propagation;
    uint32_t oom_kind;
    uint32_t oom_fd;
    uint32_t procs_fd;
    cl_wire_str stop_step;
    uint32_t stop_when;
    uint32_t reserved2;
};
_Static_assert(sizeof(struct cl_plan_old) == 328, "as keepers of version 2 and 3 know it");

/*
 * Writes a plan that has been found good into an empty file. -ENOTSUP: version 1 has no word for the member that
 * *ret_where (may be NULL) names.
 */
int cl_plan_old_write(const struct cl_plan *plan, int fd, const char **ret_where);

#endif
