/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the wire as cloisterctl speaks it: newline-delimited JSON with descriptors on a request's first byte.
 *
 * Descriptors ride with the first byte of the line (the daemon takes as many as "fds" names), so a request with
 * descriptors is sent by one sendmsg for that byte and what follows it fits, then plain writes for the rest.
 */
#include "client.h"
#include "core/error/error.h"
#include "core/util/base32.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "ctl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CHUNK 65536u

void ctl_fds_standard(struct ctl_fds *ret_fds)
{
    static const char *const roles[3] = {"stdin", "stdout", "stderr"};

    ret_fds->count = 0;
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        ret_fds->roles[ret_fds->count] = roles[fd];
        ret_fds->fds[ret_fds->count++] = fd;
    }
}

int ctl_client_connect(struct ctl_client *client, const char *path, struct cloister_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(address.sun_path))
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "connect",
                            "socket path '%s' has %zu bytes; 1 to %zu are possible", path, length,
                            sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, length + 1);
    CL_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "connect", "make a socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int reason = errno;
        cl_error_set(err, cl_error_code_of(reason), reason, path, "connect", "connect to '%s'", path);
        if (reason == ENOENT || reason == ECONNREFUSED)
            cl_error_wrap(err,
                          "no daemon answers there (is cloisterd running? --socket and --instance choose another)");
        return -reason;
    }
    client->fd = cl_steal_fd(&fd);
    return 0;
}

void ctl_client_close(struct ctl_client *client)
{
    cl_closep(&client->fd);
    free(client->data);
    *client = (struct ctl_client)CTL_CLIENT_INIT;
}

cloister_value *ctl_client_subject(const char *id, uint64_t process)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();

    if (cl_value_set_cstr(params, "id", cl_value_new_cstr(id)) < 0)
        return NULL;
    if (process && cl_value_set_cstr(params, "process", cl_value_new_u64(process)) < 0)
        return NULL;
    return cl_steal_ptr(&params);
}

static cloister_value *roles_array(const struct ctl_fds *fds)
{
    CL_VALUE_CLEANUP cloister_value *array = cl_value_new_array();

    if (!array)
        return NULL;
    for (uint32_t i = 0; i < fds->count; i++)
        if (cl_value_append(array, cl_value_new_cstr(fds->roles[i])) < 0)
            return NULL;
    return cl_steal_ptr(&array);
}

static int compose(uint64_t id, const char *method, cloister_value *params, const struct ctl_fds *fds, char **ret_line,
                   size_t *ret_size)
{
    CL_VALUE_CLEANUP cloister_value *owned_params = params;
    CL_VALUE_CLEANUP cloister_value *request = cl_value_new_object();
    CL_FREE char *text = NULL;
    size_t size;

    if (!request || cl_value_set_cstr(request, "id", cl_value_new_u64(id)) < 0 ||
        cl_value_set_cstr(request, "method", cl_value_new_cstr(method)) < 0)
        return -ENOMEM;
    if (owned_params && cl_value_set_cstr(request, "params", cl_steal_ptr(&owned_params)) < 0)
        return -ENOMEM;
    if (fds && fds->count > 0 && cl_value_set_cstr(request, "fds", roles_array(fds)) < 0)
        return -ENOMEM;
    if (cl_value_print(request, false, &text, &size) < 0)
        return -ENOMEM;
    text[size] = '\n'; /* in place of the final NUL: from here on the text has a size only */
    *ret_line = cl_steal_ptr(&text);
    *ret_size = size + 1;
    return 0;
}

static ssize_t send_some(int fd, const char *data, size_t size, const struct ctl_fds *fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    if (fds && fds->count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds->count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds->count * sizeof(int));
        memcpy(CMSG_DATA(header), fds->fds, fds->count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int ctl_client_send(struct ctl_client *client, const char *method, cloister_value *params, const struct ctl_fds *fds,
                    uint64_t *ret_id, struct cloister_error *err)
{
    CL_FREE char *line = NULL;
    size_t size = 0, done = 0;
    uint64_t id = client->last_id + 1;

    if (compose(id, method, params, fds, &line, &size) < 0)
        return ctl_no_memory(err);
    while (done < size) {
        ssize_t sent = send_some(client->fd, line + done, size - done, done == 0 ? fds : NULL);
        if (sent < 0)
            return cl_error_set(err, CLOISTER_IO, (int)sent, NULL, "send", "send '%s' to the daemon", method);
        done += (size_t)sent;
    }
    client->last_id = id;
    *ret_id = id;
    return 0;
}

/* Makes room for a chunk behind `size`, moving what is left to the front first. */
static int make_room(struct ctl_client *client)
{
    if (client->start > 0) {
        memmove(client->data, client->data + client->start, client->size - client->start);
        client->size -= client->start;
        client->start = 0;
    }
    if (client->capacity - client->size >= CHUNK)
        return 0;
    if (client->size > CTL_LINE_MAX)
        return -E2BIG;
    char *bigger = cl_realloc_array(client->data, client->capacity * 2 + CHUNK, 1);
    if (!bigger)
        return -ENOMEM;
    client->data = bigger;
    client->capacity = client->capacity * 2 + CHUNK;
    return 0;
}

int ctl_client_fill(struct ctl_client *client, struct cloister_error *err)
{
    int failed = make_room(client);
    ssize_t got;

    if (failed < 0)
        return cl_error_set(err, CLOISTER_PROTOCOL, failed, NULL, "receive", "make room for an answer");
    do
        got = recv(client->fd, client->data + client->size, CHUNK, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "receive", "read from the daemon");
    if (got == 0) {
        cl_error_set(err, CLOISTER_IO, 0, NULL, "receive", "the daemon closed the connection");
        return -ECONNRESET;
    }
    client->size += (size_t)got;
    return 0;
}

int ctl_client_next(struct ctl_client *client, cloister_value **ret_message, struct cloister_error *err)
{
    while (client->size > client->start) {
        char *begin = client->data + client->start;
        char *end = memchr(begin, '\n', client->size - client->start);
        if (!end)
            return 0;
        client->start += (size_t)(end - begin) + 1;
        if (end == begin)
            continue;
        int parsed = cl_value_parse(cl_sv(begin, (uint64_t)(end - begin)), NULL, ret_message, NULL, err);
        if (parsed < 0) {
            cl_error_wrap(err, "the daemon's answer is not JSON");
            return parsed;
        }
        return 1;
    }
    return 0;
}

bool ctl_message_answers(const cloister_value *message, uint64_t id)
{
    const cloister_value *wire_id = cl_value_get_cstr(message, "id");
    uint64_t number;

    if (cl_value_type(wire_id) == CLOISTER_VALUE_NULL)
        return true;
    return cl_value_u64(wire_id, &number) == 0 && number == id;
}

/* The code whose name the daemon sent; IO for words of a newer daemon. */
static uint32_t code_of_word(const char *word)
{
    if (word)
        for (uint32_t code = 1; code < CLOISTER_CODE_COUNT; code++)
            if (strcmp(cl_error_code_name(code), word) == 0)
                return code;
    return CLOISTER_IO;
}

int ctl_message_result(cloister_value *message, cloister_value **ret_result, struct cloister_error *err)
{
    const cloister_value *error = cl_value_get_cstr(message, "error");
    cloister_value *result = cl_value_get_cstr(message, "result");

    if (result && !error) {
        *ret_result = cl_value_detach(message, result);
        return 0;
    }
    if (!error)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, "receive",
                            "the daemon's answer has neither result nor error");
    const char *sentence = cl_value_cstr(cl_value_get_cstr(error, "message"));
    const char *word = cl_value_cstr(cl_value_get_cstr(error, "code"));
    const char *kind = cl_value_cstr(cl_value_get_cstr(error, "error_kind"));
    uint32_t code = code_of_word(word);
    if (code == CLOISTER_IO && kind && strcmp(kind, "no_such_entity") == 0)
        code = CLOISTER_NO_ENTITY;
    return cl_error_set(err, code, 0, NULL, NULL, "%s", sentence ? sentence : word ? word : kind ? kind : "refused");
}

int ctl_client_await(struct ctl_client *client, uint64_t id, cloister_value **ret_message, struct cloister_error *err)
{
    for (;;) {
        CL_VALUE_CLEANUP cloister_value *message = NULL;
        int got = ctl_client_next(client, &message, err);
        if (got > 0 && ctl_message_answers(message, id)) {
            *ret_message = cl_steal_ptr(&message);
            return 0;
        }
        if (got == 0)
            got = ctl_client_fill(client, err);
        if (got < 0)
            return got;
    }
}

int ctl_client_call(struct ctl_client *client, const char *method, cloister_value *params, const struct ctl_fds *fds,
                    cloister_value **ret_result, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *message = NULL;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    uint64_t id = 0;
    int failed = ctl_client_send(client, method, params, fds, &id, err);

    if (failed == 0)
        failed = ctl_client_await(client, id, &message, err);
    if (failed == 0)
        failed = ctl_message_result(message, &result, err);
    if (failed == 0 && ret_result)
        *ret_result = cl_steal_ptr(&result);
    return failed;
}

int ctl_client_call_on(struct ctl_client *client, const char *method, const char *target, cloister_value *params,
                       cloister_value **ret_result, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *by_name = params ? params : cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *by_id = cl_value_copy(by_name);

    if (!by_name || !by_id || cl_value_set_cstr(by_name, "name", cl_value_new_cstr(target)) < 0 ||
        cl_value_set_cstr(by_id, "id", cl_value_new_cstr(target)) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, target, NULL, "'%s' cannot be a container's name", target);
    int got = ctl_client_call(client, method, cl_steal_ptr(&by_name), NULL, ret_result, err);
    if (got == 0 || !err || err->code != CLOISTER_NO_ENTITY || !cl_id_valid(cl_sv_cstr(target)))
        return got;
    cl_error_clear(err);
    return ctl_client_call(client, method, cl_steal_ptr(&by_id), NULL, ret_result, err);
}
