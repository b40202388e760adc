/* SPDX-License-Identifier: Apache-2.0 */
/* The run directory: who this instance is (boot id, cookie, store id) and that nobody else is it at the same time. */
#ifndef CL_CORE_DAEMON_RUNDIR_H
#define CL_CORE_DAEMON_RUNDIR_H

#include <stdint.h>

#include <cloister/error.h>

#define CL_BOOT_ID_SIZE 37 /* with the final NUL */

struct cl_rundir {
    char *path;
    int dir_fd;
    int lock_fd; /* open file description lock on <run>/lock: gone with the process */
    char boot_id[CL_BOOT_ID_SIZE];
    uint64_t cookie;
    char *store_ids; /* "name=id,..." as remembered, "" if none */
};

/* Makes the directories (run 0711, state 0700), takes the lock (BUSY with the holder's pid), reads or writes
 * `instance`. A new boot gets a new cookie. */
int cl_rundir_open(const char *run_dir, const char *state_dir, struct cl_rundir *ret, struct cloister_error *err);
/* Writes `instance` anew with the stores that are open. */
int cl_rundir_remember(struct cl_rundir *rundir, const char *store_ids, struct cloister_error *err);
void cl_rundir_close(struct cl_rundir *rundir);

#endif
