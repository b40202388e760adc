/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - log lines, metrics, and the helpers that fill and print error objects.
 * The table is reached through cloister_host.log. Every call is [any]. Members since 0.1. Source: sdk.md sections 1, 2.
 */
#ifndef CLOISTER_LOG_H
#define CLOISTER_LOG_H

#include <cloister/abi.h>
#include <cloister/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cloister_level { CLOISTER_ERROR = 1, CLOISTER_WARNING = 2, CLOISTER_INFO = 3, CLOISTER_DEBUG = 4 };

struct cloister_metric_args; /* counter, gauge, histogram: name, labels, value */

struct cloister_log_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* Writes one line `<level> <instance>: <text>`. Never blocks: what does not fit is dropped and counted. No secrets.
     */
    void (*log)(const struct cloister_host *host, uint32_t level, const char *format, ...) CLOISTER_PRINTF(3, 4);
    /* Fills *err (NULL tolerated) with code, errno (positive or 0), subject and step (NULL = ""), and one context. */
    void (*error_set)(struct cloister_error *err, uint32_t code, int32_t os_errno, const char *subject,
                      const char *step, const char *format, ...) CLOISTER_PRINTF(6, 7);
    /* Prepends a context: "join cgroup '/x'". Code, subject, step and errno stay. NULL tolerated. */
    void (*error_wrap)(struct cloister_error *err, const char *format, ...) CLOISTER_PRINTF(2, 3);
    /* Writes the sentence, cut to size, NUL-terminated; returns its full length. */
    uint64_t (*error_sentence)(const struct cloister_error *err, char *buffer, uint64_t size);
    /* The code's word, "no_entity"; static storage; "unknown" for one it does not know. */
    const char *(*error_code_name)(uint32_t code);
    /* Counts, sets or observes one metric. UNSUPPORTED (NULL slot) until metrics exist. */
    void (*metric)(const struct cloister_host *host, const struct cloister_metric_args *args);
};

#ifdef __cplusplus
}
#endif
#endif
