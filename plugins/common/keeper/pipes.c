/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/procfs.h"
#include "common/keeper/terminal.h"

#define UID_MAP_MAX 16384u /* 340 lines of three numbers */

static int add_fd(struct cl_op *op, int fd, struct cl_wire_stdio *ret_entry)
{
    *ret_entry = (struct cl_wire_stdio){.kind = CL_WIRE_STDIO_DESCRIPTOR, .fd = op->fd_count};
    op->fds[op->fd_count++] = fd;
    return 0;
}

/* Two open file descriptions: that ours never waits is none of the process's business. */
static int make_input(struct cl_op *op, struct cl_wire_record *record, struct cl_beside *beside,
                      struct cl_wire_stdio *ret_entry)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    beside->input = ends[1];
    record->flags |= CL_WIRE_RECORD_STDIN;
    add_fd(op, ends[0], ret_entry);
    return fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_output(struct cl_sandbox *sandbox, struct cl_op *op, struct cl_wire_record *record,
                       struct cl_beside *beside, const struct cl_wire_memo *memo, uint32_t i,
                       struct cl_wire_stdio *ret_entry)
{
    int ends[2];
    int r = 0;

    if (beside->capture == NULL)
        r = cl_capture_new(&sandbox->tapes, record->pseq, memo, &beside->capture);
    if (r < 0)
        return r;
    record->flags |= CL_WIRE_RECORD_CAPTURED;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    add_fd(op, ends[1], ret_entry);
    return cl_capture_add(beside->capture, i, ends[0], &memo->pipe[i]);
}

/* There is nothing to read from until the process has made it. */
static int make_terminal(struct cl_sandbox *sandbox, struct cl_op *op, struct cl_wire_record *record,
                         struct cl_beside *beside, const struct cl_wire_memo *memo)
{
    int r = cl_capture_new(&sandbox->tapes, record->pseq, memo, &beside->capture);

    if (r < 0)
        return r;
    record->flags |= CL_WIRE_RECORD_CAPTURED;
    op->terminal = memo->pipe[1];
    return beside->terminal >= 0 ? cl_terminal_attach(beside, record, &memo->pipe[1]) : 0;
}

int cl_pipes_make(struct cl_sandbox *sandbox, struct cl_op *op, struct cl_wire_record *record,
                  const struct cl_wire_stdio stdio[3], const struct cl_wire_memo *memo,
                  struct cl_wire_stdio ret_stdio[3])
{
    struct cl_beside *beside = cl_records_beside(&sandbox->records, record);
    int r = 0;

    for (uint32_t i = 0; i < 3 && r == 0; i++) {
        op->pipe_owner[i] = stdio[i].kind == CL_WIRE_STDIO_PIPE ? memo->pipe[i].owner_uid : CL_WIRE_NO_FD;
        if (stdio[i].kind == CL_WIRE_STDIO_SAME)
            ret_stdio[i] = ret_stdio[stdio[i].fd];
        else if (stdio[i].kind != CL_WIRE_STDIO_PIPE)
            ret_stdio[i] = stdio[i];
        else if (i == 0)
            r = make_input(op, record, beside, &ret_stdio[i]);
        else
            r = make_output(sandbox, op, record, beside, memo, i, &ret_stdio[i]);
    }
    if (r == 0 && stdio[0].kind == CL_WIRE_STDIO_TERMINAL)
        r = make_terminal(sandbox, op, record, beside, memo);
    return r;
}

void cl_pipes_drop(struct cl_sandbox *sandbox, struct cl_wire_record *record)
{
    struct cl_beside *beside = cl_records_beside(&sandbox->records, record);

    cl_beside_close_input(beside, record);
    beside->input = CL_INPUT_NONE;
    if (beside->capture != NULL && beside->terminal >= 0)
        cl_reel_close(&beside->capture->reel[1]); /* whoever tries again reads it */
    if (beside->capture != NULL)
        cl_capture_release(beside->capture);
    beside->capture = NULL;
    record->flags &= ~CL_WIRE_RECORD_CAPTURED;
}

/* What an id inside is here; 0 if it is not mapped. */
static int map_id(const char *map, uint32_t inside, uid_t *ret_outside)
{
    unsigned long first, outside, count;
    int used = 0;

    for (; sscanf(map, "%lu %lu %lu%n", &first, &outside, &count, &used) == 3; map += used)
        if (inside >= first && inside - first < count) {
            *ret_outside = (uid_t)(outside + inside - first);
            return 1;
        }
    return 0;
}

/* Opening one's own /dev/stdout again is judged by the pipe's owner. A user that is not mapped is refused later, by
 * step "user". */
int cl_pipes_own(struct cl_sandbox *sandbox, const struct cl_op *op, pid_t pid)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, op->pseq);
    const struct cl_beside *beside = cl_records_beside(&sandbox->records, record);
    char path[48];
    char map[UID_MAP_MAX];
    int r = 0;

    if (beside->input < 0 && beside->capture == NULL)
        return 0;
    snprintf(path, sizeof(path), "%d/uid_map", pid);
    r = cl_procfs_read(sandbox->proc, path, map, sizeof(map));
    for (uint32_t i = 0; i < 3 && r >= 0; i++) {
        int fd = i == 0 ? beside->input : beside->capture ? beside->capture->reel[i].pipe : -1;
        uint32_t inside = op->resolved ? op->uid : op->pipe_owner[i];
        uid_t owner;

        if (op->pipe_owner[i] == CL_WIRE_NO_FD || fd < 0 || !map_id(map, inside, &owner))
            continue;
        if (fchown(fd, owner, (gid_t)-1) < 0)
            r = -errno;
    }
    return r < 0 ? r : 0;
}
