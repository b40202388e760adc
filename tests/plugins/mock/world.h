/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - what the mock has in the kernel's place: sandboxes and processes as entries in memory, time as timers. It
 * lives and dies with the instance, which is why the mock neither adopts nor sweeps.
 */
#ifndef MOCK_WORLD_H
#define MOCK_WORLD_H

#include <cloister/host.h>
#include <stdbool.h>

#include "program.h"

#define MOCK_NEVER_MS 3600000u /* an unkillable process that nothing ends */

struct mock_box;

struct mock_world {
    const struct cloister_host *host;
    struct mock_box *boxes;
    uint64_t unkillable_ms; /* 0: SIGKILL ends a process at once, as it should */
};

struct mock_process {
    struct mock_process *next;
    struct mock_box *box;
    cloister_process number;
    struct mock_program program;
    bool init;
    bool blocked; /* has not been started */
    bool exited;
    uint32_t pending; /* a signal that waits for the thaw; 0: none */
    uint64_t due;     /* when it ends by itself, ns; 0: never */
    uint64_t left;    /* the same while it is frozen, from the thaw on */
    uint32_t by;      /* the signal that it will have ended by; 0: by itself */
    cloister_timer *timer;
};

struct mock_box {
    struct mock_box *next;
    struct mock_world *world;
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    bool frozen;
    unsigned ending;                /* exits being told: an init's takes the others' along */
    struct mock_process *processes; /* latest first */
    /* Called once, when nothing lives any more. */
    void (*empty)(void *ctx);
    void *empty_ctx;
};

struct mock_box *mock_box_new(struct mock_world *world, struct cloister_sv id); /* NULL: no memory */
struct mock_box *mock_box_find(const struct mock_world *world, struct cloister_sv id);
/* Without a word: no exits are told. */
void mock_box_drop(struct mock_box *box);
unsigned mock_box_alive(const struct mock_box *box);
void mock_box_freeze(struct mock_box *box, bool frozen);

/* NULL: no memory. */
struct mock_process *mock_process_new(struct mock_box *box, cloister_process number, const struct mock_program *program,
                                      bool init);
struct mock_process *mock_process_find(const struct mock_box *box, cloister_process number);
/* From now on time passes for it. It never ends inside this call. */
void mock_process_start(struct mock_process *process);
/* It must not have exited. It may end inside this call, its exit is then told before. */
void mock_process_signal(struct mock_process *process, uint32_t signal);
void mock_process_drop(struct mock_process *process); /* one that has exited */

#endif
