/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c - see transfer.h. The order: the keeper gives init's pidfd; the zygote's child runs the helper with it;
 * the helper says READY, then DONE or FAILED on the control pipe; it exits. An answer never waits for that exit: a
 * process that hangs in a file system of the container's making may be unkillable until the container has gone.
 */
#include "transfer.h"

#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

static const struct cloister_log_api *log_of(const struct ns_transfer *transfer)
{
    return transfer->host->log;
}

void ns_transfer_ref(struct ns_transfer *transfer)
{
    transfer->refs++;
}

static void leave_list(struct ns_transfer *transfer)
{
    struct ns_transfer **at = transfer->instance ? &transfer->instance->transfers : NULL;

    while (at && *at && *at != transfer)
        at = &(*at)->next;
    if (at && *at)
        *at = transfer->next;
}

void ns_transfer_unref(struct ns_transfer *transfer)
{
    if (--transfer->refs > 0)
        return;
    leave_list(transfer);
    ns_container_unref(transfer->container);
    if (transfer->sandbox)
        ns_sandbox_unref(transfer->sandbox);
    ns_closep(&transfer->pidfd);
    ns_closep(&transfer->fd);
    free(transfer->user);
    free(transfer->path);
    free(transfer->host_root);
    free(transfer);
}

static void unref_late(void *ctx)
{
    ns_transfer_unref(ctx);
}

void ns_transfer_answer(struct ns_transfer *transfer)
{
    if (transfer->answered)
        return;
    transfer->answered = true;
    if (transfer->timer)
        transfer->host->loop->timer_close(transfer->timer, unref_late, transfer);
    transfer->timer = NULL;
    ns_op_done(&transfer->base, &transfer->result);
    ns_transfer_unref(transfer);
}

/* --- its early end --- */

static void kill_helper(const struct ns_transfer *transfer)
{
    if (transfer->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, transfer->pidfd, SIGKILL, NULL, 0u);
}

void ns_transfer_stop(struct ns_transfer *transfer, uint32_t code, const char *why)
{
    struct ns_sandbox *sandbox = transfer->sandbox;

    if (transfer->stopped)
        return;
    transfer->stopped = true;
    ns_transfer_ref(transfer);
    if (sandbox && transfer->serial)
        ns_conn_forget(&sandbox->conn, transfer->serial);
    kill_helper(transfer);
    transfer->kind->stopped(transfer);
    if (!transfer->answered && transfer->base.err.code == 0)
        log_of(transfer)->error_set(&transfer->base.err, code, 0, transfer->path, "files", "%s", why);
    ns_transfer_answer(transfer);
    if (transfer->serial) /* the question's reference: nobody answers it any more */
        ns_transfer_unref(transfer);
    transfer->serial = 0;
    ns_transfer_unref(transfer);
}

static void cancel(struct ns_op *op)
{
    ns_transfer_stop((struct ns_transfer *)op, CLOISTER_CANCELLED, "cancelled");
}

static void too_late(void *ctx)
{
    struct ns_transfer *transfer = ctx;

    ns_transfer_stop(transfer, CLOISTER_DEADLINE,
                     transfer->ready ? "the files were not there in time"
                                     : "cloister-tar did not find its way into the container in time");
}

void ns_transfers_stop(struct ns_instance *instance, struct ns_sandbox *sandbox, uint32_t code, const char *why)
{
    struct ns_transfer *next;

    for (struct ns_transfer *one = instance->transfers; one; one = next) {
        next = one->next;
        if (sandbox && one->sandbox != sandbox)
            continue;
        ns_transfer_ref(one);
        ns_transfer_stop(one, code, why);
        leave_list(one);
        one->instance = NULL;
        if (one->sandbox)
            ns_sandbox_unref(one->sandbox);
        one->sandbox = NULL;
        ns_transfer_unref(one);
    }
}

/* --- what the helper says --- */

static void take_failure(struct ns_transfer *transfer)
{
    const struct cl_tar_message *last = &transfer->last;

    if (transfer->base.err.code == 0)
        log_of(transfer)->error_set(&transfer->base.err, last->code, last->os_errno, last->subject, last->step, "%s",
                                    last->text);
}

static void take_message(struct ns_transfer *transfer, const struct cl_tar_message *message)
{
    if (message->kind != CL_TAR_READY) {
        transfer->last = *message;
        return;
    }
    if (transfer->ready || transfer->stopped)
        return;
    transfer->ready = true;
    if (transfer->timer && transfer->deadline)
        transfer->host->loop->timer_set(transfer->timer, transfer->deadline, 0);
    else if (transfer->timer)
        transfer->host->loop->timer_stop(transfer->timer);
    if (!message->landlock && transfer->instance && !transfer->instance->told_landlock) {
        transfer->instance->told_landlock = true;
        cloister_log(transfer->host, CLOISTER_INFO,
                     "feature 'landlock': no: cloister-tar is held to its tree by its own care alone");
    }
    transfer->kind->ready(transfer);
}

/* Each write of the other end is one message, so each read is. */
static void read_control(struct ns_transfer *transfer)
{
    struct cl_tar_message message;

    for (;;) {
        ssize_t n = read(transfer->control, &message, sizeof(message));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        if (cl_tar_message_check(&message, (uint64_t)n) == 0)
            take_message(transfer, &message);
        else
            cloister_log(transfer->host, CLOISTER_ERROR, "cloister-tar says what it must not");
    }
}

static void on_control(void *ctx, int32_t fd, uint32_t events)
{
    struct ns_transfer *transfer = ctx;

    ns_transfer_ref(transfer);
    read_control(transfer);
    if ((events & CLOISTER_HANGUP) && transfer->watch)
        transfer->host->loop->watch_update(transfer->watch, 0); /* its exit follows */
    ns_transfer_unref(transfer);
}

static void close_control(struct ns_transfer *transfer)
{
    if (transfer->watch)
        transfer->host->loop->watch_close(transfer->watch, unref_late, transfer);
    transfer->watch = NULL;
    if (transfer->control >= 0)
        close(ns_steal_fd(&transfer->control));
}

/* --- its life --- */

static void end(struct ns_transfer *transfer, bool whole)
{
    if (!transfer->stopped)
        transfer->kind->ended(transfer, whole);
    close_control(transfer);
    ns_transfer_unref(transfer); /* the helper's */
}

static void on_exited(void *ctx, const struct cloister_status *status)
{
    struct ns_transfer *transfer = ctx;
    bool whole;

    ns_transfer_ref(transfer);
    read_control(transfer);
    whole = status->kind == CLOISTER_STATUS_EXITED && status->value == 0 && transfer->last.kind == CL_TAR_DONE;
    if (transfer->last.kind == CL_TAR_FAILED)
        take_failure(transfer);
    else if (!whole && transfer->base.err.code == 0)
        log_of(transfer)->error_set(&transfer->base.err, CLOISTER_LOST, 0, transfer->path, "files",
                                    "cloister-tar ended without a word (%s %u)",
                                    status->kind == CLOISTER_STATUS_SIGNALED ? "signal" : "status", status->value);
    end(transfer, whole);
    ns_transfer_unref(transfer);
}

static void on_started(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd)
{
    struct ns_transfer *transfer = ctx;

    if (result == 0) {
        transfer->pidfd = pidfd;
        if (transfer->stopped)
            kill_helper(transfer);
        return;
    }
    if (transfer->base.err.code == 0)
        log_of(transfer)->error_set(&transfer->base.err, CLOISTER_EXEC_FAILED, -result, "cloister-tar", "helper",
                                    "start cloister-tar: %s", step);
    end(transfer, false);
}

static int spawn(struct ns_transfer *transfer, const int32_t fds[5])
{
    NS_FREE char *flags = ns_format("%u", transfer->flags);
    NS_FREE char *max = ns_format("%llu", (unsigned long long)transfer->max);
    const struct cloister_sv words[] = {{"cloister-tar", 12},
                                        ns_view(transfer->kind->mode),
                                        ns_view(flags),
                                        ns_view(transfer->user),
                                        ns_view(transfer->path),
                                        ns_view(max),
                                        ns_view(transfer->host_root ? transfer->host_root : "")};
    const struct cloister_helper_args args = {
        CLOISTER_INIT(struct cloister_helper_args),
        .program = CLOISTER_SV("cloister-tar"),
        .argv = words,
        .argv_count = sizeof(words) / sizeof(words[0]),
        .fds = fds,
        .fd_count = 5,
        .started = on_started,
        .exited = on_exited,
        .ctx = transfer,
    };

    return transfer->host->system->helper_spawn(transfer->host, &args, &transfer->base.err);
}

/* The control pipe, watched. */
static int open_control(struct ns_transfer *transfer, int *ret_theirs)
{
    const struct cloister_host *host = transfer->host;
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_theirs = ends[1];
    transfer->control = ends[0];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    rc = host->loop->watch_open(host, ends[0], CLOISTER_READABLE, on_control, transfer, &transfer->watch);
    if (rc == 0)
        ns_transfer_ref(transfer); /* the watch's */
    return rc;
}

/* `init` is borrowed; with -1 the helper looks at no container. */
static void run(struct ns_transfer *transfer, int init)
{
    NS_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    NS_CLOSE int input = -1, output = -1, control = -1;
    int rc = null < 0 ? -errno : open_control(transfer, &control);

    if (rc == 0)
        rc = transfer->kind->open(transfer, &input, &output);
    ns_transfer_ref(transfer); /* the helper's */
    if (rc == 0) {
        const int32_t fds[] = {input >= 0 ? input : null, output >= 0 ? output : null, null, init >= 0 ? init : null,
                               control};

        if (spawn(transfer, fds) == 0)
            return;
    } else {
        log_of(transfer)->error_set(&transfer->base.err, CLOISTER_LIMIT, -rc, transfer->path, "files",
                                    "make descriptors for cloister-tar");
    }
    end(transfer, false);
}

static void on_init(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct ns_transfer *transfer = ctx;
    int refusal = answer ? answer->u.answer.os_errno : 0;

    transfer->serial = 0;
    if (answer && refusal == 0 && answer->fd_count == 1)
        run(transfer, answer->fds[0]);
    else if (refusal == ESRCH || refusal == ENOENT) {
        log_of(transfer)->error_set(&transfer->base.err, CLOISTER_INVALID_STATE, 0, transfer->path, "files",
                                    "the container is not running");
        transfer->base.err.detail = CLOISTER_CONTAINER_STOPPED;
    } else if (answer && refusal == 0)
        log_of(transfer)->error_set(&transfer->base.err, CLOISTER_LIMIT, EMFILE, transfer->path, "files",
                                    "take the pidfd of the container's init");
    else
        ns_keeper_error(transfer->instance, &transfer->base.err, answer, os_errno);
    if (transfer->base.err.code != 0 && !transfer->answered)
        transfer->kind->ended(transfer, false);
    ns_transfer_unref(transfer); /* the question's */
}

static void fail_late(void *ctx)
{
    struct ns_transfer *transfer = ctx;

    if (!transfer->stopped)
        transfer->kind->ended(transfer, false);
    ns_transfer_unref(transfer);
}

static void begin(void *ctx)
{
    struct ns_transfer *transfer = ctx;

    if (!transfer->stopped)
        run(transfer, -1);
    ns_transfer_unref(transfer);
}

static void ask(struct ns_transfer *transfer)
{
    struct ns_conn *conn = &transfer->sandbox->conn;
    struct cl_wire_process message;

    cl_wire_init(&message, CL_WIRE_ENTER, 0);
    message.pseq = transfer->container->number;
    if (!ns_conn_knows(conn, CL_WIRE_ENTER))
        ns_too_old(transfer->instance, &transfer->base.err, "files");
    else
        transfer->serial = ns_conn_send(conn, &message, NULL, 0, -1, on_init, transfer);
    if (transfer->serial == 0 && transfer->base.err.code == 0)
        ns_keeper_error(transfer->instance, &transfer->base.err, NULL, EPIPE);
}

void ns_transfer_start(struct ns_transfer *transfer)
{
    const struct cloister_host *host = transfer->host;

    ns_transfer_ref(transfer); /* the question's, or that of what is posted */
    if (transfer->base.err.code == 0 && transfer->host_root == NULL)
        ask(transfer);
    if (transfer->serial == 0 &&
        host->loop->post(host, transfer->host_root && transfer->base.err.code == 0 ? begin : fail_late, transfer) < 0)
        fail_late(transfer);
}

/* Until READY what is inside can hold it up, as it can an exec. */
static void set_timer(struct ns_transfer *transfer)
{
    const struct cloister_host *host = transfer->host;

    /* Without memory for a timer the caller's own deadline is what is left. */
    if (host->loop->timer_open(host, too_late, transfer, &transfer->timer) < 0)
        return;
    ns_transfer_ref(transfer);
    host->loop->timer_set(transfer->timer, host->system->now_mono() + transfer->instance->exec_ms * NS_MS, 0);
}

struct ns_transfer *ns_transfer_new(struct ns_sandbox *sandbox, struct cloister_sv cid,
                                    const struct ns_transfer_kind *kind, cloister_op number)
{
    struct ns_instance *instance = sandbox->instance;
    struct ns_transfer *transfer = calloc(1, sizeof(*transfer));

    if (transfer == NULL) {
        ns_fail_memory(instance, number);
        return NULL;
    }
    transfer->kind = kind;
    transfer->host = instance->host;
    transfer->instance = instance;
    transfer->sandbox = ns_sandbox_ref(sandbox);
    transfer->container = ns_container_ref(ns_container_find(sandbox, cid));
    transfer->refs = 1;
    transfer->pidfd = transfer->control = transfer->fd = -1;
    transfer->result = (struct cloister_result){CLOISTER_INIT(struct cloister_result)};
    transfer->next = instance->transfers;
    instance->transfers = transfer;
    ns_op_begin(instance, &transfer->base, number, cancel);
    set_timer(transfer);
    return transfer;
}
