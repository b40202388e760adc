/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"

int cl_terminal_resize(int master, uint32_t rows, uint32_t columns)
{
    struct winsize size = {.ws_row = (uint16_t)rows, .ws_col = (uint16_t)columns};

    return ioctl(master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* Splice wants a pipe at one end. EIO: nobody has the other side open any more, and all that was written is read. */
ssize_t cl_terminal_move(const struct cl_reel *reel, off_t at, uint64_t size)
{
    static char bytes[64 << 10];
    ssize_t n = read(reel->pipe, bytes, size < sizeof(bytes) ? size : sizeof(bytes));

    if (n < 0 && errno == EIO)
        return 0;
    for (ssize_t done = 0; done < n && at >= 0;) {
        ssize_t m = pwrite(reel->capture->memfd, bytes + done, (size_t)(n - done), at + done);

        if (m < 0 && errno != EINTR)
            return -1;
        done += m > 0 ? m : 0;
    }
    return n;
}

/* A master cannot be opened twice, so all ends of ours share one file: none of them ever waits. */
int cl_terminal_attach(struct cl_beside *beside, struct cl_wire_record *record, const struct cl_wire_pipe *how)
{
    int tape = fcntl(beside->terminal, F_DUPFD_CLOEXEC, 3);

    if (tape < 0)
        return -errno;
    int r = cl_capture_add(beside->capture, 1, tape, how);

    if (r < 0)
        return r;
    beside->input = fcntl(beside->terminal, F_DUPFD_CLOEXEC, 3);
    if (beside->input < 0) {
        r = -errno;
        beside->input = CL_INPUT_NONE;
        return r;
    }
    record->flags |= CL_WIRE_RECORD_STDIN;
    return 0;
}

int cl_terminal_take(struct cl_sandbox *sandbox, struct cl_op *op, int *master)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);
    struct cl_beside *beside = cl_records_beside(&sandbox->records, record);
    int r = 0;

    if (*master < 0 || beside->terminal >= 0 || fcntl(*master, F_SETFL, O_NONBLOCK) < 0) {
        cl_op_fail(op, EPROTO, "terminal", "its master did not arrive");
        return -EPROTO;
    }
    beside->terminal = cl_steal_fd(master);
    if (op->rows != 0)
        r = cl_terminal_resize(beside->terminal, op->rows, op->columns);
    if (r == 0 && !op->block)
        r = cl_terminal_attach(beside, record, &op->terminal);
    if (r < 0)
        cl_op_fail(op, -r, "terminal", "capture what is written to it");
    return r;
}

/* One that is being made will have it. */
static int keep(const struct cl_sandbox *sandbox, const struct cl_wire_resize *wish)
{
    struct cl_op *op = sandbox->ops;

    while (op != NULL && op->pseq != wish->pseq)
        op = op->next;
    if (op == NULL || !(op->plan->flags & CL_WIRE_PLAN_TERMINAL))
        return -ENOTTY;
    op->rows = wish->rows;
    op->columns = wish->columns;
    return 0;
}

static int resize(struct cl_sandbox *sandbox, const struct cl_wire_resize *wish)
{
    const struct cl_wire_record *record = cl_records_find(&sandbox->records, wish->pseq);

    if (wish->rows == 0 || !cl_wire_window_ok(wish->rows, wish->columns))
        return -EINVAL;
    if (record == NULL || record->state == CL_WIRE_EXITED)
        return record ? -ESRCH : -ENOENT;
    const struct cl_beside *beside = cl_records_beside(&sandbox->records, record);

    return beside->terminal < 0 ? keep(sandbox, wish) : cl_terminal_resize(beside->terminal, wish->rows, wish->columns);
}

void cl_resize(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    cl_control_answer(sandbox, packet, resize(sandbox, &packet->u.resize), 0, NULL, 0);
}
