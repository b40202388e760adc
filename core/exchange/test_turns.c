/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/test_turns.h"

#include <errno.h>
#include <stdio.h>

#include "core/net/stream.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"

char story[2048];

void tell(const char *format, ...)
{
    va_list args;
    size_t used = strlen(story);
    va_start(args, format);
    (void)vsnprintf(story + used, sizeof(story) - used, format, args);
    va_end(args);
}

/* ---- fakes: loop, streams, listener ---- */

static struct cloister_timer *timers[4];
static struct cloister_stream *dying[8];
static cloister_fn listener_closed;
static void *listener_closed_ctx;

int cl_timer_open(struct cl_loop *loop, cloister_fn fn, void *ctx, cloister_timer **ret)
{
    cloister_timer *timer = cl_new(struct cloister_timer);
    (void)loop;
    for (size_t i = 0; i < CL_COUNT(timers); i++) {
        if (timers[i])
            continue;
        *timer = (struct cloister_timer){.fn = fn, .ctx = ctx};
        *ret = timers[i] = timer;
        return 0;
    }
    free(timer);
    return -EMFILE;
}

/* Only "at once" is a turn of ours; real deadlines are fired by the tests. */
int cl_timer_set(cloister_timer *timer, uint64_t deadline, uint64_t repeat)
{
    (void)repeat;
    timer->armed = deadline == 1;
    return 0;
}

int cl_timer_stop(cloister_timer *timer)
{
    timer->armed = false;
    return 0;
}

void cl_timer_close(cloister_timer *timer, cloister_fn closed, void *ctx)
{
    timer->armed = false;
    timer->closed = closed;
    timer->closed_ctx = ctx;
}

int cl_stream_read_start(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx)
{
    stream->reader = *reader;
    stream->reader_ctx = ctx;
    return 0;
}

int cl_stream_read_stop(cloister_stream *stream)
{
    (void)stream;
    return 0;
}

int cl_stream_unread(cloister_stream *stream, struct cloister_sv bytes)
{
    (void)stream;
    tell("unread(%.*s) ", CL_SV_ARG(bytes));
    return 0;
}

static void stream_ends(cloister_stream *stream, const char *how, cloister_fn closed, void *ctx)
{
    size_t i = 0;
    tell("%s ", how);
    stream->closed = closed;
    stream->ctx = ctx;
    while (dying[i])
        i++;
    dying[i] = stream;
}

void cl_stream_finish(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    stream_ends(stream, "finish", closed, ctx);
}

void cl_stream_abort(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    stream_ends(stream, "abort", closed, ctx);
}

int cl_listener_accept(struct cl_listener *self, cl_accept_fn fn, void *ctx)
{
    self->fn = fn;
    self->ctx = ctx;
    return 0;
}

uint64_t cl_listener_refused(const struct cl_listener *self)
{
    return self->refused;
}

void cl_listener_release(struct cl_listener *self, uid_t uid)
{
    (void)uid;
    self->connections--;
}

void cl_listener_close(struct cl_listener *self, cloister_fn closed, void *ctx)
{
    (void)self;
    listener_closed = closed;
    listener_closed_ctx = ctx;
}

void turn(void)
{
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < CL_COUNT(timers); i++) {
            struct cloister_timer *timer = timers[i];
            if (timer && timer->closed) {
                timers[i] = NULL;
                timer->closed(timer->closed_ctx);
                free(timer);
            } else if (timer && timer->armed) {
                timer->armed = false;
                timer->fn(timer->ctx);
            }
        }
        for (size_t i = 0; i < CL_COUNT(dying); i++) {
            struct cloister_stream *stream = dying[i];
            dying[i] = NULL;
            if (stream && stream->closed)
                stream->closed(stream->ctx);
            free(stream);
        }
        if (listener_closed) {
            cloister_fn closed = listener_closed;
            listener_closed = NULL;
            closed(listener_closed_ctx);
        }
    }
}
