/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.h - what the files of a stream share; nobody outside core/net includes it.
 *
 * A stream stands on a port: a descriptor (descriptor.c) or a vtable of somebody's making (made.c; pairs and gates are
 * made ones too). Whoever uses a stream either has a reader called back (stream.c), or *holds* a side and pulls or
 * pushes when told that it is worth trying (relays and gates): the same readiness, the same queues, no callbacks of the
 * owner's.
 */
#ifndef CL_CORE_NET_ROOM_H
#define CL_CORE_NET_ROOM_H

#include <stdbool.h>

#include "core/loop/task.h"
#include "core/net/chunks.h"
#include "core/net/raw.h"
#include "core/net/stream.h"

#define CL_STREAM_PIECE (64u << 10) /* one read */
#define CL_STREAM_PIECES_MAX 16

enum cl_stream_state { CL_STREAM_OPEN, CL_STREAM_FINISHING, CL_STREAM_CLOSING };

enum cl_port_kind { CL_PORT_SOCKET, CL_PORT_PIPE, CL_PORT_OTHER, CL_PORT_MADE };

struct cl_port {
    /* Bytes, 0 at the end, negative errno (-EAGAIN). ret_fds NULL: descriptors that come along are dropped. */
    ssize_t (*receive)(cloister_stream *stream, void *buffer, size_t size, struct cl_raw_fds *ret_fds);
    /* Bytes taken or negative errno (-EAGAIN, -EPIPE). */
    ssize_t (*send)(cloister_stream *stream, const struct iovec *iov, int count);
    void (*shut)(cloister_stream *stream, uint32_t sides); /* CLOISTER_SHUT_* */
    /* From now on cl_stream_events is called, from a stack of its own, while one of these holds. */
    void (*want)(cloister_stream *stream, uint32_t events);
    /* Without a watch: which of the wanted ones hold. */
    uint32_t (*holding)(cloister_stream *stream);
    void (*close)(cloister_stream *stream); /* stream->parts counts what closes asynchronously */
    /* The last thing before the stream's memory goes. May be NULL. */
    void (*gone)(cloister_stream *stream);
};

struct cl_hold {
    void (*ready)(void *ctx, uint32_t events); /* NULL: nobody holds this side */
    void *ctx;
    uint32_t wanted;
};

enum cl_side { CL_SIDE_READ, CL_SIDE_WRITE };

struct cl_closer {
    cloister_fn fn;
    void *ctx;
};

struct cloister_stream {
    struct cl_loop *loop;
    const struct cl_port *port;
    enum cl_port_kind kind;
    enum cl_stream_state state;
    int fd;                /* of a descriptor's stream, else -1 */
    bool tells_half_close; /* a socket whose hang-up is not told apart from a half-close (anything but Unix) */
    bool terminal;
    cloister_watch *watch; /* NULL: readiness is what `ready` says */
    uint32_t ready;
    uint32_t wanted;
    struct cloister_stream_vtable made;
    void *made_ctx;

    struct cl_hold hold[2]; /* by enum cl_side */
    struct cloister_stream_reader reader;
    void *ctx;
    bool reading;     /* wanted by the caller */
    bool end_told;    /* no more data is handed out */
    uint32_t verdict; /* enum cloister_verdict: the port has no more */
    int end_errno;
    struct cl_chunks unread;

    struct cl_chunks out;
    uint64_t sent;
    int write_errno; /* the write side has failed */
    bool shut_asked;
    bool shut_done;
    bool owe_gone;
    bool owe_drained;
    struct cl_task task;

    bool lingers;
    bool aborted;
    cloister_timer *timer; /* of finish */
    uint64_t discarded;
    unsigned parts;
    struct cl_closer closers[2]; /* of finish, and of an abort that hastened it */
};

/* stream.c */
cloister_stream *cl_stream_new(struct cl_loop *loop, const struct cl_port *port, enum cl_port_kind kind);
/* Something that was wanted holds. [loop], from a fresh stack. */
void cl_stream_events(cloister_stream *stream, uint32_t events);
/* After everything that may have changed what is waited for. */
void cl_stream_settle(cloister_stream *stream);
/* Sends what is queued, as far as one turn goes. */
void cl_stream_flush(cloister_stream *stream);
void cl_stream_fail_write(cloister_stream *stream, int error);
/* What was put back, then the port. Bytes, 0 = EOF, -EAGAIN, other negative errno = ABORTED; an end stays what it was.
 */
ssize_t cl_stream_pull(cloister_stream *stream, void *buffer, size_t size, struct cl_raw_fds *ret_fds);
/* Past the queue, which must be empty. Bytes or negative errno. */
ssize_t cl_stream_push(cloister_stream *stream, const struct iovec *iov, int count);
/* Notes how the port's input has ended: 0 or negative errno. */
void cl_stream_note_end(cloister_stream *stream, int result);
/* 0, -EBUSY (held already), -EPIPE (it is being closed). */
int cl_stream_hold(cloister_stream *stream, enum cl_side side, void (*ready)(void *ctx, uint32_t events), void *ctx);
void cl_stream_want(cloister_stream *stream, enum cl_side side, uint32_t events);
void cl_stream_release(cloister_stream *stream, enum cl_side side);
static inline bool cl_stream_held(const cloister_stream *stream, enum cl_side side)
{
    return stream->hold[side].ready != NULL;
}

/* stream_end.c */
void cl_stream_finish_step(cloister_stream *stream);
void cl_stream_finish_moved(cloister_stream *stream);
void cl_stream_discard(cloister_stream *stream);
bool cl_stream_discards(const cloister_stream *stream);
void cl_stream_shut_if_due(cloister_stream *stream);
void cl_stream_shut_write(cloister_stream *stream);
/* A cloister_fn: one of `parts` has closed. */
void cl_stream_part_closed(void *ctx);

#endif
