/* SPDX-License-Identifier: Apache-2.0 */
/* zygote.h - the role that forks all others, so that their pages stay shared. */
#ifndef CL_KEEPER_ZYGOTE_H
#define CL_KEEPER_ZYGOTE_H

/* Serves fork requests on descriptor CLOISTER_ZYGOTE_FD until it closes. Returns the exit code of this process,
 * whatever it became. */
int cl_zygote_run(void);

#endif
