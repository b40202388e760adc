/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error/error.h"
#include "core/util/sv.h"

/* ---- log ---- */

static void log_line(const struct cloister_host *host, uint32_t level, const char *format, ...)
{
    (void)host;
    (void)level;
    (void)format;
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

static const struct cloister_log_api logs = {CLOISTER_INIT(struct cloister_log_api),
                                             .log = log_line,
                                             .error_set = error_set,
                                             .error_wrap = error_wrap,
                                             .error_sentence = error_sentence,
                                             .error_code_name = cl_error_code_name};

/* ---- loop: everything that is to happen later, in order ---- */

struct cloister_timer {
    cloister_fn fn, closed;
    void *ctx, *closed_ctx;
    uint64_t deadline; /* 0 = stopped */
    struct cloister_timer *next;
};

struct post {
    cloister_fn fn;
    void *ctx;
};

uint64_t fake_now = 1000000000;
static struct cloister_timer *timers;
static struct post posts[64];
static unsigned post_first, post_count;

static int32_t timer_open(const struct cloister_host *host, cloister_fn fn, void *ctx, cloister_timer **ret)
{
    struct cloister_timer *timer = calloc(1, sizeof(*timer));
    (void)host;
    if (!timer)
        return -ENOMEM;
    timer->fn = fn;
    timer->ctx = ctx;
    timer->next = timers;
    timers = *ret = timer;
    return 0;
}

static int32_t timer_set(cloister_timer *timer, uint64_t deadline, uint64_t repeat)
{
    (void)repeat;
    timer->deadline = deadline;
    return 0;
}

static int32_t timer_stop(cloister_timer *timer)
{
    timer->deadline = 0;
    return 0;
}

static void timer_close(cloister_timer *timer, cloister_fn closed, void *ctx)
{
    timer->deadline = 0;
    timer->closed = closed;
    timer->closed_ctx = ctx;
}

static int32_t loop_post(const struct cloister_host *host, cloister_fn fn, void *ctx)
{
    (void)host;
    if (post_count == sizeof(posts) / sizeof(posts[0]))
        return -ENOMEM;
    posts[(post_first + post_count++) % (sizeof(posts) / sizeof(posts[0]))] = (struct post){fn, ctx};
    return 0;
}

static bool turn_timers(void)
{
    bool done = false;
    for (struct cloister_timer **link = &timers, *timer; (timer = *link);) {
        if (timer->closed) {
            *link = timer->next;
            timer->closed(timer->closed_ctx);
            free(timer);
            return true;
        }
        link = &timer->next;
        if (timer->deadline && timer->deadline <= fake_now) {
            timer->deadline = 0;
            timer->fn(timer->ctx);
            done = true;
        }
    }
    return done;
}

void fake_turn(void)
{
    bool busy = true;
    while (busy) {
        busy = turn_timers();
        while (post_count > 0) {
            struct post post = posts[post_first];
            post_first = (post_first + 1) % (sizeof(posts) / sizeof(posts[0]));
            post_count--;
            post.fn(post.ctx);
            busy = true;
        }
    }
}

static const struct cloister_loop_api loops = {CLOISTER_INIT(struct cloister_loop_api),
                                               .timer_open = timer_open,
                                               .timer_set = timer_set,
                                               .timer_stop = timer_stop,
                                               .timer_close = timer_close,
                                               .post = loop_post};

/* ---- streams ---- */

cloister_stream *fake_stream_new(void)
{
    cloister_stream *stream = calloc(1, sizeof(*stream));
    if (stream)
        stream->output = calloc(1, FAKE_OUTPUT_MAX);
    return stream;
}

void fake_stream_free(cloister_stream *stream)
{
    free(stream->output);
    free(stream);
}

const char *fake_stream_read(cloister_stream *stream)
{
    static char copy[FAKE_OUTPUT_MAX];
    memcpy(copy, stream->output, stream->written + 1);
    memset(stream->output, 0, stream->written);
    stream->written = 0;
    return copy;
}

static int32_t read_start(cloister_stream *stream, const struct cloister_stream_reader *reader, void *ctx)
{
    stream->reader = *reader;
    stream->ctx = ctx;
    stream->reading = true;
    return 0;
}

static int32_t read_stop(cloister_stream *stream)
{
    stream->reading = false;
    return 0;
}

static int32_t stream_write(cloister_stream *stream, struct cloister_sv bytes)
{
    if (stream->written + bytes.size >= FAKE_OUTPUT_MAX)
        return -ENOMEM;
    memcpy(stream->output + stream->written, bytes.data, bytes.size);
    stream->written += bytes.size;
    stream->total += bytes.size;
    if (!stream->stuck)
        stream->taken = stream->total;
    return 0;
}

static uint64_t stream_queued(const cloister_stream *stream)
{
    return stream->total - stream->taken;
}

static uint64_t stream_sent(const cloister_stream *stream)
{
    return stream->taken;
}

void fake_stream_take(cloister_stream *stream)
{
    stream->taken = stream->total;
    stream->stuck = false;
    if (stream->reader.drained)
        stream->reader.drained(stream->ctx);
}

static const struct cloister_stream_api streams = {CLOISTER_INIT(struct cloister_stream_api),
                                                   .read_start = read_start,
                                                   .read_stop = read_stop,
                                                   .write = stream_write,
                                                   .queued = stream_queued,
                                                   .sent = stream_sent};

/* ---- system ---- */

static uint64_t now_mono(void)
{
    return fake_now;
}

/* Since 1970, as the tests know it. */
static uint64_t now_real(void)
{
    return 1700000000000000000u + fake_now;
}

static struct cloister_sv version(const struct cloister_host *host)
{
    (void)host;
    return CLOISTER_SV("0.1.0");
}

static struct cloister_sv instance(const struct cloister_host *host)
{
    (void)host;
    return CLOISTER_SV("test");
}

static int32_t plugins_json(const struct cloister_host *host, struct cloister_sv *ret)
{
    (void)host;
    *ret = CLOISTER_SV("[{\"name\":\"p\"}]");
    return 0;
}

static int32_t health_json(const struct cloister_host *host, struct cloister_sv *ret)
{
    (void)host;
    *ret = CLOISTER_SV("{\"status\":\"ok\"}");
    return 0;
}

static const struct cloister_system_api systems = {CLOISTER_INIT(struct cloister_system_api),
                                                   .now_mono = now_mono,
                                                   .now_boot = now_mono,
                                                   .now_real = now_real,
                                                   .version = version,
                                                   .instance = instance,
                                                   .plugins_json = plugins_json,
                                                   .health_json = health_json};

void fake_host_init(struct cloister_host *host)
{
    *host = (struct cloister_host){CLOISTER_INIT(struct cloister_host),
                                   .abi_major = CLOISTER_ABI_MAJOR,
                                   .abi_minor = CLOISTER_ABI_MINOR,
                                   .log = &logs,
                                   .value = &cl_value_table,
                                   .loop = &loops,
                                   .stream = &streams,
                                   .system = &systems};
}
