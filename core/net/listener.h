/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. Bound and listening before recovery (backlog 1,024), accepting after it. */
#ifndef CL_CORE_NET_LISTENER_H
#define CL_CORE_NET_LISTENER_H

#include <sys/types.h>

#include <cloister/error.h>
#include <cloister/stream.h>

#include "core/loop/loop.h"
#include "core/net/handed.h"

struct cl_listener;

struct cl_listen_args {
    const char *address;      /* "unix:/path", or "fd:NAME" for one of `handed` */
    struct cl_handed *handed; /* NULL: none */
    mode_t mode;              /* of the socket file; nothing to fd: addresses, nor is the group */
    gid_t group;              /* (gid_t)-1 = leave */
    unsigned max_connections; /* of all users but root; 0 = no limit */
    unsigned max_per_uid;     /* 0 = no limit */
};

#define CL_PEER_GROUPS_MAX 64

struct cl_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid; /* 0: not visible from here */
    gid_t groups[CL_PEER_GROUPS_MAX];
    size_t group_count;
};

/* What an accepted connection counts against; given back by cl_listener_release when it has closed. */
typedef void (*cl_accept_fn)(void *ctx, cloister_stream *stream, const struct cl_peer *peer);

/* Binds and listens. A socket file of a dead daemon is replaced; one that somebody serves is an error that says so. A
 * socket that was handed over listens already; its file is not touched. */
int cl_listener_open(struct cl_loop *loop, const struct cl_listen_args *args, struct cl_listener **ret,
                     struct cloister_error *err);
/* Accepts from now on. EMFILE: a spare descriptor is used to accept and close, then accepting rests for 100 ms. */
int cl_listener_accept(struct cl_listener *listener, cl_accept_fn fn, void *ctx);
/* Connections that were accepted and closed at once, because of a limit or for want of descriptors. */
uint64_t cl_listener_refused(const struct cl_listener *listener);
void cl_listener_release(struct cl_listener *listener, uid_t uid);
/* Stops accepting; removes the socket file if it is still ours; closed when done. Who knocks at a socket that was
 * handed over waits for the next one to accept. Connections live on: the listener's memory goes with the last release.
 */
void cl_listener_close(struct cl_listener *listener, cloister_fn closed, void *ctx);

#endif
