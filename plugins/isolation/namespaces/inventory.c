/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.c - see inventory.h. */
#include "inventory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "freezer.h"
#include "pids.h"

/* Every process with the longest name and tag. */
#define LIST_MAX (CL_WIRE_PROCESSES_MAX * (sizeof(struct cl_wire_entry) + CL_WIRE_NAME_MAX + CL_WIRE_TAG_MAX + 8u))

void ns_inventory_clear(struct ns_inventory *inventory)
{
    free(inventory->processes);
    free(inventory->outputs);
    free(inventory->pids);
    free(inventory->bytes);
    *inventory = (struct ns_inventory){.count = 0};
}

static int read_bytes(struct ns_inventory *inventory, int fd)
{
    struct stat info;
    size_t used = 0;

    if (fstat(fd, &info) < 0 || info.st_size < 0 || (size_t)info.st_size > LIST_MAX)
        return -EBADMSG;
    inventory->size = (size_t)info.st_size;
    inventory->bytes = malloc(inventory->size + 1);
    while (inventory->bytes && used < inventory->size) {
        ssize_t n = pread(fd, inventory->bytes + used, inventory->size - used, (off_t)used);

        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        used += (size_t)n;
    }
    return inventory->bytes ? 0 : -ENOMEM;
}

int ns_inventory_take(struct ns_inventory *inventory, struct cl_packet *answer, uint32_t version)
{
    NS_CLOSE int fd = answer->fd_count == 1 ? ns_steal_fd(&answer->fds[0]) : -1;

    ns_inventory_clear(inventory);
    inventory->version = version;
    inventory->count = answer->u.answer.count;
    if (fd < 0 || inventory->count > CL_WIRE_PROCESSES_MAX)
        return fd < 0 ? -EMFILE : -EBADMSG; /* a list that is not there was cut off at our limit */
    return read_bytes(inventory, fd);
}

/* What both kinds of list come to; a keeper of version 2 has no names and no tapes. */
struct item {
    struct cl_wire_record record;
    struct cl_wire_end end[3];
    struct cloister_sv name;
    struct cloister_sv tag;
};

static int next_item(const struct ns_inventory *inventory, size_t *io_at, struct item *ret)
{
    const struct cl_wire_entry *entry;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (inventory->version < 3) {
        if (inventory->size - *io_at < sizeof(ret->record))
            return -EBADMSG;
        memcpy(&ret->record, inventory->bytes + *io_at, sizeof(ret->record));
        *io_at += sizeof(ret->record);
        return 0;
    }
    rc = cl_wire_entry_next(inventory->bytes, inventory->size, io_at, &entry);
    if (rc != 1)
        return -EBADMSG;
    ret->record = entry->record;
    memcpy(ret->end, entry->end, sizeof(ret->end));
    ret->name = (struct cloister_sv){(const char *)cl_wire_entry_name(entry), entry->name_size};
    ret->tag = (struct cloister_sv){(const char *)cl_wire_entry_tag(entry), entry->tag_size};
    return 0;
}

static uint32_t state_of(const struct cl_wire_record *record)
{
    if (record->state == CL_WIRE_EXITED) {
        bool drained = (record->flags & CL_WIRE_RECORD_DRAINED) || !(record->flags & CL_WIRE_RECORD_CAPTURED);

        return drained ? CLOISTER_PROCESS_DRAINED : CLOISTER_PROCESS_EXITED;
    }
    return record->state == CL_WIRE_RUNNING ? CLOISTER_PROCESS_RUNNING : CLOISTER_PROCESS_STARTING;
}

static uint32_t container_state_of(const struct cl_wire_record *init)
{
    switch (init->state) {
    case CL_WIRE_STARTING:
        return CLOISTER_CONTAINER_CREATING;
    case CL_WIRE_BLOCKED_INIT:
        return CLOISTER_CONTAINER_CREATED;
    case CL_WIRE_RUNNING:
        return CLOISTER_CONTAINER_RUNNING;
    default:
        return CLOISTER_CONTAINER_STOPPED;
    }
}

static void take_init(struct ns_inventory *inventory, const struct ns_sandbox *sandbox,
                      const struct cl_wire_record *record)
{
    inventory->container = (struct cloister_inventory_container){
        .cid = ns_view(sandbox->cid), .init = record->pseq, .state = container_state_of(record)};
    inventory->init_exited = record->state == CL_WIRE_EXITED;
    inventory->told.container_count = 1;
}

static void take_item(struct ns_inventory *inventory, const struct ns_sandbox *sandbox, uint32_t i,
                      const struct item *item)
{
    struct cloister_inventory_process *process = &inventory->processes[i];
    const struct cl_wire_record *record = &item->record;

    *process = (struct cloister_inventory_process){
        .process = record->pseq,
        .cid = ns_view(sandbox->cid),
        .name = item->name,
        .tag = item->tag,
        .state = state_of(record),
        .is_init = (record->flags & CL_WIRE_RECORD_INIT) != 0,
        .status = ns_status_of(sandbox->instance, record),
        .exit_order = record->order,
        .started_real_ns = record->start_real_ns,
        .outputs = &inventory->outputs[(size_t)i * 3],
    };
    if (record->flags & CL_WIRE_RECORD_CAPTURED)
        process->output_count = ns_outputs_of(item->end, &inventory->outputs[(size_t)i * 3]);
    if (record->state == CL_WIRE_STARTING)
        inventory->unsettled = true;
    if (process->is_init)
        take_init(inventory, sandbox, record);
}

static int take_items(struct ns_inventory *inventory, const struct ns_sandbox *sandbox, uint32_t *ret_living)
{
    size_t at = 0;

    for (uint32_t i = 0; i < inventory->count; i++) {
        struct item item;

        if (next_item(inventory, &at, &item) < 0)
            return -EBADMSG;
        take_item(inventory, sandbox, i, &item);
        if (item.record.state != CL_WIRE_EXITED)
            inventory->pids[(*ret_living)++] = (struct ns_pid){.inside = item.record.pid};
    }
    return at == inventory->size ? 0 : -EBADMSG;
}

/* Living ones come in the same order in both lists. */
static void set_pids(struct ns_inventory *inventory)
{
    const struct ns_pid *pids = inventory->pids;

    for (uint32_t i = 0; i < inventory->count; i++) {
        struct cloister_inventory_process *process = &inventory->processes[i];

        if (process->status.kind != CLOISTER_STATUS_NONE)
            continue;
        process->pid = (pids++)->outside;
        if (process->is_init)
            inventory->container.pid = process->pid;
    }
}

int ns_inventory_read(struct ns_inventory *inventory, const struct ns_sandbox *sandbox)
{
    struct ns_cgroups cgroups = ns_sandbox_cgroups(sandbox);
    uint32_t living = 0;
    int rc;

    inventory->processes = calloc(inventory->count + 1u, sizeof(*inventory->processes));
    inventory->outputs = calloc((inventory->count + 1u) * 3u, sizeof(*inventory->outputs));
    inventory->pids = calloc(inventory->count + 1u, sizeof(*inventory->pids));
    if (inventory->processes == NULL || inventory->outputs == NULL || inventory->pids == NULL)
        return -ENOMEM;
    inventory->told = (struct cloister_inventory){CLOISTER_INIT(struct cloister_inventory),
                                                  .fate = CLOISTER_FATE_ALIVE,
                                                  .containers = &inventory->container,
                                                  .container_size = sizeof(inventory->container),
                                                  .processes = inventory->processes,
                                                  .process_count = inventory->count,
                                                  .process_size = sizeof(*inventory->processes)};
    inventory->init_exited = true;
    rc = take_items(inventory, sandbox, &living);
    if (rc < 0)
        return rc;
    ns_pids_find(&cgroups, sandbox->intent.group, sandbox->pid, inventory->pids, living);
    set_pids(inventory);
    inventory->told.frozen = ns_freezer_is_frozen(&cgroups, sandbox->intent.group, NS_FREEZE_SANDBOX);
    inventory->container.frozen = ns_freezer_is_frozen(&cgroups, sandbox->group, NS_FREEZE_CONTAINER);
    if (inventory->container.state == CLOISTER_CONTAINER_CREATED)
        inventory->user = ns_pid_user(inventory->container.pid);
    return 0;
}
