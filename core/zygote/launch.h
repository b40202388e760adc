/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h - from a sealed program to a zygote that has said hello. */
#ifndef CL_CORE_ZYGOTE_LAUNCH_H
#define CL_CORE_ZYGOTE_LAUNCH_H

#include <sys/types.h>

#include <cloister/error.h>

struct cl_launched {
    pid_t pid;
    int pidfd;
    int socket; /* our end; blocking */
};

/* Forks, execs program (borrowed; path names it in errors) and waits for the hello. On failure the child is gone and
 * reaped. */
int cl_launch(int program, const char *path, struct cl_launched *ret, struct cloister_error *err);
/* Reaps the child if it has ended, or once it ends within timeout_ms; "exit status 3", "signal 9 (Killed)", "unknown"
 * or "still running". */
void cl_launch_reap(int pidfd, int timeout_ms, char *ret_how, size_t size);

#endif
