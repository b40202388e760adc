/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - lines for operators: `<level> <area>: <sentence>`.
 *
 * One sink for the process, stderr unless told otherwise. Logging never blocks the caller: what the sink can not take
 * at once is dropped and counted, and the next line that gets through is preceded by one that tells the count. Control
 * characters and malformed UTF-8 are escaped, so that no client can forge a line by its choice of a name. Lines are at
 * most 4000 bytes, so that a pipe takes one and such a count in one piece; longer ones are cut with "...". All
 * functions are [any] thread.
 *
 * Secrets are the caller's business: an environment, a token or a process spec is never an argument of cl_log.
 */
#ifndef CL_LOG_LOG_H
#define CL_LOG_LOG_H

#include <cloister/log.h>
#include <stdarg.h>
#include <stdbool.h>

/* The SDK's numbers, so that a plugin's level passes through. */
enum cl_log_level {
    CL_LOG_ERROR = CLOISTER_ERROR,
    CL_LOG_WARN = CLOISTER_WARNING,
    CL_LOG_INFO = CLOISTER_INFO,
    CL_LOG_DEBUG = CLOISTER_DEBUG,
};

#define CL_LOG_LINE_MAX 4000u

void cl_log(enum cl_log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));
void cl_logv(enum cl_log_level level, const char *area, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
/* Where an error stops: "<level> <area>: <context>: <the error's sentence>". */
void cl_log_error(enum cl_log_level level, const char *area, const struct cloister_error *err, const char *context, ...)
    __attribute__((format(printf, 4, 5)));

/* True when a line of that level would be written; spares the making of costly arguments. */
bool cl_log_enabled(enum cl_log_level level);
/* Lines above this level are not written. Default CL_LOG_INFO. */
void cl_log_set_level(enum cl_log_level level);
/* "error", "warn", "info", "debug": 0 or -EINVAL. */
int cl_log_level_parse(const char *name, enum cl_log_level *ret_level);
const char *cl_log_level_name(enum cl_log_level level);
/* Prepends `2025-01-31T12:00:00.000Z `. Default off: a service manager stamps lines itself. */
void cl_log_set_timestamps(bool on);
/* Lines go to fd (borrowed; the default is 2). Its flags are not touched: other processes may share it. */
void cl_log_set_fd(int fd);
/* Lines lost since the start, the ones already told included. */
uint64_t cl_log_dropped(void);

#endif
