/* SPDX-License-Identifier: Apache-2.0 */
/* tape.c - see tape.h. */
#include "tape.h"
#include "again.h"
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "show.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define COPY_BYTES (128u << 10)

static cloister_value *params_of(const struct ctl_tape *tape, const char *id, const char *from, bool follow)
{
    CL_VALUE_CLEANUP cloister_value *params = ctl_client_subject(id, tape->process);

    if (cl_value_set_cstr(params, "fd", cl_value_new_u64(tape->fd)) < 0 ||
        cl_value_set_cstr(params, "from", from ? cl_value_new_cstr(from) : cl_value_new_u64(tape->position)) < 0 ||
        cl_value_set_cstr(params, "follow", cl_value_new_bool(follow)) < 0)
        return NULL;
    return cl_steal_ptr(&params);
}

static int make_pair(int *ret_ours, int *ret_theirs, struct cloister_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return cl_error_set(err, CLOISTER_LIMIT, errno, NULL, NULL, "make a pair of sockets");
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
    return 0;
}

/* The daemon gets a copy of `theirs`. */
static int send_attach(const struct ctl_tape *tape, struct ctl_client *client, const char *id, const char *from,
                       bool follow, int theirs, uint64_t *ret_request, struct cloister_error *err)
{
    const struct ctl_fds fds = {.roles = {"stream"}, .fds = {theirs}, .count = 1};
    cloister_value *params = params_of(tape, id, from, follow);
    if (!params)
        return ctl_no_memory(err);
    return ctl_client_send(client, "attach", params, &fds, ret_request, err);
}

int ctl_tape_place(struct ctl_tape *tape, struct ctl_client *client, const char *id, const char *from,
                   struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *message = NULL;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    CL_CLOSE int ours = -1;
    CL_CLOSE int theirs = -1;
    uint64_t request = 0;
    int failed = make_pair(&ours, &theirs, err);

    cl_closep(&ours); /* before the daemon has seen its own, so that not a byte is sent */
    if (failed == 0)
        failed = send_attach(tape, client, id, from, false, theirs, &request, err);
    if (failed == 0)
        failed = ctl_client_await(client, request, &message, err);
    if (failed == 0 && ctl_message_drains(message))
        return cl_error_set(err, CLOISTER_IO, ECONNRESET, NULL, NULL, "the daemon is about to end");
    if (failed == 0) {
        failed = ctl_message_result(message, &result, err);
        if (failed < 0 && err->code == CLOISTER_UNSUPPORTED) {
            tape->ended = true;
            return 1;
        }
        if (failed < 0 && err->code == CLOISTER_IO)
            err->code = CLOISTER_INTERNAL; /* said, not suffered: the connection is whole */
    }
    if (failed < 0)
        return failed;
    if (cl_value_u64(cl_value_get_cstr(result, "from"), &tape->position) < 0)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon does not say where output begins");
    tape->placed = true;
    return 0;
}

int ctl_tape_attach(struct ctl_tape *tape, struct ctl_client *client, const char *id, bool follow,
                    struct cloister_error *err)
{
    CL_CLOSE int ours = -1;
    CL_CLOSE int theirs = -1;
    int failed = make_pair(&ours, &theirs, err);

    if (failed == 0)
        failed = send_attach(tape, client, id, NULL, follow, theirs, &tape->request, err);
    if (failed == 0)
        tape->socket = cl_steal_fd(&ours);
    return failed;
}

int ctl_tape_copy(struct ctl_tape *tape, struct cloister_error *err)
{
    static char bytes[COPY_BYTES];
    ssize_t got;

    do
        got = recv(tape->socket, bytes, sizeof(bytes), 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0) { /* a daemon that died may have left a reset behind what it had sent */
        cl_closep(&tape->socket);
        return 0;
    }
    tape->position += (uint64_t)got;
    int failed = cl_write_all(tape->out, bytes, (size_t)got);
    return failed < 0 ? cl_error_set(err, CLOISTER_INTERNAL, failed, NULL, "write", "write") : 0;
}

int ctl_tape_left(struct ctl_tape *tape, struct cloister_error *err)
{
    int failed = 0;

    while (failed == 0 && tape->socket >= 0)
        failed = ctl_tape_copy(tape, err);
    tape->request = 0;
    return failed;
}

int ctl_tape_answered(struct ctl_tape *tape, cloister_value *message, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    uint64_t lost = 0, position;

    tape->request = 0;
    if (ctl_message_drains(message))
        return 1;
    int failed = ctl_message_result(message, &result, err);
    if (failed == 0)
        failed = ctl_tape_left(tape, err); /* all of it has been sent before the answer */
    if (failed < 0)
        return failed;
    if (cl_value_u64(cl_value_get_cstr(result, "position"), &position) < 0)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon does not say where output ended");
    (void)cl_value_u64(cl_value_get_cstr(result, "lost"), &lost);
    tape->position = position;
    tape->lost += lost;
    const char *verdict = ctl_show_text(result, "verdict");
    if (strcmp(verdict, "draining") == 0)
        return 1;
    if (strcmp(verdict, "eof") != 0)
        return cl_error_set(err, CLOISTER_LOST, 0, NULL, NULL, "the container's output broke off ('%s')", verdict);
    tape->ended = true;
    return 0;
}
