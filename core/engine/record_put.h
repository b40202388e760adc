/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_put.h - what a personality writes down for itself, of one of its sandboxes or of itself: opaque, in the store
 * (record `svc` of the sandbox, global `svc:<service>`) or in the run file.
 */
#ifndef CL_CORE_ENGINE_RECORD_PUT_H
#define CL_CORE_ENGINE_RECORD_PUT_H

#include <cloister/host.h>

#include "core/engine/sandbox.h"

/* Replaces the sandbox's STORE record in memory; data NULL: removes. CL_RECORD_SVC is for the caller to mark. 0 or
 * -ENOMEM (then nothing has changed). */
int cl_sandbox_set_svc(struct cl_sandbox *sandbox, struct cloister_sv data);
/* Reads the STORE record of each service that is not known yet, before anybody asks. done once, never inside. 0, or
 * -ENOMEM and it is not called. What could not be read is an error for who asks, and read again then. */
int cl_record_load(struct cl_engine *engine, cloister_fn done, void *ctx);
/* It was memory that lacked: once more. */
bool cl_record_lacks_memory(const struct cl_engine *engine);
int32_t cl_view_record_get(const struct cloister_host *host, struct cloister_sv sandbox, uint32_t where,
                           struct cloister_sv *ret, struct cloister_error *err);

#endif
