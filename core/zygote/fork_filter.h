/* SPDX-License-Identifier: Apache-2.0 */
/* After start-up the daemon never forks or execs: a hand-written seccomp filter sees to it. */
#ifndef CL_CORE_ZYGOTE_FORK_FILTER_H
#define CL_CORE_ZYGOTE_FORK_FILTER_H

#include <cloister/error.h>

/* Irrevocable, for this thread and all later ones. Sets no_new_privs if the daemon lacks CAP_SYS_ADMIN. */
int cl_fork_filter_install(struct cloister_error *err);

#endif
