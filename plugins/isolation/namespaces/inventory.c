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
    free(inventory->containers);
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

int ns_inventory_members(struct cl_packet *answer, uint32_t version, uint64_t number, uint64_t **ret_processes,
                         uint32_t *ret_count)
{
    struct ns_inventory inventory = {.count = 0};
    int rc = ns_inventory_take(&inventory, answer, version);
    uint64_t *list = rc == 0 ? calloc(inventory.count + 1u, sizeof(*list)) : NULL;
    uint32_t count = 0;
    size_t at = 0;

    for (uint32_t i = 0; list && i < inventory.count; i++) {
        struct item item;

        if (next_item(&inventory, &at, &item) < 0)
            break;
        if (item.record.container == number)
            list[count++] = item.record.pseq;
    }
    ns_inventory_clear(&inventory);
    if (list == NULL)
        return rc < 0 ? rc : -ENOMEM;
    *ret_processes = list;
    *ret_count = count;
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

/* In the records' order. One that the keeper does not know, or has let go, is down. */
static void take_init(struct ns_inventory *inventory, struct ns_container *container,
                      const struct cl_wire_record *record)
{
    inventory->containers[inventory->told.container_count++] = (struct cloister_inventory_container){
        .cid = ns_view(container->cid), .init = record->pseq, .state = container_state_of(record)};
    container->down = record->state == CL_WIRE_EXITED;
}

/* Inits say which number is which container's. */
static int take_numbers(struct ns_inventory *inventory, struct ns_sandbox *sandbox)
{
    size_t at = 0;

    for (struct ns_container *one = sandbox->containers; one; one = one->next) {
        one->number = 0;
        one->down = true;
    }
    for (uint32_t i = 0; i < inventory->count; i++) {
        struct ns_container *container = NULL;
        struct item item;

        if (next_item(inventory, &at, &item) < 0)
            return -EBADMSG;
        if (item.record.container > sandbox->last_number)
            sandbox->last_number = item.record.container;
        if (item.record.flags & CL_WIRE_RECORD_INIT)
            container = ns_container_of_init(sandbox, item.record.pseq);
        if (container == NULL)
            continue;
        container->number = item.record.container;
        take_init(inventory, container, &item.record);
    }
    return at == inventory->size ? 0 : -EBADMSG;
}

static void take_item(struct ns_inventory *inventory, const struct ns_sandbox *sandbox, uint32_t i,
                      const struct item *item)
{
    struct cloister_inventory_process *process = &inventory->processes[i];
    const struct cl_wire_record *record = &item->record;
    const struct ns_container *container = ns_container_of_number(sandbox, record->container);

    *process = (struct cloister_inventory_process){
        .process = record->pseq,
        .cid = ns_view(container ? container->cid : ""),
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
    return 0;
}

static void set_container_pid(struct ns_inventory *inventory, const struct cloister_inventory_process *init)
{
    for (uint64_t i = 0; i < inventory->told.container_count; i++)
        if (inventory->containers[i].init == init->process)
            inventory->containers[i].pid = init->pid;
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
            set_container_pid(inventory, process);
    }
}

/* What init's own process tells of its container. */
static void look_at_inits(const struct ns_inventory *inventory, const struct ns_sandbox *sandbox)
{
    for (uint64_t i = 0; i < inventory->told.container_count; i++) {
        const struct cloister_inventory_container *told = &inventory->containers[i];
        struct ns_container *container = ns_container_of_init(sandbox, told->init);

        if (told->state == CLOISTER_CONTAINER_CREATED)
            container->init_user = ns_pid_user(told->pid);
        if (told->pid != 0)
            container->in_user = ns_pid_in_user(told->pid);
    }
}

/* Is it below the group of another, whose limits it shares? Our mark tells it from a directory that the other one has
 * made itself. */
static bool find_shared(const struct ns_sandbox *sandbox, const struct ns_cgroups *cgroups, struct ns_container *one)
{
    for (const struct ns_container *other = sandbox->containers; other; other = other->next)
        if (other != one && *other->group &&
            ns_layout_container(sandbox->intent.group, sandbox->intent.split, one->number, other->group, one->group) &&
            ns_group_is_marked(cgroups, one->group))
            return true;
    *one->group = 0;
    return false;
}

/* Names follow from numbers, but for whose limits a container shares. */
static void find_groups(const struct ns_sandbox *sandbox, const struct ns_cgroups *cgroups)
{
    const struct ns_intent *intent = &sandbox->intent;
    bool more = true;

    for (struct ns_container *one = sandbox->containers; one; one = one->next) {
        ns_layout_container(intent->group, intent->split, one->number, NULL, one->group);
        if (!ns_group_is_there(cgroups, one->group))
            *one->group = 0;
    }
    while (more) {
        more = false;
        for (struct ns_container *one = sandbox->containers; one; one = one->next)
            more = (*one->group == 0 && find_shared(sandbox, cgroups, one)) || more;
    }
    for (struct ns_container *one = sandbox->containers; one; one = one->next)
        if (*one->group == 0)
            ns_layout_container(intent->group, intent->split, one->number, NULL, one->group);
}

static void find_frozen(struct ns_inventory *inventory, const struct ns_sandbox *sandbox,
                        const struct ns_cgroups *cgroups)
{
    inventory->told.frozen = ns_freezer_is_frozen(cgroups, sandbox->intent.group, NS_FREEZE_SANDBOX);
    for (uint64_t i = 0; i < inventory->told.container_count; i++) {
        struct ns_container *container = ns_container_of_init(sandbox, inventory->containers[i].init);

        container->frozen = ns_freezer_is_frozen(cgroups, container->group, NS_FREEZE_CONTAINER);
        inventory->containers[i].frozen = container->frozen;
    }
}

static int make_room(struct ns_inventory *inventory, const struct ns_sandbox *sandbox)
{
    size_t containers = 0;

    for (const struct ns_container *one = sandbox->containers; one; one = one->next)
        containers++;
    inventory->containers = calloc(containers + 1u, sizeof(*inventory->containers));
    inventory->processes = calloc(inventory->count + 1u, sizeof(*inventory->processes));
    inventory->outputs = calloc((inventory->count + 1u) * 3u, sizeof(*inventory->outputs));
    inventory->pids = calloc(inventory->count + 1u, sizeof(*inventory->pids));
    return inventory->containers && inventory->processes && inventory->outputs && inventory->pids ? 0 : -ENOMEM;
}

int ns_inventory_read(struct ns_inventory *inventory, struct ns_sandbox *sandbox)
{
    struct ns_cgroups cgroups = ns_sandbox_cgroups(sandbox);
    uint32_t living = 0;
    int rc = make_room(inventory, sandbox);

    if (rc < 0)
        return rc;
    inventory->told = (struct cloister_inventory){CLOISTER_INIT(struct cloister_inventory),
                                                  .fate = CLOISTER_FATE_ALIVE,
                                                  .containers = inventory->containers,
                                                  .container_size = sizeof(*inventory->containers),
                                                  .processes = inventory->processes,
                                                  .process_count = inventory->count,
                                                  .process_size = sizeof(*inventory->processes)};
    rc = take_numbers(inventory, sandbox);
    if (rc == 0)
        rc = take_items(inventory, sandbox, &living);
    if (rc < 0)
        return rc;
    ns_pids_find(&cgroups, sandbox->intent.group, sandbox->pid, inventory->pids, living);
    set_pids(inventory);
    look_at_inits(inventory, sandbox);
    find_groups(sandbox, &cgroups);
    find_frozen(inventory, sandbox, &cgroups);
    return 0;
}
