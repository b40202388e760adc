/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - is this a message, of which version, and what does it say of a process's descriptors? Pure functions over
 * bytes, run by both ends.
 */
#include "common/keeper/wire.h"

#include <errno.h>
#include <string.h>

#define VERSIONS (CL_WIRE_VERSION - CL_WIRE_VERSION_MIN + 1)

/* Bytes in each version from CL_WIRE_VERSION_MIN on; 0 = unknown to it. Messages only grow at their end. */
static const struct {
    uint32_t type;
    uint32_t size[VERSIONS];
} messages[] = {
    {CL_WIRE_HELLO, {offsetof(struct cl_wire_hello, resume_ns), sizeof(struct cl_wire_hello)}},
    {CL_WIRE_FDS, {sizeof(struct cl_wire_simple), sizeof(struct cl_wire_simple)}},
    {CL_WIRE_CREATE, {offsetof(struct cl_wire_create, memo), sizeof(struct cl_wire_create)}},
    {CL_WIRE_START, {offsetof(struct cl_wire_start, memo), sizeof(struct cl_wire_start)}},
    {CL_WIRE_EXEC, {offsetof(struct cl_wire_exec, memo), sizeof(struct cl_wire_exec)}},
    {CL_WIRE_SIGNAL, {sizeof(struct cl_wire_signal), sizeof(struct cl_wire_signal)}},
    {CL_WIRE_RELEASE, {sizeof(struct cl_wire_release), sizeof(struct cl_wire_release)}},
    {CL_WIRE_STATUS, {sizeof(struct cl_wire_simple), sizeof(struct cl_wire_simple)}},
    {CL_WIRE_CANCEL, {sizeof(struct cl_wire_cancel), sizeof(struct cl_wire_cancel)}},
    {CL_WIRE_DESTROY, {sizeof(struct cl_wire_simple), sizeof(struct cl_wire_simple)}},
    {CL_WIRE_LIST, {0, sizeof(struct cl_wire_simple)}},
    {CL_WIRE_TAPE, {0, sizeof(struct cl_wire_process)}},
    {CL_WIRE_STDIN, {0, sizeof(struct cl_wire_process)}},
    {CL_WIRE_STDIN_CLOSE, {0, sizeof(struct cl_wire_process)}},
    {CL_WIRE_POLICY, {0, sizeof(struct cl_wire_policy)}},
    {CL_WIRE_ANSWER, {sizeof(struct cl_wire_answer), sizeof(struct cl_wire_answer)}},
    {CL_WIRE_EXIT, {sizeof(struct cl_wire_exit), sizeof(struct cl_wire_exit)}},
    {CL_WIRE_DOWN, {sizeof(struct cl_wire_down), sizeof(struct cl_wire_down)}},
    {CL_WIRE_WARNING, {sizeof(struct cl_wire_warning), sizeof(struct cl_wire_warning)}},
    {CL_WIRE_DRAINED, {0, sizeof(struct cl_wire_drained)}},
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

static int pipe_ok(uint32_t index, const struct cl_wire_pipe *pipe, int given)
{
    static const struct cl_wire_pipe none;

    if (!given || index == 0) {
        struct cl_wire_pipe rest = *pipe;

        rest.owner_uid = given ? 0 : rest.owner_uid;
        return memcmp(&rest, &none, sizeof(none)) == 0;
    }
    return pipe->policy <= CL_TAPE_DISCARD && pipe->window <= CL_TAPE_WINDOW_MAX;
}

static int entry_ok(uint32_t index, const struct cl_wire_stdio *entry, uint32_t fds)
{
    switch (entry->kind) {
    case CL_WIRE_STDIO_NULL:
    case CL_WIRE_STDIO_PIPE:
        return entry->fd == CL_WIRE_NO_FD;
    case CL_WIRE_STDIO_DESCRIPTOR:
        return entry->fd < fds;
    case CL_WIRE_STDIO_SAME:
        return entry->fd < index;
    default:
        return 0;
    }
}

int cl_wire_stdio_check(const struct cl_wire_stdio *stdio, const struct cl_wire_memo *memo, uint32_t fds)
{
    if (memo->name_size > CL_WIRE_NAME_MAX || memo->tag_size > CL_WIRE_TAG_MAX ||
        memchr(memo->name, '\0', memo->name_size) != NULL)
        return -EBADMSG;
    for (uint32_t i = 0; i < 3; i++)
        if (!entry_ok(i, &stdio[i], fds) || !pipe_ok(i, &memo->pipe[i], stdio[i].kind == CL_WIRE_STDIO_PIPE))
            return -EBADMSG;
    return 0;
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
