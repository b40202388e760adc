/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/op.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"
#include "common/keeper/pipes.h"
#include "common/keeper/plan.h"
#include "common/keeper/procfs.h"
#include "common/keeper/report.h"
#include "common/keeper/slip.h"
#include "common/keeper/terminal.h"

#define PF_FORKNOEXEC 0x40u

static void close_fds(struct cl_op *op)
{
    for (uint32_t i = 0; i < op->fd_count; i++)
        cl_drop_fd(&op->fds[i]);
}

void cl_op_free(struct cl_sandbox *sandbox, struct cl_op *op)
{
    struct cl_op **at = &sandbox->ops;

    while (*at != NULL && *at != op)
        at = &(*at)->next;
    if (*at == op) {
        *at = op->next;
        sandbox->op_count--;
    }
    close_fds(op);
    free(op->fds);
    cl_plan_unmap(op->plan);
    cl_closep(&op->sock);
    cl_closep(&op->slip);
    free(op);
}

/* Kills what there is. Closing our sending side wakes a process that waits for a word from us; it gives up by itself.
 */
void cl_op_fail(struct cl_op *op, int error, const char *step, const char *detail)
{
    if (op->error == 0) {
        op->error = error;
        snprintf(op->step, sizeof(op->step), "%s", step);
        snprintf(op->detail, sizeof(op->detail), "%s", detail);
    }
    if (op->child > 0)
        kill(op->child, SIGKILL);
    if (op->helper > 0)
        kill(op->helper, SIGKILL);
    shutdown(op->sock, SHUT_WR);
}

/* Only once the word is out. Somebody kills us, or the daemon: then what was begun goes on. */
void cl_op_halt(struct cl_sandbox *sandbox, const struct cl_op *op, const char *step, uint32_t when)
{
    struct cl_wire_warning warning;

    if (!cl_plan_stops(op->plan, step, when))
        return;
    cl_wire_init(&warning, CL_WIRE_WARNING, op->serial);
    snprintf(warning.step, sizeof(warning.step), "halt");
    snprintf(warning.detail, sizeof(warning.detail), "%s %s", step, when == 3 ? "before" : "after");
    cl_sandbox_tell(sandbox, &warning);
    cl_sandbox_flush_all(sandbox);
    if (sandbox->control >= 0) {
        struct pollfd gone = {.fd = sandbox->control};

        while (poll(&gone, 1, -1) < 0 && errno == EINTR)
            ;
    }
}

static void answer(struct cl_sandbox *sandbox, struct cl_op *op, int fd)
{
    struct cl_wire_answer message;
    const struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);

    if (op->serial == 0) {
        cl_closep(&fd);
        return;
    }
    cl_wire_init(&message, CL_WIRE_ANSWER, op->serial);
    message.request = op->request;
    message.os_errno = op->error;
    message.pid = record != NULL && op->error == 0 ? record->pid : 0;
    memcpy(message.step, op->step, sizeof(message.step));
    memcpy(message.detail, op->detail, sizeof(message.detail));
    if (op->error == 0) {
        message.uid = op->resolved ? op->uid : op->plan->uid;
        message.gid = op->resolved ? op->gid : op->plan->gid;
        memcpy(message.home, op->home, sizeof(message.home));
    }
    cl_sandbox_answer(sandbox, &message, fd);
    op->serial = 0;
}

/* Nothing of it lives: forget what was noted, then say so. */
static void finish_failed(struct cl_sandbox *sandbox, struct cl_op *op)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);
    struct cl_container *container = cl_container_find(&sandbox->containers, op->container);

    if (record != NULL)
        cl_records_remove(&sandbox->records, record);
    if (op->create && container != NULL)
        cl_container_remove(container);
    answer(sandbox, op, -1);
    cl_op_free(sandbox, op);
}

static void finish_running(struct cl_sandbox *sandbox, struct cl_op *op)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);

    cl_op_halt(sandbox, op, "exec", 4);
    if (record != NULL)
        record->state = CL_WIRE_RUNNING;
    answer(sandbox, op, cl_steal_fd(&op->slip));
    cl_op_free(sandbox, op);
}

/*
 * Has it execed? The kernel clears PF_FORKNOEXEC in execve, past the point of no return; /proc shows the flag of a
 * zombie too. So a filter that kills us in execve is told apart from a program that died at once of the same signal.
 * 1, 0 (or it is gone); a negative errno: it cannot be told, and the operation has failed.
 */
static int has_execed(const struct cl_sandbox *sandbox, struct cl_op *op, pid_t pid)
{
    char path[32];
    char text[1024];
    unsigned int flags;

    if (op->paused)
        return 1;
    snprintf(path, sizeof(path), "%d/stat", pid);
    ssize_t n = cl_procfs_read(sandbox->proc, path, text, sizeof(text));

    if (n < 0 && n != -ENOENT && n != -ESRCH) {
        cl_op_fail(op, (int)-n, "exec", "see whether it runs");
        return (int)n;
    }
    if (n <= 0)
        return 0;
    const char *rest = strrchr(text, ')');

    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
        return 0;
    return !(flags & PF_FORKNOEXEC);
}

/* A process that is gone already (EPIPE) has said why, or its death will. */
static void send_go(struct cl_op *op, const char *step)
{
    struct cl_report go = {.kind = CL_REPORT_GO};
    int r = cl_report_send(op->sock, &go, NULL, 0);

    if (r < 0 && r != -EPIPE && r != -ECONNRESET)
        cl_op_fail(op, -r, step, "word to the new process");
}

/* What is done to the process while it waits. */
static int make_ready(struct cl_sandbox *sandbox, struct cl_op *op, pid_t pid)
{
    cl_op_halt(sandbox, op, "slip", 3);
    int r = cl_slip_make(pid, &op->slip);

    if (r < 0) {
        cl_op_fail(op, -r, "clone", "a slip with the number of the new process");
        return r;
    }
    cl_op_halt(sandbox, op, "slip", 4);
    cl_op_halt(sandbox, op, "prepare", 3);
    r = cl_prepare(sandbox, op);
    if (r < 0)
        return r;
    cl_op_halt(sandbox, op, "prepare", 4);
    cl_op_halt(sandbox, op, "own-pipes", 3);
    r = cl_pipes_own(sandbox, op, pid);
    if (r < 0)
        cl_op_fail(op, -r, "stdio", "give the pipes to the user");
    else
        cl_op_halt(sandbox, op, "own-pipes", 4);
    return r;
}

/* The process exists and waits. It may also be dead and reaped already: only its pidfd tells, its number could be
 * another's. */
static void on_child(struct cl_sandbox *sandbox, struct cl_op *op, pid_t pid, int *pidfd)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);
    struct cl_container *container = cl_container_find(&sandbox->containers, op->container);
    siginfo_t info = {0};

    op->had_child = 1;
    if (*pidfd < 0 || waitid(P_PIDFD, (id_t)*pidfd, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0) {
        cl_op_fail(op, ECHILD, "clone", "the new process was killed");
        return;
    }
    op->child = pid;
    if (op->error != 0) { /* cancelled meanwhile */
        kill(pid, SIGKILL);
        return;
    }
    record->pid = (uint32_t)pid;
    if (op->create) {
        container->pid = pid;
        container->pidfd = cl_steal_fd(pidfd);
        container->pids = cl_procfs_ns_inode(sandbox->proc, pid, "pid");
    }
    int r = make_ready(sandbox, op, pid);

    close_fds(op);
    if (r == 0)
        send_go(op, "user-map");
}

static void on_rlimits(struct cl_op *op)
{
    if (cl_prepare_rlimits(op) == 0)
        send_go(op, "rlimit");
}

static void on_priority(struct cl_op *op)
{
    if (cl_prepare_priority(op) == 0)
        send_go(op, "priority");
}

/* Pipes that a START brings are given to it then. */
static void on_who(struct cl_sandbox *sandbox, struct cl_op *op, const struct cl_report *report)
{
    op->resolved = 1;
    op->uid = report->value;
    op->gid = report->reserved;
    snprintf(op->home, sizeof(op->home), "%s", report->detail);
    int r = cl_pipes_own(sandbox, op, op->child);

    if (r < 0)
        cl_op_fail(op, -r, "stdio", "give the pipes to the user");
    else
        send_go(op, "resolve");
}

static void on_blocked(struct cl_sandbox *sandbox, struct cl_op *op)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);
    int slip = fcntl(op->slip, F_DUPFD_CLOEXEC, 3);

    if (slip < 0) {
        cl_op_fail(op, errno, "start", "a slip with the number of the new process");
        return;
    }
    op->blocked = 1;
    record->state = CL_WIRE_BLOCKED_INIT;
    answer(sandbox, op, slip);
}

static void on_point(struct cl_sandbox *sandbox, struct cl_op *op)
{
    struct cl_wire_point point;
    int slip = fcntl(op->slip, F_DUPFD_CLOEXEC, 3);

    if (slip < 0) {
        cl_op_fail(op, errno, "point", "a slip with the number of the new process");
        return;
    }
    op->at_point = 1;
    cl_wire_init(&point, CL_WIRE_POINT, op->serial);
    point.create = op->serial;
    point.container = op->container;
    cl_sandbox_tell_fd(sandbox, &point, slip);
}

void cl_op_proceed(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    const struct cl_wire_proceed *proceed = &packet->u.proceed;
    struct cl_op *op = sandbox->ops;

    while (op != NULL && !(op->serial == proceed->create && op->at_point))
        op = op->next;
    cl_control_answer(sandbox, packet, op ? 0 : -ESRCH, 0, NULL, 0);
    if (op == NULL)
        return;
    op->at_point = 0;
    if (proceed->os_errno == 0) {
        send_go(op, "point");
        return;
    }
    cl_op_fail(op, proceed->os_errno, "hook", proceed->detail);
    cl_op_settle(sandbox, op);
}

static void on_warning(struct cl_sandbox *sandbox, const struct cl_op *op, const struct cl_report *report)
{
    struct cl_wire_warning warning;

    cl_wire_init(&warning, CL_WIRE_WARNING, op->serial);
    warning.os_errno = report->os_errno;
    memcpy(warning.step, report->step, sizeof(warning.step));
    memcpy(warning.detail, report->detail, sizeof(warning.detail));
    cl_sandbox_tell(sandbox, &warning);
}

static void on_report(struct cl_sandbox *sandbox, struct cl_op *op, const struct cl_report *report, int *fds)
{
    if (report->kind == CL_REPORT_CHILD && !op->had_child)
        on_child(sandbox, op, (pid_t)report->value, &fds[0]);
    else if (report->kind == CL_REPORT_FAILED)
        cl_op_fail(op, report->os_errno ? report->os_errno : EIO, report->step, report->detail);
    else if (op->error != 0)
        return;
    else if (report->kind == CL_REPORT_WARNING)
        on_warning(sandbox, op, report);
    else if (report->kind == CL_REPORT_RLIMITS && op->child > 0)
        on_rlimits(op);
    else if (report->kind == CL_REPORT_PRIORITY && op->child > 0)
        on_priority(op);
    else if (report->kind == CL_REPORT_WHO && op->child > 0)
        on_who(sandbox, op, report);
    else if (report->kind == CL_REPORT_BLOCKED && op->block && !op->blocked)
        on_blocked(sandbox, op);
    else if (report->kind == CL_REPORT_TERMINAL && op->child > 0)
        cl_terminal_take(sandbox, op, &fds[0]);
    else if (report->kind == CL_REPORT_POINT && op->create && !op->at_point && op->child > 0)
        on_point(sandbox, op);
    else if (report->kind == CL_REPORT_PAUSED)
        op->paused = 1;
    else
        cl_op_fail(op, EPROTO, "message", "unexpected report");
}

static void drain(struct cl_sandbox *sandbox, struct cl_op *op)
{
    struct cl_report report;
    int fds[CL_REPORT_FDS_MAX];
    int r;

    while (!op->eof && (r = cl_report_recv(op->sock, &report, fds)) != -EAGAIN) {
        if (r < 0) {
            /* Without its report (we may have had no room for its descriptor) a process would wait for us for ever. */
            if (r != -EPIPE)
                cl_op_fail(op, -r, "report", "the word of the new process did not arrive");
            op->eof = 1;
            break;
        }
        on_report(sandbox, op, &report, fds);
        for (uint32_t i = 0; i < CL_REPORT_FDS_MAX; i++)
            cl_closep(&fds[i]);
    }
}

void cl_op_settle(struct cl_sandbox *sandbox, struct cl_op *op)
{
    if (!op->eof)
        return;
    if (op->error == 0 && op->child > 0 && has_execed(sandbox, op, op->child) == 1) {
        finish_running(sandbox, op);
        return;
    }
    if (op->error == 0 && op->child == 0)
        cl_op_fail(op, ECHILD, "fork", "the helper was killed");
    else if (op->error == 0 && op->child > 0)
        return; /* dying: cl_op_child_died knows how */
    if (op->child == 0 && op->helper == 0)
        finish_failed(sandbox, op);
}

void cl_op_read(struct cl_sandbox *sandbox, struct cl_op *op)
{
    drain(sandbox, op);
    cl_op_settle(sandbox, op);
}

/* What a process that never became the program died of. A code that is no errno of ours came from a filter that let
 * exit through. Nothing but a code tells of an errno: "died" comes with one that only means "out of memory" or not. */
static void explain_death(struct cl_sandbox *sandbox, struct cl_op *op, int code, int status)
{
    struct cl_container *container = cl_container_find(&sandbox->containers, op->container);
    char detail[CL_WIRE_DETAIL_MAX];

    if (code == CLD_EXITED && status > 0) {
        cl_op_fail(op, status, "exec", "ended before it could report why");
    } else if (code == CLD_EXITED) {
        cl_op_fail(op, ECHILD, "died", "ended before the program began");
    } else if (status == SIGKILL && container != NULL && cl_container_oom_take(container)) {
        cl_op_fail(op, ENOMEM, "died", "ran out of memory before the program began");
    } else if (status == SIGSYS) {
        cl_op_fail(op, ECHILD, "died", "killed by its seccomp filter before the program began");
    } else {
        snprintf(detail, sizeof(detail), "killed by signal %d before the program began", status);
        cl_op_fail(op, ECHILD, "died", detail);
    }
}

/* The init of a blocked container ends without a program: an ordinary exit, for which nobody waits. */
static int blocked_died(struct cl_sandbox *sandbox, struct cl_op *op)
{
    cl_op_free(sandbox, op);
    return 1;
}

int cl_op_child_died(struct cl_sandbox *sandbox, pid_t pid, int code, int status)
{
    struct cl_op *op = sandbox->ops;

    while (op != NULL && op->child != pid)
        op = op->next;
    if (op == NULL)
        return 1;
    int ran = has_execed(sandbox, op, pid) == 1;

    drain(sandbox, op);
    ran = ran || op->paused;
    if (op->error == 0 && ran) {
        finish_running(sandbox, op);
        return 1;
    }
    if (op->blocked && op->serial == 0)
        return blocked_died(sandbox, op);
    if (op->error == 0)
        explain_death(sandbox, op, code, status);
    return 0;
}

void cl_op_reaped(struct cl_sandbox *sandbox, pid_t pid)
{
    struct cl_op *op = sandbox->ops;

    while (op != NULL && op->child != pid && op->helper != pid)
        op = op->next;
    if (op == NULL)
        return;
    if (op->child == pid)
        op->child = 0;
    else
        op->helper = 0;
    drain(sandbox, op);
    cl_op_settle(sandbox, op);
}
