/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slip.h - a descriptor that tells the number of a process to whoever reads it, in the reader's own pid namespace, also
 * when the process has long been reaped. (A pidfd tells it only until then: "Pid:" of its fdinfo turns to -1.)
 *
 * It is one end of a socket pair whose only packet carries the process as SCM_CREDENTIALS: what the kernel keeps in the
 * queue is not a number but the process's identity, and it is translated for each reader.
 */
#ifndef CL_KEEPER_SLIP_H
#define CL_KEEPER_SLIP_H

#include <sys/types.h>

/* `pid` is alive, or a child not yet reaped; to name another than oneself takes CAP_SYS_ADMIN in the pid namespace. 0
 * or negative errno. */
int cl_slip_make(pid_t pid, int *ret_fd);

/* The number, positive; -ESRCH: the process is outside our pid namespace; -EBADMSG, -ENOTSOCK, ...: not a slip. Reads
 * as often as wanted, never waits. */
pid_t cl_slip_read(int fd);

#endif
