/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake isolation's keepers tell the next daemon. */
#include "core/engine/test_world.h"

static struct fake_fate *find_fate(struct world *world, struct cloister_sv id)
{
    for (unsigned i = 0; i < world->fate_count; i++)
        if (cl_sv_is(id, world->fates[i].id))
            return &world->fates[i];
    return NULL;
}

void set_fate(struct world *world, const char *id, uint32_t fate, uint32_t code)
{
    struct fake_fate *known = find_fate(world, cl_sv_cstr(id));
    assert_true(known || world->fate_count < CL_COUNT(world->fates));
    struct fake_fate *one = known ? known : &world->fates[world->fate_count++];
    *one = (struct fake_fate){.fate = fate, .code = code};
    snprintf(one->id, sizeof(one->id), "%s", id);
}

uint32_t fake_fate_code(struct world *world, struct cloister_sv id)
{
    struct fake_fate *fate = find_fate(world, id);
    uint32_t code = fate ? fate->code : 0;
    if (fate)
        fate->code = 0;
    return code;
}

static struct fake_frozen *find_frozen(struct world *world, struct cloister_sv id)
{
    struct fake_frozen *one = world->frozen;
    while (one < world->frozen + CL_COUNT(world->frozen) && *one->id && !cl_sv_is(id, one->id))
        one++;
    assert_true(one < world->frozen + CL_COUNT(world->frozen));
    return one;
}

void fake_freeze(struct world *world, struct cloister_sv id, struct cloister_sv container, bool frozen)
{
    struct fake_frozen *one = find_frozen(world, id);
    snprintf(one->id, sizeof(one->id), "%.*s", CL_SV_ARG(id));
    *(container.size ? &one->main : &one->whole) = frozen;
}

bool fake_is_frozen(struct world *world, struct cloister_sv id)
{
    const struct fake_frozen *one = find_frozen(world, id);
    return one->whole || one->main;
}

static struct cloister_inventory_process entry(const struct fake_process *process)
{
    return (struct cloister_inventory_process){
        .process = process->number,
        .cid = cl_sv_cstr(process->cid),
        .name = process->init ? CLOISTER_SV("") : CLOISTER_SV("named"),
        .tag = process->init ? CLOISTER_SV("") : CLOISTER_SV("tag"),
        .state = !process->alive    ? CLOISTER_PROCESS_EXITED
                 : process->blocked ? CLOISTER_PROCESS_STARTING
                                    : CLOISTER_PROCESS_RUNNING,
        .pid = process->alive ? (process->init ? 101 : 201) : 0,
        .is_init = process->init,
        .status = process->status,
        .exit_order = process->exit_order,
        .started_real_ns = 77,
    };
}

static struct cloister_inventory_container *container_of(struct cloister_inventory *inventory,
                                                         struct cloister_inventory_container *containers,
                                                         struct cloister_sv cid)
{
    for (uint64_t i = 0; i < inventory->container_count; i++)
        if (cl_sv_eq(containers[i].cid, cid))
            return &containers[i];
    containers[inventory->container_count] =
        (struct cloister_inventory_container){.cid = cid, .state = CLOISTER_CONTAINER_STOPPED};
    return &containers[inventory->container_count++];
}

/* Containers that it has been asked for, and others of which it has processes. */
void fake_inventory(struct world *world, const struct cloister_iso_adopt_args *args, struct cloister_result *result)
{
    static struct cloister_inventory inventory;
    static struct cloister_inventory_container containers[16];
    static struct cloister_inventory_process processes[64];
    const struct fake_fate *fate = find_fate(world, args->sandbox.id);
    inventory = (struct cloister_inventory){CLOISTER_INIT(struct cloister_inventory),
                                            .fate = fate && fate->fate ? fate->fate : CLOISTER_FATE_ALIVE,
                                            .containers = containers,
                                            .container_size = sizeof(containers[0]),
                                            .processes = processes,
                                            .process_size = sizeof(processes[0]),
                                            .frozen = find_frozen(world, args->sandbox.id)->whole};
    result->inventory = &inventory;
    for (uint64_t i = 0; i < args->container_count; i++)
        container_of(&inventory, containers, args->containers[i].cid)->frozen =
            cl_sv_is(args->containers[i].cid, "main") && find_frozen(world, args->sandbox.id)->main;
    for (unsigned i = 0; i < world->process_count; i++) {
        const struct fake_process *process = &world->processes[i];
        if (process->forgotten || !cl_sv_is(args->sandbox.id, process->sandbox))
            continue;
        processes[inventory.process_count++] = entry(process);
        struct cloister_inventory_container *container = container_of(&inventory, containers, cl_sv_cstr(process->cid));
        if (!process->init || !process->alive)
            continue;
        container->init = process->number;
        container->state = process->blocked ? CLOISTER_CONTAINER_CREATED : CLOISTER_CONTAINER_RUNNING;
    }
    if (inventory.fate != CLOISTER_FATE_ALIVE)
        inventory.container_count = inventory.process_count = 0;
}
