/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - the engine service: what a personality asks for. Reached through cloister_host.engine.
 *
 * Shape of every asynchronous operation:
 *     op = api->NAME(host, args, done, ctx, err)
 * op != 0: under way; done(ctx, op, error, result) follows exactly once, never inside the call; error is NULL on
 * success; error and result are borrowed for the call of done. op == 0: refused at once, err says why, done is not
 * called. args are borrowed for the call (the engine copies), except descriptors, which are *moved* when op != 0 and
 * stay the caller's when op == 0. `cancel(op)` asks: an operation that can be undone is undone and completes CANCELLED,
 * one that cannot only loses its waiter; done is called in each case.
 *
 * A service sees and acts on its own sandboxes, and on those of services it is granted (config `grant`); others are
 * NO_ENTITY. The OCI spec handed over is complete: isolation adds no default of its own and refuses what it cannot do,
 * naming the JSON path.
 *
 * Slots of later issues are NULL and their wrappers answer UNSUPPORTED; the structs they take are written by the issue
 * that fills them. Members since 0.1. Source: sdk.md sections 3, 4, 5.
 */
#ifndef CLOISTER_SANDBOX_H
#define CLOISTER_SANDBOX_H

#include <cloister/abi.h>
#include <cloister/error.h>
#include <cloister/events.h>
#include <cloister/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Result of an operation; which members are set is said at each operation. */
struct cloister_result {
    uint32_t struct_size;
    uint32_t uid;
    uint32_t gid;
    int32_t pid;                   /* in the daemon's pid namespace; 0 = none */
    cloister_process process;      /* pseq */
    struct cloister_sv sandbox;    /* engine id */
    struct cloister_sv json;       /* describe, resource: JSON text */
    struct cloister_sv home;       /* exec with resolve */
    struct cloister_status status; /* wait, container_stop */
    uint32_t container_state;      /* enum cloister_container_state */
    uint32_t survivors;            /* container_kill, container_stop */
    /* Since 0.2. */
    cloister_stream *stream;                   /* attach, stdin: transferred to the callee of done */
    uint64_t position;                         /* attach: number of the stream's first byte */
    uint64_t lost;                             /* attach: bytes between what was asked for and that */
    uint64_t end;                              /* attach: how many bytes have been written so far */
    const struct cloister_output_end *outputs; /* wait DRAINED: where its captured output ended */
    uint64_t output_count;
    uint64_t output_size;                       /* bytes per element */
    const struct cloister_inventory *inventory; /* isolation's adopt (isolation.h) */
};

typedef void (*cloister_done_fn)(void *ctx, cloister_op op, const struct cloister_error *error,
                                 const struct cloister_result *result);

/* One entry per child descriptor 0, 1, 2, ... of a process. */
enum cloister_stdio_kind {
    CLOISTER_STDIO_NULL = 1,       /* /dev/null of the container's own making */
    CLOISTER_STDIO_DESCRIPTOR = 2, /* fd, moved */
    CLOISTER_STDIO_SOCKET = 3,     /* a stream's descriptor (later issue) */
    CLOISTER_STDIO_PIPE = 4,       /* 1, 2: captured output (attach); 0: written through `stdin`. window, policy */
    CLOISTER_STDIO_PTY = 5,        /* (later issue) */
    CLOISTER_STDIO_CLOSED = 6,     /* a pipe whose far end is closed: EOF on reading, EPIPE on writing */
    CLOISTER_STDIO_SAME_AS = 7     /* a copy of child descriptor fd */
};

/* What happens to captured output while nobody reads it. */
enum cloister_policy {
    CLOISTER_POLICY_BLOCK = 0,  /* the window fills up, then the writer waits */
    CLOISTER_POLICY_DROP = 1,   /* the newest window is kept, what leaves it is counted */
    CLOISTER_POLICY_DISCARD = 2 /* nothing is kept, everything is counted */
};

struct cloister_stdio { /* stands in arrays */
    uint32_t kind;
    int32_t fd;
    uint64_t window; /* PIPE: bytes; 0 = 1 MiB; at most 16 MiB */
    uint32_t policy; /* PIPE: enum cloister_policy */
    uint32_t reserved32;
    uint64_t reserved[2];
};

enum cloister_session { CLOISTER_SESSION_SETSID = 0, CLOISTER_SESSION_SETPGID = 1, CLOISTER_SESSION_INHERIT = 2 };

/* A program to run: the OCI `process` object, its environment apart (it holds secrets and is never recorded). */
struct cloister_process_args {
    uint32_t struct_size;
    uint32_t session;              /* enum cloister_session */
    struct cloister_sv oci;        /* JSON text of OCI process; its `env` must be absent or empty */
    const struct cloister_sv *env; /* "KEY=value" */
    uint64_t env_count;
    const struct cloister_stdio *stdio; /* none = three times NULL */
    uint64_t stdio_count;
    uint64_t stdio_size;    /* bytes per element */
    struct cloister_sv tag; /* <= 1 KiB, opaque, kept by the keeper */
    /* Since 0.2. After its exit captured output is *drained* when its pipes end, or have been silent for drain_idle, or
     * drain_max has passed. ns; 0 = 1 s and 10 s. */
    uint64_t drain_idle;
    uint64_t drain_max;
};

enum cloister_init_kind { CLOISTER_INIT_PROCESS = 1, CLOISTER_INIT_PAUSE = 2 };
enum cloister_start_kind { CLOISTER_START_NOW = 1, CLOISTER_START_BLOCKED = 2 };
enum cloister_rootfs_kind { CLOISTER_ROOTFS_DIRECTORY = 1 };

#define CLOISTER_ROOTFS_WRITABLE (1u << 0) /* else the root is read-only, whatever the spec says */
#define CLOISTER_ROOTFS_IDMAP (1u << 1)    /* the directory's owners are seen through the sandbox's id mapping */

struct cloister_container_args {
    uint32_t struct_size;
    uint32_t init;         /* enum cloister_init_kind */
    uint32_t start;        /* enum cloister_start_kind */
    uint32_t rootfs_kind;  /* enum cloister_rootfs_kind */
    uint32_t rootfs_flags; /* CLOISTER_ROOTFS_* */
    uint32_t reserved;
    struct cloister_sv cid;        /* empty = "main" */
    struct cloister_sv spec;       /* OCI config.json without `process` (its `root` is replaced by rootfs) */
    struct cloister_sv rootfs;     /* absolute host path */
    struct cloister_sv pause_comm; /* INIT_PAUSE: the init's name in ps, <= 15 bytes; empty = "pause" */
    const struct cloister_process_args *process; /* INIT_PROCESS */
};

#define CLOISTER_LABEL_SECRET (1u << 0) /* in the 0600 run file only; gone after a reboot. Since 0.2 */

struct cloister_label { /* stands in arrays */
    struct cloister_sv key;
    struct cloister_sv value;
    uint32_t flags; /* CLOISTER_LABEL_* */
    uint32_t reserved32;
    uint64_t reserved[1];
};

/* Not visible to other services, and undone by the next start of the daemon, until sandbox_commit. Since 0.2 */
#define CLOISTER_SANDBOX_PROVISIONAL (1u << 0)

/* Makes a sandbox, optionally with its first container, started: one journalled operation, whole or gone.
 * Result: sandbox; with a container: process and pid of its init, container_state. EXISTS (name), LIMIT, DENIED;
 * CANCELLED by a destroy. */
struct cloister_sandbox_create_args {
    uint32_t struct_size;
    uint32_t flags;
    struct cloister_sv name;      /* unique per service, any bytes but NUL and '/', <= 255; empty = the engine id */
    struct cloister_sv isolation; /* instance; empty = the service's */
    const struct cloister_label *labels;
    uint64_t label_count;
    uint64_t label_size;                             /* bytes per element */
    const struct cloister_container_args *container; /* NULL = none */
    uint64_t deadline;
    struct cloister_sv record; /* the service's STORE record of it, written with the intent; empty = none. Since 0.2 */
};

/* Execs a BLOCKED init, with the stdio given here (the one at create then does not count). Result: process, pid. */
struct cloister_container_start_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    const struct cloister_stdio *stdio;
    uint64_t stdio_count;
    uint64_t stdio_size;
    uint64_t deadline;
};

enum cloister_kill_set { CLOISTER_KILL_INIT = 1, CLOISTER_KILL_ALL = 2, CLOISTER_KILL_ALL_BUT_INIT = 3 };

/* Signals a container's processes. Result: survivors. */
struct cloister_container_kill_args {
    uint32_t struct_size;
    uint32_t set; /* enum cloister_kill_set */
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    uint32_t signal;
    uint32_t reserved;
};

/* Signal, repeat, grace, KILL, wait. Result: status of the init, survivors. DEADLINE: it is not down; a second stop may
 * follow. */
struct cloister_container_stop_args {
    uint32_t struct_size;
    uint32_t signal; /* 0 = SIGTERM */
    struct cloister_sv sandbox;
    struct cloister_sv container;
    uint64_t grace; /* ns until KILL */
    uint64_t deadline;
};

/* One-way: ends every process and removes the sandbox; a deadline ends the wait, never the work. Idempotent. PARTIAL
 * names leftovers. */
#define CLOISTER_DESTROY_REFUSE_IF_BUSY (1u << 0)
#define CLOISTER_DESTROY_REFUSE_IF_RUNNING (1u << 1)
#define CLOISTER_DESTROY_FORCE (1u << 2) /* also an unknown one: what is found of it by id and cookie. Since 0.2 */
struct cloister_sandbox_destroy_args {
    uint32_t struct_size;
    uint32_t flags;
    struct cloister_sv sandbox;
    uint64_t deadline;
};

/* Runs a further process. Result: process, pid, uid, gid. Success means that execve succeeded; every failure comes
 * here. */
#define CLOISTER_EXEC_ENV_FROM_CONTAINER \
    (1u << 0) /* init's environment first; entries of `env` replace equal names. 0.2 */

struct cloister_exec_args {
    uint32_t struct_size;
    uint32_t flags; /* CLOISTER_EXEC_* */
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    struct cloister_sv name;      /* "" or unique among the container's live processes; NAME_IN_USE */
    const struct cloister_process_args *process;
    uint64_t deadline;
};

enum cloister_signal_scope { CLOISTER_SIGNAL_PROCESS = 1, CLOISTER_SIGNAL_GROUP = 2, CLOISTER_SIGNAL_TREE = 3 };

/* Result: nothing. NO_ENTITY: the process is gone. Never queued behind other operations. */
struct cloister_signal_args {
    uint32_t struct_size;
    uint32_t signal;
    struct cloister_sv sandbox;
    cloister_process process;
    uint32_t scope;
    uint32_t reserved;
};

enum cloister_wait_until { CLOISTER_WAIT_EXIT = 1, CLOISTER_WAIT_DRAINED = 2 };

/* Many waiters, lossless, also after the exit until it is released. process 0 = the container's init. Result: process,
 * status. */
struct cloister_wait_args {
    uint32_t struct_size;
    uint32_t until;
    struct cloister_sv sandbox;
    struct cloister_sv container;
    cloister_process process;
    uint64_t deadline;
};

/* The exit record and the output may be forgotten. Only the owner service. */
struct cloister_release_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    cloister_process process;
};

/* What isolation knows of a sandbox, as JSON, for inspect. Result: json. */
struct cloister_describe_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
};

/* A provisional sandbox becomes an ordinary one. On a committed one nothing happens. Result: nothing. Since 0.2. */
struct cloister_sandbox_commit_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv record; /* its STORE record from now on, in the same write; empty = as it is */
};

enum cloister_attach_from {
    CLOISTER_ATTACH_LIVE = 1,    /* what comes from now on */
    CLOISTER_ATTACH_OLDEST = 2,  /* the oldest byte that is still there */
    CLOISTER_ATTACH_RESUME = 3,  /* where the slowest reader was whom a dead daemon left behind; without one, OLDEST */
    CLOISTER_ATTACH_POSITION = 4 /* `position`; the oldest byte there is if that has gone. INVALID: not written yet */
};

/* Reads captured output (a PIPE entry of the stdio list), while the process runs and after it, until it is released.
 * Any number of readers (at most 16 per process: LIMIT). Result: stream (its EOF is the end of the output), position,
 * lost. UNSUPPORTED: that descriptor is not captured. Since 0.2. */
struct cloister_attach_args {
    uint32_t struct_size;
    uint32_t from; /* enum cloister_attach_from */
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    cloister_process process;     /* 0 = the container's init */
    uint32_t fd;                  /* 1 or 2 */
    uint32_t policy;              /* BLOCK: the writer waits for the fastest such reader; DROP: this reader loses */
    uint64_t position;
    uint64_t deadline;
};

/* From now on this policy holds while nobody reads; readers left behind by a dead daemon are forgotten. Since 0.2. */
struct cloister_attach_policy_args {
    uint32_t struct_size;
    uint32_t policy; /* enum cloister_policy */
    struct cloister_sv sandbox;
    struct cloister_sv container;
    cloister_process process; /* 0 = the container's init */
    uint32_t fd;
    uint32_t reserved;
    uint64_t window; /* 0 = as it is */
};

/* A stream that writes to the process's stdin (a PIPE entry). Its end is no EOF for the process: stdin_close is.
 * Result: stream. INVALID_STATE: it has been closed; UNSUPPORTED: stdin is no PIPE. Since 0.2. */
struct cloister_stdin_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container;
    cloister_process process; /* 0 = the container's init */
};

/* Idempotent. Since 0.2. */
struct cloister_stdin_close_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container;
    cloister_process process; /* 0 = the container's init */
};

/* Sets (value.data NULL: removes) one label; in the store before the answer. TOO_BIG, LIMIT. Since 0.2. */
struct cloister_label_put_args {
    uint32_t struct_size;
    uint32_t flags; /* CLOISTER_LABEL_* */
    struct cloister_sv sandbox;
    struct cloister_sv key;
    struct cloister_sv value;
};

enum cloister_record_class {
    CLOISTER_RECORD_STORE = 1, /* in the store before the answer */
    CLOISTER_RECORD_RUN = 2    /* in the 0600 run file: survives the daemon, not the boot nor the sandbox's going off */
};

#define CLOISTER_RECORD_BYTES_MAX (256u * 1024u)

/* Replaces the calling service's own record, of a sandbox of its own or (sandbox empty) of the service itself. data
 * NULL: removes. TOO_BIG. Since 0.2. */
struct cloister_record_put_args {
    uint32_t struct_size;
    uint32_t where; /* enum cloister_record_class */
    struct cloister_sv sandbox;
    struct cloister_sv data;
};

/* Arguments of later issues. */
struct cloister_sandbox_start_args;
struct cloister_sandbox_stop_args;
struct cloister_container_create_args;
struct cloister_container_delete_args;
struct cloister_file_put_args;
struct cloister_resize_args;
struct cloister_freeze_args;
struct cloister_thaw_args;
struct cloister_update_args;
struct cloister_stats_args;
struct cloister_procs_args;
struct cloister_resource_args;
struct cloister_read_file_args;
struct cloister_files_in_args;
struct cloister_files_out_args;
struct cloister_channel_args;
struct cloister_snapshot_args;

/* Synchronous views. Strings are borrowed until the next call of the engine or return to the loop. */
struct cloister_sandbox_info {
    uint32_t struct_size;
    uint32_t state; /* enum cloister_sandbox_state */
    uint32_t cause; /* enum cloister_cause */
    uint32_t flags; /* CLOISTER_SANDBOX_* */
    struct cloister_sv id;
    struct cloister_sv name;
    struct cloister_sv service;
    struct cloister_sv isolation;
    uint64_t created_real_ns;
    uint64_t created_boot_ns;
    uint64_t container_count;
    uint64_t process_count;        /* unreleased ones */
    struct cloister_error failure; /* why a destroy is still at it or a start failed; code 0 = none */
};

struct cloister_container_info {
    uint32_t struct_size;
    uint32_t state; /* enum cloister_container_state */
    struct cloister_sv cid;
    uint32_t incarnation;
    int32_t pid; /* init's, 0 when it does not run */
    cloister_process init;
    struct cloister_status status; /* init's */
    struct cloister_sv rootfs;
    uint64_t started_real_ns;
};

struct cloister_process_info {
    uint32_t struct_size;
    uint32_t state; /* enum cloister_process_state */
    cloister_process process;
    int32_t pid;
    uint32_t is_init;
    struct cloister_sv container;
    struct cloister_sv name;
    struct cloister_status status;
    uint64_t started_real_ns;
    struct cloister_sv tag; /* since 0.2 */
    uint32_t captured;      /* it has captured output: released, that is gone. Since 0.2 */
    uint32_t reserved;
};

struct cloister_machine_info {
    uint32_t struct_size;
    uint32_t cpus;
    uint64_t memory_bytes;
    struct cloister_sv boot_id;
    struct cloister_sv instance;
    uint64_t sandboxes; /* that this service sees */
};

typedef void (*cloister_sandbox_fn)(void *ctx, const struct cloister_sandbox_info *info);
typedef void (*cloister_container_fn)(void *ctx, const struct cloister_container_info *info);
typedef void (*cloister_process_fn)(void *ctx, const struct cloister_process_info *info);
/* value.data NULL: secret, and the sandbox is another service's. */
typedef void (*cloister_label_fn)(void *ctx, struct cloister_sv key, struct cloister_sv value,
                                  uint32_t flags); /* CLOISTER_LABEL_* */

#define CLOISTER_ENGINE_SLOT(name)                                                                   \
    cloister_op (*name)(const struct cloister_host *host, const struct cloister_##name##_args *args, \
                        cloister_done_fn done, void *ctx, struct cloister_error *err)

struct cloister_engine_api {
    uint32_t struct_size;
    uint32_t reserved;
    CLOISTER_ENGINE_SLOT(sandbox_create);
    CLOISTER_ENGINE_SLOT(sandbox_commit); /* a provisional sandbox becomes visible */
    CLOISTER_ENGINE_SLOT(sandbox_start);  /* live resources */
    CLOISTER_ENGINE_SLOT(sandbox_stop);   /* mode or grace, deadline */
    CLOISTER_ENGINE_SLOT(sandbox_destroy);
    CLOISTER_ENGINE_SLOT(container_create); /* a further container */
    CLOISTER_ENGINE_SLOT(container_start);
    CLOISTER_ENGINE_SLOT(container_kill);
    CLOISTER_ENGINE_SLOT(container_stop);
    CLOISTER_ENGINE_SLOT(container_delete);
    CLOISTER_ENGINE_SLOT(file_put);
    CLOISTER_ENGINE_SLOT(exec);
    CLOISTER_ENGINE_SLOT(signal);
    CLOISTER_ENGINE_SLOT(resize);
    CLOISTER_ENGINE_SLOT(stdin);
    CLOISTER_ENGINE_SLOT(stdin_close);
    CLOISTER_ENGINE_SLOT(wait);
    CLOISTER_ENGINE_SLOT(attach);
    CLOISTER_ENGINE_SLOT(attach_policy);
    CLOISTER_ENGINE_SLOT(release);
    CLOISTER_ENGINE_SLOT(freeze);
    CLOISTER_ENGINE_SLOT(thaw);
    CLOISTER_ENGINE_SLOT(update);
    CLOISTER_ENGINE_SLOT(stats);
    CLOISTER_ENGINE_SLOT(procs);
    CLOISTER_ENGINE_SLOT(resource);
    CLOISTER_ENGINE_SLOT(read_file);
    CLOISTER_ENGINE_SLOT(files_in);
    CLOISTER_ENGINE_SLOT(files_out);
    CLOISTER_ENGINE_SLOT(channel);
    CLOISTER_ENGINE_SLOT(snapshot);
    CLOISTER_ENGINE_SLOT(describe);
    CLOISTER_ENGINE_SLOT(label_put);
    CLOISTER_ENGINE_SLOT(record_put);
    void (*cancel)(const struct cloister_host *host, cloister_op op); /* unknown op: nothing happens */

    /* Synchronous. 0, or -1 with err (NO_ENTITY). */
    int32_t (*info)(const struct cloister_host *host, struct cloister_sv sandbox, struct cloister_sandbox_info *ret,
                    struct cloister_error *err);
    int32_t (*machine_info)(const struct cloister_host *host, struct cloister_machine_info *ret);
    /* Engine id by name among the service's own sandboxes, then (if none) among the granted ones. BUSY: more than one
     * granted one. */
    int32_t (*find)(const struct cloister_host *host, struct cloister_sv name, struct cloister_sv *ret_id,
                    struct cloister_error *err);
    /* Calls fn for each sandbox the service sees, in order of creation; fn must not change the engine. */
    int32_t (*iterate)(const struct cloister_host *host, cloister_sandbox_fn fn, void *ctx);
    int32_t (*containers)(const struct cloister_host *host, struct cloister_sv sandbox, cloister_container_fn fn,
                          void *ctx, struct cloister_error *err);
    int32_t (*processes)(const struct cloister_host *host, struct cloister_sv sandbox, cloister_process_fn fn,
                         void *ctx, struct cloister_error *err);
    int32_t (*labels)(const struct cloister_host *host, struct cloister_sv sandbox, cloister_label_fn fn, void *ctx,
                      struct cloister_error *err);
    int32_t (*label_get)(const struct cloister_host *host, struct cloister_sv sandbox, struct cloister_sv key,
                         struct cloister_sv *ret, struct cloister_error *err);
    /* JSON text of an installed profile ("default", "privileged") for callers to edit; borrowed until the daemon ends.
     */
    int32_t (*spec_default)(const struct cloister_host *host, struct cloister_sv profile, struct cloister_sv *ret,
                            struct cloister_error *err);
    /* The calling service's record; empty if there is none. Borrowed until the next call of the engine or return to the
     * loop. Since 0.2. */
    int32_t (*record_get)(const struct cloister_host *host, struct cloister_sv sandbox, uint32_t where,
                          struct cloister_sv *ret, struct cloister_error *err);
    /* A personality's answer to `recovered`. Since 0.2. */
    void (*recovered_done)(const struct cloister_host *host, cloister_op op);
};

#ifdef __cplusplus
}
#endif
#endif
