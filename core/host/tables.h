/* SPDX-License-Identifier: Apache-2.0 */
/* tables.h - the tables of core/host, one file each; for the files of this folder only. */
#ifndef CL_CORE_HOST_TABLES_H
#define CL_CORE_HOST_TABLES_H

#include "core/host/host.h"

extern const struct cloister_log_api cl_host_log;
extern const struct cloister_loop_api cl_host_loop;
extern const struct cloister_stream_api cl_host_stream;
extern const struct cloister_system_api cl_host_system;
extern const struct cloister_system_api cl_host_system_isolation; /* the same, and what makes processes and files */

/* helper.c, for the table of isolation plugins. */
int32_t cl_host_helper_spawn(const struct cloister_host *host, const struct cloister_helper_args *args,
                             struct cloister_error *err);
int32_t cl_host_helper_check(const struct cloister_host *host, struct cloister_sv program, struct cloister_error *err);

/* The very link that holds the host, which a log line should name; cl_instance_of gives the outermost of its chain. */
static inline struct cl_instance *cl_host_link(const struct cloister_host *host)
{
    return (struct cl_instance *)(void *)((char *)(uintptr_t)host - offsetof(struct cl_instance, host));
}

static inline struct cl_host *cl_host_of(const struct cloister_host *host)
{
    return cl_host_link(host)->host_room;
}

#endif
