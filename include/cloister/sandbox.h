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

#include <cloister/container.h>
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
    /* Since 0.3. */
    const struct cloister_stat *stats; /* stats */
    uint64_t stat_count;
    uint64_t stat_size;                /* bytes per element */
    const struct cloister_proc *procs; /* procs */
    uint64_t proc_count;
    uint64_t proc_size;
    uint64_t sampled_mono_ns; /* stats: when it was read */
    struct cloister_sv data;  /* read_file: the bytes */
    uint64_t entries;         /* files_in: how many files, directories, links were made */
    uint64_t bytes;           /* files_in: and how many bytes of content */
};

typedef void (*cloister_done_fn)(void *ctx, cloister_op op, const struct cloister_error *error,
                                 const struct cloister_result *result);

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
    /* Since 0.3. */
    struct cloister_sv cgroup_parent; /* below the instance's cgroup root, like "garden/good"; empty = right below it */
    struct cloister_sv resources;     /* OCI linux.resources (JSON) of the sandbox as a whole; empty = none */
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

/* It and whatever it starts live in a group of their own below the container's, with `resources` as limits: signal
 * scope TREE and stats of the process are of that group. Needs CLOISTER_ISO_OWN_CGROUP. Since 0.3 */
#define CLOISTER_EXEC_OWN_CGROUP (1u << 1)

struct cloister_exec_args {
    uint32_t struct_size;
    uint32_t flags; /* CLOISTER_EXEC_* */
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    struct cloister_sv name;      /* "" or unique among the container's live processes; NAME_IN_USE */
    const struct cloister_process_args *process;
    uint64_t deadline;
    struct cloister_sv resources; /* OWN_CGROUP: OCI linux.resources (JSON); empty = none. Since 0.3 */
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

/* Makes a further container in a running sandbox. Result: process and pid of its init, container_state. EXISTS (cid),
 * LIMIT (64). Since 0.3. */
struct cloister_container_create_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    const struct cloister_container_args *container; /* cid is not empty */
    uint64_t deadline;
};

#define CLOISTER_DELETE_FORCE (1u << 0) /* a running one is killed first; else INVALID_STATE */

/* Removes a container, the first one like any other. Idempotent: one that is not there is a success. Since 0.3. */
struct cloister_container_delete_args {
    uint32_t struct_size;
    uint32_t flags; /* CLOISTER_DELETE_* */
    struct cloister_sv sandbox;
    struct cloister_sv container;
    uint64_t deadline;
};

/* Replaces the content of one of the container's `files`, in place. NO_ENTITY: it has no such file. Since 0.3. */
struct cloister_file_put_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    struct cloister_sv path;
    struct cloister_sv bytes;
};

/* The terminal's size; kept if the container has not been started yet. NOT_TTY. Since 0.3. */
struct cloister_resize_args {
    uint32_t struct_size;
    uint32_t rows; /* 1..65535 */
    uint32_t columns;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container;
    cloister_process process; /* 0 = the container's init */
};

/*
 * Stops every process of a sandbox (container empty) or of one container where it stands; answered when the kernel says
 * that all of them do. Idempotent. DEADLINE (default 10 s): not all of them could be stopped; those that were run
 * again. A frozen sandbox survives the daemon. While it is frozen exec, container_start, container_create and files are
 * refused with FROZEN; kill, stop and destroy work. Since 0.3.
 */
struct cloister_freeze_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = the whole sandbox */
    uint64_t deadline;
};

/* What freeze stopped runs again. Idempotent; of the same object that was frozen: a container of a frozen sandbox is
 * FROZEN until the sandbox is thawed, and that lets containers frozen by themselves run, too. Since 0.3. */
struct cloister_thaw_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container;
    uint64_t deadline;
};

enum cloister_scope {
    CLOISTER_SCOPE_MACHINE = 1, /* stats only */
    CLOISTER_SCOPE_SANDBOX = 2,
    CLOISTER_SCOPE_CONTAINER = 3,
    CLOISTER_SCOPE_PROCESS = 4 /* stats, procs: of an exec with OWN_CGROUP */
};

/*
 * Changes limits, also while frozen; what `resources` does not name stays. Result: json, an OCI linux.resources object
 * of all values in force. BUSY: below what is in use now. A failed update leaves the old values;
 * PARTIAL: some have changed all the same, and no limits are told as in force from then on. TOO_BIG: `resources` has
 * more than 2 KiB of text; or all values in force have: they have changed, and are not told either. UNSUPPORTED: scope
 * SANDBOX of one whose containers are not held by its limits. Since 0.3.
 */
struct cloister_update_args {
    uint32_t struct_size;
    uint32_t scope; /* SANDBOX or CONTAINER */
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    struct cloister_sv resources; /* OCI linux.resources (JSON) */
    uint64_t deadline;
};

#define CLOISTER_STATS_RESET_PEAK (1u << 0) /* mem_peak counts anew, after it has been read */
#define CLOISTER_STATS_RAW (1u << 1)        /* memory.stat, line by line, as "memory.stat.<name>" */

/*
 * Counters. Keys: cpu_ns, cpu_user_ns, cpu_system_ns, cpu_periods, cpu_throttled, cpu_throttled_ns, mem_usage,
 * mem_peak, mem_limit (absent: none), mem_swap, mem_cache, mem_rss, pids, pids_limit, oom_kills, io_read_bytes,
 * io_write_bytes, io_reads, io_writes, hugetlb.<size>.usage; "cgroup.<controller>" is 1 or 2, the version that tells
 * it. Machine: cpu_ns, cpu_idle_ns, service_cpu_ns, mem_total, mem_available, net.<if>.rx_bytes, net.<if>.tx_bytes. A
 * counter that this machine does not have is absent. Never queued. Result: stats, sampled_mono_ns. Since 0.3.
 */
struct cloister_stats_args {
    uint32_t struct_size;
    uint32_t scope; /* enum cloister_scope */
    uint32_t flags; /* CLOISTER_STATS_* */
    uint32_t reserved;
    struct cloister_sv sandbox; /* empty for the machine */
    struct cloister_sv container;
    cloister_process process;
};

struct cloister_stat { /* stands in arrays; its strings as long as the array */
    struct cloister_sv key;
    uint64_t value;
    uint64_t reserved[1];
};

/* The processes that live in it now. Result: procs. Never queued. Since 0.3. */
struct cloister_procs_args {
    uint32_t struct_size;
    uint32_t scope; /* SANDBOX, CONTAINER, PROCESS */
    struct cloister_sv sandbox;
    struct cloister_sv container;
    cloister_process process;
};

struct cloister_proc { /* stands in arrays */
    int32_t pid;       /* in the daemon's pid namespace */
    uint32_t reserved32;
    cloister_process process; /* ours; 0 = started by another of them */
    uint64_t started_boot_ns; /* CLOCK_BOOTTIME */
    struct cloister_sv comm;  /* its name, as the kernel shows it: the container's own words */
    uint64_t reserved[1];
};

#define CLOISTER_READ_FILE_MAX (1u << 20)

/* A regular file of the container, resolved below its root. Result: data. LOOP and other resolving errors are IO with
 * their errno; TOO_BIG: it has more than `max` bytes. Works on stopped containers too. Since 0.3. */
struct cloister_read_file_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv sandbox;
    struct cloister_sv container; /* empty = "main" */
    struct cloister_sv path;
    uint64_t max; /* 0 = CLOISTER_READ_FILE_MAX, which is the most */
    uint64_t deadline;
};

/*
 * A tar stream (pax, GNU or ustar) into and out of a running container, by a helper in the container's user and mount
 * namespaces. `path`: absolute, inside. files_in: the directory that entries are made below, made if missing (with its
 * parents, 0755, the user's). files_out: a file, or a directory with what is in it; with a '/' at the end its content
 * only; sockets are left out, and what is in a proc, sysfs or cgroup file system. An archive's extended attributes,
 * access control lists and file flags are not applied; directories that are there keep their owner and mode. Since 0.3.
 */
#define CLOISTER_FILES_KEEP_OWNERS \
    (1u << 0) /* in: entries' numeric owners, set-id bits, devices; else all is the user's, without them */

/* `stream` is transferred when op != 0 and read to its end. Result: entries, bytes. TRUNCATED input, an entry that
 * would leave `path`, ... : PROTOCOL with the entry's name; what was made before stays. */
struct cloister_files_in_args {
    uint32_t struct_size;
    uint32_t flags; /* CLOISTER_FILES_* */
    struct cloister_sv sandbox;
    struct cloister_sv container;
    struct cloister_sv user; /* as cloister_resolve_args.user; "" = root */
    struct cloister_sv path;
    cloister_stream *stream;
    uint64_t deadline;
};

/* Result: stream, whose EOF says that all of it has been sent, and whose abort that it has not. NO_ENTITY comes before
 * the first byte. */
struct cloister_files_out_args {
    uint32_t struct_size;
    uint32_t flags;
    struct cloister_sv sandbox;
    struct cloister_sv container;
    struct cloister_sv user;
    struct cloister_sv path;
    uint64_t deadline;
};

/* Arguments of later issues. */
struct cloister_sandbox_start_args;
struct cloister_sandbox_stop_args;
struct cloister_resource_args;
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
    struct cloister_sv limits;     /* as a container's, of it as a whole. Since 0.3 */
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
    uint32_t frozen; /* it, or the whole sandbox. Since 0.3 */
    uint32_t reserved;
    struct cloister_sv limits; /* OCI linux.resources (JSON) in force, as far as an update changed them. Since 0.3 */
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
