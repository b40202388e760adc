/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.h - reading OCI JSON: one reader object that knows the host's tables and where errors go, and the walker that
 * refuses what the backend does not do. Every error names the JSON path ("linux.resources.blockIO"). [any] on distinct
 * readers.
 */
#ifndef NS_OCI_H
#define NS_OCI_H

#include <cloister/host.h>

#include "text.h"

#define NS_PATH_MAX 192u /* of a JSON path, cut beyond it */

struct ns_reader {
    const struct cloister_log_api *log;
    const struct cloister_value_api *value;
    struct cloister_error *err; /* may be NULL */
};

/*
 * Always -1: `return ns_refuse(...)`. code is UNSUPPORTED, INVALID, ...; the format tells what is wrong with the path
 * ("is required" makes "'process.args' is required").
 */
int ns_refuse(const struct ns_reader *r, uint32_t code, const char *path, const char *format, ...)
    CLOISTER_PRINTF(4, 5);

/* The same where the format is a sentence of its own: "mounts[0]: file system 'x' is not supported". */
int ns_refuse_at(const struct ns_reader *r, uint32_t code, const char *path, const char *format, ...)
    CLOISTER_PRINTF(4, 5);

/* Short of memory: always -1. */
int ns_no_memory(const struct ns_reader *r);

cloister_value *ns_get(const struct ns_reader *r, const cloister_value *object, const char *key);

/* For members whose type the walker has checked: the fallback if absent. */
struct cloister_sv ns_get_string(const struct ns_reader *r, const cloister_value *object, const char *key);
bool ns_get_bool(const struct ns_reader *r, const cloister_value *object, const char *key, bool fallback);

/* 0 absent (*ret untouched), 1 present and in range; -1 refused with the path (`base.key`). */
int ns_get_u64(const struct ns_reader *r, const cloister_value *object, const char *key, const char *base, uint64_t max,
               uint64_t *ret);
int ns_get_i64(const struct ns_reader *r, const cloister_value *object, const char *key, const char *base, int64_t min,
               int64_t max, int64_t *ret);

/*
 * Checks a whole document against what this backend does: an unknown key, or a known one whose value asks for something
 * that is not done, is UNSUPPORTED; a wrong type or a missing required key is INVALID. After 0 the compilers below may
 * rely on types.
 */
int ns_check_spec(const struct ns_reader *r, const cloister_value *spec);
int ns_check_process(const struct ns_reader *r, const cloister_value *process);
/* A capabilities object that stands elsewhere than in a process. */
int ns_check_capabilities(const struct ns_reader *r, const cloister_value *capabilities, const char *base);
/* linux.resources that stands alone. */
int ns_check_resources(const struct ns_reader *r, const cloister_value *resources, const char *base);

/* Parses one document; the error is wrapped with `what`. 0 or -1. */
int ns_parse(const struct ns_reader *r, struct cloister_sv text, const char *what, cloister_value **ret);

/* An absolute path inside the container: starts with '/', no ".." component, no control byte, shorter than 4,096. 0 or
 * -1. */
int ns_check_inner_path(const struct ns_reader *r, struct cloister_sv text, const char *path);

#endif
