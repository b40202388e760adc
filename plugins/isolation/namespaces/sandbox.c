/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c - the table of sandboxes, their keepers' life and last words. */
#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "common/keeper/slip.h"

struct ns_sandbox *ns_sandbox_find(struct ns_instance *instance, struct cloister_sv id)
{
    for (struct ns_sandbox *one = instance->sandboxes; one; one = one->next)
        if (ns_equal(id, one->id))
            return one;
    return NULL;
}

struct ns_sandbox *ns_sandbox_new(struct ns_instance *instance, const struct cloister_iso_sandbox *which)
{
    struct ns_sandbox *sandbox = calloc(1, sizeof(*sandbox));

    if (sandbox == NULL)
        return NULL;
    sandbox->name = ns_dup(which->name);
    if (sandbox->name == NULL) {
        free(sandbox);
        return NULL;
    }
    snprintf(sandbox->id, sizeof(sandbox->id), "%.*s", (int)which->id.size, which->id.data);
    sandbox->instance = instance;
    sandbox->refs = 1;
    sandbox->state = NS_MAKING;
    sandbox->cookie = which->cookie;
    sandbox->pidfd = -1;
    sandbox->conn.fd = -1;
    sandbox->next = instance->sandboxes;
    instance->sandboxes = sandbox;
    return sandbox;
}

struct ns_sandbox *ns_sandbox_ref(struct ns_sandbox *sandbox)
{
    sandbox->refs++;
    return sandbox;
}

void ns_sandbox_unref(struct ns_sandbox *sandbox)
{
    if (--sandbox->refs > 0)
        return;
    ns_filter_unref(sandbox->filter);
    free(sandbox->name);
    free(sandbox->cid);
    free(sandbox->warnings);
    free(sandbox->missing);
    free(sandbox);
}

static void unref_late(void *ctx)
{
    ns_sandbox_unref(ctx);
}

/* The watch's closing holds a reference. */
static void close_pidfd(struct ns_sandbox *sandbox)
{
    if (sandbox->pidfd < 0)
        return;
    sandbox->instance->host->loop->watch_close(sandbox->pid_watch, unref_late, ns_sandbox_ref(sandbox));
    close(ns_steal_fd(&sandbox->pidfd));
}

void ns_sandbox_drop(struct ns_sandbox *sandbox)
{
    struct ns_sandbox **at = &sandbox->instance->sandboxes;

    while (*at && *at != sandbox)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = sandbox->next;
    close_pidfd(sandbox);
    ns_conn_close(&sandbox->conn, ECANCELED);
    ns_sandbox_unref(sandbox);
}

/* CLOCK_BOOTTIME of the keeper's record as CLOCK_MONOTONIC: they differ by the time the machine slept. */
static uint64_t to_mono(const struct ns_instance *instance, uint64_t boot)
{
    uint64_t slept = instance->host->system->now_boot() - instance->host->system->now_mono();

    return boot > slept ? boot - slept : boot;
}

static void tell_exit(struct ns_sandbox *sandbox, const struct cl_wire_record *record)
{
    const struct cloister_host *host = sandbox->instance->host;
    bool signalled = (record->flags & CL_WIRE_RECORD_SIGNAL) != 0;
    struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event), .kind = CLOISTER_EVENT_EXIT,
                                       .sandbox = ns_view(sandbox->id),          .container = ns_view(sandbox->cid),
                                       .incarnation = sandbox->incarnation,      .process = record->pseq};

    event.status.kind = signalled ? CLOISTER_STATUS_SIGNALED : CLOISTER_STATUS_EXITED;
    event.status.value = record->status;
    event.status.flags = (record->flags & CL_WIRE_RECORD_OOM ? CLOISTER_STATUS_OOM : 0u) |
                         (record->flags & CL_WIRE_RECORD_CORE ? CLOISTER_STATUS_CORE : 0u);
    event.status.real_ns = record->exit_real_ns;
    event.status.mono_ns = to_mono(sandbox->instance, record->exit_boot_ns);
    host->iso->event(host, &event);
}

static void ignore_answer(void *ctx, struct cl_packet *answer, int os_errno)
{
}

/* Init is dead: what it left running dies with its pid namespace, or here (H2.1.8). */
static void end_the_rest(struct ns_sandbox *sandbox)
{
    struct cl_wire_signal message;

    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.target = NS_CONTAINER;
    message.scope = CL_WIRE_SCOPE_ALL;
    message.signal = SIGKILL;
    ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, ignore_answer, NULL);
}

void ns_sandbox_cancel(struct ns_sandbox *sandbox, uint64_t serial)
{
    struct cl_wire_cancel message;

    cl_wire_init(&message, CL_WIRE_CANCEL, 0);
    message.target = serial;
    ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, ignore_answer, NULL);
}

static void note_warning(struct ns_sandbox *sandbox, const char *path, const char *text)
{
    NS_FREE char *before = sandbox->warnings;

    sandbox->warnings = ns_format("%s%s%s: %s", before ? before : "", before ? "\n" : "", path, text);
}

void ns_sandbox_warn(struct ns_sandbox *sandbox, const char *path, const char *text)
{
    const struct cloister_host *host = sandbox->instance->host;

    host->iso->warning(host, ns_view(sandbox->id), ns_view(path), text);
    note_warning(sandbox, path, text);
}

/* The JSON path behind a keeper's step. */
static const char *path_of(const char *step)
{
    static const struct {
        const char *step;
        const char *path;
    } paths[] = {{"readonly", "linux.readonlyPaths"},
                 {"link", "linux.devices"},
                 {"capabilities", "process.capabilities"},
                 {"bounding", "process.capabilities"}};

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (strcmp(paths[i].step, step) == 0)
            return paths[i].path;
    return step;
}

/* A profile names more paths than any one machine has: those that are missing make one warning together, when all is
 * told. */
static void take_warning(struct ns_sandbox *sandbox, const struct cl_wire_warning *warning)
{
    char text[CL_WIRE_DETAIL_MAX + 64];

    if (strcmp(warning->step, "mask") == 0) {
        NS_FREE char *before = sandbox->missing;

        sandbox->missing = ns_format("%s%s%s", before ? before : "", before ? ", " : "", warning->detail);
        return;
    }
    snprintf(text, sizeof(text), "%s: %s", warning->detail, strerror(warning->os_errno));
    ns_sandbox_warn(sandbox, path_of(warning->step), text);
}

void ns_sandbox_warn_missing(struct ns_sandbox *sandbox)
{
    NS_FREE char *missing = ns_steal_text(&sandbox->missing);
    NS_FREE char *text = missing ? ns_format("not there to be masked: %s", missing) : NULL;

    if (text)
        ns_sandbox_warn(sandbox, "linux.maskedPaths", text);
}

static void on_event(void *ctx, const struct cl_packet *packet)
{
    struct ns_sandbox *sandbox = ctx;

    if (packet->u.head.type == CL_WIRE_EXIT) {
        const struct cl_wire_record *record = &packet->u.exit.record;

        tell_exit(sandbox, record);
        if (sandbox->outer_pid && (record->flags & CL_WIRE_RECORD_INIT) && sandbox->state == NS_UP)
            end_the_rest(sandbox);
    } else if (packet->u.head.type == CL_WIRE_DOWN) {
        sandbox->down = true;
    } else {
        take_warning(sandbox, &packet->u.warning);
    }
}

/* The keeper's end is closed: it is dying, and the pidfd will say so. What is not a message was not sent by a keeper of
 * ours. */
static void on_lost(void *ctx, int os_errno)
{
    struct ns_sandbox *sandbox = ctx;
    const struct cloister_host *host = sandbox->instance->host;

    if (sandbox->pidfd < 0 || sandbox->state == NS_ENDING)
        return;
    if (os_errno != EPIPE)
        cloister_log(host, CLOISTER_ERROR, "keeper of sandbox '%s': %s: it is killed", sandbox->id, strerror(os_errno));
    syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0u);
}

static void on_conn_closed(void *ctx)
{
    struct ns_sandbox *sandbox = ctx;

    ns_sandbox_unref(sandbox);
}

static void tell_lost(struct ns_sandbox *sandbox)
{
    const struct cloister_host *host = sandbox->instance->host;
    struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event), .kind = CLOISTER_EVENT_SANDBOX_DOWN,
                                       .sandbox = ns_view(sandbox->id), .cause = CLOISTER_CAUSE_LOST};

    sandbox->state = NS_LOST;
    cloister_log(host, CLOISTER_ERROR, "sandbox '%s' (%s): its keeper, pid %d, has died", sandbox->id, sandbox->name,
                 sandbox->pid);
    host->iso->event(host, &event);
}

static void tell_gone(struct ns_sandbox *sandbox)
{
    void (*gone)(void *ctx) = sandbox->gone;

    sandbox->gone = NULL;
    if (gone)
        gone(sandbox->gone_ctx);
}

/* A pid namespace's init has been reaped by the kernel's rules only when everything in it is dead. Its last words come
 * first. */
static void on_pidfd(void *ctx, int32_t fd, uint32_t events)
{
    struct ns_sandbox *sandbox = ns_sandbox_ref(ctx);

    close_pidfd(sandbox);
    ns_conn_drain(&sandbox->conn);
    ns_conn_close(&sandbox->conn, EPIPE);
    sandbox->down = true;
    if (sandbox->state == NS_UP)
        tell_lost(sandbox);
    tell_gone(sandbox);
    ns_sandbox_unref(sandbox);
}

int ns_sandbox_adopt_keeper(struct ns_sandbox *sandbox, int32_t pid, int pidfd, int socket)
{
    const struct cloister_host *host = sandbox->instance->host;
    int rc = host->loop->watch_open(host, pidfd, CLOISTER_READABLE, on_pidfd, sandbox, &sandbox->pid_watch);

    if (rc < 0) {
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u);
        close(pidfd);
        close(socket);
        return rc;
    }
    sandbox->pid = pid;
    sandbox->pidfd = pidfd;
    sandbox->conn.event = on_event;
    sandbox->conn.lost = on_lost;
    sandbox->conn.closed = on_conn_closed;
    sandbox->conn.ctx = sandbox;
    rc = ns_conn_open(&sandbox->conn, host, socket);
    if (rc == 0)
        ns_sandbox_ref(sandbox); /* until its closed callback */
    return rc;
}

static void gone_late(void *ctx)
{
    struct ns_sandbox *sandbox = ctx;

    tell_gone(sandbox);
    ns_sandbox_unref(sandbox);
}

void ns_sandbox_end_keeper(struct ns_sandbox *sandbox, bool force, void (*gone)(void *ctx), void *ctx)
{
    const struct cloister_host *host = sandbox->instance->host;

    sandbox->gone = gone;
    sandbox->gone_ctx = ctx;
    if (sandbox->pidfd >= 0) {
        if (force)
            syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0u);
        return;
    }
    ns_sandbox_ref(sandbox);
    if (host->loop->post(host, gone_late, sandbox) < 0)
        gone_late(sandbox);
}

static bool is_up(struct ns_sandbox *sandbox, struct cloister_sv cid, const struct ns_reader *r)
{
    if (sandbox->state == NS_LOST || (sandbox->state == NS_UP && sandbox->pidfd < 0))
        r->log->error_set(r->err, CLOISTER_LOST, 0, sandbox->id, "keeper", "its keeper has died");
    else if (sandbox->state != NS_UP)
        r->log->error_set(r->err, CLOISTER_INVALID_STATE, 0, sandbox->id, "state", "the sandbox is %s",
                          sandbox->state == NS_MAKING ? "being created" : "being destroyed");
    else if (!sandbox->has_container || (cid.size > 0 && !ns_equal(cid, sandbox->cid)))
        r->log->error_set(r->err, CLOISTER_NO_ENTITY, 0, sandbox->id, "container", "no container '%.*s'", (int)cid.size,
                          cid.size ? cid.data : "");
    else
        return true;
    return false;
}

struct ns_sandbox *ns_sandbox_up(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                                 struct cloister_sv cid, cloister_op op)
{
    struct ns_sandbox *sandbox = ns_sandbox_find(instance, which->id);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);

    if (sandbox && is_up(sandbox, cid, &r))
        return sandbox;
    if (sandbox == NULL)
        r.log->error_set(&err, CLOISTER_NO_ENTITY, 0, "", "sandbox", "no sandbox '%.*s'", (int)which->id.size,
                         which->id.data);
    ns_fail_now(instance, op, &err);
    return NULL;
}

int32_t ns_answer_pid(const struct cl_packet *answer)
{
    pid_t pid = answer->fd_count > 0 ? cl_slip_read(answer->fds[0]) : 0;

    return pid > 0 ? pid : 0;
}
