/* SPDX-License-Identifier: Apache-2.0 */
/* idmap.h - user namespaces' maps: written for a new process, and lent to mounts whose owners are shifted. */
#ifndef CL_KEEPER_IDMAP_H
#define CL_KEEPER_IDMAP_H

#include "common/keeper/op.h"

/* The new process's own, if it has a new user namespace. Negative errno after cl_op_fail. */
int cl_idmap_process(struct cl_sandbox *sandbox, struct cl_op *op);

/* The root's tree and the binds that the plan wants shifted. So too. */
int cl_idmap_trees(struct cl_sandbox *sandbox, struct cl_op *op);

#endif
