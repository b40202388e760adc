/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - a program that runs in a container on behalf of this terminal: our signals become its signals, its end
 * becomes ours.
 *
 * Signals are taken by a signalfd from ctl_session_begin on, so that one which arrives while the container is still
 * being made is kept and delivered when there is somebody to deliver it to. Signals that were ignored when we were
 * started stay ignored.
 */
#ifndef CLOISTERCTL_SESSION_H
#define CLOISTERCTL_SESSION_H

#include "client.h"
#include "ctl.h"
#include <stdbool.h>

#define CTL_PENDING_MAX 16u

struct ctl_session {
    const struct ctl_context *context;
    const char *command; /* whose sentences ours are */
    struct ctl_client *client;
    int signal_fd;
    char id[64];      /* of the sandbox, "" until known */
    uint64_t process; /* 0 = the container's init */
    uint32_t pending[CTL_PENDING_MAX];
    uint32_t pending_count;
    uint32_t interrupts; /* SIGINT and SIGTERM so far: the third one means it */
    bool left;           /* its program was left alone, by keys */
};

#define CTL_SESSION_INIT                               \
    {                                                  \
        NULL, NULL, NULL, -1, {0}, 0, {0}, 0, 0, false \
    }

/* Begins to take our signals; the client stays the caller's. */
int ctl_session_begin(struct ctl_session *session, const struct ctl_context *context, const char *command,
                      struct ctl_client *client, struct cloister_error *err);
void ctl_session_end(struct ctl_session *session);
#define CTL_SESSION_CLEANUP __attribute__((cleanup(ctl_session_end)))

/* A call that forwards signals while it waits. params is taken. Interrupted three times before there is a process:
 * CANCELLED. */
int ctl_session_call(struct ctl_session *session, const char *method, cloister_value *params, const struct ctl_fds *fds,
                     cloister_value **ret_result, struct cloister_error *err);
/* Names the process that our signals go to from now on. */
int ctl_session_started(struct ctl_session *session, const char *id, uint64_t process, struct cloister_error *err);
/* signal_fd is readable. */
int ctl_session_signalled(struct ctl_session *session, struct cloister_error *err);
/* Waits for its end. *ret_code is the exit code for us; a sentence about an unusual end (lost, out of memory) is
 * printed. */
int ctl_session_wait(struct ctl_session *session, int *ret_code, struct cloister_error *err);

/* The exit code for a process that could not be started: 127, 126 or 125. */
int ctl_session_error_code(const struct cloister_error *err);

#endif
