/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - the small languages of the command line: sizes, CPUs, users, signals, environment, mounts. Pure functions.
 */
#ifndef CLOISTERCTL_PARSE_H
#define CLOISTERCTL_PARSE_H

#include "core/value/value.h"
#include <cloister/error.h>

#define CTL_CPU_PERIOD_US 100000u

/* "64m", "1g", "512k", "4096", "4096b": bytes. At least 1. */
int ctl_parse_size(const char *text, uint64_t *ret_bytes, struct cloister_error *err);
/* "0.5" or ".5": microseconds of CPU time per CTL_CPU_PERIOD_US. At least 0.01 CPUs, at most 1024, no more than 5
 * decimals. */
int ctl_parse_cpus(const char *text, uint64_t *ret_quota_us, struct cloister_error *err);
/* A count from 1 to 2^31 - 1. */
int ctl_parse_count(const char *text, uint64_t *ret_count, struct cloister_error *err);
/* "UID" or "UID:GID", decimal numbers from 0 to 2^31 - 1; a missing GID is 0. *ret_named: one of them is a name, which
 * is looked up in the container, and there are no numbers. Signs, blanks and what looks like a number are refused. */
int ctl_parse_user(const char *text, bool *ret_named, uint32_t *ret_uid, uint32_t *ret_gid, struct cloister_error *err);
/* "9", "KILL", "SIGKILL", in any case. 1 to 64. */
int ctl_parse_signal(const char *text, uint32_t *ret_signal, struct cloister_error *err);
/* "TERM" for 15; NULL for one without a name here. */
const char *ctl_signal_name(uint32_t number);
/* "type=bind,src=/host,dst=/inside[,ro]" or "type=tmpfs,dst=/inside[,size=64m][,mode=1777][,ro]" as an OCI mount. */
int ctl_parse_mount(const char *text, cloister_value **ret_mount, struct cloister_error *err);
/* "/host:/inside", "/host:/inside:ro" or ":rw": a bind mount as above. */
int ctl_parse_volume(const char *text, cloister_value **ret_mount, struct cloister_error *err);

#endif
