/* SPDX-License-Identifier: Apache-2.0 */
/* op_begin.c - from a request to a forked helper. Whatever is refused here is answered here, and nothing has been made.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"
#include "common/keeper/op.h"
#include "common/keeper/pipes.h"
#include "common/keeper/plan.h"
#include "common/keeper/steps.h"
#include "common/keeper/terminal.h"

static void refuse(struct cl_sandbox *sandbox, const struct cl_packet *packet, int r, const char *step,
                   const char *detail)
{
    struct cl_wire_answer answer;

    cl_wire_init(&answer, CL_WIRE_ANSWER, packet->u.head.serial);
    answer.request = packet->u.head.type;
    answer.os_errno = -r;
    snprintf(answer.step, sizeof(answer.step), "%s", step);
    snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
    cl_sandbox_answer(sandbox, &answer, -1);
}

/* The staged descriptors and the packet's own become the operation's; the plan, the last one, is left in the packet. */
static int take_fds(struct cl_sandbox *sandbox, struct cl_packet *packet, uint32_t keep_last, struct cl_op *op)
{
    uint32_t own = packet->fd_count - keep_last;
    uint32_t count = sandbox->staged_count + own;

    op->fds = calloc(count + 3, sizeof(int)); /* pipes of its own may follow */
    if (op->fds == NULL)
        return -ENOMEM;
    memcpy(op->fds, sandbox->staged, sandbox->staged_count * sizeof(int));
    for (uint32_t i = 0; i < own; i++)
        op->fds[sandbox->staged_count + i] = cl_steal_fd(&packet->fds[i]);
    op->fd_count = count;
    sandbox->staged_count = 0;
    return 0;
}

static struct cl_op *op_new(const struct cl_packet *packet, uint64_t container, uint64_t pseq)
{
    struct cl_op *op = calloc(1, sizeof(*op));

    if (op != NULL) {
        op->request = packet->u.head.type;
        op->serial = packet->u.head.serial;
        op->container = container;
        op->pseq = pseq;
        op->sock = -1;
        op->slip = -1;
        op->create = op->request == CL_WIRE_CREATE;
        op->block = op->create && (packet->u.create.flags & CL_WIRE_BLOCKED);
    }
    return op;
}

static void who_by_numbers(struct cl_who *ret, const struct cl_wire_plan *plan)
{
    *ret = (struct cl_who){.uid = plan->uid,
                           .gid = plan->gid,
                           .groups = cl_wire_items(plan, CL_WIRE_GROUPS),
                           .group_count = plan->section[CL_WIRE_GROUPS].count,
                           .caps = {plan->cap_bounding, plan->cap_permitted, plan->cap_effective, plan->cap_inheritable,
                                    plan->cap_ambient},
                           .cwd = cl_wire_string(plan, plan->cwd)};
}

/* The container in whose namespaces it is made; NULL: there is none. */
static const struct cl_container *joined_by(const struct cl_sandbox *sandbox, const struct cl_container *container)
{
    for (uint32_t i = 0; i < CL_WIRE_CONTAINERS_MAX && container->joined != 0; i++)
        if (sandbox->containers.item[i].id == container->joined)
            return &sandbox->containers.item[i];
    return NULL;
}

/* Runs in the helper: everything of the keeper that the new process has no business with is closed first. */
_Noreturn static void be_helper(const struct cl_sandbox *sandbox, const struct cl_op *op,
                                const struct cl_container *container, const struct cl_wire_stdio *stdio,
                                const struct cl_wire_memo *memo, int status)
{
    const struct cl_container *joined = op->create ? joined_by(sandbox, container) : NULL;
    struct cl_setup setup = {
        .plan = op->plan,
        .fds = op->fds,
        .fd_count = op->fd_count,
        .status = status,
        .proc = sandbox->proc,
        .null = sandbox->null,
        .init = op->create ? -1 : container->pidfd,
        .enter = container->enter,
        .join = joined ? joined->pidfd : -1,
        .join_ns = container->join_ns,
        .blocked = op->block,
        .std = {-1, -1, -1},
        .terminal = -1,
        .rows = memo->rows,
        .columns = memo->columns,
        .extra_count = memo->extra_count,
        .borrowed = {-1, -1, -1},
    };
    int keep[CL_WIRE_STAGED_MAX + 3 + 5];
    size_t n = 0;

    memcpy(setup.stdio, stdio, sizeof(setup.stdio));
    who_by_numbers(&setup.who, op->plan);
    memcpy(setup.extra, memo->extra, sizeof(setup.extra));
    for (uint32_t i = 0; i < op->fd_count; i++)
        keep[n++] = op->fds[i];
    keep[n++] = setup.status;
    keep[n++] = setup.proc;
    keep[n++] = setup.null;
    keep[n++] = setup.init;
    keep[n++] = setup.join;
    cl_close_all_but(keep, n);
    setrlimit(RLIMIT_NOFILE, &sandbox->files);
    cl_steps_run(&setup);
}

static int fork_helper(struct cl_sandbox *sandbox, struct cl_op *op, const struct cl_container *container,
                       const struct cl_wire_stdio *stdio, const struct cl_wire_memo *memo)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();

    if (pid == 0)
        be_helper(sandbox, op, container, stdio, memo, pair[1]);
    int r = pid < 0 ? -errno : fcntl(pair[0], F_SETFL, O_NONBLOCK);

    close(pair[1]);
    op->sock = pair[0];
    op->helper = pid > 0 ? pid : 0;
    return r;
}

static int begin(struct cl_sandbox *sandbox, struct cl_op *op, const struct cl_container *container,
                 struct cl_wire_record *record, const struct cl_wire_stdio *stdio, const struct cl_wire_memo *memo)
{
    struct cl_wire_stdio plain[3];
    int r = cl_records_note(&sandbox->records, record, memo);

    if (r == 0)
        r = cl_pipes_make(sandbox, op, record, stdio, memo, plain);
    if (r < 0)
        return r;
    cl_op_halt(sandbox, op, "fork", 3);
    r = fork_helper(sandbox, op, container, plain, memo);
    if (r < 0)
        return r;
    cl_op_halt(sandbox, op, "fork", 4);
    op->next = sandbox->ops;
    sandbox->ops = op;
    sandbox->op_count++;
    return 0;
}

/* A terminal is made if the plan says so, and then it is all three; a blocked init gets it with START. */
static int terminal_fits(const struct cl_wire_plan *plan, const struct cl_wire_stdio *stdio,
                         const struct cl_wire_memo *memo, int block)
{
    int has = stdio[0].kind == CL_WIRE_STDIO_TERMINAL;
    int made = (plan->flags & CL_WIRE_PLAN_TERMINAL) != 0;

    return (block ? !has : has == made) && (made || memo->rows == 0);
}

/* Common checks of CREATE and EXEC. NULL after a refusal. */
static struct cl_op *admit(struct cl_sandbox *sandbox, struct cl_packet *packet, uint64_t container, uint64_t pseq,
                           const struct cl_wire_stdio *stdio, const struct cl_wire_memo *memo, uint32_t kind)
{
    struct cl_op *op = op_new(packet, container, pseq);
    const char *where = "";
    int r = op ? take_fds(sandbox, packet, packet->fd_count ? 1 : 0, op) : -ENOMEM;
    const char *step = "fork";

    if (r == 0 &&
        (sandbox->destroying || sandbox->op_count >= CL_OPS_MAX || sandbox->records.count == CL_WIRE_PROCESSES_MAX)) {
        step = sandbox->destroying ? "cancel" : "limit";
        r = sandbox->destroying ? -ECANCELED : -EAGAIN;
    } else if (r == 0 && (packet->fd_count == 0 || container == 0 || pseq == 0 ||
                          cl_wire_stdio_check(stdio, memo, op->fd_count) < 0)) {
        step = "message";
        r = -EBADMSG;
    } else if (r == 0 && cl_records_find(&sandbox->records, pseq) != NULL) {
        step = "message";
        r = -EEXIST;
    } else if (r == 0) {
        step = "plan";
        r = cl_plan_map(packet->fds[packet->fd_count - 1], kind, op->fd_count, &op->plan, &where);
        const char *undoable = r == 0 ? cl_plan_undoable(op->plan) : NULL;

        if (undoable != NULL) {
            where = undoable;
            r = -ENOSYS;
        } else if (r == 0 && (op->plan->flags & CL_WIRE_PLAN_PAUSE) && memo->extra_count != 0) {
            where = "extra";
            r = -EBADMSG;
        } else if (r == 0 && !terminal_fits(op->plan, stdio, memo, op->block)) {
            where = "terminal";
            r = -EBADMSG;
        }
    }
    if (r == 0)
        return op;
    refuse(sandbox, packet, r, step, where);
    if (op != NULL)
        cl_op_free(sandbox, op);
    return NULL;
}

static int dup_or_none(const struct cl_op *op, uint32_t index)
{
    return index == CL_WIRE_NO_FD ? -1 : fcntl(op->fds[index], F_DUPFD_CLOEXEC, 3);
}

/* What the other one shares with us we all share: there is nothing to join. */
static void note_join(struct cl_container *container, const struct cl_wire_plan *plan,
                      const struct cl_container *joined)
{
    if (joined == NULL)
        return;
    container->joined = joined->id;
    container->join_ns = plan->join_ns & joined->enter;
    container->enter |= container->join_ns;
}

static struct cl_container *note_container(struct cl_sandbox *sandbox, const struct cl_op *op,
                                           const struct cl_container *joined)
{
    struct cl_container *container = cl_container_add(&sandbox->containers, op->container);

    if (container == NULL)
        return NULL;
    container->init = op->pseq;
    container->enter = cl_container_enter(op->plan);
    container->own_pids = (op->plan->ns_new & CLONE_NEWPID) != 0;
    container->procs = dup_or_none(op, op->plan->procs_fd);
    container->oom = dup_or_none(op, op->plan->oom_fd);
    note_join(container, op->plan, joined);
    cl_container_oom_reset(container);
    return container;
}

/* Init lives and its set-up is over: namespaces half made are not for others to see. */
static int is_complete(struct cl_sandbox *sandbox, const struct cl_container *container)
{
    const struct cl_wire_record *init = container ? cl_records_find(&sandbox->records, container->init) : NULL;

    return init != NULL && (init->state == CL_WIRE_RUNNING || init->state == CL_WIRE_BLOCKED_INIT);
}

static int check_create(struct cl_sandbox *sandbox, const struct cl_wire_create *create, const struct cl_op *op,
                        const char **ret_step)
{
    *ret_step = "message";
    for (int i = 0; i < 3; i++)
        if ((create->flags & ~CL_WIRE_BLOCKED) || create->reserved ||
            (op->block && create->stdio[i].kind != CL_WIRE_STDIO_NULL))
            return -EBADMSG;
    *ret_step = "container";
    if (cl_container_find(&sandbox->containers, create->container) != NULL)
        return -EEXIST;
    if (op->plan->join_container != 0 &&
        !is_complete(sandbox, cl_container_find(&sandbox->containers, op->plan->join_container)))
        return -ESRCH;
    return 0;
}

void cl_op_create(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    const struct cl_wire_create *create = &packet->u.create;
    struct cl_op *op =
        admit(sandbox, packet, create->container, create->pseq, create->stdio, &create->memo, CL_WIRE_PLAN_CONTAINER);
    const char *step;
    int r;

    if (op == NULL)
        return;
    r = check_create(sandbox, create, op, &step);
    if (r < 0) {
        refuse(sandbox, packet, r, step, r == -ESRCH ? "to join is not there, or not running" : "");
        cl_op_free(sandbox, op);
        return;
    }
    const struct cl_container *joined =
        op->plan->join_container ? cl_container_find(&sandbox->containers, op->plan->join_container) : NULL;
    struct cl_container *container = note_container(sandbox, op, joined);
    struct cl_wire_record *record =
        container ? cl_records_add(&sandbox->records, op->pseq, op->container, CL_WIRE_RECORD_INIT) : NULL;

    r = record ? begin(sandbox, op, container, record, create->stdio, &create->memo) : -EAGAIN;
    if (r == 0)
        return;
    refuse(sandbox, packet, r, record ? "fork" : "limit", record ? "" : "containers of one sandbox");
    if (record != NULL)
        cl_records_remove(&sandbox->records, record);
    if (container != NULL)
        cl_container_remove(container);
    cl_op_free(sandbox, op);
}

void cl_op_exec(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    const struct cl_wire_exec *exec = &packet->u.exec;
    struct cl_op *op =
        admit(sandbox, packet, exec->container, exec->pseq, exec->stdio, &exec->memo, CL_WIRE_PLAN_PROCESS);

    if (op == NULL)
        return;
    struct cl_container *container = cl_container_find(&sandbox->containers, exec->container);
    struct cl_wire_record *record = NULL;
    int r = is_complete(sandbox, container) ? 0 : -ESRCH;

    if (r == 0) {
        record = cl_records_add(&sandbox->records, op->pseq, op->container, 0);
        r = begin(sandbox, op, container, record, exec->stdio, &exec->memo);
    }
    if (r == 0)
        return;
    refuse(sandbox, packet, r, r == -ESRCH ? "container" : "fork", "");
    if (record != NULL)
        cl_records_remove(&sandbox->records, record);
    cl_op_free(sandbox, op);
}

static struct cl_op *find_blocked(struct cl_sandbox *sandbox, uint64_t container)
{
    struct cl_op *op = sandbox->ops;

    while (op != NULL && !(op->container == container && op->create && op->blocked && op->serial == 0))
        op = op->next;
    return op;
}

/* The descriptors go to the process by number of their entry, at most three. */
static int send_stdio(struct cl_op *op, const struct cl_wire_stdio *stdio, const int *fds)
{
    struct cl_report go = {.kind = CL_REPORT_GO};
    int send[CL_REPORT_FDS_MAX];
    uint32_t n = 0;

    for (int i = 0; i < 3; i++) {
        go.stdio[i] = stdio[i];
        if (stdio[i].kind != CL_WIRE_STDIO_DESCRIPTOR)
            continue;
        go.stdio[i].fd = n;
        send[n++] = fds[stdio[i].fd];
    }
    return cl_report_send(op->sock, &go, send, n);
}

/* Pipes are made for it, given to its user and sent; none stays when it has died meanwhile. */
static int give_stdio(struct cl_sandbox *sandbox, struct cl_op *op, const struct cl_wire_start *start,
                      struct cl_op *given)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);
    struct cl_wire_stdio plain[3];
    int r = cl_pipes_make(sandbox, given, record, start->stdio, &start->memo, plain);

    given->pseq = op->pseq;
    given->resolved = op->resolved;
    given->uid = op->uid;
    if (r == 0 && start->memo.rows != 0)
        r = cl_terminal_resize(cl_records_beside(&sandbox->records, record)->terminal, start->memo.rows,
                               start->memo.columns);
    if (r == 0)
        r = cl_pipes_own(sandbox, given, op->child);
    if (r == 0)
        r = send_stdio(op, plain, given->fds);
    if (r < 0)
        cl_pipes_drop(sandbox, record);
    return r == -EPIPE || r == -ENOENT ? -ESRCH : r; /* its exit follows */
}

void cl_op_start(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    const struct cl_wire_start *start = &packet->u.start;
    struct cl_op *op = find_blocked(sandbox, start->container);
    struct cl_op given = {.sock = -1, .slip = -1};
    int r = take_fds(sandbox, packet, 0, &given);

    if (r == 0 &&
        (cl_wire_stdio_check(start->stdio, &start->memo, given.fd_count) < 0 || start->memo.extra_count != 0 ||
         (op != NULL && !terminal_fits(op->plan, start->stdio, &start->memo, 0))))
        r = -EBADMSG;
    else if (r == 0 && op == NULL)
        r = cl_container_find(&sandbox->containers, start->container) ? -EALREADY : -ESRCH;
    if (r == 0)
        r = give_stdio(sandbox, op, start, &given);
    if (r < 0) {
        refuse(sandbox, packet, r, r == -EBADMSG ? "message" : "container", "");
    } else {
        op->request = CL_WIRE_START;
        op->serial = packet->u.head.serial;
    }
    for (uint32_t i = 0; i < given.fd_count; i++)
        cl_drop_fd(&given.fds[i]);
    free(given.fds);
}

void cl_op_cancel(struct cl_sandbox *sandbox, const struct cl_wire_cancel *cancel)
{
    struct cl_wire_answer answer;
    struct cl_op *op = sandbox->ops;

    while (op != NULL && (op->serial != cancel->target || cancel->target == 0))
        op = op->next;
    cl_wire_init(&answer, CL_WIRE_ANSWER, cancel->head.serial);
    answer.request = CL_WIRE_CANCEL;
    answer.os_errno = op ? 0 : ESRCH;
    cl_sandbox_answer(sandbox, &answer, -1);
    if (op != NULL) {
        cl_op_fail(op, ECANCELED, "cancel", "");
        cl_op_settle(sandbox, op);
    }
}

/* Settled when what they made has been reaped. */
void cl_ops_lose(struct cl_sandbox *sandbox)
{
    for (struct cl_op *op = sandbox->ops; op != NULL; op = op->next)
        if (op->request == CL_WIRE_EXEC && op->serial != 0)
            cl_op_fail(op, ECANCELED, "cancel", "");
}
