/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h - the keeper's side of a process's terminal: it holds the master as long as the process lives. */
#ifndef CL_KEEPER_TERMINAL_H
#define CL_KEEPER_TERMINAL_H

#include "common/keeper/op.h"

/* The process has made it; the master is taken. Unless it is blocked its output is captured from now on. Negative errno
 * after cl_op_fail. */
int cl_terminal_take(struct cl_sandbox *sandbox, struct cl_op *op, int *master);

/* The process's output goes to its capture, which is there, and STDIN has something to give. */
int cl_terminal_attach(struct cl_beside *beside, struct cl_wire_record *record, const struct cl_wire_pipe *how);

/* 0, or negative errno. */
int cl_terminal_resize(int master, uint32_t rows, uint32_t columns);

/* RESIZE. */
void cl_resize(struct cl_sandbox *sandbox, struct cl_packet *packet);

#endif
