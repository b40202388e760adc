/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - the error object of every edge (plugin, wire, CLI).
 *
 * A plain value: no allocation, so an out-of-memory error can be reported too. The caller allocates and initialises it
 * with CLOISTER_ERROR_INIT, the callee fills it through the host's log table (log.h: cloister_error_set,
 * cloister_error_wrap, cloister_error_sentence). A NULL error pointer means that the caller does not want the details.
 *
 * `chain` holds the contexts, outermost first, each NUL-terminated: "start sandbox 'web'\0join cgroup '/x'\0open
 * cgroup.procs\0". The sentence is the contexts joined by ": ", then strerror(os_errno) if that is not 0. Text that
 * does not fit is cut at the inner end and marked with "...". Since 0.1. Source: sdk.md section 1.
 */
#ifndef CLOISTER_ERROR_H
#define CLOISTER_ERROR_H

#include <cloister/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cloister_code {
    CLOISTER_OK = 0,
    CLOISTER_NO_ENTITY = 1,
    CLOISTER_EXISTS = 2,
    CLOISTER_NAME_IN_USE = 3,
    CLOISTER_INVALID_STATE = 4, /* detail = enum cloister_sandbox_state or cloister_container_state */
    CLOISTER_FROZEN = 5,
    CLOISTER_BUSY = 6, /* subject = holder */
    CLOISTER_LIMIT = 7,
    CLOISTER_DEADLINE = 8,
    CLOISTER_CANCELLED = 9,
    CLOISTER_UNSUPPORTED = 10, /* subject = feature or JSON path */
    CLOISTER_DENIED = 11,
    CLOISTER_INVALID = 12, /* subject = where (JSON path, key); line and column if it was a document */
    CLOISTER_NO_EXECUTABLE = 13,
    CLOISTER_NOT_EXECUTABLE = 14,
    CLOISTER_BAD_CWD = 15,
    CLOISTER_EXEC_FAILED = 16,
    CLOISTER_USER_UNKNOWN = 17,
    CLOISTER_GROUP_UNKNOWN = 18,
    CLOISTER_MOUNT_FAILED = 19,
    CLOISTER_CGROUP_FAILED = 20,
    CLOISTER_IMAGE_NOT_FOUND = 21,
    CLOISTER_IMAGE_DENIED = 22,
    CLOISTER_IMAGE_TOO_BIG = 23,
    CLOISTER_NET_POOL = 24,
    CLOISTER_NET_OVERLAP = 25,
    CLOISTER_NET_TAKEN = 26,
    CLOISTER_NOT_TTY = 27,
    CLOISTER_TOO_BIG = 28,
    CLOISTER_NO_SPACE = 29,
    CLOISTER_PARTIAL = 30,    /* subject = what is left over */
    CLOISTER_LOST = 31,       /* gone for good */
    CLOISTER_NO_CONTACT = 32, /* alive, but cannot be reached */
    CLOISTER_PROTOCOL = 33,
    CLOISTER_IO = 34,
    /* persistence */
    CLOISTER_CONFLICT = 35, /* detail = generation found, low 32 bits */
    CLOISTER_FENCED = 36,
    CLOISTER_CORRUPT = 37,
    CLOISTER_VERSION_NEWER = 38,
    CLOISTER_QUOTA = 39,
    CLOISTER_UNAVAILABLE = 40,
    /* ours: a bug or a misbehaving plugin, named in the chain */
    CLOISTER_INTERNAL = 41,
    CLOISTER_CODE_COUNT = 42
};

#define CLOISTER_STEP_MAX 48u
#define CLOISTER_SUBJECT_MAX 192u
#define CLOISTER_CHAIN_MAX 768u

struct cloister_error {
    uint32_t struct_size;
    uint32_t code;       /* enum cloister_code; receivers survive unknown values */
    int32_t os_errno;    /* positive errno, 0 = none */
    uint32_t detail;     /* see the code */
    uint32_t line;       /* of a document, 1-based, 0 = none */
    uint32_t column;     /* 1-based, in bytes */
    uint64_t offset;     /* bytes from the start of the document, with line != 0 */
    uint32_t chain_size; /* bytes used in chain, final NUL included */
    uint32_t reserved;
    char step[CLOISTER_STEP_MAX];       /* a documented word: "exec", "join-cgroup", "mount" */
    char subject[CLOISTER_SUBJECT_MAX]; /* NUL-terminated, cut if longer */
    char chain[CLOISTER_CHAIN_MAX];
};

#define CLOISTER_ERROR_INIT                                                        \
    {                                                                              \
        (uint32_t)sizeof(struct cloister_error), 0, 0, 0, 0, 0, 0, 0, 0, {0}, {0}, \
        {                                                                          \
            0                                                                      \
        }                                                                          \
    }

#ifdef __cplusplus
}
#endif
#endif
