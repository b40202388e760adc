/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - is this a message, of which version, and what does it say of a process's descriptors? Pure functions over
 * bytes, run by both ends.
 */
#include "common/keeper/wire.h"

#include <errno.h>
#include <string.h>

#define VERSIONS (CL_WIRE_VERSION - CL_WIRE_VERSION_MIN + 1)

#define SINCE_2(size)    \
    {                    \
        size, size, size \
    }
#define SINCE_3(size) \
    {                 \
        0, size, size \
    }
#define SINCE_4(size) \
    {                 \
        0, 0, size    \
    }
/* Version 3 added a memo, version 4 to the memo. */
#define WITH_MEMO(type)                                                                                \
    {                                                                                                  \
        offsetof(type, memo), offsetof(type, memo) + offsetof(struct cl_wire_memo, rows), sizeof(type) \
    }

/* Bytes in each version from CL_WIRE_VERSION_MIN on; 0 = unknown to it. Messages only grow at their end. */
static const struct {
    uint32_t type;
    uint32_t size[VERSIONS];
} messages[] = {
    {CL_WIRE_HELLO,
     {offsetof(struct cl_wire_hello, resume_ns), sizeof(struct cl_wire_hello), sizeof(struct cl_wire_hello)}},
    {CL_WIRE_FDS, SINCE_2(sizeof(struct cl_wire_simple))},
    {CL_WIRE_CREATE, WITH_MEMO(struct cl_wire_create)},
    {CL_WIRE_START, WITH_MEMO(struct cl_wire_start)},
    {CL_WIRE_EXEC, WITH_MEMO(struct cl_wire_exec)},
    {CL_WIRE_SIGNAL, SINCE_2(sizeof(struct cl_wire_signal))},
    {CL_WIRE_RELEASE, SINCE_2(sizeof(struct cl_wire_release))},
    {CL_WIRE_STATUS, SINCE_2(sizeof(struct cl_wire_simple))},
    {CL_WIRE_CANCEL, SINCE_2(sizeof(struct cl_wire_cancel))},
    {CL_WIRE_DESTROY, SINCE_2(sizeof(struct cl_wire_simple))},
    {CL_WIRE_LIST, SINCE_3(sizeof(struct cl_wire_simple))},
    {CL_WIRE_TAPE, SINCE_3(sizeof(struct cl_wire_process))},
    {CL_WIRE_STDIN, SINCE_3(sizeof(struct cl_wire_process))},
    {CL_WIRE_STDIN_CLOSE, SINCE_3(sizeof(struct cl_wire_process))},
    {CL_WIRE_POLICY, SINCE_3(sizeof(struct cl_wire_policy))},
    {CL_WIRE_RESIZE, SINCE_4(sizeof(struct cl_wire_resize))},
    {CL_WIRE_FILE_PUT, SINCE_4(sizeof(struct cl_wire_file_put))},
    {CL_WIRE_PROCEED, SINCE_4(sizeof(struct cl_wire_proceed))},
    {CL_WIRE_ENTER, SINCE_4(sizeof(struct cl_wire_process))},
    {CL_WIRE_ANSWER,
     {offsetof(struct cl_wire_answer, uid), offsetof(struct cl_wire_answer, uid), sizeof(struct cl_wire_answer)}},
    {CL_WIRE_EXIT, SINCE_2(sizeof(struct cl_wire_exit))},
    {CL_WIRE_DOWN, SINCE_2(sizeof(struct cl_wire_down))},
    {CL_WIRE_WARNING, SINCE_2(sizeof(struct cl_wire_warning))},
    {CL_WIRE_DRAINED, {0, offsetof(struct cl_wire_drained, container), sizeof(struct cl_wire_drained)}},
    {CL_WIRE_POINT, SINCE_4(sizeof(struct cl_wire_point))},
};

size_t cl_wire_size_at(uint32_t type, uint32_t version)
{
    if (version < CL_WIRE_VERSION_MIN || version > CL_WIRE_VERSION)
        return 0;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        if (messages[i].type == type)
            return messages[i].size[version - CL_WIRE_VERSION_MIN];
    return 0;
}

size_t cl_wire_message_size(uint32_t type)
{
    return cl_wire_size_at(type, CL_WIRE_VERSION);
}

static int size_ok(uint32_t type, size_t size)
{
    for (uint32_t version = CL_WIRE_VERSION_MIN; version <= CL_WIRE_VERSION; version++)
        if (cl_wire_size_at(type, version) == size)
            return 1;
    return 0;
}

int cl_wire_message_check(const void *data, size_t size, uint32_t fds)
{
    struct cl_wire_head head;

    if (size < sizeof(head) || size > CL_WIRE_MESSAGE_MAX)
        return -EBADMSG;
    memcpy(&head, data, sizeof(head));
    if (head.magic != CL_WIRE_MAGIC || head.size != size || head.fds != fds || fds > CL_WIRE_FDS_MAX)
        return -EBADMSG;
    return size_ok(head.type, size) ? 0 : -EBADMSG;
}

/* What a kind of descriptor brings along: input has no policy, and a terminal belongs to the process's user anyway. */
static int pipe_ok(uint32_t index, const struct cl_wire_pipe *pipe, uint32_t kind)
{
    int is_pipe = kind == CL_WIRE_STDIO_PIPE;
    int is_tape = index > 0 && (is_pipe || (kind == CL_WIRE_STDIO_TERMINAL && index == 1));

    if (!is_pipe && pipe->owner_uid != 0)
        return 0;
    if (!is_tape)
        return pipe->policy == 0 && pipe->window == 0;
    return pipe->policy <= CL_TAPE_DISCARD && pipe->window <= CL_TAPE_WINDOW_MAX;
}

static int entry_ok(uint32_t index, const struct cl_wire_stdio *entry, uint32_t fds)
{
    switch (entry->kind) {
    case CL_WIRE_STDIO_NULL:
    case CL_WIRE_STDIO_PIPE:
    case CL_WIRE_STDIO_TERMINAL:
        return entry->fd == CL_WIRE_NO_FD;
    case CL_WIRE_STDIO_DESCRIPTOR:
        return entry->fd < fds;
    case CL_WIRE_STDIO_SAME:
        return entry->fd < index;
    default:
        return 0;
    }
}

static int extras_ok(const struct cl_wire_memo *memo, uint32_t fds)
{
    static const struct cl_wire_extra none;
    uint8_t seen[CL_WIRE_EXTRA_NUMBER_MAX + 1] = {0};

    if (memo->extra_count > CL_WIRE_EXTRA_MAX || memo->reserved != 0)
        return 0;
    for (uint32_t i = 0; i < memo->extra_count; i++) {
        uint32_t number = memo->extra[i].number;

        if (number < 3 || number > CL_WIRE_EXTRA_NUMBER_MAX || seen[number]++ || memo->extra[i].fd >= fds)
            return 0;
    }
    for (uint32_t i = memo->extra_count; i < CL_WIRE_EXTRA_MAX; i++)
        if (memcmp(&memo->extra[i], &none, sizeof(none)) != 0)
            return 0;
    return 1;
}

int cl_wire_window_ok(uint32_t rows, uint32_t columns)
{
    return rows <= UINT16_MAX && columns <= UINT16_MAX && (rows == 0) == (columns == 0);
}

static int memo_ok(const struct cl_wire_memo *memo, uint32_t fds)
{
    return memo->name_size <= CL_WIRE_NAME_MAX && memo->tag_size <= CL_WIRE_TAG_MAX &&
           memchr(memo->name, '\0', memo->name_size) == NULL && cl_wire_window_ok(memo->rows, memo->columns) &&
           extras_ok(memo, fds);
}

int cl_wire_stdio_check(const struct cl_wire_stdio *stdio, const struct cl_wire_memo *memo, uint32_t fds)
{
    uint32_t terminals = 0;

    if (!memo_ok(memo, fds))
        return -EBADMSG;
    for (uint32_t i = 0; i < 3; i++) {
        if (!entry_ok(i, &stdio[i], fds) || !pipe_ok(i, &memo->pipe[i], stdio[i].kind))
            return -EBADMSG;
        terminals += stdio[i].kind == CL_WIRE_STDIO_TERMINAL;
    }
    return terminals == 0 || terminals == 3 ? 0 : -EBADMSG;
}

int cl_wire_entry_next(const void *list, size_t size, size_t *io_at, const struct cl_wire_entry **ret_entry)
{
    const struct cl_wire_entry *entry;
    size_t left = size - *io_at;

    if (*io_at == size)
        return 0;
    if (*io_at > size || *io_at % 8 != 0 || left < sizeof(*entry))
        return -EBADMSG;
    entry = (const struct cl_wire_entry *)(const void *)((const char *)list + *io_at);
    if (entry->size % 8 != 0 || entry->size > left || entry->name_size > CL_WIRE_NAME_MAX ||
        entry->tag_size > CL_WIRE_TAG_MAX || entry->size < sizeof(*entry) + entry->name_size + entry->tag_size)
        return -EBADMSG;
    *io_at += entry->size;
    *ret_entry = entry;
    return 1;
}
