/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - duplex byte channels with half-close, back-pressure and a verdict at each end. Reached through
 * cloister_host.stream. Members since 0.1, but where 0.2 is named. Since 0.2: take_fd, linger, pair, gate, make, relay
 * and what belongs to them. Source: sdk.md section 2 (streams).
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

struct cloister_stream_info {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t position; /* of the next byte to be read; of a process's output: its number (sdk.md: output is numbered) */
    uint64_t lost;     /* bytes before it that this reader has not been given */
};

/* What came of moving bytes from a made stream into a descriptor. */
enum cloister_moved {
    CLOISTER_MOVED_SOME = 0,
    CLOISTER_MOVED_EMPTY = 1,    /* nothing to read at present: ready(READ) follows */
    CLOISTER_MOVED_FULL = 2,     /* the descriptor takes nothing at present */
    CLOISTER_MOVED_EOF = 3,      /* the source has ended cleanly */
    CLOISTER_MOVED_ABORTED = 4,  /* the source has failed: errno */
    CLOISTER_MOVED_SINK_GONE = 5 /* the descriptor's peer has gone: errno */
};

#define CLOISTER_READY_READ 1u
#define CLOISTER_READY_WRITE 2u

/* A stream of a plugin's own making (`make`). No call blocks; none is made after close. A NULL slot: that side does not
 * exist (reading ends at once with EOF, writing fails with EPIPE). */
struct cloister_stream_vtable {
    uint32_t struct_size;
    uint32_t reserved;
    /* Bytes put into buffer, 0 = EOF, -EAGAIN (ready(READ) follows), any other negative errno = ABORTED. */
    int64_t (*read)(void *ctx, void *buffer, uint64_t size);
    /* Moves up to size bytes into fd without copying them through a buffer (sendfile, splice). enum cloister_moved.
     * NULL: the host reads and writes instead. */
    uint32_t (*move)(void *ctx, int32_t fd, uint64_t size, uint64_t *ret_moved, int32_t *ret_errno);
    /* Bytes taken (may be fewer), -EAGAIN (ready(WRITE) follows), any other negative errno = the sink has gone. An
     * empty view asks only that. */
    int64_t (*write)(void *ctx, struct cloister_sv bytes);
    int32_t (*shut)(void *ctx, uint32_t sides);
    void (*info)(const void *ctx, struct cloister_stream_info *ret);
    void (*close)(void *ctx, uint32_t aborted); /* the last call: ctx is the plugin's to free */
};

struct cloister_pair_args {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t capacity; /* bytes under way in each direction; 0 = 64 KiB */
};

#define CLOISTER_RELAY_WATCH_DST                                                                                   \
    (1u << 0)                         /* a sink that has gone is noticed while the source is silent (full and half \
                                       * close look alike on TCP: for sinks that never half-close) */
#define CLOISTER_RELAY_HOLD (1u << 1) /* the source's EOF leaves the sink's write side open; else it is shut */

enum cloister_relay_end {
    CLOISTER_RELAY_EOF = 1,
    CLOISTER_RELAY_SRC_ABORTED = 2,
    CLOISTER_RELAY_DST_GONE = 3,
    CLOISTER_RELAY_CANCELLED = 4
};

struct cloister_relay_result {
    uint32_t struct_size;
    uint32_t end; /* enum cloister_relay_end */
    int32_t os_errno;
    uint32_t reserved;
    uint64_t bytes; /* that the sink's kernel has taken, or a made sink */
};

typedef void (*cloister_relay_fn)(void *ctx, cloister_op op, const struct cloister_relay_result *result);

/* Both streams are the relay's until done, which is called once, never inside relay or relay_cancel; then they are the
 * caller's again, neither closed. Bytes read and not written are put back (unread). */
struct cloister_relay_args {
    uint32_t struct_size;
    uint32_t flags; /* CLOISTER_RELAY_* */
    cloister_stream *src;
    cloister_stream *dst;
    cloister_relay_fn done;
    void *ctx;
    uint64_t limit; /* bytes after which it ends as at EOF; 0 = none */
};

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
    /* Ends the stream and gives its descriptor to the caller, what was unread or queued must be empty: -EBUSY; a made
     * one has none: -EOPNOTSUPP. */
    int32_t (*take_fd)(cloister_stream *stream, int32_t *ret_fd);
    /* As finish, but reads (discarding) until the peer ends, however long that takes. */
    void (*linger)(cloister_stream *stream, cloister_fn closed, void *ctx);
    /* Two connected ends in memory. */
    int32_t (*pair)(const struct cloister_host *host, const struct cloister_pair_args *args, cloister_stream **ret_a,
                    cloister_stream **ret_b);
    /* A stream that reads like source (taken: closed with it), except that the source's EOF is withheld until
     * gate_end. */
    int32_t (*gate)(cloister_stream *source, cloister_stream **ret);
    int32_t (*make)(const struct cloister_host *host, const struct cloister_stream_vtable *vtable, void *ctx,
                    cloister_stream **ret);
    int32_t (*relay)(const struct cloister_host *host, const struct cloister_relay_args *args, cloister_op *ret);
    void (*relay_cancel)(const struct cloister_host *host,
                         cloister_op op); /* done(CANCELLED) follows; unknown: nothing */
    /* The maker of a stream tells that a call that said -EAGAIN is worth repeating: CLOISTER_READY_*. [loop], never
     * calls back inside. */
    void (*ready)(cloister_stream *stream, uint32_t what);
    /* How a gate ends once its source has: CLOISTER_EOF lets the EOF through, CLOISTER_ABORTED makes it an abort. May
     * come before the source's end. */
    void (*gate_end)(cloister_stream *gate, uint32_t verdict, int32_t os_errno);
    int32_t (*info)(const cloister_stream *stream, struct cloister_stream_info *ret); /* -EOPNOTSUPP: not numbered */
};

#ifdef __cplusplus
}
#endif
#endif
