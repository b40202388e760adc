/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c - the table of sandboxes, their keepers' life and last words. */
#include "transfer.h"

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
    ns_tapes_init(&sandbox->tapes);
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
    while (sandbox->containers)
        ns_container_drop(sandbox, sandbox->containers);
    free(sandbox->name);
    free(sandbox->warnings);
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

void ns_sandbox_leave_keeper(struct ns_sandbox *sandbox)
{
    close_pidfd(sandbox);
    ns_conn_close(&sandbox->conn, ECANCELED);
}

void ns_sandbox_pause(struct ns_sandbox *sandbox, bool paused)
{
    ns_conn_pause(&sandbox->conn, paused);
    if (sandbox->pidfd >= 0)
        sandbox->instance->host->loop->watch_update(sandbox->pid_watch, paused ? 0 : CLOISTER_READABLE);
}

void ns_sandbox_drop(struct ns_sandbox *sandbox)
{
    struct ns_sandbox **at = &sandbox->instance->sandboxes;

    while (*at && *at != sandbox)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = sandbox->next;
    ns_peaks_forget(sandbox->instance, sandbox->intent.group);
    ns_tapes_over(sandbox, 0);
    ns_transfers_stop(sandbox->instance, sandbox, CLOISTER_LOST, "the sandbox has gone");
    ns_sandbox_leave_keeper(sandbox);
    ns_sandbox_unref(sandbox);
}

static void ignore_answer(void *ctx, struct cl_packet *answer, int os_errno)
{
}

void ns_sandbox_cancel(struct ns_sandbox *sandbox, uint64_t serial)
{
    struct cl_wire_cancel message;

    cl_wire_init(&message, CL_WIRE_CANCEL, 0);
    message.target = serial;
    ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, ignore_answer, NULL);
}

/* The keeper's end is closed: it is dying, and the pidfd will say so; what was asked of it fails when the sandbox is
 * seen to be down, not before. What is not a message was not sent by a keeper of ours. */
static bool on_lost(void *ctx, int os_errno)
{
    struct ns_sandbox *sandbox = ctx;
    const struct cloister_host *host = sandbox->instance->host;

    if (sandbox->pidfd < 0 || sandbox->state == NS_ADOPTING)
        return false;
    if (sandbox->state == NS_ENDING)
        return true;
    if (os_errno != EPIPE)
        cloister_log(host, CLOISTER_ERROR, "keeper of sandbox '%s': %s: it is killed", sandbox->id, strerror(os_errno));
    syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0u);
    ns_sandbox_end_frozen(sandbox); /* its end waits for everybody's */
    return true;
}

static void on_event(void *ctx, const struct cl_packet *packet)
{
    struct ns_sandbox *sandbox = ctx;

    if (sandbox->state != NS_ADOPTING)
        ns_sandbox_news(sandbox, packet);
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
    ns_tapes_over(sandbox, 0);
    for (struct ns_container *one = sandbox->containers; one && sandbox->state != NS_ADOPTING; one = one->next)
        one->down = true;
    if (sandbox->state == NS_UP)
        tell_lost(sandbox);
    tell_gone(sandbox);
    ns_sandbox_unref(sandbox);
}

int ns_sandbox_take_keeper(struct ns_sandbox *sandbox, int32_t pid, int pidfd, int socket, uint32_t version)
{
    const struct cloister_host *host = sandbox->instance->host;
    int rc = host->loop->watch_open(host, pidfd, CLOISTER_READABLE, on_pidfd, sandbox, &sandbox->pid_watch);

    if (rc < 0) {
        close(pidfd);
        close(socket);
        return rc;
    }
    sandbox->conn.version = version;
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

void ns_sandbox_hello(const struct ns_sandbox *sandbox, struct cl_wire_hello *ret)
{
    cl_wire_init(ret, CL_WIRE_HELLO, 0);
    ret->version = sandbox->conn.version;
    ret->cookie = sandbox->cookie;
    memcpy(ret->id, sandbox->id, sizeof(sandbox->id));
    ret->resume_ns = sandbox->instance->resume_ns;
    ret->tape_max = sandbox->instance->tape_max;
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

struct ns_cgroups ns_sandbox_cgroups(const struct ns_sandbox *sandbox)
{
    return (struct ns_cgroups){&sandbox->instance->machine.hierarchies, sandbox->intent.root};
}

static bool is_up(struct ns_sandbox *sandbox, const struct ns_reader *r)
{
    if (sandbox->state == NS_LOST || (sandbox->state == NS_UP && sandbox->pidfd < 0))
        r->log->error_set(r->err, CLOISTER_LOST, 0, sandbox->id, "keeper", "its keeper has died");
    else if (sandbox->state != NS_UP)
        r->log->error_set(r->err, CLOISTER_INVALID_STATE, 0, sandbox->id, "state", "the sandbox is %s",
                          sandbox->state == NS_MAKING     ? "being created"
                          : sandbox->state == NS_ADOPTING ? "being taken over"
                                                          : "being destroyed");
    else
        return true;
    return false;
}

static bool has_container(const struct ns_sandbox *sandbox, struct cloister_sv cid, const struct ns_reader *r)
{
    if (ns_container_find(sandbox, cid) != NULL)
        return true;
    r->log->error_set(r->err, CLOISTER_NO_ENTITY, 0, sandbox->id, "container", "no container '%.*s'", (int)cid.size,
                      cid.size ? cid.data : "");
    return false;
}

struct ns_sandbox *ns_sandbox_up(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                                 struct cloister_sv cid, cloister_op op)
{
    struct ns_sandbox *sandbox = ns_sandbox_find(instance, which->id);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);

    if (sandbox && is_up(sandbox, &r) && has_container(sandbox, cid, &r))
        return sandbox;
    if (sandbox == NULL)
        r.log->error_set(&err, CLOISTER_NO_ENTITY, 0, "", "sandbox", "no sandbox '%.*s'", (int)which->id.size,
                         which->id.data);
    ns_fail_now(instance, op, &err);
    return NULL;
}

struct ns_sandbox *ns_sandbox_here(struct ns_instance *instance, const struct cloister_iso_sandbox *which,
                                   cloister_op op)
{
    struct ns_sandbox *sandbox = ns_sandbox_find(instance, which->id);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);

    if (sandbox && is_up(sandbox, &r))
        return sandbox;
    if (sandbox == NULL)
        r.log->error_set(&err, CLOISTER_NO_ENTITY, 0, "", "sandbox", "no sandbox '%.*s'", (int)which->id.size,
                         which->id.data);
    ns_fail_now(instance, op, &err);
    return NULL;
}

void ns_sandbox_scope_group(const struct ns_sandbox *sandbox, uint32_t scope, struct cloister_sv cid,
                            cloister_process process, char ret[NS_GROUP_PATH_MAX])
{
    if (scope == CLOISTER_SCOPE_PROCESS)
        ns_layout_exec(ns_sandbox_group(sandbox, cid), process, ret);
    else
        snprintf(ret, NS_GROUP_PATH_MAX, "%s",
                 scope == CLOISTER_SCOPE_SANDBOX ? sandbox->intent.group : ns_sandbox_group(sandbox, cid));
}

const char *ns_sandbox_group(const struct ns_sandbox *sandbox, struct cloister_sv cid)
{
    return ns_container_find(sandbox, cid)->group;
}

int32_t ns_answer_pid(const struct cl_packet *answer)
{
    pid_t pid = answer->fd_count > 0 ? cl_slip_read(answer->fds[0]) : 0;

    return pid > 0 ? pid : 0;
}
