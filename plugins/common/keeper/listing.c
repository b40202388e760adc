/* SPDX-License-Identifier: Apache-2.0 */
/* listing.c - requests about what is there of processes, what they have written, and what they may read. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"
#include "common/keeper/sandbox.h"

void cl_list(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    int fd = -1;
    int r = cl_inventory_list(&sandbox->records, &fd);

    cl_control_answer(sandbox, packet, r, r < 0 ? 0 : sandbox->records.count, &fd, r < 0 ? 0 : 1);
}

/* Copies for the queue, which takes what it sends. */
static int copy_fds(const int *fds, uint32_t n, int *ret_copies)
{
    for (uint32_t i = 0; i < n; i++) {
        ret_copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (ret_copies[i] >= 0)
            continue;
        int r = -errno;

        while (i-- > 0)
            close(ret_copies[i]);
        return r;
    }
    return 0;
}

static int find_capture(struct cl_sandbox *sandbox, uint64_t pseq, struct cl_capture **ret_capture)
{
    const struct cl_wire_record *record = cl_records_find(&sandbox->records, pseq);

    if (record == NULL)
        return -ENOENT;
    *ret_capture = cl_records_beside(&sandbox->records, record)->capture;
    return *ret_capture ? 0 : -ENODATA;
}

void cl_tape(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    struct cl_capture *capture = NULL;
    int copies[3];
    int r = find_capture(sandbox, packet->u.process.pseq, &capture);

    if (r == 0)
        r = cl_tapes_eventfds(&sandbox->tapes);
    if (r == 0) {
        const int fds[3] = {capture->memfd, sandbox->tapes.to_daemon, sandbox->tapes.to_keeper};

        r = copy_fds(fds, 3, copies);
    }
    cl_control_answer(sandbox, packet, r, 0, copies, r < 0 ? 0 : 3);
}

static int find_input(struct cl_sandbox *sandbox, uint64_t pseq, struct cl_wire_record **ret_record)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, pseq);

    if (record == NULL)
        return -ENOENT;
    if (cl_records_beside(&sandbox->records, record)->input == CL_INPUT_NONE)
        return -ENODATA;
    *ret_record = record;
    return 0;
}

void cl_input(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    struct cl_wire_record *record = NULL;
    int copy = -1;
    int r = find_input(sandbox, packet->u.process.pseq, &record);

    if (r == 0) {
        const struct cl_beside *beside = cl_records_beside(&sandbox->records, record);

        r = beside->input < 0 ? -EPIPE : copy_fds(&beside->input, 1, &copy);
    }
    cl_control_answer(sandbox, packet, r, 0, &copy, r < 0 ? 0 : 1);
}

void cl_input_close(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    struct cl_wire_record *record = NULL;
    int r = find_input(sandbox, packet->u.process.pseq, &record);

    /* A terminal has no end of input: who sits at it types its EOF character. */
    if (r == 0 && cl_records_beside(&sandbox->records, record)->terminal < 0)
        cl_beside_close_input(cl_records_beside(&sandbox->records, record), record);
    cl_control_answer(sandbox, packet, r, 0, NULL, 0);
}

static int set_policy(struct cl_sandbox *sandbox, const struct cl_wire_policy *wish)
{
    struct cl_capture *capture = NULL;
    int r = find_capture(sandbox, wish->pseq, &capture);

    if (wish->fd >= CL_TAPE_COUNT || wish->policy > CL_TAPE_DISCARD || wish->window > CL_TAPE_WINDOW_MAX)
        return -EINVAL;
    if (r < 0)
        return r;
    if (capture->reel[wish->fd].state == CL_TAPE_NONE)
        return -ENODATA;
    cl_reel_set(&capture->reel[wish->fd], wish->policy, wish->window);
    return 0;
}

void cl_policy(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    cl_control_answer(sandbox, packet, set_policy(sandbox, &packet->u.policy), 0, NULL, 0);
}
