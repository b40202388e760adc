/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what operators ask the daemon about itself, as JSON texts; for the files of this folder only. */
#ifndef CL_CORE_HOST_REPORT_H
#define CL_CORE_HOST_REPORT_H

#include "core/host/host.h"

/* Both: 0, or -1 without memory. The text is borrowed until the next call of either. */
int32_t cl_host_plugins(struct cl_host *host, struct cloister_sv *ret);
int32_t cl_host_health(struct cl_host *host, struct cloister_sv *ret);

#endif
