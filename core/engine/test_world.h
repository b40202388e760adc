/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_world.h - for the engine's unit tests: an engine between a fake isolation plugin and a fake store.
 *
 * Both complete on a later turn of the loop unless the test holds them. Everything the engine tells (events,
 * completions) goes into one trace, in order: "exit(init)", "wait ok", "exec CANCELLED"; so a test reads like the
 * promise it checks.
 */
#ifndef CL_CORE_ENGINE_TEST_WORLD_H
#define CL_CORE_ENGINE_TEST_WORLD_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine/engine.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/util/time.h"

enum slot {
    SLOT_CREATE,
    SLOT_DESTROY,
    SLOT_START,
    SLOT_KILL,
    SLOT_EXEC,
    SLOT_SIGNAL,
    SLOT_RELEASE,
    SLOT_DESCRIBE,
    SLOT_SWEEP,
    SLOT_COUNT
};

/* A process that the fake isolation runs. */
struct fake_process {
    char sandbox[20];
    cloister_process number;
    bool init;
    bool alive;
};

struct fake_call {
    struct world *world;
    enum slot slot;
    cloister_op op;
    const void *args;
    bool done;
};

struct fake_set {
    char id[64];
    char sandbox_record[1024];
    uint64_t generation;
    bool used;
};

struct world {
    struct cl_loop *loop;
    struct cl_events *events;
    struct cl_engine *engine;
    struct cl_store *store;
    char run_dir[64];
    struct cl_instance isolation, persistence, control, other;
    union cl_vtable isolation_vtable, persistence_vtable, personality_vtable;
    /* isolation */
    struct fake_call calls[5000];
    unsigned call_count;
    bool hold[SLOT_COUNT];   /* calls are kept for the test to complete */
    bool inside[SLOT_COUNT]; /* completed inside the call */
    bool exit_first;         /* exec: the process exits 0 before its exec is completed */
    bool ignore_cancel;
    bool stubborn; /* only SIGKILL ends anything, and not even that if 2 */
    bool immortal;
    uint32_t fail[SLOT_COUNT]; /* code of the next completion */
    uint32_t plan_fails;
    struct fake_process processes[5000];
    unsigned process_count;
    unsigned cancels, detached, stdio_taken;
    uint64_t known_seen;
    uint32_t report_only_seen;
    struct cloister_sandbox_create_args planned;
    /* store */
    struct fake_set sets[64];
    unsigned puts_power, puts_daemon, removes;
    uint32_t put_fails; /* code; for put_fail_count puts, after put_fail_after */
    unsigned put_fail_after, put_fail_count;
    uint64_t store_capabilities;
    const char *store_report;
    bool short_elements; /* results as an older store gives them */
    bool saw_secret;
    /* what came out */
    char trace[1 << 16];
    char sentence[512];
    struct cloister_result last;
    struct cloister_error last_error;
    char last_json[64];
    char last_sandbox[20];
    unsigned settled, drained;
    int log_read, log_write;
};

int world_setup(void **state);
int world_teardown(void **state);
/* A second store etc.: before recovery. */
void world_recover(struct world *world);

void turn(struct world *world);                  /* everything that is ready */
void turn_for(struct world *world, unsigned ms); /* real time passes */
const char *trace(struct world *world);          /* since the last look */
const char *logged(struct world *world);

/* Completes a kept call: code 0 = success. */
void complete(struct world *world, unsigned index, uint32_t code);
/* The latest call of that slot; fails the test if there is none. */
unsigned last_call(struct world *world, enum slot slot);
unsigned calls_of(struct world *world, enum slot slot);
/* Isolation tells that the nth process ends. */
void tell_exit(struct world *world, unsigned process, uint32_t code);
void tell_lost(struct world *world, const char *sandbox);

/* Requests. Each completion is traced as "<word> ok" or "<word> CODE". */
cloister_op ask_create(struct world *world, const char *name, uint32_t init, uint32_t start);
cloister_op ask_create_with(struct world *world, const struct cloister_sandbox_create_args *args);
cloister_op ask_destroy(struct world *world, const char *id, uint64_t deadline);
cloister_op ask_exec(struct world *world, const char *id, const char *name, uint64_t deadline);
cloister_op ask_exec_fds(struct world *world, const char *id, const int *fds, size_t count);
cloister_op ask_wait(struct world *world, const char *id, cloister_process process);
cloister_op ask_stop(struct world *world, const char *id, uint64_t grace, uint64_t deadline);
cloister_op ask_start(struct world *world, const char *id);
cloister_op ask_signal(struct world *world, const char *id, cloister_process process, uint32_t number);
cloister_op ask_release(struct world *world, const char *id, cloister_process process);
void on_done(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result);
/* Tells which completions a word is for. */
struct caller {
    struct world *world;
    const char *word;
};
struct caller *caller(struct world *world, const char *word);

/* A running sandbox; returns its id in a static buffer good for some calls. */
const char *running(struct world *world, const char *name);
struct cloister_sandbox_info info(struct world *world, const char *id);
unsigned open_fds(void);
unsigned store_sets(const struct world *world);
bool run_dir_exists(const struct world *world, const char *id);
extern const char spec_text[];

#endif
