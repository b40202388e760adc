/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the keeper program once, as the zygote, and asks it to fork. Knows <cloister/zygote.h> and nothing else of it.
 */
#ifndef CL_CORE_ZYGOTE_ZYGOTE_H
#define CL_CORE_ZYGOTE_ZYGOTE_H

#include <cloister/error.h>
#include <cloister/zygote.h>

#include "core/loop/loop.h"

struct cl_zygote;

typedef void (*cl_zygote_forked_fn)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd,
                                    int32_t socket);

/* Copies the program at path into a sealed memfd, forks, execs it and waits (5 s) for its hello. Before any thread
 * exists. */
int cl_zygote_start(const char *path, struct cl_zygote **ret, struct cloister_error *err);
/* Serves it on the loop; died (may be NULL) is called once if it goes before cl_zygote_close; it is then still to be
 * closed. */
int cl_zygote_attach(struct cl_zygote *zygote, struct cl_loop *loop, void (*died)(void *ctx), void *ctx);
/* Requests are queued and answered in order. fds are borrowed (duplicated where needed). 0 or negative errno (fn is
 * then not called): -EPIPE it has died, -ECANCELED it is being closed, -E2BIG too many descriptors, -EINVAL bad role,
 * -EBUSY too many requests. fn gets 0, the child's pidfd and our non-blocking end of its socket (both transferred), or
 * a negative errno, the step, 0, -1, -1. */
int cl_zygote_fork(struct cl_zygote *zygote, const char *role, const int *fds, size_t fd_count, cl_zygote_forked_fn fn,
                   void *ctx);
/* Closes the socket: the zygote exits (it is reaped, or 1 s passes), what it forked lives on, but for helpers
 * (helper.h), which are killed. Requests under way complete with -ECANCELED before closed. One that was never attached
 * is closed inside the call. */
void cl_zygote_close(struct cl_zygote *zygote, cloister_fn closed, void *ctx);

#endif
