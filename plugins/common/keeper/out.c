/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"

struct cl_out_item {
    struct cl_out_item *next;
    int fd;
    uint64_t message[]; /* aligned for every message */
};

void cl_out_init(struct cl_out *out)
{
    *out = (struct cl_out){.end = &out->first};
}

int cl_out_push(struct cl_out *out, const void *message, int fd)
{
    const struct cl_wire_head *head = message;
    struct cl_out_item *item = malloc(sizeof(*item) + head->size);

    if (item == NULL) {
        cl_closep(&fd);
        return -ENOMEM;
    }
    item->next = NULL;
    item->fd = fd;
    memcpy(item->message, message, head->size);
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
    cl_closep(&item->fd);
    free(item);
}

int cl_out_flush(struct cl_out *out, int sock)
{
    while (out->first != NULL) {
        int r = cl_wire_send(sock, out->first->message, &out->first->fd, out->first->fd >= 0 ? 1 : 0);

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
