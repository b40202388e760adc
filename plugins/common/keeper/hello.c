/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.c - who we are. The first daemon tells us, once; every later one that connects to our listening socket asks.
 *
 * The kernel gives a peer our pidfd (SO_PEERPIDFD) because *we* call listen() on the socket that the daemon bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/keeper/client.h"
#include "common/keeper/fd.h"
#include "common/keeper/sandbox.h"

/* What we both speak; 0 = nothing. */
static uint32_t common_version(const struct cl_wire_hello *hello)
{
    if (hello->version < CL_WIRE_VERSION_MIN || hello->version > CL_WIRE_VERSION)
        return 0;
    return hello->version;
}

/* `version` 0: refused, so that the peer learns ours. */
static int reply(const struct cl_sandbox *sandbox, int sock, uint64_t serial, uint32_t version, int r, const char *step)
{
    struct cl_wire_hello hello;

    version = version ? version : CL_WIRE_VERSION;
    cl_wire_init_at(&hello, CL_WIRE_HELLO, serial, version);
    hello.version = version;
    hello.cookie = sandbox->cookie;
    hello.os_errno = -r;
    hello.pid = (uint32_t)getpid();
    memcpy(hello.id, sandbox->id, sizeof(sandbox->id));
    snprintf(hello.step, sizeof(hello.step), "%s", step);
    hello.era = sandbox->tapes.era;
    return cl_wire_send(sock, &hello, NULL, 0);
}

static void take_wishes(struct cl_sandbox *sandbox, const struct cl_wire_hello *hello)
{
    if (hello->resume_ns != 0)
        sandbox->tapes.resume_ns = hello->resume_ns;
    if (hello->tape_max != 0)
        sandbox->tapes.max = hello->tape_max;
}

static int take_listener(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    int type = 0;
    socklen_t size = sizeof(type);

    if (packet->fd_count == 0 || getsockopt(packet->fds[0], SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET)
        return -EINVAL;
    if (listen(packet->fds[0], 8) < 0 || fcntl(packet->fds[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    sandbox->listener = cl_steal_fd(&packet->fds[0]);
    return 0;
}

static int join_cgroups(const struct cl_packet *packet, uint32_t first)
{
    for (uint32_t i = first; i < packet->fd_count; i++)
        if (write(packet->fds[i], "0", 1) != 1)
            return -errno;
    return 0;
}

/* The first HELLO of the daemon that made us. */
static int become(struct cl_sandbox *sandbox, struct cl_packet *packet, const char **ret_step)
{
    const struct cl_wire_hello *hello = &packet->u.hello;
    uint32_t first = hello->flags & CL_WIRE_HELLO_LISTENER ? 1 : 0;
    int r;

    *ret_step = "version";
    if (common_version(hello) == 0 || (hello->flags & ~CL_WIRE_HELLO_LISTENER))
        return -EPROTO;
    if (memchr(hello->id, '\0', sizeof(hello->id)) != hello->id + CL_WIRE_ID_SIZE - 1)
        return -EPROTO;
    *ret_step = "listen";
    r = first ? take_listener(sandbox, packet) : 0;
    if (r < 0)
        return r;
    *ret_step = "join-cgroup";
    r = join_cgroups(packet, first);
    if (r < 0)
        return r;
    *ret_step = "ready";
    sandbox->known = 1;
    sandbox->cookie = hello->cookie;
    memcpy(sandbox->id, hello->id, sizeof(sandbox->id));
    take_wishes(sandbox, hello);
    cl_sandbox_connect(sandbox, sandbox->control, hello->version);
    return 0;
}

int cl_hello_answer(struct cl_sandbox *sandbox, struct cl_packet *packet)
{
    const char *step;
    int r = become(sandbox, packet, &step);
    int sent = reply(sandbox, sandbox->control, packet->u.head.serial, common_version(&packet->u.hello), r, step);

    return r < 0 ? r : sent;
}

/* Only host root may speak to us; from our pid namespace the daemon's number is 0 and says nothing. */
static int is_root(int sock)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

void cl_hello_accept(struct cl_sandbox *sandbox)
{
    CL_CLOSE int sock = accept4(sandbox->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (sock < 0 || !is_root(sock))
        return;
    for (uint32_t i = 0; i < CL_STRANGERS_MAX; i++)
        if (sandbox->stranger[i] < 0) {
            sandbox->stranger[i] = cl_steal_fd(&sock);
            return;
        }
    /* All slots taken by silent ones: the first makes room. */
    close(sandbox->stranger[0]);
    sandbox->stranger[0] = cl_steal_fd(&sock);
}

static int is_ours(const struct cl_sandbox *sandbox, const struct cl_wire_hello *hello)
{
    return hello->cookie == sandbox->cookie && strncmp(hello->id, sandbox->id, CL_WIRE_ID_SIZE) == 0;
}

/* Who does not know our cookie and id learns them, and is nobody: a sweep, or another instance's daemon.
 * A daemon that has died since we last looked is no reason to refuse the next one. */
static void answer_stranger(struct cl_sandbox *sandbox, int *sock, const struct cl_wire_hello *hello)
{
    uint32_t version = common_version(hello);

    if (version == 0) {
        reply(sandbox, *sock, hello->head.serial, 0, -EPROTO, "version");
        return;
    }
    if (!is_ours(sandbox, hello)) {
        reply(sandbox, *sock, hello->head.serial, version, -EPERM, "ready");
        return;
    }
    if (cl_control_alive(sandbox)) {
        reply(sandbox, *sock, hello->head.serial, version, -EBUSY, "ready");
        return;
    }
    int control = cl_steal_fd(sock);

    take_wishes(sandbox, hello);
    cl_sandbox_connect(sandbox, control, version);
    if (reply(sandbox, control, hello->head.serial, version, 0, "ready") < 0)
        cl_sandbox_lose(sandbox);
}

void cl_hello_stranger(struct cl_sandbox *sandbox, uint32_t slot)
{
    CL_CLOSE int sock = sandbox->stranger[slot];
    struct cl_packet packet;
    int r = cl_wire_recv(sock, &packet);

    if (r == -EAGAIN) {
        cl_steal_fd(&sock);
        return;
    }
    sandbox->stranger[slot] = -1;
    if (r < 0)
        return;
    cl_packet_clear(&packet);
    if (packet.u.head.type != CL_WIRE_HELLO)
        return;
    answer_stranger(sandbox, &sock, &packet.u.hello);
}
