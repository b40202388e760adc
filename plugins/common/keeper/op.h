/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op.h - a process being made, seen from the keeper: from the fork of the helper until execve, or until nothing of it
 * is left.
 *
 * An operation ends in one of two ways, and each sends exactly one answer: the status socket closes and the process has
 * execed (or pauses), or something failed, and then the answer waits until helper and process are reaped and the socket
 * is closed, so that "failed" always means "gone". A blocked init is answered once, and again by its START.
 */
#ifndef CL_KEEPER_OP_H
#define CL_KEEPER_OP_H

#include "common/keeper/sandbox.h"

struct cl_op {
    struct cl_op *next;
    uint32_t request; /* type of what is to be answered */
    uint64_t serial;  /* of the request; 0: nobody is waiting (a blocked init) */
    uint64_t container;
    uint64_t pseq;
    int create;
    int block; /* CREATE: stop before the last steps */
    int blocked;
    int sock;     /* our end of the status socket */
    pid_t helper; /* 0 = reaped */
    pid_t child;  /* 0 = not made yet, or reaped */
    int slip;     /* tells its number to the daemon; goes with the last answer */
    int had_child;
    int eof;
    int at_point; /* waits for PROCEED */
    int paused;
    int error; /* positive errno of the first failure; 0 = none */
    char step[CL_WIRE_STEP_MAX];
    char detail[CL_WIRE_DETAIL_MAX];
    const struct cl_wire_plan *plan;
    int *fds; /* of the request, and the process's ends of pipes; -1 once closed */
    uint32_t fd_count;
    struct cl_wire_pipe terminal; /* how what is written to it is captured */
    uint32_t rows;                /* a size that came before the terminal; 0 = none */
    uint32_t columns;
    int resolved; /* uid, gid and home are what the process has found */
    uint32_t uid;
    uint32_t gid;
    char home[CL_WIRE_HOME_MAX];
    uint32_t pipe_owner[3]; /* uid inside, of each stdio entry that is a pipe; else CL_WIRE_NO_FD */
};

struct cl_packet;

/* CREATE and EXEC: everything up to the fork; a refusal is answered at once. */
void cl_op_create(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_op_exec(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_op_start(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_op_cancel(struct cl_sandbox *sandbox, const struct cl_wire_cancel *cancel);
void cl_op_proceed(struct cl_sandbox *sandbox, struct cl_packet *packet);

/* Its socket is readable. The operation may be gone afterwards. */
void cl_op_read(struct cl_sandbox *sandbox, struct cl_op *op);

/* A child has died and is not yet reaped. Returns 1 if its exit is to be recorded as that of a process that ran. */
int cl_op_child_died(struct cl_sandbox *sandbox, pid_t pid, int code, int status);

/* It has been reaped: operations that waited for that may end now. */
void cl_op_reaped(struct cl_sandbox *sandbox, pid_t pid);

/* for op_begin.c and prepare.c */
void cl_op_fail(struct cl_op *op, int error, const char *step, const char *detail);
void cl_op_settle(struct cl_sandbox *sandbox, struct cl_op *op);
void cl_op_free(struct cl_sandbox *sandbox, struct cl_op *op);

/* The daemon has gone, and nobody will ever be told of an EXEC under way, nor see to it that it does not take for ever:
 * it is cancelled. A START goes on: what it makes is on record. */
void cl_ops_lose(struct cl_sandbox *sandbox);

/* One of the keeper's own steps begins (3) or is over (4): if a test wants it, the keeper halts until the daemon is
 * gone. */
void cl_op_halt(struct cl_sandbox *sandbox, const struct cl_op *op, const char *step, uint32_t when);

/* prepare.c: what only host root can do for the new process before it goes on. Negative errno after cl_op_fail. */
int cl_prepare(struct cl_sandbox *sandbox, struct cl_op *op);
int cl_prepare_rlimits(struct cl_op *op);
int cl_prepare_priority(struct cl_op *op);

#endif
