/* SPDX-License-Identifier: Apache-2.0 */
/* test_bed.h - a real zygote, one sandbox keeper and a busybox root, for the tests of this folder. Needs root. */
#ifndef CL_KEEPER_TEST_BED_H
#define CL_KEEPER_TEST_BED_H

#include "common/keeper/client.h"

#include <sys/types.h>

#define BED_EVENTS_MAX 512

struct bed {
    pid_t zygote;
    int zygote_sock;
    int sock;  /* of the sandbox */
    int pidfd; /* of its keeper */
    pid_t pid; /* of its keeper */
    char root[64];
    uint64_t serial;
    struct cl_wire_record exits[BED_EVENTS_MAX];
    uint32_t exit_count;
    uint64_t downs[BED_EVENTS_MAX];
    uint32_t down_count;
    char warnings[BED_EVENTS_MAX][CL_WIRE_DETAIL_MAX];
    uint32_t warning_count;
    uint32_t exits_at_answer; /* exits received before the last answer */
    pid_t slip_pid;           /* what the last answer's slip says; 0 = it had none */
    int fds[3];               /* of the last answer of bed_call_fds; the caller's */
    uint32_t fd_count;
    struct cl_wire_drained drained[BED_EVENTS_MAX];
    uint32_t drained_count;
    const struct cl_wire_stdio *stdio; /* three, for the next create, start or exec, instead of `out` */
    const struct cl_wire_memo *memo;   /* the same */
    uint64_t tape_max;                 /* with the next bed_connect */
};

/* Fails the test if anything goes wrong. `program` is the keeper. */
struct bed *bed_open(const char *program);
void bed_close(struct bed *bed);

/* One more sandbox keeper, to which nobody has said hello: its socket, pidfd and pid. */
void bed_fork(struct bed *bed, int *ret_sock, int *ret_pidfd, pid_t *ret_pid);

/* What a container of the tests usually is; extend it, then bed_create. fds[0] is the root's tree. */
struct bed_plan {
    struct cl_plan plan;
    int fds[CL_WIRE_STAGED_MAX];
    uint32_t fd_count;
};
enum { BED_HOST_USER = 0, BED_USER_NAMESPACE = 1, BED_NO_PID_NAMESPACE = 2, BED_PAUSE = 4 };
void bed_plan_container(struct bed *bed, struct bed_plan *plan, unsigned int flags, const char *script);
void bed_plan_process(struct bed_plan *plan, const char *script); /* sh -c script; NULL: argv left to the caller */
void bed_plan_fs(struct bed_plan *plan, const char *type, const char *target, uint64_t attr);
uint32_t bed_plan_fd(struct bed_plan *plan, int fd); /* taken */
void bed_plan_clear(struct bed_plan *plan);

/* Sends, waits for the answer (at most 20 s), collects events meanwhile. `out` (or -1) becomes 1 and 2. The slip is
 * read and closed. */
struct cl_wire_answer bed_create(struct bed *bed, struct bed_plan *plan, uint64_t id, uint32_t flags, int out);
struct cl_wire_answer bed_exec(struct bed *bed, struct bed_plan *plan, uint64_t id, uint64_t pseq, int out);
struct cl_wire_answer bed_start(struct bed *bed, uint64_t id, int out);
struct cl_wire_answer bed_call(struct bed *bed, void *message);
struct cl_wire_answer bed_call_fds(struct bed *bed, void *message); /* its descriptors to bed->fds */
struct cl_wire_answer bed_release(struct bed *bed, uint64_t pseq);
struct cl_wire_answer bed_signal(struct bed *bed, uint32_t scope, uint64_t target, int signal);
/* Without waiting; then wait for that serial. */
uint64_t bed_send_create(struct bed *bed, struct bed_plan *plan, uint64_t id, uint32_t flags, int out);
uint64_t bed_send_exec(struct bed *bed, struct bed_plan *plan, uint64_t id, uint64_t pseq, int out);
struct cl_wire_answer bed_wait_answer(struct bed *bed, uint64_t serial);

/* Waits for events. */
struct cl_wire_record bed_wait_exit(struct bed *bed, uint64_t pseq);
void bed_wait_down(struct bed *bed, uint64_t container);
struct cl_wire_drained bed_wait_drained(struct bed *bed, uint64_t pseq);
int bed_has_drained(const struct bed *bed, uint64_t pseq);
int bed_has_exit(const struct bed *bed, uint64_t pseq);
void bed_wait_warning(struct bed *bed, const char *text);
int bed_has_warning(const struct bed *bed, const char *text);

/* Everything written to the pipe until its end. */
void bed_read_all(int fd, char *buffer, size_t size);

/* Runs a plan to its init's end; what it wrote. */
struct cl_wire_record bed_run_plan(struct bed *bed, struct bed_plan *plan, char *output, size_t size);

/* Runs a script in a fresh container, returns what it wrote and its record; releases it. */
struct cl_wire_record bed_run(struct bed *bed, unsigned int flags, const char *script, char *output, size_t size);

/* Replaces the keeper by one that listens at <root>/k, as the plugin's do. Then: another connection to it, and what it
 * answers to HELLO; the connection is left in *ret_sock. */
void bed_listen(struct bed *bed);
int bed_dial(const struct bed *bed); /* bed_connect in three parts */
void bed_say_hello(const struct bed *bed, int sock, uint32_t version, uint64_t resume_ns);
struct cl_wire_hello bed_hear_hello(int sock, uint32_t version);
struct bed *bed_open_listening(const char *program); /* with pause 1 */
struct cl_wire_hello bed_connect(const struct bed *bed, uint32_t version, uint64_t resume_ns, int *ret_sock);

/* A pause init, and something in it. */
void bed_start_pause(struct bed *bed, uint64_t id, unsigned int flags);
void bed_start_exec(struct bed *bed, uint64_t id, uint64_t pseq, const char *script);

/* Live (not zombie) descendants of the keeper: their pids here; their number. */
int bed_pids(const struct bed *bed, pid_t *pids, int room);
int bed_processes(const struct bed *bed);

#endif
