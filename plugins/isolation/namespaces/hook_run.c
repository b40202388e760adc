/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_run.c - see hook_run.h. A hook is a helper program: "/" as directory, its own variables and no others (H1.1.19),
 * its state on 0, nothing to write to on 1. What it says on 2 is kept up to a page, for the operator: a memfd that
 * cannot grow, so that a hook that talks without end costs nothing.
 */
#include "hook_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define WORDS_MOST 4096

struct ns_hook_run {
    struct ns_sandbox *sandbox;     /* a reference */
    struct ns_container *container; /* so too */
    uint32_t when;                  /* what is still to be run */
    const char *status;
    int32_t pid;
    ns_hooks_done_fn done;
    void *ctx;
    uint32_t next; /* index of the next hook to look at */
    const struct ns_hook *hook;
    int pidfd;
    int words; /* the hook's descriptor 2 */
    cloister_timer *timer;
    bool cancelled;
    bool late;
    struct cloister_error err;
};

static const struct cloister_host *host_of(const struct ns_hook_run *run)
{
    return run->sandbox->instance->host;
}

static void close_hook(struct ns_hook_run *run)
{
    if (run->timer)
        host_of(run)->loop->timer_close(run->timer, NULL, NULL);
    run->timer = NULL;
    if (run->pidfd >= 0)
        close(run->pidfd);
    if (run->words >= 0)
        close(run->words);
    run->pidfd = run->words = -1;
}

static void free_run(struct ns_hook_run *run)
{
    close_hook(run);
    ns_container_unref(run->container);
    ns_sandbox_unref(run->sandbox);
    free(run);
}

/* From a helper's callbacks only, never from inside the call that started it. */
static void end_run(struct ns_hook_run *run)
{
    close_hook(run);
    if (run->cancelled && run->err.code == 0)
        host_of(run)->log->error_set(&run->err, CLOISTER_CANCELLED, 0, "", "cancel", "cancelled");
    run->done(run->ctx, &run->err);
    free_run(run);
}

static void fail(struct ns_hook_run *run, uint32_t code, int os_errno, const char *what)
{
    host_of(run)->log->error_set(&run->err, code, os_errno, run->hook->where, "hook", "%s: '%s' %s", run->hook->where,
                                 run->hook->path, what);
}

/* Its process group follows it: its parent sees to that. */
static void kill_hook(const struct ns_hook_run *run)
{
    if (run->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
}

static void too_late(void *ctx)
{
    struct ns_hook_run *run = ctx;

    run->late = true;
    kill_hook(run);
}

static bool run_next(struct ns_hook_run *run);

static void started(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd)
{
    struct ns_hook_run *run = ctx;
    const struct cloister_host *host = host_of(run);

    if (result < 0) {
        fail(run, CLOISTER_EXEC_FAILED, -result, step && *step ? step : "cannot be started");
        end_run(run);
        return;
    }
    run->pidfd = pidfd;
    if (run->cancelled)
        kill_hook(run);
    if (run->hook->timeout_ms == 0)
        return;
    if (host->loop->timer_open(host, too_late, run, &run->timer) < 0) {
        run->timer = NULL;
        too_late(run); /* a hook whose time cannot be kept has none */
        return;
    }
    host->loop->timer_set(run->timer, host->system->now_mono() + run->hook->timeout_ms * NS_MS, 0);
}

/* The first line of what it said, as the end of a sentence. */
static void add_words(const struct ns_hook_run *run, char *text, size_t size)
{
    char line[160];
    ssize_t n = run->words >= 0 ? pread(run->words, line, sizeof(line) - 1, 0) : 0;
    size_t used = strlen(text);

    if (n <= 0)
        return;
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    if (line[0])
        snprintf(text + used, size - used, ": %s", line);
}

static void exited(void *ctx, const struct cloister_status *status)
{
    struct ns_hook_run *run = ctx;
    char what[256] = "";

    if (run->cancelled) {
        end_run(run);
        return;
    }
    if (run->late)
        snprintf(what, sizeof(what), "ran longer than %u ms", run->hook->timeout_ms);
    else if (status->kind == CLOISTER_STATUS_SIGNALED)
        snprintf(what, sizeof(what), "was killed by signal %u", status->value);
    else if (status->kind != CLOISTER_STATUS_EXITED)
        snprintf(what, sizeof(what), "ended unseen");
    else if (status->value != 0)
        snprintf(what, sizeof(what), "exited with %u", status->value);
    if (what[0]) {
        add_words(run, what, sizeof(what));
        fail(run, run->late ? CLOISTER_DEADLINE : CLOISTER_EXEC_FAILED, 0, what);
        end_run(run);
        return;
    }
    close_hook(run);
    if (!run_next(run))
        end_run(run);
}

static int state_fd(const struct ns_hook_run *run)
{
    NS_FREE char *state = ns_hooks_state(run->container->hooks, run->status, run->pid);
    int fd = state ? memfd_create("state", MFD_CLOEXEC) : -1;
    size_t size = state ? strlen(state) : 0;

    if (fd >= 0 && (write(fd, state, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int words_fd(void)
{
    int fd = memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, WORDS_MOST) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int spawn(struct ns_hook_run *run)
{
    const struct ns_hook *hook = run->hook;
    const struct cloister_host *host = host_of(run);
    uint32_t count = hook->arg_count + hook->env_count;
    NS_FREE struct cloister_sv *text = calloc(count, sizeof(*text));
    NS_CLOSE int state = state_fd(run), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int32_t fds[3];
    struct cloister_helper_args args = {CLOISTER_INIT(struct cloister_helper_args),
                                        .flags = CLOISTER_HELPER_PRIVILEGES,
                                        .program = ns_view(hook->path),
                                        .argv = text,
                                        .argv_count = hook->arg_count,
                                        .env_count = hook->env_count,
                                        .fds = fds,
                                        .fd_count = 3,
                                        .started = started,
                                        .exited = exited,
                                        .ctx = run};

    run->words = words_fd();
    if (text == NULL || state < 0 || null < 0 || run->words < 0) {
        fail(run, CLOISTER_LIMIT, errno, "cannot be given its state");
        return -1;
    }
    for (uint32_t i = 0; i < count; i++)
        text[i] = ns_view(hook->text[i]);
    args.env = text + hook->arg_count;
    fds[0] = state;
    fds[1] = null;
    fds[2] = run->words;
    if (host->system->helper_spawn(host, &args, &run->err) == 0)
        return 0;
    host->log->error_wrap(&run->err, "%s", hook->where);
    return -1;
}

/* False: none runs now, because there are no more or with run->err. */
static bool run_next(struct ns_hook_run *run)
{
    const struct ns_hooks *hooks = run->container->hooks;

    while (!run->cancelled && run->when) {
        uint32_t now = run->when & -run->when; /* prestart before createRuntime, each in its own order */

        while (run->next < hooks->count && hooks->item[run->next].when != now)
            run->next++;
        if (run->next < hooks->count) {
            run->hook = &hooks->item[run->next++];
            return spawn(run) == 0;
        }
        run->when &= ~now;
        run->next = 0;
    }
    return false;
}

struct ns_hook_run *ns_hook_run_start(struct ns_sandbox *sandbox, struct ns_container *container, uint32_t when,
                                      const char *status, int32_t pid, ns_hooks_done_fn done, void *ctx,
                                      struct cloister_error *err)
{
    struct ns_reader r = ns_reader(sandbox->instance, err);
    struct ns_hook_run *run;

    if (!ns_hooks_have(container->hooks, when))
        return NULL;
    run = calloc(1, sizeof(*run));
    if (run == NULL) {
        ns_no_memory(&r);
        return NULL;
    }
    *run = (struct ns_hook_run){.sandbox = ns_sandbox_ref(sandbox),
                                .container = ns_container_ref(container),
                                .when = when,
                                .status = status,
                                .pid = pid,
                                .done = done,
                                .ctx = ctx,
                                .pidfd = -1,
                                .words = -1,
                                .err = CLOISTER_ERROR_INIT};
    if (run_next(run))
        return run;
    *err = run->err;
    free_run(run);
    return NULL;
}

void ns_hook_run_cancel(struct ns_hook_run *run)
{
    run->cancelled = true;
    kill_hook(run);
}

int ns_hooks_allowed(const struct ns_instance *instance, const struct ns_hooks *hooks, struct cloister_error *err)
{
    const struct cloister_host *host = instance->host;

    for (uint32_t i = 0; hooks && i < hooks->count; i++) {
        const struct ns_hook *hook = &hooks->item[i];
        char path[NS_PATH_MAX];

        snprintf(path, sizeof(path), "%s.path", hook->where);
        if (!CLOISTER_SLOT(host, system, helper_check)) {
            cloister_error_unsupported(err, path);
            return -1;
        }
        if (host->system->helper_check(host, ns_view(hook->path), err) == 0)
            continue;
        snprintf(err->subject, sizeof(err->subject), "%s", path);
        host->log->error_wrap(err, "%s", path);
        return -1;
    }
    return 0;
}
