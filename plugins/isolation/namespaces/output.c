/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c - a stream over a tape. `move` is one sendfile whose offset argument is the cursor in the shared head: the
 * kernel moves it with the bytes, so that it is exact when this process is killed at any moment.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>

#include "sandbox.h"

struct ns_output {
    struct ns_output *next;
    struct ns_sandbox *sandbox; /* a reference */
    struct ns_tape *tape;       /* so too */
    uint32_t index;             /* of its slot */
    bool waiting;               /* has said EMPTY */
    bool left;                  /* the slot is the next daemon's: not ours to move or to free */
    cloister_stream *stream;
};

static void kick(const struct ns_output *output)
{
    uint64_t one = 1;
    ssize_t n = write(output->sandbox->tapes.to_keeper, &one, sizeof(one));

    (void)n; /* a full counter is a kick too */
}

/* What a look at an empty tape comes to: enum cloister_moved, SOME = look again. */
static uint32_t rest(struct ns_output *output, int32_t *ret_errno)
{
    switch (ns_slot_rest(output->tape->head, output->index)) {
    case NS_SLOT_DATA:
        return CLOISTER_MOVED_SOME;
    case NS_SLOT_EOF:
        return CLOISTER_MOVED_EOF;
    default:
        break;
    }
    if (output->tape->over) {
        *ret_errno = ECONNRESET;
        return CLOISTER_MOVED_ABORTED;
    }
    output->waiting = true;
    return CLOISTER_MOVED_EMPTY;
}

/* Bytes that may be moved, between ns_slot_begin and ns_slot_end; 0 with *ret_what set and the slot ended. */
static uint64_t begin(struct ns_output *output, uint64_t size, uint32_t *ret_what, int32_t *ret_errno)
{
    if (output->left) {
        *ret_errno = ESHUTDOWN;
        *ret_what = CLOISTER_MOVED_ABORTED;
        return 0;
    }
    for (;;) {
        uint64_t there = ns_slot_begin(output->tape->head, output->index);

        if (there > 0)
            return there < size ? there : size;
        if (ns_slot_end(output->tape->head, output->index))
            kick(output);
        *ret_what = rest(output, ret_errno);
        if (*ret_what != CLOISTER_MOVED_SOME)
            return 0;
    }
}

static void end(struct ns_output *output)
{
    if (ns_slot_end(output->tape->head, output->index))
        kick(output);
}

static uint64_t *cursor(const struct ns_output *output)
{
    return &output->tape->head->slot[output->index].cursor;
}

/* The flag is the open file's, which the client that gave us the descriptor may share: without it sendfile would wait.
 */
static void never_wait(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static uint32_t output_move(void *ctx, int32_t fd, uint64_t size, uint64_t *ret_moved, int32_t *ret_errno)
{
    struct ns_output *output = ctx;
    uint32_t what = CLOISTER_MOVED_SOME;
    uint64_t most = begin(output, size, &what, ret_errno);
    ssize_t n;
    int os_errno;

    *ret_moved = 0;
    if (most == 0)
        return what;
    never_wait(fd);
    do
        n = sendfile(fd, output->tape->memfd, (off_t *)cursor(output), most);
    while (n < 0 && errno == EINTR);
    os_errno = errno;
    end(output);
    if (n > 0) {
        *ret_moved = (uint64_t)n;
        return CLOISTER_MOVED_SOME;
    }
    if (n < 0 && os_errno == EAGAIN)
        return CLOISTER_MOVED_FULL;
    *ret_errno = n < 0 ? os_errno : EIO;
    return CLOISTER_MOVED_SINK_GONE;
}

static int64_t output_read(void *ctx, void *buffer, uint64_t size)
{
    struct ns_output *output = ctx;
    uint32_t what = CLOISTER_MOVED_SOME;
    int32_t os_errno = 0;
    uint64_t most = begin(output, size, &what, &os_errno);
    ssize_t n;

    if (most == 0)
        return what == CLOISTER_MOVED_EOF ? 0 : what == CLOISTER_MOVED_EMPTY ? -EAGAIN : -os_errno;
    n = pread(output->tape->memfd, buffer, most, (off_t)*cursor(output));
    os_errno = n < 0 ? errno : EIO;
    if (n > 0)
        __atomic_fetch_add(cursor(output), (uint64_t)n, __ATOMIC_RELEASE);
    end(output);
    return n > 0 ? n : -os_errno;
}

static void output_info(const void *ctx, struct cloister_stream_info *ret)
{
    const struct ns_output *output = ctx;

    ret->position = ns_slot_position(output->tape->head, output->index);
    ret->lost = ns_slot_lost(output->tape->head, output->index);
}

static void unwatched(void *ctx)
{
    ns_sandbox_unref(ctx);
}

void ns_outputs_unwatch(struct ns_sandbox *sandbox)
{
    cloister_watch *watch = sandbox->tapes.watch;

    sandbox->tapes.watch = NULL;
    if (watch)
        sandbox->instance->host->loop->watch_close(watch, unwatched, sandbox); /* with the watch's reference */
}

static void output_close(void *ctx, uint32_t aborted)
{
    struct ns_output *output = ctx;
    struct ns_sandbox *sandbox = output->sandbox;
    struct ns_output **at = &sandbox->tapes.outputs;

    while (*at && *at != output)
        at = &(*at)->next;
    if (*at)
        *at = output->next;
    if (!output->left && ns_slot_free(output->tape->head, output->index))
        kick(output);
    if (sandbox->tapes.outputs == NULL)
        ns_outputs_unwatch(sandbox);
    ns_tape_unref(sandbox, output->tape);
    ns_sandbox_unref(sandbox);
    free(output);
}

static const struct cloister_stream_vtable vtable = {
    CLOISTER_INIT(struct cloister_stream_vtable),
    .read = output_read,
    .move = output_move,
    .info = output_info,
    .close = output_close,
};

void ns_outputs_wake(struct ns_sandbox *sandbox)
{
    const struct cloister_host *host = sandbox->instance->host;

    for (struct ns_output *output = sandbox->tapes.outputs; output; output = output->next) {
        if (!output->waiting || (!output->tape->over && !ns_slot_is_fed(output->tape->head, output->index)))
            continue;
        output->waiting = false;
        host->stream->ready(output->stream, CLOISTER_READY_READ);
    }
}

void ns_tapes_leave(struct ns_sandbox *sandbox)
{
    for (struct ns_output *output = sandbox->tapes.outputs; output; output = output->next)
        output->left = true;
}

static void on_event(void *ctx, int32_t fd, uint32_t events)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) > 0)
        ns_outputs_wake(ctx);
}

static int watch(struct ns_sandbox *sandbox)
{
    const struct cloister_host *host = sandbox->instance->host;
    struct ns_tapes *tapes = &sandbox->tapes;
    int rc = tapes->watch
                 ? 0
                 : host->loop->watch_open(host, tapes->to_daemon, CLOISTER_READABLE, on_event, sandbox, &tapes->watch);

    return rc;
}

int ns_output_open(struct ns_sandbox *sandbox, struct ns_tape *tape, const struct ns_slot_want *want,
                   struct ns_slot_got *ret_got, cloister_stream **ret)
{
    const struct cloister_host *host = sandbox->instance->host;
    struct ns_output *output = calloc(1, sizeof(*output));
    bool watched = sandbox->tapes.watch != NULL;
    int rc = output ? ns_slot_take(tape->head, want, ret_got) : -ENOMEM;

    if (rc < 0) {
        free(output);
        return rc;
    }
    *output = (struct ns_output){.sandbox = ns_sandbox_ref(sandbox), .tape = tape, .index = ret_got->index};
    tape->refs++;
    output->next = sandbox->tapes.outputs;
    sandbox->tapes.outputs = output;
    rc = watch(sandbox);
    if (rc == 0 && !watched)
        ns_sandbox_ref(sandbox); /* the watch's */
    if (rc == 0)
        rc = host->stream->make(host, &vtable, output, &output->stream);
    if (rc < 0) {
        output_close(output, 1);
        return rc;
    }
    *ret = output->stream;
    return 0;
}
