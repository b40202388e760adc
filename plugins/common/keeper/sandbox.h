/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - the state of one sandbox keeper, and its loop. */
#ifndef CL_KEEPER_SANDBOX_H
#define CL_KEEPER_SANDBOX_H

#include "common/keeper/container.h"
#include "common/keeper/out.h"
#include "common/keeper/records.h"

#include <sys/resource.h>

struct cl_op;

#define CL_STRANGERS_MAX 4u
#define CL_OPS_MAX 256u

struct cl_sandbox {
    int control;  /* connection to the daemon, -1 = lost */
    int listener; /* later daemons come here, -1 = none */
    int stranger[CL_STRANGERS_MAX];
    int signals; /* signalfd of SIGCHLD */
    int proc;    /* procfs of our own pid namespace */
    int null;
    struct rlimit files; /* how many descriptors what we start may have; we take what we can */
    int known;           /* HELLO was seen: cookie and id are ours */
    uint32_t version;    /* of the control connection */
    uint64_t cookie;
    char id[CL_WIRE_ID_SIZE];
    int staged[CL_WIRE_STAGED_MAX];
    uint32_t staged_count;
    struct cl_out out;
    struct cl_op *ops;
    uint32_t op_count;
    uint64_t destroying; /* serial of the DESTROY under way */
    struct cl_containers containers;
    struct cl_records records;
    struct cl_tapes tapes;
};

/* The sandbox role, in a process that is pid 1 of its pid namespace; `control` is its socket. Returns the exit code. */
int cl_sandbox_run(int control);

/* --- for the files below --- */

/* Queues an answer. `fd` (or -1), or the descriptors, are taken. */
void cl_sandbox_answer(struct cl_sandbox *sandbox, const struct cl_wire_answer *answer, int fd);
void cl_sandbox_answer_fds(struct cl_sandbox *sandbox, const struct cl_wire_answer *answer, const int *fds, uint32_t n);
/* Queues any other message, unless the daemon's version does not know it. */
void cl_sandbox_tell(struct cl_sandbox *sandbox, const void *message);
void cl_sandbox_tell_fd(struct cl_sandbox *sandbox, const void *message, int fd); /* taken */
/* Sends what is queued; waits for the daemon to take it, if need be. */
void cl_sandbox_flush_all(struct cl_sandbox *sandbox);
/* A daemon that speaks `version` is at `sock`, which is taken. */
void cl_sandbox_connect(struct cl_sandbox *sandbox, int sock, uint32_t version);
/* Closes the control connection and forgets what was queued for it. */
void cl_sandbox_lose(struct cl_sandbox *sandbox);

/* control.c: reads and obeys one request from the control connection; 0, -EAGAIN, or a negative errno that ends the
 * connection. */
int cl_control_read(struct cl_sandbox *sandbox);
/* If the daemon is dead: obeys what it said last, and loses it. Returns 1 if there is a living one. */
int cl_control_alive(struct cl_sandbox *sandbox);

struct cl_packet;
/* control.c, for listing.c */
void cl_control_answer(struct cl_sandbox *sandbox, const struct cl_packet *packet, int r, uint32_t count,
                       const int *fds, uint32_t n);
/* listing.c: requests about what a process has written and may read */
void cl_list(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_tape(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_input(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_input_close(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_policy(struct cl_sandbox *sandbox, struct cl_packet *packet);

/* hello.c */
int cl_hello_answer(struct cl_sandbox *sandbox, struct cl_packet *packet);
void cl_hello_accept(struct cl_sandbox *sandbox);                  /* a connection on the listener */
void cl_hello_stranger(struct cl_sandbox *sandbox, uint32_t slot); /* its first words */

/* reap.c: collects every child that has exited. Returns 1 if there are no children left at all. */
int cl_reap(struct cl_sandbox *sandbox);

/* kill.c: the answer's count and negative errno. */
int cl_kill(struct cl_sandbox *sandbox, const struct cl_wire_signal *signal, uint32_t *ret_count);
void cl_kill_members(struct cl_sandbox *sandbox,
                     struct cl_container *container); /* SIGKILL, until nothing new appears */

#endif
