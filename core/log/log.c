/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log writes one line per fact that an operator may want, and never lets the writing hold anything up. A line is made
 * in a buffer on the caller's stack, escaped while it is copied, and offered to the sink once: a full pipe or a stopped
 * terminal costs the line, not the loop. The sink's descriptor is usually shared with other processes (a shell, a
 * service manager), so its flags are left alone and each write asks for itself not to wait.
 */
#include "core/log/log.h"

#include "core/error/error.h"
#include "core/util/sv.h"
#include "core/util/time.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
    [CL_LOG_ERROR] = "error", [CL_LOG_WARN] = "warn", [CL_LOG_INFO] = "info", [CL_LOG_DEBUG] = "debug"};

static atomic_int log_level = CL_LOG_INFO;
static atomic_bool log_timestamps;
static atomic_int log_fd = STDERR_FILENO;
static atomic_uint_fast64_t log_lost;
static uint64_t log_lost_told; /* under the lock */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

struct line {
    char text[CL_LOG_LINE_MAX];
    size_t size;
};

bool cl_log_enabled(enum cl_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void cl_log_set_level(enum cl_log_level level)
{
    atomic_store(&log_level, (int)level);
}

void cl_log_set_timestamps(bool on)
{
    atomic_store(&log_timestamps, on);
}

void cl_log_set_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

uint64_t cl_log_dropped(void)
{
    return atomic_load(&log_lost);
}

int cl_log_level_parse(const char *name, enum cl_log_level *ret_level)
{
    for (int level = CL_LOG_ERROR; level <= CL_LOG_DEBUG; level++) {
        if (strcmp(name, level_names[level]) == 0) {
            *ret_level = (enum cl_log_level)level;
            return 0;
        }
    }
    return -EINVAL;
}

const char *cl_log_level_name(enum cl_log_level level)
{
    return level >= CL_LOG_ERROR && level <= CL_LOG_DEBUG ? level_names[level] : "unknown";
}

/* Appends one escaped piece; false when the line is full. Four bytes stay free for "...\n". */
static bool put(struct line *line, const char *data, size_t size)
{
    if (size > sizeof(line->text) - 4 - line->size)
        return false;
    memcpy(line->text + line->size, data, size);
    line->size += size;
    return true;
}

static void put_escaped(struct line *line, const char *text)
{
    struct cloister_sv rest = cl_sv_cstr(text);
    while (rest.size > 0) {
        char escaped[8];
        unsigned length = cl_sv_utf8_next(rest);
        unsigned char byte = (unsigned char)rest.data[0];
        /* C1 controls are two bytes in UTF-8, c2 80 to c2 9f; terminals obey them. */
        bool control =
            byte < 0x20 || byte == 0x7f || (length == 2 && byte == 0xc2 && (unsigned char)rest.data[1] < 0xa0);
        bool fits;
        if (length == 0 || control) {
            length = 1;
            (void)snprintf(escaped, sizeof(escaped), "\\x%02x", byte);
            fits = put(line, escaped, 4);
        } else {
            fits = put(line, rest.data, length);
        }
        if (!fits) {
            memcpy(line->text + line->size, "...", 3);
            line->size += 3;
            return;
        }
        rest.data += length;
        rest.size -= length;
    }
}

static void start_line(struct line *line, enum cl_log_level level, const char *area)
{
    char head[128];
    line->size = 0;
    if (atomic_load_explicit(&log_timestamps, memory_order_relaxed)) {
        uint64_t now = cl_real_ns();
        time_t seconds = (time_t)(now / CL_NS_PER_S);
        struct tm utc;
        if (gmtime_r(&seconds, &utc)) {
            size_t size = strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &utc);
            (void)snprintf(head + size, sizeof(head) - size, ".%03uZ ", (unsigned)(now % CL_NS_PER_S / CL_NS_PER_MS));
            put_escaped(line, head);
        }
    }
    (void)snprintf(head, sizeof(head), "%s %s: ", cl_log_level_name(level), area);
    put_escaped(line, head);
}

/* All pieces or nothing, without waiting: together they are at most PIPE_BUF bytes, which a pipe does not split. */
static bool offer(int fd, const struct iovec *pieces, int count)
{
    if (pwritev2(fd, pieces, count, -1, RWF_NOWAIT) >= 0)
        return true;
    if (errno == EAGAIN) {
        /* A regular file answers this for pages that are not at hand: writing there does not wait for a reader. */
        struct stat st;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
            return false;
    } else if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
        return false;
    }
    /* Terminals and some files do not know RWF_NOWAIT; ready means room for at least one line there. */
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return false;
    return writev(fd, pieces, count) >= 0;
}

static void make_notice(struct line *notice, uint64_t lost)
{
    char text[64];
    start_line(notice, CL_LOG_WARN, "log");
    (void)snprintf(text, sizeof(text), "%llu lines were lost, the sink was full", (unsigned long long)lost);
    put_escaped(notice, text);
    notice->text[notice->size++] = '\n';
}

/* The notice goes out with a line or not at all: alone it would fill the room that the lines are waiting for. */
static void write_line(struct line *line)
{
    int fd = atomic_load(&log_fd);
    line->text[line->size++] = '\n';
    (void)pthread_mutex_lock(&log_lock);
    uint64_t lost = atomic_load(&log_lost);
    bool tell = lost != log_lost_told;
    struct line notice = {.size = 0};
    if (tell)
        make_notice(&notice, lost - log_lost_told);
    const struct iovec pieces[2] = {{notice.text, notice.size}, {line->text, line->size}};
    if (offer(fd, tell ? pieces : pieces + 1, tell ? 2 : 1))
        log_lost_told = lost;
    else
        atomic_store(&log_lost, lost + 1);
    (void)pthread_mutex_unlock(&log_lock);
}

void cl_logv(enum cl_log_level level, const char *area, const char *format, va_list args)
{
    struct line line;
    char text[CL_LOG_LINE_MAX];
    if (!cl_log_enabled(level))
        return;
    int saved = errno;
    (void)vsnprintf(text, sizeof(text), format, args);
    start_line(&line, level, area);
    put_escaped(&line, text);
    write_line(&line);
    errno = saved;
}

void cl_log(enum cl_log_level level, const char *area, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cl_logv(level, area, format, args);
    va_end(args);
}

void cl_log_error(enum cl_log_level level, const char *area, const struct cloister_error *err, const char *context, ...)
{
    char text[CL_ERROR_SENTENCE_MAX];
    char sentence[2 * CL_ERROR_SENTENCE_MAX];
    if (!cl_log_enabled(level))
        return;
    va_list args;
    va_start(args, context);
    (void)vsnprintf(text, sizeof(text), context, args);
    va_end(args);
    (void)cl_error_sentence(err, sentence, sizeof(sentence));
    cl_log(level, area, "%s: %s", text, sentence);
}
