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
    char sentence[1024];
};

struct bed_exit {
    cloister_process process;
    struct cloister_status status;
};

struct bed {
    char dir[64]; /* holds rootfs and run */
    char rootfs[96];
    char run[96];
    char cgroup_root[32];
    uint64_t cookie;
    struct bed_exit exits[BED_MAX];
    unsigned exit_count;
    unsigned downs; /* SANDBOX_DOWN, cause LOST */
    char warnings[BED_MAX][256];
    unsigned warning_count;
    char orphans[BED_MAX][256]; /* "<id> <kind> <removed>" */
    unsigned orphan_count;
    const struct cloister_isolation *iso;
    void *instance;
    uint64_t features;
};

extern struct bed bed;

/* `keeper` is the keeper program's path. Fails the test if something goes wrong. */
void bed_open(const char *keeper);
void bed_close(void);
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

/* Waits for the completion of what ret belongs to. */
void bed_wait(struct bed_outcome *ret);
/* A fresh operation number; the outcome is told to ret. */
cloister_op bed_op(struct bed_outcome *ret);

/* Waits for a process's exit and gives it. */
struct cloister_status bed_exit_of(cloister_process process);

/* exec with a command as in bed_spec, output to fd (moved, -1 = NULL). */
void bed_exec(struct bed_sandbox *s, cloister_process process, const char *command, int fd, struct bed_outcome *ret);

/* Groups below the root that begin with "cl-", in all hierarchies; and entries of the run directory. */
unsigned bed_group_count(void);
unsigned bed_run_count(void);

/* Both ends close-on-exec; text read to the end, static. */
void bed_pipe(int ends[2]);
const char *bed_drain(int fd);

#endif
