/* SPDX-License-Identifier: Apache-2.0 */
/* feed.c - see feed.h. */
#include "feed.h"
#include "again.h"
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "show.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int ctl_feed_open(struct ctl_feed *feed, struct ctl_client *client, const char *id, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = ctl_client_subject(id, feed->process);
    int pair[2];

    if (cl_value_set_cstr(params, "close", cl_value_new_bool(true)) < 0)
        return ctl_no_memory(err);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return cl_error_set(err, CLOISTER_LIMIT, errno, NULL, NULL, "make a pair of sockets");
    CL_CLOSE int ours = pair[0];
    CL_CLOSE int theirs = pair[1];
    const struct ctl_fds fds = {.roles = {"stream"}, .fds = {theirs}, .count = 1};
    int failed = ctl_client_send(client, "stdin", cl_steal_ptr(&params), &fds, &feed->request, err);
    if (failed < 0)
        return failed;
    feed->socket = cl_steal_fd(&ours);
    if (feed->at_end && feed->start == feed->size)
        (void)shutdown(feed->socket, SHUT_WR);
    return 0;
}

struct pollfd ctl_feed_wants(const struct ctl_feed *feed)
{
    struct pollfd wants = {.fd = -1};

    if (feed->over || feed->socket < 0)
        return wants;
    if (feed->start < feed->size) {
        wants.fd = feed->socket;
        wants.events = POLLOUT;
    } else if (!feed->at_end) {
        wants.events = POLLIN; /* fd 0 */
        wants.fd = STDIN_FILENO;
    }
    return wants;
}

static void send_on(struct ctl_feed *feed)
{
    ssize_t sent = send(feed->socket, feed->bytes + feed->start, feed->size - feed->start, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent >= 0)
        feed->start += (size_t)sent;
    else if (errno != EAGAIN && errno != EINTR)
        cl_closep(&feed->socket); /* the answer, or the next daemon, says what is to be */
}

void ctl_feed_step(struct ctl_feed *feed)
{
    if (feed->start == feed->size) {
        ssize_t got = read(STDIN_FILENO, feed->bytes + 1, sizeof(feed->bytes) - 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        feed->start = 0;
        feed->size = got > 0 ? ctl_detach_filter(&feed->detach, feed->bytes, (size_t)got) : 0;
        feed->at_end = got <= 0;
    }
    if (feed->start < feed->size)
        send_on(feed);
    if (feed->at_end && feed->start == feed->size && feed->socket >= 0)
        (void)shutdown(feed->socket, SHUT_WR);
}

int ctl_feed_answered(struct ctl_feed *feed, cloister_value *message, bool *ret_drains, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;

    feed->request = 0;
    cl_closep(&feed->socket);
    *ret_drains = ctl_message_drains(message);
    if (*ret_drains)
        return 0;
    int failed = ctl_message_result(message, &result, err);
    feed->over = true;
    if (failed < 0 && (err->code == CLOISTER_UNSUPPORTED || err->code == CLOISTER_INVALID_STATE)) {
        cl_error_clear(err);
        return 0;
    }
    if (failed < 0)
        return failed;
    *ret_drains = strcmp(ctl_show_text(result, "verdict"), "draining") == 0;
    feed->over = !*ret_drains;
    return 0;
}

void ctl_feed_close(struct ctl_feed *feed)
{
    feed->request = 0;
    cl_closep(&feed->socket);
}
