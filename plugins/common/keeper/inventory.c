/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.c - the records as a sealed memfd: what a message has no room for. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/records.h"

#define ENTRY_MAX (sizeof(struct cl_wire_entry) + CL_WIRE_NAME_MAX + CL_WIRE_TAG_MAX + 8)

static int put(int fd, const void *bytes, size_t size)
{
    ssize_t n = write(fd, bytes, size);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -ENOSPC;
}

static int put_records(const struct cl_records *records, int fd)
{
    return put(fd, records->item, records->count * sizeof(records->item[0]));
}

static int put_entry(const struct cl_wire_record *record, const struct cl_beside *beside, int fd)
{
    uint64_t bytes[ENTRY_MAX / 8] = {0};
    struct cl_wire_entry *entry = (struct cl_wire_entry *)(void *)bytes;
    size_t size = sizeof(*entry);

    entry->record = *record;
    if (beside->memo != NULL) {
        entry->name_size = beside->memo->name_size;
        entry->tag_size = beside->memo->tag_size;
        memcpy(entry + 1, beside->memo->bytes, entry->name_size + entry->tag_size);
        size += entry->name_size + entry->tag_size;
    }
    if (beside->capture != NULL)
        cl_capture_end_of(beside->capture, entry->end);
    entry->size = (uint32_t)((size + 7) & ~(size_t)7);
    return put(fd, bytes, entry->size);
}

static int put_entries(const struct cl_records *records, int fd)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < records->count; i++)
        r = put_entry(&records->item[i], &records->beside[i], fd);
    return r;
}

static int make(const struct cl_records *records, int (*fill)(const struct cl_records *records, int fd), int *ret_fd)
{
    CL_CLOSE int fd = memfd_create("cl-records", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    int r = fill(records, fd);

    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

int cl_inventory_status(const struct cl_records *records, int *ret_fd)
{
    return make(records, put_records, ret_fd);
}

int cl_inventory_list(const struct cl_records *records, int *ret_fd)
{
    return make(records, put_entries, ret_fd);
}
