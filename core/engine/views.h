/* SPDX-License-Identifier: Apache-2.0 */
/* views.h - the synchronous slots of cloister_engine_api. */
#ifndef CL_CORE_ENGINE_VIEWS_H
#define CL_CORE_ENGINE_VIEWS_H

#include <cloister/host.h>

struct cl_sandbox;

/* Borrows from the sandbox. */
struct cloister_sandbox_info cl_view_sandbox(const struct cl_sandbox *sandbox);
int32_t cl_view_info(const struct cloister_host *host, struct cloister_sv id, struct cloister_sandbox_info *ret,
                     struct cloister_error *err);
int32_t cl_view_machine_info(const struct cloister_host *host, struct cloister_machine_info *ret);
int32_t cl_view_find(const struct cloister_host *host, struct cloister_sv name, struct cloister_sv *ret_id,
                     struct cloister_error *err);
int32_t cl_view_iterate(const struct cloister_host *host, cloister_sandbox_fn fn, void *ctx);
int32_t cl_view_containers(const struct cloister_host *host, struct cloister_sv id, cloister_container_fn fn, void *ctx,
                           struct cloister_error *err);
int32_t cl_view_processes(const struct cloister_host *host, struct cloister_sv id, cloister_process_fn fn, void *ctx,
                          struct cloister_error *err);
int32_t cl_view_labels(const struct cloister_host *host, struct cloister_sv id, cloister_label_fn fn, void *ctx,
                       struct cloister_error *err);
int32_t cl_view_label_get(const struct cloister_host *host, struct cloister_sv id, struct cloister_sv key,
                          struct cloister_sv *ret, struct cloister_error *err);
int32_t cl_view_spec_default(const struct cloister_host *host, struct cloister_sv profile, struct cloister_sv *ret,
                             struct cloister_error *err);

#endif
