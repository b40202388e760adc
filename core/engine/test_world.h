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
    SLOT_ATTACH,
    SLOT_POLICY,
    SLOT_STDIN,
    SLOT_STDIN_CLOSE,
    SLOT_RESIZE,
    SLOT_ADOPT,
    SLOT_FREEZE,
    SLOT_THAW,
    SLOT_UPDATE,
    SLOT_STATS,
    SLOT_PROCS,
    SLOT_FURTHER,
    SLOT_DELETE,
    SLOT_FILE_PUT,
    SLOT_READ_FILE,
    SLOT_FILES_IN,
    SLOT_FILES_OUT,
    SLOT_COUNT
};

/* A process that the fake isolation runs. */
struct fake_process {
    char sandbox[20];
    char cid[20];
    cloister_process number;
    bool init;
    bool alive;
    bool blocked;   /* an init that waits for its start */
    bool forgotten; /* released, or its sandbox has been destroyed: in no inventory */
    uint64_t exit_order;
    struct cloister_status status;
};

/* What adopt is to say of a sandbox; else it is alive, with the processes that the fake runs or ran. */
struct fake_fate {
    char id[20];
    uint32_t fate;
    uint32_t code; /* or: the error of the next call, once */
};

/* What of a sandbox stands still in the fake's eyes. */
struct fake_frozen {
    char id[20];
    bool whole, main;
};

/* Who the engine is: set before world_born. */
struct fake_boot {
    const char *boot_id;
    uint64_t cookie, old_cookie;
    uint64_t recover_ns;
    uint64_t epoch;
    bool orphans_report;
};

struct fake_call {
    struct world *world;
    enum slot slot;
    cloister_op op;
    const void *args;
    bool done;
};

/* The latest text of a kind that came with a put, of whatever sandbox. */
struct fake_record {
    char kind[32];
    char data[4096];
    bool removed;
};

struct fake_global {
    char key[64];
    char data[256];
    uint64_t size;
};

struct fake_text {
    char kind[80];
    char *data;
    size_t size;
};

struct fake_set {
    char id[64];
    char sandbox_record[4096]; /* in front of the one in texts: a test may change it */
    struct fake_text texts[16];
    char summary[300];
    uint32_t health;
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
    int stream_peers[64]; /* far ends of the streams that attach and stdin gave */
    unsigned stream_count;
    bool no_stream;      /* attach succeeds without one */
    char env_seen[1024]; /* of the latest exec */
    uint32_t exec_flags_seen;
    cloister_process process_seen; /* of the latest attach, policy, stdin */
    struct fake_frozen frozen[8];
    bool v1; /* a kill of what is frozen takes effect when it is thawed */
    uint32_t pending_kill;
    struct cloister_result counted; /* of stats and procs */
    char *lent;                     /* texts behind it, which the plugin takes back when it has told them */
    const char *limits_told;        /* by an update; NULL: what was asked for */
    char deleted[20];               /* of the latest container_delete: whose, and with what flags */
    uint32_t delete_flags;
    char file_seen[64]; /* of the latest file_put: path and bytes */
    const char *read;   /* what read_file reads */
    /* store */
    struct fake_set sets[1100];
    unsigned gets, gets_held;
    bool hold_gets; /* not answered before release_gets; one at most */
    cloister_op held_get;
    char held_id[64];
    uint32_t get_fails;
    unsigned global_get_fails; /* so many */
    unsigned puts_power, puts_daemon, removes;
    uint32_t put_fails; /* code; for put_fail_count puts, after put_fail_after */
    unsigned put_fail_after, put_fail_count;
    uint64_t store_capabilities;
    const char *store_report;
    bool short_elements; /* results as an older store gives them */
    bool saw_secret;
    struct fake_record records[16];
    struct fake_global globals[4];
    /* what came out */
    char trace[1 << 16];
    char sentence[512];
    struct cloister_result last;
    cloister_stream *last_stream; /* that came with a completion: the test's to close */
    struct cloister_error last_error;
    char last_json[64];
    char last_sandbox[20];
    unsigned settled, drained;
    struct fake_boot boot;
    struct fake_fate fates[8];
    unsigned fate_count;
    uint64_t exits; /* so far, of all sandboxes */
    unsigned adopting, adopting_most;
    uint64_t cookie_seen; /* of the latest destroy */
    char plan_seen[64];
    char held_plan[64]; /* of the latest hold */
    unsigned holds;
    uint64_t sweep_cookie_seen;
    const char *orphan; /* what a sweep finds */
    bool machine_stats; /* and the machine's counters */
    bool sees_all;      /* `control` is granted everything */
    bool dead;          /* nothing that the engine asks for is done any more */
    bool no_adopt;
    bool answers_at_once;
    cloister_op recovered[64];
    unsigned recovered_count;
    int log_read, log_write;
};

void release_gets(struct world *world);
void fake_set_clear(struct fake_set *set);
extern const struct cloister_isolation fake_isolation;     /* test_isolation.c; instance = the world */
extern const struct cloister_persistence fake_persistence; /* test_store.c; instance = the world */
/* fn on a later turn of the loop. */
void post(struct world *world, cloister_fn fn, void *ctx);

int world_setup(void **state);
int world_teardown(void **state);
void on_settled(void *ctx, const struct cloister_error *err);
/* A second store etc.: before recovery. */
void world_recover(struct world *world);

/* The daemon dies; what the fakes have stays. */
void world_die(struct world *world);
/* The next one: nothing is recovered yet. */
int world_born(struct world *world);
/* Both, and recovers. */
void world_again(struct world *world);
/* test_keeper.c */
void fake_inventory(struct world *world, const struct cloister_iso_adopt_args *args, struct cloister_result *result);
/* container empty: the sandbox as a whole. */
void fake_freeze(struct world *world, struct cloister_sv id, struct cloister_sv container, bool frozen);
bool fake_is_frozen(struct world *world, struct cloister_sv id);
uint32_t fake_fate_code(struct world *world, struct cloister_sv id);
void set_fate(struct world *world, const char *id, uint32_t fate, uint32_t code);
void trace_add(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

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
/* And that its output has: descriptor 1 at `position` with `lost` lost; position 0: it tells of none. */
void tell_drained(struct world *world, unsigned process, uint64_t position, uint64_t lost);
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
cloister_op ask_wait_drained(struct world *world, const char *id, cloister_process process);
cloister_op ask_exec_with(struct world *world, const struct cloister_exec_args *args);
cloister_op ask_attach(struct world *world, const char *id, cloister_process process, uint64_t deadline);
cloister_op ask_attach_with(struct world *world, const struct cloister_attach_args *args);
cloister_op ask_policy(struct world *world, const struct cloister_attach_policy_args *args);
cloister_op ask_stdin(struct world *world, const char *id, cloister_process process);
cloister_op ask_resize(struct world *world, const struct cloister_resize_args *args);
cloister_op ask_stdin_close(struct world *world, const char *id, cloister_process process);
/* value NULL: removes. */
cloister_op ask_label(struct world *world, const char *id, const char *key, const char *value, uint32_t flags);
/* id "": of the service itself. data.data NULL: removes. */
cloister_op ask_record(struct world *world, const char *id, uint32_t where, struct cloister_sv data);
/* A further container whose init is a process; its completions are traced as "<cid>:ok" if it has two letters, else as
 * "further:ok". */
cloister_op ask_container(struct world *world, const char *id, const char *cid, uint32_t start);
cloister_op ask_container_with(struct world *world, const struct cloister_container_create_args *args);
cloister_op ask_delete(struct world *world, const char *id, const char *cid, uint32_t flags, uint64_t deadline);
cloister_op ask_exec_in(struct world *world, const char *id, const char *cid);
cloister_op ask_wait_for(struct world *world, const char *id, const char *cid);
cloister_op ask_freeze(struct world *world, const char *id, const char *container, uint64_t deadline);
cloister_op ask_thaw(struct world *world, const char *id, const char *container);
/* container NULL: of the sandbox. */
cloister_op ask_update(struct world *world, const char *id, const char *container, const char *resources,
                       uint64_t deadline);
cloister_op ask_update_with(struct world *world, const struct cloister_update_args *args);
cloister_op ask_stats(struct world *world, const struct cloister_stats_args *args);
cloister_op ask_procs(struct world *world, const struct cloister_procs_args *args);
cloister_op ask_release(struct world *world, const char *id, cloister_process process);
void on_done(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result);
/* Tells which completions a word is for. */
struct caller {
    struct world *world;
    const char *word;
};
struct caller *caller(struct world *world, const char *word);

const char *running_process(struct world *world, const char *name, const struct cloister_process_args *process);
/* A running sandbox whose init's output (1) is captured. */
const char *running_captured(struct world *world, const char *name);
extern const struct cloister_stdio captured_stdio[3];
/* The latest text of that kind that was put; NULL: none, or it was removed. */
const char *put_record(struct world *world, const char *kind);
/* True if the far end of the nth stream sees that ours is gone. */
bool stream_gone(const struct world *world, unsigned nth);
/* A running sandbox; returns its id in a static buffer good for some calls. */
const char *running(struct world *world, const char *name);
struct cloister_sandbox_info info(struct world *world, const char *id);
unsigned open_fds(void);
unsigned store_sets(const struct world *world);
bool run_dir_exists(const struct world *world, const char *id);
extern const char spec_text[];

#endif
