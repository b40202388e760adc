/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_plan.h - the binary plan of a container or of one more process in it, which CREATE and EXEC bring (wire.h).
 *
 * A plan is one memfd sealed with F_SEAL_SEAL | SHRINK | GROW | WRITE: this header at offset 0, then the sections, each
 * an array of fixed-size items at an 8-byte aligned offset, without overlap rules (sections may share bytes; nothing is
 * written). Strings are offsets into the STRINGS section, whose first and last byte are NUL: 0 is the empty string,
 * "not given". No string holds a newline unless it is an argument or a variable.
 */
#ifndef CL_KEEPER_WIRE_PLAN_H
#define CL_KEEPER_WIRE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define CL_WIRE_PLAN_MAX (4u << 20)    /* bytes of a plan */
#define CL_WIRE_NO_FD UINT32_MAX       /* "no descriptor" wherever an index is asked for */
#define CL_WIRE_PLAN_MAGIC 0x504c4331u /* "1CLP" */
#define CL_WIRE_PLAN_VERSION 2u        /* keepers before 4 read version 1: plan_old.h writes it for them */

typedef uint32_t cl_wire_str;

enum cl_wire_plan_kind {
    CL_WIRE_PLAN_CONTAINER = 1, /* for CREATE */
    CL_WIRE_PLAN_PROCESS = 2    /* for EXEC: container members and sections must be empty, but CGROUPS and WORDS */
};

enum cl_wire_section {
    CL_WIRE_STRINGS = 0,  /* bytes */
    CL_WIRE_UID_MAP = 1,  /* struct cl_wire_map; written literally; at most 340 */
    CL_WIRE_GID_MAP = 2,  /* struct cl_wire_map */
    CL_WIRE_CGROUPS = 3,  /* uint32_t index of a cgroup.procs file open for writing; "0" is written, back to back */
    CL_WIRE_MOUNTS = 4,   /* struct cl_wire_mount, in order */
    CL_WIRE_OPTIONS = 5,  /* struct cl_wire_option, used by mounts */
    CL_WIRE_DEVICES = 6,  /* struct cl_wire_device, after the mounts */
    CL_WIRE_LINKS = 7,    /* struct cl_wire_link, after the devices */
    CL_WIRE_MASKED = 8,   /* cl_wire_str, absolute path inside */
    CL_WIRE_READONLY = 9, /* cl_wire_str */
    CL_WIRE_SYSCTLS = 10, /* struct cl_wire_sysctl */
    CL_WIRE_TIME = 11,    /* struct cl_wire_time_offset; needs CLONE_NEWTIME in ns_new */
    CL_WIRE_ARGV = 12,    /* cl_wire_str; at least one, unless init is a pause */
    CL_WIRE_ENV = 13,     /* cl_wire_str "NAME=value" */
    CL_WIRE_GROUPS = 14,  /* uint32_t; setgroups is always called, also with none */
    CL_WIRE_RLIMITS = 15, /* struct cl_wire_rlimit */
    CL_WIRE_SECCOMP = 16, /* struct cl_wire_seccomp, loaded in order, last thing before exec */
    CL_WIRE_BPF = 17,     /* struct sock_filter (8 bytes), used by seccomp */
    /* since plan version 2 */
    CL_WIRE_LAYERS = 18,     /* uint32_t index of a detached directory tree: the root is an overlay of them, the topmost
                              * first; root_fd is then CL_WIRE_NO_FD */
    CL_WIRE_FILES = 19,      /* struct cl_wire_file, after the mounts */
    CL_WIRE_HOOKS = 20,      /* struct cl_wire_hook, in order */
    CL_WIRE_WORDS = 21,      /* cl_wire_str, used by hooks */
    CL_WIRE_MOUNT_MAPS = 22, /* struct cl_wire_mount_map */
    CL_WIRE_MAPS = 23,       /* struct cl_wire_map, used by those */
    CL_WIRE_SECTION_COUNT = 24
};

struct cl_wire_span {
    uint32_t offset; /* from the start of the plan, multiple of 8 */
    uint32_t count;  /* items; 0 = empty, offset then 0 */
};

struct cl_wire_map {
    uint32_t inside;
    uint32_t outside;
    uint32_t count;
};

/* Mounts. New mount API only, by descriptor; the target is resolved below the root (openat2 IN_ROOT, no magic links),
 * missing directories are made component by component, and a missing target is made as a file if the source is not a
 * directory. The target of proc and sysfs must be an ordinary directory: no symlink on the way. */
enum cl_wire_mount_kind {
    CL_WIRE_MOUNT_FS = 1,   /* `type` by fsopen with options; attributes set on the fresh mount */
    CL_WIRE_MOUNT_BIND = 2, /* `fd`: a detached tree from open_tree(OPEN_TREE_CLONE [| AT_RECURSIVE]) */
    /* since plan version 2. What is mounted at `target` by then gets attr_set, loses attr_clr, and has `propagation`
     * unless that is 0; nothing else of the item is given. Not a mount point: EINVAL */
    CL_WIRE_MOUNT_CHANGE = 3
};
/* In a user namespace, proc without CLONE_NEWPID, sysfs without CLONE_NEWNET and mqueue without CLONE_NEWIPC in ns_new
 * would be EPERM: the keeper then makes them as host root, for the namespace the container shares, and binds them;
 * plans need not care. cgroup and cgroup2 without CLONE_NEWCGROUP are for the plugin to compile to binds. A read-only
 * tmpfs turns read-only only after all mounts, devices and links stand. The root itself is no target. */
#define CL_WIRE_MOUNT_RECURSIVE 1u   /* attr_set and attr_clr apply to the whole tree */
#define CL_WIRE_MOUNT_IDMAP 2u       /* of `fd`: owners are shifted by the container's user namespace */
#define CL_WIRE_MOUNT_IDMAP_WHOLE 8u /* since plan version 2; with IDMAP: also those of the mounts below it */
#define CL_WIRE_MOUNT_MODE 4u        /* `mode` is what a missing target directory gets; else 0755 */
struct cl_wire_mount {
    uint32_t kind;
    uint32_t flags;
    cl_wire_str target; /* absolute path inside */
    cl_wire_str type;   /* "proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup", "cgroup2", ... */
    cl_wire_str source; /* the "source" key of fsconfig, shown in mountinfo; may be empty */
    uint32_t fd;
    uint32_t option_first; /* into OPTIONS */
    uint32_t option_count;
    uint64_t
        attr_set; /* MOUNT_ATTR_* of <linux/mount.h>, RDONLY NOSUID NODEV NOEXEC *ATIME NODIRATIME NOSYMFOLLOW only */
    uint64_t attr_clr;    /* to set an atime mode, MOUNT_ATTR__ATIME must be here */
    uint32_t propagation; /* 0, or one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, perhaps | MS_REC; 0 =
                             MS_PRIVATE | MS_REC */
    uint32_t mode;
};

/* Owners of a BIND mount's tree are shifted by these maps, not by the container's user namespace: the mount has
 * CL_WIRE_MOUNT_IDMAP too, and appears here once; in the order of the mounts. Maps are inside, outside, count: an owner
 * `inside` on disk is seen as `outside` (of the host). */
struct cl_wire_mount_map {
    uint32_t mount;     /* index into MOUNTS */
    uint32_t uid_first; /* into MAPS */
    uint32_t uid_count;
    uint32_t gid_first;
    uint32_t gid_count;
};

/* A file that is made of the bytes of memfd `fd`, or is another container's file (`fd` CL_WIRE_NO_FD: the one that
 * container number `share` has at `share_path`), bound at `path`. Its inode is the keeper's, on a tmpfs; FILE_PUT
 * replaces its content. */
struct cl_wire_file {
    uint64_t share;
    cl_wire_str path;
    cl_wire_str share_path;
    uint32_t fd;
    uint32_t mode;
    uint32_t uid; /* inside */
    uint32_t gid;
};

enum cl_wire_hook_point {
    /* In the container's namespaces before the pivot: `path` is the host's program, found in `fd`, a detached tree of
     * the host's root; while these run it is attached, with the container's root at `root` in it. Needs CLONE_NEWPID in
     * ns_new. All have the same `fd` and `root`. */
    CL_WIRE_HOOK_CREATE_CONTAINER = 1,
    CL_WIRE_HOOK_START_CONTAINER = 2 /* right before the program, inside; `path` is found there */
};

/* Hooks that the keeper runs; those of the host's own namespaces are the plugin's (POINT). Environment and arguments
 * are these and nothing else; standard input is state_head, the pid as inside, state_tail. */
struct cl_wire_hook {
    uint32_t point; /* enum cl_wire_hook_point */
    uint32_t fd;    /* or CL_WIRE_NO_FD */
    cl_wire_str path;
    uint32_t arg_first; /* into WORDS; argv[0] included, at least one */
    uint32_t arg_count;
    uint32_t env_first; /* into WORDS */
    uint32_t env_count;
    uint32_t timeout_ms; /* 0 = none */
    cl_wire_str state_head;
    cl_wire_str state_tail;
    cl_wire_str root; /* or 0 */
};

struct cl_wire_option {
    cl_wire_str key;
    cl_wire_str value;
    uint32_t has_value; /* 0: FSCONFIG_SET_FLAG */
};

/* Without a user namespace: mknod, chmod, chown. With one: a bind onto an empty file, of `fd` if given, else of the
 * keeper's own null, zero, full, random, urandom or tty (by number); any other is EPERM. uid and gid are the
 * container's. */
struct cl_wire_device {
    cl_wire_str path;
    uint32_t type; /* S_IFCHR, S_IFBLK or S_IFIFO */
    uint32_t major;
    uint32_t minor;
    uint32_t mode; /* permission bits */
    uint32_t uid;
    uint32_t gid;
    uint32_t fd; /* index of a detached tree, or CL_WIRE_NO_FD */
};

/* An existing path is left alone, with a warning if it is not the same link. */
struct cl_wire_link {
    cl_wire_str path;
    cl_wire_str text;
};

/* Key as a path below /proc/sys ("net/ipv4/ip_forward"), written by the container's init through the keeper's procfs.
 */
struct cl_wire_sysctl {
    cl_wire_str key;
    cl_wire_str value;
};

struct cl_wire_time_offset {
    uint32_t clock; /* CLOCK_MONOTONIC or CLOCK_BOOTTIME */
    uint32_t reserved;
    int64_t seconds;
    int64_t nanoseconds; /* 0..999999999 */
};

/* A process whose plan names no RLIMIT_CORE gets 0, soft and hard (H1.3.7): no core of a container is the host's to
 * store. Other limits that are not named stay as the keeper's are. */
struct cl_wire_rlimit {
    uint32_t resource; /* RLIMIT_* */
    uint32_t reserved;
    uint64_t soft; /* UINT64_MAX = infinity */
    uint64_t hard;
};

struct cl_wire_seccomp {
    uint32_t flags; /* SECCOMP_FILTER_FLAG_* : LOG, SPEC_ALLOW, TSYNC only */
    uint32_t reserved;
    uint32_t first; /* into BPF */
    uint32_t count; /* 1..4096 */
};

enum cl_wire_session { CL_WIRE_SESSION_SETSID = 0, CL_WIRE_SESSION_SETPGID = 1, CL_WIRE_SESSION_INHERIT = 2 };

/* cl_wire_plan.flags */
#define CL_WIRE_PLAN_PAUSE 1u /* init is the keeper's own pause loop, named `comm`; argv must be empty */
#define CL_WIRE_PLAN_NO_NEW_PRIVS 2u
#define CL_WIRE_PLAN_KEYRING 4u          /* a new session keyring, joined as host root before any uid changes */
#define CL_WIRE_PLAN_OOM_SCORE 8u        /* oom_score_adj is given */
#define CL_WIRE_PLAN_ROOT_READONLY 16u   /* with every mount of the root's tree */
#define CL_WIRE_PLAN_ROOT_IDMAP 32u      /* the root tree's owners are shifted by the container's user namespace */
#define CL_WIRE_PLAN_LOOPBACK 64u        /* bring `lo` up; needs CLONE_NEWNET in ns_new */
#define CL_WIRE_PLAN_DENY_SETGROUPS 128u /* "deny" to setgroups before the gid map; then GROUPS must be empty */
/* since plan version 2 */
#define CL_WIRE_PLAN_RESOLVE 256u /* uid, gid and more are found out inside, from `user` */
#define CL_WIRE_PLAN_TERMINAL \
    512u                         /* makes a terminal: the process's controlling one, and /dev/console of a container */
#define CL_WIRE_PLAN_POINT 1024u /* stops once: POINT */
#define CL_WIRE_PLAN_IO_PRIORITY 2048u   /* io_priority is given */
#define CL_WIRE_PLAN_SCHEDULER 4096u     /* sched is given */
#define CL_WIRE_PLAN_PERSONALITY 8192u   /* personality is given */
#define CL_WIRE_PLAN_NONROOT_CAPS 16384u /* nonroot_cap_* replace cap_* if the uid that was resolved is not 0 */

/* cl_wire_plan.resolve */
#define CL_WIRE_RESOLVE_GROUPS 1u /* supplementary groups from /etc/group, unless `user` names a group */
#define CL_WIRE_RESOLVE_ENV 2u    /* HOME, USER, PATH where ENV has none */
#define CL_WIRE_RESOLVE_CWD 4u    /* an empty cwd is the home; one that is missing is made, owned by the user */

/* As sched_setattr(2) takes it. */
struct cl_wire_sched {
    uint32_t policy;
    int32_t nice;
    uint64_t flags;
    uint32_t priority;
    uint32_t reserved;
    uint64_t runtime; /* ns, of a deadline policy */
    uint64_t deadline;
    uint64_t period;
};

enum cl_wire_oom_kind {
    CL_WIRE_OOM_NONE = 0,
    CL_WIRE_OOM_V1 = 1 /* memory.oom_control */,
    CL_WIRE_OOM_V2 = 2 /* memory.events */
};

/* Namespaces to join instead of making: ns_join is indexed by these. */
enum cl_wire_ns {
    CL_WIRE_NS_USER = 0,
    CL_WIRE_NS_PID = 1,
    CL_WIRE_NS_MOUNT = 2,
    CL_WIRE_NS_NET = 3,
    CL_WIRE_NS_IPC = 4,
    CL_WIRE_NS_UTS = 5,
    CL_WIRE_NS_CGROUP = 6,
    CL_WIRE_NS_TIME = 7,
    CL_WIRE_NS_COUNT = 8
};

struct cl_wire_plan {
    uint32_t magic;
    uint32_t version;
    uint32_t size; /* of the whole plan, equal to the memfd's */
    uint32_t kind;
    uint32_t flags;
    uint32_t reserved;
    struct cl_wire_span section[CL_WIRE_SECTION_COUNT];

    /* process */
    uint32_t uid; /* inside */
    uint32_t gid;
    uint32_t umask;
    uint32_t session; /* enum cl_wire_session; a container's init is always SETSID */
    cl_wire_str cwd;  /* absolute */
    cl_wire_str path; /* search path for an argv[0] without slash; empty: PATH of ENV, else /usr/local/sbin:...:/bin */
    int32_t oom_score_adj;
    int32_t nice;          /* 0 = as is */
    uint64_t cap_bounding; /* bit n = capability n; what this host cannot give is dropped with a warning */
    uint64_t cap_permitted;
    uint64_t cap_effective;
    uint64_t cap_inheritable;
    uint64_t cap_ambient;

    /* container */
    uint64_t ns_new; /* CLONE_NEW*; CLONE_NEWNS is demanded unless ns_join has a mount namespace. Without
                      * CLONE_NEWPID and pid join: the sandbox's own pid namespace, never the host's */
    uint32_t ns_join[CL_WIRE_NS_COUNT]; /* descriptor index of a namespace, or CL_WIRE_NO_FD */
    cl_wire_str hostname;               /* needs CLONE_NEWUTS in ns_new */
    cl_wire_str domainname;
    cl_wire_str comm;          /* of a pause, at most 15 bytes */
    uint32_t root_fd;          /* index of the root's detached tree; CL_WIRE_NO_FD only with a joined mount namespace */
    uint32_t root_propagation; /* like cl_wire_mount.propagation; set after the pivot; SLAVE and SHARED keep it a slave
                                  of the host's */
    uint32_t oom_kind;
    uint32_t oom_fd;   /* index of that file, open for reading */
    uint32_t procs_fd; /* index of the container's own cgroup.procs, open for reading: who is in it when it has no pid
                        * namespace of its own; or CL_WIRE_NO_FD */

    /* tests only: what happens when the set-up comes to this step: 1 it fails with ECANCELED before it, 2 after it;
     * since 3: 3 it halts before it, 4 after it (a WARNING with step "halt" and "<step> before" or "<step> after" as
     * detail is sent, then nothing moves until somebody kills; at a step of the keeper's own that is the keeper); 0
     * never. `cloister-keeper steps` lists them */
    cl_wire_str stop_step;
    uint32_t stop_when;
    uint32_t reserved2;

    /* since plan version 2 */
    cl_wire_str user;     /* RESOLVE: "", "name", "name:group", "uid", "uid:gid"; uid, gid and GROUPS are then empty */
    uint32_t resolve;     /* CL_WIRE_RESOLVE_*; with CWD `cwd` may be empty */
    uint32_t io_priority; /* as ioprio_set(2) takes it: class << 13 | level */
    uint32_t personality; /* as personality(2) takes it */
    uint32_t reserved3;
    struct cl_wire_sched sched;
    uint64_t nonroot_cap_bounding;
    uint64_t nonroot_cap_permitted;
    uint64_t nonroot_cap_effective;
    uint64_t nonroot_cap_inheritable;
    uint64_t nonroot_cap_ambient;
    uint64_t join_container; /* a running container of this keeper, by its number; 0 = none */
    uint64_t join_ns;        /* CLONE_NEW* shared with its init: not in ns_new, not in ns_join */
    uint32_t upper_fd; /* LAYERS: index of a directory for what is written, or CL_WIRE_NO_FD: the root is read-only */
    uint32_t work_fd;  /* an empty directory on the same file system */
};

/*
 * [any, pure] 0 if `size` bytes at `data` are a well-formed plan of this kind in which every offset, count, string,
 * index and descriptor index (below `fds`) is in range; else -EBADMSG, and *ret_where, if not NULL, names the member in
 * a word. `data` is 8-byte aligned.
 */
int cl_wire_plan_check(const void *data, size_t size, uint32_t kind, uint32_t fds, const char **ret_where);

/* [any, pure] Bytes of one item of a section. 0 = unknown. */
size_t cl_wire_section_item(uint32_t section);

/* [any, pure] Of a checked plan: the section's first item; a string. */
static inline const void *cl_wire_items(const struct cl_wire_plan *plan, uint32_t section)
{
    return (const char *)plan + plan->section[section].offset;
}

static inline const char *cl_wire_string(const struct cl_wire_plan *plan, cl_wire_str offset)
{
    return (const char *)plan + plan->section[CL_WIRE_STRINGS].offset + offset;
}

#endif
