/* SPDX-License-Identifier: Apache-2.0 */
/* hook_run.h - runs hooks of the host's namespaces, one after another. [loop] */
#ifndef NS_HOOK_RUN_H
#define NS_HOOK_RUN_H

#include "sandbox.h"

struct ns_hook_run;

/* err: what the first one that failed died of, the others were not run; code 0 = all went well. */
typedef void (*ns_hooks_done_fn)(void *ctx, const struct cloister_error *err);

/*
 * The container's hooks of `when` (NS_HOOK_*, in this order). done comes later, exactly once. NULL: there are none, or
 * with err filled the first one cannot be started; then done is not called.
 */
struct ns_hook_run *ns_hook_run_start(struct ns_sandbox *sandbox, struct ns_container *container, uint32_t when,
                                      const char *status, int32_t pid, ns_hooks_done_fn done, void *ctx,
                                      struct cloister_error *err);

/* The one that runs is killed; done follows, with CANCELLED. */
void ns_hook_run_cancel(struct ns_hook_run *run);

/* Every program of the host's that these hooks name may be run: 0, or -1 with err naming the JSON path. */
int ns_hooks_allowed(const struct ns_instance *instance, const struct ns_hooks *hooks, struct cloister_error *err);

#endif
