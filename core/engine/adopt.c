/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.c - isolation is asked what became of a sandbox, and its word is taken for it: what lives and how things ended
 * comes from the inventory, what was wanted from the records.
 *
 * A container that was only half made was never told of: it is undone before anybody hears of the sandbox again, and so
 * is one that the keeper has and no record explains. Both only if the store has lost nothing that could explain them.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/args.h"
#include "core/engine/recover.h"
#include "core/engine/runfile.h"
#include "core/engine/unknown.h"
#include "core/engine/update.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/time.h"

void *cl_inventory_keep(struct cl_arena *arena, const struct cloister_inventory *inventory)
{
    struct cloister_inventory *copy = cl_arena_struct(arena, inventory, sizeof(*copy));
    if (!copy)
        return NULL;
    struct cloister_inventory_container *containers =
        cl_arena_array(arena, copy->containers, copy->container_count, copy->container_size, sizeof(*containers));
    struct cloister_inventory_process *processes =
        cl_arena_array(arena, copy->processes, copy->process_count, copy->process_size, sizeof(*processes));
    for (uint64_t i = 0; containers && i < copy->container_count; i++)
        containers[i].cid = cl_arena_sv(arena, containers[i].cid);
    for (uint64_t i = 0; processes && i < copy->process_count; i++) {
        struct cloister_inventory_process *process = &processes[i];
        process->cid = cl_arena_sv(arena, process->cid);
        process->name = cl_arena_sv(arena, process->name);
        process->tag = cl_arena_sv(arena, process->tag);
        if (process->outputs)
            process->outputs = cl_arena_array(arena, process->outputs, process->output_count, sizeof(*process->outputs),
                                              sizeof(*process->outputs));
    }
    copy->containers = containers;
    copy->container_size = sizeof(*containers);
    copy->processes = processes;
    copy->process_size = sizeof(*processes);
    return copy;
}

static bool ended(const struct cloister_inventory_process *process)
{
    return process->state >= CLOISTER_PROCESS_EXITED;
}

static const struct cloister_inventory_container *listed_container(const struct cloister_inventory *inventory,
                                                                   const struct cl_container *container)
{
    for (uint64_t i = 0; i < inventory->container_count; i++)
        if (cl_sv_is(inventory->containers[i].cid, container->cid))
            return &inventory->containers[i];
    return NULL;
}

/* 0 or -ENOMEM. What makes no sense is named and left out. */
static int add_process(struct cl_sandbox *sandbox, const struct cloister_inventory_process *from)
{
    struct cl_container *container = cl_container_find(sandbox, from->cid, NULL);
    struct cl_process *process;
    bool is_init = from->is_init != 0;
    if (!container && cl_container_doomed(sandbox, from->cid))
        return 0;
    if (!container || (is_init && container->init)) {
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "%s told of a process %llu of sandbox %s that cannot be there; ignored",
               sandbox->backend->instance->label, (unsigned long long)from->process, sandbox->id);
        return 0;
    }
    int r = cl_process_restore(container, from->process, from->name, is_init, &process);
    r = r ? r : cl_process_set_tag(process, from->tag);
    if (r < 0)
        return r == -EEXIST ? 0 : r;
    process->pid = from->pid;
    process->started_real_ns = from->started_real_ns;
    process->captured = from->output_count > 0;
    process->state = from->state == CLOISTER_PROCESS_STARTING ? CLOISTER_PROCESS_STARTING : CLOISTER_PROCESS_RUNNING;
    if (is_init) {
        container->init = process;
        container->init_number = process->number;
    }
    return 0;
}

int cl_restore_inits(struct cl_sandbox *sandbox, const struct cloister_status *status)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->state == CLOISTER_CONTAINER_STOPPED || !container->init_number || container->init)
            continue;
        int r = cl_process_restore(container, container->init_number, cl_sv(NULL, 0), true, &container->init);
        if (r < 0)
            return r;
        container->init->state = CLOISTER_PROCESS_RUNNING;
        if (status)
            cl_notice_ended(container->init, CLOISTER_EVENT_EXIT, status);
    }
    return 0;
}

static int by_exit(const void *a, const void *b)
{
    const struct cloister_inventory_process *const *left = a, *const *right = b;
    uint64_t x = (*left)->exit_order, y = (*right)->exit_order;
    return x < y ? -1 : x > y;
}

/* In the keeper's order; what isolation tells of its own accord comes behind. */
static void queue_exits(struct cl_sandbox *sandbox, const struct cloister_inventory_process **exits, size_t count)
{
    qsort(exits, count, sizeof(*exits), by_exit);
    for (size_t i = 0; i < count; i++) {
        struct cl_process *process = cl_map_get_u64(&sandbox->by_number, exits[i]->process);
        if (!process)
            continue;
        cl_notice_ended(process, CLOISTER_EVENT_EXIT, &exits[i]->status);
        if (exits[i]->state != CLOISTER_PROCESS_DRAINED || !process->captured)
            continue;
        cl_process_set_outputs(process, exits[i]->outputs, exits[i]->output_count, sizeof(*exits[i]->outputs));
        cl_notice_ended(process, CLOISTER_EVENT_DRAINED, &exits[i]->status);
    }
}

/* Reality wins for what lives. What has stopped comes out as an exit. True: the record said something else. */
static bool take_states(struct cl_sandbox *sandbox, const struct cloister_inventory *inventory)
{
    bool changed = false;
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        const struct cloister_inventory_container *from = listed_container(inventory, container);
        bool lives = from && (from->state == CLOISTER_CONTAINER_CREATED || from->state == CLOISTER_CONTAINER_RUNNING);
        if (!lives) {
            (void)cl_limits_set(&container->limits.wanted, cl_sv(NULL, 0));
            continue;
        }
        changed |= container->state != from->state;
        container->state = from->state;
        container->frozen = from->frozen != 0;
        container->started_real_ns = container->init ? container->init->started_real_ns : container->started_real_ns;
        sandbox->state = CLOISTER_SANDBOX_UP;
        sandbox->down = false;
    }
    return changed;
}

/* Nobody was answered: what there is of them goes. Not known any more, so what the inventory says of them is not taken.
 */
void cl_doom_half_made(struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->state != CLOISTER_CONTAINER_CREATING)
            continue;
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, CL_SANDBOX_LOG ": container '%s' was only half made; it is removed",
               CL_SANDBOX_LOG_ARG(sandbox), container->cid);
        cl_container_doom(container);
    }
}

/* 0 or -ENOMEM. */
static int doom_unexplained(struct cl_sandbox *sandbox, const struct cloister_inventory *inventory, bool may)
{
    for (uint64_t i = 0; i < inventory->container_count; i++) {
        struct cloister_sv cid = inventory->containers[i].cid;
        struct cl_container *container;
        if (cl_container_find(sandbox, cid, NULL) || cl_container_doomed(sandbox, cid))
            continue;
        may = may && cid.size && cl_args_check_cid(cid, NULL) == 0;
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, CL_SANDBOX_LOG ": no record explains its container '%.*s'; it is %s",
               CL_SANDBOX_LOG_ARG(sandbox), CL_SV_ARG(cid), may ? "removed" : "left as it is");
        if (!may)
            continue;
        if (cl_container_new(sandbox, cid, cl_sv(NULL, 0), &container) < 0)
            return -ENOMEM;
        cl_container_doom(container);
    }
    return 0;
}

/* 0; -ENOMEM: half of it is there. */
static int take_inventory(struct cl_row *row, struct cl_sandbox *sandbox, struct cl_arena *arena,
                          const struct cloister_inventory *inventory)
{
    const struct cloister_status lost = {.kind = CLOISTER_STATUS_LOST};
    const struct cloister_inventory_process **exits =
        cl_arena_alloc(arena, inventory->process_count + 1, sizeof(struct cloister_inventory_process *));
    size_t count = 0;
    bool clean = cl_store_was_clean(row->store);
    if (clean)
        cl_doom_half_made(sandbox);
    int r = exits ? doom_unexplained(sandbox, inventory, clean) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < inventory->process_count; i++) {
        r = add_process(sandbox, &inventory->processes[i]);
        if (ended(&inventory->processes[i]) && exits)
            exits[count++] = &inventory->processes[i];
    }
    if (r < 0)
        return r;
    row->changed |= take_states(sandbox, inventory);
    sandbox->frozen = inventory->frozen != 0 && sandbox->state == CLOISTER_SANDBOX_UP;
    queue_exits(sandbox, exits, count);
    return cl_restore_inits(sandbox, &lost); /* the keeper does not know them: nobody ever will */
}

/* Back to what the record says: it is asked for again. */
static void forget_inventory(struct cl_sandbox *sandbox)
{
    cl_notices_drop(sandbox);
    for (struct cl_list *node; (node = cl_list_first(&sandbox->processes));)
        cl_process_free(CL_CONTAINER(node, struct cl_process, node));
}

static int take(struct cl_row *row, struct cl_sandbox *sandbox, const struct cloister_inventory *from,
                struct cloister_error *err)
{
    struct cl_arena arena = CL_ARENA_INIT;
    const struct cloister_inventory *inventory = cl_inventory_keep(&arena, from);
    int r = inventory && !arena.failed ? 0 : -ENOMEM;
    if (r == 0 && inventory->fate == CLOISTER_FATE_ALIVE)
        r = take_inventory(row, sandbox, &arena, inventory);
    if (r == 0 && inventory->fate == CLOISTER_FATE_OFF && cl_store_was_clean(row->store))
        cl_doom_half_made(sandbox);
    if (r == 0 && inventory->fate == CLOISTER_FATE_OFF && sandbox->state != CLOISTER_SANDBOX_OFF) {
        r = cl_restore_inits(sandbox, NULL);
        if (r == 0)
            cl_notice_lost(sandbox, CLOISTER_CAUSE_LOST);
    }
    cl_arena_free(&arena);
    if (r < 0) {
        forget_inventory(sandbox);
        return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, "inventory", "take over what runs in it");
    }
    return 0;
}

/* It cannot be found out now: shown so, asked again, and nobody waits for it. */
static void no_contact(struct cl_operation *operation, const struct cloister_error *err)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    if (!sandbox->no_contact)
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, err, CL_SANDBOX_LOG ": no contact yet; asking again",
                     CL_SANDBOX_LOG_ARG(sandbox));
    sandbox->no_contact = true;
    cl_error_copy(&sandbox->failure, err);
    cl_row_settled(operation->args.row);
    cl_recovered_again(operation);
}

static int check_answer(const struct cl_operation *operation, const struct cloister_inventory *inventory,
                        struct cloister_error *err)
{
    struct cloister_inventory head;
    if (inventory)
        cl_struct_copy(&head, sizeof(head), inventory);
    if (!inventory || head.fate < CLOISTER_FATE_ALIVE || head.fate > CLOISTER_FATE_FOREIGN)
        return cl_error_set(err, CLOISTER_INTERNAL, 0, NULL, "adopt", "%s did not say what became of it",
                            operation->backend->instance->label);
    return 0;
}

/* ---- containers to be undone ---- */

static void undo_next(struct cl_operation *operation);

static void on_undone(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_list *first = cl_list_first(&sandbox->doomed);
    struct cl_container *container = CL_CONTAINER(first, struct cl_container, node);
    if (!err || err->code == CLOISTER_NO_ENTITY) {
        struct cl_runfile file = cl_runfile_of_container(container);
        cl_runfile_drop(&file);
        operation->args.row->changed = true; /* and with that its records go */
        cl_container_bury(container);
    } else { /* nobody waits for it: somebody tries again later */
        cl_list_remove(first);
        cl_list_append(&sandbox->doomed, first);
        operation->args.row->stuck++;
    }
    undo_next(operation);
}

/* One after the other; those that do not go are left to cl_recovered_finish. */
static void undo_next(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    unsigned left = 0;
    CL_LIST_FOREACH(node, &sandbox->doomed)
    left++;
    if (operation->cancelled) {
        cl_recovered_finish(operation);
        return;
    }
    if (left <= operation->args.row->stuck) {
        if (operation->args.row->alive)
            cl_update_again(operation);
        else
            cl_recovered_ask(operation);
        return;
    }
    const struct cl_container *container = CL_CONTAINER(cl_list_first(&sandbox->doomed), struct cl_container, node);
    operation->own_delete = (struct cloister_container_delete_args){
        CLOISTER_INIT(struct cloister_container_delete_args), .flags = CLOISTER_DELETE_FORCE,
        .sandbox = cl_sandbox_id(sandbox), .container = cl_sv_cstr(container->cid)};
    operation->iso.remove = (struct cloister_iso_delete_args){CLOISTER_INIT(struct cloister_iso_delete_args),
                                                              .delete_ = &operation->own_delete};
    cl_sandbox_identity(sandbox, &operation->iso.remove.sandbox);
    if (CL_ISO_CALL(operation, container_delete, &operation->iso.remove, on_undone, &err) < 0)
        on_undone(operation, &err, NULL);
}

static void on_adopted(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    const struct cloister_inventory *inventory = ((const struct cloister_result *)data)->inventory;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    cl_row_idle(operation->args.row);
    if (!err &&
        (check_answer(operation, inventory, &own) < 0 || take(operation->args.row, sandbox, inventory, &own) < 0))
        err = &own;
    if (operation->cancelled) {
        if (err)
            (void)cl_restore_inits(sandbox, NULL); /* how they ended is not known, but that they did can be told */
        cl_recovered_finish(operation);
        return;
    }
    if (err) {
        no_contact(operation, err);
        return;
    }
    operation->args.row->contact = sandbox->no_contact;
    operation->args.row->alive = inventory->fate == CLOISTER_FATE_ALIVE;
    sandbox->no_contact = false;
    cl_error_clear(&sandbox->failure);
    if (inventory->fate == CLOISTER_FATE_FOREIGN) {
        (void)cl_error_set(&own, CLOISTER_DENIED, 0, NULL, "adopt",
                           "what is there in its place belongs to somebody else");
        cl_unknown_become(sandbox, &own);
        cl_recovered_finish(operation);
        return;
    }
    undo_next(operation);
}

void cl_adopt_begin(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cloister_iso_adopt_args *args = &operation->args.row->adopt;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct cloister_iso_container *containers = args->containers;
    *args = (struct cloister_iso_adopt_args){
        CLOISTER_INIT(struct cloister_iso_adopt_args),
        .containers = containers,
        .container_count = args->container_count,
        .container_size = sizeof(*containers),
        .deadline = cl_mono_ns() + operation->engine->recover_ns,
    };
    cl_sandbox_identity(sandbox, &args->sandbox);
    if (CL_ISO_CALL(operation, adopt, args, on_adopted, &err) < 0)
        no_contact(operation, &err);
}
