/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.h - what the daemon and the keeper program say to each other about *forking*, and nothing else.
 *
 * The daemon execs the keeper program once, as `cloister-keeper zygote`, from a sealed memfd, with a SOCK_SEQPACKET
 * socket as descriptor 3, before any plugin is created. The zygote answers with its hello, then serves fork requests,
 * one at a time, in order. It exits when the socket closes; the processes it forked live on. What a forked role and its
 * plugin say to each other on the role's own socket is theirs (for our keeper: plugins/common/keeper/wire.h, which
 * includes this file).
 *
 * Both ends run on one machine from one build: host byte order, fixed layout, versioned.
 * Since 0.1. Source: design.md section 4.
 */
#ifndef CLOISTER_ZYGOTE_H
#define CLOISTER_ZYGOTE_H

#include <cloister/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_ZYGOTE_MAGIC 0x5a4c4331u /* "1CLZ" */
#define CLOISTER_ZYGOTE_VERSION 1u
#define CLOISTER_ZYGOTE_FD 3         /* the socket's number in the zygote */
#define CLOISTER_ZYGOTE_FDS_MAX 64u  /* descriptors with one fork request, the role's socket included */
#define CLOISTER_ZYGOTE_ROLE_MAX 16u /* bytes, NUL included */

/* Zygote to daemon, once, when its mount namespace stands. os_errno != 0: it could not be made, the zygote exits. */
struct cloister_zygote_hello {
    uint32_t struct_size;
    uint32_t magic;
    uint32_t version;
    int32_t os_errno;
    int32_t pid; /* the zygote's, in its own pid namespace */
    uint32_t reserved;
    char step[32]; /* what failed, NUL-terminated; or "ready" */
};

/* Daemon to zygote. Descriptors by SCM_RIGHTS: the first is the role's own end of its socket, the rest are the role's.
 */
struct cloister_zygote_fork {
    uint32_t struct_size;
    uint32_t magic;
    uint64_t serial;                     /* echoed */
    char role[CLOISTER_ZYGOTE_ROLE_MAX]; /* "sandbox", "helper" */
};

/* Zygote to daemon, one for each fork request. With os_errno 0 one descriptor comes along: the child's pidfd. */
struct cloister_zygote_forked {
    uint32_t struct_size;
    uint32_t magic;
    uint64_t serial;
    int32_t os_errno;
    int32_t pid; /* in the zygote's pid namespace, which is the daemon's */
    char step[32];
};

/*
 * Role "helper", since 0.3: the forked process runs one program of the host's, waits for it and tells its end. Behind
 * the role's socket come the program (O_PATH), the host's mount namespace, the description (a sealed memfd: the struct
 * below, then NUL-terminated the program's path, its arguments, its environment), then the program's own descriptors,
 * which become its 0, 1, 2, ...; where there are fewer than three the rest is /dev/null. It is SIGKILLed, with its
 * process group, when the socket's other end closes; when a signal ends the program, what is left of its group is
 * SIGKILLed before EXITED.
 */
#define CLOISTER_ZYGOTE_HELPER_ROLE "helper"
#define CLOISTER_ZYGOTE_HELPER_FDS_MAX 32u
#define CLOISTER_ZYGOTE_HELPER_SIZE_MAX (1u << 20)  /* of a description */
#define CLOISTER_ZYGOTE_HELPER_STRINGS_MAX 4096u    /* arguments and variables */
#define CLOISTER_ZYGOTE_HELPER_PRIVILEGES (1u << 0) /* without it: no new privileges */
struct cloister_zygote_helper {
    uint32_t struct_size;
    uint32_t magic;
    uint32_t size; /* of the whole description */
    uint32_t flags;
    uint32_t argv_count;
    uint32_t env_count;
};

enum cloister_zygote_helper_kind {
    CLOISTER_ZYGOTE_HELPER_STARTED = 1, /* it has been exec'ed; with one descriptor, its pidfd */
    CLOISTER_ZYGOTE_HELPER_FAILED = 2,  /* it has not: os_errno and step; the last message */
    CLOISTER_ZYGOTE_HELPER_EXITED = 3   /* the last message */
};

/* Helper's parent to daemon. */
struct cloister_zygote_helper_said {
    uint32_t struct_size;
    uint32_t magic;
    uint32_t kind; /* enum cloister_zygote_helper_kind */
    int32_t os_errno;
    int32_t pid;
    uint32_t by_signal; /* EXITED: value is a signal number, else an exit code */
    uint32_t value;
    uint32_t core;
    char step[32];
};

#ifdef __cplusplus
}
#endif
#endif
