/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.c - see follow.h. One connection carries a request for each output, one for stdin and a wait; their answers
 * come at the ends. When the connection ends before them the daemon has: what it had sent is in the sockets, is copied
 * and counted, and the next daemon is asked for the rest.
 */
#include "follow.h"
#include "again.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "spec.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define AWAY 1   /* the daemon has ended */
#define LEAVES 2 /* it says that it is about to */

static bool is_done(const struct ctl_follow *follow)
{
    if (follow->feed.detach.done)
        return true;
    for (uint32_t i = 0; i < follow->tape_count; i++)
        if (!ctl_tape_done(&follow->tapes[i]))
            return false;
    return !follow->waits || follow->status;
}

static int place(struct ctl_follow *follow, struct cloister_error *err)
{
    uint32_t captured = 0;

    for (uint32_t i = 0; i < follow->tape_count; i++) {
        struct ctl_tape *tape = &follow->tapes[i];
        int failed =
            tape->placed || tape->ended ? 0 : ctl_tape_place(tape, &follow->client, follow->id, follow->from, err);
        if (failed < 0)
            return failed;
        captured += tape->placed;
    }
    if (captured == 0)
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, NULL, NULL,
                            "its output is not kept: it was not started with `run -d`");
    cl_error_clear(err);
    return 0;
}

static int ask_wait(struct ctl_follow *follow, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = NULL;

    if (!follow->waits || follow->status)
        return 0;
    params = ctl_client_subject(follow->id, follow->process);
    if (!params)
        return ctl_no_memory(err);
    return ctl_client_send(&follow->client, "wait", cl_steal_ptr(&params), NULL, &follow->wait_request, err);
}

/* Its answer is dropped: a program that has just ended has no terminal any more, and that is no failure. */
static int ask_resize(struct ctl_follow *follow, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = ctl_client_subject(follow->id, follow->process);
    uint32_t rows, columns;
    uint64_t unused;

    ctl_terminal_size(&rows, &columns);
    if (rows == 0 || columns == 0)
        return 0;
    if (cl_value_set_cstr(params, "rows", cl_value_new_u64(rows)) < 0 ||
        cl_value_set_cstr(params, "columns", cl_value_new_u64(columns)) < 0)
        return ctl_no_memory(err);
    return ctl_client_send(&follow->client, "resize", cl_steal_ptr(&params), NULL, &unused, err);
}

/* Everything that is not answered yet. */
static int ask(struct ctl_follow *follow, struct cloister_error *err)
{
    int failed = place(follow, err);

    for (uint32_t i = 0; i < follow->tape_count && failed == 0; i++)
        if (!follow->tapes[i].ended)
            failed = ctl_tape_attach(&follow->tapes[i], &follow->client, follow->id, follow->on, err);
    if (failed == 0 && !follow->feed.over)
        failed = ctl_feed_open(&follow->feed, &follow->client, follow->id, err);
    if (failed == 0 && follow->terminal)
        failed = ask_resize(follow, err);
    return failed < 0 ? failed : ask_wait(follow, err);
}

static int take_status(struct ctl_follow *follow, cloister_value *message, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    int failed = ctl_message_drains(message) ? LEAVES : ctl_message_result(message, &result, err);

    follow->wait_request = 0;
    if (failed != 0)
        return failed;
    cloister_value *status = cl_value_get_cstr(result, "status");
    if (!status)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer has no status");
    follow->status = cl_value_detach(result, status);
    return 0;
}

static int take_message(struct ctl_follow *follow, cloister_value *message, struct cloister_error *err)
{
    bool drains = false;

    for (uint32_t i = 0; i < follow->tape_count; i++) {
        struct ctl_tape *tape = &follow->tapes[i];
        if (tape->request && ctl_message_answers(message, tape->request)) {
            int failed = ctl_tape_answered(tape, message, err);
            return failed > 0 ? LEAVES : failed;
        }
    }
    if (follow->feed.request && ctl_message_answers(message, follow->feed.request)) {
        int failed = ctl_feed_answered(&follow->feed, message, &drains, err);
        return failed < 0 ? failed : drains ? LEAVES : 0;
    }
    if (follow->wait_request && ctl_message_answers(message, follow->wait_request))
        return take_status(follow, message, err);
    return 0;
}

/* A failure that the daemon has said is none of the connection's. */
static int said(int failed, struct cloister_error *err)
{
    if (failed < 0 && err->code == CLOISTER_IO)
        err->code = CLOISTER_INTERNAL;
    return failed;
}

/* 0, AWAY, LEAVES, or negative errno. */
static int take_messages(struct ctl_follow *follow, struct cloister_error *err)
{
    bool leaves = false;
    int got = ctl_client_fill(&follow->client, err);

    if (got < 0)
        return ctl_is_away(got, err) ? AWAY : got;
    do {
        CL_VALUE_CLEANUP cloister_value *message = NULL;
        got = ctl_client_next(&follow->client, &message, err);
        int failed = got > 0 ? said(take_message(follow, message, err), err) : 0;
        if (failed < 0)
            return failed;
        leaves |= failed == LEAVES;
    } while (got > 0);
    return got < 0 ? got : leaves ? LEAVES : 0;
}

/* A daemon that is about to end still says where each output was cut and what of it was lost. */
static bool is_owed(const struct ctl_follow *follow)
{
    for (uint32_t i = 0; i < follow->tape_count; i++)
        if (follow->tapes[i].request)
            return true;
    return follow->feed.request != 0;
}

/* What poll is asked about, in this order. */
enum { AT_CLIENT, AT_TAPES, AT_FEED = AT_TAPES + 2, AT_SESSION, AT_TERMINAL, AT_COUNT };

static void watch(const struct ctl_follow *follow, struct pollfd watched[AT_COUNT])
{
    for (uint32_t i = 0; i < AT_COUNT; i++)
        watched[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    watched[AT_CLIENT].fd = follow->client.fd;
    for (uint32_t i = 0; i < follow->tape_count; i++)
        watched[AT_TAPES + i].fd = follow->tapes[i].socket;
    watched[AT_FEED] = ctl_feed_wants(&follow->feed);
    if (follow->session)
        watched[AT_SESSION].fd = follow->session->signal_fd;
    if (follow->terminal)
        watched[AT_TERMINAL].fd = follow->terminal->signal_fd;
}

static bool has(const struct pollfd *watched)
{
    return watched->fd >= 0 && watched->revents;
}

/* What comes from this side, and the outputs. */
static int step(struct ctl_follow *follow, const struct pollfd watched[AT_COUNT], struct cloister_error *err)
{
    int failed = 0;

    for (uint32_t i = 0; i < follow->tape_count && failed == 0; i++)
        if (has(&watched[AT_TAPES + i]))
            failed = ctl_tape_copy(&follow->tapes[i], err);
    if (failed == 0 && has(&watched[AT_FEED]))
        ctl_feed_step(&follow->feed);
    if (failed == 0 && has(&watched[AT_SESSION]))
        failed = ctl_session_signalled(follow->session, err);
    if (failed == 0 && has(&watched[AT_TERMINAL])) {
        failed = ctl_terminal_changed(follow->terminal, err);
        if (failed == 0)
            failed = ask_resize(follow, err);
    }
    return failed;
}

static int serve(struct ctl_follow *follow, struct cloister_error *err)
{
    bool leaves = false;

    while (!is_done(follow)) {
        struct pollfd watched[AT_COUNT];
        if (leaves && !is_owed(follow))
            return AWAY;
        watch(follow, watched);
        if (poll(watched, AT_COUNT, -1) < 0) {
            if (errno == EINTR)
                continue;
            return cl_error_set(err, CLOISTER_INTERNAL, errno, NULL, NULL, "wait for the daemon");
        }
        int failed = step(follow, watched, err);
        if (failed == 0 && watched[AT_CLIENT].revents)
            failed = take_messages(follow, err);
        leaves |= failed == LEAVES;
        if (failed != 0 && failed != LEAVES)
            return failed;
    }
    return 0;
}

/* The connection first: a daemon that is still there ends its streams when their exchanges have nobody left. */
static int take_leave(struct ctl_follow *follow, struct cloister_error *err)
{
    int failed = 0;

    ctl_client_close(&follow->client);
    ctl_feed_close(&follow->feed);
    follow->wait_request = 0;
    for (uint32_t i = 0; i < follow->tape_count && failed == 0; i++)
        failed = ctl_tape_left(&follow->tapes[i], err);
    return failed < 0 ? failed : ctl_client_again(&follow->client, follow->context->socket, err);
}

/* As `run` has noted. */
static bool has_terminal(const cloister_value *sandbox)
{
    const char *label = cl_value_cstr(cl_value_get_cstr(cl_value_get_cstr(sandbox, "labels"), CTL_LABEL_PROCESS));
    CL_VALUE_CLEANUP cloister_value *process = NULL;
    bool terminal = false;

    return label && cl_value_parse(cl_sv_cstr(label), NULL, &process, NULL, NULL) == 0 &&
           cl_value_bool(cl_value_get_cstr(process, "terminal"), &terminal) == 0 && terminal;
}

static int become_terminal(struct ctl_follow *follow, struct cloister_error *err)
{
    int failed = ctl_terminal_begin(follow->offered, err);

    if (failed == 0)
        failed = ctl_terminal_raw(follow->offered, err);
    if (failed < 0)
        return failed;
    follow->terminal = follow->offered;
    follow->feed.detach.wanted = true;
    return 0;
}

static int find(struct ctl_follow *follow, const char *target, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
    int failed = ctl_client_connect(&follow->client, follow->context->socket, err);

    if (failed == 0)
        failed = ctl_client_call_on(&follow->client, "inspect", target, NULL, &sandbox, err);
    if (failed < 0)
        return failed;
    const char *id = cl_value_cstr(cl_value_get_cstr(sandbox, "id"));
    if (!id || strlen(id) >= sizeof(follow->id))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer names no sandbox");
    (void)strcpy(follow->id, id);
    return follow->offered && has_terminal(sandbox) && ctl_terminal_check(NULL) == 0 ? become_terminal(follow, err) : 0;
}

int ctl_follow(struct ctl_follow *follow, const char *target, struct cloister_error *err)
{
    int failed = target ? find(follow, target, err) : 0;

    while (failed >= 0) {
        failed = ask(follow, err);
        if (failed == 0)
            failed = serve(follow, err);
        if (failed == 0)
            return 0;
        if (failed == AWAY || ctl_is_away(failed, err))
            failed = take_leave(follow, err);
    }
    return failed;
}

void ctl_follow_end(struct ctl_follow *follow)
{
    for (uint32_t i = 0; i < follow->tape_count; i++)
        if (follow->tapes[i].lost > 0)
            (void)fprintf(stderr, "cloisterctl: %llu bytes of output were dropped before they could be read\n",
                          (unsigned long long)follow->tapes[i].lost);
    ctl_feed_close(&follow->feed);
    ctl_client_close(&follow->client);
    cl_value_free(follow->status);
}
