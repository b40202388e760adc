/* SPDX-License-Identifier: Apache-2.0 */
/* attach.h - what the calls about a process's captured output and its stdin have in common. */
#ifndef CL_CORE_ENGINE_ATTACH_H
#define CL_CORE_ENGINE_ATTACH_H

#include "core/engine/operation.h"

/* Which process: number, or 0 = the init of that container; also one that has ended and was not released. *ret is
 * written when its pipes can be asked for now, otherwise err says why not. */
int cl_attach_find(struct cl_operation *operation, struct cloister_sv container, cloister_process number,
                   cloister_process *ret, struct cloister_error *err);
/* The same when it is asked for; one that is being taken over is only looked into when its turn has come. */
int cl_attach_check(struct cl_operation *operation, struct cloister_sv container, cloister_process number,
                    struct cloister_error *err);
/* A cl_call_fn for calls that give a stream: it goes to the caller, or is aborted if nobody waits for it any more. */
void cl_attach_done(void *ctx, const struct cloister_error *err, const void *data);

#endif
