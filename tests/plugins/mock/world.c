/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now(const struct mock_world *world)
{
    return world->host->system->now_mono();
}

struct mock_box *mock_box_new(struct mock_world *world, struct cloister_sv id)
{
    struct mock_box *box = calloc(1, sizeof(*box));
    if (!box)
        return NULL;
    memcpy(box->id, id.data, id.size < sizeof(box->id) ? id.size : sizeof(box->id) - 1);
    box->world = world;
    box->next = world->boxes;
    world->boxes = box;
    return box;
}

struct mock_box *mock_box_find(const struct mock_world *world, struct cloister_sv id)
{
    for (struct mock_box *box = world->boxes; box; box = box->next)
        if (strlen(box->id) == id.size && memcmp(box->id, id.data, id.size) == 0)
            return box;
    return NULL;
}

unsigned mock_box_alive(const struct mock_box *box)
{
    unsigned count = 0;
    for (const struct mock_process *process = box->processes; process; process = process->next)
        count += !process->exited;
    return count;
}

static void free_process(void *process)
{
    free(process);
}

void mock_process_drop(struct mock_process *process)
{
    struct mock_process **at = &process->box->processes;
    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    process->box->world->host->loop->timer_close(process->timer, free_process, process);
}

void mock_box_drop(struct mock_box *box)
{
    struct mock_box **at = &box->world->boxes;
    while (box->processes)
        mock_process_drop(box->processes);
    while (*at != box)
        at = &(*at)->next;
    *at = box->next;
    free(box);
}

static void tell(const struct mock_process *process, uint32_t kind, const struct cloister_status *status)
{
    const struct cloister_host *host = process->box->world->host;
    const struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event),
                                             .kind = kind,
                                             .sandbox = {process->box->id, strlen(process->box->id)},
                                             .container = CLOISTER_SV("main"),
                                             .incarnation = 1,
                                             .process = process->number,
                                             .status = *status,
                                             .output_size = sizeof(struct cloister_output_end)};
    host->iso->event(host, &event);
}

/* A box whose last process ends may be gone when this returns. */
static void end(struct mock_process *process, uint32_t kind, uint32_t value)
{
    struct mock_box *box = process->box;
    const struct cloister_system_api *system = box->world->host->system;
    const struct cloister_status status = {
        .kind = kind, .value = value, .real_ns = system->now_real(), .mono_ns = system->now_mono()};
    process->exited = true;
    box->ending++;
    (void)box->world->host->loop->timer_stop(process->timer);
    tell(process, CLOISTER_EVENT_EXIT, &status);
    for (struct mock_process *other = process->init ? box->processes : NULL; other; other = other->next)
        if (!other->exited)
            mock_process_signal(other, SIGKILL);
    tell(process, CLOISTER_EVENT_DRAINED, &status);
    if (--box->ending == 0 && box->empty && mock_box_alive(box) == 0) {
        void (*empty)(void *) = box->empty;
        box->empty = NULL;
        empty(box->empty_ctx);
    }
}

static void on_time(void *ctx)
{
    struct mock_process *process = ctx;
    if (process->exited)
        return;
    if (process->by)
        end(process, CLOISTER_STATUS_SIGNALED, process->by);
    else
        end(process, process->program.status.kind, process->program.status.value);
}

struct mock_process *mock_process_new(struct mock_box *box, cloister_process number, const struct mock_program *program,
                                      bool init)
{
    struct mock_process *process = calloc(1, sizeof(*process));
    if (!process || box->world->host->loop->timer_open(box->world->host, on_time, process, &process->timer) < 0) {
        free(process);
        return NULL;
    }
    process->box = box;
    process->number = number;
    process->program = *program;
    process->init = init;
    process->blocked = true;
    process->next = box->processes;
    box->processes = process;
    return process;
}

struct mock_process *mock_process_find(const struct mock_box *box, cloister_process number)
{
    for (struct mock_process *process = box->processes; process; process = process->next)
        if (process->number == number)
            return process;
    return NULL;
}

void mock_process_start(struct mock_process *process)
{
    const struct mock_world *world = process->box->world;
    process->blocked = false;
    if (process->program.ns == MOCK_FOREVER)
        return;
    process->due = now(world) + process->program.ns;
    (void)world->host->loop->timer_set(process->timer, process->due, 0);
}

void mock_process_signal(struct mock_process *process, uint32_t signal)
{
    struct mock_world *world = process->box->world;
    if (signal == 0 || signal == SIGCHLD || signal == SIGCONT || (world->unkillable_ms && signal != SIGKILL))
        return;
    if (process->box->frozen && signal != SIGKILL) {
        process->pending = signal;
    } else if (world->unkillable_ms) {
        process->by = signal;
        if (world->unkillable_ms < MOCK_NEVER_MS)
            (void)world->host->loop->timer_set(process->timer, now(world) + world->unkillable_ms * 1000000u, 0);
        else
            (void)world->host->loop->timer_stop(process->timer);
    } else {
        end(process, CLOISTER_STATUS_SIGNALED, signal);
    }
}

static void stop_time(struct mock_process *process)
{
    const struct mock_world *world = process->box->world;
    (void)world->host->loop->timer_stop(process->timer);
    process->left = process->due > now(world) ? process->due - now(world) : 1;
}

static void let_time_pass(struct mock_process *process)
{
    const struct mock_world *world = process->box->world;
    if (process->pending) {
        process->by = process->pending;
        process->left = 1;
    }
    if (!process->due && !process->pending)
        return;
    process->due = now(world) + process->left;
    (void)world->host->loop->timer_set(process->timer, process->due, 0);
}

void mock_box_freeze(struct mock_box *box, bool frozen)
{
    if (box->frozen == frozen)
        return;
    box->frozen = frozen;
    for (struct mock_process *process = box->processes; process; process = process->next) {
        if (process->exited || process->blocked)
            continue;
        if (frozen)
            stop_time(process);
        else
            let_time_pass(process);
    }
}
