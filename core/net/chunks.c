/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/chunks.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/util/mem.h"

/* Small writes share a chunk, so that a thousand short messages are a few pieces and not a thousand allocations. */
#define CHUNK_MIN 4096u

struct cl_chunk {
    struct cl_list node;
    size_t start;
    size_t end;
    size_t capacity;
    char data[];
};

struct cl_chunk *cl_chunk_new(size_t capacity)
{
    if (capacity > SIZE_MAX - sizeof(struct cl_chunk))
        return NULL;
    struct cl_chunk *chunk = cl_malloc(sizeof(*chunk) + capacity);
    if (!chunk)
        return NULL;
    cl_list_init(&chunk->node);
    chunk->start = chunk->end = 0;
    chunk->capacity = capacity;
    return chunk;
}

static void fill(struct cl_chunk *chunk, const char *data, size_t size)
{
    memcpy(chunk->data + chunk->end, data, size);
    chunk->end += size;
}

void cl_chunks_init(struct cl_chunks *chunks)
{
    cl_list_init(&chunks->list);
    chunks->size = 0;
}

int cl_chunks_append(struct cl_chunks *chunks, struct cloister_sv bytes)
{
    if (bytes.size == 0)
        return 0;
    struct cl_chunk *last = NULL;
    size_t room = 0;
    if (!cl_list_empty(&chunks->list)) {
        last = CL_CONTAINER(chunks->list.prev, struct cl_chunk, node);
        room = last->capacity - last->end;
    }
    size_t here = room < bytes.size ? room : bytes.size;
    size_t rest = bytes.size - here;
    struct cl_chunk *next = NULL;
    if (rest > 0 && !(next = cl_chunk_new(rest < CHUNK_MIN ? CHUNK_MIN : rest)))
        return -ENOMEM;
    if (here > 0)
        fill(last, bytes.data, here);
    if (next) {
        fill(next, bytes.data + here, rest);
        cl_list_append(&chunks->list, &next->node);
    }
    chunks->size += bytes.size;
    return 0;
}

int cl_chunks_prepend(struct cl_chunks *chunks, struct cloister_sv bytes)
{
    if (bytes.size == 0)
        return 0;
    struct cl_chunk *chunk = cl_chunk_new(bytes.size);
    if (!chunk)
        return -ENOMEM;
    fill(chunk, bytes.data, bytes.size);
    cl_list_prepend(&chunks->list, &chunk->node);
    chunks->size += bytes.size;
    return 0;
}

int cl_chunks_peek(const struct cl_chunks *chunks, struct iovec *iov, int max)
{
    int count = 0;
    CL_LIST_FOREACH(node, &chunks->list)
    {
        if (count == max)
            break;
        struct cl_chunk *chunk = CL_CONTAINER(node, struct cl_chunk, node);
        iov[count].iov_base = chunk->data + chunk->start;
        iov[count].iov_len = chunk->end - chunk->start;
        count++;
    }
    return count;
}

void cl_chunks_consume(struct cl_chunks *chunks, uint64_t size)
{
    assert(size <= chunks->size);
    chunks->size -= size;
    while (size > 0) {
        struct cl_chunk *chunk = CL_CONTAINER(cl_list_first(&chunks->list), struct cl_chunk, node);
        size_t have = chunk->end - chunk->start;
        if (size < have) {
            chunk->start += size;
            return;
        }
        size -= have;
        cl_list_remove(&chunk->node);
        free(chunk);
    }
}

void cl_chunks_clear(struct cl_chunks *chunks)
{
    cl_chunks_consume(chunks, chunks->size);
}

void cl_chunks_give(struct cl_chunks *chunks, struct cl_chunk *chunk)
{
    if (chunk->start == chunk->end) {
        free(chunk);
        return;
    }
    cl_list_prepend(&chunks->list, &chunk->node);
    chunks->size += chunk->end - chunk->start;
}

struct iovec cl_chunk_space(struct cl_chunk *chunk)
{
    return (struct iovec){chunk->data + chunk->end, chunk->capacity - chunk->end};
}

void cl_chunk_filled(struct cl_chunk *chunk, size_t size)
{
    assert(size <= chunk->capacity - chunk->end);
    chunk->end += size;
}

struct iovec cl_chunk_bytes(struct cl_chunk *chunk)
{
    return (struct iovec){chunk->data + chunk->start, chunk->end - chunk->start};
}

void cl_chunk_taken(struct cl_chunk *chunk, size_t size)
{
    assert(size <= chunk->end - chunk->start);
    chunk->start += size;
    if (chunk->start == chunk->end)
        chunk->start = chunk->end = 0;
}
