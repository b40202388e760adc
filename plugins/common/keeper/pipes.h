/* SPDX-License-Identifier: Apache-2.0 */
/* pipes.h - the keeper's side of a new process's stdio: PIPE and SAME entries become plain descriptors. */
#ifndef CL_KEEPER_PIPES_H
#define CL_KEEPER_PIPES_H

#include "common/keeper/op.h"

/*
 * Makes the pipes that these (checked) entries ask for; the process's ends join the operation's descriptors, ours go
 * beside the record. *ret_stdio has only NULL and DESCRIPTOR entries. After a failure the record is to be removed, or
 * cl_pipes_drop called.
 */
int cl_pipes_make(struct cl_sandbox *sandbox, struct cl_op *op, struct cl_wire_record *record,
                  const struct cl_wire_stdio stdio[3], const struct cl_wire_memo *memo,
                  struct cl_wire_stdio ret_stdio[3]);
void cl_pipes_drop(struct cl_sandbox *sandbox, struct cl_wire_record *record);

/* The process `pid` is there with its user namespace: the pipes become its user's. */
int cl_pipes_own(struct cl_sandbox *sandbox, const struct cl_op *op, pid_t pid);

#endif
