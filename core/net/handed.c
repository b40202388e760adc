/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "core/util/sv.h"

static const char pid_variable[] = "LISTEN_PID";
static const char count_variable[] = "LISTEN_FDS";
static const char names_variable[] = "LISTEN_FDNAMES";

static int no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "take the handed-over descriptors");
}

static int read_number(const char *variable, uint64_t max, uint64_t *ret_number, struct cloister_error *err)
{
    const char *text = getenv(variable);
    uint64_t number;
    if (!text)
        return cl_error_set(err, CLOISTER_INVALID, 0, variable, "environment",
                            "%s is set without %s: both say which descriptors are handed over",
                            variable == pid_variable ? count_variable : pid_variable, variable);
    if (cl_sv_u64(cl_sv_cstr(text), &number) < 0 || number > max)
        return cl_error_set(err, CLOISTER_INVALID, 0, variable, "environment",
                            "%s is '%.32s', expected a number from 0 to %llu", variable, text, (unsigned long long)max);
    *ret_number = number;
    return 0;
}

/* "web:admin" for two descriptors; there may be no names at all, then numbers are the only way to call them. */
static int read_names(struct cl_handed *handed, struct cloister_error *err)
{
    const char *rest = getenv(names_variable);
    size_t count = 0;
    for (; rest; count++) {
        const char *colon = strchrnul(rest, ':');
        if (count < handed->count && !(handed->names[count] = cl_sv_dup(cl_sv(rest, (uint64_t)(colon - rest)))))
            return no_memory(err);
        rest = *colon ? colon + 1 : NULL;
    }
    if (count > 0 && count != handed->count)
        return cl_error_set(err, CLOISTER_INVALID, 0, names_variable, "environment",
                            "LISTEN_FDNAMES has %zu names for the %zu descriptors of LISTEN_FDS", count, handed->count);
    return 0;
}

static int keep_from_children(const struct cl_handed *handed, struct cloister_error *err)
{
    for (size_t i = 0; i < handed->count; i++) {
        int fd = CL_HANDED_FIRST + (int)i;
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
            return cl_error_set(err, CLOISTER_INVALID, errno, count_variable, "environment",
                                "descriptor %d of the %zu that LISTEN_FDS announces", fd, handed->count);
    }
    return 0;
}

static int read_environment(struct cl_handed *handed, struct cloister_error *err)
{
    uint64_t pid = 0, count = 0;
    if (!getenv(pid_variable) && !getenv(count_variable))
        return 0;
    int r = read_number(pid_variable, INT32_MAX, &pid, err);
    if (r == 0 && pid != (uint64_t)getpid()) {
        /* It was meant for a process that did not clean up before it started us. */
        (void)cl_sv_copy(cl_sv_cstr(getenv(pid_variable)), handed->other, sizeof(handed->other));
        return 0;
    }
    if (r == 0)
        r = read_number(count_variable, CL_HANDED_MAX, &count, err);
    if (r < 0)
        return r;
    handed->count = (size_t)count;
    r = keep_from_children(handed, err);
    if (r < 0)
        handed->count = 0; /* some of these numbers are not ours to close */
    if (r < 0 || count == 0)
        return r;
    handed->fds = cl_calloc(handed->count, sizeof(*handed->fds));
    handed->names = cl_calloc(handed->count, sizeof(*handed->names));
    if (!handed->fds || !handed->names) {
        handed->count = 0;
        return no_memory(err);
    }
    for (size_t i = 0; i < handed->count; i++)
        handed->fds[i] = CL_HANDED_FIRST + (int)i;
    return read_names(handed, err);
}

int cl_handed_take(struct cl_handed *ret, struct cloister_error *err)
{
    struct cl_handed handed = {0};
    int r = read_environment(&handed, err);
    (void)unsetenv(pid_variable);
    (void)unsetenv(count_variable);
    (void)unsetenv(names_variable);
    if (r < 0) {
        cl_handed_free(&handed);
        return r;
    }
    *ret = handed;
    return 0;
}

/* What stands in a sentence for a descriptor: "descriptor 3 ('control')". */
struct label {
    char text[300];
};

static struct label label_of(const struct cl_handed *handed, size_t index)
{
    struct label label;
    const char *name = handed->names[index];
    (void)snprintf(label.text, sizeof(label.text), "descriptor %zu%s%.255s%s", CL_HANDED_FIRST + index,
                   name ? " ('" : "", name ? name : "", name ? "')" : "");
    return label;
}

static int not_handed_over(const struct cl_handed *handed, const char *name, struct cloister_error *err)
{
    if (handed->other[0])
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, name, "claim",
                            "no descriptor '%s' was handed over: LISTEN_PID is %s, and this process is %ld", name,
                            handed->other, (long)getpid());
    return cl_error_set(err, CLOISTER_NO_ENTITY, 0, name, "claim", "no descriptor '%s' was handed over (there are %zu)",
                        name, handed->count);
}

static int find(const struct cl_handed *handed, const char *name, size_t *ret_index, struct cloister_error *err)
{
    uint64_t number;
    size_t found = 0, first = 0;
    if (cl_sv_u64(cl_sv_cstr(name), &number) == 0) {
        if (number < CL_HANDED_FIRST || number - CL_HANDED_FIRST >= handed->count)
            return not_handed_over(handed, name, err);
        *ret_index = (size_t)number - CL_HANDED_FIRST;
        return 0;
    }
    for (size_t i = 0; i < handed->count; i++) {
        if (handed->names[i] && strcmp(handed->names[i], name) == 0 && ++found == 1)
            first = i;
    }
    if (found == 0)
        return not_handed_over(handed, name, err);
    if (found > 1)
        return cl_error_set(err, CLOISTER_INVALID, 0, name, "claim",
                            "%zu handed-over descriptors are named '%s'; call them by their numbers", found, name);
    *ret_index = first;
    return 0;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

/* NULL, or what it is instead. */
static const char *why_unfit(int fd)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof(address);
    int domain = socket_option(fd, SO_DOMAIN);
    int type = socket_option(fd, SO_TYPE);
    if (domain < 0)
        return "no socket";
    if (domain != AF_UNIX)
        return domain == AF_INET || domain == AF_INET6 ? "an internet socket" : "a socket of another family";
    if (type != SOCK_STREAM)
        return type == SOCK_SEQPACKET ? "a seqpacket socket" : "a datagram socket";
    if (socket_option(fd, SO_ACCEPTCONN) != 1)
        return "a socket that does not listen";
    /* An abstract name has no owner and no mode: whoever shares the network namespace could connect. */
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || size <= offsetof(struct sockaddr_un, sun_path) ||
        address.sun_path[0] == 0)
        return "a socket with an abstract address";
    return NULL;
}

int cl_handed_claim(struct cl_handed *handed, const char *name, int *ret_fd, struct cloister_error *err)
{
    size_t index = 0;
    int r = find(handed, name, &index, err);
    if (r < 0)
        return r;
    int fd = handed->fds[index];
    struct label label = label_of(handed, index);
    if (fd < 0)
        return cl_error_set(err, CLOISTER_BUSY, 0, name, "claim", "another endpoint has %s already", label.text);
    const char *why = why_unfit(fd);
    if (why)
        return cl_error_set(err, CLOISTER_INVALID, 0, name, "claim",
                            "%s is %s, expected a Unix stream socket that listens at a path", label.text, why);
    /* A flag of the socket that both holders share; but accept must never wait, not even when the other one, or the
     * peer's leaving, has emptied the backlog since we were told. */
    r = cl_fd_set_nonblock(fd);
    if (r < 0)
        return cl_error_set(err, CLOISTER_IO, -r, name, "claim", "make %s non-blocking", label.text);
    *ret_fd = cl_steal_fd(&handed->fds[index]);
    return 0;
}

void cl_handed_drop(struct cl_handed *handed)
{
    for (size_t i = 0; i < handed->count; i++) {
        if (handed->fds[i] < 0)
            continue;
        struct label label = label_of(handed, i);
        cl_log(CL_LOG_WARN, "net", "%s was handed over, but no endpoint names it: closed", label.text);
        cl_closep(&handed->fds[i]);
    }
}

void cl_handed_free(struct cl_handed *handed)
{
    for (size_t i = 0; i < handed->count; i++) {
        cl_closep(&handed->fds[i]);
        free(handed->names[i]);
    }
    free(handed->fds);
    free(handed->names);
    *handed = (struct cl_handed){0};
}
