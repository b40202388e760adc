/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - what has been changed of a sandbox's or a container's limits: OCI linux.resources, as texts that the
 * engine keeps and does not read. */
#ifndef CL_CORE_ENGINE_LIMITS_H
#define CL_CORE_ENGINE_LIMITS_H

#include <cloister/error.h>

#define CL_LIMITS_MAX 2048u

struct cl_limits {
    struct cloister_sv in_force; /* as isolation told it; both malloc'd, data NULL = none */
    struct cloister_sv wanted;   /* the intent of an update that has not come to its end */
};

/* 0; TOO_BIG; INVALID: not an object; -ENOMEM. */
int cl_limits_check(struct cloister_sv text, struct cloister_error *err);
/* Replaces one of them by a copy; empty: by none. 0 or -ENOMEM (then nothing has changed). */
int cl_limits_set(struct cloister_sv *limits, struct cloister_sv text);
void cl_limits_free(struct cl_limits *limits);

#endif
