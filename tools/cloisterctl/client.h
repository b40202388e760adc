/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection to the control socket: requests out, answers and pushes in, one JSON object a line.
 *
 * The socket is blocking. A caller that has more to wait for polls `fd` itself and then calls ctl_client_fill and
 * ctl_client_next; all others use ctl_client_call.
 */
#ifndef CLOISTERCTL_CLIENT_H
#define CLOISTERCTL_CLIENT_H

#include "core/value/value.h"
#include <cloister/error.h>

#define CTL_LINE_MAX (64u * 1024 * 1024)

struct ctl_client {
    int fd;
    uint64_t last_id;
    char *data; /* received, not yet handed out: start..size */
    size_t start;
    size_t size;
    size_t capacity;
};

#define CTL_CLIENT_INIT      \
    {                        \
        -1, 0, NULL, 0, 0, 0 \
    }

/* Descriptors that travel with a request; they stay the caller's. */
struct ctl_fds {
    const char *roles[3];
    int fds[3];
    uint32_t count;
};

/* Roles stdin, stdout, stderr for those of 0, 1, 2 that are open. */
void ctl_fds_standard(struct ctl_fds *ret_fds);

int ctl_client_connect(struct ctl_client *client, const char *path, struct cloister_error *err);
void ctl_client_close(struct ctl_client *client);
#define CTL_CLIENT_CLEANUP __attribute__((cleanup(ctl_client_close)))

/* {"id": ..., "process": ...}, which is not said if it is 0: the container's init. NULL without memory. */
cloister_value *ctl_client_subject(const char *id, uint64_t process);
/* Sends one request; params is taken (NULL = none). fds may be NULL. 0 or negative errno. */
int ctl_client_send(struct ctl_client *client, const char *method, cloister_value *params, const struct ctl_fds *fds,
                    uint64_t *ret_id, struct cloister_error *err);
/* Reads what is there, waiting for at least a byte. 0 or negative errno; -ECONNRESET when the daemon has closed. */
int ctl_client_fill(struct ctl_client *client, struct cloister_error *err);
/* The next whole message: 1 with *ret_message (owned by the caller), 0 = none yet, negative errno = not our protocol.
 */
int ctl_client_next(struct ctl_client *client, cloister_value **ret_message, struct cloister_error *err);
/* Is this message the answer to `id`? An answer with a null id, which ends what cannot be told apart, counts too. */
bool ctl_message_answers(const cloister_value *message, uint64_t id);
/* Takes the result out of an answer (owned by the caller); for an error: err is filled from it and its errno returned.
 */
int ctl_message_result(cloister_value *message, cloister_value **ret_result, struct cloister_error *err);
/* Waits for the answer to `id` (owned by the caller); what else comes is dropped. */
int ctl_client_await(struct ctl_client *client, uint64_t id, cloister_value **ret_message, struct cloister_error *err);
/* Send, then wait for the answer. ret_result may be NULL. */
int ctl_client_call(struct ctl_client *client, const char *method, cloister_value *params, const struct ctl_fds *fds,
                    cloister_value **ret_result, struct cloister_error *err);
/*
 * The same about one sandbox: `target` is put into params as "name" and, if there is no such name and it could be an
 * engine id, as "id". params is taken.
 */
int ctl_client_call_on(struct ctl_client *client, const char *method, const char *target, cloister_value *params,
                       cloister_value **ret_result, struct cloister_error *err);

#endif
