/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.c - the keeper of one sandbox: pid 1 of its pid namespace, parent of every process in it, one loop of poll.
 *
 * It outlives the daemon. What it knows it keeps in its own memory (records.h); the control connection may come and go.
 * It never waits for anything but the next event: mounts, joins and look-ups are done by the processes it forks. Its
 * own death ends everything in the sandbox, because the kernel kills a pid namespace with its first process.
 */
#include "common/keeper/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"
#include "common/keeper/op.h"
#include "common/keeper/procfs.h"

/* No request is read while this many answers wait: the daemon's own pace limits what we hold. */
#define OUT_MAX 256u

/* Zeroed memory of the program: the record table costs pages only as it is used. */
static struct cl_sandbox keeper;

void cl_sandbox_connect(struct cl_sandbox *sandbox, int sock, uint32_t version)
{
    sandbox->control = sock;
    sandbox->version = version;
    cl_tapes_connect(&sandbox->tapes);
}

/* The daemon has closed its end, or is dead. */
static int hung_up(int control)
{
    struct pollfd look = {.fd = control};

    return poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR));
}

void cl_sandbox_lose(struct cl_sandbox *sandbox)
{
    int alive = !hung_up(sandbox->control);

    cl_drop_fd(&sandbox->control);
    cl_out_clear(&sandbox->out);
    for (uint32_t i = 0; i < sandbox->staged_count; i++)
        close(sandbox->staged[i]);
    sandbox->staged_count = 0;
    cl_ops_lose(sandbox);
    cl_tapes_lose(&sandbox->tapes, alive);
}

/*
 * The queue has its bounds without counting: no request is read while OUT_MAX answers wait, and of events there are at
 * most an exit and a drained for each record, which only the daemon can release.
 */
static void push(struct cl_sandbox *sandbox, const void *message, const int *fds, uint32_t n)
{
    const struct cl_wire_head *head = message;
    size_t size = cl_wire_size_at(head->type, sandbox->version);

    if (sandbox->control < 0 || size == 0) {
        for (uint32_t i = 0; i < n; i++)
            close(fds[i]);
        return;
    }
    if (cl_out_push(&sandbox->out, message, size, fds, n) < 0)
        cl_sandbox_lose(sandbox); /* out of memory: a silent gap would be worse than a lost connection */
}

void cl_sandbox_answer_fds(struct cl_sandbox *sandbox, const struct cl_wire_answer *answer, const int *fds, uint32_t n)
{
    push(sandbox, answer, fds, n);
}

void cl_sandbox_answer(struct cl_sandbox *sandbox, const struct cl_wire_answer *answer, int fd)
{
    push(sandbox, answer, &fd, fd >= 0 ? 1 : 0);
}

void cl_sandbox_tell(struct cl_sandbox *sandbox, const void *message)
{
    push(sandbox, message, NULL, 0);
}

void cl_sandbox_tell_fd(struct cl_sandbox *sandbox, const void *message, int fd)
{
    push(sandbox, message, &fd, 1);
}

static int open_signals(void)
{
    sigset_t all;
    sigset_t child;

    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return -errno;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

/* Four descriptors a process, when all of its stdio is captured. */
static void raise_files(struct cl_sandbox *sandbox)
{
    struct rlimit all;

    if (getrlimit(RLIMIT_NOFILE, &sandbox->files) < 0)
        return;
    all = (struct rlimit){sandbox->files.rlim_max, sandbox->files.rlim_max};
    setrlimit(RLIMIT_NOFILE, &all);
}

static int begin(struct cl_sandbox *sandbox, int control)
{
    sandbox->control = control;
    sandbox->listener = -1;
    sandbox->proc = -1;
    for (uint32_t i = 0; i < CL_STRANGERS_MAX; i++)
        sandbox->stranger[i] = -1;
    cl_out_init(&sandbox->out);
    prctl(PR_SET_NAME, "cl-keeper", 0, 0, 0);
    setsid();
    raise_files(sandbox);
    if (fcntl(control, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    sandbox->signals = open_signals();
    if (sandbox->signals < 0)
        return sandbox->signals;
    sandbox->null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (sandbox->null < 0)
        return -errno;
    int r = cl_tapes_init(&sandbox->tapes, sandbox->null);

    return r < 0 ? r : cl_procfs_make(&sandbox->proc);
}

enum { SLOT_CONTROL, SLOT_LISTENER, SLOT_SIGNALS, SLOT_TAPES, SLOT_KICK, SLOT_STRANGER };

/* Which descriptor a slot of the poll set stands for. */
struct watch {
    struct pollfd poll[SLOT_STRANGER + CL_STRANGERS_MAX + CL_OPS_MAX];
    struct cl_op *op[SLOT_STRANGER + CL_STRANGERS_MAX + CL_OPS_MAX];
    nfds_t count;
};

/* poll skips negative descriptors, so each fixed slot can be there always. */
static void fill(const struct cl_sandbox *sandbox, struct watch *watch)
{
    short control = (short)((sandbox->out.count < OUT_MAX ? POLLIN : 0) | (sandbox->out.first ? POLLOUT : 0));

    watch->poll[SLOT_CONTROL] = (struct pollfd){.fd = sandbox->control, .events = control};
    watch->poll[SLOT_LISTENER] = (struct pollfd){.fd = sandbox->listener, .events = POLLIN};
    watch->poll[SLOT_SIGNALS] = (struct pollfd){.fd = sandbox->signals, .events = POLLIN};
    watch->poll[SLOT_TAPES] = (struct pollfd){.fd = sandbox->tapes.epoll, .events = POLLIN};
    watch->poll[SLOT_KICK] = (struct pollfd){.fd = sandbox->tapes.to_keeper, .events = POLLIN};
    for (uint32_t i = 0; i < CL_STRANGERS_MAX; i++)
        watch->poll[SLOT_STRANGER + i] = (struct pollfd){.fd = sandbox->stranger[i], .events = POLLIN};
    watch->count = SLOT_STRANGER + CL_STRANGERS_MAX;
    for (struct cl_op *op = sandbox->ops; op != NULL; op = op->next) {
        if (op->eof)
            continue; /* waits to be reaped, which SIGCHLD tells */
        watch->op[watch->count] = op;
        watch->poll[watch->count++] = (struct pollfd){.fd = op->sock, .events = POLLIN};
    }
}

static int is_op(const struct cl_sandbox *sandbox, const struct cl_op *wanted)
{
    const struct cl_op *op = sandbox->ops;

    while (op != NULL && op != wanted)
        op = op->next;
    return op != NULL;
}

static void read_control(struct cl_sandbox *sandbox)
{
    int r = 0;

    while (r == 0 && sandbox->control >= 0 && sandbox->out.count < OUT_MAX)
        r = cl_control_read(sandbox);
    if (r < 0 && r != -EAGAIN)
        cl_sandbox_lose(sandbox);
}

/* Operations first: a process's answer goes out before its exit. */
static void serve(struct cl_sandbox *sandbox, const struct watch *watch)
{
    struct signalfd_siginfo info[8];

    for (nfds_t i = SLOT_STRANGER + CL_STRANGERS_MAX; i < watch->count; i++)
        if (watch->poll[i].revents && is_op(sandbox, watch->op[i]))
            cl_op_read(sandbox, watch->op[i]);
    if (watch->poll[SLOT_SIGNALS].revents)
        while (read(sandbox->signals, info, sizeof(info)) > 0)
            continue;
    for (uint32_t i = 0; i < CL_STRANGERS_MAX; i++)
        if (watch->poll[SLOT_STRANGER + i].revents)
            cl_hello_stranger(sandbox, i);
    if (watch->poll[SLOT_LISTENER].revents)
        cl_hello_accept(sandbox);
    if (watch->poll[SLOT_CONTROL].revents & (POLLIN | POLLHUP | POLLERR))
        read_control(sandbox);
}

/* Bounded turns, so that exits and requests are never far behind the output. */
static void serve_tapes(struct cl_sandbox *sandbox, const struct watch *watch)
{
    if (watch->poll[SLOT_KICK].revents)
        cl_tapes_kicked(&sandbox->tapes);
    if (watch->poll[SLOT_TAPES].revents)
        cl_tapes_serve(&sandbox->tapes);
    cl_tapes_due(&sandbox->tapes);
    cl_drain_tell(sandbox);
}

static int is_idle(const struct cl_sandbox *sandbox)
{
    if (sandbox->control >= 0 || sandbox->ops != NULL || sandbox->records.count != 0)
        return 0;
    for (uint32_t i = 0; i < CL_STRANGERS_MAX; i++)
        if (sandbox->stranger[i] >= 0)
            return 0;
    return 1;
}

static void flush(struct cl_sandbox *sandbox)
{
    if (sandbox->control >= 0 && cl_out_flush(&sandbox->out, sandbox->control) < 0)
        cl_sandbox_lose(sandbox);
}

void cl_sandbox_flush_all(struct cl_sandbox *sandbox)
{
    for (flush(sandbox); sandbox->control >= 0 && sandbox->out.first != NULL; flush(sandbox)) {
        struct pollfd wait = {.fd = sandbox->control, .events = POLLOUT};

        poll(&wait, 1, -1);
    }
}

/* The last words may meet a full socket, and then we wait for the daemon. */
static int end(struct cl_sandbox *sandbox)
{
    struct cl_wire_answer answer;

    cl_drain_all(sandbox);
    cl_wire_init(&answer, CL_WIRE_ANSWER, sandbox->destroying);
    answer.request = CL_WIRE_DESTROY;
    cl_sandbox_answer(sandbox, &answer, -1);
    cl_sandbox_flush_all(sandbox);
    return 0;
}

/* Even with nothing to say we look again while destroying: a frozen or stuck process may be let go at any time. */
static int wait_ms(const struct cl_sandbox *sandbox)
{
    int ms = cl_tapes_wait_ms(&sandbox->tapes);

    return sandbox->destroying && (ms < 0 || ms > 100) ? 100 : ms;
}

int cl_sandbox_run(int control)
{
    static struct watch watch;
    struct cl_sandbox *sandbox = &keeper;

    if (begin(sandbox, control) < 0)
        return 1;
    for (;;) {
        flush(sandbox);
        fill(sandbox, &watch);
        if (poll(watch.poll, watch.count, wait_ms(sandbox)) < 0 && errno != EINTR)
            return 1;
        serve(sandbox, &watch);
        if (sandbox->destroying)
            kill(-1, SIGKILL);
        int childless = cl_reap(sandbox);

        serve_tapes(sandbox, &watch);
        if (sandbox->destroying && childless && sandbox->ops == NULL)
            return end(sandbox);
        if (childless && is_idle(sandbox))
            return 0;
    }
}
