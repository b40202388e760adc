/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"

struct cl_out_item {
    struct cl_out_item *next;
    int fds[CL_OUT_FDS_MAX];
    uint32_t fd_count;
    uint64_t message[]; /* aligned for every message */
};

void cl_out_init(struct cl_out *out)
{
    *out = (struct cl_out){.end = &out->first};
}

int cl_out_push(struct cl_out *out, const void *message, size_t size, const int *fds, uint32_t n)
{
    struct cl_out_item *item = malloc(sizeof(*item) + size);

    if (item == NULL) {
        for (uint32_t i = 0; i < n; i++)
            close(fds[i]);
        return -ENOMEM;
    }
    item->next = NULL;
    item->fd_count = n;
    if (n > 0)
        memcpy(item->fds, fds, n * sizeof(int));
    memcpy(item->message, message, size);
    ((struct cl_wire_head *)(void *)item->message)->size = (uint32_t)size;
    *out->end = item;
    out->end = &item->next;
    out->count++;
    return 0;
}

static void drop_first(struct cl_out *out)
{
    struct cl_out_item *item = out->first;

    out->first = item->next;
    if (out->first == NULL)
        out->end = &out->first;
    out->count--;
    for (uint32_t i = 0; i < item->fd_count; i++)
        close(item->fds[i]);
    free(item);
}

int cl_out_flush(struct cl_out *out, int sock)
{
    while (out->first != NULL) {
        int r = cl_wire_send(sock, out->first->message, out->first->fds, out->first->fd_count);

        if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
            return 0;
        if (r < 0)
            return -EPIPE;
        drop_first(out);
    }
    return 0;
}

void cl_out_clear(struct cl_out *out)
{
    while (out->first != NULL)
        drop_first(out);
}
