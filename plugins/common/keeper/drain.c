/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - from a process's exit to the end of its tapes.
 *
 * An exit waits for no pipe. A pipe may be held open for ever by a child that the process left behind, so its tape ends
 * with the pipe, or when the pipe has been silent for a while, or at a last moment. An init's tapes are waited for only
 * when nothing of its container lives any more. In all cases the keeper goes on reading: nobody gets a SIGPIPE.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "common/keeper/client.h"
#include "common/keeper/clock.h"
#include "common/keeper/fd.h"
#include "common/keeper/sandbox.h"

static void begin(struct cl_capture *capture)
{
    if (capture->drain_ns != 0)
        return;
    capture->drain_ns = cl_now();
    capture->tapes->changed = 1;
    cl_tapes_by(capture->tapes, cl_after(capture->drain_ns, capture->idle_ns));
    cl_tapes_by(capture->tapes, cl_after(capture->drain_ns, capture->max_ns));
}

void cl_drain_exited(struct cl_sandbox *sandbox, struct cl_wire_record *record, int is_init)
{
    struct cl_beside *beside = cl_records_beside(&sandbox->records, record);
    struct cl_capture *capture = beside->capture;

    cl_beside_close(beside, record);
    if (capture == NULL) {
        record->flags |= CL_WIRE_RECORD_DRAINED;
        return;
    }
    capture->order = record->order;
    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++)
        cl_reel_look(&capture->reel[i]); /* the window has grown */
    if (!is_init)
        begin(capture);
}

void cl_drain_empty(struct cl_sandbox *sandbox, const struct cl_container *container)
{
    struct cl_wire_record *init = cl_records_find(&sandbox->records, container->init);
    struct cl_capture *capture = init ? cl_records_beside(&sandbox->records, init)->capture : NULL;

    if (capture == NULL)
        return;
    begin(capture);
    for (uint32_t i = 0; i < CL_TAPE_COUNT; i++)
        cl_reel_turn(&capture->reel[i]);
    cl_drain_tell(sandbox);
}

/* A pipe that is full of unread bytes is not silent. */
static uint64_t silent_since(const struct cl_reel *reel, uint64_t now)
{
    int pending = 0;

    if (ioctl(reel->pipe, FIONREAD, &pending) == 0 && pending > 0)
        return now;
    return reel->heard_ns > reel->capture->drain_ns ? reel->heard_ns : reel->capture->drain_ns;
}

uint64_t cl_drain_due(struct cl_capture *capture, uint64_t now)
{
    uint64_t last = cl_after(capture->drain_ns, capture->max_ns);
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < CL_TAPE_COUNT && capture->drain_ns != 0; i++) {
        struct cl_reel *reel = &capture->reel[i];

        if (reel->state != CL_TAPE_OPEN)
            continue;
        uint64_t idle = cl_after(silent_since(reel, now), capture->idle_ns);
        uint64_t due = idle < last ? idle : last;

        if (due <= now)
            cl_reel_end(reel, CL_TAPE_ENDED_EARLY);
        else
            next = due < next ? due : next;
    }
    return next;
}

static void tell(struct cl_sandbox *sandbox, struct cl_capture *capture)
{
    struct cl_wire_record *record = cl_records_find(&sandbox->records, capture->pseq);
    struct cl_wire_drained message;

    capture->told = 1;
    record->flags |= CL_WIRE_RECORD_DRAINED;
    cl_wire_init(&message, CL_WIRE_DRAINED, 0);
    message.pseq = capture->pseq;
    message.container = record->container;
    cl_capture_end_of(capture, message.end);
    cl_sandbox_tell(sandbox, &message);
}

void cl_drain_tell(struct cl_sandbox *sandbox)
{
    if (!sandbox->tapes.changed)
        return;
    sandbox->tapes.changed = 0;
    for (struct cl_capture *capture = sandbox->tapes.first; capture != NULL; capture = capture->next)
        if (capture->head != NULL && capture->drain_ns != 0 && !capture->told && cl_capture_ended(capture))
            tell(sandbox, capture);
}

void cl_drain_all(struct cl_sandbox *sandbox)
{
    for (struct cl_capture *capture = sandbox->tapes.first; capture != NULL; capture = capture->next) {
        for (uint32_t i = 0; i < CL_TAPE_COUNT; i++) {
            uint64_t before;

            do {
                before = capture->reel[i].end;
                cl_reel_turn(&capture->reel[i]);
            } while (capture->reel[i].end != before);
            if (capture->head != NULL)
                cl_reel_end(&capture->reel[i], CL_TAPE_ENDED_EARLY);
        }
        if (capture->drain_ns == 0 && capture->order != 0)
            begin(capture);
    }
    cl_drain_tell(sandbox);
}
