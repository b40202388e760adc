/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - what a container and a process are made of: the argument structs that create, start and exec share, on
 * both sides of the engine (sandbox.h, isolation.h). What OCI says is said in OCI's own JSON; here is what it has no
 * words for. All of it is borrowed for the call, except descriptors, which move with the operation.
 * Members since 0.1 unless they say otherwise. Source: sdk.md section 3.
 */
#ifndef CLOISTER_CONTAINER_H
#define CLOISTER_CONTAINER_H

#include <cloister/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One entry per child descriptor 0, 1, 2, ... of a process. */
enum cloister_stdio_kind {
    CLOISTER_STDIO_NULL = 1,       /* /dev/null of the container's own making */
    CLOISTER_STDIO_DESCRIPTOR = 2, /* fd, moved */
    CLOISTER_STDIO_SOCKET = 3,     /* a stream's descriptor (later issue) */
    CLOISTER_STDIO_PIPE = 4,       /* 1, 2: captured output (attach); 0: written through `stdin`. window, policy */
    CLOISTER_STDIO_PTY = 5,        /* the process's terminal (one, whatever number of entries say so). Since 0.3 */
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
    uint32_t policy; /* PIPE, PTY: enum cloister_policy */
    uint32_t reserved32;
    uint32_t rows; /* PTY: its size when it is made; 0 = 24 and 80. The first PTY entry counts. Since 0.3 */
    uint32_t columns;
    uint64_t reserved[1];
};

/*
 * A terminal (since 0.3): OCI `process.terminal` must be true exactly if an entry is PTY, and then descriptors 0, 1 and
 * 2 all are. What is written to it is captured like a PIPE on descriptor 1 (window and policy are those of entry 1);
 * `stdin` writes to it, `stdin_close` changes nothing (a terminal has no end of input: send its EOF character),
 * `resize` raises SIGWINCH. It is made when the container is, so that a size given before start is kept.
 */

/* A further descriptor of the process: `fd` (moved) becomes number `number` (3..1023). Needs CLOISTER_ISO_EXTRA_FDS.
 * Since 0.3. */
struct cloister_extra_fd { /* stands in arrays */
    uint32_t number;
    int32_t fd;
    uint64_t reserved[1];
};

#define CLOISTER_RESOLVE_GROUPS (1u << 0) /* supplementary groups from /etc/group, unless `user` names a group */
#define CLOISTER_RESOLVE_ENV (1u << 1)    /* HOME, USER and PATH (by uid), each where the environment has none */
#define CLOISTER_RESOLVE_CWD                                                                \
    (1u << 2) /* an empty `cwd` is the home; one that is missing is made, owned by the user \
               */

/*
 * Who the process runs as, found out by itself inside the root (no NSS; /etc/passwd and /etc/group only): needs
 * CLOISTER_ISO_RESOLVE. OCI `user` then has no uid and gid. Errors USER_UNKNOWN, GROUP_UNKNOWN. Since 0.3.
 */
struct cloister_resolve_args {
    uint32_t struct_size;
    uint32_t flags;          /* CLOISTER_RESOLVE_* */
    struct cloister_sv user; /* "", "name", "name:group", "uid", "uid:gid" */
    /* OCI `capabilities` object (JSON) for a uid other than 0, instead of the process's own; empty = the same. */
    struct cloister_sv nonroot_capabilities;
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
    /* Since 0.3. */
    const struct cloister_extra_fd *extra;
    uint64_t extra_count;
    uint64_t extra_size;                         /* bytes per element */
    const struct cloister_resolve_args *resolve; /* NULL = the numbers of OCI `user` */
    struct cloister_sv search;                   /* where argv[0] without a slash is looked for; empty = PATH */
    int32_t nice;                                /* -20..19; 0 = as it is */
    uint32_t reserved;
};

enum cloister_init_kind { CLOISTER_INIT_PROCESS = 1, CLOISTER_INIT_PAUSE = 2 };
enum cloister_start_kind { CLOISTER_START_NOW = 1, CLOISTER_START_BLOCKED = 2 };
enum cloister_rootfs_kind {
    CLOISTER_ROOTFS_DIRECTORY = 1, /* `rootfs` */
    /* An overlay of `layers`, directories that are only read. WRITABLE: what is written goes to a directory of the
     * sandbox's own in the daemon's state directory, and is gone with the container. Since 0.3 */
    CLOISTER_ROOTFS_LAYERS = 2
};

#define CLOISTER_ROOTFS_WRITABLE (1u << 0) /* else the root is read-only, whatever the spec says */
#define CLOISTER_ROOTFS_IDMAP (1u << 1)    /* the directory's owners are seen through the sandbox's id mapping */

/* A file of the daemon's making, seen at `path` inside: what the container writes to it stays with the container.
 * Since 0.3. */
struct cloister_file {        /* stands in arrays */
    struct cloister_sv path;  /* absolute, inside */
    struct cloister_sv bytes; /* at most 1 MiB; not with share */
    /* The file that container `share` has at `share_path` is seen here too (both see every write); else empty. */
    struct cloister_sv share;
    struct cloister_sv share_path;
    uint32_t mode; /* permission bits; 0 = 0644 */
    uint32_t uid;  /* inside */
    uint32_t gid;
    uint32_t reserved32;
    uint64_t reserved[2];
};

/* Namespaces, as bits of `join_namespaces`. Since 0.3 */
#define CLOISTER_NS_USER (1u << 0)
#define CLOISTER_NS_PID (1u << 1)
#define CLOISTER_NS_NET (1u << 2)
#define CLOISTER_NS_IPC (1u << 3)
#define CLOISTER_NS_UTS (1u << 4)
#define CLOISTER_NS_CGROUP (1u << 5)
#define CLOISTER_NS_TIME (1u << 6)

/* Whose limits hold it beside its own. Since 0.3 */
enum cloister_cgroup_parent {
    CLOISTER_CGROUP_SANDBOX = 0,  /* the sandbox's */
    CLOISTER_CGROUP_CONTAINER = 1 /* those of the container it joins */
};

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
    /* Since 0.3. */
    const struct cloister_sv *layers; /* ROOTFS_LAYERS: absolute host directories, the topmost first; at most 100 */
    uint64_t layer_count;
    const struct cloister_file *files;
    uint64_t file_count;
    uint64_t file_size;      /* bytes per element */
    struct cloister_sv join; /* another, running container of the sandbox; empty = none */
    /* CLOISTER_NS_*: shared with `join`'s; the spec then must not list them. Its user namespace must be among them if
     * any is. */
    uint32_t join_namespaces;
    uint32_t cgroup_parent; /* enum cloister_cgroup_parent */
};

#ifdef __cplusplus
}
#endif
#endif
