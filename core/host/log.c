/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host/tables.h"

#include <stdarg.h>

#include "core/error/error.h"
#include "core/log/log.h"

CLOISTER_PRINTF(3, 4)
static void host_log(const struct cloister_host *host, uint32_t level, const char *format, ...)
{
    va_list args;
    /* A level of a newer SDK is shown rather than lost. */
    if (level < CLOISTER_ERROR || level > CLOISTER_DEBUG)
        level = CLOISTER_INFO;
    va_start(args, format);
    cl_logv((enum cl_log_level)level, cl_host_link(host)->label, format, args);
    va_end(args);
}

CLOISTER_PRINTF(6, 7)
static void error_set(struct cloister_error *err, uint32_t code, int32_t os_errno, const char *subject,
                      const char *step, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)cl_error_setv(err, code, os_errno, subject, step, format, args);
    va_end(args);
}

CLOISTER_PRINTF(2, 3)
static void error_wrap(struct cloister_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cl_error_wrapv(err, format, args);
    va_end(args);
}

static uint64_t error_sentence(const struct cloister_error *err, char *buffer, uint64_t size)
{
    return cl_error_sentence(err, buffer, size);
}

const struct cloister_log_api cl_host_log = {
    CLOISTER_INIT(struct cloister_log_api),
    .log = host_log,
    .error_set = error_set,
    .error_wrap = error_wrap,
    .error_sentence = error_sentence,
    .error_code_name = cl_error_code_name,
};
