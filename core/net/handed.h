/* SPDX-License-Identifier: Apache-2.0 */
/* handed.h - listening sockets that whoever started the daemon has handed over (socket activation: LISTEN_FDS,
 * LISTEN_PID, LISTEN_FDNAMES). They are theirs as much as ours: we accept from them and close our copy, no more. */
#ifndef CL_CORE_NET_HANDED_H
#define CL_CORE_NET_HANDED_H

#include <stddef.h>

#include <cloister/error.h>

#define CL_HANDED_FIRST 3  /* the first of them, by convention */
#define CL_HANDED_MAX 1021 /* up to descriptor 1,023 */

struct cl_handed {
    int *fds; /* -1: claimed */
    char **names;
    size_t count;
    char other[24]; /* LISTEN_PID, where it names another process */
};

/* Takes the three variables out of the environment, whatever they say; the descriptors are close-on-exec from here on.
 * Meant for another process, or no variables: none are handed over. Before there are threads. */
int cl_handed_take(struct cl_handed *ret, struct cloister_error *err);
/* The socket called `name` ("control", or "3" by its number), if it is a Unix stream socket that listens and has a
 * file. It is the caller's now, and non-blocking. */
int cl_handed_claim(struct cl_handed *handed, const char *name, int *ret_fd, struct cloister_error *err);
/* Closes what nobody has claimed, with one warning each. */
void cl_handed_drop(struct cl_handed *handed);
/* Closes the rest without a word and frees. */
void cl_handed_free(struct cl_handed *handed);

#endif
