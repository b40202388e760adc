/* SPDX-License-Identifier: Apache-2.0 */
/* args.h - arguments from across the boundary: checked, bounded, copied into the operation's memory. */
#ifndef CL_CORE_ENGINE_ARGS_H
#define CL_CORE_ENGINE_ARGS_H

#include "core/engine/operation.h"

#define CL_ARGS_SPEC_MAX (512u * 1024u)
#define CL_ARGS_FILE_MAX (1024u * 1024u)

/* Each returns the copy, or NULL and err (INVALID with the place, UNSUPPORTED, TOO_BIG, no memory). Descriptors are
 * noted in the operation. capabilities: of the isolation instance. */
const struct cloister_sandbox_create_args *cl_args_create(struct cl_operation *operation,
                                                          const struct cloister_sandbox_create_args *from,
                                                          uint64_t capabilities, struct cloister_error *err);
const struct cloister_container_start_args *cl_args_start(struct cl_operation *operation,
                                                          const struct cloister_container_start_args *from,
                                                          uint64_t capabilities, struct cloister_error *err);
const struct cloister_exec_args *cl_args_exec(struct cl_operation *operation, const struct cloister_exec_args *from,
                                              uint64_t capabilities, struct cloister_error *err);
/* A copy whose environment begins with `env` (count entries), where the copy has none of the same name. */
const struct cloister_exec_args *cl_args_exec_in(struct cl_operation *operation, const struct cloister_exec_args *exec,
                                                 const struct cloister_sv *env, uint64_t count,
                                                 struct cloister_error *err);
const struct cloister_process_args *cl_args_copy_process(struct cl_operation *operation,
                                                         const struct cloister_process_args *from,
                                                         uint64_t capabilities, struct cloister_error *err);
/* args_container.c. Of a further one and of a sandbox's first alike; what it says of other containers is not looked up
 * yet. */
const struct cloister_container_args *cl_args_container(struct cl_operation *operation,
                                                        const struct cloister_container_args *from,
                                                        uint64_t capabilities, struct cloister_error *err);
/* 0, or negative with err INVALID: longer than max, or no memory behind it. */
int cl_args_text(struct cloister_sv text, const char *where, uint64_t max, struct cloister_error *err);
/* The same, and it becomes a C string somewhere: INVALID too if it holds a NUL. */
int cl_args_word(struct cloister_sv text, const char *where, uint64_t max, struct cloister_error *err);
/* Absolute, and a word. */
int cl_args_path(struct cloister_sv path, const char *where, struct cloister_error *err);
int cl_args_signal(uint32_t number, const char *where, struct cloister_error *err);
/* Of captured output, in bytes. */
int cl_args_window(uint64_t window, struct cloister_error *err);
/* A service's own record: TOO_BIG. */
int cl_args_record(struct cloister_sv data, struct cloister_error *err);
/* Of an argument struct: INVALID if it says anything. */
int cl_args_reserved(uint64_t reserved, struct cloister_error *err);
int cl_args_no_memory(struct cloister_error *err);
struct cloister_sv cl_args_cid(struct cloister_sv cid);
/* 0, or negative with err INVALID. Empty is fine. */
int cl_args_check_cid(struct cloister_sv cid, struct cloister_error *err);
/* args_process.c. Members since 0.3 of a copy, which borrows from the caller until then: checked, and copied as deep as
 * they go. */
int cl_args_process(struct cl_operation *operation, struct cloister_process_args *process, uint64_t capabilities,
                    struct cloister_error *err);
/* OCI linux.resources, or empty. */
int cl_args_resources(struct cl_operation *operation, struct cloister_sv *text, struct cloister_error *err);
int cl_args_cgroup_parent(struct cl_operation *operation, struct cloister_sv *path, struct cloister_error *err);
int cl_args_name(struct cloister_sv name, struct cloister_error *err);

#endif
