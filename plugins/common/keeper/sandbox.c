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

void cl_sandbox_lose(struct cl_sandbox *sandbox)
{
    cl_drop_fd(&sandbox->control);
    cl_out_clear(&sandbox->out);
    for (uint32_t i = 0; i < sandbox->staged_count; i++)
        close(sandbox->staged[i]);
    sandbox->staged_count = 0;
}

static void push(struct cl_sandbox *sandbox, const void *message, int fd)
{
    if (sandbox->control < 0)
        cl_closep(&fd);
    else if (cl_out_push(&sandbox->out, message, fd) < 0)
        cl_sandbox_lose(sandbox); /* out of memory: a silent gap would be worse than a lost connection */
}

void cl_sandbox_answer(struct cl_sandbox *sandbox, const struct cl_wire_answer *answer, int fd)
{
    push(sandbox, answer, fd);
}

void cl_sandbox_tell(struct cl_sandbox *sandbox, const void *message)
{
    push(sandbox, message, -1);
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
    if (fcntl(control, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    sandbox->signals = open_signals();
    if (sandbox->signals < 0)
        return sandbox->signals;
    sandbox->null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (sandbox->null < 0)
        return -errno;
    return cl_procfs_make(&sandbox->proc);
}

/* Which descriptor a slot of the poll set stands for. */
struct watch {
    struct pollfd poll[4 + CL_STRANGERS_MAX + CL_OPS_MAX];
    struct cl_op *op[4 + CL_STRANGERS_MAX + CL_OPS_MAX];
    nfds_t count;
};

enum { SLOT_CONTROL = 0, SLOT_LISTENER = 1, SLOT_SIGNALS = 2, SLOT_STRANGER = 3 };

/* poll skips negative descriptors, so each fixed slot can be there always. */
static void fill(const struct cl_sandbox *sandbox, struct watch *watch)
{
    short control = (short)((sandbox->out.count < OUT_MAX ? POLLIN : 0) | (sandbox->out.first ? POLLOUT : 0));

    watch->poll[SLOT_CONTROL] = (struct pollfd){.fd = sandbox->control, .events = control};
    watch->poll[SLOT_LISTENER] = (struct pollfd){.fd = sandbox->listener, .events = POLLIN};
    watch->poll[SLOT_SIGNALS] = (struct pollfd){.fd = sandbox->signals, .events = POLLIN};
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

/* The last words may meet a full socket: here, and only here, we wait for the daemon. */
static int end(struct cl_sandbox *sandbox)
{
    struct cl_wire_answer answer;

    cl_wire_init(&answer, CL_WIRE_ANSWER, sandbox->destroying);
    answer.request = CL_WIRE_DESTROY;
    cl_sandbox_answer(sandbox, &answer, -1);
    for (flush(sandbox); sandbox->control >= 0 && sandbox->out.first != NULL; flush(sandbox)) {
        struct pollfd wait = {.fd = sandbox->control, .events = POLLOUT};

        poll(&wait, 1, -1);
    }
    return 0;
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
        /* Even with nothing to say we look again while destroying: a frozen or stuck process may be let go at any time.
         */
        if (poll(watch.poll, watch.count, sandbox->destroying ? 100 : -1) < 0 && errno != EINTR)
            return 1;
        serve(sandbox, &watch);
        if (sandbox->destroying)
            kill(-1, SIGKILL);
        int childless = cl_reap(sandbox);

        if (sandbox->destroying && childless && sandbox->ops == NULL)
            return end(sandbox);
        if (childless && is_idle(sandbox))
            return 0;
    }
}
