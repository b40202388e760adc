/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopwatch.h - what the stopwatch times: things done over the API of a running daemon, and whole programs.
 *
 * A task is a JSON object that names the thing in "do" and has its arguments. Doing one once takes *ret_ns, from the
 * first byte sent to whatever tells that it is over.
 */
#ifndef BENCH_STOPWATCH_H
#define BENCH_STOPWATCH_H

#include "tools/cloisterctl/client.h"

struct watch {
    const char *socket; /* of the daemon */
    struct ctl_client client;
    uint64_t serial; /* of the programs run so far; part of the names they are given */
};

/* One thing, done once. 0 or negative errno. */
typedef int watch_do(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err);

/* api.c: "params" are those of the request. create + wait + destroy; exec + wait. */
watch_do watch_start, watch_exec;
/* output.c: "params" create a container that writes "bytes" to its stdout; timed from `attach` to the last byte. */
watch_do watch_output;
/*
 * program.c: "argv" to its end, which must be exit code 0; with "name" an argument is added that is never used twice.
 * pipe: what it writes, "bytes" long, is read to the end.
 */
watch_do watch_program, watch_pipe;

/* crowd.c: "clients" processes do it "each" times, every one with a connection of its own; together. */
int watch_crowd(struct watch *watch, watch_do *what, const cloister_value *task, uint64_t *ret_ns,
                struct cloister_error *err);

/* drain.c: reads fd to its end. */
int watch_drain(int fd, uint64_t *ret_bytes, struct cloister_error *err);
/* Refuses anything but as many bytes as the task's "bytes" says. */
int watch_check_bytes(const cloister_value *task, uint64_t bytes, struct cloister_error *err);

/* Calls and takes params (NULL: there was no memory for them); ret_result may be NULL. */
int watch_call(struct watch *watch, const char *method, cloister_value *params, cloister_value **ret_result,
               struct cloister_error *err);
/* {"id": sandbox, "process": process (NULL: none)}; NULL without memory. */
cloister_value *watch_target(const cloister_value *sandbox, const cloister_value *process);
/* Waits for a process's end (NULL: init's), which must be exit code 0. */
int watch_wait(struct watch *watch, const cloister_value *sandbox, const cloister_value *process,
               struct cloister_error *err);

uint64_t watch_now(void);
int watch_no_memory(struct cloister_error *err);
/* A number of the task, 0 if it has none. */
uint64_t watch_number(const cloister_value *task, const char *key);

#endif
