/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation.h - the vtable of isolation plugins, and their upcalls (cloister_host.iso).
 *
 * Shape of every asynchronous operation: NAME(instance, args, op). It completes by exactly one cloister_iso_done(host,
 * op, error, result), later, never inside the call. args and everything they point to stay valid *until that
 * completion*; descriptors in them are the plugin's own from the call on. The engine orders the calls (sdk.md O8): at
 * most one create, start, freeze, update or destroy per object at a time; exec, kill, signal and release may come at
 * any moment while the sandbox is up. cancel(instance, op): asks for an early end: undo if it can be undone and
 * complete with CANCELLED; otherwise ignore it. An operation whose slot is NULL is answered UNSUPPORTED by the engine.
 *
 * The plugin never sees a protocol. It must not keep records of its own: what it must know after a restart is in the
 * *plan* blob. Members since 0.1. Source: sdk.md sections 3, 4, 5.
 */
#ifndef CLOISTER_ISOLATION_H
#define CLOISTER_ISOLATION_H

#include <cloister/plugin.h>
#include <cloister/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_ENGINE_ID_SIZE 16u /* lower-case base32 characters */
#define CLOISTER_PLAN_MAX 65536u

/* Which sandbox: what every call carries. */
struct cloister_iso_sandbox {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv id;      /* engine id: names every path, cgroup and socket */
    uint64_t cookie;            /* of the daemon instance: cl-<cookie8>-<id> */
    struct cloister_sv name;    /* the client's name, for messages only */
    struct cloister_sv plan;    /* what plan() returned, byte for byte */
    struct cloister_sv run_dir; /* <run>/<id>, made by the host, 0700 */
};

struct cloister_iso_plan_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox; /* plan empty; a struct by value because it travels only inside these */
    const struct cloister_sandbox_create_args *create;
};

struct cloister_iso_create_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_container_args *container; /* NULL = none */
    cloister_process init;                           /* the pseq of that container's init */
    uint32_t incarnation;                            /* of that container */
    uint32_t reserved2;
    uint64_t deadline;
};

struct cloister_iso_start_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_container_start_args *start;
    cloister_process init;
};

struct cloister_iso_kill_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_container_kill_args *kill;
};

struct cloister_iso_exec_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_exec_args *exec;
    cloister_process process; /* pseq to give it */
};

struct cloister_iso_signal_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_signal_args *signal;
};

struct cloister_iso_release_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    cloister_process process;
};

/* Works from id, cookie and plan alone, also when the plugin has never seen the sandbox (half made, or of a dead
 * daemon). */
struct cloister_iso_destroy_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    uint64_t deadline;
};

struct cloister_iso_describe_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
};

/* Removes what carries the cookie and is not among `known`; reports each by iso orphan(). */
struct cloister_iso_sweep_args {
    uint32_t struct_size;
    uint32_t report_only; /* 1: report, remove nothing */
    uint64_t cookie;
    struct cloister_sv run_dir; /* <run>: holds <id>/ directories of sandboxes */
    const struct cloister_sv *known;
    uint64_t known_count;
};

struct cloister_iso_attach_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_attach_args *attach; /* process is set */
};

struct cloister_iso_attach_policy_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_attach_policy_args *policy; /* process is set */
};

struct cloister_iso_stdin_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    cloister_process process;
};

struct cloister_iso_delete_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_container_delete_args *delete_;
};

struct cloister_iso_file_put_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_file_put_args *file_put;
};

struct cloister_iso_resize_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_resize_args *resize; /* process is set */
};

/* freeze and thaw. A success says that all of it stands still, or that it runs: a container of a frozen sandbox does
 * not, unless its group is the sandbox's own. A freeze that fails leaves all of it running, also what was frozen before
 * it. */
struct cloister_iso_freeze_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    struct cloister_sv container; /* empty = the whole sandbox */
    uint64_t deadline;
};

struct cloister_iso_update_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_update_args *update;
};

struct cloister_iso_stats_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox; /* machine: id is empty */
    const struct cloister_stats_args *stats;
};

struct cloister_iso_procs_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_procs_args *procs;
};

struct cloister_iso_read_file_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_read_file_args *read_file;
};

struct cloister_iso_files_in_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_files_in_args *files; /* its stream is the plugin's from the call on */
};

struct cloister_iso_files_out_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_files_out_args *files;
};

/* A container as the records know it. Since 0.2. */
struct cloister_iso_container { /* stands in arrays */
    struct cloister_sv cid;
    struct cloister_sv spec; /* OCI config.json without `process`, as it was handed over at create */
    struct cloister_sv rootfs;
    uint32_t rootfs_flags;
    uint32_t incarnation;
    cloister_process init;
    uint32_t init_kind;    /* enum cloister_init_kind */
    uint32_t no_new_privs; /* init's */
    uint64_t reserved[2];
    /* Since 0.3. As in cloister_container_args. */
    struct cloister_sv join;
    uint32_t join_namespaces;
    uint32_t cgroup_parent;
    uint32_t rootfs_kind;
    uint32_t reserved32;
    const struct cloister_sv *layers;
    uint64_t layer_count;
};

/* Takes over a sandbox that a former daemon made, in this boot. Nothing may be changed in it, whatever is found.
 * Result: inventory. Fails only if it cannot be found out now (NO_CONTACT: it lives and does not answer). */
struct cloister_iso_adopt_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_iso_sandbox sandbox;
    const struct cloister_iso_container *containers;
    uint64_t container_count;
    uint64_t container_size; /* bytes per element */
    uint64_t deadline;
};

enum cloister_fate {
    CLOISTER_FATE_ALIVE = 1,  /* its keeper lives and is ours: it is watched from now on, events follow */
    CLOISTER_FATE_OFF = 2,    /* nothing of it lives; destroy still has to clean up */
    CLOISTER_FATE_FOREIGN = 3 /* what is there is not ours: never touched */
};

struct cloister_inventory_container { /* stands in arrays */
    struct cloister_sv cid;
    cloister_process init;
    uint32_t state; /* enum cloister_container_state */
    int32_t pid;
    uint32_t frozen; /* by itself; or with the sandbox, if its group is the sandbox's own. Since 0.3 */
    uint32_t reserved32;
    uint64_t reserved[1];
};

struct cloister_inventory_process { /* stands in arrays; in order of birth */
    cloister_process process;
    struct cloister_sv cid;
    struct cloister_sv name;
    struct cloister_sv tag;
    uint32_t state; /* enum cloister_process_state */
    int32_t pid;
    uint32_t is_init;
    uint32_t output_count;
    struct cloister_status status;
    uint64_t exit_order; /* 1, 2, 3, ... within the sandbox; 0 = lives */
    uint64_t started_real_ns;
    const struct cloister_output_end
        *outputs; /* of a drained one; own size of the SDK's minor, like everything nested */
    uint64_t reserved[2];
};

struct cloister_inventory {
    uint32_t struct_size;
    uint32_t fate; /* enum cloister_fate */
    const struct cloister_inventory_container *containers;
    uint64_t container_count;
    uint64_t container_size;
    const struct cloister_inventory_process *processes;
    uint64_t process_count;
    uint64_t process_size;
    uint32_t frozen; /* the sandbox as a whole. Since 0.3 */
    uint32_t reserved;
};

struct cloister_feature { /* stands in arrays */
    const char *name;     /* "v2-freeze" */
    const char *reason;   /* of a "no", or what was found; borrowed until the instance is destroyed */
    uint32_t present;
    uint32_t reserved32;
    uint64_t reserved[2];
};

struct cloister_iso_probe {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t capabilities;                   /* CLOISTER_ISO_*: of this instance on this machine */
    const struct cloister_feature *features; /* borrowed until the instance is destroyed */
    uint64_t feature_count;
    uint64_t feature_size;
    uint64_t max_sandboxes; /* 0 = no limit of its own */
};

#define CLOISTER_ISO_SLOT(name, args_type) void (*name)(void *instance, const struct args_type *args, cloister_op op)

struct cloister_isolation {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_lifecycle life;
    /* Finds out by use what this machine can do. Once, after create, before anything else; blocking work is allowed
     * (the loop has not started serving). 0, or -1 with err: the instance cannot work here. Mandatory. */
    int32_t (*probe)(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err);
    /* Names everything that will exist outside the sandbox (id range, cgroups, paths) and checks the spec. Sync, no
     * side effect outside the instance. The blob (borrowed until the next call of plan) becomes the write-ahead intent.
     * Mandatory. */
    int32_t (*plan)(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                    struct cloister_error *err);
    CLOISTER_ISO_SLOT(sandbox_create, cloister_iso_create_args); /* mandatory. Result: pid, container_state */
    CLOISTER_ISO_SLOT(sandbox_destroy,
                      cloister_iso_destroy_args); /* mandatory. All exits are told before it completes; PARTIAL */
    CLOISTER_ISO_SLOT(container_start, cloister_iso_start_args); /* Result: pid */
    CLOISTER_ISO_SLOT(container_kill, cloister_iso_kill_args);   /* Result: survivors */
    CLOISTER_ISO_SLOT(exec, cloister_iso_exec_args);             /* Result: pid, uid, gid */
    CLOISTER_ISO_SLOT(signal, cloister_iso_signal_args);
    CLOISTER_ISO_SLOT(release, cloister_iso_release_args);
    CLOISTER_ISO_SLOT(describe, cloister_iso_describe_args); /* Result: json */
    CLOISTER_ISO_SLOT(sweep, cloister_iso_sweep_args);
    CLOISTER_ISO_SLOT(adopt, cloister_iso_adopt_args); /* Result: inventory. Since 0.2 */
    CLOISTER_ISO_SLOT(sandbox_start, cloister_sandbox_start_args);
    CLOISTER_ISO_SLOT(sandbox_stop, cloister_sandbox_stop_args);
    CLOISTER_ISO_SLOT(
        container_create,
        cloister_iso_create_args); /* in a sandbox that is up. Since 0.3, like what follows but for stdin and attach */
    CLOISTER_ISO_SLOT(container_delete, cloister_iso_delete_args);
    CLOISTER_ISO_SLOT(file_put, cloister_iso_file_put_args);
    CLOISTER_ISO_SLOT(resize, cloister_iso_resize_args);
    CLOISTER_ISO_SLOT(stdin, cloister_iso_stdin_args);
    CLOISTER_ISO_SLOT(stdin_close, cloister_iso_stdin_args);
    CLOISTER_ISO_SLOT(attach, cloister_iso_attach_args);
    CLOISTER_ISO_SLOT(attach_policy, cloister_iso_attach_policy_args);
    CLOISTER_ISO_SLOT(freeze, cloister_iso_freeze_args);
    CLOISTER_ISO_SLOT(thaw, cloister_iso_freeze_args);
    CLOISTER_ISO_SLOT(update, cloister_iso_update_args);
    CLOISTER_ISO_SLOT(stats, cloister_iso_stats_args);
    CLOISTER_ISO_SLOT(procs, cloister_iso_procs_args);
    CLOISTER_ISO_SLOT(resource, cloister_resource_args);
    CLOISTER_ISO_SLOT(read_file, cloister_iso_read_file_args);
    CLOISTER_ISO_SLOT(files_in, cloister_iso_files_in_args);
    CLOISTER_ISO_SLOT(files_out, cloister_iso_files_out_args);
    CLOISTER_ISO_SLOT(channel, cloister_channel_args);
    CLOISTER_ISO_SLOT(snapshot, cloister_snapshot_args);
    void (*cancel)(void *instance, cloister_op op); /* mandatory */
    /* Closes every descriptor to running sandboxes; all of them run on. Before destroy(instance). Mandatory. */
    void (*detach)(void *instance);
    /* There is a sandbox of this plan that nobody can explain (its record is damaged, newer, or another daemon's),
     * which is left alone: what the plan names, like a range of ids, may be in use and is given to no other sandbox
     * until a destroy by force of it has completed. Sync, no other effect. Once per such sandbox, before creates are
     * admitted; of a record that is read late, when it has been read. The blob is borrowed for the call and may be of
     * another version or plugin: what cannot be read is ignored. Nothing can be held for a sandbox whose plan the store
     * has lost. Optional. Since 0.2. */
    void (*hold)(void *instance, struct cloister_sv plan);
};

/* Upcalls. */
struct cloister_iso_event {
    uint32_t struct_size;
    uint32_t kind; /* EXIT, DRAINED, OOM, SANDBOX_DOWN (cause LOST: the keeper died), CONTACT */
    struct cloister_sv sandbox;
    struct cloister_sv container;
    uint32_t incarnation;
    uint32_t cause;
    cloister_process process;
    struct cloister_status status;
    const struct cloister_output_end *outputs; /* DRAINED; since 0.2 */
    uint64_t output_count;
    uint64_t output_size;
};

struct cloister_iso_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* Completes op. error NULL = success, and nothing else is: an error with code 0 is a failure without a reason, the
     * caller gets INTERNAL. result may be NULL. A second completion of one op, or one inside the call, is caught,
     * logged with the plugin's name and otherwise ignored or deferred. */
    void (*done)(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                 const struct cloister_result *result);
    /* Tells what happened; per container in order of reaping. Borrowed for the call. The engine numbers and delivers.
     */
    void (*event)(const struct cloister_host *host, const struct cloister_iso_event *event);
    /* During sweep: a found resource ("cgroup", "keeper", "run-directory"), its name, and whether it was removed. */
    void (*orphan)(const struct cloister_host *host, struct cloister_sv sandbox, const char *kind,
                   struct cloister_sv name, uint32_t removed);
    /* A warning that belongs to an operation's caller and to the log: names the JSON path. */
    void (*warning)(const struct cloister_host *host, struct cloister_sv sandbox, struct cloister_sv json_path,
                    const char *text);
    void (*state_put)(const struct cloister_host *host, struct cloister_sv sandbox, uint32_t durability,
                      struct cloister_sv blob, cloister_done_fn done, void *ctx); /* NULL until a later issue */
    void (*progress)(const struct cloister_host *host, struct cloister_sv sandbox, const char *step, uint64_t done,
                     uint64_t total);
};

#ifdef __cplusplus
}
#endif
#endif
