/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - states, statuses and events of sandboxes, containers and processes.
 * Members since 0.1. Source: sdk.md sections 3 (events), 4 (order) and 5 (states).
 */
#ifndef CLOISTER_EVENTS_H
#define CLOISTER_EVENTS_H

#include <cloister/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cloister_sandbox_state {
    CLOISTER_SANDBOX_CREATING = 1,
    CLOISTER_SANDBOX_OFF = 2, /* cause says why */
    CLOISTER_SANDBOX_STARTING = 3,
    CLOISTER_SANDBOX_UP = 4,
    CLOISTER_SANDBOX_STOPPING = 5,
    CLOISTER_SANDBOX_DESTROYING = 6,
    CLOISTER_SANDBOX_UNKNOWN =
        7 /* record unreadable, newer, foreign or ownerless: list, inspect, forced destroy only */
};

enum cloister_cause {
    CLOISTER_CAUSE_NONE = 0,
    CLOISTER_CAUSE_NEVER = 1, /* never started */
    CLOISTER_CAUSE_STOPPED = 2,
    CLOISTER_CAUSE_LOST = 3, /* its keeper died: nothing is known of how it ended */
    CLOISTER_CAUSE_REBOOT = 4,
    CLOISTER_CAUSE_POWEROFF = 5,
    CLOISTER_CAUSE_PANIC = 6
};

#define CLOISTER_SANDBOX_RECOVERING (1u << 0)
#define CLOISTER_SANDBOX_NO_CONTACT (1u << 1)
#define CLOISTER_SANDBOX_DIRTY (1u << 2) /* a "reached" write is owed to the store */
#define CLOISTER_SANDBOX_FROZEN (1u << 3)
#define CLOISTER_SANDBOX_UNCOMMITTED (1u << 4) /* provisional: only its own service sees it. Since 0.2 */

enum cloister_container_state {
    CLOISTER_CONTAINER_CREATING = 1,
    CLOISTER_CONTAINER_CREATED = 2, /* init is blocked */
    CLOISTER_CONTAINER_RUNNING = 3,
    CLOISTER_CONTAINER_STOPPED = 4
};

enum cloister_process_state {
    CLOISTER_PROCESS_STARTING = 1,
    CLOISTER_PROCESS_RUNNING = 2,
    CLOISTER_PROCESS_EXITED = 3,
    CLOISTER_PROCESS_DRAINED = 4,
    CLOISTER_PROCESS_LOST = 5
};

enum cloister_status_kind {
    CLOISTER_STATUS_NONE = 0, /* has not ended */
    CLOISTER_STATUS_EXITED = 1,
    CLOISTER_STATUS_SIGNALED = 2,
    CLOISTER_STATUS_LOST = 3 /* ended, nobody saw how; never to be read as success */
};

#define CLOISTER_STATUS_OOM (1u << 0)
#define CLOISTER_STATUS_CORE (1u << 1)

struct cloister_status { /* embedded by value; does not grow */
    uint32_t kind;       /* enum cloister_status_kind */
    uint32_t value;      /* exit code or signal number */
    uint32_t flags;      /* CLOISTER_STATUS_* */
    uint32_t reserved;
    uint64_t real_ns; /* CLOCK_REALTIME at the reaping */
    uint64_t mono_ns; /* CLOCK_MONOTONIC */
};

enum cloister_event_kind {
    CLOISTER_EVENT_EXIT = 1,    /* of a process, at its reaping; never waits for pipes */
    CLOISTER_EVENT_DRAINED = 2, /* its output has ended; of an init: and the rest of its container */
    CLOISTER_EVENT_CONTAINER_DOWN = 3,
    CLOISTER_EVENT_SANDBOX_DOWN = 4, /* cause */
    CLOISTER_EVENT_OOM = 5,
    CLOISTER_EVENT_STATE = 6, /* state of a sandbox or container changed */
    CLOISTER_EVENT_CONTACT = 7,
    CLOISTER_EVENT_RESOURCE_GONE = 8,
    CLOISTER_EVENT_THRESHOLD = 9,
    CLOISTER_EVENT_PROGRESS = 10
};

#define CLOISTER_OUTPUT_BY_DEADLINE (1u << 0) /* somebody still held it open when the drain deadline passed */

/* Where a captured output descriptor ended. Since 0.2. */
struct cloister_output_end { /* stands in arrays */
    uint32_t fd;             /* of the process: 1, 2 */
    uint32_t flags;          /* CLOISTER_OUTPUT_* */
    uint64_t position;       /* bytes it wrote */
    uint64_t lost;           /* bytes of them that were dropped by policy before anybody read them */
    uint64_t reserved[2];
};

/* Borrowed for the call of event(). */
struct cloister_event {
    uint32_t struct_size;
    uint32_t kind;     /* enum cloister_event_kind */
    uint64_t sequence; /* rises by one within the daemon's life; may repeat an event (never a number) after a crash */
    struct cloister_sv service;   /* owner */
    struct cloister_sv sandbox;   /* engine id */
    struct cloister_sv name;      /* the client's name of it */
    struct cloister_sv container; /* cid, empty if it concerns the sandbox alone */
    uint32_t incarnation;
    uint32_t state;           /* STATE: cloister_container_state if container is set, else cloister_sandbox_state */
    uint32_t cause;           /* enum cloister_cause */
    uint32_t is_init;         /* EXIT: the process is the container's init */
    cloister_process process; /* 0 = none */
    struct cloister_status status; /* EXIT, DRAINED, CONTAINER_DOWN (init's) */
    uint64_t real_ns;
    uint64_t mono_ns;
    const struct cloister_output_end *outputs; /* DRAINED; since 0.2 */
    uint64_t output_count;
    uint64_t output_size; /* bytes per element */
};

#ifdef __cplusplus
}
#endif
#endif
