/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - see session.h. Output never passes through here: the program writes to our own descriptors, which it was
 * given.
 */
#include "session.h"
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "status.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define INTERRUPTS_MEANT 3u

static void forwarded_signals(sigset_t *ret_set)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

    (void)sigemptyset(ret_set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction old;
        /* What a shell made us ignore (nohup, background jobs) would be kept by a blocking mask and then forwarded. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            (void)sigaddset(ret_set, signals[i]);
    }
}

int ctl_session_begin(struct ctl_session *session, const struct ctl_context *context, const char *command,
                      struct ctl_client *client, struct cloister_error *err)
{
    sigset_t set;

    forwarded_signals(&set);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "block signals");
    session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signal_fd < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "make a signal descriptor");
    session->context = context;
    session->command = command;
    session->client = client;
    return 0;
}

void ctl_session_end(struct ctl_session *session)
{
    cl_closep(&session->signal_fd);
}

/* Sends a signal request; its answer is read and dropped by whoever waits (a process that has just gone is no error).
 */
static int forward(struct ctl_session *session, uint32_t number, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = ctl_client_subject(session->id, session->process);
    uint64_t unused;

    if (cl_value_set_cstr(params, "signal", cl_value_new_u64(number)) < 0)
        return ctl_no_memory(err);
    if (!session->process && cl_value_set_cstr(params, "set", cl_value_new_cstr("init")) < 0)
        return ctl_no_memory(err);
    return ctl_client_send(session->client, "signal", cl_steal_ptr(&params), NULL, &unused, err);
}

int ctl_session_signalled(struct ctl_session *session, struct cloister_error *err)
{
    struct signalfd_siginfo info;
    ssize_t got = read(session->signal_fd, &info, sizeof(info));

    if (got != (ssize_t)sizeof(info))
        return got < 0 && errno != EAGAIN && errno != EINTR
                   ? cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "read a signal")
                   : 0;
    bool interrupt = info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM;
    if (interrupt && ++session->interrupts == INTERRUPTS_MEANT && !session->id[0])
        return cl_error_set(err, CLOISTER_CANCELLED, 0, NULL, NULL, "interrupted before the daemon had answered");
    if (session->id[0])
        return forward(session, interrupt && session->interrupts >= INTERRUPTS_MEANT ? SIGKILL : info.ssi_signo, err);
    if (session->pending_count < CTL_PENDING_MAX)
        session->pending[session->pending_count++] = info.ssi_signo;
    return 0;
}

/* Waits until the daemon has sent something, forwarding signals meanwhile. */
static int wait_readable(struct ctl_session *session, struct cloister_error *err)
{
    struct pollfd watched[2] = {{.fd = session->client->fd, .events = POLLIN},
                                {.fd = session->signal_fd, .events = POLLIN}};

    for (;;) {
        if (poll(watched, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "wait for the daemon");
        }
        if (watched[1].revents) {
            int failed = ctl_session_signalled(session, err);
            if (failed < 0)
                return failed;
        }
        if (watched[0].revents)
            return ctl_client_fill(session->client, err);
    }
}

int ctl_session_call(struct ctl_session *session, const char *method, cloister_value *params, const struct ctl_fds *fds,
                     cloister_value **ret_result, struct cloister_error *err)
{
    uint64_t id;
    int got = ctl_client_send(session->client, method, params, fds, &id, err);

    while (got >= 0) {
        CL_VALUE_CLEANUP cloister_value *message = NULL;
        got = ctl_client_next(session->client, &message, err);
        if (got > 0 && ctl_message_answers(message, id))
            return ctl_message_result(message, ret_result, err);
        if (got == 0)
            got = wait_readable(session, err);
    }
    return got;
}

int ctl_session_started(struct ctl_session *session, const char *id, uint64_t process, struct cloister_error *err)
{
    if (!id || strlen(id) >= sizeof(session->id))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer names no sandbox");
    (void)strcpy(session->id, id);
    session->process = process;
    for (uint32_t i = 0; i < session->pending_count; i++) {
        int failed = forward(session, session->pending[i], err);
        if (failed < 0)
            return failed;
    }
    session->pending_count = 0;
    return 0;
}

int ctl_session_wait(struct ctl_session *session, int *ret_code, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    CL_VALUE_CLEANUP cloister_value *params = ctl_client_subject(session->id, session->process);
    if (!params)
        return ctl_no_memory(err);
    int failed = ctl_session_call(session, "wait", cl_steal_ptr(&params), NULL, &result, err);

    if (failed < 0) {
        cl_error_wrap(err, "wait for container '%s', which may run on", session->id);
        return failed;
    }
    return ctl_status_code(session->context, session->command, cl_value_get_cstr(result, "status"), ret_code, err);
}

int ctl_session_error_code(const struct cloister_error *err)
{
    if (err->code == CLOISTER_NO_EXECUTABLE)
        return CTL_EXIT_NOT_FOUND;
    return err->code == CLOISTER_NOT_EXECUTABLE ? CTL_EXIT_NOT_EXECUTABLE : CTL_EXIT_OURS;
}
