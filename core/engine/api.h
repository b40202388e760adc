/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - the slots of cloister_engine_api, by the files that fill them. */
#ifndef CL_CORE_ENGINE_API_H
#define CL_CORE_ENGINE_API_H

#include <cloister/host.h>

#define CL_API_OPERATION(name)                                                                             \
    cloister_op cl_api_##name(const struct cloister_host *host, const struct cloister_##name##_args *args, \
                              cloister_done_fn done, void *ctx, struct cloister_error *err)

CL_API_OPERATION(sandbox_create);   /* create.c */
CL_API_OPERATION(sandbox_commit);   /* commit.c */
CL_API_OPERATION(sandbox_destroy);  /* destroy.c */
CL_API_OPERATION(container_start);  /* start.c */
CL_API_OPERATION(container_kill);   /* signal.c */
CL_API_OPERATION(container_stop);   /* stop.c */
CL_API_OPERATION(container_create); /* container_create.c */
CL_API_OPERATION(container_delete); /* container_delete.c */
CL_API_OPERATION(file_put);         /* files.c */
CL_API_OPERATION(read_file);        /* files.c */
CL_API_OPERATION(files_in);         /* files.c */
CL_API_OPERATION(files_out);        /* files.c */
CL_API_OPERATION(exec);             /* exec.c */
CL_API_OPERATION(signal);           /* signal.c */
CL_API_OPERATION(wait);             /* wait.c */
CL_API_OPERATION(release);          /* release.c */
CL_API_OPERATION(attach);           /* attach.c */
CL_API_OPERATION(attach_policy);    /* attach.c */
CL_API_OPERATION(stdin);            /* stdin.c */
CL_API_OPERATION(stdin_close);      /* stdin.c */
CL_API_OPERATION(resize);           /* resize.c */
CL_API_OPERATION(freeze);           /* freeze.c */
CL_API_OPERATION(thaw);             /* freeze.c */
CL_API_OPERATION(update);           /* update.c */
CL_API_OPERATION(stats);            /* stats.c */
CL_API_OPERATION(procs);            /* stats.c */
CL_API_OPERATION(label_put);        /* label.c */
CL_API_OPERATION(record_put);       /* record_put.c */
CL_API_OPERATION(describe);         /* release.c */

void cl_api_recovered_done(const struct cloister_host *host, cloister_op op); /* recovered.c */

#endif
