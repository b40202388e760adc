/* SPDX-License-Identifier: Apache-2.0 */
/* The run directory: who this instance is (boot id, cookie, store id) and that nobody else is it at the same time. */
#ifndef CL_CORE_DAEMON_RUNDIR_H
#define CL_CORE_DAEMON_RUNDIR_H

#include <stdint.h>

#include <cloister/error.h>

#include "core/value/value.h"

#define CL_BOOT_ID_SIZE 37 /* with the final NUL */

struct cl_rundir_args {
    const char *run_dir;
    const char *state_dir;
    const char *boot_id_file;
    uint64_t wait_until; /* for the lock, see lock.h */
};

struct cl_rundir {
    char *path;
    int dir_fd;
    int lock_fd; /* open file description lock on <run>/lock: gone with the process */
    char boot_id[CL_BOOT_ID_SIZE];
    uint64_t cookie;
    uint64_t old_cookie;    /* of the boot before; 0 = none that is known */
    cloister_value *stores; /* an object, name -> id, of this boot */
};

/* Makes the directories (run 0711, state 0700), takes the lock (BUSY with the holder's pid; -ECANCELED: a signal ended
 * the wait for it, no error), reads or writes `instance`. A new boot gets a new cookie, and the run records of the one
 * before are deleted: what they tell of has ended with it, and they hold secrets. */
int cl_rundir_open(const struct cl_rundir_args *args, struct cl_rundir *ret, struct cloister_error *err);
/* Writes `instance` anew, with `stores` as they are now. */
int cl_rundir_remember(const struct cl_rundir *rundir, struct cloister_error *err);
void cl_rundir_close(struct cl_rundir *rundir);

#endif
