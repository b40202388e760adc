/* SPDX-License-Identifier: Apache-2.0 */
/* reach.h - can other users of this machine reach a directory? */
#ifndef CLOISTERCTL_REACH_H
#define CLOISTERCTL_REACH_H

#include <cloister/error.h>

/*
 * 0 if a directory above it is closed to others (its own mode is the container's to change); DENIED with the reason if
 * none is. A root file system that others can reach and containers can write is a way to root: a container makes a
 * set-user-id file, a local user runs it. path must be absolute and resolved (realpath).
 */
int ctl_reach_check(const char *path, struct cloister_error *err);

#endif
