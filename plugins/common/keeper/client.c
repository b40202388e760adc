/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - builds plans: sections grow apart, cl_plan_seal lays them out behind the header in one sealed memfd. */
#include "common/keeper/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/plan_old.h"

void cl_plan_init(struct cl_plan *plan, uint32_t kind)
{
    memset(plan, 0, sizeof(*plan));
    plan->head.kind = kind;
    plan->head.umask = 0022;
    for (uint32_t i = 0; i < CL_WIRE_NS_COUNT; i++)
        plan->head.ns_join[i] = CL_WIRE_NO_FD;
    plan->head.root_fd = CL_WIRE_NO_FD;
    plan->head.oom_fd = CL_WIRE_NO_FD;
    plan->head.procs_fd = CL_WIRE_NO_FD;
    plan->head.upper_fd = CL_WIRE_NO_FD;
    plan->head.work_fd = CL_WIRE_NO_FD;
    plan->head.cwd = cl_plan_cstring(plan, "/");
}

void cl_plan_clear(struct cl_plan *plan)
{
    for (uint32_t i = 0; i < CL_WIRE_SECTION_COUNT; i++) {
        if (plan->section[i].data != NULL)
            explicit_bzero(plan->section[i].data, plan->section[i].capacity);
        free(plan->section[i].data);
        plan->section[i] = (struct cl_plan_bytes){0};
    }
}

/* Grows by copying, not by realloc, so that no old copy of a secret stays behind in the heap. */
static int reserve(struct cl_plan_bytes *bytes, size_t more)
{
    if (bytes->capacity - bytes->size >= more)
        return 0;
    if (more > CL_WIRE_PLAN_MAX || bytes->size + more > CL_WIRE_PLAN_MAX)
        return -E2BIG;
    size_t capacity = bytes->capacity ? bytes->capacity : 256;

    while (capacity < bytes->size + more)
        capacity *= 2;
    char *data = malloc(capacity);

    if (data == NULL)
        return -ENOMEM;
    if (bytes->data != NULL) {
        memcpy(data, bytes->data, bytes->size);
        explicit_bzero(bytes->data, bytes->capacity);
        free(bytes->data);
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return 0;
}

static void append(struct cl_plan *plan, uint32_t section, const void *data, size_t size)
{
    struct cl_plan_bytes *bytes = &plan->section[section];
    int r = plan->error ? plan->error : reserve(bytes, size);

    if (r < 0) {
        plan->error = r;
        return;
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

cl_wire_str cl_plan_string(struct cl_plan *plan, const char *data, size_t size)
{
    if (size == 0)
        return 0;
    if (memchr(data, '\0', size) != NULL && plan->error == 0)
        plan->error = -EINVAL;
    if (plan->section[CL_WIRE_STRINGS].size == 0)
        append(plan, CL_WIRE_STRINGS, "", 1);
    size_t offset = plan->section[CL_WIRE_STRINGS].size;

    append(plan, CL_WIRE_STRINGS, data, size);
    append(plan, CL_WIRE_STRINGS, "", 1);
    return plan->error ? 0 : (cl_wire_str)offset;
}

cl_wire_str cl_plan_cstring(struct cl_plan *plan, const char *text)
{
    return cl_plan_string(plan, text, strlen(text));
}

uint32_t cl_plan_add(struct cl_plan *plan, uint32_t section, const void *item)
{
    size_t size = cl_wire_section_item(section);
    uint32_t index = size ? (uint32_t)(plan->section[section].size / size) : 0;

    if (size == 0 || section == CL_WIRE_STRINGS) {
        if (plan->error == 0)
            plan->error = -EINVAL;
        return 0;
    }
    append(plan, section, item, size);
    return index;
}

void cl_plan_add_string(struct cl_plan *plan, uint32_t section, const char *data, size_t size)
{
    cl_wire_str string = cl_plan_string(plan, data, size);

    cl_plan_add(plan, section, &string);
}

void cl_plan_add_seccomp(struct cl_plan *plan, const void *filter, uint32_t count, uint32_t flags)
{
    struct cl_wire_seccomp item = {.flags = flags,
                                   .count = count,
                                   .first =
                                       (uint32_t)(plan->section[CL_WIRE_BPF].size / cl_wire_section_item(CL_WIRE_BPF))};

    append(plan, CL_WIRE_BPF, filter, count * cl_wire_section_item(CL_WIRE_BPF));
    cl_plan_add(plan, CL_WIRE_SECCOMP, &item);
}

/* Offsets of all sections; the whole size, or -E2BIG. */
static int lay_out(struct cl_plan *plan, size_t *ret_size)
{
    size_t at = (sizeof(plan->head) + 7) & ~(size_t)7;

    for (uint32_t i = 0; i < CL_WIRE_SECTION_COUNT; i++) {
        size_t size = plan->section[i].size;
        struct cl_wire_span span = {.offset = size ? (uint32_t)at : 0,
                                    .count = (uint32_t)(size / cl_wire_section_item(i))};

        plan->head.section[i] = span;
        at = (at + size + 7) & ~(size_t)7;
        if (at > CL_WIRE_PLAN_MAX)
            return -E2BIG;
    }
    plan->head.magic = CL_WIRE_PLAN_MAGIC;
    plan->head.version = CL_WIRE_PLAN_VERSION;
    plan->head.size = (uint32_t)at;
    *ret_size = at;
    return 0;
}

static int fill(const struct cl_plan *plan, int fd, size_t size, uint32_t fds, const char **ret_where)
{
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int r;

    if (map == MAP_FAILED)
        return -errno;
    memcpy(map, &plan->head, sizeof(plan->head));
    for (uint32_t i = 0; i < CL_WIRE_SECTION_COUNT; i++)
        if (plan->section[i].size > 0)
            memcpy(map + plan->head.section[i].offset, plan->section[i].data, plan->section[i].size);
    r = cl_wire_plan_check(map, size, plan->head.kind, fds, ret_where);
    munmap(map, size);
    return r;
}

static int make_memfd(size_t size, int *ret_fd)
{
    CL_CLOSE int fd = memfd_create("cl-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        return -errno;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

/* A good plan in today's words, as an old keeper reads it. */
static int write_old(const struct cl_plan *plan, int *io_fd, const char **ret_where)
{
    CL_CLOSE int fd = -1;
    int r = make_memfd(0, &fd);

    if (r == 0)
        r = cl_plan_old_write(plan, fd, ret_where);
    if (r < 0)
        return r;
    cl_drop_fd(io_fd);
    *io_fd = cl_steal_fd(&fd);
    return 0;
}

int cl_plan_seal_at(struct cl_plan *plan, uint32_t fds, uint32_t version, int *ret_fd, const char **ret_where)
{
    CL_CLOSE int fd = -1;
    size_t size = 0;

    if (plan->section[CL_WIRE_STRINGS].size == 0)
        append(plan, CL_WIRE_STRINGS, "", 1);
    int r = plan->error ? plan->error : lay_out(plan, &size);

    if (r < 0) {
        if (ret_where != NULL)
            *ret_where = "size";
        return r;
    }
    r = make_memfd(size, &fd);
    if (r == 0)
        r = fill(plan, fd, size, fds, ret_where);
    if (r == 0 && version < CL_PLAN_OLD_BEFORE)
        r = write_old(plan, &fd, ret_where);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    *ret_fd = cl_steal_fd(&fd);
    return 0;
}

int cl_plan_seal(struct cl_plan *plan, uint32_t fds, int *ret_fd, const char **ret_where)
{
    return cl_plan_seal_at(plan, fds, CL_WIRE_VERSION, ret_fd, ret_where);
}
