/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - duplex byte channels with half-close, back-pressure and a verdict at each end. Reached through
 * cloister_host.stream. Members since 0.1; slots of later issues are NULL in this table and their wrappers answer
 * -EOPNOTSUPP (the structs they take are written by the issue that fills them). Source: sdk.md section 2 (streams).
 */
#ifndef CLOISTER_STREAM_H
#define CLOISTER_STREAM_H

#include <cloister/abi.h>
#include <cloister/error.h>
#include <cloister/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cloister_verdict {
    CLOISTER_EOF = 1,     /* the peer ended its side cleanly */
    CLOISTER_ABORTED = 2, /* reset, error or truncation: never a clean end */
    CLOISTER_FDS_LOST = 3 /* descriptors were cut off in the kernel (MSG_CTRUNC): those that arrived are closed */
};

#define CLOISTER_SHUT_RD 1u
#define CLOISTER_SHUT_WR 2u

struct cloister_stream_reader {
    uint32_t struct_size;
    uint32_t reserved;
    /* Bytes (borrowed for the call, all must be taken) and descriptors received with them (transferred; close-on-exec).
     */
    void (*data)(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count);
    /* The read side has ended: enum cloister_verdict, errno or 0. Once. */
    void (*end)(void *ctx, uint32_t verdict, int32_t os_errno);
    /* The write side has failed (peer gone): errno. Once; queued bytes are dropped. May be NULL. */
    void (*gone)(void *ctx, int32_t os_errno);
    /* The queue has left for the kernel, after a write that found it non-empty. May be NULL. */
    void (*drained)(void *ctx);
};

struct cloister_relay_args; /* later: its flags, WATCH_DST (tell of a silent sink that has gone) among them */
struct cloister_stream_vtable;
struct cloister_pair_args;

struct cloister_stream_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* Starts or resumes reading. reader is copied; ctx is borrowed until close's closed callback. 0 or negative errno.
     */
    int32_t (*read_start)(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx);
    int32_t (*read_stop)(cloister_stream *stream);
    /* Queues a copy of bytes; leaves in call order. Never calls back inside. Returns 0, -EPIPE after the peer has gone,
     * -ENOMEM. */
    int32_t (*write)(cloister_stream *stream, struct cloister_sv bytes);
    uint64_t (*queued)(const cloister_stream *stream);        /* bytes not yet in the kernel */
    uint64_t (*sent)(const cloister_stream *stream);          /* bytes accepted by the kernel since the beginning */
    int32_t (*shut)(cloister_stream *stream, uint32_t sides); /* WR: after the queue has left */
    /* Writes what is queued, shuts WR, reads to EOF (discarding, bounded to 1 MiB or 1 s), closes: the peer sees FIN,
     * never RST. */
    void (*finish)(cloister_stream *stream, cloister_fn closed, void *ctx);
    void (*abort)(cloister_stream *stream, cloister_fn closed, void *ctx); /* drops the queue, closes now */
    int32_t (*unread)(cloister_stream *stream,
                      struct cloister_sv bytes); /* comes first at the next read; not inside data */
    int32_t (*from_fd)(const struct cloister_host *host, int32_t fd,
                       cloister_stream **ret); /* takes fd, also on failure */
    /* Later issues. */
    int32_t (*take_fd)(cloister_stream *stream, int32_t *ret_fd);
    void (*linger)(cloister_stream *stream, cloister_fn closed, void *ctx);
    int32_t (*pair)(const struct cloister_host *host, const struct cloister_pair_args *args, cloister_stream **ret_a,
                    cloister_stream **ret_b);
    int32_t (*gate)(cloister_stream *source, cloister_stream **ret);
    int32_t (*make)(const struct cloister_host *host, const struct cloister_stream_vtable *vtable, void *ctx,
                    cloister_stream **ret);
    int32_t (*relay)(const struct cloister_host *host, const struct cloister_relay_args *args, cloister_op *ret);
};

#ifdef __cplusplus
}
#endif
#endif
