/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/records.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/keeper/fd.h"

static uint64_t now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct cl_wire_record *cl_records_add(struct cl_records *records, uint64_t pseq, uint64_t container, uint32_t flags)
{
    if (records->count == CL_WIRE_PROCESSES_MAX)
        return NULL;
    struct cl_wire_record *record = &records->item[records->count++];

    *record = (struct cl_wire_record){.pseq = pseq, .container = container, .flags = flags, .state = CL_WIRE_STARTING};
    return record;
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

void cl_records_remove(struct cl_records *records, struct cl_wire_record *record)
{
    size_t index = (size_t)(record - records->item);

    memmove(record, record + 1, (records->count - index - 1) * sizeof(*record));
    records->count--;
}

void cl_records_exit(struct cl_records *records, struct cl_wire_record *record, int code, int status)
{
    record->status = (uint32_t)status;
    if (code != CLD_EXITED)
        record->flags |= CL_WIRE_RECORD_SIGNAL;
    if (code == CLD_DUMPED)
        record->flags |= CL_WIRE_RECORD_CORE;
    record->exit_real_ns = now(CLOCK_REALTIME);
    record->exit_boot_ns = now(CLOCK_BOOTTIME);
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

int cl_records_export(const struct cl_records *records, int *ret_fd)
{
    size_t size = records->count * sizeof(records->item[0]);
    CL_CLOSE int fd = memfd_create("cl-records", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, records->item, size);

    if (n < 0 || (size_t)n != size)
        return n < 0 ? -errno : -EIO;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}
