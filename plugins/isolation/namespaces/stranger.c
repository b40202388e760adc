/* SPDX-License-Identifier: Apache-2.0 */
/* stranger.c - see stranger.h. */
#include "stranger.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "clock.h"
#include "common/keeper/client.h"
#include "text.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define ANSWER_MS 3000
#define NUDGE_MS 20

static int peer_pidfd(int sock)
{
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);

    return getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0 ? -errno : pidfd;
}

static int peer_is_root(int sock)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    return peer.uid == 0 ? 0 : -EACCES;
}

/* A full backlog of a stopped keeper would make connect wait: so it does not. */
int ns_stranger_connect(const char *path, int *ret_sock, int *ret_pidfd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    NS_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc;

    if (sock < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    if (connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    rc = peer_is_root(sock);
    if (rc == 0)
        rc = peer_pidfd(sock);
    if (rc < 0)
        return rc;
    *ret_pidfd = rc;
    *ret_sock = ns_steal_fd(&sock);
    return 0;
}

/* Who is there? */
static int ask(int sock, struct cl_wire_hello *ret)
{
    struct cl_wire_hello hello;
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    struct cl_packet packet;
    int rc;

    cl_wire_init_at(&hello, CL_WIRE_HELLO, 1, CL_WIRE_VERSION_MIN);
    hello.version = CL_WIRE_VERSION_MIN;
    rc = cl_wire_send(sock, &hello, NULL, 0);
    if (rc < 0)
        return rc;
    if (poll(&ready, 1, ANSWER_MS) <= 0)
        return -ETIMEDOUT;
    rc = cl_wire_recv(sock, &packet);
    if (rc < 0)
        return rc;
    rc = packet.u.head.type == CL_WIRE_HELLO ? 0 : -EPROTO;
    if (rc == 0)
        *ret = packet.u.hello;
    cl_packet_clear(&packet);
    return rc;
}

/* Asked in the oldest words: every version understands them, and one that does not still says cookie and id. */
static int identify(int sock, uint64_t cookie, const char *id)
{
    struct cl_wire_hello hello;
    int rc = ask(sock, &hello);

    if (rc < 0)
        return rc;
    return hello.cookie == cookie && strncmp(hello.id, id, CL_WIRE_ID_SIZE) == 0 ? 0 : -EPERM;
}

int ns_stranger_end(int pidfd, uint64_t patience, void (*nudge)(void *ctx), void *ctx)
{
    struct pollfd dead = {.fd = pidfd, .events = POLLIN};
    uint64_t until = ns_now() + patience;

    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u) < 0 && errno != ESRCH)
        return -errno;
    while (poll(&dead, 1, NUDGE_MS) <= 0) {
        if (ns_now() >= until)
            return -ETIMEDOUT;
        nudge(ctx);
    }
    return 1;
}

int ns_stranger_kill(const char *path, uint64_t cookie, const char *id, bool recorded, uint64_t patience,
                     void (*nudge)(void *ctx), void *ctx)
{
    NS_CLOSE int sock = -1;
    NS_CLOSE int pidfd = -1;
    int rc = ns_stranger_connect(path, &sock, &pidfd);

    if (rc == -ENOENT || rc == -ECONNREFUSED)
        return 0;
    if (rc < 0)
        return rc;
    rc = identify(sock, cookie, id);
    if (rc == -EPIPE)
        return 0; /* it died meanwhile */
    if (rc < 0 && !(rc == -ETIMEDOUT && recorded))
        return rc;
    return ns_stranger_end(pidfd, patience, nudge, ctx);
}
