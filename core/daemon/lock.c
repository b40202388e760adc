/* SPDX-License-Identifier: Apache-2.0 */
#include "core/daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/fd.h"
#include "core/util/sv.h"
#include "core/util/time.h"

#define WAIT_MAX_S 1000000u

int cl_wait_parse(const char *text, uint64_t *ret_ns)
{
    uint64_t seconds = 0;
    if (text && (cl_sv_u64(cl_sv_cstr(text), &seconds) < 0 || seconds > WAIT_MAX_S))
        return -EINVAL;
    *ret_ns = text ? seconds * CL_NS_PER_S : CL_WAIT_FOR_EVER;
    return 0;
}

static int refuse(struct cloister_error *err, int os_errno, const char *step, const char *path)
{
    return cl_error_set(err, CLOISTER_IO, os_errno, path, "lock", "%s in '%s'", step, path);
}

/* The pid that the holder wrote behind the lock; it may not have come to that yet. */
static int busy(int fd, const char *path, struct cloister_error *err)
{
    char text[32] = "";
    if (pread(fd, text, sizeof(text) - 1, 0) < 0)
        text[0] = 0;
    text[strspn(text, "0123456789")] = 0;
    return cl_error_set(err, CLOISTER_BUSY, 0, text, "lock", "run directory '%s' is in use by the daemon with pid %s",
                        path, text[0] ? text : "(unknown)");
}

static int try(int fd, const char *path, struct cloister_error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? busy(fd, path, err) : refuse(err, errno, "take lock", path);
}

/* The signals are blocked meanwhile, so that none can come between a try and the pause after it. */
static int wait_for(int fd, const char *path, uint64_t deadline, struct cloister_error *err)
{
    static const struct timespec pause = {.tv_nsec = (long)CL_WAIT_PAUSE_NS}, no_pause = {0};
    uint64_t begin = cl_mono_ns();
    sigset_t ends, before;
    int r, signo = 0;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    if (sigprocmask(SIG_BLOCK, &ends, &before) < 0)
        return refuse(err, errno, "wait for lock", path);
    while ((r = try(fd, path, err)) == -EBUSY && cl_mono_ns() < deadline && signo <= 0)
        signo = sigtimedwait(&ends, NULL, &pause);
    if (signo <= 0)
        signo = sigtimedwait(&ends, NULL, &no_pause); /* after the last pause */
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (signo > 0) {
        cl_log(CL_LOG_INFO, "daemon", "signal %d: no longer waiting for run directory '%s'", signo, path);
        return -ECANCELED;
    }
    if (r == 0)
        cl_log(CL_LOG_INFO, "daemon", "run directory '%s' is free after %llu ms: starting", path,
               (unsigned long long)((cl_mono_ns() - begin) / CL_NS_PER_MS));
    return r;
}

int cl_lock_take(int dir_fd, const char *path, uint64_t deadline, int *ret_fd, struct cloister_error *err)
{
    CL_CLOSE int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct cloister_error holder = CLOISTER_ERROR_INIT;
    char text[32];
    if (fd < 0)
        return refuse(err, errno, "open lock", path);
    int r = try(fd, path, &holder);
    if (r == -EBUSY && deadline != CL_WAIT_NOT) {
        cl_log_error(CL_LOG_INFO, "daemon", &holder, "waiting");
        r = wait_for(fd, path, deadline, &holder);
    }
    if (r < 0) {
        if (r != -ECANCELED)
            cl_error_copy(err, &holder);
        return r;
    }
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)size, 0) != size)
        return refuse(err, errno, "write lock", path);
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}
