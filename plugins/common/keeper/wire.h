/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what a plugin and its sandbox keeper say to each other; wire_plan.h has the binary plan they say it about.
 *
 * One SOCK_SEQPACKET socket, one message a packet. Requests get exactly one answer (struct cl_wire_answer, the
 * request's serial echoed), in the order in which they finish; events (cl_wire_exit, cl_wire_drained, cl_wire_down,
 * cl_wire_warning) come unasked. Messages stay below CL_WIRE_MESSAGE_MAX bytes and CL_WIRE_FDS_MAX descriptors;
 * whatever may be bigger travels as one sealed memfd. Both ends run on one machine from one build: host byte order,
 * fixed layout, every unused member zero. The keeper checks each length and each offset; a malformed *request* is
 * answered with EBADMSG (step "message" or "plan"), what is not even a message closes the connection.
 *
 * Life of a connection: HELLO first, answered by a HELLO. Then, at any time and pipelined as the plugin likes:
 *   FDS*  CREATE     a container; with CL_WIRE_BLOCKED everything but the last step is done, until
 *         START      gives it its stdio and lets it exec
 *   FDS*  EXEC       one more process in a container
 *         SIGNAL RELEASE STATUS CANCEL DESTROY RESIZE FILE_PUT
 * A CREATE whose plan says so stops once on its way (POINT), and goes on when PROCEED comes.
 *
 * Descriptors: a request's descriptors are numbered from 0 in the order sent; those staged by FDS messages come first,
 * then the request's own. CREATE and EXEC carry the *plan* as the last descriptor of the CREATE or EXEC packet itself;
 * plans name others by index. A CREATE, EXEC or START (also one that fails) consumes and closes everything staged.
 *
 * Process ids: the keeper lives in a pid namespace of its own, so its numbers mean nothing to the daemon. Answers of a
 * CREATE, START or EXEC that succeeded carry one descriptor, the process's slip (slip.h): it tells the number in the
 * daemon's pid namespace, also of a process that has come to its end before anybody could look.
 *
 * Versions: a keeper outlives its daemon, so an old keeper meets a new plugin. Structs of messages only grow at their
 * end (marked "since 3"); a message may arrive in any size its type ever had and is read with zeros behind; the plugin
 * sends in the size of the keeper's version (cl_wire_size_at) and asks nothing of it that came later. Both say their
 * version in HELLO and speak the lower one. A keeper of version 2 speaks no other: it closes the connection at a HELLO
 * of another size, or refuses with EPROTO and its own version; the plugin then connects again as 2.
 *
 * Order: the answer of a CREATE, START or EXEC comes before any event of that process. An EXIT is sent once its record
 * is written; the record stays until RELEASE. When the connection is lost the keeper runs on, keeps reaping and
 * recording; an EXEC under way is cancelled, since nobody is there to be told of it.
 */
#ifndef CL_KEEPER_WIRE_H
#define CL_KEEPER_WIRE_H

#include "common/keeper/tape.h"
#include "common/keeper/wire_plan.h"

#include <cloister/zygote.h>

#include <stddef.h>
#include <stdint.h>

#define CL_WIRE_MAGIC 0x4b4c4331u /* "1CLK" */
#define CL_WIRE_VERSION 4u
#define CL_WIRE_VERSION_MIN 2u /* the oldest keeper that a plugin of today can take over */
#define CL_WIRE_MESSAGE_MAX 4096u
#define CL_WIRE_FDS_MAX 64u     /* descriptors of one packet */
#define CL_WIRE_STAGED_MAX 512u /* descriptors of one request, staged ones included */
#define CL_WIRE_PROCESSES_MAX \
    4096u /* running and unreleased processes of a sandbox; then EXEC answers EAGAIN, step "limit" */
#define CL_WIRE_CONTAINERS_MAX 64u /* of a sandbox */
#define CL_WIRE_ID_SIZE 17u        /* engine id: 16 characters and a NUL */
#define CL_WIRE_STEP_MAX 24u
#define CL_WIRE_DETAIL_MAX 256u
#define CL_WIRE_HOME_MAX 256u

enum cl_wire_type {
    CL_WIRE_HELLO = 1, /* both ways */
    CL_WIRE_FDS = 2,   /* just a head and descriptors; the only request without an answer */
    CL_WIRE_CREATE = 3,
    CL_WIRE_START = 4,
    CL_WIRE_EXEC = 5,
    CL_WIRE_SIGNAL = 6,
    CL_WIRE_RELEASE = 7,
    CL_WIRE_STATUS = 8,
    CL_WIRE_CANCEL = 9,
    CL_WIRE_DESTROY = 10,
    /* since 3 */
    CL_WIRE_LIST = 11,
    CL_WIRE_TAPE = 12,
    CL_WIRE_STDIN = 13,
    CL_WIRE_STDIN_CLOSE = 14,
    CL_WIRE_POLICY = 15,
    /* since 4 */
    CL_WIRE_RESIZE = 16,
    CL_WIRE_FILE_PUT = 17,
    CL_WIRE_PROCEED = 18,
    CL_WIRE_ENTER = 19,
    /* keeper to plugin */
    CL_WIRE_ANSWER = 64,
    CL_WIRE_EXIT = 65,
    CL_WIRE_DOWN = 66,
    CL_WIRE_WARNING = 67,
    CL_WIRE_DRAINED = 68, /* since 3 */
    CL_WIRE_POINT = 69    /* since 4 */
};

/* First member of every message. */
struct cl_wire_head {
    uint32_t magic;  /* CL_WIRE_MAGIC */
    uint32_t size;   /* of the whole message: a size its type's struct has or once had */
    uint32_t type;   /* enum cl_wire_type */
    uint32_t fds;    /* descriptors in this packet; a packet that arrives with another number is refused */
    uint64_t serial; /* chosen by the plugin, not 0; 0 in events */
};

/* -------------------------------------------------------------------------------------------------------------
 * messages */

/*
 * Plugin to keeper: descriptors are, with CL_WIRE_HELLO_LISTENER, first a *bound but not listening* AF_UNIX
 * SOCK_SEQPACKET socket (`<run>/<id>/k`; the keeper listens on it, so that SO_PEERPIDFD of a later connection is the
 * keeper), then the cgroup.procs files, open for writing, of the `keepers` group of every hierarchy, into which the
 * keeper moves itself. Keeper to plugin: the same struct with `os_errno` and `step`; 0 = ready. A later connection to
 * the listening socket sends HELLO with the keeper's own cookie and id and no descriptors, and becomes the control
 * connection if there is none (else os_errno is EBUSY). With any other cookie or id (0 and empty: "who are you?")
 * os_errno is EPERM. Where it is not 0 cookie and id are still filled, nothing has changed, and the connection is
 * closed. (Until version 2 whoever asked became the control connection.)
 */
#define CL_WIRE_HELLO_LISTENER 1u
struct cl_wire_hello {
    struct cl_wire_head head;
    uint32_t version; /* the keeper answers with the lower of both; one it cannot speak: EPROTO and its own */
    uint32_t flags;
    uint64_t cookie; /* of the instance */
    int32_t os_errno;
    uint32_t pid; /* the keeper's, in its own pid namespace: 1 */
    char id[CL_WIRE_ID_SIZE + 7];
    char step[CL_WIRE_STEP_MAX]; /* "version", "listen", "join-cgroup", "procfs", "ready" */
    /* since 3; plugin to keeper; 0 = as it is (at first 60 s, 32 MiB) */
    uint64_t resume_ns; /* how long a reader that a dead daemon left behind counts */
    uint64_t tape_max;  /* what all tapes of the sandbox may hold together */
    /* keeper to plugin */
    uint32_t era; /* of this connection (tape.h) */
    uint32_t reserved;
};

/* Descriptors of a process, fixed when it execs: 0, 1, 2 and the `extra` ones, nothing else is open. */
enum cl_wire_stdio_kind {
    CL_WIRE_STDIO_NULL = 0,       /* the keeper's own /dev/null */
    CL_WIRE_STDIO_DESCRIPTOR = 1, /* `fd` of this request becomes the process's */
    CL_WIRE_STDIO_PIPE = 2,       /* since 3. 1, 2: a pipe to a tape; 0: a pipe whose writer the keeper holds */
    CL_WIRE_STDIO_SAME = 3,       /* since 3. a copy of the process's own descriptor `fd`, a lower one */
    /* since 4. All three or none: the terminal that a plan with CL_WIRE_PLAN_TERMINAL makes. What is written to it goes
     * to the tape of descriptor 1 (pipe[1] has its policy and window), STDIN's descriptor writes to it. */
    CL_WIRE_STDIO_TERMINAL = 4
};
struct cl_wire_stdio {
    uint32_t kind;
    uint32_t fd; /* index, or CL_WIRE_NO_FD */
};

/* Of the PIPE entry with the same index; else zero. */
struct cl_wire_pipe {
    uint32_t policy;    /* enum cl_tape_policy */
    uint32_t owner_uid; /* inside: the pipe belongs to it, or opening /dev/stdout again is EACCES */
    uint64_t window;    /* bytes, 0 = the default, at most CL_TAPE_WINDOW_MAX */
};

/* Since 4. Descriptor `fd` of this request becomes the process's number `number` (3..1023, each once). */
#define CL_WIRE_EXTRA_MAX 32u
#define CL_WIRE_EXTRA_NUMBER_MAX 1023u
struct cl_wire_extra {
    uint32_t number;
    uint32_t fd;
};

/* What the keeper remembers of a process for a later daemon, beside its record. */
#define CL_WIRE_NAME_MAX 256u
#define CL_WIRE_TAG_MAX 1024u
struct cl_wire_memo {
    struct cl_wire_pipe pipe[3];
    uint64_t drain_idle_ns; /* after its exit; 0 = 1 s */
    uint64_t drain_max_ns;  /* 0 = 10 s */
    uint32_t name_size;
    uint32_t tag_size;
    uint8_t name[CL_WIRE_NAME_MAX];
    uint8_t tag[CL_WIRE_TAG_MAX];
    /* since 4 */
    uint32_t rows; /* of the terminal, at most 65535; both 0 = 24 and 80, or what RESIZE has said before START */
    uint32_t columns;
    uint32_t extra_count; /* START has none: a blocked init got them with CREATE */
    uint32_t reserved;
    struct cl_wire_extra extra[CL_WIRE_EXTRA_MAX];
};

/*
 * CREATE: answer carries init's slip. Without CL_WIRE_BLOCKED the answer means that init has been exec'ed (or, for a
 * pause init, that it is in its waiting loop). With it, `stdio` must be all NULL kind: START brings the real ones.
 */
#define CL_WIRE_BLOCKED 1u
struct cl_wire_create {
    struct cl_wire_head head;
    uint64_t container; /* chosen by the plugin, not 0, unique among this keeper's containers until init is released */
    uint64_t pseq;      /* of init, not 0, never reused */
    uint32_t flags;
    uint32_t reserved;
    struct cl_wire_stdio stdio[3];
    struct cl_wire_memo memo; /* since 3; name and tag: of the container's init */
};

/* START: the blocked init of a container execs; answer when it has. SIGTERM to a blocked init ends it (its EXIT then
 * says signal 15). A START that fails leaves nothing: container and record are forgotten, no EXIT and no DOWN follow
 * its answer. */
struct cl_wire_start {
    struct cl_wire_head head;
    uint64_t container;
    struct cl_wire_stdio stdio[3];
    struct cl_wire_memo memo; /* since 3; pipes and drain only, name and tag stay CREATE's */
};

/* EXEC: answer, with the slip, when execve has succeeded; every failure comes here. */
struct cl_wire_exec {
    struct cl_wire_head head;
    uint64_t container;
    uint64_t pseq;
    struct cl_wire_stdio stdio[3];
    struct cl_wire_memo memo; /* since 3 */
};

/*
 * SIGNAL: answered at once. os_errno ESRCH: gone. For the container scopes `target` is the container and `count` of the
 * answer says how many processes were signalled. SIGKILL to ALL repeats until nothing new appears (a fork bomb's
 * children die with their pid namespace or their cgroup).
 */
enum cl_wire_scope {
    CL_WIRE_SCOPE_PROCESS = 0,     /* target = pseq */
    CL_WIRE_SCOPE_GROUP = 1,       /* target = pseq: its process group, if it leads one */
    CL_WIRE_SCOPE_INIT = 2,        /* target = container */
    CL_WIRE_SCOPE_ALL = 3,         /* target = container: every process in it */
    CL_WIRE_SCOPE_ALL_BUT_INIT = 4 /* target = container */
};
struct cl_wire_signal {
    struct cl_wire_head head;
    uint64_t target;
    uint32_t scope;
    int32_t signal; /* 0 only asks whether it is there */
};

/* RELEASE: the record of an exited process is forgotten (EBUSY while it runs, ENOENT unknown). Releasing init of a
 * container that is down forgets the container too. */
struct cl_wire_release {
    struct cl_wire_head head;
    uint64_t pseq;
};

/* STATUS, DESTROY: just a head. STATUS' answer carries a sealed memfd with `count` records, in order of birth. DESTROY
 * kills everything, sends the EXIT and DOWN events that are left, answers and exits: the socket's end follows the
 * answer. */
struct cl_wire_simple {
    struct cl_wire_head head;
};

/*
 * Since 3.
 * LIST (a simple): the answer carries a sealed memfd with `count` entries (struct cl_wire_entry) in order of birth.
 * TAPE: the answer carries the process's memfd (tape.h), then the sandbox's eventfds: to daemon, to keeper (the same
 * two each time). ENOENT: no such process; ENODATA: none of its descriptors is captured. STDIN: the answer carries the
 * writing end of the process's stdin (non-blocking). EPIPE: it has been closed; ENODATA: it is no pipe. STDIN_CLOSE:
 * the keeper's writer is closed (EOF for the process once every other copy is); idempotent. POLICY: the own policy (and
 * window, if not 0) of a tape from now on; slots left behind on it are freed.
 */
struct cl_wire_process {
    struct cl_wire_head head;
    uint64_t pseq; /* ENTER, since 4: a container; the answer carries the pidfd of its init, for who joins its
                    * namespaces. ENOENT: no such container; ESRCH: its init is dead */
};
struct cl_wire_policy {
    struct cl_wire_head head;
    uint64_t pseq;
    uint32_t fd;
    uint32_t policy;
    uint64_t window;
};

/* Since 4. The terminal's size, of a process that has one: ENOTTY. Also before START. */
struct cl_wire_resize {
    struct cl_wire_head head;
    uint64_t pseq;
    uint32_t rows;
    uint32_t columns;
};

/* Since 4. The packet's descriptor (a sealed memfd) has the new content of one of the container's files, which keeps
 * its inode. ENOENT: the container has none there. */
#define CL_WIRE_INNER_PATH_MAX 1024u
struct cl_wire_file_put {
    struct cl_wire_head head;
    uint64_t container;
    char path[CL_WIRE_INNER_PATH_MAX];
};

/*
 * Since 4. POINT: the CREATE with serial `create`, whose plan has CL_WIRE_PLAN_POINT, has made its namespaces and
 * mounts, and waits before the pivot; the packet carries init's slip. PROCEED with the same number lets it go on, with
 * os_errno 0, or fails it there (step "hook", `detail`). It is answered at once; ESRCH: nothing waits.
 */
struct cl_wire_point {
    struct cl_wire_head head;
    uint64_t create;
    uint64_t container;
};
struct cl_wire_proceed {
    struct cl_wire_head head;
    uint64_t create;
    int32_t os_errno;
    uint32_t reserved;
    char detail[CL_WIRE_DETAIL_MAX];
};

/* CANCEL: the CREATE, START or EXEC with serial `target` is killed and answers ECANCELED, unless it is finished; the
 * CANCEL itself is answered with 0 or ESRCH. What a cancelled CREATE made is gone when *its* answer comes. */
struct cl_wire_cancel {
    struct cl_wire_head head;
    uint64_t target;
};

/*
 * The answer of everything but HELLO and FDS. os_errno is positive. `step` is a word of the step table (steps.h:
 * "message", "plan", "limit", "container", "fork", "cancel", "user-map", "id-map", "oom-score", and every name in
 * steps.c: "join-namespace", "clone", "join-cgroup", "mount", "device", "pivot", "rlimit", "capabilities", "seccomp",
 * "cwd", "find", "exec", ...); "find" ENOENT = no such executable, EACCES = not executable; "cwd" = bad working
 * directory; "died" = the process ended in another way than by a step that failed, and os_errno is ENOMEM for lack of
 * memory, else ECHILD. `detail` names the thing: a path, a limit, a namespace; may be empty.
 */
struct cl_wire_answer {
    struct cl_wire_head head;
    uint32_t request; /* type it answers */
    int32_t os_errno;
    uint32_t pid;   /* CREATE, EXEC: in the keeper's pid namespace */
    uint32_t count; /* STATUS, SIGNAL */
    char step[CL_WIRE_STEP_MAX];
    char detail[CL_WIRE_DETAIL_MAX];
    /* since 4; of a CREATE, START or EXEC that succeeded: who it runs as, inside, and with CL_WIRE_PLAN_RESOLVE that
     * user's home ("" = too long to tell) */
    uint32_t uid;
    uint32_t gid;
    char home[CL_WIRE_HOME_MAX];
};

/* Not a failure, but somebody should know: a masked path that does not exist, a capability that cannot be given.
 * `head.serial` is that of the CREATE, START or EXEC, whose answer follows. */
struct cl_wire_warning {
    struct cl_wire_head head;
    int32_t os_errno;
    uint32_t reserved;
    char step[CL_WIRE_STEP_MAX];
    char detail[CL_WIRE_DETAIL_MAX];
};

enum cl_wire_state {
    CL_WIRE_STARTING = 1, /* being set up; not yet answered */
    CL_WIRE_BLOCKED_INIT = 2,
    CL_WIRE_RUNNING = 3,
    CL_WIRE_EXITED = 4
};
#define CL_WIRE_RECORD_INIT 1u   /* init of its container */
#define CL_WIRE_RECORD_SIGNAL 2u /* `status` is a signal number, else an exit code */
#define CL_WIRE_RECORD_CORE 4u
#define CL_WIRE_RECORD_OOM 8u       /* killed, and the counter of its memory group had grown */
#define CL_WIRE_RECORD_DRAINED 16u  /* since 3: its tapes have ended (always set at the exit of one without tapes) */
#define CL_WIRE_RECORD_CAPTURED 32u /* since 3: it has a tape */
#define CL_WIRE_RECORD_STDIN 64u    /* since 3: its stdin is a pipe that the keeper still holds open */

/* One process, 64 bytes: what the keeper remembers until RELEASE. */
struct cl_wire_record {
    uint64_t pseq;
    uint64_t container;
    uint32_t pid;   /* in the keeper's pid namespace */
    uint32_t state; /* enum cl_wire_state */
    uint32_t status;
    uint32_t flags;
    uint64_t exit_real_ns; /* CLOCK_REALTIME and CLOCK_BOOTTIME when it was reaped; 0 while it lives */
    uint64_t exit_boot_ns;
    uint64_t order;         /* of exits: 1, 2, 3, ... ; 0 while it lives */
    uint64_t start_real_ns; /* since 3; when it was made */
};
_Static_assert(sizeof(struct cl_wire_record) == 64, "an exit costs 64 bytes");

struct cl_wire_exit {
    struct cl_wire_head head;
    struct cl_wire_record record;
};

/* Where a tape ended. */
struct cl_wire_end {
    uint64_t position;
    uint64_t lost;
    uint32_t state; /* enum cl_tape_state; NONE: not captured */
    uint32_t reserved;
};

/* Since 3. Of a captured process, once after its EXIT: every tape of it has ended. */
struct cl_wire_drained {
    struct cl_wire_head head;
    uint64_t pseq;
    struct cl_wire_end end[3]; /* by child descriptor */
    uint64_t container;        /* since 4 */
};

/* Since 3. `size` bytes, a multiple of 8: the struct, the name, the tag, padding. */
struct cl_wire_entry {
    uint32_t size;
    uint32_t name_size;
    uint32_t tag_size;
    uint32_t reserved;
    struct cl_wire_record record;
    struct cl_wire_end end[3];
};

/* Init has exited and nothing of the container lives any more (its exits were sent before). */
struct cl_wire_down {
    struct cl_wire_head head;
    uint64_t container;
};

/* [any, pure] 0 if these bytes are one well-formed message with `fds` descriptors; else -EBADMSG. Type-specific sizes
 * included. */
int cl_wire_message_check(const void *data, size_t size, uint32_t fds);

/*
 * [any, pure] 0 if these entries and what goes with them are in range, for a request with `fds` descriptors; else
 * -EBADMSG.
 */
int cl_wire_stdio_check(const struct cl_wire_stdio *stdio, const struct cl_wire_memo *memo, uint32_t fds);

/* [any, pure] Can this be a terminal's size? Both 0 = nothing is said. */
int cl_wire_window_ok(uint32_t rows, uint32_t columns);

/*
 * [any, pure] Walks the bytes that LIST gave, which are 8-byte aligned: 1 and the entry at *io_at (at first 0), which
 * moves on; 0 at the end; -EBADMSG, and the rest is not to be trusted.
 */
int cl_wire_entry_next(const void *list, size_t size, size_t *io_at, const struct cl_wire_entry **ret_entry);

/* Of an entry that cl_wire_entry_next has given. */
static inline const uint8_t *cl_wire_entry_name(const struct cl_wire_entry *entry)
{
    return (const uint8_t *)(entry + 1);
}

static inline const uint8_t *cl_wire_entry_tag(const struct cl_wire_entry *entry)
{
    return cl_wire_entry_name(entry) + entry->name_size;
}

/* [any, pure] Bytes of a message type's struct. 0 = unknown. */
size_t cl_wire_message_size(uint32_t type);
/* [any, pure] The same as a keeper of that version has it: never more. 0 = it does not know the type. */
size_t cl_wire_size_at(uint32_t type, uint32_t version);

#endif
