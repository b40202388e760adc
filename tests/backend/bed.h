/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bed.h - the namespaces plugin over the real loop, zygote and keeper, with the engine's place taken by a recorder:
 * every operation is called and waited for, every upcall is kept. Needs root. One bed at a time.
 */
#ifndef BED_H
#define BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <cloister/host.h>

/* The plugin is linked in. */
const struct cloister_plugin *cloister_plugin_entry(void);

#define BED_MAX 64
#define BED_EXEC_MS 3000u /* the plugin's exec_ms */

struct bed_outcome {
    cloister_op op;
    unsigned done; /* how often: must become 1 */
    struct cloister_error err;
    struct cloister_result result;
    char json[8192];
    char data[256];
    char sentence[1024];
};

struct bed_exit {
    cloister_process process;
    struct cloister_status status;
};

struct bed_drained {
    cloister_process process;
    unsigned count;
    struct cloister_output_end outputs[3];
};

struct bed {
    char dir[64]; /* holds rootfs and run */
    char rootfs[96];
    char run[96];
    char cgroup_root[32];
    uint64_t cookie;
    struct bed_exit exits[BED_MAX];
    unsigned exit_count;
    struct bed_drained drained[BED_MAX];
    unsigned drained_count;
    char halt_at[64]; /* of the next instance */
    char forbid[64];  /* so too: a JSON list */
    unsigned downs;   /* SANDBOX_DOWN, cause LOST */
    char warnings[BED_MAX][256];
    unsigned warning_count;
    char orphans[BED_MAX][256]; /* "<id> <kind> <removed>" */
    unsigned orphan_count;
    const struct cloister_iso_container *also; /* of the next bed_adopt: a further container; NULL = none */
    const struct cloister_isolation *iso;
    void *instance;
    uint64_t features;
};

extern struct bed bed;
/* Gets each successful result that is told, while what it borrows is there; NULL = nobody. */
extern void (*bed_result)(const struct cloister_result *result);

/* `keeper` is the keeper program's path. Fails the test if something goes wrong. With BED_PLACE in the environment
 * ("directory:cookie") it is opened on what another process's bed made there, and bed_close leaves that as it is. */
void bed_open(const char *keeper);
void bed_close(void);
/* What BED_PLACE must be for another process to see this bed's sandboxes. */
void bed_place(char *ret, size_t size);
/* detach and destroy the instance, make a new one: what a restarted daemon sees. */
void bed_restart(void);

/* Turns the loop until *count is not 0, at most 30 s; false after that. */
bool bed_until(const unsigned *count);
void bed_turns(unsigned ms);

/* A profile from conf/profiles, or a text: spec without process into *ret_spec, process with args (words separated by
 * spaces; "|" begins a last argument that may hold spaces) into *ret_process. Static until the next call. */
void bed_spec(const char *text, const char *command, struct cloister_sv *ret_spec, struct cloister_sv *ret_process);
char *bed_read(const char *path);

struct bed_sandbox {
    char id[17];
    char blob[65536];
    struct cloister_iso_sandbox which;
    struct cloister_sv spec;
    struct cloister_process_args process;
    struct cloister_container_args container;
    struct cloister_sandbox_create_args create;
    struct cloister_iso_create_args args;
    struct cloister_stdio stdio[3];
};

/* Fills a sandbox whose container runs `command` from a spec text, root writable and id-mapped; edit it before
 * bed_create. */
void bed_prepare(struct bed_sandbox *s, const char *id, const char *text, const char *command);
/* plan; 0 or -1 with the error in *ret. */
int bed_plan(struct bed_sandbox *s, struct bed_outcome *ret);
/* plan, run directory, sandbox_create. start: only begins. */
void bed_start(struct bed_sandbox *s, struct bed_outcome *ret);
void bed_create(struct bed_sandbox *s, struct bed_outcome *ret);
void bed_destroy(struct bed_sandbox *s, struct bed_outcome *ret);

/* What adopt said, copied. */
struct bed_inventory {
    uint32_t fate;
    unsigned container_count;
    uint32_t frozen;
    struct cloister_inventory_container container;
    unsigned count;
    struct cloister_inventory_process processes[BED_MAX];
    struct cloister_output_end outputs[BED_MAX][3];
    char names[BED_MAX][64];
    char tags[BED_MAX][64];
};

/* The sandbox as a record would have it; deadline in ms from now, 0 = none. bed_adopt_start only begins. */
void bed_adopt(struct bed_sandbox *s, unsigned deadline_ms, struct bed_outcome *ret,
               struct bed_inventory *ret_inventory);

/* Stream of a process's output; ret->result has it. */
void bed_attach(struct bed_sandbox *s, cloister_process process, uint32_t fd, uint32_t from, uint64_t position,
                uint32_t policy, struct bed_outcome *ret);
void bed_stdin(struct bed_sandbox *s, cloister_process process, bool close, struct bed_outcome *ret);
void bed_release(struct bed_sandbox *s, cloister_process process, struct bed_outcome *ret);
const struct cloister_host *bed_host(void);

/* Waits for the completion of what ret belongs to. */
void bed_wait(struct bed_outcome *ret);
/* A fresh operation number; the outcome is told to ret. */
cloister_op bed_op(struct bed_outcome *ret);

/* Waits for a process's exit and gives it. */
struct cloister_status bed_exit_of(cloister_process process);

/* exec with a command as in bed_spec, output to fd (moved, -1 = NULL). */
void bed_exec(struct bed_sandbox *s, cloister_process process, const char *command, int fd, struct bed_outcome *ret);
/* The same with three entries, a name and a tag. */
void bed_exec_with(struct bed_sandbox *s, cloister_process process, const char *command,
                   const struct cloister_stdio *stdio, const char *name, const char *tag, struct bed_outcome *ret);

/* Groups below the root that begin with "cl-", in all hierarchies; and entries of the run directory. */
unsigned bed_group_count(void);
unsigned bed_run_count(void);

/* Both ends close-on-exec; text read to the end, static. */
void bed_pipe(int ends[2]);
const char *bed_drain(int fd);

#endif
