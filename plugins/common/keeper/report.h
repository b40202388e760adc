/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what a process being set up and its keeper tell each other, over a SOCK_SEQPACKET pair.
 *
 * The end of the socket without a FAILED before it is how success looks: execve closed it. The helper that makes a
 * process and the process share one end, so their reports come in order.
 */
#ifndef CL_KEEPER_REPORT_H
#define CL_KEEPER_REPORT_H

#include "common/keeper/wire.h"

enum cl_report_kind {
    CL_REPORT_CHILD = 1, /* helper: the process exists; value = pid, descriptor = pidfd. It waits for a GO */
    CL_REPORT_WARNING = 2,
    CL_REPORT_FAILED = 3,
    CL_REPORT_BLOCKED = 4,  /* waits for a GO with its stdio */
    CL_REPORT_RLIMITS = 5,  /* asks for its limits; waits for a GO */
    CL_REPORT_PAUSED = 6,   /* a pause init is in its loop; it closes the socket itself */
    CL_REPORT_PRIORITY = 7, /* asks for its scheduling and its priority for disks; waits for a GO */
    CL_REPORT_TERMINAL = 8, /* descriptor: the master of its terminal */
    CL_REPORT_POINT = 9,    /* hooks of the host are to be run now; waits for a GO */
    CL_REPORT_WHO = 10,     /* value = uid, reserved = gid, detail = home: what a user text means; waits for a GO */
    CL_REPORT_GO = 16       /* keeper: go on, or with os_errno fail in this step */
};

struct cl_report {
    uint32_t kind;
    int32_t os_errno;
    uint32_t value;
    uint32_t reserved;
    struct cl_wire_stdio stdio[3]; /* with the GO of a blocked init: indexes into its descriptors */
    char step[CL_WIRE_STEP_MAX];
    char detail[CL_WIRE_DETAIL_MAX];
};

#define CL_REPORT_FDS_MAX 3u

/* 0, or negative errno. Descriptors stay the caller's. */
int cl_report_send(int sock, const struct cl_report *report, const int *fds, uint32_t n);

/* 0; -EPIPE at the end; -EAGAIN on a non-blocking socket. ret_fds has CL_REPORT_FDS_MAX slots, unused ones -1. */
int cl_report_recv(int sock, struct cl_report *ret_report, int *ret_fds);

#endif
