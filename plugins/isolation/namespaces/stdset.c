/* SPDX-License-Identifier: Apache-2.0 */
/* stdset.c - see stdset.h. */
#include "stdset.h"

#include <errno.h>
#include <fcntl.h>

void ns_stdio_init(struct ns_stdio *stdio)
{
    memset(stdio, 0, sizeof(*stdio));
    for (int i = 0; i < 3; i++) {
        stdio->kind[i] = CL_WIRE_STDIO_NULL;
        stdio->fd[i] = -1;
    }
}

void ns_stdio_reset(struct ns_stdio *stdio)
{
    struct ns_stdio empty;

    ns_stdio_init(&empty);
    for (int i = 0; i < 3; i++)
        if (stdio->fd[i] >= 0)
            close(ns_steal_fd(&stdio->fd[i]));
    empty.extra_count = stdio->extra_count;
    memcpy(empty.extra, stdio->extra, sizeof(empty.extra));
    *stdio = empty;
}

void ns_stdio_clear(struct ns_stdio *stdio)
{
    ns_stdio_reset(stdio);
    while (stdio->extra_count > 0)
        close(stdio->extra[--stdio->extra_count].fd);
}

static const struct cloister_stdio *entry(const struct cloister_stdio *list, uint64_t i, uint64_t element_size)
{
    return (const void *)((const char *)list + i * element_size);
}

static int os_failed(const struct ns_reader *r, const char *what)
{
    r->log->error_set(r->err, CLOISTER_LIMIT, errno, "stdio", "stdio", "%s", what);
    return -1;
}

/* EOF for a reader, EPIPE for a writer. */
static int closed_pipe(const struct ns_reader *r, int child, int *ret)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return os_failed(r, "make a pipe");
    *ret = ends[child == 0 ? 0 : 1];
    close(ends[child == 0 ? 1 : 0]);
    return 0;
}

/* Of a pipe that the keeper makes there is nothing to copy yet: it copies. */
static int same_as(const struct ns_reader *r, int32_t other, struct ns_stdio *stdio, int child)
{
    if (other < 0 || other >= child)
        return ns_refuse_at(r, CLOISTER_INVALID, "stdio", "descriptor %d can only be the same as one before it", child);
    if (stdio->kind[other] == CL_WIRE_STDIO_PIPE || stdio->kind[other] == CL_WIRE_STDIO_SAME) {
        stdio->kind[child] = CL_WIRE_STDIO_SAME;
        stdio->same[child] = stdio->kind[other] == CL_WIRE_STDIO_SAME ? stdio->same[other] : (uint32_t)other;
        return 0;
    }
    stdio->kind[child] = stdio->kind[other];
    if (stdio->fd[other] < 0)
        return 0;
    stdio->fd[child] = fcntl(stdio->fd[other], F_DUPFD_CLOEXEC, 3);
    return stdio->fd[child] < 0 ? os_failed(r, "copy a descriptor") : 0;
}

uint32_t ns_policy(uint32_t policy)
{
    static const uint32_t policies[] = {[CLOISTER_POLICY_BLOCK] = CL_TAPE_BLOCK,
                                        [CLOISTER_POLICY_DROP] = CL_TAPE_DROP,
                                        [CLOISTER_POLICY_DISCARD] = CL_TAPE_DISCARD};

    return policy < sizeof(policies) / sizeof(*policies) ? policies[policy] : NS_NO_POLICY;
}

/* A window and a policy are those of captured output: a pipe to stdin has none. */
static int pipe_of(const struct ns_reader *r, const struct cloister_stdio *from, int child, struct ns_stdio *stdio)
{
    if (ns_policy(from->policy) == NS_NO_POLICY)
        return ns_refuse_at(r, CLOISTER_INVALID, "stdio", "%u is not a policy", from->policy);
    if (from->window > CL_TAPE_WINDOW_MAX)
        return ns_refuse_at(r, CLOISTER_INVALID, "stdio", "the window of descriptor %d is above %llu bytes", child,
                            (unsigned long long)CL_TAPE_WINDOW_MAX);
    stdio->kind[child] = CL_WIRE_STDIO_PIPE;
    if (child > 0)
        stdio->pipe[child] = (struct cl_wire_pipe){.policy = ns_policy(from->policy), .window = from->window};
    return 0;
}

/* The first entry says how big it is, the second how what is written to it is captured. */
static int terminal_of(const struct ns_reader *r, const struct cloister_stdio *from, int child, struct ns_stdio *stdio)
{
    stdio->kind[child] = CL_WIRE_STDIO_TERMINAL;
    if (child == 0) {
        if (!cl_wire_window_ok(from->rows, from->columns))
            return ns_refuse_at(r, CLOISTER_INVALID, "stdio", "%u rows and %u columns are no size of a terminal",
                                from->rows, from->columns);
        stdio->rows = from->rows;
        stdio->columns = from->columns;
    }
    if (child != 1)
        return 0;
    if (pipe_of(r, from, child, stdio) < 0)
        return -1;
    stdio->kind[child] = CL_WIRE_STDIO_TERMINAL;
    return 0;
}

static int take_one(const struct ns_reader *r, const struct cloister_stdio *from, int child, struct ns_stdio *stdio)
{
    switch (from->kind) {
    case CLOISTER_STDIO_NULL:
        return 0;
    case CLOISTER_STDIO_DESCRIPTOR:
        if (stdio->fd[child] < 0)
            return ns_refuse_at(r, CLOISTER_INVALID, "stdio", "descriptor %d is missing", child);
        stdio->kind[child] = CL_WIRE_STDIO_DESCRIPTOR;
        return 0;
    case CLOISTER_STDIO_CLOSED:
        stdio->kind[child] = CL_WIRE_STDIO_DESCRIPTOR;
        return closed_pipe(r, child, &stdio->fd[child]);
    case CLOISTER_STDIO_PIPE:
        return pipe_of(r, from, child, stdio);
    case CLOISTER_STDIO_PTY:
        return terminal_of(r, from, child, stdio);
    case CLOISTER_STDIO_SAME_AS:
        return same_as(r, from->fd, stdio, child);
    default:
        return ns_refuse_at(r, CLOISTER_UNSUPPORTED, "stdio", "kind %u of descriptor %d is not supported", from->kind,
                            child);
    }
}

static unsigned count_terminals(const struct ns_stdio *stdio)
{
    unsigned count = 0;

    for (int i = 0; i < 3; i++)
        count += stdio->kind[i] == CL_WIRE_STDIO_TERMINAL;
    return count;
}

int ns_stdio_take(const struct ns_reader *r, const struct cloister_stdio *list, uint64_t count, uint64_t element_size,
                  struct ns_stdio *ret)
{
    int rc = 0;

    ns_stdio_init(ret);
    /* Ours first, all of them, so that no failure below loses one. */
    for (uint64_t i = 0; i < count; i++) {
        const struct cloister_stdio *one = entry(list, i, element_size);

        if (one->kind != CLOISTER_STDIO_DESCRIPTOR || one->fd < 0)
            continue;
        if (i < 3)
            ret->fd[i] = one->fd;
        else
            close(one->fd);
    }
    if (count > 3)
        rc = ns_refuse_at(r, CLOISTER_UNSUPPORTED, "stdio", "more than three descriptors are not supported");
    for (int i = 0; i < 3 && (uint64_t)i < count && rc == 0; i++)
        rc = take_one(r, entry(list, (uint64_t)i, element_size), i, ret);
    if (rc == 0 && count_terminals(ret) % 3 != 0)
        rc = ns_refuse_at(r, CLOISTER_INVALID, "stdio", "a terminal is descriptors 0, 1 and 2, or none of them");
    if (rc < 0)
        ns_stdio_clear(ret);
    return rc;
}

static int check_extra(const struct ns_reader *r, const struct ns_stdio *stdio)
{
    for (uint32_t i = 0; i < stdio->extra_count; i++) {
        uint32_t number = stdio->extra[i].number;

        if (number < 3 || number > CL_WIRE_EXTRA_NUMBER_MAX)
            return ns_refuse_at(r, CLOISTER_INVALID, "extra", "%u is not a number from 3 to %u", number,
                                CL_WIRE_EXTRA_NUMBER_MAX);
        for (uint32_t k = 0; k < i; k++)
            if (stdio->extra[k].number == number)
                return ns_refuse_at(r, CLOISTER_INVALID, "extra", "descriptor %u is given twice", number);
    }
    return 0;
}

static int take_extra(const struct ns_reader *r, const struct cloister_process_args *process, struct ns_stdio *stdio)
{
    uint64_t open = 0;

    for (uint64_t i = 0; i < process->extra_count; i++) {
        const struct cloister_extra_fd *one = (const void *)((const char *)process->extra + i * process->extra_size);

        if (one->fd < 0)
            continue;
        if (open++ >= CL_WIRE_EXTRA_MAX) {
            close(one->fd);
            continue;
        }
        stdio->extra[stdio->extra_count].number = one->number;
        stdio->extra[stdio->extra_count++].fd = one->fd;
    }
    if (open != process->extra_count)
        return ns_refuse_at(r, CLOISTER_INVALID, "extra", "a descriptor is missing");
    if (open > CL_WIRE_EXTRA_MAX)
        return ns_refuse_at(r, CLOISTER_LIMIT, "extra", "more than %u further descriptors", CL_WIRE_EXTRA_MAX);
    return check_extra(r, stdio);
}

int ns_stdio_take_process(const struct ns_reader *r, const struct cloister_process_args *process, struct ns_stdio *ret)
{
    struct cloister_error unused = CLOISTER_ERROR_INIT;
    struct ns_reader again = {r->log, r->value, &unused};
    int rc = ns_stdio_take(r, process->stdio, process->stdio_count, process->stdio_size, ret);

    /* Taken in any case: the first error counts. */
    rc = take_extra(rc < 0 ? &again : r, process, ret) < 0 ? -1 : rc;
    if (rc < 0)
        ns_stdio_clear(ret);
    return rc;
}

bool ns_stdio_has_terminal(const struct ns_stdio *stdio)
{
    return stdio->kind[0] == CL_WIRE_STDIO_TERMINAL;
}

int ns_stdio_fits(const struct ns_reader *r, const struct ns_stdio *stdio, const struct cl_wire_plan *plan)
{
    bool has = ns_stdio_has_terminal(stdio);

    if (has == ((plan->flags & CL_WIRE_PLAN_TERMINAL) != 0))
        return 0;
    return ns_refuse(r, CLOISTER_INVALID, "process.terminal",
                     has ? "must be true: descriptors 0, 1 and 2 are a terminal"
                         : "must not be true: descriptors 0, 1 and 2 are none");
}

const char *ns_stdio_too_new(const struct ns_stdio *stdio, uint32_t version)
{
    if (version < 4 && ns_stdio_has_terminal(stdio))
        return "terminals";
    if (version < 4 && stdio->extra_count > 0)
        return "further descriptors";
    for (int i = 0; version < 3 && i < 3; i++)
        if (stdio->kind[i] == CL_WIRE_STDIO_PIPE)
            return "pipes";
    return NULL;
}

void ns_stdio_move(struct ns_stdio *stdio, int *fds, uint32_t *io_count, uint32_t uid, struct cl_wire_stdio ret[3],
                   struct cl_wire_memo *ret_memo)
{
    for (int i = 0; i < 3; i++) {
        ret[i] = (struct cl_wire_stdio){stdio->kind[i], CL_WIRE_NO_FD};
        if (stdio->kind[i] == CL_WIRE_STDIO_SAME)
            ret[i].fd = stdio->same[i];
        if (stdio->kind[i] == CL_WIRE_STDIO_PIPE) {
            ret_memo->pipe[i] = stdio->pipe[i];
            ret_memo->pipe[i].owner_uid = uid;
        }
        if (stdio->kind[i] != CL_WIRE_STDIO_DESCRIPTOR)
            continue;
        ret[i].fd = *io_count;
        fds[(*io_count)++] = ns_steal_fd(&stdio->fd[i]);
    }
    if (ns_stdio_has_terminal(stdio)) {
        ret_memo->pipe[1] = stdio->pipe[1];
        ret_memo->rows = stdio->rows;
        ret_memo->columns = stdio->columns;
    }
    for (; ret_memo->extra_count < stdio->extra_count; ret_memo->extra_count++) {
        uint32_t i = ret_memo->extra_count;

        ret_memo->extra[i] = (struct cl_wire_extra){.number = stdio->extra[i].number, .fd = *io_count};
        fds[(*io_count)++] = stdio->extra[i].fd;
    }
    stdio->extra_count = 0;
}

void ns_memo_size(struct cl_wire_memo *memo, const struct ns_compile *c)
{
    if (memo->rows != 0)
        return;
    memo->rows = c->rows;
    memo->columns = c->columns;
}

int ns_memo_set(const struct ns_reader *r, struct cl_wire_memo *memo, struct cloister_sv name,
                const struct cloister_process_args *process)
{
    struct cloister_sv tag = process ? process->tag : (struct cloister_sv){NULL, 0};

    if (name.size > CL_WIRE_NAME_MAX || (name.size > 0 && memchr(name.data, 0, name.size)))
        return ns_refuse(r, CLOISTER_INVALID, "name", "must be at most %u bytes without NUL", CL_WIRE_NAME_MAX);
    if (tag.size > CL_WIRE_TAG_MAX)
        return ns_refuse(r, CLOISTER_TOO_BIG, "tag", "is longer than %u bytes", CL_WIRE_TAG_MAX);
    memo->name_size = (uint32_t)name.size;
    memo->tag_size = (uint32_t)tag.size;
    if (name.size > 0)
        memcpy(memo->name, name.data, name.size);
    if (tag.size > 0)
        memcpy(memo->tag, tag.data, tag.size);
    if (process) {
        memo->drain_idle_ns = process->drain_idle;
        memo->drain_max_ns = process->drain_max;
    }
    return 0;
}
