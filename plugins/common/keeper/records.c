/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/keeper/clock.h"
#include "common/keeper/fd.h"

struct cl_wire_record *cl_records_add(struct cl_records *records, uint64_t pseq, uint64_t container, uint32_t flags)
{
    if (records->count == CL_WIRE_PROCESSES_MAX)
        return NULL;
    uint32_t index = records->count++;

    records->item[index] = (struct cl_wire_record){.pseq = pseq,
                                                   .container = container,
                                                   .flags = flags,
                                                   .state = CL_WIRE_STARTING,
                                                   .start_real_ns = cl_clock(CLOCK_REALTIME)};
    records->beside[index] = (struct cl_beside){.terminal = -1, .input = CL_INPUT_NONE};
    return &records->item[index];
}

struct cl_wire_record *cl_records_find(struct cl_records *records, uint64_t pseq)
{
    for (uint32_t i = records->count; i-- > 0;)
        if (records->item[i].pseq == pseq)
            return &records->item[i];
    return NULL;
}

struct cl_wire_record *cl_records_find_pid(struct cl_records *records, uint32_t pid)
{
    for (uint32_t i = records->count; i-- > 0;)
        if (records->item[i].pid == pid && records->item[i].state != CL_WIRE_EXITED)
            return &records->item[i];
    return NULL;
}

struct cl_beside *cl_records_beside(struct cl_records *records, const struct cl_wire_record *record)
{
    return &records->beside[record - records->item];
}

void cl_beside_close_input(struct cl_beside *beside, struct cl_wire_record *record)
{
    if (beside->input < 0)
        return;
    cl_drop_fd(&beside->input);
    beside->input = CL_INPUT_CLOSED;
    record->flags &= ~CL_WIRE_RECORD_STDIN;
}

void cl_beside_close(struct cl_beside *beside, struct cl_wire_record *record)
{
    cl_beside_close_input(beside, record);
    cl_drop_fd(&beside->terminal);
}

void cl_records_remove(struct cl_records *records, struct cl_wire_record *record)
{
    struct cl_beside *beside = cl_records_beside(records, record);
    size_t behind = records->count - (size_t)(record - records->item) - 1;

    cl_beside_close(beside, record);
    free(beside->memo);
    if (beside->capture != NULL)
        cl_capture_release(beside->capture);
    memmove(record, record + 1, behind * sizeof(*record));
    memmove(beside, beside + 1, behind * sizeof(*beside));
    records->count--;
}

int cl_records_note(struct cl_records *records, const struct cl_wire_record *record, const struct cl_wire_memo *memo)
{
    struct cl_memo *copy;

    if (memo->name_size + memo->tag_size == 0)
        return 0;
    copy = malloc(sizeof(*copy) + memo->name_size + memo->tag_size);
    if (copy == NULL)
        return -ENOMEM;
    copy->name_size = memo->name_size;
    copy->tag_size = memo->tag_size;
    memcpy(copy->bytes, memo->name, memo->name_size);
    memcpy(copy->bytes + memo->name_size, memo->tag, memo->tag_size);
    cl_records_beside(records, record)->memo = copy;
    return 0;
}

void cl_records_exit(struct cl_records *records, struct cl_wire_record *record, int code, int status)
{
    record->status = (uint32_t)status;
    if (code != CLD_EXITED)
        record->flags |= CL_WIRE_RECORD_SIGNAL;
    if (code == CLD_DUMPED)
        record->flags |= CL_WIRE_RECORD_CORE;
    record->exit_real_ns = cl_clock(CLOCK_REALTIME);
    record->exit_boot_ns = cl_clock(CLOCK_BOOTTIME);
    record->order = ++records->exits;
    record->state = CL_WIRE_EXITED;
}

uint32_t cl_records_live(const struct cl_records *records, uint64_t container)
{
    uint32_t live = 0;

    for (uint32_t i = 0; i < records->count; i++)
        live += records->item[i].container == container && records->item[i].state != CL_WIRE_EXITED;
    return live;
}
