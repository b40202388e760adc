/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi.h - versions, sizes, visibility and the few value types that every other header uses.
 *
 * Rules of the boundary (all headers of this directory):
 *  - Every struct that crosses it starts with `uint32_t struct_size`, set by the side that allocated it; the other side
 * never reads or writes past that size. CLOISTER_INIT sets it. The value types below are embedded in others and never
 * grow.
 *  - Fixed-width integers only. Unknown flag bits and non-zero reserved members are rejected.
 *  - Thread tags: [loop] only on the daemon's loop thread, [any] thread-safe, [worker] on a queue's worker thread. A
 * call without a tag is [loop].
 *  - Pointers are *borrowed for the call* unless the comment says: borrowed until X, transferred, or counted.
 *  - Times and deadlines are monotonic nanoseconds, 0 = none.
 *  - A completion is called exactly once and never from inside the call that started it.
 *
 * Major 0: daemon and plugin must match exactly, major and minor, and say so when they do not.
 * Since 0.1. Source of the rules: the project's CONTRIBUTING.md, "ABI rules".
 */
#ifndef CLOISTER_ABI_H
#define CLOISTER_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_ABI_MAJOR 0u
#define CLOISTER_ABI_MINOR 3u

/* Marks the one function a plugin exports; everything else is built hidden. */
#define CLOISTER_EXPORT __attribute__((visibility("default")))
#define CLOISTER_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))

/* First member of an initialiser: CLOISTER_INIT(struct cloister_exec_args). C only; in C++ assign struct_size. */
#define CLOISTER_INIT(type) .struct_size = (uint32_t)sizeof(type)

/* True when *ptr, as allocated by the other side, is large enough to hold member. */
#define CLOISTER_HAS(ptr, member) \
    ((ptr)->struct_size >= (uint32_t)((const char *)(&(ptr)->member + 1) - (const char *)(ptr)))

/* String view: bytes, not NUL-terminated, may be empty (data may then be NULL). Never grows. */
struct cloister_sv {
    const char *data;
    uint64_t size;
};

/* A view of a string literal. */
#ifdef __cplusplus
#define CLOISTER_SV(literal) (cloister_sv{"" literal, sizeof(literal) - 1u})
#else
#define CLOISTER_SV(literal) ((struct cloister_sv){"" literal, sizeof(literal) - 1u})
#endif

/* Opaque handles. Each belongs to the host. */
typedef struct cloister_conn cloister_conn;         /* one peer on one endpoint */
typedef struct cloister_exchange cloister_exchange; /* one request in flight */
typedef struct cloister_stream cloister_stream;     /* duplex bytes with back-pressure */
typedef struct cloister_value cloister_value;       /* a JSON value */
typedef struct cloister_watch cloister_watch;       /* descriptor readiness */
typedef struct cloister_timer cloister_timer;
typedef struct cloister_queue cloister_queue; /* named worker queue */

/* Numbers of operations, sandboxes and containers are plain integers, so that a stale one is recognised, never
 * followed. */
typedef uint64_t cloister_op;      /* an operation under way; 0 = none; never reused within a daemon's life */
typedef uint64_t cloister_process; /* pseq: epoch << 32 | counter, never reused; 0 = none */

struct cloister_host;
struct cloister_error;

#ifdef __cplusplus
}
#endif
#endif
