/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runfile.h - what must outlive the daemon but not the boot, and must never reach a store: `<run>/<id>/run` of a
 * sandbox (secret labels, the service's RUN record) and `run-<cid>` of each of its containers (init's process and
 * environment), gone when the sandbox goes off; `<run>/svc-<service>` of a service (its RUN record).
 *
 * 0600, replaced as a whole by a rename, read back when somebody asks and not held in memory. A file of another boot is
 * as good as none. Reading and writing block only as long as the run directory's file system does, a tmpfs.
 */
#ifndef CL_CORE_ENGINE_RUNFILE_H
#define CL_CORE_ENGINE_RUNFILE_H

#include "core/engine/sandbox.h"

struct cl_runfile {
    const char *directory;
    const char *boot_id;
    char name[80];
};

/* Members of the document. */
#define CL_RUN_PROCESS "process"
#define CL_RUN_ENV "env"
#define CL_RUN_LABELS "secret_labels"
#define CL_RUN_RECORD "record"

struct cl_runfile cl_runfile_of_sandbox(const struct cl_sandbox *sandbox);
struct cl_runfile cl_runfile_of_container(const struct cl_container *container);
struct cl_runfile cl_runfile_of_service(const struct cl_service *service);

/* The file of a sandbox that is about to be made, with all it has so far. */
int cl_runfile_create(const struct cl_sandbox *sandbox, struct cloister_error *err);
int cl_runfile_create_container(const struct cl_container *container, const struct cloister_container_args *args,
                                struct cloister_error *err);
/* What a container's init was started with. *ret NULL: it is not known. */
int cl_runfile_read_container(const struct cl_container *container, cloister_value **ret, struct cloister_error *err);
/* Of a sandbox that has gone off. */
void cl_runfile_drop_all(const struct cl_sandbox *sandbox);
/* May what a service keeps of the sandbox be changed now; in_file: and what is in its run file? */
int cl_runfile_check(const struct cl_sandbox *sandbox, bool in_file, struct cloister_error *err);
/* *ret NULL: there is none. Free with cl_value_free. Errors never quote what is in it. */
int cl_runfile_read(const struct cl_runfile *file, cloister_value **ret, struct cloister_error *err);
/* Replaces one member (value is taken in any case; NULL: no memory) and leaves the others as they are. */
int cl_runfile_set(const struct cl_runfile *file, const char *member, cloister_value *value,
                   struct cloister_error *err);
int cl_runfile_remove(const struct cl_runfile *file, const char *member, struct cloister_error *err);
/* There is nothing to remember any more. Failing is logged. */
void cl_runfile_drop(const struct cl_runfile *file);

/* Any bytes as a value, and back: a string, or {"hex": ...} where JSON has no string for them. */
cloister_value *cl_runfile_bytes(struct cloister_sv bytes);
int cl_runfile_take(const cloister_value *value, struct cl_arena *arena, struct cloister_sv *ret);

#endif
